//! Code that writes pass through, in Rust.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Event, Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, Store};
use ziggurat::service::{Problem, RouteTableBuilder};

use crate::support::{App, JSON, USER};

fn read(document: &[u8]) -> Json {
    serde_json::from_slice(document).unwrap()
}

/// Appends to the name, so that the order of hooks shows.
fn append(text: &'static str) -> impl Fn(Event) -> std::future::Ready<Result<Bytes, Problem>> + Send + Sync {
    move |event| {
        let mut row = read(&event.document);
        row["name"] = json!(format!("{}{text}", row["name"].as_str().unwrap()));
        std::future::ready(Ok(row.to_string().into()))
    }
}

#[tokio::test]
async fn hooks_are_called_in_their_order_and_only_for_their_operation() {
    let options =
        ResourceOptions::new().before(Op::Patch, "first", append(" 1")).before(Op::Patch, "second", append(" 2"));
    let app = App::new(USER, options).await;
    let (path, _) = app.user(r#"{"name":"Ada"}"#).await;
    assert_eq!(app.get(&path).await.json()["name"], "Ada");
    assert_eq!(app.patch(&path, r#"{"age":3}"#).await.json()["name"], "Ada 1 2");
    assert_eq!(app.put(&path, r#"{"name":"Bob"}"#).await.json()["name"], "Bob");
}

#[tokio::test]
async fn what_is_told_after_a_write_is_what_was_written() {
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let mut options = ResourceOptions::new();
    for op in [Op::Create, Op::Replace, Op::Patch, Op::Delete] {
        let seen = seen.clone();
        options = options.after(op, "note", move |event| seen.lock().unwrap().push(event));
    }
    let app = App::new(USER, options).await;
    let (path, _) = app.user(r#"{"name":"Ada"}"#).await;
    app.put(&path, r#"{"name":"Bob"}"#).await;
    app.patch(&path, r#"{"name":"Eve"}"#).await;
    app.send(Method::DELETE, &path, &[], "").await;

    let seen = seen.lock().unwrap();
    let names = |event: &Event| {
        let stored = event.stored.as_ref().map(|row| read(&row.json)["name"].clone());
        (event.op, stored, read(&event.document)["name"].clone(), event.version.is_some())
    };
    assert_eq!(
        seen.iter().map(names).collect::<Vec<_>>(),
        [
            (Op::Create, None, json!("Ada"), true),
            (Op::Replace, Some(json!("Ada")), json!("Bob"), true),
            (Op::Patch, Some(json!("Bob")), json!("Eve"), true),
            (Op::Delete, Some(json!("Eve")), json!("Eve"), false),
        ]
    );
    for pair in seen.windows(2) {
        // Each sees the version that the one before has written.
        assert_eq!(pair[0].version, pair[1].stored.as_ref().map(|row| row.version));
    }
    assert_eq!(seen[1].request.method, Method::PUT);
}

#[tokio::test]
async fn the_rules_of_the_model_stand_behind_a_hook_and_policies_before_it() {
    let field = |name: &str| Path::of(&Schema::from_description(USER).unwrap(), name).unwrap();
    let own = Expr::equal(field("email"), Operand::claim("sub"));
    let calls: Arc<Mutex<usize>> = Arc::default();
    let counted = calls.clone();
    let options =
        ResourceOptions::new().policy(Policy::new().read(own)).before(Op::Create, "hook", move |event: Event| {
            *counted.lock().unwrap() += 1;
            let mut row = read(&event.document);
            match row["name"].as_str().unwrap() {
                "breaks" => row["name"] = json!(""),
                "gives" => row["email"] = json!("bob"),
                "refused" => {
                    return std::future::ready(Err(Problem::of(StatusCode::CONFLICT).detail("not that one")));
                }
                _ => {}
            }
            std::future::ready(Ok(row.to_string().into()))
        });
    let app = App::new(USER, options).await;
    let make = |body: &'static str| app.send_as(r#"{"sub":"ann"}"#, Method::POST, "/user", &[JSON], body);
    // What the caller may not write never comes to a hook.
    assert_eq!(make(r#"{"name":"Ada","email":"bob"}"#).await.problem(), "422 /email policy");
    assert_eq!(make(r#"{"name":""}"#).await.problem(), "422 /name string_too_short");
    assert_eq!(*calls.lock().unwrap(), 0);
    let refused = make(r#"{"name":"refused"}"#).await;
    assert_eq!((refused.status.as_u16(), refused.detail()), (409, "not that one".to_owned()));
    // A row that breaks the rules is the hook's mistake and not the client's.
    assert_eq!(make(r#"{"name":"breaks"}"#).await.problem(), "500");
    let given = make(r#"{"name":"gives"}"#).await;
    assert_eq!((given.status.as_u16(), &given.json()["email"]), (201, &json!("bob")));
    let list = app.send_as(r#"{"sub":"bob"}"#, Method::GET, "/user", &[], "").await;
    assert_eq!(list.column("name"), [json!("gives")]);
}

#[tokio::test]
async fn hooks_that_are_never_called_are_refused() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let refused = |options: ResourceOptions| Resource::new(schema.clone(), options).check().unwrap_err().to_string();
    let hook = |options: ResourceOptions, op| options.before(op, "hook", |event: Event| async { Ok(event.document) });
    assert_eq!(
        refused(hook(ResourceOptions::new(), Op::List)),
        "User: a hook of list is never called; hooks stand before and after create, replace, patch and delete"
    );
    assert_eq!(
        refused(hook(ResourceOptions::new().ops([Op::Get]), Op::Patch)),
        "User: a hook of patch is never called; serve that operation, too"
    );
    let upsert = ResourceOptions::new().client_id(true).upsert(true).ops([Op::Replace]);
    assert!(Resource::new(schema.clone(), hook(upsert, Op::Create)).check().is_ok());
}

#[tokio::test]
async fn the_printed_stack_names_hooks() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("rows.db"), SqliteOptions::default()).unwrap();
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let collection = store.open(schema.clone()).await.unwrap();
    let mut table = RouteTableBuilder::new();
    let options = ResourceOptions::new().before(Op::Create, "slug", append("")).after(Op::Create, "mail", |_| ());
    Resource::new(schema, options).mount(collection, &mut table).unwrap();
    let table = table.build().unwrap();
    let hooks = |name: &str| table.leaves().iter().find(|leaf| leaf.name == name).unwrap().hooks.clone();
    assert_eq!(hooks("User.create"), ["slug", "mail"]);
    assert!(hooks("User.patch").is_empty());
}
