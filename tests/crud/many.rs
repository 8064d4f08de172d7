//! Writes to all rows that a filter holds for.

use std::sync::Arc;

use http::Method;
use serde_json::{Value as Json, json};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Concurrency, Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, Store, openapi};
use ziggurat::service::RouteTableBuilder;

use crate::support::{Answer, App, JSON, USER, every_op};

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op())
}

/// Ada, Bob, Cyd, Dan and Eve, aged 1 to 5.
async fn five(options: ResourceOptions) -> App {
    let app = App::new(USER, options).await;
    for (name, age) in ["Ada", "Bob", "Cyd", "Dan", "Eve"].into_iter().zip(1..) {
        app.user(&format!(r#"{{"name":"{name}","age":{age},"email":"{name}@x","home":{{"city":"Ur"}}}}"#)).await;
    }
    app
}

impl App {
    async fn delete(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::DELETE, target, headers, "").await
    }

    /// Each user's value of one field, by name.
    async fn all(&self, field: &str) -> Vec<Json> {
        self.get("/user?sort=name").await.column(field)
    }
}

#[tokio::test]
async fn rows_that_hold_are_changed_and_no_others() {
    let app = five(options()).await;
    let tags = app.get("/user?sort=name").await.header("etag").to_owned();
    let changed = app.patch("/user?age=gte.3", r#"{"age":null,"tags":["old"],"score":2}"#).await;
    assert_eq!((changed.status.as_u16(), changed.text().as_str()), (200, r#"{"matched":3,"modified":3}"#));
    assert_eq!((changed.header("etag"), changed.header("x-content-type-options")), ("", "nosniff"));
    assert_eq!(app.all("age").await, [json!(1), json!(2), Json::Null, Json::Null, Json::Null]);
    assert_eq!(app.all("tags").await, [json!([]), json!([]), json!(["old"]), json!(["old"]), json!(["old"])]);
    assert_ne!(app.get("/user?sort=name").await.header("etag"), tags, "the rows have new versions");

    assert_eq!(app.patch("/user?name=Nobody", r#"{"age":1}"#).await.text(), r#"{"matched":0,"modified":0}"#);
    let groups = app.patch("/user?or=(name.eq.Ada,age.is.null)&not.and=(name.eq.Eve)", r#"{"score":9}"#).await;
    assert_eq!(groups.json(), json!({"matched": 3, "modified": 3}));
    assert_eq!(app.all("score").await, [9.0, 1.0, 9.0, 9.0, 2.0]);

    // Nothing to set: no row has a new version.
    let before = app.get("/user").await.header("etag").to_owned();
    assert_eq!(app.patch("/user?age=is.null", "{}").await.json(), json!({"matched": 3, "modified": 0}));
    assert_eq!(app.get("/user").await.header("etag"), before);
}

#[tokio::test]
async fn rows_that_hold_are_deleted_and_no_others() {
    let app = five(options()).await;
    let deleted = app.delete("/user?age=in.(1,4)", &[]).await;
    assert_eq!((deleted.status.as_u16(), deleted.text().as_str()), (200, r#"{"matched":2,"modified":2}"#));
    assert_eq!(app.all("name").await, ["Bob", "Cyd", "Eve"]);
    assert_eq!(app.delete("/user?age=in.(1,4)", &[]).await.json(), json!({"matched": 0, "modified": 0}));
    let id = app.get("/user?name=Bob").await.column("id").remove(0);
    assert_eq!(app.delete(&format!("/user?id={}", id.as_str().unwrap()), &[]).await.json()["matched"], 1);
    assert_eq!(app.all("name").await, ["Cyd", "Eve"]);
}

#[tokio::test]
async fn no_row_is_written_when_there_are_too_many() {
    let app = five(options().max_affected(4)).await;
    let before = app.get("/user?sort=name").await.text();
    let wide = "/user?age=gte.1";
    let prefer = [JSON, ("prefer", "max-affected=2")];
    for (answer, most) in [
        (app.patch(wide, r#"{"age":9}"#).await, 4),
        (app.patch(wide, "{}").await, 4),
        (app.delete(wide, &[]).await, 4),
        (app.delete(wide, &[("prefer", "max-affected=100")]).await, 4),
        (app.delete("/user?age=gte.3", &prefer[1..]).await, 2),
        (app.send(Method::PATCH, "/user?age=gte.3", &prefer, r#"{"age":9}"#).await, 2),
        (app.delete("/user?name=Ada", &[("prefer", "max-affected=0")]).await, 0),
    ] {
        assert_eq!(answer.problem(), "409 prefer max_affected");
        assert_eq!(answer.json()["errors"][0]["limit"], most);
        assert!(answer.detail().contains(&format!("more than {most} rows")), "{}", answer.detail());
    }
    assert_eq!(app.get("/user?sort=name").await.text(), before);

    let done = app.send(Method::PATCH, "/user?age=gte.4", &prefer, r#"{"score":3}"#).await;
    assert_eq!((done.status.as_u16(), done.header("preference-applied")), (200, "max-affected=2"));
    let done = app.delete("/user?age=gte.2", &[("prefer", "max-affected=100")]).await;
    assert_eq!((done.json()["modified"].as_u64(), done.header("preference-applied")), (Some(4), ""));
    for wrong in ["max-affected=-1", "max-affected=many", "max-affected"] {
        assert_eq!(app.delete("/user?age=1", &[("prefer", wrong)]).await.problem(), "400 prefer int_parsing");
    }
    assert_eq!(app.all("name").await, ["Ada"]);
}

#[tokio::test]
async fn what_is_no_write_to_many_rows_is_refused() {
    let app = five(options()).await;
    let before = app.get("/user?sort=name").await.text();
    for target in ["/user", "/user?"] {
        for answer in [app.delete(target, &[]).await, app.patch(target, r#"{"age":9}"#).await] {
            assert_eq!(answer.problem(), "400");
            assert!(answer.detail().contains("?id=in.("), "{}", answer.detail());
        }
    }
    for (query, problem) in [
        ("limit=1", "400 limit unknown_parameter"),
        ("age=gte.1&sort=name", "400 sort unknown_parameter"),
        ("agee=1", "400 agee unknown_parameter"),
        ("age=x", "422 age int_parsing"),
    ] {
        assert_eq!(app.delete(&format!("/user?{query}"), &[]).await.problem(), problem);
        assert_eq!(app.patch(&format!("/user?{query}"), r#"{"age":9}"#).await.problem(), problem);
    }
    for (body, problem) in [
        (
            r#"{"age":-1,"name":"","nmae":1}"#,
            "422 /age greater_than_equal /name string_too_short /nmae extra_forbidden",
        ),
        (r#"{"name":null}"#, "422 /name string_type"),
        (r#"{"id":"00000000-0000-7000-8000-000000000000"}"#, "422 /id read_only"),
        (r#"{"home":{"city":"Uruk"},"age":2}"#, "422 /home nested_change"),
        (r#"[{"age":1}]"#, "422  model_type"),
        ("{", "400"),
        ("", "400"),
        // Two rows cannot have it.
        (r#"{"email":"same@x"}"#, "409 /email unique"),
    ] {
        assert_eq!(app.patch("/user?age=gte.1", body).await.problem(), problem, "{body}");
    }
    let text = app.send(Method::PATCH, "/user?age=1", &[("content-type", "text/plain")], "{}").await;
    assert_eq!(
        (text.problem().as_str(), text.header("accept-patch")),
        ("415 content-type media_type", "application/merge-patch+json, application/json")
    );
    for header in ["if-match", "if-none-match"] {
        let refused = format!("400 {header} not_allowed");
        assert_eq!(app.delete("/user?age=1", &[(header, "*")]).await.problem(), refused);
        assert_eq!(app.send(Method::PATCH, "/user?age=1", &[JSON, (header, "*")], "{}").await.problem(), refused);
    }
    assert_eq!(app.get("/user?sort=name").await.text(), before);

    // Null takes a nested model away, which no row need be read for.
    assert_eq!(app.patch("/user?age=lte.2", r#"{"home":null}"#).await.json()["modified"], 2);
    assert_eq!(app.get("/user?home=is.null&sort=name").await.column("name"), ["Ada", "Bob"]);

    let core = five(ResourceOptions::new()).await;
    let not_served = core.delete("/user?age=1", &[]).await;
    assert_eq!((not_served.status.as_u16(), not_served.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
}

#[tokio::test]
async fn fields_that_clients_cannot_set_stay() {
    let model = r#"{"name":"Task","id":"id","fields":[
      {"name":"id","type":{"type":"str"}},
      {"name":"kind","type":{"type":"str"},"access":"immutable"},
      {"name":"state","type":{"type":"str"},"default":{"value":"new"},"access":"read_only"},
      {"name":"secret","type":{"type":"int"},"default":{"value":7},"access":"hidden"},
      {"name":"done","type":{"type":"bool"},"default":{"value":false}},
      {"name":"labels","type":{"type":"dict","values":{"type":"int"}},"default":{"value":{}}},
      {"name":"written","type":{"type":"datetime"},"default":{"factory":"now"},"access":"read_only","renew":true}]}"#;
    let app = App::new(model, options().client_id(true)).await;
    for id in ["a", "b"] {
        assert_eq!(app.post("/task", &format!(r#"{{"id":"{id}","kind":"x"}}"#)).await.status, 201);
    }
    let fixed = r#"{"kind":"x","state":"new","secret":7,"labels":{"a":1},"written":"2024-01-01T00:00:00Z"}"#;
    assert_eq!(
        app.patch("/task?kind=x", fixed).await.problem(),
        "422 /secret extra_forbidden /kind frozen_field /state read_only /labels nested_change /written read_only"
    );
    assert_eq!(app.delete("/task?secret=7", &[]).await.problem(), "400 secret unknown_parameter");
    let before = app.get("/task/a").await.json();
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    assert_eq!(app.patch("/task?kind=x", r#"{"done":true}"#).await.json()["modified"], 2);
    let after = app.get("/task/a").await.json();
    assert_eq!((&after["done"], &after["state"]), (&json!(true), &json!("new")));
    assert!(after["written"].as_str() > before["written"].as_str(), "the time of writing is a new one");
}

#[tokio::test]
async fn callers_write_only_the_rows_they_may_write() {
    const ANN: &str = r#"{"sub":"ann"}"#;
    let model = r#"{"name":"Note","id":"id","fields":[{"name":"id","type":{"type":"uuid"}},
      {"name":"owner","type":{"type":"str"}},{"name":"text","type":{"type":"str"}},
      {"name":"public","type":{"type":"bool"},"default":{"value":false}}]}"#;
    let schema = Schema::from_description(model).unwrap();
    let own = || Expr::equal(Path::of(&schema, "owner").unwrap(), Operand::claim("sub"));
    let public = Expr::equal(Path::of(&schema, "public").unwrap(), Operand::Value(true.into()));
    let app = App::new(model, options().policy(Policy::new().read(own().or(public)).write(own()))).await;
    for (claims, text) in [(ANN, "a"), (ANN, "b"), (r#"{"sub":"bob"}"#, "c")] {
        let body = format!(r#"{{"text":"{text}","public":true}}"#);
        assert_eq!(app.send_as(claims, Method::POST, "/note", &[JSON], body).await.status, 201);
    }
    let change = async |claims, query: &str, body: &'static str| {
        app.send_as(claims, Method::PATCH, &format!("/note?{query}"), &[JSON], body).await
    };
    assert_eq!(change(ANN, "public=true", r#"{"text":"new"}"#).await.json()["matched"], 2);
    assert_eq!(change("", "public=true", r#"{"text":"mine"}"#).await.json()["matched"], 0);
    // Not to who else might be meant, nor to what others may see: that is decided for each row.
    for body in [r#"{"owner":"bob"}"#, r#"{"text":"x","owner":"ann"}"#] {
        let refused = change(ANN, "public=true", body).await;
        assert_eq!(refused.problem(), "403");
        assert!(refused.detail().starts_with("owner decides who may write a row"), "{}", refused.detail());
    }
    assert_eq!(change(ANN, "text=new", r#"{"public":false}"#).await.json()["modified"], 2);
    let all = app.send_as(r#"{"sub":"bob"}"#, Method::DELETE, "/note?public=true", &[], "").await;
    assert_eq!(all.json()["matched"], 1, "only the row of bob");
    assert_eq!(app.send_as(ANN, Method::GET, "/note", &[], "").await.column("text"), ["new", "new"]);
}

#[tokio::test]
async fn what_would_pass_by_hooks_or_versions_is_refused_at_the_start() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("rows.db"), SqliteOptions::default()).unwrap();
    let collection = store.open(schema.clone()).await.unwrap();
    let wrong = |options: ResourceOptions| {
        let resource = Resource::new(schema.clone(), options.at("app.py:7"));
        resource.mount(collection.clone(), &mut RouteTableBuilder::new()).unwrap_err().to_string()
    };
    let hooked = |op| options().before(op, "look", |event| async move { Ok(event.document) });
    for (options, what) in [
        (hooked(Op::Patch), "rows that patch_many writes would pass by the hooks of patch"),
        (hooked(Op::Delete), "rows that delete_many writes would pass by the hooks of delete"),
        (hooked(Op::DeleteMany), "a hook of delete_many is never called"),
        (options().concurrency(Concurrency::Required), "patch_many writes rows without an If-Match"),
    ] {
        let text = wrong(options);
        assert!(text.contains(what) && text.contains("app.py:7"), "{text}");
    }
    store.close().await;
}

#[test]
fn they_are_documented() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let document = openapi(&Resource::new(schema, options().max_affected(7)));
    for (method, statuses) in [("patch", "200 400 403 409 413 415 422 503 504"), ("delete", "200 400 409 422 503 504")]
    {
        let operation = &document["paths"]["/user"][method];
        assert_eq!(operation["operationId"], format!("user_{method}_many"));
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(responses.keys().map(String::as_str).collect::<Vec<_>>().join(" "), statuses);
        let parameters = operation["parameters"].as_array().unwrap();
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), "or and id name email age tags home home.city home.zip at score Prefer");
        assert!(parameters.last().unwrap()["description"].as_str().unwrap().contains("it is 7 unless given"));
        assert_eq!(operation["requestBody"].is_null(), method == "delete");
    }
}
