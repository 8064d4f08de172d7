//! Limits on bodies over a real connection.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tower::service_fn;
use tower_layer::Layer;
use ziggurat::layers::TimeoutLayer;
use ziggurat::layers::timeout::{Bodies, TimedBody};
use ziggurat::{Body, Problem, Response};

use crate::support::channel;

/// A connection to a server of hyper's with `layer` around `inner`.
async fn connected<F>(
    layer: TimeoutLayer<Bodies>,
    inner: impl Fn(TimedBody<hyper::body::Incoming>) -> F + Clone + Send + 'static,
) -> TcpStream
where
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(move |request: http::Request<_>| {
        let answer = inner(request.into_body());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(layer.layer(service));
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
    TcpStream::connect(address).await.unwrap()
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn over_a_socket_nothing_that_was_cut_off_poses_as_whole() {
    for layer in [TimeoutLayer::default().body_idle(SHORT), TimeoutLayer::default().total(SHORT)] {
        let (sender, body) = channel();
        sender.send(Ok("part".into())).unwrap();
        let body = Arc::new(Mutex::new(Some(body)));
        let reply = move |_| ready(Response::new(body.lock().unwrap().take().unwrap()));
        let mut client = connected(layer, reply).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert!(all.starts_with("HTTP/1.1 200") && all.contains("transfer-encoding: chunked"), "{all}");
        assert!(all.ends_with("4\r\npart\r\n"), "no last chunk: {all}");
    }
}

#[tokio::test]
async fn over_a_socket_a_client_that_sends_nothing_is_a_408() {
    let reply = async |body: TimedBody<hyper::body::Incoming>| match body.collect().await {
        Ok(_) => Response::default(),
        Err(_) => Problem::internal().into_response(),
    };
    let mut client = connected(TimeoutLayer::default().body_idle(SHORT), reply).await;
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\npart").await.unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 408") && all.contains("application/problem+json"), "{all}");
}

#[tokio::test]
async fn over_a_socket_a_client_that_is_slow_to_read_gets_all() {
    const PART: usize = 1 << 16;
    const PARTS: usize = 1 << 9;
    // More than sockets hold, and always there.
    let reply = |_| {
        let parts = futures_util::stream::iter((0..PARTS).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; PART]))));
        ready(Response::new(Body::from_stream(parts)))
    };
    let mut client = connected(TimeoutLayer::default().body_idle(SHORT), reply).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    sleep(5 * SHORT).await;
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert!(all.len() > PART * PARTS && all.ends_with(b"0\r\n\r\n"), "{}", all.len());
}
