//! One operation: its parameters, its body and its answers.

use serde_json::{Map, Value as Json, json};

use super::components::{Components, Purpose, Shape};
use super::grouping::{group_parameters, groups_schema};
use super::parameters::{
    expand_parameter, fields_parameter, filter_parameters, list_parameters, query, question, sort_parameter,
};
use crate::crud::query::SEARCH;
use crate::crud::schema::Schema;
use crate::crud::{Concurrency, Op, Resource};
use crate::service::ErrorFormat;

pub(super) fn operation(op: Op, resource: &Resource, components: &mut Components) -> Json {
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
                parameters.extend(expand_parameter(schema, components));
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
            parameters.extend(expand_parameter(schema, components));
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
        Op::Import => {
            body = Some(json!({"application/x-ndjson": {"schema": {
                "type": "string",
                "description": "One row to a line, each as a POST takes it",
            }}}));
            parameters.push(header(
                "Accept",
                "`application/x-ndjson` tells what became of each line while the rest is still being sent",
            ));
            let number = || json!({"type": "integer", "minimum": 0});
            let problem = match resource.options.errors {
                ErrorFormat::Problem => reference("Problem"),
                ErrorFormat::FastApi => json!({"anyOf": [reference("HTTPValidationError"), reference("HTTPError")]}),
            };
            let report = json!({
                "type": "object",
                "required": ["lines", "created", "failed", "broken", "errors"],
                "properties": {
                    "lines": number(),
                    "created": number(),
                    "failed": number(),
                    "broken": {"anyOf": [problem, {"type": "null"}], "description": "Why the lines after these were not read"},
                    "errors": {"type": "array", "maxItems": 1000, "items": {
                        "type": "object",
                        "required": ["line", "problem"],
                        "properties": {"line": number(), "problem": problem},
                    }},
                },
            });
            responses.insert(
                "200".into(),
                json!({
                    "description": "What became of the lines",
                    "content": {
                        "application/json": {"schema": report},
                        "application/x-ndjson": {"schema": {"type": "string"}},
                    },
                }),
            );
            problems.extend([400, 413, 415]);
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
        Op::Group => {
            parameters.extend(group_parameters(resource, schema));
            parameters.extend(filter_parameters(resource, schema));
            parameters.push(header("If-None-Match", "Answers 304 when the groups still have this entity tag"));
            let mut groups = one("The groups, and whether there are more than were wanted");
            groups["content"]["application/json"]["schema"] = groups_schema(resource, schema, components);
            responses.insert("200".into(), groups);
            responses.insert("304".into(), nothing("The groups have not changed"));
            problems.extend([400, 422]);
        }
        Op::Changes => {
            parameters.push(fields_parameter());
            let filters = filter_parameters(resource, schema).into_iter();
            parameters
                .extend(filters.filter(|parameter| schema.searched().next().is_none() || parameter["name"] != SEARCH));
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
    if resource.options.idempotency && op.takes_key() {
        parameters.push(header(
            "Idempotency-Key",
            "Answers a request that comes again within a day as it was answered, and does it once; 409 while that is being done",
        ));
        let done = if op == Op::Create { "201" } else { "200" };
        if let Some(done) = responses.get_mut(done) {
            done["headers"]["Idempotency-Replayed"] =
                json!({"description": "`true` where the request had come before", "schema": {"type": "string"}});
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
        let is_said = matches!(op, Op::Delete | Op::Import) || op.is_on_many();
        let is_said = is_said || (op == Op::Create && resource.options.bulk);
        if !is_said {
            parameters.push(header("Prefer", "`return=minimal` leaves the document out of the answer"));
        }
        if matches!(op, Op::Replace | Op::Patch | Op::Restore) {
            responses.insert("204".into(), nothing("Done, and `Prefer: return=minimal` was sent"));
        }
    }
    if resource.is_guarded(op) {
        problems.extend([401, 403]);
    }
    if op.is_write() && resource.options.policy.asks_who(op.makes_rows()) {
        problems.push(403);
    }
    problems.extend([503, 504]);
    for status in problems {
        let mut told = failure(status, resource.options.errors);
        if let Some(rules) = together(resource.schema()).filter(|_| status == 409) {
            told["description"] = rules.into();
        }
        responses.insert(status.to_string(), told);
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
    // By its letter: how it sounds nobody tells.
    let a = if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    match op {
        Op::List => format!("List {name} rows"),
        Op::Create => format!("Create {a} {name}"),
        Op::Get => format!("Get {a} {name}"),
        Op::Replace => format!("Replace {a} {name}"),
        Op::Patch => format!("Change fields of {a} {name}"),
        Op::Delete => format!("Delete {a} {name}"),
        Op::Group => format!("Group {name} rows, and compute over each group"),
        Op::Export => format!("Export {name} rows"),
        Op::Count => format!("Count {name} rows"),
        Op::Deleted => format!("List {name} rows that were deleted"),
        Op::Import => format!("Add {name} rows that come in lines"),
        Op::Restore => format!("Restore {a} {name} that was deleted"),
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

/// What a 409 says where fields are unique together, as far as clients know of them.
fn together(schema: &Schema) -> Option<String> {
    let is_known = |rule: &Vec<usize>| rule.iter().all(|field| schema.fields[*field].access.is_known());
    let rules: Vec<String> =
        schema.together().filter(is_known).map(|rule| schema.names_of(&rule).join(" and ")).collect();
    (!rules.is_empty()).then(|| {
        format!(
            "Another row has the same {}, or the same value in a unique field, or other writers came between",
            rules.join(", or the same ")
        )
    })
}

fn failure(status: u16, errors: ErrorFormat) -> Json {
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
        422 if errors == ErrorFormat::FastApi => "Values break the rules; `detail` lists all of them",
        422 => "Values break the rules; `errors` lists all of them",
        503 => "The store cannot be reached; try again after `Retry-After`",
        _ => "The store did not answer in time",
    };
    let (media_type, name) = match (errors, status) {
        (ErrorFormat::Problem, _) => ("application/problem+json", "Problem"),
        (ErrorFormat::FastApi, 422) => ("application/json", "HTTPValidationError"),
        (ErrorFormat::FastApi, _) => ("application/json", "HTTPError"),
    };
    json!({"description": description, "content": {media_type: {"schema": reference(name)}}})
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
