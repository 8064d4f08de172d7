//! Quotas that processes share: what is the same wherever they are kept, and in a SQLite file.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::time::advance;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tracing::Level;
use ziggurat::layers::rate_limit::{By, OnFailure, Quota, QuotaStore, Shared, SqliteQuotas, Verdict};
use ziggurat::layers::{LayerSpec, RateLimitLayer};
use ziggurat::{BoxError, Request, Response, Route};

use crate::support::{get, log, problem};

pub type Limited<S> = RateLimitLayer<By, Shared<S>>;

pub fn quota(limit: u32, seconds: u64) -> Quota {
    Quota::new(limit, Duration::from_secs(seconds)).unwrap()
}

/// As tests have time for, on a machine that is busy.
pub fn shared<S: QuotaStore>(store: S) -> Shared<S> {
    Shared::new(store).on_failure(OnFailure::Refuse).limit(Duration::from_secs(20))
}

pub fn limited<S: QuotaStore>(quota: Quota, quotas: Shared<S>) -> Limited<S> {
    RateLimitLayer::new(quota).quotas(quotas)
}

pub fn from(peer: &str) -> Request {
    let mut request = get("/", &[]);
    request.extensions_mut().insert(SocketAddr::new(peer.parse().unwrap(), 80));
    request
}

pub async fn ask<S: QuotaStore>(layer: &Limited<S>, request: Request) -> Response {
    let leaf = service_fn(|_: Request| ready(Ok::<Response, Infallible>(Response::default())));
    layer.layer(leaf).oneshot(request).await.unwrap()
}

pub async fn status<S: QuotaStore>(layer: &Limited<S>, peer: &str) -> u16 {
    ask(layer, from(peer)).await.status().as_u16()
}

/// Every store has to do this; `open` is what another process would do.
pub async fn is_shared_exactly<S: QuotaStore>(open: impl Fn() -> S) {
    let many = quota(50, 3600);
    let layers = [limited(many, shared(open())), limited(many, shared(open()))];
    let asked = (0..40).map(|n| {
        let layer = layers[n % 2].clone();
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..5 {
                answers.push(status(&layer, "192.0.2.1").await);
            }
            answers
        })
    });
    let answers: Vec<u16> = futures_util::future::join_all(asked).await.into_iter().flat_map(Result::unwrap).collect();
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(200), count(429)), (50, 150));

    // What clients are told is what they would be told by the memory of one process.
    let few = quota(3, 90);
    let (one, other) = (limited(few, shared(open())), limited(few, shared(open())));
    let alone = RateLimitLayer::new(few);
    let leaf = service_fn(|_: Request| ready(Ok::<Response, Infallible>(Response::default())));
    let alone = alone.layer(leaf);
    for layer in [&one, &other, &one, &other, &one] {
        let wanted = alone.clone().oneshot(from("192.0.2.2")).await.unwrap();
        let got = ask(layer, from("192.0.2.2")).await;
        assert_eq!((got.status(), got.headers()), (wanted.status(), wanted.headers()));
    }

    // Neither other clients, other quotas nor other namespaces are counted with them.
    assert_eq!(status(&one, "192.0.2.3").await, 200);
    assert_eq!(status(&limited(quota(4, 90), shared(open())), "192.0.2.2").await, 200);
    assert_eq!(status(&limited(few, shared(open()).namespace("other").unwrap()), "192.0.2.2").await, 200);
    assert_eq!(status(&limited(few, shared(open()).namespace("ziggurat").unwrap()), "192.0.2.2").await, 429);

    // Whatever clients write.
    let by = limited(quota(1, 3600), shared(open())).key(By::header(HeaderName::from_static("x-key")));
    for value in
        [&b"a"[..], b"a ", b"\xff\xfe", b"\xff", b"'; DROP TABLE ziggurat_quotas; --", b"{a}\t*?[", "\u{e9}".as_bytes()]
    {
        let keyed = || {
            let mut request = get("/", &[]);
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert("x-key", value);
            request
        };
        assert_eq!((ask(&by, keyed()).await.status().as_u16(), ask(&by, keyed()).await.status().as_u16()), (200, 429));
    }

    // They come back.
    let short = limited(Quota::new(1, Duration::from_millis(300)).unwrap(), shared(open()));
    assert_eq!((status(&short, "::1").await, status(&short, "::1").await), (200, 429));
    tokio::time::sleep(Duration::from_millis(310)).await;
    assert_eq!(status(&short, "::1").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shared_exactly() {
    let folder = tempfile::tempdir().unwrap();
    is_shared_exactly(|| SqliteQuotas::open(folder.path().join("quotas.db"), 1000).unwrap()).await;
}

/// A store that fails as it is told.
#[derive(Debug, Clone, Default)]
struct Faulty {
    fails: Arc<AtomicU8>,
    asked: Arc<AtomicU32>,
}

impl QuotaStore for Faulty {
    fn describe(&self) -> String {
        "faulty".to_owned()
    }

    fn take(
        &self,
        _: [u8; 16],
        _: Quota,
        _: Duration,
    ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static {
        self.asked.fetch_add(1, Ordering::Relaxed);
        ready(match self.fails.load(Ordering::Relaxed) {
            0 => Ok(Verdict::Allowed { remaining: 6, reset: Duration::from_secs(1) }),
            _ => Err("out of order".into()),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_left_alone_and_told_of_once_a_second() {
    for (on_failure, wanted, meanwhile) in [
        (OnFailure::Allow, 200, "requests are allowed meanwhile"),
        (OnFailure::Refuse, 503, "requests are answered 503 meanwhile"),
    ] {
        let (lines, _guard) = log(Level::INFO);
        let store = Faulty::default();
        let layer = limited(quota(1, 60), Shared::new(store.clone()).on_failure(on_failure));
        let is_told = |response: &Response| response.headers().contains_key("ratelimit");
        let answer = ask(&layer, from("::1")).await;
        assert!(answer.status() == 200 && is_told(&answer));
        store.fails.store(1, Ordering::Relaxed);
        for second in 0..3 {
            for _ in 0..10 {
                let answer = ask(&layer, from("::1")).await;
                assert_eq!(answer.status().as_u16(), wanted);
                assert!(!is_told(&answer), "nobody knows");
                if wanted == 503 {
                    assert_eq!(answer.headers()["retry-after"], "1");
                    assert!(problem(answer).await["detail"].as_str().unwrap().contains("cannot be told"));
                }
            }
            assert_eq!(store.asked.load(Ordering::Relaxed), 2 + second);
            let logged = lines.take_of("ziggurat::layers::rate_limit");
            let [line] = &logged[..] else { panic!("{logged:?}") };
            let message = format!("the quotas of requests cannot be counted; {meanwhile}");
            assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &message.into()));
            assert_eq!((&line["store"], &line["error"]), (&"faulty".into(), &"out of order".into()));
            advance(Duration::from_millis(1001)).await;
        }
        store.fails.store(0, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(is_told(&ask(&layer, from("::1")).await));
        }
        let logged = lines.take_of("ziggurat::layers::rate_limit");
        let [line] = &logged[..] else { panic!("{logged:?}") };
        assert_eq!(line["message"], "the quotas of requests can be counted again");
    }
    // Unless told, requests are answered.
    let store = Faulty::default();
    store.fails.store(1, Ordering::Relaxed);
    assert_eq!(status(&limited(quota(1, 60), Shared::new(store)), "::1").await, 200);
}

/// A store that answers after so many milliseconds, and fails at odd ones.
#[derive(Debug, Clone, Default)]
struct Late(Arc<std::sync::Mutex<Vec<u64>>>);

impl QuotaStore for Late {
    fn describe(&self) -> String {
        "late".to_owned()
    }

    fn take(
        &self,
        _: [u8; 16],
        _: Quota,
        _: Duration,
    ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static {
        let millis = self.0.lock().unwrap().pop().unwrap();
        async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            if millis % 2 == 1 { Err("out of order".into()) } else { Ok(Verdict::Uncounted) }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_it_failed_is_no_news() {
    let (lines, _guard) = log(Level::INFO);
    let store = Late(Arc::new(std::sync::Mutex::new(vec![31, 20, 11, 9])));
    let layer = limited(quota(1, 60), Shared::new(store.clone()));
    futures_util::future::join_all((0..4).map(|_| status(&layer, "::1"))).await;
    let logged = lines.take_of("ziggurat::layers::rate_limit");
    assert!(logged.len() == 1 && logged[0]["level"] == "WARN", "{logged:?}");
    store.0.lock().unwrap().push(2);
    advance(Duration::from_millis(1040)).await;
    status(&layer, "::1").await;
    assert_eq!(lines.take_of("ziggurat::layers::rate_limit").len(), 1, "that it is back");
}

/// Refuses what it cannot count, and does not wait for long.
fn strict(path: &std::path::Path) -> Limited<SqliteQuotas> {
    let store = SqliteQuotas::open(path, 1000).unwrap();
    limited(quota(1, 3600), shared(store).limit(Duration::from_millis(300)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_held_or_broken_for_a_while_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotas.db");
    let rest = || tokio::time::sleep(Duration::from_millis(1050));
    let layer = strict(&path);
    assert_eq!((status(&layer, "192.0.2.1").await, status(&layer, "192.0.2.1").await), (200, 429));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = std::time::Instant::now();
    assert_eq!(status(&layer, "192.0.2.2").await, 503);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    rest().await;
    // Who has been refused for want of an answer was not counted.
    assert_eq!((status(&layer, "192.0.2.2").await, status(&layer, "192.0.2.1").await), (200, 429));
    // Another process, later.
    assert_eq!((status(&strict(&path), "192.0.2.1").await, status(&strict(&path), "192.0.2.2").await), (429, 429));

    // Whatever happened to what is open: it is opened again.
    other.execute_batch("DROP TABLE ziggurat_quotas").unwrap();
    assert_eq!(status(&layer, "192.0.2.1").await, 503);
    rest().await;
    assert_eq!((status(&layer, "192.0.2.1").await, status(&layer, "192.0.2.1").await), (200, 429));

    let path = folder.path().join("broken.db");
    std::fs::write(&path, "this is no database, and long enough to be seen as none".repeat(100)).unwrap();
    let layer = strict(&path);
    assert_eq!(status(&layer, "192.0.2.1").await, 503);
    std::fs::remove_file(&path).unwrap();
    rest().await;
    assert_eq!((status(&layer, "192.0.2.1").await, status(&layer, "192.0.2.1").await), (200, 429));
}

/// As two processes have it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_deleted_is_begun_anew_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotas.db");
    let (one, other) = (strict(&path), strict(&path));
    for endings in [&[""][..], &["", "-wal"], &["", "-wal", "-shm"], &["", "-shm"]] {
        assert_eq!((status(&one, "::1").await, status(&other, "::1").await), (200, 429), "{endings:?}");
        for ending in endings {
            std::fs::remove_file(format!("{}{ending}", path.display())).unwrap();
        }
        // As many as before, and together.
        assert_eq!((status(&other, "::1").await, status(&one, "::1").await), (200, 429), "{endings:?}");
        assert_eq!(status(&strict(&path), "::1").await, 429, "{endings:?}");
        std::fs::remove_file(&path).unwrap();
    }
    // One that somebody else has put there, and whose end is not that of the new one.
    let replaced = folder.path().join("replaced.db");
    assert_eq!(status(&strict(&replaced), "::1").await, 200);
    std::fs::rename(&replaced, &path).unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::rename(format!("{}{ending}", replaced.display()), format!("{}{ending}", path.display()));
    }
    assert_eq!((status(&one, "::1").await, status(&other, "::1").await), (429, 429));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotas.db");
    let layer = strict(&path);
    assert_eq!((status(&layer, "::1").await, status(&layer, "::1").await), (200, 429));
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let mut last = 0;
    for _ in 0..5 {
        last = status(&layer, "::1").await;
        if last != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1050)).await;
    }
    assert!([200, 429].contains(&last), "{last}");
    assert_eq!(status(&layer, "::1").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_gone_on_without_an_answer_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotas.db");
    let quotas = Shared::new(SqliteQuotas::open(&path, 1000).unwrap()).limit(Duration::from_millis(100));
    let hasty = limited(quota(1, 3600), quotas.on_failure(OnFailure::Refuse));
    assert_eq!(status(&strict(&path), "::1").await, 200);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The second one waits behind the first, and longer than it wanted to.
    let second = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status(&hasty, "192.0.2.2").await
    };
    assert_eq!(tokio::join!(status(&hasty, "192.0.2.1"), second), (503, 503));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(status(&strict(&path), "192.0.2.3").await, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&strict(&path), "192.0.2.2").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_data_policies_in_one_store_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:///{}/quotas.db", folder.path().display());
    let layer = |more: &str| {
        let json = format!(
            r#"{{"type":"RateLimit","limit":1,"store":"{store}","on_failure":"refuse","store_timeout":20{more}}}"#
        );
        let leaf = service_fn(|_: Request| ready(Ok::<Response, Infallible>(Response::default())));
        LayerSpec::from_json(&json).unwrap().build().unwrap().apply(Route::new(leaf))
    };
    let asked = async |more: &str| layer(more).oneshot(from("::1")).await.unwrap().status().as_u16();
    assert!(!folder.path().join("quotas.db").exists(), "describing and building makes no file");
    assert_eq!((asked("").await, asked("").await), (200, 429));
    assert_eq!(asked(r#","namespace":"ziggurat","policy":"default","max_keys":9"#).await, 429);
    for other in [r#","policy":"other""#, r#","namespace":"other""#, r#","period":61"#] {
        assert_eq!((asked(other).await, asked(other).await), (200, 429), "{other}");
    }
}
