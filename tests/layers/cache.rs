//! Answers that are kept: which, for whom, and for how long.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderName;
use http_body::Body as _;
use serde_json::json;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};
use ziggurat::layers::{CacheLayer, JwtLayer};
use ziggurat::{Body, Request, Response};

use crate::support::{IntoOurs, SECRET, get, text, token};

pub type Answering = BoxCloneSyncService<Request, Response, Infallible>;

/// Answers as `answer` says, which is told how many times it was asked, with the layer around it.
pub fn around(
    layer: &CacheLayer,
    answer: impl Fn(usize, &Request) -> Response + Clone + Send + Sync + 'static,
) -> Answering {
    let count = Arc::new(AtomicUsize::new(0));
    let inner = service_fn(move |request: Request| {
        let response = answer(count.fetch_add(1, Ordering::SeqCst) + 1, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    BoxCloneSyncService::new(layer.layer(inner).map_response(IntoOurs::into_ours))
}

/// An answer with these headers, which tells by its number that it was made anew.
pub fn numbered(number: usize, headers: &[(&str, &str)]) -> Response {
    let mut response = http::Response::builder();
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(number.to_string())).unwrap()
}

/// As above, whatever the request is.
pub fn saying(layer: &CacheLayer, headers: &'static [(&'static str, &'static str)]) -> Answering {
    around(layer, move |number, _| numbered(number, headers))
}

pub fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

pub async fn ask(service: &Answering, request: Request) -> Response {
    service.clone().oneshot(request).await.unwrap()
}

/// What an answer holds.
pub async fn read(service: &Answering, path: &str, headers: &[(&str, &str)]) -> String {
    text(ask(service, get(path, headers)).await).await
}

pub fn sent(method: &str, path: &str) -> Request {
    http::Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

pub fn by_default() -> CacheLayer {
    CacheLayer::new().ttl(Duration::from_secs(5)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_sent_again_until_it_is_stale() {
    let service = saying(
        &CacheLayer::new(),
        &[("cache-control", "max-age=60"), ("content-type", "text/plain"), ("x-other", "a")],
    );
    let first = ask(&service, get("/a", &[])).await;
    assert_eq!((header(&first, "cache-status"), header(&first, "age")), ("ziggurat; fwd=uri-miss; stored; ttl=60", ""));
    assert_eq!(text(first).await, "1");
    tokio::time::advance(Duration::from_secs(59)).await;
    let again = ask(&service, get("/a", &[])).await;
    assert_eq!((header(&again, "cache-status"), header(&again, "age")), ("ziggurat; hit; ttl=1", "59"));
    assert_eq!((header(&again, "content-type"), header(&again, "x-other")), ("text/plain", "a"));
    assert_eq!((header(&again, "content-length"), again.body().as_bytes().unwrap()), ("1", &"1".into()));
    let head = ask(&service, sent("HEAD", "/a")).await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length"), head.body().is_end_stream()),
        (200, "1", true)
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    let stale = ask(&service, get("/a", &[])).await;
    assert_eq!(header(&stale, "cache-status"), "ziggurat; fwd=stale; stored; ttl=60");
    assert_eq!(text(stale).await, "2");
    // How old it was when it came counts.
    let service = saying(&CacheLayer::new(), &[("cache-control", "max-age=60"), ("age", "50")]);
    read(&service, "/", &[]).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(header(&ask(&service, get("/", &[])).await, "age"), "59");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(read(&service, "/", &[]).await, "2");
}

#[tokio::test]
async fn targets_and_hosts_are_told_apart_as_they_were_sent() {
    let service = saying(&CacheLayer::new(), MINUTE);
    let targets = [
        ("/a", "x"),
        ("/A", "x"),
        ("/a/", "x"),
        ("/%61", "x"),
        ("/a?", "x"),
        ("/a?b=1&c=2", "x"),
        ("/a?c=2&b=1", "x"),
        ("/a", "y"),
        ("/a", "x:80"),
        ("http://x/a", "x"),
        ("http://y/a", "x"),
        ("https://y/a", "x"),
    ];
    for _ in 0..2 {
        for (place, (target, host)) in targets.iter().enumerate() {
            assert_eq!(read(&service, target, &[("host", host)]).await, (place + 1).to_string(), "{target} {host}");
        }
    }
    let mut twice = get("/a", &[("host", "x")]);
    twice.headers_mut().append("host", "y".parse().unwrap());
    assert_eq!(text(ask(&service, twice).await).await, "13");
}

#[tokio::test]
async fn what_does_not_say_so_is_not_kept() {
    for headers in [
        &[][..],
        &[("cache-control", "public")],
        &[("cache-control", "no-store")],
        &[("cache-control", "max-age=60, private")],
        &[("cache-control", "max-age=60, no-cache")],
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[("expires", "0")],
    ] {
        let service = saying(&CacheLayer::new(), headers);
        assert_eq!(header(&ask(&service, get("/", &[])).await, "cache-status"), "ziggurat; fwd=uri-miss");
        assert_eq!(read(&service, "/", &[]).await, "2", "{headers:?}");
    }
    let service = saying(&by_default(), &[]);
    assert_eq!((read(&service, "/", &[]).await, read(&service, "/", &[]).await), ("1".into(), "1".into()));
    for status in [302, 404, 500, 503] {
        let service = around(&by_default(), move |number, _| {
            let mut response = numbered(number, &[]);
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        });
        read(&service, "/", &[]).await;
        assert_eq!(read(&service, "/", &[]).await, "2", "{status}");
    }
}

#[tokio::test]
async fn what_one_user_got_no_other_gets() {
    let by_user = |request: &Request| {
        let name = |header| request.headers().get(header).map_or("", |value| value.to_str().unwrap());
        format!("{}{}", name("cookie"), name("authorization"))
    };
    for kind in ["cookie", "authorization"] {
        // Even an answer that says it is fresh, and one that does not say anything.
        for control in ["max-age=60", "max-age=60, must-revalidate", "x"] {
            let service = around(&by_default(), move |_, request| {
                let mut response = Response::new(Body::from(by_user(request)));
                response.headers_mut().insert("cache-control", control.parse().unwrap());
                response
            });
            for user in ["ann", "bob", "", "ann"] {
                let headers: &[_] = if user.is_empty() { &[] } else { &[(kind, user)] };
                assert_eq!(read(&service, "/me", headers).await, user, "{kind} {control}");
            }
        }
        for control in ["public, max-age=60", "s-maxage=60"] {
            let service = around(&CacheLayer::new(), move |number, _| numbered(number, &[("cache-control", control)]));
            for user in ["ann", "bob"] {
                assert_eq!(read(&service, "/logo", &[(kind, user)]).await, "1", "{kind} {control}");
            }
            assert_eq!(read(&service, "/logo", &[]).await, "1", "{kind} {control}");
        }
    }
    // Whom a layer outside has found out, by whatever header.
    let inner = around(&by_default(), |_, request| {
        let claims = request.extensions().get::<ziggurat::service::Claims>();
        Response::new(Body::from(claims.map_or("", |claims| claims.subject().unwrap()).to_owned()))
    });
    let source = ziggurat::layers::jwt::CredentialSource::header(HeaderName::from_static("x-token"));
    let jwt = JwtLayer::secret(SECRET).unwrap().sources([source]).unwrap().required(false);
    let service = BoxCloneSyncService::new(jwt.layer(inner));
    assert_eq!(read(&service, "/me", &[]).await, "");
    for user in ["ann", "bob"] {
        let token = token(json!({"sub": user}));
        assert_eq!(read(&service, "/me", &[("x-token", &token)]).await, user);
    }
    assert_eq!(read(&service, "/me", &[]).await, "");
}

#[tokio::test]
async fn headers_that_nobody_names_poison_and_those_that_are_named_do_not() {
    let links = |_: usize, request: &Request| {
        let host = request.headers().get("x-forwarded-host").map_or("a.example", |host| host.to_str().unwrap());
        let mut response = Response::new(Body::from(format!("https://{host}/")));
        response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        response
    };
    let evil = [("x-forwarded-host", "evil.example")];
    let service = around(&CacheLayer::new().vary([HeaderName::from_static("x-forwarded-host")]), links);
    assert_eq!(read(&service, "/", &evil).await, "https://evil.example/");
    assert_eq!(read(&service, "/", &[]).await, "https://a.example/");
    assert_eq!(read(&service, "/", &[("x-forwarded-host", "")]).await, "https:///");
    assert_eq!(read(&service, "/", &evil).await, "https://evil.example/");
    // As the documentation warns.
    let service = around(&CacheLayer::new(), links);
    read(&service, "/", &evil).await;
    assert_eq!(read(&service, "/", &[]).await, "https://evil.example/");
    // An answer may be by the body of a request, which is not looked at.
    let service = saying(&CacheLayer::new(), MINUTE);
    for number in ["1", "3"] {
        let request = http::Request::get("/").body(Body::from("fat")).unwrap();
        assert_eq!(text(ask(&service, request).await).await, number);
        assert_eq!(read(&service, "/", &[("x-method", number)]).await, "2");
    }
}

#[tokio::test]
async fn answers_vary_by_what_they_say() {
    let service = around(&CacheLayer::new(), |number, _| {
        numbered(number, &[("cache-control", "max-age=60"), ("vary", "Accept, accept-language")])
    });
    let mut seen = Vec::new();
    for headers in [
        &[][..],
        &[("accept", "a")],
        &[("accept-language", "a")],
        &[("accept", "a"), ("accept-language", "b")],
        &[("accept", "a, b")],
        &[("accept", "a"), ("accept", "b")],
    ] {
        let first = read(&service, "/", headers).await;
        assert_eq!(read(&service, "/", headers).await, first, "{headers:?}");
        seen.push(first);
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5", "6"]);
    let other = ask(&service, get("/", &[("accept", "z")])).await;
    assert_eq!(header(&other, "cache-status"), "ziggurat; fwd=vary-miss; stored; ttl=60");
    // There are as many as eight, and the oldest one goes.
    for number in 0..8 {
        read(&service, "/", &[("accept", &number.to_string())]).await;
    }
    assert_eq!(read(&service, "/", &[]).await, "16");
    assert_eq!(read(&service, "/", &[("accept", "7")]).await, "15");
}
