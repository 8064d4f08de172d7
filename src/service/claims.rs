//! Who asks.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What is known of the caller: what a verified token says, or what is known of a key or a user; an extension of the request. Cloning is a pointer bump.
///
/// A layer that authenticates puts it there, and whatever decides further in reads it, as the guards of routes and the
/// policies of rows do.
#[derive(Clone)]
pub struct Claims(Arc<Parsed>);

struct Parsed {
    raw: Box<RawValue>,
    subject: Option<String>,
    scopes: Vec<String>,
    /// All of them, read when one is first asked for by name.
    members: OnceLock<Map<String, Value>>,
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
    /// Whether a layer of this name finds out who calls: those that fill claims.
    pub fn are_found_by(layer: &str) -> bool {
        matches!(layer, "ApiKey" | "Basic" | "Jwt")
    }

    /// Of a JSON object: that of a token whose signature was verified.
    ///
    /// # Errors
    /// When it is none, or `sub`, `scope`, `scp` or `scopes` are not of their type.
    pub fn parse(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        let known: Known = serde_json::from_str(raw.get())?;
        let mut scopes: Vec<String> = Vec::new();
        for given in [known.scope, known.scp, known.scopes].into_iter().flatten() {
            match given {
                Scopes::Text(text) => scopes.extend(text.split_ascii_whitespace().map(str::to_owned)),
                Scopes::List(list) => scopes.extend(list),
            }
        }
        Ok(Self(Arc::new(Parsed { raw, subject: known.sub, scopes, members: OnceLock::new() })))
    }

    /// Who the caller is (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What the caller may do, from `scope`, `scp` and `scopes`.
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Whether the caller may do `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|own| own == scope)
    }

    /// Whether the caller has `role`: in `roles`, `role` or `realm_access.roles`, which are a text or a list of texts.
    pub fn has_role(&self, role: &str) -> bool {
        ["roles", "role", "realm_access.roles"].into_iter().filter_map(|name| self.get(name)).any(|own| match own {
            Value::Array(roles) => roles.iter().any(|own| own == role),
            own => own == role,
        })
    }

    /// The claim called `name`, or, where none is called so, what lies in claims within claims: `realm_access.roles`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let members = self.0.members.get_or_init(|| serde_json::from_str(self.as_json()).unwrap_or_default());
        if let Some(value) = members.get(name) {
            return Some(value);
        }
        let mut names = name.split('.');
        let first = members.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
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
    fn claims_are_found_by_name() {
        let claims = parse(r#"{"sub":"ann","realm":{"roles":["a"]},"https://x.org/tenant":7}"#).unwrap();
        let get = |name: &str| claims.get(name).map(ToString::to_string);
        assert_eq!(get("sub").as_deref(), Some("\"ann\""));
        assert_eq!(get("realm.roles").as_deref(), Some("[\"a\"]"));
        assert_eq!(get("https://x.org/tenant").as_deref(), Some("7"));
        assert_eq!((get("realm.more"), get("sub.x"), get("")), (None, None, None));
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
