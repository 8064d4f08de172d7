//! Files of a directory: what is served, and what is not.

use std::convert::Infallible;
use std::fs::{self, File};
use std::path::Path;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::Method;
use http_body::Body as _;
use tempfile::TempDir;
use tower::{Layer, Service, ServiceExt, service_fn};
use ziggurat::layers::StaticLayer;
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder, Stack};
use ziggurat::{Body, Request, Response, Route};

use crate::support::{IntoOurs, get, problem, text};

/// As the files of the tests were changed.
pub const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
}

/// A directory `public` with files, beside a file that is none of its.
pub fn files() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let public = place.path().join("public");
    write(&place.path().join("secret.txt"), "secret");
    for (name, content) in [
        ("index.html", "<h1>hello</h1>"),
        ("ten.txt", "0123456789"),
        ("empty", ""),
        ("docs/index.html", "docs"),
        ("docs/é 1.txt", "named"),
        ("bare/a.txt", "a"),
        (".env", "secret"),
        (".git/config", "secret"),
    ] {
        write(&public.join(name), content);
    }
    place
}

pub fn layer(place: &TempDir) -> StaticLayer {
    StaticLayer::new("/static", place.path().join("public")).unwrap()
}

pub async fn ask(layer: &StaticLayer, request: Request) -> Response {
    layer.clone().into_service().oneshot(request).await.unwrap().into_ours()
}

pub fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn files_are_answered_with_all_that_is_known_of_them() {
    let place = files();
    let layer = layer(&place);
    let response = ask(&layer, get("/static/ten.txt", &[])).await;
    assert_eq!(response.status(), 200);
    for (name, wanted) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("last-modified", CHANGED),
        ("etag", "\"ae1b981bc490a00-a\""),
        ("cache-control", "no-cache"),
        ("vary", ""),
        ("content-encoding", ""),
    ] {
        assert_eq!(header(&response, name), wanted, "{name}");
    }
    assert_eq!(text(response).await, "0123456789");

    let mut request = get("/static/ten.txt", &[("range", "bytes=0-1")]);
    *request.method_mut() = Method::HEAD;
    let head = ask(&layer, request).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "10"), "ranges are of GET only");
    assert_eq!(header(&head, "content-range"), "");
    assert!(head.body().is_end_stream());

    assert_eq!(text(ask(&layer, get("/static/docs/%C3%A9%201.txt?v=1", &[])).await).await, "named");
    let empty = ask(&layer, get("/static/empty", &[])).await;
    assert_eq!((header(&empty, "content-length"), header(&empty, "content-type")), ("0", "application/octet-stream"));
    assert!(empty.body().is_end_stream());
}

#[tokio::test]
async fn directories_are_answered_with_their_page() {
    let place = files();
    let layer = layer(&place);
    assert_eq!(text(ask(&layer, get("/static/", &[])).await).await, "<h1>hello</h1>");
    assert_eq!(text(ask(&layer, get("/static/docs/", &[])).await).await, "docs");
    for (path, location) in [
        ("/static", "/static/"),
        ("/static/docs", "/static/docs/"),
        ("/static/docs?a=//b", "/static/docs/?a=//b"),
        ("http://evil.example/static/docs", "/static/docs/"),
    ] {
        let moved = ask(&layer, get(path, &[])).await;
        assert_eq!((moved.status().as_u16(), header(&moved, "location")), (308, location), "{path}");
    }
    for path in ["/static/bare", "/static/bare/", "/static/ten.txt/", "/static/docs//", "/static/index.html/"] {
        assert_eq!(ask(&layer, get(path, &[])).await.status(), 404, "{path}");
    }
    let without = layer.clone().index(None).unwrap();
    assert_eq!(ask(&without, get("/static/docs/", &[])).await.status(), 404);
    let other = layer.index(Some("a.txt")).unwrap();
    assert_eq!(text(ask(&other, get("/static/bare/", &[])).await).await, "a");
    assert_eq!(ask(&other, get("/static/docs/", &[])).await.status(), 404);
}

#[tokio::test]
async fn nothing_beside_the_directory_is_served() {
    let place = files();
    let layer = layer(&place).hidden(true);
    let secret = place.path().join("secret.txt");
    let whole = secret.display().to_string();
    for path in [
        "/static/../secret.txt",
        "/static/docs/../../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/%2E%2E%2Fsecret.txt",
        "/static/..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/%252e%252e/secret.txt",
        "/static/..%c0%afsecret.txt",
        "/static/./../secret.txt",
        "/static/ten.txt/../../secret.txt",
        "/static/ten.txt%00.html",
        "/static/C:/secret.txt",
        "/static/%5c%5clocalhost%5csecret.txt",
        &format!("/static/{whole}"),
        &format!("/static{whole}"),
        &format!("/static/{}", whole.replace('/', "%2f")),
        &format!("/static/{}", "a".repeat(5000)),
        &format!("/static{}", "/a".repeat(3000)),
        "/staticx/ten.txt",
        "/ten.txt",
    ] {
        let answer = ask(&layer, get(path, &[])).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(problem(answer).await["detail"], "there is no such file");
    }
    let root = StaticLayer::new("/", place.path().join("public")).unwrap();
    for path in ["//etc/passwd", "/%2fetc/passwd", "//evil.example/docs", "/%2f%2fevil.example"] {
        let answer = ask(&root, get(path, &[])).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (404, ""), "{path}");
    }
    assert_eq!(text(ask(&root, get("/ten.txt", &[])).await).await, "0123456789");
}

#[tokio::test]
async fn names_with_dots_are_served_where_that_is_said() {
    let place = files();
    for path in ["/static/.env", "/static/.git/config", "/static/%2eenv"] {
        assert_eq!(ask(&layer(&place), get(path, &[])).await.status(), 404, "{path}");
        assert_eq!(ask(&layer(&place).hidden(true), get(path, &[])).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_for_the_inner_service() {
    let place = files();
    let inner = service_fn(|request: Request| async move {
        let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Body::from([b"inner ", &body[..]].concat())))
    });
    let service = layer(&place).layer(inner);
    for (method, path, wanted) in [
        (Method::GET, "/static/ten.txt", "0123456789"),
        (Method::POST, "/static/ten.txt", "inner sent"),
        (Method::GET, "/static/none.txt", "inner sent"),
        (Method::GET, "/static/ten.txt/none", "inner sent"),
        (Method::GET, "/static/../ten.txt", "inner sent"),
        (Method::GET, "/other", "inner sent"),
    ] {
        let request = http::Request::builder().method(method).uri(path).body(Body::from("sent")).unwrap();
        let response = service.clone().oneshot(request).await.unwrap().into_ours();
        assert_eq!(text(response).await, wanted, "{path}");
    }
    let refused = http::Request::post("/static/ten.txt").body(Body::empty()).unwrap();
    let refused = ask(&layer(&place), refused).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET, HEAD"));
}

/// As tower has it: who was asked whether it is ready is called, and not a clone.
#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_that_is_called() {
    #[derive(Default)]
    struct Inner {
        is_ready: bool,
    }
    impl Clone for Inner {
        fn clone(&self) -> Self {
            Self::default()
        }
    }
    impl Service<Request> for Inner {
        type Response = Response;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.is_ready = true;
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request) -> Self::Future {
            assert!(std::mem::take(&mut self.is_ready));
            std::future::ready(Ok(Response::default()))
        }
    }
    let place = files();
    // Links may lead anywhere, so each path is looked for first.
    let mut service = layer(&place).follow_symlinks(true).layer(Inner::default());
    for _ in 0..2 {
        let response = service.ready().await.unwrap().call(get("/static/none", &[])).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn pages_of_an_app_in_the_browser_are_one() {
    let place = files();
    let layer = StaticLayer::new("/", place.path().join("public")).unwrap().fallback("index.html").unwrap();
    let layer = layer.max_age(Duration::from_secs(60), true);
    let mut table = RouteTableBuilder::new();
    let of_route =
        |_: Request| async { Ok(http::Response::builder().status(404).body(Body::from("of a route")).unwrap()) };
    let leaf = Leaf::new("user", LeafKind::Native, Route::new(service_fn(of_route)));
    table.add(Some(Method::GET), "/api/users/{id}", leaf).unwrap();
    let leaf = Leaf::new("made", LeafKind::Native, Route::new(service_fn(of_route)));
    table.add(Some(Method::POST), "/made", leaf).unwrap();
    let stack = Stack::builder().layer("Static", layer).build(Dispatcher::new(table.build().unwrap())).unwrap();
    let page = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    for (method, path, accept, status, body) in [
        ("GET", "/users/7/edit", page, 200, "<h1>hello</h1>"),
        ("HEAD", "/users/7/edit", page, 200, ""),
        ("GET", "/made", page, 200, "<h1>hello</h1>"),
        ("GET", "/docs/", page, 200, "docs"),
        ("GET", "/api/users/7", page, 404, "of a route"),
        ("GET", "/users/7/edit", "application/json", 404, "no route has this path"),
        ("GET", "/missing.js", "*/*", 404, "no route has this path"),
        ("GET", "/x", "text/html;q=0", 404, "no route has this path"),
        ("GET", "/.env", page, 404, "no route has this path"),
        ("GET", "/../secret.txt", page, 404, "no route has this path"),
        ("POST", "/users/7/edit", page, 404, "no route has this path"),
    ] {
        let request = http::Request::builder().method(method).uri(path).header("accept", accept);
        let response = stack.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path} {accept}");
        // Wherever the answer is another by what is accepted, also that there is nothing.
        let is_told = !["/docs/", "/api/users/7", "/.env", "/../secret.txt"].contains(&path) && method != "POST";
        let is_fallback = status == 200 && path != "/docs/";
        if is_fallback {
            assert_eq!(header(&response, "cache-control"), "no-cache", "what stands there may be something else soon");
        }
        assert_eq!(header(&response, "vary"), if is_told { "accept" } else { "" }, "{method} {path} {accept}");
        assert!(text(response).await.contains(body), "{method} {path} {accept}");
    }
    // It is gone by now, so the answer of what is inside stays.
    fs::remove_file(place.path().join("public/index.html")).unwrap();
    let gone = stack.oneshot(get("/users/7/edit", &[("accept", page)])).await.unwrap();
    assert_eq!((gone.status().as_u16(), header(&gone, "vary")), (404, "accept"));
}

#[test]
fn mistakes_are_found_at_the_start() {
    let place = files();
    let public = place.path().join("public");
    for (directory, wanted) in [("none", "none\" does not exist; make it"), ("public/ten.txt", "is no directory; name")]
    {
        let error = StaticLayer::new("/", place.path().join(directory)).unwrap_err().to_string();
        assert!(error.starts_with("Static: directory ") && error.contains(wanted), "{error}");
    }
    assert!(StaticLayer::new("static", &public).unwrap_err().to_string().contains("\"static\" is no path; begin it"));
    for wrong in ["", "a/b", "../a", "/a", ".."] {
        let error = layer(&place).index(Some(wrong)).unwrap_err().to_string();
        assert!(error.contains(&format!("Static: index {wrong:?} is no name of a file; ")), "{error}");
    }
    for (wrong, wanted) in [
        ("none.html", "is no file of the directory"),
        ("docs", "is no file"),
        ("../secret.txt", "is no path within"),
        ("", "is no path"),
    ] {
        let error = layer(&place).fallback(wrong).unwrap_err().to_string();
        assert!(error.contains(&format!("fallback {wrong:?} ")) && error.contains(wanted), "{error}");
    }
}
