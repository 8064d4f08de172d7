use proptest::prelude::*;
use tower::ServiceExt;

use super::*;
use crate::service::{Leaf, LeafKind, PathTemplate, Route, RouteTableBuilder};
use crate::{Body, ConfigError};

/// A leaf that answers with its name and the parameters it was given.
fn echo(name: &'static str) -> Leaf {
    let service = tower::service_fn(move |request: Request| async move {
        let params = request.extensions().get::<PathParams>().cloned().unwrap_or_default();
        let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let info = request.extensions().get::<Arc<LeafInfo>>().map(|info| info.name.clone());
        assert_eq!(info.as_deref(), Some(name), "the leaf learns which one it is");
        Ok(Response::new(Body::from(format!("{name}[{}]", params.join(",")))))
    });
    Leaf::new(name, LeafKind::Native, Route::new(service)).at("app.rs:1")
}

type Routes<'a> = &'a [(&'a str, &'a str, &'static str)];

fn table(routes: Routes) -> Result<RouteTable, ConfigError> {
    let mut table = RouteTableBuilder::new();
    for (method, path, name) in routes {
        let method = (*method != "any").then(|| method.parse::<Method>().unwrap());
        table.add(method, path, echo(name))?;
    }
    table.build()
}

async fn call(routes: Routes<'_>, method: &str, target: &str) -> Response {
    let request = http::Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
    let Ok(response) = Dispatcher::new(table(routes).unwrap()).oneshot(request).await;
    response
}

fn text(response: &Response) -> String {
    response.body().as_bytes().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
}

fn allow(response: &Response) -> &str {
    response.headers().get(ALLOW).map_or("", |value| value.to_str().unwrap())
}

const USERS: Routes = &[
    ("GET", "/users", "list"),
    ("POST", "/users", "create"),
    ("GET", "/users/{id}", "get"),
    ("DELETE", "/users/{user_id}", "delete"),
    ("GET", "/users/me", "me"),
    ("GET", "/files/{path:path}", "file"),
    ("any", "/proxy/{rest:path}", "proxy"),
    ("POST", "/proxy/{rest:path}", "proxy_post"),
    ("GET", "/tree/", "tree"),
];

#[tokio::test]
async fn path_and_method_choose_the_leaf() {
    for (method, target, expected) in [
        ("GET", "/users", "list[]"),
        ("POST", "/users", "create[]"),
        ("GET", "/users/7?q=1", "get[id=7]"),
        ("DELETE", "/users/7", "delete[user_id=7]"),
        ("GET", "/users/me", "me[]"),
        ("GET", "/users/a%20b%2Fc", "get[id=a b/c]"),
        ("GET", "/users/a+b", "get[id=a+b]"),
        ("GET", "/files/a/b%2fc.txt", "file[path=a/b/c.txt]"),
        ("PUT", "/proxy/x/y", "proxy[rest=x/y]"),
        ("POST", "/proxy/x/y", "proxy_post[rest=x/y]"),
        ("OPTIONS", "/proxy/x", "proxy[rest=x]"),
        ("HEAD", "/proxy/x", "proxy[rest=x]"),
        ("GET", "http://example.org/users/7", "get[id=7]"),
    ] {
        let response = call(USERS, method, target).await;
        assert_eq!((response.status(), text(&response).as_str()), (StatusCode::OK, expected), "{method} {target}");
    }
}

#[tokio::test]
async fn layers_outside_learn_which_leaf_answered() {
    let response = call(USERS, "DELETE", "/users/7").await;
    let info = response.extensions().get::<Arc<LeafInfo>>().unwrap();
    assert_eq!((&*info.path, info.name.as_str(), info.kind), ("/users/{user_id}", "delete", LeafKind::Native));
    assert!(call(USERS, "GET", "/nowhere").await.extensions().get::<Arc<LeafInfo>>().is_none());
}

#[tokio::test]
async fn unknown_paths_are_404_with_a_hint_about_the_slash() {
    for (target, hint) in [
        ("/nowhere", "no route has this path\""),
        ("/users/", "without the slash"),
        ("/tree", "with a slash"),
        ("/files/", "no route has this path\""),
        ("/users/7/posts", "no route has this path\""),
        ("//users", "no route has this path\""),
        ("/%75sers", "no route has this path\""),
        ("/USERS", "no route has this path\""),
        ("/", "no route has this path\""),
    ] {
        let response = call(USERS, "GET", target).await;
        assert_eq!(response.status(), 404, "{target}");
        assert!(text(&response).contains(hint), "{target}: {}", text(&response));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn other_methods_are_405_with_allow() {
    let response = call(USERS, "PATCH", "/users/7").await;
    assert_eq!((response.status(), allow(&response)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, DELETE, OPTIONS"));
    let response = call(USERS, "DELETE", "/users/me").await;
    assert_eq!((response.status(), allow(&response)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"));
    let response = call(&[("POST", "/a", "a")], "HEAD", "/a").await;
    assert_eq!((response.status(), allow(&response)), (StatusCode::METHOD_NOT_ALLOWED, "POST, OPTIONS"));
}

#[tokio::test]
async fn options_tells_what_is_allowed() {
    let response = call(USERS, "OPTIONS", "/users").await;
    assert_eq!((response.status(), allow(&response)), (StatusCode::NO_CONTENT, "GET, HEAD, POST, OPTIONS"));
    assert!(response.body().is_end_stream());
    let response = call(USERS, "OPTIONS", "*").await;
    assert_eq!((response.status(), allow(&response)), (StatusCode::NO_CONTENT, "GET, HEAD, POST, DELETE, OPTIONS"));
    assert_eq!(call(USERS, "GET", "*").await.status(), 400);
    assert_eq!(call(&[("OPTIONS", "/a", "own")], "OPTIONS", "/a").await.status(), 200);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let response = call(USERS, "HEAD", "/users/7").await;
    assert_eq!(response.headers()[CONTENT_LENGTH], "9");
    assert!(response.body().is_end_stream());
    let own = call(&[("GET", "/a", "get"), ("HEAD", "/a", "head")], "HEAD", "/a").await;
    assert_eq!(text(&own), "head[]");
    let nothing = tower::service_fn(|_: Request| async {
        Ok(http::Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap())
    });
    let mut table = RouteTableBuilder::new();
    table.add(Some(Method::GET), "/", Leaf::new("none", LeafKind::Native, Route::new(nothing))).unwrap();
    let request = http::Request::builder().method("HEAD").uri("/").body(Body::empty()).unwrap();
    let Ok(response) = Dispatcher::new(table.build().unwrap()).oneshot(request).await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH), "a 204 has no length");
}

#[tokio::test]
async fn undecodable_parameters_are_named() {
    for target in ["/users/%", "/users/%zz", "/users/%ff"] {
        let response = call(USERS, "GET", target).await;
        assert_eq!(response.status(), 400, "{target}");
        assert!(text(&response).contains(r#"{"path":"id","code":"percent_encoding""#), "{}", text(&response));
    }
}

#[tokio::test]
async fn a_static_segment_does_not_hide_a_parameter() {
    let routes: Routes = &[("GET", "/a/b/c", "static"), ("GET", "/a/{x}/d", "param"), ("GET", "/{all:path}", "rest")];
    assert_eq!(text(&call(routes, "GET", "/a/b/d").await), "param[x=b]");
    assert_eq!(text(&call(routes, "GET", "/a/b/e").await), "rest[all=a/b/e]");
}

#[tokio::test]
async fn literals_beyond_ascii_are_found_as_clients_send_them() {
    let routes: Routes = &[("GET", "/café/{{x}}/{y}", "cafe")];
    assert_eq!(text(&call(routes, "GET", "/caf%C3%A9/%7Bx%7D/1").await), "cafe[y=1]");
}

#[test]
fn conflicts_name_both_sides() {
    let error = |routes| table(routes).map(|_| String::new()).unwrap_or_else(|e| e.to_string());
    let twice = error(&[("GET", "/a/{x}", "first"), ("GET", "/a/{y}", "second")]);
    assert!(twice.contains("first (app.rs:1)") && twice.contains("second (app.rs:1)"), "{twice}");
    let any = error(&[("any", "/a", "first"), ("any", "/a", "second")]);
    assert!(any.contains("any method /a") && any.contains("first") && any.contains("second"), "{any}");
    for routes in [
        &[("GET", "/f/{name}", "one"), ("GET", "/f/{rest:path}", "all")],
        &[("GET", "/f/{rest:path}", "all"), ("GET", "/f/{name}", "one")],
        &[("GET", "/f/{rest:path}", "all"), ("GET", "/f/{name}/x", "one")],
    ] {
        let error = error(routes);
        assert!(error.contains("one") && error.contains("all") && error.contains("told apart"), "{error}");
    }
}

#[test]
fn a_dispatcher_takes_any_body() {
    fn check<S: Service<Request<B>, Response = Response>, B>(_: &S) {}
    let dispatcher = Dispatcher::new(table(USERS).unwrap());
    check::<_, http_body_util::Full<Bytes>>(&dispatcher);
    check::<_, Body>(&dispatcher);
}

/// A template as a list of segments: literal, parameter, or rest.
fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[ab]{1,2}".prop_map(Some), 1 => Just(None)];
    (proptest::collection::vec(segment, 0..4), 0..4u8).prop_map(|(segments, end)| {
        let mut path = String::new();
        for (index, segment) in segments.iter().enumerate() {
            path += &segment.clone().map_or_else(|| format!("/{{p{index}}}"), |text| format!("/{text}"));
        }
        match end {
            0 => path + "/{rest:path}",
            1 => path + "/",
            _ if path.is_empty() => "/".to_owned(),
            _ => path,
        }
    })
}

/// How well `template` matches `path`, segment by segment; a plain reading of the rules.
fn rank(template: &str, path: &str) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let mut path = path[1..].split('/');
    for segment in template[1..].split('/') {
        if segment.ends_with(":path}") {
            rank.push(2);
            return (path.next().is_some_and(|first| !first.is_empty()) || path.next().is_some()).then_some(rank);
        }
        let given = path.next()?;
        match segment.starts_with('{') {
            true if given.is_empty() => return None,
            true => rank.push(1),
            false if given != segment => return None,
            false => rank.push(0),
        }
    }
    path.next().is_none().then_some(rank)
}

fn with_sockets() -> Dispatcher {
    let mut table = RouteTableBuilder::new();
    table.add(Some(Method::GET), "/both", echo("page")).unwrap();
    table.add_websocket("/both", echo("socket")).unwrap();
    table.add_websocket("/alone/{id}", echo("alone")).unwrap();
    table.add(None, "/any", echo("any")).unwrap();
    table.add_websocket("/any", echo("any_socket")).unwrap();
    table.add(None, "/plain", echo("plain")).unwrap();
    Dispatcher::new(table.build().unwrap())
}

async fn upgrade(method: &str, target: &str, header: Option<&str>) -> Response {
    let mut request = http::Request::builder().method(method).uri(target);
    if let Some(value) = header {
        request = request.header("upgrade", value);
    }
    let Ok(response) = with_sockets().oneshot(request.body(Body::empty()).unwrap()).await;
    response
}

#[tokio::test]
async fn handshakes_have_leaves_of_their_own() {
    for (method, target, header, expected) in [
        ("GET", "/both", Some("websocket"), "socket[]"),
        ("GET", "/both", Some("h2c, WebSocket"), "socket[]"),
        ("GET", "/both", Some("websockets"), "page[]"),
        ("GET", "/both", None, "page[]"),
        ("HEAD", "/both", None, ""),
        ("GET", "/alone/1", Some("websocket"), "alone[id=1]"),
        ("GET", "/alone/1", None, "alone[id=1]"),
        ("GET", "/any", Some("websocket"), "any_socket[]"),
        ("GET", "/any", None, "any[]"),
        ("POST", "/any", Some("websocket"), "any[]"),
        ("GET", "/plain", Some("websocket"), "plain[]"),
    ] {
        assert_eq!(text(&upgrade(method, target, header).await), expected, "{method} {target} {header:?}");
    }
    assert_eq!(upgrade("POST", "/alone/1", Some("websocket")).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let table = with_sockets();
    let names =
        |path: &str| table.table().at(path).iter().map(|leaf| (leaf.name.clone(), leaf.websocket)).collect::<Vec<_>>();
    assert_eq!(names("/both"), [("page".to_owned(), false), ("socket".to_owned(), true)]);
    assert_eq!(names("/alone/2"), [("alone".to_owned(), true)]);
    let mut twice = RouteTableBuilder::new();
    twice.add_websocket("/a", echo("one")).unwrap();
    let error = twice.add_websocket("/a", echo("two")).unwrap_err();
    assert!(error.to_string().starts_with("WEBSOCKET /a is registered twice"), "{error}");
}

#[cfg(feature = "server")]
#[tokio::test]
async fn tunnels_of_http2_go_to_sockets_only() {
    for (target, protocol, status, expected) in [
        ("/both", "websocket", 200, "socket[]"),
        ("/any", "websocket", 200, "any_socket[]"),
        ("/plain", "websocket", 405, ""),
        ("/any", "connect-udp", 405, ""),
        ("/nowhere", "websocket", 404, ""),
    ] {
        let request = http::Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://test{target}"))
            .extension(hyper::ext::Protocol::from_static(protocol));
        let Ok(response) = with_sockets().oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), status, "{target} {protocol}");
        if status == 200 {
            assert_eq!(text(&response), expected, "{target} {protocol}");
        }
    }
}

proptest! {
    #[test]
    fn any_table_routes_as_its_rules_read(
        templates in proptest::collection::vec(template(), 1..8),
        path in "(/[ab]{0,2}){1,5}",
    ) {
        let mut builder = RouteTableBuilder::new();
        let mut kept = Vec::new();
        for template in templates {
            if builder.add(Some(Method::GET), &template, echo("x")).is_ok() {
                kept.push(template);
            }
        }
        // Tables that are refused are another test's business.
        if let Ok(table) = builder.build() {
            let best = kept.iter().filter_map(|t| Some((rank(t, &path)?, t.clone()))).min().map(|(_, t)| t);
            let found = table.at(&path).first().map(|info| info.path.to_string());
            prop_assert_eq!(found, best, "{:?} {}", kept, path);
        }
    }

    #[test]
    fn reading_a_template_never_panics(text in ".{0,40}") {
        if let Ok(template) = PathTemplate::parse(&text) {
            prop_assert_eq!(&**template.text(), &text);
        }
    }
}
