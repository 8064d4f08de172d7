//! Fields that clients do not all see and set.

use std::sync::Arc;

use http::Method;
use serde_json::{Value as Json, json};
use ziggurat::crud::{Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, openapi};

use crate::support::{App, JSON, every_op};

const ACCOUNT: &str = r#"{"name":"Account","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"email","type":{"type":"str"},"access":"immutable"},
  {"name":"password","type":{"type":"str","min_length":3},"access":"write_only"},
  {"name":"role","type":{"type":"str"},"default":{"value":"reader"},"access":"read_only"},
  {"name":"note","type":{"type":"int"},"default":{"value":7},"access":"hidden"},
  {"name":"name","type":{"type":"str"},"default":{"value":""}},
  {"name":"home","type":{"type":"model","schema":{"name":"Home","fields":[{"name":"city","type":{"type":"str"}}]}},
     "default":{"value":{"city":"Ur"}},"access":"immutable"},
  {"name":"made","type":{"type":"datetime"},"default":{"factory":"now"},"access":"read_only"},
  {"name":"written","type":{"type":"datetime"},"default":{"factory":"now"},"access":"read_only","renew":true}]}"#;

const NEW: &str = r#"{"id":"a","email":"a@x","password":"abc","name":"Ada"}"#;
/// In the order of the alphabet, as they are compared here.
const SHOWN: [&str; 7] = ["email", "home", "id", "made", "name", "role", "written"];

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op()).client_id(true).bulk(true)
}

async fn app() -> App {
    let app = App::new(ACCOUNT, options()).await;
    assert_eq!(app.post("/account", NEW).await.status, 201);
    app
}

fn names(row: &Json) -> Vec<&str> {
    row.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Later than any time before.
async fn tick() {
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
}

#[tokio::test]
async fn no_answer_holds_what_clients_do_not_see() {
    let app = App::new(ACCOUNT, options().upsert(true)).await;
    let made = app.post("/account", NEW).await;
    let mut rows = vec![made.json()];
    let many = r#"[{"id":"b","email":"b@x","password":"secret"}]"#;
    rows.push(app.post("/account", many).await.json()["items"][0].clone());
    let lenient = many.replace(r#""b""#, r#""c""#);
    let lenient = app.send(Method::POST, "/account", &[JSON, ("prefer", "handling=lenient")], lenient).await;
    rows.push(lenient.json()["items"][0]["item"].clone());
    rows.push(app.put("/account/d", r#"{"id":"d","email":"d@x","password":"secret"}"#).await.json());
    rows.push(app.put("/account/d", r#"{"password":"secret2"}"#).await.json());
    rows.push(app.patch("/account/a", r#"{"name":"Eve","password":"secret3"}"#).await.json());
    rows.push(app.patch("/account/a", "{}").await.json());
    rows.push(app.get("/account/a").await.json());
    rows.extend(app.get("/account").await.json()["items"].as_array().unwrap().iter().cloned());
    for line in app.get("/account/_export").await.text().lines() {
        rows.push(serde_json::from_str(line).unwrap());
    }
    assert_eq!(rows.len(), 16);
    for row in &rows {
        assert_eq!(names(row), SHOWN, "{row}");
    }
    // The tag is that of the row, for reads and writes.
    let tag = app.get("/account/a").await.header("etag").to_owned();
    let changed = app.send(Method::PATCH, "/account/a", &[JSON, ("if-match", &tag)], r#"{"name":"Ann"}"#).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn nothing_is_asked_by_what_clients_do_not_see() {
    let app = app().await;
    for target in [
        "/account?password=abc",
        "/account?password=like.a*",
        "/account?or=(password.eq.abc,name.eq.x)",
        "/account?sort=password",
        "/account?fields=id,password",
        "/account/a?fields=password",
        "/account/_count?password=abc",
        "/account/_export?password=abc",
    ] {
        for (target, name) in [(target.to_owned(), "password"), (target.replace("password", "note"), "note")] {
            let answer = app.get(&target).await;
            assert_eq!(answer.status, 400, "{target}");
            assert!(!answer.text().contains(&format!("mean {name}")), "{target}: {}", answer.text());
            let near = app.get(&target.replace(name, &name[..name.len() - 1])).await;
            assert!(!near.text().contains(&format!("mean {name}")), "{target}: {}", near.text());
        }
    }
    assert_eq!(app.get("/account/a?fields=email").await.json(), json!({"email": "a@x"}));
    for body in [
        r#"{"filter":["password","eq","abc"]}"#,
        r#"{"filter":{"not":["note","in",[7]]}}"#,
        r#"{"sort":["password"]}"#,
        r#"{"fields":["note"]}"#,
    ] {
        let answer = app.send(Method::QUERY, "/account", &[JSON], body).await;
        assert_eq!(answer.status, 400, "{body}");
        let target = if body.contains("not") { "/account?note=7" } else { "/account?password=abc" };
        assert_eq!(app.send(Method::DELETE, target, &[], "").await.status, 400);
    }
}

#[tokio::test]
async fn clients_set_what_they_may_when_they_make_rows() {
    let app = app().await;
    let with = |more: &str| NEW.replace(r#""id":"a""#, &format!(r#""id":"z",{more}"#));
    assert_eq!(app.post("/account", &with(r#""role":"reader""#)).await.problem(), "422 /role read_only");
    assert_eq!(app.post("/account", &with(r#""made":"2026-01-01T00:00:00Z""#)).await.problem(), "422 /made read_only");
    // What is hidden is like what is not there, also where its type would be wrong.
    for name in ["note", "notee"] {
        let hidden = app.post("/account", &with(&format!(r#""{name}":"x""#))).await;
        assert_eq!(hidden.problem(), format!("422 /{name} extra_forbidden"));
        assert!(!hidden.text().contains("mean note"), "{}", hidden.text());
    }
    assert_eq!(app.post("/account", r#"{"id":"z"}"#).await.problem(), "422 /email missing /password missing");
    let row = app.post("/account", &with(r#""home":{"city":"Eridu"}"#)).await.json();
    assert_eq!(
        (&row["role"], &row["home"]["city"], &row["made"]),
        (&json!("reader"), &json!("Eridu"), &row["written"])
    );
}

#[tokio::test]
async fn a_row_can_be_sent_back_as_it_was_read() {
    let app = app().await;
    let row = app.get("/account/a").await;
    tick().await;
    let put = app.put("/account/a", &row.text()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let (mut before, mut after) = (row.json(), put.json());
    assert!(after["written"].as_str() > before["written"].as_str());
    before["written"].take();
    after["written"].take();
    assert_eq!(before, after);
    // What was left out and may be set is its default, what may not is kept.
    let bare = app.put("/account/a", "{}").await.json();
    assert_eq!((&bare["name"], &bare["email"], &bare["made"]), (&json!(""), &json!("a@x"), &before["made"]));
    assert_eq!(app.patch("/account/a", &app.get("/account/a").await.text()).await.status, 200);
}

#[tokio::test]
async fn what_is_fixed_stays() {
    let app = app().await;
    let row = app.get("/account/a").await.json();
    for (body, expected) in [
        (r#"{"email":"b@x"}"#, "422 /email frozen_field"),
        (r#"{"home":{"city":"Eridu"}}"#, "422 /home frozen_field"),
        (r#"{"role":"admin","name":"x"}"#, "422 /role read_only"),
        (r#"{"role":"admin","email":"b@x"}"#, "422 /email frozen_field /role read_only"),
        (r#"{"made":"2020-01-01T00:00:00Z"}"#, "422 /made read_only"),
        (r#"{"written":"2020-01-01T00:00:00Z"}"#, "422 /written read_only"),
        (r#"{"note":7}"#, "422 /note extra_forbidden"),
        (r#"{"email":null}"#, "422 /email string_type"),
    ] {
        assert_eq!(app.patch("/account/a", body).await.problem(), expected, "{body}");
        assert_eq!(app.put("/account/a", body).await.problem(), expected, "{body}");
    }
    assert_eq!(app.get("/account/a").await.json(), row);
    // The same again is no change.
    assert_eq!(app.patch("/account/a", r#"{"email":"a@x","role":"reader","home":{"city":"Ur"}}"#).await.status, 200);
    assert_eq!(app.put("/account/b", "{}").await.problem(), "404");
}

#[tokio::test]
async fn secrets_are_kept_and_changed() {
    // A policy may look at what clients do not see, so it tells here what the row holds.
    let schema = Schema::from_description(ACCOUNT).unwrap();
    let secret = |text: &'static str| Expr::equal(Path::of(&schema, "password").unwrap(), Operand::Value(text.into()));
    let note = Expr::equal(Path::of(&schema, "note").unwrap(), Operand::Value(7.into()));
    let policy = Policy::new().read(secret("abc").or(secret("new")).and(note)).write(Expr::True).create(Expr::True);
    let app = App::new(ACCOUNT, options().policy(policy)).await;
    assert_eq!(app.post("/account", NEW).await.status, 201);
    for body in [r#"{"name":"x"}"#, r#"{"password":"new"}"#, "{}"] {
        assert_eq!(app.put("/account/a", body).await.status, 200);
        assert_eq!(app.get("/account/a").await.status, 200, "{body}");
    }
    assert_eq!(app.patch("/account/a", r#"{"password":"ab"}"#).await.problem(), "422 /password string_too_short");
    app.patch("/account/a", r#"{"password":"other"}"#).await;
    assert_eq!(app.get("/account/a").await.problem(), "404", "it was changed");
}

#[tokio::test]
async fn each_write_is_timed() {
    let app = app().await;
    let mut last = app.get("/account/a").await.json();
    assert_eq!(last["made"], last["written"]);
    for (method, body) in
        [(Method::PATCH, r#"{"name":"x"}"#), (Method::PATCH, r#"{"role":"reader"}"#), (Method::PUT, r#"{"name":"y"}"#)]
    {
        tick().await;
        let row = app.send(method.clone(), "/account/a", &[JSON], body).await.json();
        assert!(row["written"].as_str() > last["written"].as_str(), "{method} {body}");
        assert_eq!(row["made"], last["made"]);
        last = row;
    }
    tick().await;
    assert_eq!(app.patch("/account/a", "{}").await.json(), last, "nothing was written");
}

#[tokio::test]
async fn tags_and_races_hold_for_them_too() {
    let app = Arc::new(app().await);
    let tag = app.get("/account/a").await.header("etag").to_owned();
    let write = |name: usize| {
        let (app, tag) = (app.clone(), tag.clone());
        async move {
            let body = format!(r#"{{"name":"{name}"}}"#);
            app.send(Method::PUT, "/account/a", &[JSON, ("if-match", &tag)], body).await.status.as_u16()
        }
    };
    let statuses = futures_util::future::join_all((0..8).map(write)).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn a_claim_sets_what_clients_cannot() {
    let schema = ACCOUNT.replace(r#""default":{"value":"reader"},"access":"read_only""#, r#""access":"read_only""#);
    let compiled = Arc::new(Schema::from_description(&schema).unwrap());
    let unset = Resource::new(compiled.clone(), options()).check().unwrap_err().to_string();
    assert!(unset.contains("Account.role: clients cannot set it, and nothing else does"), "{unset}");
    assert!(Resource::new(compiled.clone(), options().ops([Op::Get])).check().is_ok());

    let own = Expr::equal(Path::of(&compiled, "role").unwrap(), Operand::claim("sub"));
    let app = App::new(&schema, options().upsert(true).policy(Policy::new().read(own))).await;
    let made = app.send_as(r#"{"sub":"ann"}"#, Method::POST, "/account", &[JSON], NEW).await;
    assert_eq!((made.status.as_u16(), &made.json()["role"]), (201, &json!("ann")));
    let put = r#"{"email":"b@x","password":"abc"}"#;
    let made = app.send_as(r#"{"sub":"ann"}"#, Method::PUT, "/account/b", &[JSON], put).await;
    assert_eq!((made.status.as_u16(), &made.json()["role"]), (201, &json!("ann")));
    let again = app.send_as(r#"{"sub":"ann"}"#, Method::PUT, "/account/b", &[JSON], put).await;
    assert_eq!((again.status.as_u16(), &again.json()["role"]), (200, &json!("ann")));
}

#[test]
fn markers_that_cannot_be_meant_are_refused() {
    for (from, to, says) in [
        (
            r#"{"name":"id","type":{"type":"str"}"#,
            r#"{"name":"id","type":{"type":"str"},"access":"hidden""#,
            "beside the id",
        ),
        (
            r#"{"name":"city","type":{"type":"str"}"#,
            r#"{"name":"city","type":{"type":"str"},"access":"hidden""#,
            "Home.city: only fields of rows",
        ),
        (r#""access":"read_only","renew":true"#, r#""renew":true"#, "clients could set it"),
    ] {
        let error = Schema::from_description(&ACCOUNT.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_document_shows_each_field_where_it_may_be() {
    let schema = Arc::new(Schema::from_description(ACCOUNT).unwrap());
    let document = openapi(&Resource::new(schema, options()));
    let properties = |name: &str| names(&document["components"]["schemas"][name]["properties"]);
    assert_eq!(properties("Account"), SHOWN);
    assert_eq!(properties("AccountCreate"), ["email", "home", "id", "name", "password"]);
    let sent = ["email", "home", "id", "made", "name", "password", "role", "written"];
    assert_eq!(properties("AccountReplace"), sent);
    assert_eq!(properties("AccountPatch"), sent);
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["AccountCreate"]["required"], json!(["id", "email", "password"]));
    assert_eq!(schemas["AccountReplace"]["required"], Json::Null);
    assert_eq!(schemas["Account"]["properties"]["role"]["readOnly"], true);
    assert_eq!(schemas["AccountCreate"]["properties"]["password"]["writeOnly"], true);
    let list = document["paths"]["/account"]["get"].to_string();
    assert!(!list.contains("password") && !list.contains("note"), "{list}");
}
