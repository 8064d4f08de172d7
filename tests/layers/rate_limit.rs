//! Who is refused when, by what, and what clients are told.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::request::Parts;
use http::{HeaderName, Method};
use serde_json::json;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;
use tower_test::mock;
use ziggurat::layers::rate_limit::{By, InMemory, Key, Quota, Quotas, Verdict, WithoutKey};
use ziggurat::layers::{Claims, ClientIp, RateLimitLayer};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder};
use ziggurat::{Request, Response, Route};

use crate::support::{get, problem};

fn quota(limit: u32, seconds: u64) -> Quota {
    Quota::new(limit, Duration::from_secs(seconds)).unwrap()
}

fn leaf() -> Route {
    Route::new(service_fn(|_: Request| async { Ok::<_, Infallible>(Response::default()) }))
}

fn from(peer: &str) -> Request {
    let mut request = get("/", &[]);
    request.extensions_mut().insert(SocketAddr::new(peer.parse().unwrap(), 4711));
    request
}

fn with_claims(json: &serde_json::Value, peer: &str) -> Request {
    let mut request = from(peer);
    let raw = serde_json::value::RawValue::from_string(json.to_string()).unwrap();
    request.extensions_mut().insert(Claims::parse(raw).unwrap());
    request
}

/// Whether each of the requests is allowed, where a key has one.
async fn allowed<K: Key + Clone>(layer: RateLimitLayer<K>, requests: impl IntoIterator<Item = Request>) -> Vec<bool>
where
    RateLimitLayer<K>: Layer<Route>,
    <RateLimitLayer<K> as Layer<Route>>::Service: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let service = layer.layer(leaf());
    let mut allowed = Vec::new();
    for request in requests {
        let status = service.clone().oneshot(request).await.unwrap().status();
        assert!(status == 200 || status == 429);
        allowed.push(status == 200);
    }
    allowed
}

fn one() -> RateLimitLayer {
    RateLimitLayer::new(quota(1, 60))
}

fn one_by<K: Key>(key: K) -> RateLimitLayer<K> {
    one().key(key)
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_used_up_and_comes_back() {
    let service = RateLimitLayer::new(quota(4, 10).burst(2).unwrap()).layer(leaf());
    let ask = || service.clone().oneshot(from("192.0.2.1"));
    let told = |response: &Response| {
        let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!(header("ratelimit-policy"), r#""default";q=2;w=5"#);
        (response.status().as_u16(), header("ratelimit"), header("retry-after"))
    };
    let told_of = |status, remaining: &str, after: &str| (status, format!("\"default\";{remaining}"), after.to_owned());
    assert_eq!(told(&ask().await.unwrap()), told_of(200, "r=1;t=3", ""));
    assert_eq!(told(&ask().await.unwrap()), told_of(200, "r=0;t=3", ""));
    let refused = ask().await.unwrap();
    assert_eq!(told(&refused), told_of(429, "r=0;t=3", "3"));
    let document = problem(refused).await;
    assert_eq!((&document["status"], &document["title"]), (&429.into(), &"Too many requests".into()));
    assert!(document["type"].as_str().unwrap().ends_with("/too_many_requests"));
    assert_eq!(document["detail"], "the quota of requests is used up; the next one is answered in 3 seconds");

    tokio::time::advance(Duration::from_millis(1600)).await;
    assert_eq!(told(&ask().await.unwrap()), told_of(429, "r=0;t=1", "1"));
    // As long as was told: 2.5 seconds had been 3.
    tokio::time::advance(Duration::from_millis(900)).await;
    assert_eq!(told(&ask().await.unwrap()), told_of(200, "r=0;t=3", ""));
    assert_eq!(ask().await.unwrap().status(), 429);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(told(&ask().await.unwrap()), told_of(200, "r=1;t=3", ""));
}

#[tokio::test]
async fn what_is_refused_never_arrives() {
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(one());
    for wanted in [200, 429, 429] {
        inner.allow(1);
        assert!(service.poll_ready().is_ready());
        let answer = service.call(from("192.0.2.1"));
        if wanted == 200 {
            inner.next_request().await.unwrap().1.send_response(Response::default());
        }
        assert_eq!(answer.await.unwrap().status(), wanted);
    }
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(from("192.0.2.2"));
    inner.next_request().await.unwrap().1.send_error("the inner error");
    assert_eq!(answer.await.unwrap_err().to_string(), "the inner error");
}

#[tokio::test]
async fn clients_are_told_apart_by_their_address() {
    let peers = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.1",
        "::ffff:192.0.2.2",
        "2001:db8::1",
        "2001:db8:0:0:ffff::2",
        "2001:db8:0:1::1",
    ];
    let wanted = [true, true, false, false, true, false, true];
    assert_eq!(allowed(one(), peers.map(from)).await, wanted);

    // What the client says of itself counts for nothing, what is known of it does.
    let says = |address: &str| {
        let mut request = from("192.0.2.1");
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        request.headers_mut().insert("forwarded", format!("for={address}").parse().unwrap());
        request
    };
    assert_eq!(allowed(one(), [says("198.51.100.1"), says("198.51.100.2")]).await, [true, false]);
    let known = |address: &str| {
        let mut request = from("192.0.2.1");
        request.extensions_mut().insert(ClientIp(address.parse().unwrap()));
        request
    };
    let requests = [known("198.51.100.1"), known("198.51.100.2"), known("198.51.100.1"), from("192.0.2.1")];
    assert_eq!(allowed(one(), requests).await, [true, true, false, true]);

    let whole = one_by(By::client_ip().ipv6_prefix(128).unwrap());
    assert_eq!(allowed(whole, ["::1", "::2", "::1"].map(from)).await, [true, true, false]);
    let little = one_by(By::client_ip().ipv6_prefix(1).unwrap());
    assert_eq!(allowed(little, ["::1", "7fff::", "8000::", "127.0.0.1"].map(from)).await, [true, false, true, true]);
}

#[tokio::test]
async fn requests_without_a_key_share_a_quota_or_are_not_counted() {
    let unknown = || [get("/", &[]), get("/a", &[]), from("192.0.2.1")];
    assert_eq!(allowed(one(), unknown()).await, [true, false, true]);
    assert_eq!(allowed(one().without_key(WithoutKey::Allow), unknown()).await, [true, true, true]);
    let response = one().without_key(WithoutKey::Allow).layer(leaf()).oneshot(get("/", &[])).await.unwrap();
    assert!(response.headers().is_empty());
}

#[tokio::test]
async fn a_header_counts_where_there_is_one_of_it() {
    let by = || one_by(By::header(HeaderName::from_static("x-key"))).without_key(WithoutKey::Share);
    let keys = |keys: &[&str]| {
        let mut request = from("192.0.2.1");
        keys.iter().for_each(|key| {
            _ = request.headers_mut().append("x-key", http::HeaderValue::from_bytes(key.as_bytes()).unwrap())
        });
        request
    };
    let requests = [keys(&["a"]), keys(&["b"]), keys(&["a"]), keys(&["A"]), keys(&["\u{e9}"])];
    assert_eq!(allowed(by(), requests).await, [true, true, false, true, true]);
    // None of these is a key, so there is one quota for all.
    let (longest, longer) = ("x".repeat(1024), "x".repeat(1025));
    let requests = [keys(&[]), keys(&[""]), keys(&["a", "b"]), keys(&["a", "a"]), keys(&[&longer]), keys(&[&longest])];
    assert_eq!(allowed(by(), requests).await, [true, false, false, false, false, true]);
}

#[tokio::test]
async fn a_claim_counts_and_without_it_the_address() {
    let by = |name: &str| one_by(By::claim(name));
    let ann = || with_claims(&json!({"sub": "ann"}), "192.0.2.1");
    let elsewhere = with_claims(&json!({"sub": "ann"}), "192.0.2.2");
    let bob = with_claims(&json!({"sub": "bob"}), "192.0.2.1");
    let requests = [ann(), elsewhere, bob, from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")];
    assert_eq!(allowed(by("sub"), requests).await, [true, false, true, true, false, true]);

    let tenant = |value: serde_json::Value, peer| with_claims(&json!({"sub": "ann", "realm": {"tenant": value}}), peer);
    let requests = [tenant(json!("a"), "192.0.2.1"), tenant(json!("b"), "192.0.2.1"), tenant(json!("a"), "192.0.2.2")];
    assert_eq!(allowed(by("realm.tenant"), requests).await, [true, true, false]);
    // These are no texts, or too long for one.
    for value in [json!(null), json!({"a": 1}), json!(["a"]), json!(""), json!("x".repeat(1025))] {
        let requests = [tenant(value.clone(), "192.0.2.1"), tenant(value, "192.0.2.2"), from("192.0.2.1")];
        assert_eq!(allowed(by("realm.tenant"), requests).await, [true, true, false]);
    }
    // The quota of an address is not that of somebody who is called so.
    let requests = [from("192.0.2.1"), with_claims(&json!({"sub": "192.0.2.1"}), "192.0.2.1")];
    assert_eq!(allowed(by("sub"), requests).await, [true, true]);
    // Without either there is no key.
    let lone = one_by(By::claim("sub")).without_key(WithoutKey::Allow);
    assert_eq!(allowed(lone, [get("/", &[]), get("/", &[])]).await, [true, true]);
}

fn dispatcher(wrap: impl Fn(Route) -> Route) -> Dispatcher {
    let mut table = RouteTableBuilder::new();
    for (method, path) in [(Method::GET, "/users/{id}"), (Method::POST, "/users/{id}"), (Method::GET, "/")] {
        table.add(Some(method), path, Leaf::new("leaf", LeafKind::Native, wrap(leaf()))).unwrap();
    }
    Dispatcher::new(table.build().unwrap())
}

#[tokio::test]
async fn routes_have_a_quota_each_within_and_around_the_dispatcher() {
    let plain = dispatcher(|route| route);
    let around = one_by(By::client_ip().route_of(&plain)).layer(plain);
    let layer = one_by(By::client_ip().route());
    let within = dispatcher(move |route| route.layer(layer.clone()));
    let asked = |path: &str, peer: &str, method: Method| {
        let mut request = from(peer);
        *request.uri_mut() = path.parse().unwrap();
        *request.method_mut() = method;
        request
    };
    let requests = || {
        [
            (asked("/users/1?a=1", "192.0.2.1", Method::GET), true),
            (asked("/users/2", "192.0.2.1", Method::GET), false),
            (asked("/users/1", "192.0.2.1", Method::POST), false),
            (asked("/", "192.0.2.1", Method::GET), true),
            (asked("/users/3", "192.0.2.2", Method::GET), true),
            // Nobody gets more quotas by making up paths.
            (asked("/none/1", "192.0.2.1", Method::GET), true),
            (asked("/none/2", "192.0.2.1", Method::GET), false),
        ]
    };
    for (request, wanted) in requests() {
        let asked = format!("{} {}", request.method(), request.uri());
        assert_eq!(around.clone().oneshot(request).await.unwrap().status() != 429, wanted, "{asked}");
    }
    for (request, wanted) in requests().into_iter().take(5) {
        assert_eq!(within.clone().oneshot(request).await.unwrap().status() != 429, wanted);
    }
    // Of clients that are not known as well.
    for (path, wanted) in [("/", 200), ("/users/1", 200), ("/", 429), ("/users/2", 429)] {
        assert_eq!(around.clone().oneshot(get(path, &[])).await.unwrap().status(), wanted, "{path}");
    }
}

#[tokio::test]
async fn any_function_of_the_head_is_a_key() {
    let by_method = |parts: &Parts| (parts.method != Method::OPTIONS).then(|| parts.method.clone());
    let asked = |method| {
        let mut request = get("/", &[]);
        *request.method_mut() = method;
        request
    };
    let methods = [Method::GET, Method::POST, Method::GET, Method::OPTIONS, Method::OPTIONS];
    let layer = one_by(by_method).without_key(WithoutKey::Allow);
    assert_eq!(allowed(layer, methods.map(asked)).await, [true, true, false, true, true]);
}

#[tokio::test]
async fn clones_and_services_of_a_layer_share_its_quotas() {
    let layer = one();
    assert_eq!(allowed(layer.clone(), [from("::1")]).await, [true]);
    assert_eq!(allowed(layer.clone(), [from("::1")]).await, [false]);
    assert_eq!(allowed(one(), [from("::1")]).await, [true]);
    let quotas = InMemory::new(1).unwrap();
    assert_eq!(allowed(one().quotas(quotas.clone()), [from("192.0.2.1"), from("192.0.2.2")]).await, [true, true]);
    assert_eq!(allowed(one().quotas(quotas), [from("192.0.2.1"), from("192.0.2.2")]).await, [false, false]);
}

#[tokio::test]
async fn several_quotas_are_told_of_side_by_side() {
    let second = RateLimitLayer::new(quota(5, 1)).policy("second").unwrap();
    let day = RateLimitLayer::new(quota(100, 86_400)).policy("day").unwrap();
    let service = day.layer(second.layer(leaf()));
    let response = service.oneshot(from("::1")).await.unwrap();
    let all = |name| response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("ratelimit"), [r#""second";r=4;t=1"#, r#""day";r=99;t=864"#]);
    assert_eq!(all("ratelimit-policy"), [r#""second";q=5;w=1"#, r#""day";q=100;w=86400"#]);

    let service = one().headers(false).policy("silent").unwrap().layer(leaf());
    assert!(service.clone().oneshot(from("::1")).await.unwrap().headers().is_empty());
    let refused = service.oneshot(from("::1")).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"60".parse().unwrap()));
    assert!(!refused.headers().contains_key("ratelimit") && !refused.headers().contains_key("ratelimit-policy"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let says = |error: ziggurat::ConfigError, what: &str| {
        let error = error.to_string();
        assert!(error.starts_with("RateLimit: ") && error.contains(what) && error.contains("; "), "{error}");
    };
    let minute = Duration::from_secs(60);
    says(Quota::new(0, minute).unwrap_err(), "limit is 0");
    says(Quota::new(1, Duration::ZERO).unwrap_err(), "period is 0ns, for 1 requests");
    says(Quota::new(10, Duration::from_nanos(9)).unwrap_err(), "period is 9ns, for 10 requests");
    says(Quota::new(1, Duration::from_secs(367 * 86_400)).unwrap_err(), "366 days at most");
    says(Quota::new(u32::MAX, Duration::MAX).unwrap_err(), "366 days at most");
    says(quota(1, 60).burst(0).unwrap_err(), "burst is 0");
    says(quota(1, 86_400).burst(367).unwrap_err(), "burst is 367, which takes more than 366 days");
    says(quota(1, 86_400).burst(u32::MAX).unwrap_err(), "which takes more than 366 days");
    assert!(quota(1, 86_400).burst(366).is_ok());
    says(By::client_ip().ipv6_prefix(0).unwrap_err(), "ipv6_prefix is 0");
    says(By::client_ip().ipv6_prefix(129).unwrap_err(), "ipv6_prefix is 129");
    says(InMemory::new(0).unwrap_err(), "max_keys is 0");
    says(InMemory::new(100_000_001).unwrap_err(), "max_keys is 100000001");
    for name in ["", "a b", "a\"", "\u{e9}", &"x".repeat(65)] {
        says(one().policy(name).unwrap_err(), "is no name");
    }
}

/// A store that takes its time, and counts.
#[derive(Debug, Clone, Default)]
struct Far(Arc<AtomicU32>);

impl Quotas for Far {
    type Hasher = DefaultHasher;
    type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

    fn hasher(&self) -> DefaultHasher {
        DefaultHasher::new()
    }

    fn take(&self, key: DefaultHasher, _: &Quota) -> Either<Verdict, Self::Later> {
        assert_ne!(key.finish(), self.hasher().finish());
        let taken = self.0.fetch_add(1, Ordering::Relaxed);
        Either::Right(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match taken {
                0 => Verdict::Allowed { remaining: 0, reset: Duration::from_secs(9) },
                _ => Verdict::Refused { retry_after: Duration::from_millis(8500) },
            }
        }))
    }
}

/// A service that has to be made ready before each call, each clone for itself.
#[derive(Debug, Default)]
struct Strict(bool);

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request> for Strict {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "it was not made ready");
        std::future::ready(Ok(Response::default()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_may_have_to_be_waited_for() {
    let mut service = one().quotas(Far::default()).layer(Strict::default());
    let mut answer = Box::pin(service.ready().await.unwrap().call(from("::1")));
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    assert_eq!(answer.await.unwrap().headers()["ratelimit"], r#""default";r=0;t=9"#);
    let refused = service.ready().await.unwrap().call(from("::1")).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"9".parse().unwrap()));
    // At once, too, each is made ready.
    let mut service = one().layer(Strict::default());
    for wanted in [200, 429, 429] {
        assert_eq!(service.ready().await.unwrap().call(from("::1")).await.unwrap().status(), wanted);
    }
}
