//! Answers that are kept: what clients ask of them, what forgets them, and how many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body::Body as _;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};
use ziggurat::layers::{CacheLayer, CompressionLayer, EtagLayer};
use ziggurat::{Body, BoxError, Response};

use crate::cache::{MINUTE, around, ask, by_default, header, numbered, read, saying, sent};
use crate::support::{IntoOurs, channel, decode, get};

#[tokio::test(start_paused = true)]
async fn clients_that_have_the_answer_get_none() {
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let seen = Arc::new(AtomicUsize::new(0));
    let conditions = seen.clone();
    let service = around(&CacheLayer::new(), move |number, request| {
        let conditional =
            ["if-none-match", "if-modified-since"].iter().any(|name| request.headers().contains_key(*name));
        conditions.fetch_add(conditional.into(), Ordering::SeqCst);
        let control = if request.uri().path() == "/kept" { "max-age=60" } else { "no-store" };
        numbered(number, &[("cache-control", control), ("etag", "\"a\""), ("last-modified", modified)])
    });
    for path in ["/kept", "/kept", "/other"] {
        for (condition, status) in [
            (("if-none-match", "\"b\", W/\"a\""), 304),
            (("if-none-match", "*"), 304),
            (("if-modified-since", modified), 304),
            (("if-none-match", "\"b\""), 200),
            (("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT"), 200),
        ] {
            let response = ask(&service, get(path, &[condition])).await;
            assert_eq!(
                (response.status().as_u16(), header(&response, "etag")),
                (status, "\"a\""),
                "{path} {condition:?}"
            );
            assert_eq!(response.body().is_end_stream(), status == 304);
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "what is inside is asked for all of it");
    assert_eq!(header(&ask(&service, get("/kept", &[])).await, "cache-status"), "ziggurat; hit; ttl=60");
    // What is for parts, or for a state, is for what is inside.
    for special in [
        ("range", "bytes=0-1"),
        ("if-match", "\"a\""),
        ("upgrade", "websocket"),
        ("connection", "x, Upgrade"),
        ("if-range", "\"a\""),
        ("if-unmodified-since", modified),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
    ] {
        let response = ask(&service, get("/kept", &[special])).await;
        assert_eq!(header(&response, "cache-status"), "", "{special:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_may_ask_for_what_is_fresh() {
    let control = |directives| [("cache-control", directives)];
    for obeys in [true, false] {
        let service = saying(&CacheLayer::new().client_control(obeys), MINUTE);
        let waiting = ask(&service, get("/", &control("only-if-cached"))).await;
        let told = if obeys {
            (504, "ziggurat; detail=only-if-cached")
        } else {
            (200, "ziggurat; fwd=uri-miss; stored; ttl=60")
        };
        assert_eq!((waiting.status().as_u16(), header(&waiting, "cache-status")), told);
        assert_eq!(read(&service, "/", &[]).await, "1");
        tokio::time::advance(Duration::from_secs(10)).await;
        let mut number = 1;
        for (directives, fetches) in [
            ("max-age=10", false),
            ("min-fresh=49", false),
            ("only-if-cached", false),
            ("max-age=9", true),
            ("no-cache", true),
            ("max-age=0", true),
            ("min-fresh=61", true),
            ("no-store", true),
        ] {
            number += usize::from(fetches && obeys);
            assert_eq!(read(&service, "/", &control(directives)).await, number.to_string(), "{directives}");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(read(&service, "/", &[("pragma", "no-cache")]).await, (number + usize::from(obeys)).to_string());
    }
    let service = saying(&CacheLayer::new(), MINUTE);
    read(&service, "/", &[]).await;
    let fresh = ask(&service, get("/", &control("no-cache"))).await;
    assert_eq!(header(&fresh, "cache-status"), "ziggurat; fwd=request; stored; ttl=60");
    assert_eq!(read(&service, "/", &[]).await, "2", "what was fetched for one is kept for all");
}

#[tokio::test]
async fn writes_have_their_path_asked_for_again() {
    let service = around(&CacheLayer::new(), |number, request| {
        let mut response = numbered(number, MINUTE);
        match request.uri().query() {
            Some("refused") => *response.status_mut() = http::StatusCode::CONFLICT,
            Some("failed") => *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR,
            Some("elsewhere") => {
                response.headers_mut().insert("location", "/notes/8?x".parse().unwrap());
                response.headers_mut().insert("content-location", "https://b.example/notes".parse().unwrap());
            }
            _ => {}
        }
        response
    });
    let paths = ["/notes/7", "/notes/7?full", "/notes/8", "/notes"];
    for (method, target, changed) in [
        ("PUT", "/notes/7", &[0, 1][..]),
        ("PATCH", "/notes/%37?a", &[0, 1]),
        ("DELETE", "/notes/7", &[0, 1]),
        ("POST", "/notes", &[3]),
        ("LINK", "/notes/8", &[2]),
        ("POST", "/notes/9?elsewhere", &[2]),
        ("PUT", "/notes/7?failed", &[0, 1]),
        ("PUT", "/notes/7?refused", &[]),
        ("OPTIONS", "/notes/7", &[]),
        ("QUERY", "/notes/7", &[]),
        ("HEAD", "/notes/7", &[]),
    ] {
        let mut before = Vec::new();
        for path in paths {
            before.push(read(&service, path, &[]).await);
        }
        ask(&service, sent(method, target)).await;
        for (place, path) in paths.iter().enumerate() {
            let is_changed = read(&service, path, &[]).await != before[place];
            assert_eq!(is_changed, changed.contains(&place), "{method} {target}: {path}");
        }
    }
}

#[tokio::test]
async fn what_is_kept_can_be_forgotten() {
    let layer = CacheLayer::new();
    let service = saying(&layer, MINUTE);
    let other = saying(&layer.clone(), MINUTE);
    assert_eq!((read(&service, "/a?x", &[]).await, read(&other, "/a?x", &[]).await), ("1".into(), "1".into()));
    read(&service, "/b", &[]).await;
    assert!(layer.bytes() > 2);
    layer.invalidate("/a");
    assert_eq!((read(&service, "/a?x", &[]).await, read(&service, "/b", &[]).await), ("3".into(), "2".into()));
    layer.invalidate("/a?y#z");
    assert_eq!((read(&service, "/a?x", &[]).await, read(&service, "/b", &[]).await), ("4".into(), "2".into()));
    layer.clear();
    assert_eq!(layer.bytes(), 0);
    assert_eq!((read(&service, "/a?x", &[]).await, read(&service, "/b", &[]).await), ("5".into(), "6".into()));
}

#[tokio::test]
async fn longer_answers_are_sent_as_they_come() {
    let layer = CacheLayer::new().limits(1000, 10).unwrap().ttl(Duration::from_secs(60)).unwrap();
    let service = around(&layer, |number, request| {
        let text = format!("{}{}", number % 10, "x".repeat(request.uri().path().len() - 1));
        let mut response = match request.uri().query() {
            Some("stream") => {
                let chunks: Vec<_> = text.bytes().map(|byte| Ok::<_, BoxError>(vec![byte].into())).collect();
                Response::new(Body::from_stream(futures_util::stream::iter(chunks)))
            }
            _ => Response::new(Body::from(text)),
        };
        if request.uri().path().ends_with("said") {
            response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        }
        response
    });
    for (path, is_kept) in [
        ("/fits-said", true),
        ("/fits-said?stream", true),
        ("/fits-none", true),
        ("/fits-none?stream", false),
        ("/too-long-said", false),
        ("/too-long-said?stream", false),
        ("/too-long-none", false),
    ] {
        let first = read(&service, path, &[]).await;
        assert_eq!(first.len(), path.split('?').next().unwrap().len(), "{path}: nothing is lost");
        assert_eq!(read(&service, path, &[]).await == first, is_kept, "{path}");
    }
    for (bytes, body, wanted) in
        [(10, 11, "max_bytes is 10, and one body may have 11; "), (10, 0, "max_body_bytes is 0")]
    {
        assert!(CacheLayer::new().limits(bytes, body).unwrap_err().to_string().contains(wanted));
    }
    assert!(CacheLayer::new().ttl(Duration::ZERO).unwrap_err().to_string().contains("ttl is 0"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_breaks_off() {
    let (sender, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let service = around(&CacheLayer::new(), {
        let body = Arc::new(body);
        move |_, _| {
            let mut response = Response::new(body.lock().unwrap().take().unwrap_or_default());
            response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
            response
        }
    });
    sender.send(Ok("some".into())).unwrap();
    sender.send(Err("broken".into())).unwrap();
    let response = ask(&service, get("/", &[])).await;
    assert_eq!(header(&response, "cache-status"), "ziggurat; fwd=uri-miss");
    let error = http_body_util::BodyExt::collect(response.into_body()).await.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_eq!(read(&service, "/", &[]).await, "", "it was not kept");
}

#[tokio::test]
async fn memory_is_bounded_however_many_keys_there_are() {
    let layer = CacheLayer::new().limits(200_000, 10_000).unwrap().ttl(Duration::from_secs(60)).unwrap();
    let service = around(&layer, |_, _| Response::new(Body::from("x".repeat(1000))));
    for number in 0..2000 {
        read(&service, &format!("/{number}"), &[]).await;
        read(&service, "/hot", &[]).await;
    }
    assert!(layer.bytes() <= 200_000, "{}", layer.bytes());
    assert!(layer.bytes() > 100_000, "{}", layer.bytes());
    let hot = ask(&service, get("/hot", &[])).await;
    assert!(header(&hot, "cache-status").contains("hit"), "what is asked for often stays");
}

#[tokio::test]
async fn other_layers_stand_around_it() {
    let page = "many steps ".repeat(100);
    let inner = around(&by_default(), {
        let page = page.clone();
        move |number, _| {
            let mut response = Response::new(Body::from(format!("{number} {page}")));
            response.headers_mut().insert("content-type", "text/plain".parse().unwrap());
            response
        }
    });
    let service = BoxCloneSyncService::new(
        CompressionLayer::new()
            .layer(EtagLayer::new().layer(inner).map_response(IntoOurs::into_ours))
            .map_response(IntoOurs::into_ours),
    );
    let coded = ask(&service, get("/", &[("accept-encoding", "gzip")])).await;
    let tag = header(&coded, "etag").to_owned();
    assert_eq!(decode("gzip", &crate::support::bytes(coded).await), format!("1 {page}").as_bytes());
    assert_eq!(read(&service, "/", &[]).await, format!("1 {page}"));
    let br = ask(&service, get("/", &[("accept-encoding", "br")])).await;
    assert_eq!(header(&br, "content-encoding"), "br");
    let known = ask(&service, get("/", &[("accept-encoding", "gzip"), ("if-none-match", &tag)])).await;
    assert_eq!(known.status(), 304);
}
