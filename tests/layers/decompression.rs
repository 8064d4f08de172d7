//! Coded request bodies: what comes out, bombs, and streams that are broken.

use std::convert::Infallible;
use std::io::Write;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::compression::Coding;
use ziggurat::layers::{
    BodyLimitLayer, DecompressionLayer, LayerSpec, body_limit::LimitedBody, decompression::DecompressedBody, foundation,
};
use ziggurat::{Body, BodyTooLarge, BoxError, DecodeError, Problem, Request, Response, Route};

use crate::support::{bytes, gzip, problem, text};

const CODINGS: [&str; 4] = ["br", "zstd", "gzip", "deflate"];

/// Made by encoders that have nothing to do with ours.
fn encode(coding: &str, text: &[u8]) -> Bytes {
    match coding {
        "gzip" => gzip(text),
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap().into()
        }
        "br" => {
            let mut coded = Vec::new();
            brotli::CompressorWriter::new(&mut coded, 4096, 5, 22).write_all(text).unwrap();
            coded.into()
        }
        "zstd" => zstd::stream::encode_all(text, 3).unwrap().into(),
        other => panic!("no encoder for {other}"),
    }
}

/// Text that does not shrink much.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"0123456789abcdef"[(state >> 28) as usize]
    };
    (0..length).map(|_| next()).collect()
}

fn in_pieces(bytes: &Bytes, size: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok::<_, BoxError>(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

fn coded(coding: &str, body: impl Into<Body>) -> Request {
    http::Request::post("/").header("content-encoding", coding).body(body.into()).unwrap()
}

async fn read(request: Request) -> Response {
    assert!(!request.headers().contains_key("content-encoding") && !request.headers().contains_key("content-length"));
    match request.into_body().collect().await {
        Ok(body) => Response::new(body.to_bytes().into()),
        Err(error) => Problem::unreadable(&*error).into_response(),
    }
}

/// Reads the body, and answers with it or with the problem that it made.
async fn send(layer: DecompressionLayer, request: Request) -> Response {
    let echo = service_fn(|request: Request<DecompressedBody<Body>>| async {
        Ok::<_, Infallible>(read(request.map(Body::from)).await)
    });
    layer.layer(echo).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn every_coding_is_taken_off() {
    let texts = [b"".to_vec(), b"hello".to_vec(), noise(200_000)];
    for coding in CODINGS.into_iter().chain(["x-gzip", "GZIP", "identity, gzip", "gzip,"]) {
        let name = if coding.to_ascii_lowercase().contains("gzip") { "gzip" } else { coding };
        for plain in &texts {
            let body = encode(name, plain);
            for body in [Body::from(body.clone()), in_pieces(&body, 1 + plain.len() / 10), in_pieces(&body, 1 << 14)] {
                let mut request = coded(coding, body);
                request.headers_mut().insert("content-length", 7.into());
                let response = send(DecompressionLayer::new(), request).await;
                assert_eq!(response.status(), 200, "{coding}");
                assert!(bytes(response).await == *plain, "{coding}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_coded_is_left_alone() {
    let show = service_fn(|request: Request<DecompressedBody<Body>>| async {
        let announced = request.headers().get("content-length").cloned();
        let body = Body::from(request.into_body());
        assert_eq!(body.as_bytes().unwrap(), "as it was", "no box");
        assert_eq!(announced.unwrap(), "9");
        Ok::<Response, Infallible>(Response::default())
    });
    for coding in [None, Some("identity"), Some("")] {
        let mut request = http::Request::post("/").header("content-length", 9);
        if let Some(coding) = coding {
            request = request.header("content-encoding", coding);
        }
        let request = request.body(Body::from("as it was")).unwrap();
        DecompressionLayer::new().layer(show).oneshot(request).await.unwrap();
    }
    let response = send(DecompressionLayer::new(), coded("gzip", Body::empty())).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (200, ""), "no body is no broken one");
    let response = send(DecompressionLayer::new(), coded("zstd", in_pieces(&Bytes::new(), 1))).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn other_codings_are_a_415_that_tells_what_is_known() {
    let never =
        service_fn(|_: Request<DecompressedBody<Body>>| async { panic!("arrived") as Result<Response, Infallible> });
    let some = DecompressionLayer::new().codings([Coding::Gzip, Coding::Zstd]).unwrap();
    for (layer, coding, known) in [
        (DecompressionLayer::new(), "compress", "br, zstd, gzip, deflate"),
        (DecompressionLayer::new(), "gzip, gzip", "br, zstd, gzip, deflate"),
        (DecompressionLayer::new(), "br, identity, zstd", "br, zstd, gzip, deflate"),
        (DecompressionLayer::new(), "gzip;q=1", "br, zstd, gzip, deflate"),
        (DecompressionLayer::new(), "g zip", "br, zstd, gzip, deflate"),
        (DecompressionLayer::new(), "\u{e9}", "br, zstd, gzip, deflate"),
        (some, "br", "gzip, zstd"),
    ] {
        let response = layer.layer(never).oneshot(coded(coding, "x")).await.unwrap();
        assert_eq!(response.status(), 415, "{coding}");
        assert_eq!(response.headers()["accept-encoding"], known);
        assert_eq!(problem(response).await["type"], "https://ziggurat.dev/e/unsupported_media_type");
    }
    // Two headers are one list.
    let mut request = coded("gzip", gzip(b"x"));
    request.headers_mut().append("content-encoding", "br".parse().unwrap());
    assert_eq!(DecompressionLayer::new().layer(never).oneshot(request).await.unwrap().status(), 415);
}

#[tokio::test]
async fn a_bomb_is_a_413() {
    for coding in CODINGS {
        let exact = send(DecompressionLayer::new().max_bytes(1000), coded(coding, encode(coding, &noise(1000)))).await;
        assert_eq!((exact.status().as_u16(), bytes(exact).await.len()), (200, 1000), "{coding}");
        let more = send(DecompressionLayer::new().max_bytes(1000), coded(coding, encode(coding, &noise(1001)))).await;
        assert_eq!(more.status(), 413, "{coding}");
        assert_eq!(problem(more).await["detail"], "the body may have at most 1000 bytes");

        let zeros = encode(coding, &vec![0; 4 << 20]);
        let wide = DecompressionLayer::new().max_bytes(8 << 20);
        let dense = send(wide.clone(), coded(coding, zeros.clone())).await;
        assert_eq!(dense.status(), 413, "{coding}");
        assert_eq!(problem(dense).await["detail"], "the body has more than 200 times the bytes that were sent");
        let allowed = send(wide.max_ratio(u32::MAX).unwrap(), coded(coding, zeros)).await;
        assert_eq!((allowed.status().as_u16(), bytes(allowed).await.len()), (200, 4 << 20), "{coding}");

        // Little may grow by any factor.
        let small = send(DecompressionLayer::new().max_ratio(1).unwrap(), coded(coding, encode(coding, &[0; 60_000])));
        assert_eq!(small.await.status(), 200, "{coding}");
    }
}

/// What a bomb costs is bounded: decoding stops at the limit, and not at the end.
#[tokio::test]
async fn decoding_stops_where_the_limit_is() {
    let bomb = encode("gzip", &vec![0; 64 << 20]);
    let layer = DecompressionLayer::new().max_bytes(100_000).max_ratio(u32::MAX).unwrap();
    let count = service_fn(|request: Request<DecompressedBody<Body>>| async {
        let mut body = request.into_body();
        let mut read = 0;
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => read += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(read <= 100_000, "{read}");
        assert_eq!(error.downcast_ref(), Some(&BodyTooLarge { limit: 100_000 }));
        assert!(body.frame().await.is_none() && http_body::Body::is_end_stream(&body));
        Ok::<Response, Infallible>(Response::default())
    });
    assert_eq!(layer.layer(count).oneshot(coded("gzip", bomb)).await.unwrap().status(), 200);
}

/// Empty members and frames decode to nothing, however many there are.
#[tokio::test]
async fn endless_nothing_comes_to_an_end() {
    for coding in ["gzip", "zstd"] {
        let nothing = encode(coding, b"").repeat(1000);
        let response = send(DecompressionLayer::new(), coded(coding, nothing.clone())).await;
        assert_eq!(response.status(), 200, "{coding}");
        let response = send(DecompressionLayer::new().max_bytes(nothing.len() - 1), coded(coding, nothing)).await;
        assert_eq!(response.status(), 413, "{coding}");
    }
}

/// A header of a few bytes asks for a window of 128 MiB.
#[tokio::test]
async fn windows_of_zstandard_are_bounded() {
    let with = |window| {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window).unwrap();
        encoder.write_all(b"small").unwrap();
        encoder.flush().unwrap();
        coded("zstd", encoder.finish().unwrap())
    };
    assert_eq!(text(send(DecompressionLayer::new(), with(23)).await).await, "small");
    assert_eq!(send(DecompressionLayer::new(), with(27)).await.status(), 400);
}

#[tokio::test]
async fn a_broken_stream_is_a_400() {
    for coding in CODINGS {
        let whole = encode(coding, &noise(10_000));
        let mut flipped = whole.to_vec();
        flipped[0] ^= 0xff;
        let cut = whole.slice(..whole.len() - 4);
        let mut more = whole.to_vec();
        more.extend_from_slice(b"and more");
        for body in [Bytes::from_static(b"not coded at all"), flipped.into(), cut, whole.slice(..1), more.into()] {
            for body in [Body::from(body.clone()), in_pieces(&body, 100)] {
                let response = send(DecompressionLayer::new(), coded(coding, body)).await;
                assert_eq!(response.status(), 400, "{coding}");
                assert_eq!(problem(response).await["detail"], "the content coding of the body is malformed");
            }
        }
    }
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(text(send(DecompressionLayer::new(), coded("gzip", two)).await).await, "one two");
}

#[tokio::test]
async fn failures_and_trailers_of_the_body_below_come_through() {
    let whole = gzip(&noise(1000));
    let torn = [Ok(whole.slice(..500)), Err("torn")];
    let show = service_fn(|request: Request<DecompressedBody<Body>>| async {
        let error = request.into_body().collect().await.unwrap_err();
        Ok::<Response, Infallible>(Response::new(Body::from(error.to_string())))
    });
    let request = coded("gzip", Body::from_stream(futures_util::stream::iter(torn)));
    assert_eq!(text(DecompressionLayer::new().layer(show).oneshot(request).await.unwrap()).await, "torn");

    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let frames = [Frame::data(gzip(b"hello")), Frame::trailers(trailers)].map(Ok::<_, BoxError>);
    let show = service_fn(|request: Request<DecompressedBody<Body>>| async {
        let body = request.into_body().collect().await.unwrap();
        let sum = body.trailers().unwrap()["x-sum"].to_str().unwrap().to_owned();
        assert_eq!(body.to_bytes(), "hello");
        Ok::<Response, Infallible>(Response::new(Body::from(sum)))
    });
    let request = coded("gzip", Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    assert_eq!(text(DecompressionLayer::new().layer(show).oneshot(request).await.unwrap()).await, "7");
}

#[tokio::test]
async fn a_reader_that_does_not_know_the_failure_is_corrected() {
    let answer = |status: u16, body: Bytes| {
        let reader = service_fn(move |request: Request<DecompressedBody<Body>>| async move {
            let failed = request.into_body().collect().await.is_err();
            let status = if failed { status } else { 500 };
            Ok::<_, Infallible>(http::Response::builder().status(status).body(Body::from("own")).unwrap())
        });
        let layer = DecompressionLayer::new().max_bytes(100_000);
        layer.layer(reader).oneshot(coded("gzip", body))
    };
    let (large, dense) = (gzip(&noise(100_001)), gzip(&[0; 100_000]));
    for (status, body, wanted) in [
        (400, &large, 413),
        (500, &large, 413),
        (403, &large, 403),
        (400, &dense, 413),
        (500, &dense, 413),
        (500, &Bytes::from("broken"), 400),
        (422, &Bytes::from("broken"), 422),
        // Nothing failed, so the fault is the reader's own.
        (500, &gzip(b"fine"), 500),
    ] {
        assert_eq!(answer(status, body.clone()).await.unwrap().status(), wanted, "{status}");
    }
    assert_eq!(text(answer(400, "broken".into()).await.unwrap()).await, "own", "a 400 it is");
}

/// Further out `BodyLimit` counts what is sent, further in what came out.
#[tokio::test]
async fn the_smaller_limit_counts_in_both_orders() {
    let plain = noise(2000);
    let sent = gzip(&plain).len();
    assert!(sent < 1500);
    for (limit, decompressed, outside, inside) in
        [(sent, 2000, 200, 413), (sent - 1, 2000, 413, 413), (2000, 2000, 200, 200), (2000, 1999, 413, 413)]
    {
        for announced in [true, false] {
            let body = || if announced { gzip(&plain).into() } else { in_pieces(&gzip(&plain), 100) };
            let (body_limit, layer) = (BodyLimitLayer::new(limit), DecompressionLayer::new().max_bytes(decompressed));
            let echo = service_fn(|request: Request<DecompressedBody<LimitedBody<Body>>>| async {
                Ok::<_, Infallible>(read(request.map(Body::new)).await)
            });
            let response = body_limit.layer(layer.layer(echo)).oneshot(coded("gzip", body())).await.unwrap();
            assert_eq!(response.status(), outside, "{limit} {decompressed}");
            let echo = service_fn(|request: Request<LimitedBody<DecompressedBody<Body>>>| async {
                Ok::<_, Infallible>(read(request.map(Body::new)).await)
            });
            let response = layer.layer(body_limit.layer(echo)).oneshot(coded("gzip", body())).await.unwrap();
            assert_eq!(response.status(), inside, "{limit} {decompressed}");
        }
    }
}

#[test]
fn failures_say_what_they_are() {
    assert_eq!(DecodeError::Malformed.to_string(), "the content coding of the body is malformed");
    let error: BoxError = DecodeError::Ratio { most: 7 }.into();
    assert_eq!(Problem::unreadable(&*error).status(), 413);
    assert!(DecompressionLayer::new().codings([]).unwrap_err().to_string().contains("algorithms is empty"));
    assert!(DecompressionLayer::new().max_ratio(0).unwrap_err().to_string().contains("max_ratio is 0; "));
}

/// With what every app has and nothing else.
#[tokio::test]
async fn a_limit_further_out_counts_what_is_sent_and_what_comes_out_has_its_own() {
    let specs = foundation(LayerSpec::list_from_json(r#"[{"type":"Decompression"}]"#).unwrap());
    let names: Vec<_> = specs.iter().map(LayerSpec::to_string).collect();
    assert_eq!(names[3..], ["BodyLimit", "Decompression"]);
    let inner = Route::new(service_fn(|request: Request| async {
        Ok::<Response, Infallible>(match request.into_body().collect().await {
            Ok(body) => Response::new(body.to_bytes().len().to_string().into()),
            Err(error) => Problem::unreadable(&*error).into_response(),
        })
    }));
    let stack = specs.into_iter().rev().fold(inner, |inner, spec| spec.build().unwrap().apply(inner));
    for (length, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        let sent = gzip(&noise(length));
        assert!(sent.len() < 1 << 20);
        let response = stack.clone().oneshot(coded("gzip", sent)).await.unwrap();
        assert_eq!(response.status(), status, "{length}");
        if status == 413 {
            assert_eq!(problem(response).await["detail"], "the body may have at most 1048576 bytes");
        }
    }
}
