//! The parameters of a query string.

use serde_json::{Value as Json, json};

use super::components::Components;
use crate::crud::Resource;
use crate::crud::expand::inside;
use crate::crud::query::{FARTHEST_OFFSET, SEARCH, is_taken};
use crate::crud::schema::{Schema, Type};

/// How deep in nested models filters are described; deeper ones work too.
const DEEPEST_FILTER: usize = 3;

pub(super) fn list_parameters(resource: &Resource, schema: &Schema) -> Vec<Json> {
    let (default, max) = resource.page_size();
    let mut parameters = vec![
        fields_parameter(),
        query(
            "limit",
            "How many rows a page has at most".into(),
            json!({"type": "integer", "minimum": 1, "maximum": max, "default": default}),
        ),
        query("cursor", "The `next` of the page before".into(), json!({"type": "string"})),
        sort_parameter(resource, schema),
    ];
    if resource.options.offset {
        let offset = json!({"type": "integer", "minimum": 0, "maximum": FARTHEST_OFFSET, "default": 0});
        parameters.push(query("offset", "How many rows are skipped first; not together with `cursor`".into(), offset));
    }
    parameters.extend(filter_parameters(resource, schema));
    parameters
}

/// The body of a `QUERY`.
pub(super) fn question(resource: &Resource) -> Json {
    let (default, max) = resource.page_size();
    let names = json!({"type": "array", "items": {"type": "string"}});
    let schema = resource.schema();
    let described = |mut schema: Json, text: &str| {
        schema["description"] = json!(text);
        schema
    };
    let mut properties = json!({
        "filter": described(
            json!({"anyOf": [
                {"type": "array", "minItems": 3, "maxItems": 3},
                {"type": "object", "minProperties": 1, "maxProperties": 1,
                 "properties": {"and": {"type": "array"}, "or": {"type": "array"}, "not": {}}},
                {"type": "null"},
            ]}),
            "A condition `[field, operator, value]` with an operator of the query string, or an object with `and` or `or` and an array of such, or with `not` and one",
        ),
        "fields": described(names.clone(), "Only these fields, those of nested models as `home.city`"),
        "sort": described(names, "Fields, a minus before one for largest first"),
        "limit": {"type": "integer", "minimum": 1, "maximum": max, "default": default},
        "cursor": described(json!({"type": "string"}), "The `next` of the page before, with the same filter and sort"),
    });
    if schema.searched().next().is_some() {
        properties[SEARCH] = described(json!({"type": "string"}), &searched(schema));
    }
    if resource.options.offset {
        properties["offset"] = json!({"type": "integer", "minimum": 0, "maximum": FARTHEST_OFFSET, "default": 0});
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

pub(super) fn query(name: &str, description: String, schema: Json) -> Json {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}

pub(super) fn sort_parameter(resource: &Resource, schema: &Schema) -> Json {
    let is_sortable =
        |name: &str| resource.options.sortable.as_ref().is_none_or(|own| own.iter().any(|own| own == name));
    let scalars = schema.fields.iter().filter(|field| field.kind.is_scalar() && field.access.is_shown());
    let scalars = scalars.filter(|field| is_sortable(&field.name));
    let names: Vec<&str> = scalars.map(|field| &*field.name).collect();
    query(
        "sort",
        format!("Fields separated by commas, a minus before one for largest first: {}", names.join(", ")),
        json!({"type": "string"}),
    )
}

pub(super) fn fields_parameter() -> Json {
    query(
        "fields",
        "Only these fields, separated by commas, those of nested models as `home.city`; the answer then holds no others".into(),
        json!({"type": "string"}),
    )
}

fn searched(schema: &Schema) -> String {
    let names: Vec<&str> = schema.searched().map(|field| &*field.name).collect();
    format!("Words and `\"phrases\"`, all of which must be in {}", names.join(" or "))
}

/// Which references may be expanded, where there are some.
pub(super) fn expand_parameter(schema: &Schema, components: &Components) -> Option<Json> {
    let names = references(schema, components);
    let description = format!(
        "Rows in the place of their ids, null for one that is not there for the caller: {}, separated by commas, and references of theirs as `{}.name`",
        names.join(", "),
        names.first()?
    );
    Some(query("expand", description, json!({"type": "string"})))
}

fn references(schema: &Schema, components: &Components) -> Vec<String> {
    let mut names = Vec::new();
    for field in schema.fields.iter().filter(|field| field.access.is_shown()) {
        if field.reference.as_ref().is_some_and(|model| components.is_read(model)) {
            names.push(field.name.to_string());
        } else if let Some(nested) = inside(field) {
            names.extend(references(nested, components).into_iter().map(|name| format!("{}.{name}", field.name)));
        }
    }
    names
}

pub(super) fn filter_parameters(resource: &Resource, schema: &Schema) -> Vec<Json> {
    let filterable = resource.options.filterable.as_ref();
    let mut parameters = Vec::new();
    let repeated = |name: &str, description: String| {
        let mut parameter = query(name, description, json!({"type": "array", "items": {"type": "string"}}));
        parameter["style"] = json!("form");
        parameter["explode"] = json!(true);
        parameter
    };
    if schema.searched().next().is_some() {
        parameters.push(query(SEARCH, searched(schema), json!({"type": "string"})));
    }
    for (group, all) in [("or", "one of them holds"), ("and", "all of them hold")] {
        let description = format!("Conditions in brackets, as `(field.operator.value,...)`: {all}; also `not.{group}`");
        parameters.push(repeated(group, description));
    }
    filters(schema, "", 0, &mut |name, ops| {
        let top = name.split('.').next().unwrap_or(name);
        if filterable.is_some_and(|own| own.iter().all(|own| own != top)) {
            return;
        }
        let value = if ops.contains(&"eq") { "`value`, or " } else { "" };
        let description =
            format!("{value}`operator.value` with one of {}; given more than once, all must hold", ops.join(", "));
        let mut parameter = repeated(name, description);
        parameter["x-filter-ops"] = json!(ops);
        parameters.push(parameter);
    });
    parameters
}

/// Tells of each field that can be filtered by, and its operators; those of nested models come with a dot.
fn filters(schema: &Schema, before: &str, depth: usize, tell: &mut impl FnMut(&str, Vec<&'static str>)) {
    for field in schema.fields.iter().filter(|field| field.access.is_shown()) {
        let name = format!("{before}{}", field.name);
        if before.is_empty() && is_taken(&name) {
            continue;
        }
        let ops = operators(&field.kind);
        if !ops.is_empty() {
            tell(&name, ops);
        }
        // A model may hold itself.
        if let (Type::Model(model), _) = field.kind.inner()
            && depth < DEEPEST_FILTER
        {
            filters(model, &format!("{name}."), depth + 1, tell);
        }
    }
}

fn operators(kind: &Type) -> Vec<&'static str> {
    let (inner, nullable) = kind.inner();
    let mut ops = match inner {
        Type::Map { .. } => vec!["haskey"],
        Type::Model(_) | Type::Fixed(_) | Type::Bytes { .. } | Type::Union(_) | Type::Tagged(_) | Type::Any => vec![],
        Type::List { item, .. } if item.is_scalar() => vec!["has", "hasany", "hasall", "len"],
        Type::List { .. } => vec!["len"],
        Type::Bool | Type::OneOf { .. } => vec!["eq", "ne", "in", "nin"],
        _ => vec!["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "between"],
    };
    if matches!(inner, Type::Str(_)) {
        ops.extend(["like", "ilike", "startswith", "contains"]);
    }
    if nullable || inner.is_nullable() {
        ops.push("is");
    }
    if !ops.is_empty() {
        ops.push("not");
    }
    ops
}
