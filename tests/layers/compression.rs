//! Coded answers, checked with other decoders, and the rules about when not to.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use ziggurat::layers::CompressionLayer;
use ziggurat::layers::compression::Coding;
use ziggurat::{Body, Response};

use crate::support::{answer, bytes, channel, decode, get};

const CODINGS: [&str; 4] = ["br", "zstd", "gzip", "deflate"];

fn page(body: impl Into<Body>) -> Response {
    http::Response::builder().header("content-type", "text/plain; charset=utf-8").body(body.into()).unwrap()
}

fn long() -> String {
    (0..500).map(|line| format!("line {line} of the tower\n")).collect()
}

async fn ask(accept: &str, response: impl Fn() -> Response + Clone + Send + 'static) -> Response {
    answer(CompressionLayer::new(), get("/", &[("accept-encoding", accept)]), response).await
}

#[tokio::test]
async fn small_bodies_are_coded_in_one_go() {
    for coding in CODINGS {
        let response = ask(coding, || page(long())).await;
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let length = response.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
        let coded = bytes(response).await;
        assert_eq!(coded.len(), length);
        assert!(coded.len() < long().len() / 2);
        assert_eq!(decode(coding, &coded), long().as_bytes(), "{coding}");
    }
}

#[tokio::test]
async fn large_bodies_are_coded_while_they_are_sent() {
    let large: String = (0..100_000).map(|line| format!("{}\n", line * 7919 % 100_003)).collect();
    for coding in CODINGS {
        let copy = large.clone();
        let response = ask(coding, move || page(copy.clone())).await;
        assert!(!response.headers().contains_key("content-length"));
        let mut body = response.into_body();
        let mut coded = Vec::new();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            coded.extend_from_slice(&frame.unwrap().into_data().unwrap());
            frames += 1;
        }
        // Brotli writes blocks, which are larger than this.
        assert!(frames > 1 || coding == "br", "{coding}");
        assert_eq!(decode(coding, &coded), large.as_bytes(), "{coding}");
    }
}

#[tokio::test]
async fn each_event_can_be_decoded_before_the_next_is_made() {
    for coding in CODINGS {
        let (events, body) = channel();
        let body = std::sync::Mutex::new(Some(body));
        let body = std::sync::Arc::new(body);
        let response = ask(coding, move || {
            let body = body.lock().unwrap().take().unwrap();
            http::Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        })
        .await;
        assert_eq!(response.headers()["content-encoding"], coding);
        let mut body = response.into_body();
        let (mut coded, mut sent) = (Vec::new(), Vec::new());
        for number in 0..20 {
            let event = format!("data: {{\"number\": {number}}}\n\n");
            events.send(Ok(Bytes::from(event.clone()))).unwrap();
            sent.extend_from_slice(event.as_bytes());
            let frame = body.frame().await.unwrap().unwrap();
            coded.extend_from_slice(frame.data_ref().unwrap());
            assert_eq!(decode(coding, &coded), sent, "{coding}, event {number}");
        }
        drop(events);
        coded.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        assert_eq!(decode(coding, &coded), sent);
    }
}

#[tokio::test]
async fn a_burst_of_events_is_flushed_event_by_event() {
    let (events, body) = channel();
    for number in 0..3 {
        events.send(Ok(Bytes::from(format!("data: {number}\n\n")))).unwrap();
    }
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let response = ask("gzip", move || {
        let body = body.lock().unwrap().take().unwrap();
        http::Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
    })
    .await;
    let mut body = response.into_body();
    let mut coded = Vec::new();
    for number in 1..=3 {
        coded.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
        assert_eq!(decode("gzip", &coded).len(), number * "data: 0\n\n".len());
    }
}

#[tokio::test]
async fn nothing_is_held_back_while_a_stream_waits() {
    let (chunks, body) = channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let response = ask("br", move || page(body.lock().unwrap().take().unwrap())).await;
    let mut body = response.into_body();
    chunks.send(Ok(Bytes::from("progress: 1 %\n"))).unwrap();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(decode("br", &frame), b"progress: 1 %\n");
}

#[tokio::test]
async fn a_failing_stream_fails_and_does_not_look_finished() {
    for length in [None, Some("2000")] {
        let (chunks, body) = channel();
        chunks.send(Ok(Bytes::from("x".repeat(1000)))).unwrap();
        chunks.send(Err("torn".into())).unwrap();
        let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
        let response = ask("gzip", move || {
            let mut response = page(body.lock().unwrap().take().unwrap());
            if let Some(length) = length {
                response.headers_mut().insert("content-length", length.parse().unwrap());
            }
            response
        })
        .await;
        assert_eq!(response.into_body().collect().await.unwrap_err().to_string(), "torn");
    }
}

#[tokio::test]
async fn some_answers_are_left_as_they_are() {
    type Edit = fn(&mut Response);
    let plain = |edit: Edit| {
        move || {
            let mut response = page(long());
            edit(&mut response);
            response
        }
    };
    let edits: [(Edit, bool); 12] = [
        (|r| *r.status_mut() = StatusCode::NO_CONTENT, false),
        (|r| *r.status_mut() = StatusCode::PARTIAL_CONTENT, false),
        (|r| drop(r.headers_mut().insert("content-encoding", "gzip".parse().unwrap())), false),
        (|r| drop(r.headers_mut().insert("content-range", "bytes 0-1/2".parse().unwrap())), false),
        (|r| drop(r.headers_mut().insert("content-digest", "sha-256=:x:".parse().unwrap())), false),
        (|r| drop(r.headers_mut().insert("cache-control", "public, No-Transform".parse().unwrap())), false),
        (|r| drop(r.headers_mut().insert("content-type", "image/png".parse().unwrap())), false),
        (|r| drop(r.headers_mut().remove("content-type")), false),
        (|r| *r.body_mut() = Body::from("x".repeat(511)), false),
        (|r| *r.body_mut() = Body::empty(), false),
        (|r| *r.status_mut() = StatusCode::NOT_FOUND, true),
        (|r| *r.body_mut() = Body::from("x".repeat(512)), true),
    ];
    for (index, (edit, coded)) in edits.into_iter().enumerate() {
        let response = ask("br", plain(edit)).await;
        let encoding = response.headers().get("content-encoding").is_some_and(|value| value == "br");
        assert_eq!(encoding, coded, "edit {index}");
        assert_eq!(response.headers().contains_key("vary"), coded, "edit {index}");
    }
}

#[tokio::test]
async fn what_does_not_shrink_is_sent_as_it_is() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(2000)
    .collect();
    let copy = noise.clone();
    let response = ask("gzip", move || page(copy.clone())).await;
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(response.headers()["vary"], "accept-encoding");
    assert_eq!(bytes(response).await, noise);
}

#[tokio::test]
async fn vary_is_appended_also_where_nothing_was_coded() {
    let with_vary = |vary: &'static str| {
        move || {
            let mut response = page(long());
            response.headers_mut().insert("vary", vary.parse().unwrap());
            response
        }
    };
    let all = |response: &Response| -> Vec<String> {
        response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all(&ask("identity", with_vary("origin")).await), ["origin", "accept-encoding"]);
    assert_eq!(all(&ask("br", with_vary("Origin, Accept-Encoding")).await), ["Origin, Accept-Encoding"]);
    assert_eq!(all(&ask("br;q=0", with_vary("*")).await), ["*"]);
}

#[tokio::test]
async fn head_is_answered_as_get_would_be() {
    let request = http::Request::head("/").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let response = answer(CompressionLayer::new(), request, || {
        let mut response = page(Body::empty());
        response.headers_mut().insert("content-length", "9000".parse().unwrap());
        response.headers_mut().insert("etag", "\"1\"".parse().unwrap());
        response
    })
    .await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["etag"], "\"1.gzip\"");
    assert!(!response.headers().contains_key("content-length"));
    assert!(bytes(response).await.is_empty());
}

#[tokio::test]
async fn tags_tell_codings_apart_and_still_work() {
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};
    use tower_layer::Layer;
    use ziggurat::Request;
    // A leaf with the tag "v1" that knows nothing of codings.
    let leaf = service_fn(|request: Request| async move {
        let has = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut response = page(long());
        if has("if-none-match").is_some_and(|tags| tags.split(", ").any(|tag| tag == "\"v1\"")) {
            response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        if has("if-match").is_some_and(|tag| tag != "\"v1\"") {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        }
        response.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
        Ok::<_, Infallible>(response)
    });
    let service = CompressionLayer::new().layer(leaf);
    let ask = |headers: &[(&str, &str)]| service.clone().oneshot(get("/", headers));
    let first = ask(&[("accept-encoding", "br")]).await.unwrap();
    assert_eq!(first.headers()["etag"], "\"v1.br\"");
    let again = ask(&[("accept-encoding", "br"), ("if-none-match", "\"v0\", \"v1.br\"")]).await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &"\"v1.br\"".parse().unwrap()));
    assert_eq!(again.headers()["vary"], "accept-encoding");
    // The cached bytes are of another coding than the answer would have.
    let other = ask(&[("accept-encoding", "gzip"), ("if-none-match", "\"v1.br\"")]).await.unwrap();
    assert_eq!((other.status().as_u16(), &other.headers()["etag"]), (200, &"\"v1.gzip\"".parse().unwrap()));
    let plain = ask(&[("if-none-match", "\"v1\"")]).await.unwrap();
    assert_eq!((plain.status().as_u16(), &plain.headers()["etag"]), (304, &"\"v1\"".parse().unwrap()));
    assert_eq!(ask(&[("if-match", "\"v1.br\"")]).await.unwrap().status(), 200);
    assert_eq!(ask(&[("if-match", "\"v2.br\"")]).await.unwrap().status(), 412);
}

#[tokio::test]
async fn a_client_that_refuses_uncompressed_answers_gets_short_ones_coded_too() {
    let response = ask("gzip, identity;q=0", || page("short")).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(decode("gzip", &bytes(response).await), b"short");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = CompressionLayer::new;
    for (result, named) in [
        (new().codings([]), "algorithms"),
        (new().codings([Coding::Gzip, Coding::Gzip]), "twice"),
        (new().level(0), "level"),
        (new().level(10), "level"),
    ] {
        assert!(result.unwrap_err().to_string().contains(named));
    }
}
