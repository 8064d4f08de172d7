//! What is asked of a caller.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Claims;

/// One thing that the [`Claims`] of a caller must have.
///
/// As data it is `{"scope": "notes:read"}`, `{"role": "editor"}`, or `{"claim": "tenant", "is": ["a", "b"]}`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Requirement(Kind);

#[derive(Clone)]
enum Kind {
    Known,
    Scope(Box<str>),
    Role(Box<str>),
    Claim { name: Box<str>, values: Vec<Value> },
    Predicate(Arc<dyn Fn(&Claims) -> bool + Send + Sync>),
}

impl Requirement {
    /// There are claims, whatever they say.
    pub const fn known() -> Self {
        Self(Kind::Known)
    }

    /// The claims have this scope: [`Claims::has_scope`].
    pub fn scope(scope: impl Into<String>) -> Self {
        Self(Kind::Scope(scope.into().into()))
    }

    /// The claims have this role: [`Claims::has_role`].
    pub fn role(role: impl Into<String>) -> Self {
        Self(Kind::Role(role.into().into()))
    }

    /// The claim that [`Claims::get`] finds by `name` is one of `values`, or is a list that holds one of them.
    pub fn claim(name: impl Into<String>, values: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        Self(Kind::Claim { name: name.into().into(), values: values.into_iter().map(Into::into).collect() })
    }

    /// Whatever `holds` says of the claims. It runs on every request, so it must not wait.
    pub fn that(holds: impl Fn(&Claims) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::Predicate(Arc::new(holds)))
    }

    /// Whether `claims` have what is asked for.
    pub fn is_met(&self, claims: &Claims) -> bool {
        match &self.0 {
            Kind::Known => true,
            Kind::Scope(scope) => claims.has_scope(scope),
            Kind::Role(role) => claims.has_role(role),
            Kind::Claim { name, values } => claims.get(name).is_some_and(|claim| match claim {
                Value::Array(items) => items.iter().any(|item| values.contains(item)),
                single => values.contains(single),
            }),
            Kind::Predicate(holds) => holds(claims),
        }
    }

    /// The claims that are looked at; None where that is not known.
    #[cfg(feature = "crud")]
    pub(crate) fn claims(&self) -> Option<Vec<&str>> {
        Some(match &self.0 {
            Kind::Known => Vec::new(),
            Kind::Scope(_) => vec!["scope", "scp", "scopes"],
            Kind::Role(_) => vec!["roles", "role", "realm_access.roles"],
            Kind::Claim { name, .. } => vec![name],
            Kind::Predicate(_) => return None,
        })
    }

    /// The scope, when it is one that is asked for.
    pub fn as_scope(&self) -> Option<&str> {
        match &self.0 {
            Kind::Scope(scope) => Some(scope),
            _ => None,
        }
    }
}

/// Whether the same is asked for; of two predicates, whether they are one.
impl PartialEq for Requirement {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Known, Kind::Known) => true,
            (Kind::Scope(own), Kind::Scope(other)) | (Kind::Role(own), Kind::Role(other)) => own == other,
            (Kind::Claim { name: own, values }, Kind::Claim { name, values: others }) => {
                own == name && values == others
            }
            (Kind::Predicate(own), Kind::Predicate(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

/// As a printed stack shows it: `scope x`, `role x`, `claim tenant`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Known => f.write_str("known"),
            Kind::Scope(scope) => write!(f, "scope {scope}"),
            Kind::Role(role) => write!(f, "role {role}"),
            Kind::Claim { name, .. } => write!(f, "claim {name}"),
            Kind::Predicate(_) => f.write_str("predicate"),
        }
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requirement({self})")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    scope: Option<String>,
    role: Option<String>,
    claim: Option<String>,
    is: Option<Vec<Value>>,
}

impl TryFrom<Written> for Requirement {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written { scope: Some(scope), role: None, claim: None, is: None } if !scope.is_empty() => {
                Ok(Self::scope(scope))
            }
            Written { scope: None, role: Some(role), claim: None, is: None } if !role.is_empty() => {
                Ok(Self::role(role))
            }
            Written { scope: None, role: None, claim: Some(name), is: Some(values) }
                if !name.is_empty() && !values.is_empty() =>
            {
                Ok(Self::claim(name, values))
            }
            _ => Err("a requirement is one of scope, role, and claim with a list `is` of what it may be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn claims() -> Claims {
        let json = r#"{"scope": "a b", "roles": ["editor"], "role": "owner", "realm_access": {"roles": ["x"]},
            "tenant": "t", "groups": ["g", 7], "level": 3, "none": null}"#;
        Claims::parse(RawValue::from_string(json.to_owned()).unwrap()).unwrap()
    }

    fn read(json: &str) -> Result<Requirement, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn claims_have_it_or_not() {
        for (json, met) in [
            (r#"{"scope": "b"}"#, true),
            (r#"{"scope": "a b"}"#, false),
            (r#"{"role": "editor"}"#, true),
            (r#"{"role": "owner"}"#, true),
            (r#"{"role": "x"}"#, true),
            (r#"{"role": "edit"}"#, false),
            (r#"{"claim": "tenant", "is": ["s", "t"]}"#, true),
            (r#"{"claim": "tenant", "is": ["T"]}"#, false),
            (r#"{"claim": "groups", "is": [7]}"#, true),
            (r#"{"claim": "groups", "is": ["7"]}"#, false),
            (r#"{"claim": "level", "is": [3]}"#, true),
            (r#"{"claim": "level", "is": ["3"]}"#, false),
            (r#"{"claim": "realm_access.roles", "is": ["x"]}"#, true),
            (r#"{"claim": "more", "is": [null]}"#, false),
        ] {
            assert_eq!(read(json).unwrap().is_met(&claims()), met, "{json}");
        }
        assert!(Requirement::that(|claims| claims.subject().is_none()).is_met(&claims()));
    }

    #[test]
    fn it_is_one_thing() {
        for json in [
            "{}",
            r#"{"scope": ""}"#,
            r#"{"role": ""}"#,
            r#"{"scope": "a", "role": "b"}"#,
            r#"{"claim": "a"}"#,
            r#"{"claim": "a", "is": []}"#,
            r#"{"claim": "", "is": ["a"]}"#,
            r#"{"is": ["a"]}"#,
            r#"{"scopes": "a"}"#,
            r#"{"scope": ["a"]}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        let shown: Vec<_> = [r#"{"scope":"a"}"#, r#"{"role":"b"}"#, r#"{"claim":"c","is":["secret"]}"#]
            .map(|json| format!("{:?}", read(json).unwrap()))
            .into();
        assert_eq!(shown, ["Requirement(scope a)", "Requirement(role b)", "Requirement(claim c)"]);
    }
}
