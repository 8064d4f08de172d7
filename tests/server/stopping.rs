//! Stopping without losing anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_close() -> Outcome {
    let mut server = start(server()).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    assert_eq!(idle.get("/hello").await.status, 200);
    busy.send("GET /sleep?400 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    server.stop();
    assert!(idle.closed_after().await < Duration::from_millis(300));
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("slept"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    let addr = server.addr;
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (1, 0));
    assert!(TcpStream::connect(addr).await.is_err(), "nothing listens any more");
    Ok(())
}

#[tokio::test]
async fn answers_without_an_end_are_told_to_end() -> Outcome {
    let mut server = start(server()).await;
    let mut feed = server.connect().await;
    feed.send("GET /feed HTTP/1.1\r\nHost: t\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop();
    let answer = feed.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("5\r\nbegun\r\n0\r\n\r\n"), "{answer}");
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (1, 0));
    assert!(drained.took < Duration::from_secs(5), "{drained:?}");
    Ok(())
}

#[tokio::test]
async fn the_deadline_drops_what_is_left() -> Outcome {
    let server = start(server().drain_timeout(Duration::from_millis(200))).await;
    let mut busy = server.connect().await;
    busy.send("GET /sleep?600000 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    let at_work = server.at_work.clone();
    let drained = server.drained().await;
    assert_eq!((drained.finished, drained.dropped), (0, 1));
    assert!(drained.took >= Duration::from_millis(190) && drained.took < Duration::from_secs(5), "{drained:?}");
    assert_eq!(at_work.load(Ordering::SeqCst), 0, "its work was dropped");
    assert_eq!(busy.rest().await, "");
    Ok(())
}

#[tokio::test]
async fn a_second_word_ends_the_waiting() -> Outcome {
    let mut server = start(server()).await;
    let mut busy = server.connect().await;
    busy.send("GET /sleep?600000 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.hurry();
    let drained = server.drained().await;
    assert_eq!(drained.dropped, 1);
    assert!(drained.took < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_stop() -> Outcome {
    let server = start(server()).await;
    let _silent = server.connect().await;
    let mut half = server.connect().await;
    half.send("PRI * HT").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(half);
    let drained = server.drained().await;
    assert!(drained.took < Duration::from_secs(5), "{drained:?}");
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_on_its_way_is_answered() -> Outcome {
    let mut server = start(server()).await;
    let mut client = server.connect().await;
    client.send("GET /hello HT").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send("TP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(client.rest().await.ends_with("hello"));
    assert_eq!(server.drained().await.dropped, 0);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_connections() -> Outcome {
    let server = start(server()).await;
    let mut busy = server.connect().await;
    busy.send("GET /sleep?600000 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    server.abort();
    server.working(0).await;
    assert_eq!(busy.rest().await, "");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn signals_are_counted() -> Outcome {
    use rustix::process::{Signal, getpid, kill_process};
    let signals = ziggurat::service::server::Signals::install()?;
    let (stop, hurry) = (tokio::spawn(signals.stop()), tokio::spawn(signals.hurry()));
    kill_process(getpid(), Signal::TERM)?;
    within(stop).await?;
    assert!(!hurry.is_finished());
    kill_process(getpid(), Signal::INT)?;
    within(hurry).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_begun_answer_is_whole() -> Outcome {
    let mut server = start(server()).await;
    let (served, cut) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let stopping = Arc::<AtomicBool>::default();
    let mut clients = Vec::new();
    for _ in 0..16 {
        let (served, cut, stopping) = (served.clone(), cut.clone(), stopping.clone());
        let mut client = server.connect().await;
        clients.push(tokio::spawn(async move {
            loop {
                let request = b"GET /sleep?2 HTTP/1.1\r\nHost: t\r\n\r\n";
                if tokio::io::AsyncWriteExt::write_all(&mut client.stream, request).await.is_err() {
                    break;
                }
                let mut received = Vec::new();
                while !received.ends_with(b"slept") {
                    let read = tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut received).await;
                    if read.unwrap_or(0) == 0 {
                        break;
                    }
                }
                if received.ends_with(b"slept") {
                    served.fetch_add(1, Ordering::SeqCst);
                } else {
                    // Closed between requests is fair; in the middle of an answer is not.
                    cut.fetch_add(usize::from(!received.is_empty()), Ordering::SeqCst);
                    assert!(stopping.load(Ordering::SeqCst), "closed before the stop");
                    break;
                }
            }
        }));
    }
    until(|| served.load(Ordering::SeqCst) > 100).await;
    stopping.store(true, Ordering::SeqCst);
    server.stop();
    let drained = server.drained().await;
    for client in clients {
        within(client).await?;
    }
    assert_eq!((drained.dropped, cut.load(Ordering::SeqCst)), (0, 0), "{drained:?}");
    Ok(())
}
