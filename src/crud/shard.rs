//! Rows that MongoDB spreads over shards by what a field holds, the shard key.
//!
//! A store that is not sharded keeps such rows as any others. What sharding asks of a model is asked on all stores nevertheless, so that
//! its rows can be moved later.

use super::query::Path;
use super::schema::{Access, Field, Type, suggest, validate};
use super::{Expr, Schema, Value};
use crate::ConfigError;

impl Schema {
    /// The index of the shard key.
    pub fn shard_key(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.shard_key)
    }

    /// Makes the field called `name` the shard key: writes to a row tell MongoDB what it holds, so that one shard is asked.
    ///
    /// # Errors
    /// When there is no such field, rows may lack it or change it, or something else is to be unique, which MongoDB sees to within a
    /// shard only.
    pub fn shard_by(mut self, name: &str) -> Result<Self, ConfigError> {
        let model = &self.name;
        let Some(index) = self.field(name) else {
            let error = ConfigError::new(format!("{model} has no field {name:?} to shard by"));
            return Err(match suggest::closest(name, self.fields.iter().map(|field| &*field.name)) {
                Some(near) => error.cure(format!("did you mean {near}?")),
                None => error.cure("name a field of the model"),
            });
        };
        if self.id != Some(index) {
            self.check_shard_key(&self.fields[index])?;
        }
        let unique = |(other, field): &(usize, &Field)| {
            let rule = field.index.filter(|rule| rule.unique && self.id != Some(*other));
            rule.is_some_and(|rule| *other != index || rule.case_insensitive)
        };
        if let Some((_, field)) = self.fields.iter().enumerate().find(unique) {
            return Err(ConfigError::new(format!(
                "{model}.{} is to be unique and {model} is sharded by {name}: MongoDB sees only within a shard whether a value is",
                field.name
            ))
            .cure(format!("leave unique out, shard by {} without case_insensitive, or do not shard", field.name)));
        }
        self.fields[index].shard_key = true;
        self.check_together_in_shards()?;
        Ok(self)
    }

    /// Refuses that fields are unique together where rows are sharded.
    pub(super) fn check_together_in_shards(&self) -> Result<(), ConfigError> {
        let (Some(key), Some(rule)) = (self.shard_key(), self.together().next()) else { return Ok(()) };
        let (model, key) = (&self.name, &self.fields[key].name);
        Err(ConfigError::new(format!(
            "{model}: {} are to be unique together and {model} is sharded by {key}: MongoDB sees only within a shard whether they are",
            self.names_of(&rule).join(" and ")
        ))
        .cure("leave the rule out, or do not shard"))
    }

    fn check_shard_key(&self, field: &Field) -> Result<(), ConfigError> {
        let place = format!("{}.{}", self.name, field.name);
        let wrong = |what: &str, cure: &str| {
            Err(ConfigError::new(format!("{place} cannot be the shard key: {what}")).cure(cure))
        };
        if !field.kind.is_scalar() {
            return wrong("it holds no single value", "shard by a str, an int, a UUID or another single value");
        }
        if field.kind.inner().1 {
            return wrong("it may be null", "declare it without Optional");
        }
        if matches!(field.kind, Type::Float(_) | Type::Decimal(_)) {
            return wrong("equal numbers of its type can be written differently", "shard by a str, an int or a UUID");
        }
        if field.renewed {
            return wrong("each write makes it anew", "shard by a field that stays as it is");
        }
        if matches!(field.access, Access::ReadWrite | Access::WriteOnly) {
            return wrong("clients could change it", "declare it as Immutable, or as ReadOnly or Hidden");
        }
        match self.id.map(|id| &self.fields[id]) {
            Some(id) if !id.kind.is_made_here() => Err(ConfigError::new(format!(
                "{}.{} is no id of rows that are sharded by {}: MongoDB sees only within a shard whether it is taken",
                self.name, id.name, field.name
            ))
            .cure(format!("make it a UUID or an ObjectId, which are made at random, or shard by {}", id.name))),
            _ => Ok(()),
        }
    }

    /// The shard key where it is not the id, which says all by itself.
    pub(crate) fn shard_beside_id(&self) -> Option<usize> {
        self.shard_key().filter(|key| self.id != Some(*key))
    }

    /// The rows that have the shard key of the row with these values.
    pub(crate) fn in_shard_of(&self, values: &[Value<'_>]) -> Expr {
        match self.shard_beside_id().and_then(|key| Some((key, values.get(key)?))) {
            Some((key, value)) => Expr::equal(Path::from(key), value.clone().into_owned()),
            None => Expr::True,
        }
    }

    /// The same of a row as a store gave it.
    pub(crate) fn in_shard_of_row(&self, json: &[u8]) -> Result<Expr, validate::Rejection> {
        match self.shard_beside_id() {
            Some(_) => validate::stored(self, json).map(|values| self.in_shard_of(&values)),
            None => Ok(Expr::True),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, fields: &str) -> Schema {
        let text = format!(
            r#"{{"name":"Note","id":"id","fields":[{{"name":"id","type":{{"type":"{id}"}}}},{{"name":"text","type":{{"type":"str"}}}}{fields}]}}"#
        );
        Schema::from_description(&text).unwrap()
    }

    fn refused(schema: Schema, name: &str) -> String {
        schema.shard_by(name).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_sharding_asks_of_a_model_is_told_with_the_cure() {
        let tenant = |rest: &str| model("uuid", &format!(r#",{{"name":"tenant",{rest}}}"#));
        let fixed = r#""type":{"type":"str"},"access":"immutable""#;
        assert!(refused(tenant(fixed), "tenat").contains(r#"Note has no field "tenat" to shard by"#));
        assert!(refused(tenant(fixed), "tenat").contains("did you mean tenant?"));
        for (rest, what, cure) in [
            (r#""type":{"type":"list","items":{"type":"str"}},"access":"immutable""#, "no single value", "a str"),
            (r#""type":{"type":"bytes"},"access":"immutable""#, "no single value", "a str"),
            (r#""type":{"type":"any"},"access":"immutable""#, "no single value", "a str"),
            (
                r#""type":{"type":"optional","of":{"type":"str"}},"access":"immutable""#,
                "may be null",
                "without Optional",
            ),
            (r#""type":{"type":"float"},"access":"immutable""#, "written differently", "an int"),
            (r#""type":{"type":"decimal"},"access":"immutable""#, "written differently", "an int"),
            (r#""type":{"type":"str"}"#, "clients could change it", "Immutable"),
            (r#""type":{"type":"str"},"access":"write_only""#, "clients could change it", "Immutable"),
            (
                r#""type":{"type":"datetime"},"access":"read_only","renew":true,"default":{"factory":"now"}"#,
                "each write makes it anew",
                "stays as it is",
            ),
        ] {
            let why = refused(tenant(rest), "tenant");
            assert!(why.contains("Note.tenant cannot be the shard key: "), "{why}");
            assert!(why.contains(what) && why.contains(cure), "{why}");
        }
        for access in ["immutable", "read_only", "hidden"] {
            let schema = tenant(&format!(r#""type":{{"type":"str"}},"access":"{access}""#)).shard_by("tenant").unwrap();
            assert_eq!(schema.shard_key(), Some(2));
        }
    }

    #[test]
    fn what_a_shard_alone_cannot_see_to_is_refused() {
        let unique = |rest: &str| {
            let tenant = r#",{"name":"tenant","type":{"type":"str"},"access":"immutable"}"#;
            model(
                "uuid",
                &format!(r#"{tenant},{{"name":"email","type":{{"type":"str"}},"index":{{"unique":true{rest}}}}}"#),
            )
        };
        for rest in ["", r#","case_insensitive":true"#] {
            for key in ["tenant", "id"] {
                let why = refused(unique(rest), key);
                assert!(why.contains(&format!("Note.email is to be unique and Note is sharded by {key}")), "{why}");
                assert!(why.contains("leave unique out"), "{why}");
            }
        }
        let own = |rest: &str| {
            let rule = format!(r#""index":{{"unique":true{rest}}}"#);
            model("uuid", &format!(r#",{{"name":"tenant","type":{{"type":"str"}},"access":"immutable",{rule}}}"#))
        };
        assert!(own("").shard_by("tenant").is_ok(), "the key is unique if it is unique within its shard");
        let why = refused(own(r#","case_insensitive":true"#), "tenant");
        assert!(why.contains("Note.tenant is to be unique"), "another text is, not the key");

        let tenant = r#",{"name":"tenant","type":{"type":"str"},"access":"immutable"}"#;
        for (id, random) in [("uuid", true), ("object_id", true), ("int", false), ("str", false)] {
            assert!(model(id, tenant).shard_by("id").is_ok());
            assert_eq!(model(id, tenant).shard_by("tenant").is_ok(), random, "{id}");
        }
        let why = refused(model("int", tenant), "tenant");
        assert!(
            why.contains("Note.id is no id of rows that are sharded by tenant") && why.contains("shard by id"),
            "{why}"
        );
    }
}
