//! Entity tags of answers, and answers without a body.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use tower::ServiceBuilder;
use ziggurat::layers::{CompressionLayer, EtagLayer, etag::EtagBody};
use ziggurat::{Body, BoxError, Request, Response};

use crate::support::{answer, channel, get, text};

/// Half of the SHA-256 of `hello`.
const HELLO: &str = "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\"";

fn asked(method: &Method, if_none_match: Option<&str>) -> Request {
    let mut request = get("/", &[]);
    *request.method_mut() = method.clone();
    if let Some(list) = if_none_match {
        request.headers_mut().insert("if-none-match", list.parse().unwrap());
    }
    request
}

fn hello() -> Response {
    Response::new(Body::from("hello"))
}

fn tag(response: &Response) -> Option<&str> {
    response.headers().get("etag").map(|tag| tag.to_str().unwrap())
}

#[tokio::test]
async fn bytes_that_are_there_get_a_tag() {
    for method in [Method::GET, Method::HEAD] {
        let response = answer(EtagLayer::new(), asked(&method, None), hello).await;
        assert_eq!((response.status().as_u16(), tag(&response)), (200, Some(HELLO)), "{method}");
        assert_eq!(response.body().as_bytes().unwrap(), "hello", "no box");
    }
    let weak = answer(EtagLayer::default().weak(true), asked(&Method::GET, None), hello).await;
    assert_eq!(tag(&weak), Some("W/\"2cf24dba5fb0a30e26e83b2ac5b9e29e\""));
    let empty = answer(EtagLayer::new(), asked(&Method::GET, None), Response::default).await;
    assert_eq!(tag(&empty), Some("\"e3b0c44298fc1c149afbf4c8996fb924\""));
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let layer = || EtagLayer::new();
    for list in
        ["*", HELLO, "W/\"2cf24dba5fb0a30e26e83b2ac5b9e29e\"", "\"other\", \"2cf24dba5fb0a30e26e83b2ac5b9e29e\""]
    {
        for method in [Method::GET, Method::HEAD] {
            let response = answer(layer(), asked(&method, Some(list)), hello).await;
            assert_eq!((response.status().as_u16(), tag(&response)), (304, Some(HELLO)), "{method} {list}");
            assert!(response.body().is_end_stream());
        }
    }
    for list in ["\"other\"", "2cf24dba5fb0a30e26e83b2ac5b9e29e", "", "\"*\""] {
        let response = answer(layer(), asked(&Method::GET, Some(list)), hello).await;
        assert_eq!((response.status().as_u16(), text(response).await.as_str()), (200, "hello"), "{list}");
    }
    // The list may be in several headers.
    let mut request = asked(&Method::GET, Some("\"other\""));
    request.headers_mut().append("if-none-match", HELLO.parse().unwrap());
    assert_eq!(answer(layer(), request, hello).await.status(), 304);
}

#[tokio::test]
async fn a_304_keeps_what_does_not_describe_its_content() {
    let page = || {
        http::Response::builder()
            .header("content-type", "text/plain")
            .header("content-length", 5)
            .header("content-language", "en")
            .header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            .header("content-digest", "sha-256=:x:")
            .header("cache-control", "max-age=60")
            .header("content-location", "/hello")
            .header("date", "Mon, 01 Jan 2024 00:00:00 GMT")
            .header("expires", "Mon, 01 Jan 2024 00:01:00 GMT")
            .header("vary", "accept")
            .header("vary", "authorization")
            .header("set-cookie", "a=b")
            .header("access-control-allow-origin", "*")
            .body(Body::from("hello"))
            .unwrap()
    };
    let response = answer(EtagLayer::new(), asked(&Method::GET, Some("*")), page).await;
    assert_eq!(response.status(), 304);
    let mut names: Vec<_> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let kept = "access-control-allow-origin cache-control content-location date etag expires set-cookie vary vary";
    assert_eq!(names.join(" "), kept);
}

#[tokio::test]
async fn a_tag_of_the_inner_service_stays_and_is_compared() {
    let tagged = |value: &'static str, body: fn() -> Body| {
        move || http::Response::builder().header("etag", value).body(body()).unwrap()
    };
    let own = tagged("\"own\"", || Body::from("hello"));
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), own).await;
    assert_eq!((response.status().as_u16(), tag(&response)), (200, Some("\"own\"")));
    assert_eq!(answer(EtagLayer::new(), asked(&Method::GET, Some(HELLO)), own).await.status(), 200);
    assert_eq!(answer(EtagLayer::new(), asked(&Method::GET, Some("W/\"own\"")), own).await.status(), 304);
    // Of a stream, too, which is not sent then.
    let streamed = tagged("\"own\"", || channel().1);
    let response = answer(EtagLayer::new(), asked(&Method::HEAD, Some("\"own\"")), streamed).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (304, ""));
    // What is no tag matches nothing.
    for wrong in ["own", "\"own", "\"own\" x"] {
        let wrong = tagged(wrong, || Body::from("hello"));
        assert_eq!(answer(EtagLayer::new(), asked(&Method::GET, Some("\"own\", *")), wrong).await.status(), 200);
    }
}

#[tokio::test]
async fn other_answers_are_left_alone() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::QUERY] {
        let response = answer(EtagLayer::new(), asked(&method, Some("*")), hello).await;
        assert_eq!((response.status().as_u16(), tag(&response)), (200, None), "{method}");
    }
    for status in [201, 203, 206, 301, 304, 404, 500] {
        let other = move || http::Response::builder().status(status).body(Body::from("hello")).unwrap();
        let response = answer(EtagLayer::new(), asked(&Method::GET, Some("*")), other).await;
        assert_eq!((response.status().as_u16(), tag(&response)), (status, None));
    }
    for directives in ["no-store", "private, No-Store"] {
        let secret =
            move || http::Response::builder().header("cache-control", directives).body(Body::from("hello")).unwrap();
        let response = answer(EtagLayer::new(), asked(&Method::GET, Some("*")), secret).await;
        assert_eq!((response.status().as_u16(), tag(&response)), (200, None));
    }
    let long = answer(EtagLayer::new().max_bytes(4), asked(&Method::GET, None), hello).await;
    assert_eq!(tag(&long), None);
    assert!(tag(&answer(EtagLayer::new().max_bytes(5), asked(&Method::GET, None), hello).await).is_some());
    // Its GET would have a body, and another tag.
    let cut = || http::Response::builder().header("content-length", 5).body(Body::empty()).unwrap();
    let response = answer(EtagLayer::new(), asked(&Method::HEAD, None), cut).await;
    assert_eq!((tag(&response), &response.headers()["content-length"]), (None, &"5".parse().unwrap()));
}

/// A body whose length is known, and of which not all has to be there.
struct Announced(Body, u64);

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn streams_are_handed_on_whole() {
    let pieces = |list: &'static [Result<&'static str, &'static str>]| {
        let frames = list.iter().map(|piece| piece.map(|piece| Frame::data(Bytes::from(piece))));
        Body::new(StreamBody::new(stream::iter(frames)))
    };
    let unknown = move || Response::new(pieces(&[Ok("hel"), Ok("lo")]));
    let response = answer(EtagLayer::new(), asked(&Method::GET, Some("*")), unknown).await;
    assert_eq!((response.status().as_u16(), tag(&response)), (200, None));
    assert_eq!(text(response).await, "hello");

    // All that was announced is there at once, or comes in pieces.
    let whole = move || Response::new(Body::new(Announced(pieces(&[Ok("hello")]), 5)));
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), whole).await;
    assert_eq!(tag(&response), Some(HELLO));
    assert_eq!(text(response).await, "hello");
    let parts = move || Response::new(Body::new(Announced(pieces(&[Ok("hel"), Ok("lo")]), 5)));
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), parts).await;
    assert_eq!(tag(&response), None);
    assert_eq!(text(response).await, "hello");
    let failing = move || Response::new(Body::new(Announced(pieces(&[Err("torn")]), 5)));
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), failing).await;
    assert_eq!(response.into_body().collect().await.unwrap_err().to_string(), "torn");

    let (sender, body) = channel();
    let body = std::sync::Mutex::new(Some(Announced(body, 5)));
    let waiting = std::sync::Arc::new(move || Response::new(Body::new(body.lock().unwrap().take().unwrap())));
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), move || waiting()).await;
    assert_eq!(tag(&response), None);
    sender.send(Ok("hello".into())).unwrap();
    drop(sender);
    assert_eq!(text(response).await, "hello");

    let trailed = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(trailers)].map(Ok::<_, BoxError>);
        Response::new(Body::new(Announced(Body::new(StreamBody::new(stream::iter(frames))), 5)))
    };
    let response = answer(EtagLayer::new(), asked(&Method::GET, None), trailed).await;
    assert_eq!(tag(&response), Some(HELLO));
    assert_eq!(response.into_body().collect().await.unwrap().trailers().unwrap()["x-sum"], "7");
}

#[tokio::test]
async fn each_coding_has_a_tag_of_its_own() {
    let own_body = |response: Response<EtagBody<Body>>| response.map(Body::from);
    let stack = || {
        let stack = ServiceBuilder::new().layer(CompressionLayer::new());
        stack.map_response(own_body).layer(EtagLayer::new()).into_inner()
    };
    let page = || {
        let page = http::Response::builder().header("content-type", "text/plain");
        page.body(Body::from("many steps ".repeat(100))).unwrap()
    };
    let ask = |coding: &str, tag: Option<&str>| {
        let mut request = asked(&Method::GET, tag);
        request.headers_mut().insert("accept-encoding", coding.parse().unwrap());
        answer(stack(), request, page)
    };
    let plain = ask("identity", None).await;
    let coded = ask("gzip", None).await;
    let (plain, coded) = (tag(&plain).unwrap().to_owned(), tag(&coded).unwrap().to_owned());
    assert_eq!(coded, format!("{}.gzip\"", plain.trim_end_matches('"')));
    for (coding, held, status) in
        [("gzip", &coded, 304), ("identity", &plain, 304), ("identity", &coded, 200), ("br", &coded, 200)]
    {
        let response = ask(coding, Some(held)).await;
        assert_eq!(response.status(), status, "{coding} {held}");
        if status == 304 {
            assert_eq!(tag(&response), Some(held.as_str()));
        }
    }
}
