//! OpenAPI 3.1 of a resource: paths and component schemas, made once at start-up.

mod parameters;

use serde_json::{Map, Value as Json, json};

use parameters::{fields_parameter, filter_parameters, list_parameters, query, question, sort_parameter};

use super::resource::{Concurrency, Op, Resource};
use super::schema::{Access, Bounds, DefaultValue, Field, Schema, Type, Unknown};
use super::{Value, json as canonical};

/// The `paths` and `components` of one resource.
///
/// Components `Problem` and `Violation` are among them; the schemas of a model `User` are called `User`, `UserCreate`,
/// `UserReplace` and `UserPatch`.
pub fn openapi(resource: &Resource) -> Json {
    openapi_of([resource])
}

/// The `paths` and `components` of several resources. Nested models of one name that differ get names of their own.
pub fn openapi_of<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Json {
    let mut paths = Map::new();
    let mut components = Components { schemas: Map::new(), resource: String::new(), open: Vec::new() };
    components.schemas.insert("Problem".into(), problem());
    components.schemas.insert("Violation".into(), violation());
    for resource in resources {
        components.resource = resource.schema().name.clone();
        for op in resource.ops() {
            let item = paths.entry(resource.path_of(op)).or_insert_with(|| json!({}));
            item[member(op)] = operation(op, resource, &mut components);
        }
    }
    json!({"paths": paths, "components": {"schemas": components.schemas}})
}

/// The member of a path that describes an operation. OpenAPI knows `query` from 3.2 on; what 3.1 does not know begins with `x-`.
fn member(op: Op) -> String {
    match op {
        Op::Query => "x-query".to_owned(),
        op => op.method().as_str().to_lowercase(),
    }
}

/// What a schema is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
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
struct Shape<'a> {
    id_allowed: bool,
    /// Those that a policy sets, so that they may be left out.
    pinned: &'a [usize],
}

impl Shape<'_> {
    const WHOLE: Self = Self { id_allowed: true, pinned: &[] };
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

struct Components {
    schemas: Map<String, Json>,
    /// The resource whose schemas are being made.
    resource: String,
    /// The names of the nested models that are being made.
    open: Vec<String>,
}

impl Components {
    /// A reference to the schema of a model, which is added when it is new.
    fn model(&mut self, schema: &Schema, purpose: Purpose, shape: Shape<'_>) -> Json {
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
                Purpose::Create => field.default.is_none() && !(is_id && matches!(field.kind, Type::Uuid)),
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
        if purpose != Purpose::Answer && schema.unknown == Unknown::Forbid {
            object["additionalProperties"] = json!(false);
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

    fn kind(&mut self, kind: &Type, purpose: Purpose) -> Json {
        let mut schema = Map::new();
        let mut put = |key: &str, value: Option<Json>| {
            if let Some(value) = value {
                schema.insert(key.to_owned(), value);
            }
        };
        match kind {
            Type::Bool => put("type", Some(json!("boolean"))),
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
            Type::Uuid => {
                put("type", Some(json!("string")));
                put("format", Some(json!("uuid")));
            }
            Type::DateTime => {
                put("type", Some(json!("string")));
                put("format", Some(json!("date-time")));
            }
            Type::Date(_) => {
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
                let Bounds { gt, ge, lt, le, .. } = rules.bounds;
                let limits = [("exclusiveMinimum", gt), ("minimum", ge), ("exclusiveMaximum", lt), ("maximum", le)];
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
            Type::Bytes { .. } => {
                put("type", Some(json!("string")));
                put("contentEncoding", Some(json!("base64url")));
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

fn operation(op: Op, resource: &Resource, components: &mut Components) -> Json {
    let schema = resource.schema();
    let name = &schema.name;
    let answer = components.model(schema, Purpose::Answer, Shape::WHOLE);
    let etag = json!({"ETag": {"description": "The version of the answer", "schema": {"type": "string"}}});
    let one = |description: &str| json!({"description": description, "headers": etag, "content": {"application/json": {"schema": answer}}});
    let nothing = |description: &str| json!({"description": description});
    let mut responses = Map::new();
    let mut parameters = Vec::new();
    let mut body = None;
    let mut problems = Vec::new();
    if op.is_on_item() {
        parameters.push(id_parameter(schema, components));
        problems.push(404);
    }
    match op {
        Op::List | Op::Query | Op::Deleted => {
            if op == Op::Query {
                body = Some(json!({"application/json": {"schema": question(resource)}}));
                problems.extend([413, 415]);
            } else {
                parameters.extend(list_parameters(resource, schema));
            }
            parameters.push(header("If-None-Match", "Answers 304 when the page still has this entity tag"));
            parameters
                .push(header("Prefer", "`count=exact`, or without a filter `count=estimated`, gives Total-Count"));
            let mut page = one("A page of rows, and the cursor of the next one");
            if op != Op::Query {
                page["headers"]["Link"] =
                    json!({"description": "The next page, rel=\"next\"", "schema": {"type": "string"}});
            }
            page["headers"]["Total-Count"] =
                json!({"description": "All rows that hold, when it was asked for", "schema": {"type": "integer"}});
            page["content"]["application/json"]["schema"] = if !resource.options.envelope {
                json!({"type": "array", "items": answer})
            } else {
                json!({
                    "type": "object",
                    "required": ["items", "next"],
                    "properties": {
                        "items": {"type": "array", "items": answer},
                        "next": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Send it as `cursor`; null on the last page"},
                    },
                })
            };
            responses.insert("200".into(), page);
            responses.insert("304".into(), nothing("The page has not changed"));
            problems.extend([400, 422]);
        }
        Op::Get => {
            parameters.push(fields_parameter());
            parameters.push(header("If-None-Match", "Answers 304 when the row still has this entity tag"));
            responses.insert("200".into(), one("The row"));
            responses.insert("304".into(), nothing("The row has not changed"));
            problems.extend([400, 412]);
            if resource.options.gone {
                problems.push(410);
            }
        }
        Op::Create => {
            let sent = {
                let pinned = resource.options.policy.pinned(true);
                components.model(
                    schema,
                    Purpose::Create,
                    Shape { id_allowed: resource.client_chooses_id(), pinned: &pinned },
                )
            };
            let mut created = one("The new row");
            if resource.options.bulk {
                let many = json!({"type": "array", "items": sent, "maxItems": 1000});
                body = Some(json!({"application/json": {"schema": {"oneOf": [sent, many]}}}));
                let items = json!({"type": "array", "items": answer});
                let items = if resource.options.envelope {
                    json!({"type": "object", "required": ["items"], "properties": {"items": items}})
                } else {
                    items
                };
                created["description"] = json!("The new row, or the new rows");
                created["content"]["application/json"]["schema"] = json!({"anyOf": [answer, items]});
                responses.insert("207".into(), nothing("What became of each row, as `Prefer: handling=lenient` asks"));
                parameters.push(header(
                    "Prefer",
                    "`return=minimal` leaves documents out of the answer; `handling=lenient` adds each row of an array by itself",
                ));
            } else {
                body = Some(json!({"application/json": {"schema": sent}}));
            }
            if resource.options.idempotency {
                parameters.push(header(
                    "Idempotency-Key",
                    "Answers a request that comes again within a day as it was answered, and does it once",
                ));
            }
            created["headers"]["Location"] = json!({"description": "Its path", "schema": {"type": "string"}});
            responses.insert("201".into(), created);
            problems.extend([400, 409, 413, 415, 422]);
        }
        Op::Replace => {
            let sent = {
                let pinned = resource.options.policy.pinned(false);
                components.model(schema, Purpose::Replace, Shape { pinned: &pinned, ..Shape::WHOLE })
            };
            body = Some(json!({"application/json": {"schema": sent}}));
            responses.insert("200".into(), one("The row as it is now"));
            if resource.options.upsert {
                responses.insert("201".into(), one("The new row"));
                parameters.push(header("If-None-Match", "`*` makes a row and never replaces one"));
            }
            problems.extend([400, 409, 412, 413, 415, 422]);
        }
        Op::Patch => {
            let sent = components.model(schema, Purpose::Patch, Shape::WHOLE);
            body = Some(json!({
                "application/merge-patch+json": {"schema": sent},
                "application/json": {"schema": sent},
            }));
            responses.insert("200".into(), one("The row as it is now"));
            problems.extend([400, 409, 412, 413, 415, 422]);
        }
        Op::Restore => {
            responses.insert("200".into(), one("The row as it is now"));
            problems.extend([400, 409, 412]);
        }
        Op::Delete => {
            responses.insert("204".into(), nothing("The row is gone"));
            problems.extend([400, 412]);
        }
        Op::Export => {
            let limit = json!({"type": "integer", "minimum": 1});
            parameters.push(query("limit", "How many rows at most; all unless given".into(), limit));
            parameters.push(sort_parameter(resource, schema));
            parameters.push(fields_parameter());
            let end = json!({"enum": ["0", "1"], "default": "0"});
            parameters.push(query("_end", "With 1 a last line tells how many rows there were".into(), end));
            parameters.extend(filter_parameters(resource, schema));
            responses.insert(
                "200".into(),
                json!({
                    "description": "One row to a line; an answer that breaks off is not whole",
                    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
                }),
            );
            problems.extend([400, 422]);
        }
        Op::Count => {
            parameters.extend(filter_parameters(resource, schema));
            parameters.push(header("If-None-Match", "Answers 304 when the number still has this entity tag"));
            let mut count = one("How many rows hold");
            count["content"]["application/json"]["schema"] = json!({
                "type": "object",
                "required": ["count"],
                "properties": {"count": {"type": "integer", "minimum": 0}},
            });
            responses.insert("200".into(), count);
            responses.insert("304".into(), nothing("The number has not changed"));
            problems.extend([400, 422]);
        }
        Op::Changes => {
            parameters.push(fields_parameter());
            parameters.extend(filter_parameters(resource, schema));
            parameters.push(header("Last-Event-ID", "Goes on after the event with this id"));
            responses.insert(
                "200".into(),
                json!({
                    "description": "Server-sent events without an end: `create` and `update` with the row, `delete` with its id, `reset` when changes were missed",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }),
            );
            problems.extend([400, 422]);
        }
        Op::PatchMany | Op::DeleteMany => {
            parameters.extend(filter_parameters(resource, schema));
            parameters.push(header(
                "Prefer",
                &format!(
                    "`max-affected=N` writes nothing when more than N rows hold; it is {} unless given, and at most",
                    resource.options.max_affected
                ),
            ));
            let rows = json!({"type": "integer", "minimum": 0});
            let mut written = one("How many rows held, and how many were written");
            written["content"]["application/json"]["schema"] = json!({
                "type": "object",
                "required": ["matched", "modified"],
                "properties": {"matched": rows, "modified": rows},
            });
            if let Some(written) = written.as_object_mut() {
                written.remove("headers");
            }
            responses.insert("200".into(), written);
            problems.extend([400, 409, 422]);
            if op == Op::PatchMany {
                let sent = components.model(schema, Purpose::Patch, Shape::WHOLE);
                body = Some(json!({
                    "application/merge-patch+json": {"schema": sent},
                    "application/json": {"schema": sent},
                }));
                problems.extend([403, 413, 415]);
            }
        }
    }
    if op.is_write() {
        if op.is_on_item() {
            let mut if_match = header("If-Match", "The write is done only if the row has one of these entity tags");
            if resource.options.concurrency == Concurrency::Required {
                if_match["required"] = json!(!(op == Op::Replace && resource.options.upsert));
                problems.push(428);
            }
            parameters.push(if_match);
        }
        if op != Op::Delete && !op.is_on_many() && !(op == Op::Create && resource.options.bulk) {
            parameters.push(header("Prefer", "`return=minimal` leaves the document out of the answer"));
        }
        if matches!(op, Op::Replace | Op::Patch | Op::Restore) {
            responses.insert("204".into(), nothing("Done, and `Prefer: return=minimal` was sent"));
        }
    }
    if resource.is_guarded(op) {
        problems.extend([401, 403]);
    }
    if op.is_write() && resource.options.policy.asks_who(op == Op::Create) {
        problems.push(403);
    }
    problems.extend([503, 504]);
    for status in problems {
        responses.insert(status.to_string(), failure(status));
    }
    let mut operation = json!({
        "operationId": format!("{}_{op}", name.to_lowercase()),
        "summary": summary(op, name),
        "tags": [name],
        "parameters": parameters,
        "responses": responses,
        "x-ziggurat-native": resource.hooks(op).next().is_none(),
    });
    if let Some(content) = body {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn summary(op: Op, name: &str) -> String {
    match op {
        Op::List => format!("List {name} rows"),
        Op::Create => format!("Create a {name}"),
        Op::Get => format!("Get a {name}"),
        Op::Replace => format!("Replace a {name}"),
        Op::Patch => format!("Change fields of a {name}"),
        Op::Delete => format!("Delete a {name}"),
        Op::Export => format!("Export {name} rows"),
        Op::Count => format!("Count {name} rows"),
        Op::Deleted => format!("List {name} rows that were deleted"),
        Op::Restore => format!("Restore a {name} that was deleted"),
        Op::Changes => format!("Watch {name} rows"),
        Op::Query => format!("List {name} rows that a body asks for"),
        Op::PatchMany => format!("Change fields of all {name} rows that hold"),
        Op::DeleteMany => format!("Delete all {name} rows that hold"),
    }
}

fn header(name: &str, description: &str) -> Json {
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"}})
}

fn id_parameter(schema: &Schema, components: &mut Components) -> Json {
    let kind =
        schema.id.map_or(json!({"type": "string"}), |id| components.kind(&schema.fields[id].kind, Purpose::Answer));
    json!({"name": "id", "in": "path", "required": true, "schema": kind})
}

fn failure(status: u16) -> Json {
    let description = match status {
        400 => "The request cannot be read",
        401 => "No valid token",
        403 => "The caller may not do this",
        404 => "There is no row with this id",
        409 => "Another row has the same value in a unique field, or other writers came between",
        412 => "The row has another version",
        413 => "The body is too large",
        415 => "The body has another content type",
        428 => "An If-Match is missing",
        422 => "Values break the rules; `errors` lists all of them",
        503 => "The store cannot be reached; try again after `Retry-After`",
        _ => "The store did not answer in time",
    };
    json!({
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    })
}

fn problem() -> Json {
    json!({
        "type": "object",
        "title": "Problem",
        "description": "A problem document (RFC 9457)",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
        },
    })
}

fn violation() -> Json {
    json!({
        "type": "object",
        "title": "Violation",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body"},
            "parameter": {"type": "string", "description": "Name of a query parameter"},
            "path": {"type": "string", "description": "Name of a path parameter"},
            "header": {"type": "string", "description": "Name of a header"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "limit": {"description": "The bound that was passed"},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crud::ResourceOptions;

    fn document() -> Json {
        let schema = Schema::from_description(
            r#"{"name":"User","id":"id","fields":[
              {"name":"id","type":{"type":"uuid"}},
              {"name":"name","type":{"type":"str","min_length":1}},
              {"name":"age","type":{"type":"optional","of":{"type":"int","ge":0}},"default":{"value":null}},
              {"name":"home","type":{"type":"model","schema":{"name":"Home","fields":[{"name":"city","type":{"type":"str"}}]}}}]}"#,
        )
        .unwrap();
        let options = ResourceOptions::new().guard(Op::Delete, "RequireAuth", |route| route);
        openapi(&Resource::new(Arc::new(schema), options))
    }

    #[test]
    fn every_operation_is_described() {
        let document = document();
        for (path, method, statuses) in [
            ("/user", "get", "200 304 400 422 503 504"),
            ("/user", "post", "201 400 409 413 415 422 503 504"),
            ("/user/{id}", "get", "200 304 400 404 412 503 504"),
            ("/user/{id}", "put", "200 204 400 404 409 412 413 415 422 503 504"),
            ("/user/{id}", "patch", "200 204 400 404 409 412 413 415 422 503 504"),
            ("/user/{id}", "delete", "204 400 401 403 404 412 503 504"),
        ] {
            let operation = &document["paths"][path][method];
            assert_eq!(operation["x-ziggurat-native"], json!(true), "{method} {path}");
            let mut found: Vec<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found.join(" "), statuses, "{method} {path}");
        }
        let parameters = document["paths"]["/user"]["get"]["parameters"].as_array().unwrap();
        let age = parameters.iter().find(|parameter| parameter["name"] == "age").unwrap();
        assert_eq!(
            age["x-filter-ops"],
            json!("eq ne in nin gt gte lt lte between is not".split(' ').collect::<Vec<_>>())
        );
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(
            names.join(" "),
            "fields limit cursor sort offset or and id name age home.city If-None-Match Prefer"
        );
    }

    #[test]
    fn schemas_differ_by_purpose() {
        let schemas = &document()["components"]["schemas"];
        assert_eq!(schemas["User"]["required"], json!(["id", "name", "age", "home"]));
        assert_eq!(schemas["UserCreate"]["required"], json!(["name", "home"]));
        assert_eq!(schemas["UserCreate"]["properties"]["id"], Json::Null);
        assert_eq!(schemas["UserReplace"]["properties"]["id"]["format"], "uuid");
        assert_eq!(schemas["UserPatch"]["required"], Json::Null);
        assert_eq!(schemas["UserPatch"]["properties"]["home"]["$ref"], "#/components/schemas/HomePatch");
        assert_eq!(
            schemas["UserCreate"]["properties"]["age"],
            json!({"anyOf": [{"type": "integer", "format": "int64", "minimum": 0}, {"type": "null"}], "default": null})
        );
    }

    #[test]
    fn every_reference_has_a_target() {
        fn references<'a>(json: &'a Json, found: &mut Vec<&'a str>) {
            match json {
                Json::Object(map) => {
                    found.extend(map.get("$ref").and_then(Json::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Json::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}
