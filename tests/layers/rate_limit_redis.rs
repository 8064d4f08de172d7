//! Quotas in a real Redis server: that it is shared exactly, and all that can happen to it.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tracing::Level;
use ziggurat::layers::rate_limit::{OnFailure, RedisQuotas, Shared};

use crate::rate_limit_shared::{Limited, is_shared_exactly, limited, quota, shared, status};
use crate::redis::Redis;
use crate::support::log;

fn layer(server: &Redis) -> Limited<RedisQuotas> {
    limited(quota(1, 3600), shared(RedisQuotas::open(&server.url()).unwrap()))
}

async fn rest() {
    tokio::time::sleep(Duration::from_millis(1050)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_shared_exactly() {
    let Some(server) = Redis::started() else { return };
    is_shared_exactly(|| RedisQuotas::open(&server.url()).unwrap()).await;
    // Memory is bounded: each key goes by itself.
    let keys: u32 = server.command(&["DBSIZE"]).trim_start_matches(':').parse().unwrap();
    assert!(keys > 10);
    let key = server.command(&["RANDOMKEY"]);
    assert!(key.starts_with("ziggurat:") && key.len() == "ziggurat:".len() + 32, "{key}");
    let left: i64 = server.command(&["PTTL", &key]).trim_start_matches(':').parse().unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
    let other = RedisQuotas::open(&server.url()).unwrap().prefix("shop/");
    assert_eq!(status(&limited(quota(1, 3600), shared(other)), "::1").await, 200);
    assert!(server.command(&["EVAL", "return redis.call('KEYS', 'shop/*')[1]", "0"]).starts_with("shop/"));
}

#[tokio::test]
async fn scripts_that_are_flushed_are_sent_again() {
    let Some(server) = Redis::started() else { return };
    let layer = layer(&server);
    assert_eq!((status(&layer, "::1").await, status(&layer, "::1").await), (200, 429));
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "+OK");
    assert_eq!((status(&layer, "::1").await, status(&layer, "192.0.2.1").await), (429, 200));
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nobody_for_long() {
    let Some(server) = Redis::started() else { return };
    let layer = limited(quota(2, 1), shared(RedisQuotas::open(&server.url()).unwrap()));
    assert_eq!(status(&layer, "::1").await, 200);
    let key = server.command(&["RANDOMKEY"]);
    // As if it had been ahead by a year when the key was written.
    let ahead = "local t = redis.call('TIME'); \
        redis.call('SET', KEYS[1], string.format('%.0f', (t[1] + 31536000) * 1000000), 'PX', 31536000000)";
    assert_eq!(server.command(&["EVAL", ahead, "1", &key]), "$-1");
    assert_eq!(status(&layer, "::1").await, 429);
    tokio::time::sleep(Duration::from_millis(510)).await;
    assert_eq!(status(&layer, "::1").await, 200);
    let left: i64 = server.command(&["PTTL", &key]).trim_start_matches(':').parse().unwrap();
    assert!((1..=1000).contains(&left), "{left}");
    // What is no number is as good as nothing.
    assert_eq!(server.command(&["SET", &key, "nonsense"]), "+OK");
    assert_eq!(status(&layer, "::1").await, 200);
}

#[tokio::test]
async fn a_server_that_comes_later_or_again_is_used() {
    let Some(mut server) = Redis::stopped() else { return };
    let (lines, _guard) = log(Level::INFO);
    let open = |on_failure| {
        let quotas = Shared::new(RedisQuotas::open(&server.url()).unwrap()).on_failure(on_failure);
        limited(quota(1, 3600), quotas.limit(Duration::from_secs(5)))
    };
    let (allows, refuses) = (open(OnFailure::Allow), open(OnFailure::Refuse));
    assert_eq!((status(&allows, "::1").await, status(&refuses, "::1").await), (200, 503));
    assert_eq!((status(&allows, "::1").await, status(&refuses, "::1").await), (200, 503));
    let warned = lines.take_of("ziggurat::layers::rate_limit");
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(
        warned.iter().all(|line| line["level"] == "WARN" && line["store"].as_str().unwrap().starts_with("redis 127"))
    );

    server.start();
    rest().await;
    assert_eq!((status(&allows, "::1").await, status(&refuses, "::1").await), (200, 429));
    // Between two requests: nobody notices, and quotas begin anew.
    server.stop();
    server.start();
    assert_eq!((status(&refuses, "::1").await, status(&allows, "::1").await), (200, 429));
    assert_eq!(lines.take_of("ziggurat::layers::rate_limit").len(), 2, "that they can be counted again");
    server.stop();
    assert_eq!(status(&refuses, "::1").await, 503);
    server.start();
    assert_eq!(status(&refuses, "::1").await, 503, "it is left alone");
    rest().await;
    assert_eq!((status(&refuses, "::1").await, status(&refuses, "::1").await), (200, 429));
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up() {
    let Some(server) = Redis::started() else { return };
    let quotas = Shared::new(RedisQuotas::open(&server.url()).unwrap()).limit(Duration::from_millis(200));
    let layer = limited(quota(1, 3600), quotas.on_failure(OnFailure::Refuse));
    assert_eq!((status(&layer, "::1").await, status(&layer, "::1").await), (200, 429));
    server.signal("-STOP");
    let begin = std::time::Instant::now();
    assert_eq!(status(&layer, "::1").await, 503);
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_millis(200) && waited < Duration::from_millis(900), "{waited:?}");
    for _ in 0..100 {
        assert_eq!(status(&layer, "::1").await, 503);
    }
    assert!(begin.elapsed() < Duration::from_millis(1000), "those did not wait");
    server.signal("-CONT");
    rest().await;
    assert_eq!(status(&layer, "::1").await, 429);
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_is_made_anew() {
    let Some(server) = Redis::started() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (cut, _) = broadcast::channel::<()>(1);
    let cuts = cut.clone();
    let target = server.url().trim_start_matches("redis://").trim_end_matches("/0").to_owned();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(&*target).await.unwrap();
            let mut cut = cuts.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    // It stays open, and nothing comes through any more.
                    _ = cut.recv() => std::future::pending().await,
                }
            });
        }
    });
    let quotas = Shared::new(RedisQuotas::open(&url).unwrap()).on_failure(OnFailure::Refuse);
    let layer = limited(quota(1, 3600), quotas.limit(Duration::from_millis(300)));
    assert_eq!((status(&layer, "::1").await, status(&layer, "::1").await), (200, 429));
    cut.send(()).unwrap();
    assert_eq!(status(&layer, "::1").await, 503);
    rest().await;
    assert_eq!(status(&layer, "::1").await, 429);
}

/// A server that may not be written to, as one that is no master any more, or whose memory is full.
#[tokio::test]
async fn a_server_that_cannot_be_written_to_is_tried_again_over_a_new_connection() {
    let Some(server) = Redis::started() else { return };
    let layer = layer(&server);
    assert_eq!((status(&layer, "::1").await, status(&layer, "::1").await), (200, 429));
    let connections = || {
        let stats = server.command(&[
            "EVAL",
            "return redis.call('INFO', 'stats'):match('total_connections_received:(%d+)')",
            "0",
        ]);
        stats.trim().parse::<u32>().unwrap()
    };
    for (peer, bad, good) in [
        ("192.0.2.1", &["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..]),
        ("192.0.2.2", &["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ] {
        assert_eq!(server.command(bad), "+OK");
        assert_eq!(status(&layer, peer).await, 503, "{bad:?}");
        assert_eq!(server.command(good), "+OK");
        rest().await;
        let before = connections();
        assert_eq!(status(&layer, peer).await, 200, "{bad:?}");
        // Its name may lead to another one by then. Each command here is one, too.
        assert_eq!(connections() - before, 2, "{bad:?}");
    }
}

#[tokio::test]
async fn what_a_server_refuses_is_a_failure_that_tells_no_password() {
    let Some(server) = Redis::started() else { return };
    let (lines, _guard) = log(Level::INFO);
    assert_eq!(server.command(&["CONFIG", "SET", "requirepass", "a password of tests"]), "+OK");
    let url = |credentials: &str| server.url().replace("://", &format!("://{credentials}"));
    for (credentials, wanted) in [("", 503), (":hunter2@", 503), (":a%20password%20of%20tests@", 200)] {
        let store = RedisQuotas::open(&url(credentials)).unwrap();
        assert!(!format!("{store:?}").contains("hunter2"));
        assert_eq!(status(&limited(quota(1, 3600), shared(store)), "::1").await, wanted, "{credentials}");
    }
    let warned = lines.take_of("ziggurat::layers::rate_limit");
    assert!(warned.len() == 2 && !format!("{warned:?}").contains("hunter2"), "{warned:?}");
    for wrong in ["redis://h:x", "redis://", "http://h:hunter2@h", "rediss://:hunter2@h"] {
        let error = RedisQuotas::open(wrong).unwrap_err().to_string();
        assert!(error.contains("; write redis://host:6379/0") && !error.contains("hunter2"), "{error}");
    }
}
