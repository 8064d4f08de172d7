//! A deadline for every phase of a connection.

use std::time::Duration;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(250);
/// Long enough to tell from `SHORT` on a crowded machine.
const LONG: Duration = Duration::from_secs(10);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn assert_short(took: Duration) {
    assert!(took >= SHORT - ms(20) && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_silent_connection_is_closed() -> Outcome {
    let server = start(server().first_byte_timeout(SHORT).head_timeout(LONG)).await;
    assert_short(server.connect().await.closed_after().await);
    Ok(())
}

#[tokio::test]
async fn a_slow_head_is_closed_however_it_trickles() -> Outcome {
    let server = start(server().head_timeout(SHORT).first_byte_timeout(LONG)).await;
    let client = server.connect().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let trickle = tokio::spawn(async move {
        for byte in b"GET /hello HTTP/1.1\r\nHost: a-host-with-a-long-name".iter().cycle() {
            if tokio::io::AsyncWriteExt::write_all(&mut writer, &[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(ms(20)).await;
        }
    });
    let begin = std::time::Instant::now();
    let mut received = Vec::new();
    let _ = within(tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut received)).await;
    assert_short(begin.elapsed());
    assert!(received.is_empty());
    trickle.abort();
    Ok(())
}

#[tokio::test]
async fn a_slow_second_head_has_no_more_time_than_the_first() -> Outcome {
    let server = start(server().head_timeout(SHORT).keep_alive_timeout(LONG)).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/hello").await.status, 200);
    client.send("GET /hel").await;
    assert_short(client.closed_after().await);
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_closed() -> Outcome {
    let server = start(server().keep_alive_timeout(SHORT).head_timeout(LONG).first_byte_timeout(LONG)).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/hello").await.status, 200);
        tokio::time::sleep(SHORT / 3).await;
    }
    client.get("/hello").await;
    assert_short(client.closed_after().await);
    Ok(())
}

#[tokio::test]
async fn idle_time_is_not_head_time() -> Outcome {
    let server = start(server().head_timeout(SHORT).first_byte_timeout(SHORT).keep_alive_timeout(LONG)).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/hello").await.status, 200);
    tokio::time::sleep(SHORT * 3).await;
    assert_eq!(client.get("/hello").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_rest_of_an_ignored_body_is_not_a_head() -> Outcome {
    let server = start(server().head_timeout(SHORT).keep_alive_timeout(LONG)).await;
    let mut client = server.connect().await;
    client.send("POST /sleep?200 HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n").await;
    tokio::time::sleep(ms(50)).await;
    client.send("0123456789").await;
    assert_eq!(client.answer().await.body, "slept");
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(client.get("/hello").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_leaf_at_work_is_not_hurried() -> Outcome {
    let builder = server().head_timeout(SHORT).first_byte_timeout(SHORT).keep_alive_timeout(SHORT);
    let server = start(builder.write_timeout(SHORT).body_timeout(SHORT)).await;
    assert_eq!(server.connect().await.get("/sleep?800").await.body, "slept");
    Ok(())
}

#[tokio::test]
async fn a_body_that_pauses_is_a_408() -> Outcome {
    let server = start(server().body_timeout(SHORT)).await;
    let begin = std::time::Instant::now();
    let answer = server.exchange("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    assert!(begin.elapsed() >= SHORT - ms(20));
    Ok(())
}

#[tokio::test]
async fn a_body_with_short_pauses_is_read() -> Outcome {
    let server = start(server().body_timeout(SHORT).body_min_rate(1)).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\n").await;
    for _ in 0..8 {
        tokio::time::sleep(SHORT / 5).await;
        client.send("x").await;
    }
    assert_eq!(client.answer().await.body, "xxxxxxxx");
    Ok(())
}

#[tokio::test]
async fn a_body_that_trickles_is_a_408() -> Outcome {
    let server = start(server().body_timeout(SHORT).body_min_rate(1000)).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n").await;
    let begin = std::time::Instant::now();
    let mut byte = [0];
    // Bytes keep coming, each well within the pause.
    while client.stream.try_read(&mut byte).is_err() {
        assert!(begin.elapsed() < LONG, "nothing stops it");
        client.send("x").await;
        tokio::time::sleep(ms(20)).await;
    }
    let answer = client.rest().await;
    assert!(answer.starts_with("TTP/1.1 408 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_dropped() -> Outcome {
    let server = start(server().write_timeout(SHORT)).await;
    let mut client = server.connect().await;
    client.send("GET /endless HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    let begin = std::time::Instant::now();
    server.working(0).await;
    assert!(begin.elapsed() < LONG);
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_is_served_as_long_as_it_reads() -> Outcome {
    let server = start(server().write_timeout(4 * SHORT)).await;
    let mut client = server.connect().await;
    client.send("GET /endless HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let mut buffer = vec![0; 1024 * 1024];
    // Longer than the timeout in all. The kernel may take some 200 ms to tell the server that there is room again.
    for _ in 0..7 {
        tokio::time::sleep(SHORT).await;
        let count = within(tokio::io::AsyncReadExt::read(&mut client.stream, &mut buffer)).await?;
        assert!(count > 0, "cut off");
        // Empty what has piled up, so that the server can write again.
        while client.stream.try_read(&mut buffer).is_ok_and(|count| count > 0) {}
    }
    Ok(())
}
