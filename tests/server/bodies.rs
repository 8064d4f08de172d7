//! Request bodies, whole and broken.

use tokio::io::AsyncWriteExt;

use crate::support::*;

fn post(path: &str, rest: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: t\r\n{rest}")
}

#[tokio::test]
async fn lengths_are_known_exactly() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/hint").await.body, "Some(0)");
    client.send(post("/hint", "Content-Length: 5\r\n\r\nhello")).await;
    assert_eq!(client.answer().await.body, "Some(5)");
    let mut client = server.connect().await;
    client.send(post("/hint", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).await;
    assert_eq!(client.answer().await.body, "None");
    Ok(())
}

#[tokio::test]
async fn chunks_are_joined() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    client.send(post("/echo", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    client.send("4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "abcdefg");
    assert_eq!(client.get("/hello").await.status, 200, "the connection lives on");
    Ok(())
}

#[tokio::test]
async fn a_large_body_arrives_whole() -> Outcome {
    let server = start(server()).await;
    let body = "0123456789".repeat(300_000);
    let mut client = server.connect().await;
    client.send(post("/echo", &format!("Content-Length: {}\r\n\r\n", body.len()))).await;
    let (mut reader, mut writer) = client.stream.into_split();
    let sent = body.clone();
    let send = tokio::spawn(async move { writer.write_all(sent.as_bytes()).await.map(|()| writer) });
    let mut received = Vec::new();
    let answer = async {
        while !received.ends_with(b"0123456789") || received.len() < body.len() {
            if tokio::io::AsyncReadExt::read_buf(&mut reader, &mut received).await.unwrap() == 0 {
                break;
            }
        }
    };
    within(answer).await;
    let text = String::from_utf8(received)?;
    assert!(text.ends_with(&body), "{}", text.len());
    send.await??;
    Ok(())
}

#[tokio::test]
async fn broken_chunks_are_a_400() -> Outcome {
    let server = start(server()).await;
    for chunks in ["zz\r\nabc\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let answer = server.exchange(post("/echo", &format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"))).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(answer.contains("transfer coding"), "{chunks:?}: {answer}");
        assert_eq!(header(&answer, "connection"), Some("close"));
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_400() -> Outcome {
    let server = start(server()).await;
    for rest in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let mut client = server.connect().await;
        client.send(post("/echo", rest)).await;
        client.stream.shutdown().await?;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{rest:?}: {answer}");
        assert!(answer.contains("ended before its announced end"), "{rest:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn contradicting_lengths_are_a_400() -> Outcome {
    let server = start(server()).await;
    for lengths in ["Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: x\r\n", "Content-Length: -1\r\n"] {
        let answer = server.exchange(post("/echo", &format!("{lengths}\r\nabc"))).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_awaited_continue_is_sent() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    client.send(post("/echo", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 100);
    client.send("ok").await;
    assert_eq!(client.answer().await.body, "ok");
    Ok(())
}

#[tokio::test]
async fn an_answer_survives_the_body_it_refused() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    client.send(post("/unread", "Content-Length: 24000000\r\n\r\n")).await;
    // A client that reads only when it has sent everything, as many do.
    let body = vec![b'x'; 24_000_000];
    within(client.stream.write_all(&body)).await?;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    Ok(())
}
