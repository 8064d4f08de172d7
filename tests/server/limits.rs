//! Limits of size and number.

use crate::support::*;

#[tokio::test]
async fn a_head_that_is_too_large_is_a_431() -> Outcome {
    let server = start(server()).await;
    let fits = server.exchange(request(&format!("X: {}\r\nConnection: close\r\n", "x".repeat(60_000)))).await;
    assert!(fits.starts_with("HTTP/1.1 200 "), "{fits}");
    let large = server.exchange(request(&format!("X: {}\r\n", "x".repeat(70_000)))).await;
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
    assert_eq!(header(&large, "content-type"), Some("application/problem+json"));
    let (head, body) = large.split_once("\r\n\r\n").ok_or("no body")?;
    assert_eq!(header(head, "content-length"), Some(body.len().to_string().as_str()));
    assert!(body.contains("\"status\":431"), "{body}");
    Ok(())
}

#[tokio::test]
async fn too_many_fields_are_a_431() -> Outcome {
    let server_ = start(server()).await;
    let fits = server_.exchange(request(&format!("{}Connection: close\r\n", "X: 1\r\n".repeat(98)))).await;
    assert!(fits.starts_with("HTTP/1.1 200 "), "{fits}");
    let many = server_.exchange(request(&"X: 1\r\n".repeat(100))).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    let fewer = start(server().max_head_fields(5)).await;
    let many = fewer.exchange(request(&"X: 1\r\n".repeat(5))).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_too_long_is_a_414() -> Outcome {
    let server = start(server()).await;
    let target =
        |length: usize| format!("GET /hello?{} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "x".repeat(length));
    let fits = server.exchange(target(16 * 1024 - 7)).await;
    assert!(fits.starts_with("HTTP/1.1 200 "), "{fits}");
    let absurd = server.exchange(target(65_535 - 7)).await;
    assert!(absurd.starts_with("HTTP/1.1 4"), "{absurd}");
    assert_eq!(header(&absurd, "content-type"), Some("application/problem+json"));
    let long = server.exchange(target(16 * 1024)).await;
    assert!(long.starts_with("HTTP/1.1 414 "), "{long}");
    assert_eq!(header(&long, "content-type"), Some("application/problem+json"));
    Ok(())
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so() -> Outcome {
    let server = start(server().max_connections(2)).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!(first.get("/hello").await.status, 200);
    assert_eq!(second.get("/hello").await.status, 200);
    let refused = server.exchange(request("")).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    assert!(refused.contains("application/problem+json"), "{refused}");
    assert_eq!(first.get("/hello").await.status, 200, "open connections are not touched");
    drop(second);
    // The place is free once the server has noticed.
    for attempt in 0.. {
        let answer = server.exchange(request("Connection: close\r\n")).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(attempt < 200, "{answer}");
    }
    Ok(())
}

fn request(headers: &str) -> String {
    format!("GET /hello HTTP/1.1\r\nHost: t\r\n{headers}\r\n")
}
