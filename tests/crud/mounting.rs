//! Which leaves a resource adds to a table.

use std::sync::Arc;

use http::{Method, StatusCode};
use tower::service_fn;
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::{Op, Resource, ResourceOptions, Schema, Store};
use ziggurat::service::{LeafKind, RouteTableBuilder};
use ziggurat::{Body, Response, Route};

use crate::support::{App, USER};

async fn mounted(description: &str, options: ResourceOptions) -> Result<Vec<(String, Vec<String>)>, String> {
    let store = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let schema = Arc::new(Schema::from_description(description).unwrap());
    let collection = store.open(schema.clone()).await.map_err(|error| error.to_string())?;
    let mut table = RouteTableBuilder::new();
    Resource::new(schema, options).mount(collection, &mut table).map_err(|error| error.to_string())?;
    let table = table.build().unwrap();
    assert!(table.leaves().iter().all(|leaf| leaf.kind == LeafKind::Crud));
    let show = |leaf: &ziggurat::service::LeafInfo| {
        (format!("{} {} {}", leaf.method.as_ref().unwrap(), leaf.path, leaf.name), leaf.layers.clone())
    };
    Ok(table.leaves().iter().map(|leaf| show(leaf)).collect())
}

#[tokio::test]
async fn six_leaves_at_the_models_name() {
    let leaves = mounted(USER, ResourceOptions::new()).await.unwrap();
    let names: Vec<&str> = leaves.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "GET /user User.list",
            "POST /user User.create",
            "GET /user/{id} User.get",
            "PUT /user/{id} User.replace",
            "PATCH /user/{id} User.patch",
            "DELETE /user/{id} User.delete",
        ]
    );
}

#[tokio::test]
async fn operations_that_are_not_served_are_405() {
    let app = App::new(USER, ResourceOptions::new().path("/people").ops([Op::List, Op::Get])).await;
    assert_eq!(app.get("/people").await.status, 200);
    let refused = app.post("/people", "{}").await;
    assert_eq!((refused.problem().as_str(), refused.header("allow")), ("405", "GET, HEAD, OPTIONS"));
    assert_eq!(app.send(Method::DELETE, "/people/1", &[], "").await.status, 405);
    let options = app.send(Method::OPTIONS, "/people/1", &[], "").await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn a_guard_wraps_one_operation() {
    let refuse = |_: Route| {
        Route::new(service_fn(|_| async {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Ok::<_, std::convert::Infallible>(response)
        }))
    };
    let options = ResourceOptions::new().guard(Op::Create, "RequireAuth", refuse);
    let leaves = mounted(USER, options.clone()).await.unwrap();
    let guarded: Vec<_> =
        leaves.iter().filter(|(_, layers)| *layers == ["RequireAuth"]).map(|(name, _)| name).collect();
    assert_eq!(guarded, ["POST /user User.create"]);
    let app = App::new(USER, options).await;
    assert_eq!(app.post("/user", r#"{"name":"x"}"#).await.status, 401);
    assert_eq!(app.get("/user").await.status, 200);
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let number = r#"{"name":"Item","id":"id","fields":[{"name":"id","type":{"type":"int"}}]}"#;
    let error = mounted(number, ResourceOptions::new().at("app.py:7")).await.unwrap_err();
    assert_eq!(
        error,
        "Item.id: the server chooses only UUIDs and ObjectIds; make it a UUID or an ObjectId, or let clients choose ids with client_id=True (at app.py:7)"
    );
    let error = mounted(USER, ResourceOptions::new().path("/a/{b}")).await.unwrap_err();
    assert!(error.contains("cannot be at \"/a/{b}\""), "{error}");
    let error = mounted(USER, ResourceOptions::new().page_size(20, 10)).await.unwrap_err();
    assert!(error.contains("pages of 20 rows and at most 10"), "{error}");
    let error = mounted(USER, ResourceOptions::new().ops([])).await.unwrap_err();
    assert!(error.contains("none of the operations is served"), "{error}");
    assert!("lst".parse::<Op>().unwrap_err().to_string().contains("choose from list, create"));
    assert_eq!("patch".parse::<Op>().unwrap(), Op::Patch);
}
