use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// What a verified token says; an extension of the request. Cloning is a pointer bump.
#[derive(Clone)]
pub struct Claims(Arc<Parsed>);

struct Parsed {
    raw: Box<RawValue>,
    subject: Option<String>,
    scopes: Vec<String>,
}

/// The claims that are of use to layers.
#[derive(Deserialize)]
struct Known {
    // RFC 7519, 4.1.2: a string. A token with another type in there is refused.
    sub: Option<String>,
    scope: Option<Scopes>,
    scp: Option<Scopes>,
    scopes: Option<Scopes>,
}

/// Issuers write a list, or one string with spaces (RFC 8693, 4.2).
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl Claims {
    /// Of the JSON object in a token whose signature was verified.
    pub(super) fn parse(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        let known: Known = serde_json::from_str(raw.get())?;
        let mut scopes: Vec<String> = Vec::new();
        for given in [known.scope, known.scp, known.scopes].into_iter().flatten() {
            match given {
                Scopes::Text(text) => scopes.extend(text.split_ascii_whitespace().map(str::to_owned)),
                Scopes::List(list) => scopes.extend(list),
            }
        }
        Ok(Self(Arc::new(Parsed { raw, subject: known.sub, scopes })))
    }

    /// Whom the token is about (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What the token allows, from `scope`, `scp` and `scopes`.
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Whether the token allows `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|own| own == scope)
    }

    /// All claims, as the JSON object that was signed.
    pub fn as_json(&self) -> &str {
        self.0.raw.get()
    }

    /// The claims as a type of yours.
    ///
    /// # Errors
    /// When they do not have its shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_json())
    }
}

/// Only the names of what is allowed: the rest may be personal.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("scopes", &self.0.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Claims, serde_json::Error> {
        Claims::parse(RawValue::from_string(json.to_owned())?)
    }

    #[test]
    fn scopes_come_from_three_claims_in_two_shapes() {
        let claims = parse(r#"{"scope":"a  b","scp":["c"],"scopes":["d e"],"sub":"ann"}"#).unwrap();
        assert_eq!(claims.scopes(), ["a", "b", "c", "d e"]);
        assert!(claims.has_scope("b") && !claims.has_scope("d"));
        assert_eq!(claims.subject(), Some("ann"));
    }

    #[test]
    fn claims_of_the_wrong_type_are_refused() {
        for json in [r#"{"sub":1}"#, r#"{"scope":true}"#, r#"{"scp":[1]}"#, "[]", "1", r#"{"sub":"a","sub":"b"}"#] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn debug_output_keeps_personal_claims_back() {
        let claims = parse(r#"{"sub":"ann@example.org","scope":"a"}"#).unwrap();
        assert_eq!(format!("{claims:?}"), r#"Claims { scopes: ["a"], .. }"#);
        assert_eq!(claims.to::<serde_json::Value>().unwrap()["sub"], "ann@example.org");
    }
}
