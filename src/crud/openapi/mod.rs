//! OpenAPI 3.1 of a resource: paths and component schemas, made once at start-up.

mod components;
mod grouping;
mod operation;
mod parameters;

use serde_json::{Map, Value as Json, json};

use components::Components;
use operation::operation;

use super::{Op, Resource};
use crate::service::ErrorFormat;

/// The `paths` and `components` of one resource.
///
/// Components `Problem` and `Violation` are among them, or `HTTPValidationError`, `ValidationError` and `HTTPError` where errors are
/// told as FastAPI does; the schemas of a model `User` are called `User`, `UserCreate`,
/// `UserReplace` and `UserPatch`.
pub fn openapi(resource: &Resource) -> Json {
    openapi_of([resource])
}

/// The `paths` and `components` of several resources. Nested models of one name that differ get names of their own.
pub fn openapi_of<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Json {
    let mut paths = Map::new();
    let mut components = Components::new();
    let resources: Vec<&Resource> = resources.into_iter().collect();
    let is_told = |format: ErrorFormat| resources.iter().any(|resource| resource.options.errors == format);
    if is_told(ErrorFormat::Problem) {
        components.schemas.insert("Problem".into(), problem());
        components.schemas.insert("Violation".into(), violation());
    }
    if is_told(ErrorFormat::FastApi) {
        components.schemas.extend(fastapi_schemas());
    }
    components.read = resources
        .iter()
        .filter(|resource| resource.ops().any(|op| matches!(op, Op::Get | Op::List)))
        .map(|resource| resource.schema().name.clone())
        .collect();
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

fn problem() -> Json {
    json!({
        "type": "object",
        "title": "Problem",
        "description": "A problem document (RFC 9457)",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
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

/// What FastAPI calls so, and its answer to everything that is no 422.
fn fastapi_schemas() -> [(String, Json); 3] {
    let list = json!({"title": "HTTPValidationError", "type": "object", "properties": {
        "detail": {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}},
    }});
    let one = json!({
        "title": "ValidationError",
        "type": "object",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {"title": "Location", "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "msg": {"title": "Message", "type": "string"},
            "type": {"title": "Error Type", "type": "string"},
            "ctx": {"title": "Context", "type": "object", "description": "The bound that was passed"},
        },
    });
    let text = json!({
        "title": "HTTPError",
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"title": "Detail", "type": "string"}},
    });
    [("HTTPValidationError".into(), list), ("ValidationError".into(), one), ("HTTPError".into(), text)]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crud::ResourceOptions;
    use crate::crud::Schema;

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
    fn errors_are_described_as_they_are_told() {
        let schema = Schema::from_description(
            r#"{"name":"User","id":"id","fields":[{"name":"id","type":{"type":"uuid"}},{"name":"name","type":{"type":"str"}}]}"#,
        );
        let options = ResourceOptions::new().errors(ErrorFormat::FastApi);
        let document = openapi(&Resource::new(Arc::new(schema.unwrap()), options));
        let responses = &document["paths"]["/user"]["post"]["responses"];
        let of = |status: &str| responses[status]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        assert_eq!(of("422"), "#/components/schemas/HTTPValidationError");
        assert_eq!(of("409"), "#/components/schemas/HTTPError");
        let text = document.to_string();
        assert!(!text.contains("problem+json") && !text.contains("Problem") && text.contains("\"ValidationError\""));
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
