//! Rules from a JSON tree: how other languages hand over their policies.
//!
//! ```json
//! {"read": ["or", [["compare", "owner", "eq", {"claim": "sub"}], ["compare", "public", "eq", {"value": true}]]],
//!  "write": ["compare", "owner", "eq", {"claim": "sub"}]}
//! ```

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Caller, Operand, Policy, Rule, kind};
use crate::ConfigError;
use crate::crud::query::{Expr, Path, Pattern};
use crate::crud::schema::{Schema, Type, validate};
use crate::crud::{Comparison, Value};
use crate::service::Requirement;

/// Rules within rules.
const DEEPEST: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    read: Option<Json>,
    write: Option<Json>,
    create: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OperandDescription {
    Value(Json),
    Claim(String),
}

impl Policy {
    /// A policy over rows of `schema`, from its description.
    ///
    /// Rules are `["compare", field, operator, operand]` with the operators `eq ne gt ge lt le`, `["in", field, [operand]]`,
    /// `["has", field, [operand]]`, `["has_key", field, name]`, `["length", field, operator, number]`, `["null", field]`, `["like", field, [text], fold]` (the
    /// texts that stand between any others), `["caller", requirement]` for a [`Requirement`](crate::service::Requirement) as data (`{}` for any caller who is known),
    /// `["and", [rule]]`, `["or", [rule]]`, `["not", rule]` and `true`; operands are `{"value": ...}` and `{"claim": name}`.
    ///
    /// # Errors
    /// When it is malformed, or names a field or a value that the schema does not have.
    pub fn from_description(schema: &Schema, json: &str) -> Result<Self, ConfigError> {
        let given: Description = serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("the policy of {} is malformed: {error}", schema.name)))?;
        let reader = Reader { schema, whose: format!("the policy of {}", schema.name) };
        let rule = |tree: Option<Json>| tree.map(|tree| reader.read(&tree, 0)).transpose();
        Ok(Self { read: rule(given.read)?, write: rule(given.write)?, create: rule(given.create)? })
    }
}

impl Expr {
    /// A predicate over rows of `schema`, from its description: a rule as in [`Policy::from_description`], without claims.
    ///
    /// # Errors
    /// When it is malformed, names a field or a value that the schema does not have, or asks for a claim.
    pub fn from_description(schema: &Schema, json: &str) -> Result<Self, ConfigError> {
        let whose = format!("a search for {}", schema.name);
        let tree =
            serde_json::from_str(json).map_err(|error| ConfigError::new(format!("{whose} is malformed: {error}")))?;
        let rule = Reader { schema, whose: whose.clone() }.read(&tree, 0)?;
        rule.check(schema, &whose)?;
        if rule.asks_who() {
            return Err(ConfigError::new(format!("{whose} asks for a claim, and no caller is known to it"))
                .cure("compare with the value"));
        }
        Ok(Caller { schema, claims: None }.resolve(&rule, false))
    }
}

/// Reads the rules over a schema.
struct Reader<'s> {
    schema: &'s Schema,
    /// What the rules belong to, for errors.
    whose: String,
}

impl Reader<'_> {
    fn read(&self, tree: &Json, depth: usize) -> Result<Rule, ConfigError> {
        let Self { schema, whose } = self;
        let malformed = || ConfigError::new(format!("{whose} has a malformed rule: {tree}"));
        if depth > DEEPEST {
            return Err(ConfigError::new(format!("{whose} has rules more than {DEEPEST} deep")));
        }
        if *tree == Json::Bool(true) {
            return Ok(Expr::True);
        }
        let Some([Json::String(word), rest @ ..]) = tree.as_array().map(Vec::as_slice) else { return Err(malformed()) };
        let all = |parts: &[Json]| parts.iter().map(|part| self.read(part, depth + 1)).collect::<Result<Vec<_>, _>>();
        match (&**word, rest) {
            ("and", [Json::Array(parts)]) => return Ok(Expr::And(all(parts)?)),
            ("or", [Json::Array(parts)]) => return Ok(Expr::Or(all(parts)?)),
            ("caller", [asked]) => {
                // Of guards that ask for nothing more than that somebody is known.
                if asked.as_object().is_some_and(serde_json::Map::is_empty) {
                    return Ok(Expr::Caller(Requirement::known()));
                }
                return Requirement::deserialize(asked)
                    .map(Expr::Caller)
                    .map_err(|error| ConfigError::new(format!("{whose} asks something of the caller: {error}")));
            }
            ("not", [inner]) => return Ok(Expr::Not(Box::new(self.read(inner, depth + 1)?))),
            _ => {}
        }
        let [Json::String(name), rest @ ..] = rest else { return Err(malformed()) };
        let field = Path::of(schema, name)?;
        let kind = kind(schema, &field).ok_or_else(malformed)?;
        Ok(match (&**word, rest) {
            ("null", []) => Expr::IsNull { field },
            ("compare", [Json::String(op), operand]) => {
                let op = comparison(op).ok_or_else(malformed)?;
                let value = self.operand(name, kind, operand)?;
                Expr::Compare { field, op, value }
            }
            ("in", [Json::Array(operands)]) => Expr::In {
                field,
                values: operands.iter().map(|one| self.operand(name, kind, one)).collect::<Result<_, _>>()?,
            },
            ("has", [Json::Array(operands)]) => {
                let Type::List { item, .. } = kind else {
                    return Err(ConfigError::new(format!("{whose} asks what {name} has, and it is no list")));
                };
                let item = item.inner().0;
                Expr::Has {
                    field,
                    values: operands.iter().map(|one| self.operand(name, item, one)).collect::<Result<_, _>>()?,
                }
            }
            ("has_key", [Json::String(key)]) => Expr::HasKey { field, key: key.clone() },
            ("length", [Json::String(op), Json::Number(length)]) => {
                let length = length.as_u64().ok_or_else(malformed)?;
                Expr::Length { field, op: comparison(op).ok_or_else(malformed)?, length }
            }
            ("like", [Json::Array(parts), Json::Bool(fold)]) if !parts.is_empty() => {
                let parts = parts.iter().map(|part| part.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                Expr::Like { field, pattern: Pattern::new(parts.ok_or_else(malformed)?, *fold) }
            }
            _ => return Err(malformed()),
        })
    }

    fn operand(&self, name: &str, kind: &Type, json: &Json) -> Result<Operand, ConfigError> {
        let wrong = |what: String| Err(ConfigError::new(format!("{} compares {name} with {what}", self.whose)));
        match OperandDescription::deserialize(json) {
            Ok(OperandDescription::Claim(name)) => Ok(Operand::Claim(name)),
            Ok(OperandDescription::Value(value)) => {
                match validate::value(kind, value.to_string().as_bytes()).map(Value::into_owned) {
                    Ok(Value::List(_) | Value::Object(_) | Value::Map(_) | Value::Bytes(_)) => {
                        wrong(format!("{value}, which is no single value"))
                    }
                    Ok(value) => Ok(Operand::Value(value)),
                    Err(rejection) => wrong(format!("{value}, which {rejection}")),
                }
            }
            Err(error) => wrong(format!("what is not understood: {error}")),
        }
    }
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "ge" => Comparison::Ge,
        "lt" => Comparison::Lt,
        "le" => Comparison::Le,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"name":"A","id":"id","fields":[{"name":"id","type":{"type":"int"}},{"name":"tags","type":{"type":"list","items":{"type":"str"}}},
      {"name":"home","type":{"type":"model","schema":{"name":"H","fields":[{"name":"city","type":{"type":"str"}}]}}}]}"#;

    fn policy(read: &str) -> Result<Policy, String> {
        let schema = Schema::from_description(SCHEMA).unwrap();
        let policy =
            Policy::from_description(&schema, &format!(r#"{{"read":{read}}}"#)).map_err(|error| error.to_string())?;
        policy.check(&schema).map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_are_read() {
        let home = || Path::from(2).then(0);
        let expected = Expr::And(vec![
            Expr::Compare { field: 0.into(), op: Comparison::Ge, value: Operand::Value(Value::Int(3)) },
            Expr::Not(Box::new(Expr::In {
                field: home(),
                values: vec![Operand::claim("city"), Operand::Value("x".into())],
            })),
            Expr::Or(vec![
                Expr::Has { field: 1.into(), values: vec![Operand::claim("sub")] },
                Expr::IsNull { field: home() },
            ]),
            Expr::Length { field: 1.into(), op: Comparison::Lt, length: 4 },
            Expr::Like { field: home(), pattern: Pattern::new(["a".into(), String::new()], true) },
            Expr::True,
        ]);
        let found = policy(
            r#"["and",[["compare","id","ge",{"value":3}],["not",["in","home.city",[{"claim":"city"},{"value":"x"}]]],
              ["or",[["has","tags",[{"claim":"sub"}]],["null","home.city"]]],["length","tags","lt",4],["like","home.city",["a",""],true],true]]"#,
        );
        assert_eq!(found, Ok(Policy::new().read(expected)));
    }

    #[test]
    fn what_the_caller_is_decides_for_all_rows() {
        let schema = Schema::from_description(SCHEMA).unwrap();
        let rule = r#"["or",[["compare","id","eq",{"claim":"sub"}],["caller",{"role":"staff"}]]]"#;
        let policy = policy(rule).unwrap();
        assert!(policy.uses_claims());
        let expected = ["iss", "sub", "realm_access.roles", "role", "roles"].map(str::to_owned);
        assert_eq!(policy.caller_claims(&schema), Some(expected.to_vec()));
        let of = |claims: &str| serde_json::value::RawValue::from_string(claims.to_owned()).unwrap();
        let readable = |policy: &Policy, claims: Option<&str>| {
            let claims = claims.map(|claims| crate::service::Claims::parse(of(claims)).unwrap());
            policy.readable(Caller { schema: &schema, claims: claims.as_ref() })
        };
        let own = Expr::equal(0.into(), Value::Int(7));
        assert_eq!(readable(&policy, Some(r#"{"sub":"7"}"#)), own, "nothing is asked of the store but the row");
        assert_eq!(readable(&policy, Some(r#"{"sub":"7","roles":["staff"]}"#)), Expr::True);
        assert_eq!(readable(&policy, Some(r#"{"roles":["other"]}"#)), Expr::never());
        assert_eq!(readable(&policy, None), Expr::never());

        // Of somebody who is not known nothing is known, and the opposite neither.
        let schema_of = |read: &str| Policy::from_description(&schema, &format!(r#"{{"read":{read}}}"#)).unwrap();
        let without = schema_of(r#"["not",["caller",{"role":"banned"}]]"#);
        let holds = |claims| readable(&without, claims).holds(&[Value::Int(7), Value::Null, Value::Null]);
        assert_eq!([Some("{}"), Some(r#"{"role":"banned"}"#), None].map(holds), [true, false, false]);

        let known = schema_of(r#"["caller",{}]"#);
        assert!(known.uses_claims());
        assert_eq!([Some("{}"), None].map(|claims| readable(&known, claims)), [Expr::True, Expr::never()]);

        let any = Policy::new().read(Expr::Caller(Requirement::that(|claims| claims.subject().is_some())));
        assert!(any.uses_claims());
        assert_eq!(any.caller_claims(&schema), None, "any claim may count");
        assert_eq!(readable(&any, Some(r#"{"sub":"7"}"#)), Expr::True);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (rule, expected) in [
            (r#"["compare","idd","eq",{"value":1}]"#, "did you mean id?"),
            (r#"["compare","id","eq",{"value":"x"}]"#, r#"compares id with "x", which must be a whole number"#),
            (r#"["compare","tags","eq",{"claim":"x"}]"#, "no single value"),
            (r#"["compare","id","is",{"value":1}]"#, "malformed rule"),
            (r#"["has","id",[{"claim":"x"}]]"#, "no list"),
            (r#"["like","id",["a",""],false]"#, "no text"),
            (r#"["and",{}]"#, "malformed rule"),
            (r#"["caller",{"rule":"x"}]"#, "asks something of the caller"),
            ("7", "malformed rule"),
            (r#"["compare","id","eq",{"claim":"x","value":1}]"#, "not understood"),
        ] {
            let error = policy(rule).unwrap_err();
            assert!(error.contains(expected), "{rule}: {error}");
        }
        let deep = format!("{}true{}", r#"["not","#.repeat(40), "]".repeat(40));
        assert!(policy(&deep).unwrap_err().contains("deep"));
    }
}
