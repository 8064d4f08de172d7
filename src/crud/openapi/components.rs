//! The schemas of models, one for each purpose.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use crate::crud::schema::{Access, Bounds, BytesForm, DefaultValue, Field, Schema, Type, Unknown};
use crate::crud::{Decimal, Value, json as canonical};

/// What a schema is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    Answer,
    Create,
    Replace,
    Patch,
}

impl Purpose {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Answer => "",
            Self::Create => "Create",
            Self::Replace => "Replace",
            Self::Patch => "Patch",
        }
    }
}

/// Which fields of a model a body may or must have.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) id_allowed: bool,
    /// Those that a policy sets, so that they may be left out.
    pub(super) pinned: &'a [usize],
}

impl Shape<'_> {
    pub(super) const WHOLE: Self = Self { id_allowed: true, pinned: &[] };
}

impl Purpose {
    /// Whether a body for it may hold this field.
    const fn has(self, field: &Field) -> bool {
        match self {
            Self::Answer => field.access.is_shown(),
            Self::Create => field.access.is_settable(),
            Self::Replace | Self::Patch => field.access.is_known(),
        }
    }
}

pub(super) struct Components {
    pub(super) schemas: Map<String, Json>,
    /// The resource whose schemas are being made.
    pub(super) resource: String,
    /// The names of the models whose rows clients read.
    pub(super) read: HashSet<String>,
    /// The names of the nested models that are being made.
    open: Vec<String>,
}

impl Components {
    pub(super) fn new() -> Self {
        Self { schemas: Map::new(), resource: String::new(), read: HashSet::new(), open: Vec::new() }
    }

    pub(super) fn is_read(&self, model: &str) -> bool {
        self.read.contains(model)
    }

    /// A reference to the schema of a model, which is added when it is new.
    pub(super) fn model(&mut self, schema: &Schema, purpose: Purpose, shape: Shape<'_>) -> Json {
        let made = self.object(schema, purpose, shape);
        let mut name = format!("{}{}", schema.name, purpose.suffix());
        if self.schemas.get(&name).is_some_and(|other| *other != made) {
            name = format!("{}_{name}", self.resource);
        }
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        self.schemas.insert(name, made);
        reference
    }

    /// A reference to the schema of a nested model, which is not made again within itself.
    fn nested(&mut self, schema: &Schema, purpose: Purpose) -> Json {
        let name = format!("{}{}", schema.name, purpose.suffix());
        if self.open.contains(&name) {
            return json!({"$ref": format!("#/components/schemas/{name}")});
        }
        self.open.push(name);
        let made = self.model(schema, purpose, Shape::WHOLE);
        self.open.pop();
        made
    }

    fn object(&mut self, schema: &Schema, purpose: Purpose, shape: Shape<'_>) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (index, field) in schema.fields.iter().enumerate() {
            let is_id = schema.id == Some(index);
            if is_id && !shape.id_allowed || !purpose.has(field) {
                continue;
            }
            let must = match purpose {
                Purpose::Answer => true,
                Purpose::Patch => false,
                Purpose::Replace => field.default.is_none() && !is_id && !field.access.is_kept(),
                Purpose::Create => field.default.is_none() && !(is_id && field.kind.is_made_here()),
            };
            if must && !shape.pinned.contains(&index) {
                required.push(field.name.to_string());
            }
            let mut property = self.field(field, purpose, is_id);
            if shape.pinned.contains(&index) {
                property["description"] = json!("Set from the caller's token");
            }
            properties.insert(field.name.to_string(), property);
        }
        let mut object = json!({"type": "object", "title": schema.name, "properties": properties});
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        match schema.unknown {
            Unknown::Allow => object["additionalProperties"] = json!(true),
            Unknown::Forbid if purpose != Purpose::Answer => object["additionalProperties"] = json!(false),
            Unknown::Forbid | Unknown::Ignore => {}
        }
        object
    }

    fn field(&mut self, field: &Field, purpose: Purpose, is_id: bool) -> Json {
        let mut schema = self.kind(&field.kind, purpose);
        if purpose != Purpose::Answer
            && purpose != Purpose::Patch
            && let Some(DefaultValue::Constant(value)) = &field.default
        {
            schema["default"] = constant(&field.kind, value);
        }
        if is_id && purpose == Purpose::Answer {
            schema["description"] = json!("Identifies the row");
        }
        match field.access {
            Access::ReadOnly => schema["readOnly"] = json!(true),
            Access::WriteOnly => schema["writeOnly"] = json!(true),
            Access::Immutable => schema["description"] = json!("Set once, when the row is made"),
            Access::ReadWrite | Access::Hidden => {}
        }
        schema
    }

    pub(super) fn kind(&mut self, kind: &Type, purpose: Purpose) -> Json {
        let mut schema = Map::new();
        let mut put = |key: &str, value: Option<Json>| {
            if let Some(value) = value {
                schema.insert(key.to_owned(), value);
            }
        };
        match kind {
            Type::Bool => put("type", Some(json!("boolean"))),
            Type::IntText(bounds) => {
                let text = json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"});
                if purpose == Purpose::Answer {
                    return text;
                }
                put("anyOf", Some(json!([self.kind(&Type::Int(*bounds), purpose), text])));
            }
            Type::Int(bounds) => {
                put("type", Some(json!("integer")));
                put("format", Some(json!("int64")));
                put("exclusiveMinimum", bounds.gt.map(Json::from));
                put("minimum", bounds.ge.map(Json::from));
                put("exclusiveMaximum", bounds.lt.map(Json::from));
                put("maximum", bounds.le.map(Json::from));
                put("multipleOf", bounds.multiple_of.map(|limit| Json::from(limit.unsigned_abs())));
            }
            Type::Float(bounds) => {
                put("type", Some(json!("number")));
                put("exclusiveMinimum", bounds.gt.map(Json::from));
                put("minimum", bounds.ge.map(Json::from));
                put("exclusiveMaximum", bounds.lt.map(Json::from));
                put("maximum", bounds.le.map(Json::from));
                put("multipleOf", bounds.multiple_of.map(|limit| Json::from(limit.abs())));
            }
            Type::Str(rules) => {
                put("type", Some(json!("string")));
                put("minLength", rules.min.map(Json::from));
                put("maxLength", rules.max.map(Json::from));
                put("pattern", rules.pattern.as_ref().map(|pattern| json!(pattern.as_str())));
            }
            Type::ObjectId => {
                put("type", Some(json!("string")));
                put("pattern", Some(json!("^[0-9a-f]{24}$")));
            }
            Type::Uuid | Type::LegacyUuid(_) => {
                put("type", Some(json!("string")));
                put("format", Some(json!("uuid")));
            }
            Type::DateTime(_) | Type::Micros(_) => {
                put("type", Some(json!("string")));
                put("format", Some(json!("date-time")));
            }
            Type::Date(_) | Type::Midnight(_) => {
                put("type", Some(json!("string")));
                put("format", Some(json!("date")));
            }
            Type::Time(_) => {
                put("type", Some(json!("string")));
                // Not `time`, which JSON Schema wants with an offset (RFC 3339).
                put("pattern", Some(json!(r"^\d{2}:\d{2}(:\d{2}(\.\d+)?)?$")));
            }
            Type::Duration(_) => {
                put("type", Some(json!("string")));
                put("format", Some(json!("duration")));
            }
            Type::Decimal(rules) => {
                let text = json!({"type": "string", "format": "decimal"});
                if purpose == Purpose::Answer {
                    return text;
                }
                let mut number = json!({"type": "number"});
                let Bounds { gt, ge, lt, le, multiple_of } = rules.bounds;
                let mut limits =
                    vec![("exclusiveMinimum", gt), ("minimum", ge), ("exclusiveMaximum", lt), ("maximum", le)];
                limits.push(("multipleOf", multiple_of.map(Decimal::abs)));
                for (key, limit) in limits {
                    if let Some(limit) = limit.and_then(|limit| limit.to_string().parse::<f64>().ok()) {
                        number[key] = json!(limit);
                    }
                }
                put("anyOf", Some(json!([number, text])));
            }
            Type::OneOf { values, .. } => {
                put("enum", Some(values.iter().map(|value| constant(kind, value)).collect()));
                if values.iter().all(|value| matches!(value, Value::Str(_))) {
                    put("type", Some(json!("string")));
                } else if values.iter().all(|value| matches!(value, Value::Int(_))) {
                    put("type", Some(json!("integer")));
                }
            }
            Type::Optional(inner) => {
                let inner = self.kind(inner, purpose);
                put("anyOf", Some(json!([inner, {"type": "null"}])));
            }
            Type::List { sort, item, min, max } => {
                // Lists are replaced whole, also by a patch.
                let within = if purpose == Purpose::Patch { Purpose::Replace } else { purpose };
                let items = self.kind(item, within);
                put("type", Some(json!("array")));
                put("items", Some(items));
                put("uniqueItems", sort.is_set().then_some(json!(true)));
                put("minItems", min.map(Json::from));
                put("maxItems", max.map(Json::from));
            }
            Type::Fixed(kinds) => {
                let within = if purpose == Purpose::Patch { Purpose::Replace } else { purpose };
                let items: Vec<Json> = kinds.iter().map(|kind| self.kind(kind, within)).collect();
                put("type", Some(json!("array")));
                put("minItems", Some(json!(items.len())));
                put("maxItems", Some(json!(items.len())));
                put("prefixItems", Some(json!(items)));
            }
            Type::Model(nested) => return self.nested(nested, purpose),
            Type::Map { value, min, max } => {
                let mut value = self.kind(value, purpose);
                if purpose == Purpose::Patch {
                    value = json!({"anyOf": [value, {"type": "null"}]});
                }
                put("type", Some(json!("object")));
                put("additionalProperties", Some(value));
                put("minProperties", min.map(Json::from));
                put("maxProperties", max.map(Json::from));
            }
            Type::Bytes { form, .. } => {
                put("type", Some(json!("string")));
                let encoding = match form {
                    BytesForm::UrlSafe => Some("base64url"),
                    BytesForm::Base64 => Some("base64"),
                    BytesForm::Hex => Some("base16"),
                    BytesForm::Utf8 => None,
                };
                put("contentEncoding", encoding.map(Json::from));
            }
            Type::Union(union) => {
                put("anyOf", Some(union.alternatives().iter().map(|kind| self.kind(kind, purpose)).collect()));
            }
            Type::Tagged(tagged) => {
                let mut mapping = Map::new();
                let mut models = Vec::new();
                for variant in tagged.variants() {
                    let model = self.nested(&variant.schema, purpose);
                    for tag in &variant.tags {
                        let name = match tag {
                            Value::Str(tag) => tag.to_string(),
                            tag => constant(&Type::Any, tag).to_string(),
                        };
                        mapping.insert(name, model["$ref"].clone());
                    }
                    models.push(model);
                }
                // A patch need not name its model, and may then be of several.
                let is_told = purpose != Purpose::Patch;
                put(if is_told { "oneOf" } else { "anyOf" }, Some(json!(models)));
                let discriminator = json!({"propertyName": tagged.tag(), "mapping": mapping});
                put("discriminator", is_told.then_some(discriminator));
            }
            Type::Any => {}
        }
        Json::Object(schema)
    }
}

/// A value of a schema as JSON.
fn constant(kind: &Type, value: &Value<'_>) -> Json {
    let mut text = Vec::new();
    canonical::write_value(&mut text, kind, value);
    // What the canonical writer makes is JSON.
    serde_json::from_slice(&text).unwrap_or(Json::Null)
}
