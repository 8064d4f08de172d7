//! Schemas from a JSON description: how other languages hand over their models.
//!
//! ```json
//! {"name": "User", "id": "id", "unknown": "forbid", "fields": [
//!   {"name": "id", "type": {"type": "uuid"}, "default": {"factory": "uuid7"}},
//!   {"name": "email", "type": {"type": "str", "max_length": 200}, "index": {"unique": true}},
//!   {"name": "age", "type": {"type": "optional", "of": {"type": "int", "ge": 0}}, "default": {"value": null}}]}
//! ```
//!
//! Beside the fields stand `search`, the texts whose words are looked for, `unique`, lists of fields that are
//! [unique together](Schema::unique_together), and `shard_key`.

mod parts;
mod types;

use std::sync::{Arc, OnceLock};

use parts::{
    AccessDescription, DefaultDescription, Factory, FieldDescription, IndexDescription, SchemaDescription,
    UnknownDescription,
};
use types::{compile_type, constant};

use super::check;
use super::{Access, DefaultValue, Field, Index, Nested, Schema, Type, Unknown};
use crate::ConfigError;
use crate::crud::Value;

impl Schema {
    /// Reads a schema from its JSON description.
    ///
    /// # Errors
    /// When the description cannot be read, names a field twice, has a pattern that is not a regular expression, a default
    /// that does not fit its type, or an id that is neither a UUID nor an int nor a str. The error names the field.
    pub fn from_description(description: &str) -> Result<Self, ConfigError> {
        let read: SchemaDescription = serde_json::from_str(description)
            .map_err(|error| ConfigError::new(format!("the description of a model cannot be read: {error}")))?;
        let (search, unique, shard_key) = (read.search.clone(), read.unique.clone(), read.shard_key.clone());
        let mut schema = compile(read, &mut Open::default())?.search(search)?;
        for names in unique {
            schema = schema.unique_together(names)?;
        }
        match shard_key {
            Some(name) => schema.shard_by(&name),
            None => Ok(schema),
        }
    }
}

/// The models that are being made, which hold what is being compiled.
#[derive(Default)]
struct Open(Vec<Making>);

/// Whether every token of so many bytes is a text of this type, as it stands.
fn takes_token(kind: &Type, bytes: usize) -> bool {
    let Type::Str(rules) = kind else { return false };
    let length = check::new_token(bytes).len();
    let fits = rules.min.is_none_or(|min| min <= length) && rules.max.is_none_or(|max| length <= max);
    fits && rules.pattern.is_none() && !rules.lower && !rules.upper
}

/// How many random bytes a token has: enough that nobody guesses it, and no more than an index takes.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// A model that is being made, what those in it call it, and where it will be.
struct Making {
    reference: String,
    name: String,
    to: Arc<OnceLock<Arc<Schema>>>,
}

impl Open {
    fn back(&self, reference: &str, place: &str) -> Result<Nested, ConfigError> {
        let found = self.0.iter().rev().find(|making| making.reference == reference);
        let Making { name, to, .. } = found
            .ok_or_else(|| ConfigError::new(format!("{place}: it stands in no model that is told by {reference:?}")))?;
        Ok(Nested::back(name, Arc::clone(to)))
    }
}

/// A nested model, to which those in it may lead back.
fn nested(description: SchemaDescription, open: &mut Open) -> Result<Nested, ConfigError> {
    let Some(reference) = description.reference.clone() else { return Ok(compile(description, open)?.into()) };
    let to = Arc::new(OnceLock::new());
    open.0.push(Making { reference, name: description.name.clone(), to: Arc::clone(&to) });
    let schema = compile(description, open);
    open.0.pop();
    let schema = Arc::new(schema?);
    Ok(Nested::from(Arc::clone(to.get_or_init(|| schema))))
}

fn compile(description: SchemaDescription, open: &mut Open) -> Result<Schema, ConfigError> {
    let model = description.name;
    if description.id.is_none() && !description.unique.is_empty() {
        return Err(ConfigError::new(format!("{model}: only fields of rows can be unique together"))
            .cure("name fields of the model whose rows are kept"));
    }
    let mut fields: Vec<Field> = Vec::with_capacity(description.fields.len());
    for FieldDescription { name, kind, default, index, access, renew, deletion, reference } in description.fields {
        let place = format!("{model}.{name}");
        if fields.iter().any(|other| *other.name == *name) {
            return Err(ConfigError::new(format!("{place} is there twice")));
        }
        let mut field = Field::new(name, compile_type(kind, &place, open)?);
        if let Some(default) = default {
            let default = match default {
                DefaultDescription::Factory(Factory::Uuid4) => DefaultValue::Uuid4,
                DefaultDescription::Factory(Factory::Uuid7) => DefaultValue::Uuid7,
                DefaultDescription::Factory(Factory::ObjectId) => DefaultValue::ObjectId,
                DefaultDescription::Factory(Factory::Now) => DefaultValue::Now,
                DefaultDescription::Factory(Factory::Claim(name)) => DefaultValue::Claim(name.into()),
                DefaultDescription::Factory(Factory::Token(bytes)) => DefaultValue::Token(bytes),
                DefaultDescription::Value(raw) => DefaultValue::Constant(constant(&field.kind, &raw, &place)?),
            };
            let fits = match (&default, field.kind.inner().0) {
                (DefaultValue::Uuid4 | DefaultValue::Uuid7, kind) => matches!(kind, Type::Uuid | Type::LegacyUuid(_)),
                (DefaultValue::ObjectId, kind) => matches!(kind, Type::ObjectId),
                (DefaultValue::Now, kind) => matches!(kind, Type::DateTime(_) | Type::Micros(_)),
                (DefaultValue::Token(bytes), kind) => TOKEN_BYTES.contains(bytes) && takes_token(kind, *bytes),
                (DefaultValue::Claim(_), kind) => kind.is_scalar(),
                (DefaultValue::Constant(_), _) => true,
            };
            if !fits {
                return Err(ConfigError::new(format!("{place}: the default factory does not make values of its type")));
            }
            field = field.default(default);
        }
        if let Some(index) = index {
            if !field.kind.is_scalar() {
                return Err(ConfigError::new(format!("{place} cannot be indexed: it holds no single value"))
                    .cure("index a field that holds one value"));
            }
            let IndexDescription { unique, case_insensitive, sparse, ttl } = index;
            let kind = field.kind.inner().0;
            if case_insensitive && !(unique && matches!(kind, Type::Str(_))) {
                return Err(ConfigError::new(format!("{place}: letters are compared where texts are unique"))
                    .cure("add unique, or leave case_insensitive out"));
            }
            if ttl.is_some() && !matches!(kind, Type::DateTime(_)) {
                return Err(ConfigError::new(format!(
                    "{place}: rows expire some time after a datetime of milliseconds"
                ))
                .cure("make it a datetime without Micro, or leave ttl out"));
            }
            field = field.index(Index { unique, case_insensitive, sparse, ttl });
        }
        field.access = match access {
            AccessDescription::ReadWrite => Access::ReadWrite,
            AccessDescription::ReadOnly => Access::ReadOnly,
            AccessDescription::Immutable => Access::Immutable,
            AccessDescription::WriteOnly => Access::WriteOnly,
            AccessDescription::Hidden => Access::Hidden,
        };
        field.renewed = renew;
        field.deletion = deletion;
        field.reference = reference.map(Into::into);
        if field.access.is_kept() && (description.id.is_none() || description.id.as_deref() == Some(&*field.name)) {
            return Err(ConfigError::new(format!(
                "{place}: only fields of rows, beside the id, can be kept from clients"
            ))
            .cure("take the marker away"));
        }
        if renew && (field.default.is_none() || field.access.is_settable()) {
            return Err(ConfigError::new(format!("{place} is made anew by each write, and clients could set it"))
                .cure("give it a default and make it read-only"));
        }
        if renew && matches!(field.default, Some(DefaultValue::Claim(_))) {
            return Err(ConfigError::new(format!("{place}: what each write makes anew cannot be a claim"))
                .cure("set it in a hook, as code has no caller"));
        }
        if deletion {
            let is_null = matches!(field.default, Some(DefaultValue::Constant(Value::Null)));
            if !matches!((field.kind.inner(), is_null), ((Type::DateTime(_), true), true)) || field.access.is_settable()
            {
                return Err(ConfigError::new(format!("{place} cannot hold when a row was deleted"))
                    .cure("make it an Optional datetime that is null by default and read-only"));
            }
            if fields.iter().any(|other| other.deletion) {
                return Err(ConfigError::new(format!("{place}: another field holds when a row was deleted")));
            }
        }
        fields.push(field);
    }
    let unknown = match description.unknown {
        UnknownDescription::Forbid => Unknown::Forbid,
        UnknownDescription::Ignore => Unknown::Ignore,
        UnknownDescription::Allow => Unknown::Allow,
    };
    let mut schema = Schema { name: model, fields, id: None, unknown };
    if let Some(id) = description.id {
        schema.id = Some(check_id(&schema, &id)?);
    }
    Ok(schema)
}

fn check_id(schema: &Schema, id: &str) -> Result<usize, ConfigError> {
    let Some(index) = schema.field(id) else {
        return Err(ConfigError::new(format!("{} has no field {id:?} to identify its rows", schema.name))
            .cure("add a field `id: UUID`"));
    };
    let field = &schema.fields[index];
    if !matches!(
        field.kind,
        Type::Uuid | Type::LegacyUuid(_) | Type::ObjectId | Type::Int(_) | Type::IntText(_) | Type::Str(_)
    ) {
        return Err(ConfigError::new(format!("{}.{id} cannot identify rows", schema.name))
            .cure("make it a UUID, an int or a str"));
    }
    if matches!(field.default, Some(DefaultValue::Constant(_))) {
        return Err(ConfigError::new(format!("{}.{id}: an id cannot have a constant default", schema.name))
            .cure("leave the default out; the server chooses UUIDs itself"));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &str) -> String {
        let text =
            format!(r#"{{"name":"User","id":"id","fields":[{{"name":"id","type":{{"type":"uuid"}}}}{fields}]}}"#);
        Schema::from_description(&text).map(|_| ()).map_err(|error| error.to_string()).unwrap_err()
    }

    #[test]
    fn reads_every_type() {
        let schema = Schema::from_description(
            r#"{"name":"User","id":"id","unknown":"ignore","fields":[
              {"name":"id","type":{"type":"uuid"},"default":{"factory":"uuid4"}},
              {"name":"a","type":{"type":"bool"},"default":{"value":false}},
              {"name":"b","type":{"type":"int","ge":0,"lt":10},"index":{"unique":true}},
              {"name":"c","type":{"type":"float","multiple_of":0.5}},
              {"name":"d","type":{"type":"str","min_length":1,"pattern":"^a","strip":true}},
              {"name":"e","type":{"type":"datetime"},"default":{"factory":"now"}},
              {"name":"f","type":{"type":"enum","values":["x",1,true]}},
              {"name":"g","type":{"type":"optional","of":{"type":"literal","values":["x"]}},"default":{"value":null}},
              {"name":"h","type":{"type":"list","items":{"type":"str"},"max_length":3},"default":{"value":[]}},
              {"name":"i","type":{"type":"model","schema":{"name":"Address","fields":[
                {"name":"city","type":{"type":"str"},"default":{"value":"Ur"}}]}},"default":{"value":{}}}]}"#,
        )
        .unwrap();
        assert_eq!(schema.id, Some(0));
        assert_eq!(schema.unknown, Unknown::Ignore);
        assert_eq!(schema.fields.len(), 10);
        assert_eq!(schema.fields[2].index, Some(Index::UNIQUE));
        assert_eq!(schema.fields[2].key(), b"\"b\":");
        let default = schema.fields[9].default.clone();
        assert!(
            matches!(default, Some(DefaultValue::Constant(Value::Object(values))) if values == [Value::Str("Ur".into())])
        );
    }

    #[test]
    fn mistakes_name_the_field() {
        let age = |rest: &str| refused(&format!(r#",{{"name":"age",{rest}}}"#));
        assert!(age(r#""type":{"type":"str","pattern":"(?=x)"}"#).contains("User.age: the pattern cannot be used"));
        assert!(
            age(r#""type":{"type":"int","ge":0},"default":{"value":-1}"#)
                .contains("User.age: the default does not fit: must be >= 0")
        );
        assert!(
            age(r#""type":{"type":"int"},"default":{"factory":"uuid4"}"#).contains("User.age: the default factory")
        );
        assert!(
            age(r#""type":{"type":"list","items":{"type":"int"}},"index":{}"#).contains("User.age cannot be indexed")
        );
        assert!(age(r#""type":{"type":"int","multiple_of":0}"#).contains("User.age: nothing is a multiple of 0"));
        assert!(
            age(r#""type":{"type":"decimal","multiple_of":"0.0"}"#).contains("User.age: nothing is a multiple of 0")
        );
        assert!(age(r#""type":{"type":"complex"}"#).contains("unknown variant `complex`"));
        assert!(age(r#""type":{"type":"int","maximum":3}"#).contains("unknown field `maximum`"));
        assert!(refused(r#",{"name":"id","type":{"type":"int"}}"#).contains("User.id is there twice"));
        let text = r#"{"name":"User","id":"id","fields":[{"name":"id","type":{"type":"float"}}]}"#;
        assert!(Schema::from_description(text).unwrap_err().to_string().contains("User.id cannot identify rows"));
        let text = r#"{"name":"User","id":"key","fields":[]}"#;
        assert!(Schema::from_description(text).unwrap_err().to_string().contains("User has no field \"key\""));
    }
}
