//! What is asked is what is answered.

use crate::support::*;

#[tokio::test]
async fn one_connection_serves_many_requests() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        let answer = client.get("/hello").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    }
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\n";
    client.send(format!("{post}one{post}two{}", "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(client.answer().await.body);
    }
    assert_eq!(bodies, ["one", "two", "hello"]);
    Ok(())
}

#[tokio::test]
async fn a_head_may_come_in_pieces() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    for byte in b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n" {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.body, "hello");
    Ok(())
}

#[tokio::test]
async fn requests_know_both_ends() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    let own = client.stream.local_addr()?;
    assert_eq!(client.get("/peer").await.body, format!("{own} {}", server.addr));
    Ok(())
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() -> Outcome {
    let server = start(server()).await;
    let answer = server.exchange("GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn host_has_to_be_there_once_and_be_one() -> Outcome {
    let server = start(server()).await;
    for (hosts, expected) in [
        ("", "missing"),
        ("Host: a\r\nHost: a\r\n", "more than one"),
        ("Host: a b\r\n", "not a host"),
        ("Host: user@a\r\n", "not a host"),
        ("Host: a:b\r\n", "not a host"),
    ] {
        let answer = server.exchange(format!("GET /hello HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts:?}: {answer}");
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        assert!(answer.contains(expected), "{hosts:?}: {answer}");
    }
    let mut client = server.connect().await;
    client.send("GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    Ok(())
}

#[tokio::test]
async fn garbage_is_a_400() -> Outcome {
    let server = start(server()).await;
    for garbage in ["\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "{}\r\n\r\n"] {
        let answer = server.exchange(garbage).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer}");
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    }
    Ok(())
}

#[tokio::test]
async fn an_inherited_socket_is_served() -> Outcome {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let server = start(server().host("not used").listener(listener)).await;
    assert_eq!(server.addr, addr);
    assert_eq!(server.connect().await.get("/hello").await.status, 200);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_port_can_be_shared_on_request_only() -> Outcome {
    let first = start(server().reuse_port(true)).await;
    let again = || server().port(first.addr.port());
    assert!(again().build()?.bind().is_err());
    let second = start(again().reuse_port(true)).await;
    assert_eq!(second.addr, first.addr);
    let drained = first.drained().await;
    assert_eq!(drained.dropped, 0);
    assert_eq!(second.connect().await.get("/hello").await.status, 200, "the other one serves on");
    Ok(())
}

#[tokio::test]
async fn targets_that_are_no_paths_are_refused() -> Outcome {
    let server = start(server()).await;
    for line in ["CONNECT example.org:80 HTTP/1.1", "TRACE /hello-there HTTP/1.1"] {
        let answer = server.exchange(format!("{line}\r\nHost: t\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn noise_harms_nobody() -> Outcome {
    let server = start(server().head_timeout(std::time::Duration::from_millis(100))).await;
    let seeds =
        ["GET /hello HTTP/1.1\r\nHost: t\r\nX: y\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0"];
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for round in 0..60 {
        let mut bytes = seeds[round % 2].as_bytes().to_vec();
        for _ in 0..1 + random() % 6 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(1 + random() % bytes.len());
        let mut client = server.connect().await;
        client.send(&bytes).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await;
        client.rest().await;
    }
    assert_eq!(server.connect().await.get("/hello").await.status, 200);
    assert_eq!(server.drained().await.dropped, 0);
    Ok(())
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() -> Outcome {
    let server = start(server()).await;
    let mut bystander = server.connect().await;
    assert_eq!(bystander.get("/hello").await.status, 200);
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(bystander.get("/hello").await.status, 200);
    assert_eq!(server.drained().await.dropped, 0);
    Ok(())
}

#[tokio::test]
async fn work_for_a_client_that_left_is_dropped() -> Outcome {
    let server = start(server()).await;
    let mut client = server.connect().await;
    client.send("GET /sleep?600000 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.working(1).await;
    drop(client);
    server.working(0).await;
    Ok(())
}
