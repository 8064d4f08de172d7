//! HTTP/2 with prior knowledge.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

type Sender = SendRequest<Full<bytes::Bytes>>;

async fn connect(server: &Running) -> Sender {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str, body: &'static str) -> http::Request<Full<bytes::Bytes>> {
    http::Request::post(format!("http://test{path}")).body(Full::from(body)).unwrap()
}

async fn text(response: http::Response<hyper::body::Incoming>) -> Result<String, Failure> {
    Ok(String::from_utf8(within(response.into_body().collect()).await?.to_bytes().to_vec())?)
}

#[tokio::test]
async fn streams_are_served_side_by_side() -> Outcome {
    let server = start(server()).await;
    let mut sender = connect(&server).await;
    let slow = sender.send_request(request("/sleep?300", ""));
    let quick = sender.send_request(request("/echo", "quick"));
    let begin = Instant::now();
    let quick = within(quick).await?;
    assert_eq!(quick.version(), http::Version::HTTP_2);
    assert_eq!(text(quick).await?, "quick");
    assert!(begin.elapsed() < Duration::from_millis(300), "the slow one does not block");
    assert_eq!(text(within(slow).await?).await?, "slept");
    Ok(())
}

#[tokio::test]
async fn lengths_and_targets_are_checked_here_too() -> Outcome {
    let server = start(server().max_uri_bytes(100)).await;
    let mut sender = connect(&server).await;
    assert_eq!(text(within(sender.send_request(request("/hint", "12345"))).await?).await?, "Some(5)");
    let long = within(sender.send_request(request(&format!("/hello?{}", "x".repeat(100)), ""))).await?;
    assert_eq!(long.status(), 414);
    assert!(!long.headers().contains_key("connection"));
    assert_eq!(within(sender.send_request(request("/hello", ""))).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn no_answer_to_head_has_a_body() -> Outcome {
    let server = start(server().max_uri_bytes(100)).await;
    let mut sender = connect(&server).await;
    let long = format!("/hello?{}", "x".repeat(100));
    for (path, status, length) in
        [("/hello", 200, Some("5")), ("/nowhere", 404, None), ("/endless", 200, None), (&long, 414, None)]
    {
        let head = http::Request::head(format!("http://test{path}")).body(Full::default())?;
        let response = within(sender.send_request(head)).await?;
        assert_eq!(response.status(), status, "{path}");
        let told = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        if let Some(length) = length {
            assert_eq!(told.as_deref(), Some(length), "{path}");
        }
        assert_eq!(told.is_none(), path == "/endless", "{path}");
        assert_eq!(text(response).await?, "", "{path}");
    }
    server.working(0).await;
    Ok(())
}

#[tokio::test]
async fn a_panic_resets_one_stream_only() -> Outcome {
    let server = start(server()).await;
    let mut sender = connect(&server).await;
    assert!(within(sender.send_request(request("/panic", ""))).await.is_err());
    assert_eq!(text(within(sender.send_request(request("/hello", ""))).await?).await?, "hello");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_stream_drops_its_work() -> Outcome {
    let server = start(server()).await;
    let mut sender = connect(&server).await;
    let slow = tokio::spawn(sender.send_request(request("/sleep?600000", "")));
    server.working(1).await;
    slow.abort();
    server.working(0).await;
    assert_eq!(within(sender.send_request(request("/hello", ""))).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_closed() -> Outcome {
    let server = start(server().keep_alive_timeout(Duration::from_millis(250))).await;
    let mut sender = connect(&server).await;
    assert_eq!(within(sender.send_request(request("/sleep?600", ""))).await?.status(), 200);
    assert!(!sender.is_closed());
    until(|| sender.is_closed()).await;
    Ok(())
}

#[tokio::test]
async fn an_incomplete_preface_is_closed() -> Outcome {
    let server = start(server().head_timeout(Duration::from_millis(250))).await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n").await;
    assert!(client.closed_after().await < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn a_window_that_stays_closed_is_given_up() -> Outcome {
    let server = start(server().write_timeout(Duration::from_millis(250))).await;
    let mut sender = connect(&server).await;
    let response = within(sender.send_request(request("/endless", ""))).await?;
    // The body is held and not read, so the window closes.
    server.working(0).await;
    drop(response);
    Ok(())
}

#[tokio::test]
async fn a_slow_body_is_a_408() -> Outcome {
    let server = start(server().body_timeout(Duration::from_millis(250))).await;
    let stream = TcpStream::connect(server.addr).await?;
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let stalled = futures_util::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
    let request = http::Request::post("http://test/echo").body(http_body_util::StreamBody::new(stalled))?;
    assert_eq!(within(sender.send_request(request)).await?.status(), 408);
    Ok(())
}

#[tokio::test]
async fn streams_in_flight_finish_at_a_stop() -> Outcome {
    let mut server = start(server()).await;
    let mut sender = connect(&server).await;
    let slow = tokio::spawn(sender.send_request(request("/sleep?300", "")));
    server.working(1).await;
    server.stop();
    assert_eq!(text(within(slow).await??).await?, "slept");
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (1, 0));
    Ok(())
}

#[tokio::test]
async fn the_deadline_drops_streams() -> Outcome {
    let server = start(server().drain_timeout(Duration::from_millis(200))).await;
    let mut sender = connect(&server).await;
    let slow = tokio::spawn(sender.send_request(request("/sleep?600000", "")));
    server.working(1).await;
    let at_work = server.at_work.clone();
    assert_eq!(server.drained().await.dropped, 1);
    until(|| at_work.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
    assert!(within(slow).await?.is_err());
    Ok(())
}

/// A stream that is a tunnel (RFC 8441).
async fn tunnel(sender: &mut Sender, path: &str) -> TokioIo<hyper::upgrade::Upgraded> {
    let connect = http::Request::builder()
        .method("CONNECT")
        .uri(format!("http://test{path}"))
        .extension(hyper::ext::Protocol::from_static("echo"));
    let response = within(sender.send_request(connect.body(Full::default()).unwrap())).await.unwrap();
    assert_eq!(response.status(), 200);
    TokioIo::new(within(hyper::upgrade::on(response)).await.unwrap())
}

async fn echoes(io: &mut TokioIo<hyper::upgrade::Upgraded>, text: &str) {
    within(io.write_all(text.as_bytes())).await.unwrap();
    let mut back = vec![0; text.len()];
    within(io.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, text.as_bytes());
}

#[tokio::test]
async fn a_tunnel_is_not_idle() -> Outcome {
    let server = start(server().keep_alive_timeout(Duration::from_millis(100))).await;
    let mut sender = connect(&server).await;
    let mut io = tunnel(&mut sender, "/tunnel").await;
    echoes(&mut io, "one").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    echoes(&mut io, "two").await;
    assert_eq!(text(within(sender.send_request(request("/hello", ""))).await?).await?, "hello");
    drop(io);
    server.working(0).await;
    until(|| sender.is_closed()).await;
    Ok(())
}

#[tokio::test]
async fn a_stop_waits_for_a_tunnel_to_end() -> Outcome {
    let server = start(server()).await;
    let mut sender = connect(&server).await;
    let mut io = tunnel(&mut sender, "/tunnel").await;
    echoes(&mut io, "hello").await;
    let drained = tokio::spawn(server.drained());
    let mut bye = String::new();
    within(io.read_to_string(&mut bye)).await?;
    assert_eq!(bye, "bye");
    drop(io);
    let drained = within(drained).await?;
    assert_eq!((drained.finished, drained.dropped), (1, 0));
    Ok(())
}
