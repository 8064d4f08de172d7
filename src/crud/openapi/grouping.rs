//! What is said of groups of rows.

use serde_json::{Map, Value as Json, json};

use super::components::{Components, Purpose};
use super::parameters::query;
use crate::crud::Resource;
use crate::crud::query::{Aggregate, Dimension, Function, aggregates};
use crate::crud::schema::{Schema, Type};

pub(super) fn group_parameters(resource: &Resource, schema: &Schema) -> Vec<Json> {
    let text = || json!({"type": "string"});
    let (_, max) = resource.page_size();
    let by: Vec<String> = dimensions(resource).iter().map(|by| by.name(schema)).collect();
    let computed: Vec<String> = computed(resource, schema).iter().map(|own| own.name(schema)).collect();
    let mut parameters = Vec::new();
    if !by.is_empty() {
        let description = format!("What the rows of a group have in common, separated by commas: {}", by.join(", "));
        parameters.push(query("by", description, text()));
    }
    let description = format!("What is computed, separated by commas: {}", computed.join(", "));
    parameters.push(query("agg", description, json!({"type": "string", "default": "count"})));
    let description = "What `by` and `agg` name, separated by commas, a minus before one for largest first";
    parameters.push(query("sort", description.into(), text()));
    let limit = json!({"type": "integer", "minimum": 1, "maximum": max, "default": resource.page_size().0});
    parameters.push(query("limit", "How many groups at most".into(), limit));
    parameters
}

pub(super) fn groups_schema(resource: &Resource, schema: &Schema, components: &mut Components) -> Json {
    let mut by = Map::new();
    for own in dimensions(resource) {
        let value = match (own.part, kind(schema, &own.path)) {
            (None, Some(kind)) => components.kind(kind, Purpose::Answer),
            _ => json!({"type": "string"}),
        };
        by.insert(own.name(schema), nullable(value));
    }
    let mut members = Map::from_iter([("by".to_owned(), json!({"type": "object", "properties": by}))]);
    for own in computed(resource, schema) {
        let value = match &own {
            Aggregate::Count => json!({"type": "integer", "minimum": 0}),
            Aggregate::Of(function, path) => match (function, kind(schema, path)) {
                (Function::Sum, Some(Type::Int(_))) => json!({"type": "integer"}),
                (Function::Sum, Some(Type::Float(_))) => json!({"type": "number"}),
                (Function::Avg, Some(Type::Int(_) | Type::IntText(_) | Type::Float(_))) => {
                    nullable(json!({"type": "number"}))
                }
                (Function::Sum | Function::Avg, _) => nullable(json!({"type": "string"})),
                (_, Some(kind)) => nullable(components.kind(kind, Purpose::Answer)),
                (_, None) => json!({}),
            },
        };
        members.insert(own.name(schema), value);
    }
    json!({
        "type": "object",
        "required": ["items", "more"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object", "required": ["by"], "properties": members}},
            "more": {"type": "boolean", "description": "Whether there are more groups than were wanted"},
        },
    })
}

fn dimensions(resource: &Resource) -> Vec<Dimension> {
    resource.dimensions().unwrap_or_default()
}

fn computed(resource: &Resource, schema: &Schema) -> Vec<Aggregate> {
    let measures = resource.measures().unwrap_or_default();
    std::iter::once(Aggregate::Count).chain(measures.iter().flat_map(|path| aggregates(schema, path))).collect()
}

fn kind<'s>(schema: &'s Schema, path: &crate::crud::Path) -> Option<&'s Type> {
    path.fields(schema)?.last().map(|field| field.kind.inner().0)
}

fn nullable(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}
