//! Sockets that a service takes over (RFC 9110, 7.8), as for WebSockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::support::*;

const UPGRADE: &str = "GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const STUBBORN: &str = "GET /upgrade?1 HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

async fn upgraded(server: &Running, head: &str) -> Client {
    let mut client = server.connect().await;
    client.send(head).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    client
}

async fn echoes(client: &mut Client, text: &str) {
    client.send(text).await;
    let mut back = vec![0; text.len()];
    within(client.stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, text.as_bytes());
}

#[tokio::test]
async fn a_service_takes_the_socket_over() -> Outcome {
    let server = start(server().keep_alive_timeout(Duration::from_millis(100))).await;
    let mut client = upgraded(&server, UPGRADE).await;
    echoes(&mut client, "GET / HTTP/1.1\r\n\r\n").await;
    // The times of requests are not those of what is no HTTP any more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    echoes(&mut client, "still there").await;
    drop(client);
    server.working(0).await;
    Ok(())
}

#[tokio::test]
async fn it_counts_as_a_connection_until_it_is_closed() -> Outcome {
    let server = start(server().max_connections(1)).await;
    let client = upgraded(&server, UPGRADE).await;
    assert!(server.exchange("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
    drop(client);
    server.working(0).await;
    within(async {
        while server.exchange("GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.contains(" 503 ") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_stop_tells_it_to_end() -> Outcome {
    let mut server = start(server()).await;
    let mut client = upgraded(&server, UPGRADE).await;
    echoes(&mut client, "hello").await;
    server.stop();
    assert_eq!(client.rest().await, "bye");
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (1, 0));
    assert!(drained.took < Duration::from_secs(5), "{drained:?}");
    Ok(())
}

#[tokio::test]
async fn one_that_does_not_end_is_dropped() -> Outcome {
    let server = start(server().drain_timeout(Duration::from_millis(200))).await;
    let mut client = upgraded(&server, STUBBORN).await;
    echoes(&mut client, "hello").await;
    let at_work = server.at_work.clone();
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (0, 1));
    assert!(drained.took < Duration::from_secs(5), "{drained:?}");
    until(|| at_work.load(Ordering::SeqCst) == 0).await;
    assert_eq!(client.rest().await, "");
    Ok(())
}

#[tokio::test]
async fn what_is_not_switched_stays_http() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    client.send("GET /hello HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "hello");
    assert_eq!(client.get("/hello").await.body, "hello");
    Ok(())
}
