//! `QUERY`: lists that a body asks for.

use std::sync::Arc;

use http::Method;
use serde_json::{Value as Json, json};
use ziggurat::crud::{Op, Resource, ResourceOptions, Schema, openapi};

use crate::support::{Answer, App, JSON, USER, every_op};

async fn app() -> App {
    let app = App::new(USER, ResourceOptions::new().ops(every_op()).page_size(10, 20)).await;
    for (name, age, tags) in [("Ada", "1", "a"), ("Bob", "2", "a,b"), ("C,\\\"\\\\y", "3", "b"), ("Dan", "null", "")] {
        let tags = if tags.is_empty() { String::new() } else { format!("\"{}\"", tags.replace(',', "\",\"")) };
        let home = if name == "Ada" { r#"{"city":"Ur"}"# } else { "null" };
        app.user(&format!(r#"{{"name":"{name}","age":{age},"tags":[{tags}],"home":{home},"score":1.5}}"#)).await;
    }
    app
}

impl App {
    async fn query(&self, body: impl ToString) -> Answer {
        self.send(Method::QUERY, "/user", &[JSON], body.to_string()).await
    }
}

#[tokio::test]
async fn a_body_asks_what_a_query_string_does() {
    let app = app().await;
    for (filter, string) in [
        (json!(null), ""),
        (json!(["age", "gte", 2]), "age=gte.2"),
        (json!(["age", "eq", 2]), "age=2"),
        (json!(["age", "is", null]), "age=is.null"),
        (json!(["age", "is", "notnull"]), "age=is.notnull"),
        (json!(["age", "not.in", [1, 3]]), "age=not.in.(1,3)"),
        (json!(["age", "between", [2, 3]]), "age=between.(2,3)"),
        (json!(["name", "in", ["Ada", "C,\"\\y"]]), r#"name=in.(Ada,"C,\"\\y")"#),
        (json!(["name", "eq", "C,\"\\y"]), r#"name=eq.C,%22\y"#),
        (json!(["name", "like", "*a*"]), "name=like.*a*"),
        (json!(["name", "startswith", "eq."]), "name=startswith.eq."),
        (json!(["tags", "has", "b"]), "tags=has.b"),
        (json!(["tags", "hasall", ["a", "b"]]), "tags=hasall.(a,b)"),
        (json!(["tags", "len", 0]), "tags=len.0"),
        (json!(["tags", "len.gte", 2]), "tags=len.gte.2"),
        (json!(["home.city", "ne", "Ur"]), "home.city=ne.Ur"),
        (json!(["home", "is", null]), "home=is.null"),
        (json!(["score", "eq", 1.5]), "score=1.5"),
        (json!(["score", "lt", 2]), "score=lt.2"),
        (json!(["at", "gte", "2024-05-01T10:00:00Z"]), "at=gte.2024-05-01T10:00:00Z"),
        (json!({"or": [["age", "lt", 2], ["age", "gt", 2]]}), "or=(age.lt.2,age.gt.2)"),
        (
            json!({"and": [["age", "gte", 1], {"not": {"or": [["name", "eq", "Ada"], ["tags", "has", "a"]]}}]}),
            "age=gte.1&not.or=(name.eq.Ada,tags.has.a)",
        ),
        (json!({"not": ["age", "eq", 2]}), "age=not.eq.2"),
    ] {
        let asked = app.query(json!({"filter": filter})).await;
        let listed = app.get(&format!("/user?{}", string.replace('"', "%22").replace('\\', "%5C"))).await;
        assert_eq!((asked.status.as_u16(), listed.status.as_u16()), (200, 200), "{filter}: {}", asked.text());
        assert_eq!(asked.text(), listed.text(), "{filter}");
        assert_eq!(asked.header("etag"), listed.header("etag"));
    }
    assert_eq!(app.query("{}").await.text(), app.get("/user").await.text());
    let whole = json!({"sort": ["-age", "name"], "limit": 2, "offset": 1, "fields": ["name", "home.city"]});
    let listed = app.get("/user?sort=-age,name&limit=2&offset=1&fields=name,home.city").await;
    assert_eq!(app.query(whole).await.column("name"), listed.column("name"));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let app = app().await;
    let filter = json!({"or": [["age", "gte", 1], ["age", "is", null]]});
    let mut body = json!({"filter": filter, "sort": ["name"], "limit": 3});
    let first = app.query(&body).await;
    assert_eq!(first.column("name"), ["Ada", "Bob", "C,\"\\y"]);
    assert_eq!(first.header("link"), "", "a link would lead to a GET");
    body["cursor"] = first.json()["next"].clone();
    // White space and the order of members say nothing.
    let second = app.query(serde_json::to_string_pretty(&body).unwrap()).await;
    assert_eq!((second.column("name"), second.json()["next"].clone()), (vec![json!("Dan")], Json::Null));
    body["filter"]["or"][0][2] = json!(2);
    assert_eq!(app.query(&body).await.problem(), "400 /cursor cursor");
    body["cursor"] = json!("x");
    assert_eq!(app.query(&body).await.problem(), "400 /cursor cursor");

    let tag = first.header("etag").to_owned();
    let again = json!({"filter": filter, "sort": ["name"], "limit": 3}).to_string();
    let again =
        app.send(Method::QUERY, "/user", &[JSON, ("if-none-match", &tag), ("prefer", "count=exact")], again).await;
    assert_eq!((again.status.as_u16(), again.header("total-count")), (304, "4"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let app = app().await;
    let many: Vec<Json> = (0..33).map(|age| json!(["age", "eq", age])).collect();
    for (body, problem) in [
        (json!({"filtr": null, "limit": 1}), "400 /filtr unknown_parameter"),
        (json!({"filter": ["agee", "eq", 1]}), "400 /filter/0 unknown_parameter"),
        (
            json!({"filter": {"and": [["age", "eq", 1], ["home.cty", "eq", "x"]]}}),
            "400 /filter/and/1/0 unknown_parameter",
        ),
        (json!({"filter": ["age", "gte", "18"]}), "422 /filter/2 int_type"),
        (json!({"filter": ["age", "gte", 1.5]}), "422 /filter/2 int_type"),
        (json!({"filter": ["age", "gte", [1]]}), "422 /filter/2 int_type"),
        (json!({"filter": ["age", "in", [1, "x", true]]}), "422 /filter/2 int_type"),
        (json!({"filter": ["age", "in", 1]}), "422 /filter/2 list_type"),
        (json!({"filter": ["name", "eq", 1]}), "422 /filter/2 string_type"),
        (json!({"filter": ["at", "gt", "yesterday"]}), "422 /filter/2 datetime_parsing"),
        (json!({"filter": ["age", "eq", null]}), "422 /filter operator"),
        (json!({"filter": ["age", "$gt", 1]}), "422 /filter/1 operator"),
        (json!({"filter": ["age", "gte.1 or", 1]}), "422 /filter/1 operator"),
        (json!({"filter": ["age", "is", 3]}), "422 /filter operator"),
        (json!({"filter": ["age", "like", "x"]}), "422 /filter operator"),
        (json!({"filter": ["tags", "eq", "x"]}), "422 /filter operator"),
        (json!({"filter": ["tags", "len", -1]}), "422 /filter/2 int_type"),
        (json!({"filter": ["home", "eq", {"$ne": 1}]}), "422 /filter operator"),
        (json!({"filter": ["age", "eq"]}), "422 /filter filter_type"),
        (json!({"filter": ["age", 1, 2]}), "422 /filter filter_type"),
        (json!({"filter": "age=1"}), "422 /filter filter_type"),
        (json!({"filter": {}}), "422 /filter filter_type"),
        (json!({"filter": {"$or": []}}), "422 /filter filter_type"),
        (json!({"filter": {"and": [], "or": []}}), "422 /filter filter_type"),
        (json!({"filter": {"or": []}}), "422 /filter/or too_short"),
        (json!({"filter": {"or": {"a": 1}}}), "422 /filter/or list_type"),
        (json!({"filter": {"and": many}}), "400"),
        (
            json!({"filter": {"or": [["age", "eq", "x"], {"not": 1}]}}),
            "422 /filter/or/0/2 int_type /filter/or/1/not filter_type",
        ),
        (
            json!({"filter": {"not": {"not": {"not": {"not": {"not": ["age", "eq", 1]}}}}}}),
            "422 /filter/not/not/not/not too_deep",
        ),
        (json!({"sort": "age"}), "422 /sort list_type"),
        (json!({"sort": ["age,name"]}), "422 /sort list_type"),
        (json!({"sort": ["-nme"], "fields": ["x"]}), "400 /sort unknown_parameter /fields unknown_parameter"),
        (json!({"limit": 0, "offset": "1"}), "422 /limit greater_than_equal /offset int_parsing"),
        (json!({"limit": 21}), "422 /limit less_than_equal"),
        (json!({"cursor": 1}), "422 /cursor string_type"),
        (json!([1]), "400"),
    ] {
        assert_eq!(app.query(&body).await.problem(), problem, "{body}");
    }
    // However much is wrong, a hundred things are told.
    let junk = vec![json!(1); 100_000];
    let members: serde_json::Map<String, Json> = (0..50_000).map(|index| (format!("x{index}"), json!(1))).collect();
    for body in [json!({"filter": {"or": junk}}), json!({"filter": {"not": {"and": junk}}}), json!(members)] {
        assert_eq!(app.query(&body).await.json()["errors"].as_array().unwrap().len(), 100);
    }
    for name in ["sort", "fields"] {
        assert_eq!(app.query(json!({name: vec!["x"; 501]})).await.problem(), format!("422 /{name} too_long"));
    }
    assert_eq!(app.query(r#"{"sort":null,"sort":["age"]}"#).await.problem(), "400 /sort duplicate_key");
    let near = app.query(json!({"filter": ["name", "starts", "x"]})).await;
    assert_eq!(
        near.json()["errors"][0]["detail"],
        "is no operator; choose from eq, ne, gt, gte, lt, lte, in, nin, between, is, like, ilike, startswith, contains, has, hasany, hasall, haskey, len"
    );
    assert_eq!(app.query(r#"{"limit":1,"limit":2}"#).await.problem(), "400 /limit duplicate_key");
    assert_eq!(app.query(r#"{"filter":["name","eq","\ud800"]}"#).await.problem(), "422 /filter/2 string_unicode");
    let deep = format!(r#"{{"filter":{}1{}}}"#, r#"{"not":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(app.query(deep).await.problem(), "422 /filter/not/not/not/not too_deep");
    for (body, status) in [("", 400), ("{", 400), ("null", 400)] {
        assert_eq!(app.query(body).await.status, status, "{body}");
    }
    let typed = app.send(Method::QUERY, "/user", &[("content-type", "application/sql")], "SELECT 1").await;
    assert_eq!((typed.status.as_u16(), typed.header("accept-query")), (415, "application/json"));
    assert_eq!(app.send(Method::QUERY, "/user?age=1", &[JSON], "{}").await.problem(), "400");
}

#[tokio::test]
async fn options_tell_what_may_be_sent() {
    let app = app().await;
    let at = async |target: &str| {
        let answer = app.send(Method::OPTIONS, target, &[], "").await;
        assert_eq!(answer.status, 204);
        ["allow", "accept-post", "accept-query", "accept-patch"].map(|name| answer.header(name).to_owned())
    };
    let [json, change] = ["application/json", "application/merge-patch+json, application/json"];
    assert_eq!(at("/user").await, ["GET, HEAD, POST, QUERY, PATCH, DELETE, OPTIONS", json, json, change]);
    assert_eq!(at("/user/1").await, ["GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "", "", change]);
    assert_eq!(at("/user/_count").await, ["GET, HEAD, OPTIONS", "", "", ""]);
    let core = App::users().await;
    let refused = core.send(Method::QUERY, "/user", &[JSON], "{}").await;
    assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
}

#[test]
fn it_is_documented_and_needs_the_envelope() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let options = || ResourceOptions::new().ops([Op::Query, Op::List]);
    let path = &openapi(&Resource::new(schema.clone(), options()))["paths"]["/user"];
    assert_eq!(path["x-query"]["operationId"], "user_query");
    let body = &path["x-query"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"]["limit"]["maximum"], 1000);
    assert_eq!(path["x-query"]["responses"]["200"]["content"], path["get"]["responses"]["200"]["content"]);
    let refused = Resource::new(schema, options().envelope(false)).check().unwrap_err().to_string();
    assert!(refused.contains("User: an answer to QUERY tells of the next page in the envelope only"), "{refused}");
}
