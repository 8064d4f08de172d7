//! Slashes at the end of paths.

use axum::Router;
use tower::{Layer, ServiceExt};
use tower_test::mock;
use ziggurat::layers::{LayerSpec, NormalizePathLayer};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder, Stack};
use ziggurat::{Body, Request, Response, Route};

use crate::support::{get, text};

/// Targets that are left as they are: nothing to take off, or what would name another host in `Location`.
const LEFT: [&str; 9] = [
    "/",
    "/users",
    "/users?next=/",
    "/users%2F",
    "//",
    "//evil.example/",
    "//evil.example/%2e%2e/",
    "/\\evil.example/",
    "///",
];

#[tokio::test]
async fn what_is_trimmed_arrives_without_its_slashes() {
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(NormalizePathLayer::default());
    let trimmed =
        [("/users/", "/users"), ("/users//?a=b/", "/users?a=b/"), ("http://a.example/x/", "http://a.example/x")];
    for (target, seen) in trimmed.into_iter().chain(LEFT.map(|target| (target, target))) {
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let answer = service.call(get(target, &[("x-kept", "1")]));
        let (request, reply) = inner.next_request().await.unwrap();
        assert_eq!((request.uri().to_string().as_str(), &request.headers()["x-kept"]), (seen, &"1".parse().unwrap()));
        reply.send_response(Response::default());
        assert_eq!(answer.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_redirect_leads_to_a_path_of_this_host_only() {
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(NormalizePathLayer::redirect());
    for (target, to) in [
        ("/users/", "/users"),
        ("/users//?a=b/", "/users?a=b/"),
        ("http://evil.example/x/", "/x"),
        ("/.//evil.example/", "/.//evil.example"),
        ("/@evil.example/", "/@evil.example"),
    ] {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            inner.allow(1);
            assert!(service.poll_ready().is_ready());
            let request = http::Request::builder().method(method).uri(target).body(Body::from("kept")).unwrap();
            let response = service.call(request).await.unwrap();
            assert_eq!((response.status().as_u16(), &response.headers()["location"]), (308, &to.parse().unwrap()));
            assert_eq!(text(response).await, "");
        }
    }
    for target in LEFT {
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let answer = service.call(get(target, &[]));
        let (request, reply) = inner.next_request().await.unwrap();
        assert_eq!(request.uri(), target);
        reply.send_response(Response::default());
        assert!(!answer.await.unwrap().headers().contains_key("location"), "{target}");
    }
}

#[tokio::test]
async fn it_stands_around_the_routes_of_a_stack() {
    let leaf = Route::new(tower::service_fn(|_: Request| async { Ok(Response::new(Body::from("ann"))) }));
    let mut table = RouteTableBuilder::new();
    table.add(Some(http::Method::GET), "/users/{id}", Leaf::new("get", LeafKind::Native, leaf)).unwrap();
    let dispatcher = Dispatcher::new(table.build().unwrap());
    let stack = |layer| Stack::builder().layer("NormalizePath", layer).build(dispatcher.clone()).unwrap();
    for (target, trimmed, redirected) in [("/users/1", 200, 200), ("/users/1/", 200, 308), ("/nowhere/", 404, 308)] {
        let response = stack(NormalizePathLayer::trim()).oneshot(get(target, &[])).await.unwrap();
        assert_eq!(response.status(), trimmed, "{target}");
        let response = stack(NormalizePathLayer::redirect()).oneshot(get(target, &[])).await.unwrap();
        assert_eq!(response.status(), redirected, "{target}");
    }
}

#[tokio::test]
async fn it_stands_around_an_axum_router() {
    let router: Router = Router::new().route("/users", axum::routing::get(|| async { "ann" }));
    let ask = |layer: NormalizePathLayer| {
        let request = http::Request::get("/users/").body(axum::body::Body::empty()).unwrap();
        layer.layer(router.clone()).oneshot(request)
    };
    assert_eq!(ask(NormalizePathLayer::trim()).await.unwrap().status(), 200);
    assert_eq!(ask(NormalizePathLayer::redirect()).await.unwrap().headers()["location"], "/users");
}

/// `/small/` is `/small`, for the limit too.
#[tokio::test]
async fn limits_of_paths_stand_further_in() {
    let specs = r#"[{"type":"NormalizePath"}]"#;
    let leaf = tower::service_fn(|_: Request| async { Ok(Response::default()) });
    let mut route = Route::new(leaf);
    for spec in ziggurat::layers::foundation(LayerSpec::list_from_json(specs).unwrap()).into_iter().rev() {
        let spec = match spec {
            LayerSpec::BodyLimit(mut limit) => {
                limit.at.insert("/small".to_owned(), 1);
                LayerSpec::BodyLimit(limit)
            }
            other => other,
        };
        route = spec.build().unwrap().apply(route);
    }
    for (path, status) in [("/small", 413), ("/small/", 413), ("/other/", 200)] {
        let request = http::Request::post(path).body(Body::from("12")).unwrap();
        assert_eq!(route.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}
