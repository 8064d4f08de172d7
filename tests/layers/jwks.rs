//! Keys that are fetched from a server that is there, is not, lies, or is slow.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::COOKIE;
use jsonwebtoken::{Algorithm as Signed, Header};
use serde_json::json;
use ziggurat::layers::JwtLayer;
use ziggurat::layers::jwt::{Algorithm, CredentialSource, Fault, Issuer, Jwks};

use crate::jwt::{RSA_PUBLIC, accepts, bearer, refusal, send};
use crate::jwt_keys::{by, ec, ed, jwk, rsa, set};
use crate::provider::{COOLDOWN, Provider, Says, first};
use crate::support::{SECRET, claims, problem, signed, text};

fn with(jwks: Jwks) -> JwtLayer {
    JwtLayer::issuers([Issuer::default().jwks(jwks)]).unwrap()
}

fn second() -> String {
    set([jwk(&ec(), Signed::ES256, json!({"kid": "2"}))])
}

fn one(kid: &str) -> String {
    by(&rsa(), Signed::RS256, Some(kid), json!({}))
}

fn two() -> String {
    by(&ec(), Signed::ES256, Some("2"), json!({}))
}

async fn status(layer: &JwtLayer, token: &str) -> u16 {
    send(layer.clone(), bearer(token)).await.status().as_u16()
}

/// Of a browser that may be signed in; it has the keys fetched itself.
fn optional(layer: &JwtLayer) -> JwtLayer {
    layer.clone().sources([CredentialSource::cookie("session").unwrap()]).unwrap().required(false)
}

fn cookie(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(COOKIE, format!("session={token}").parse().unwrap())])
}

async fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn keys_are_fetched_once_at_the_first_token() {
    let provider = Provider::new(Says::Late(Duration::from_millis(50), first())).await;
    let layer = provider.layer();
    assert_eq!(send(layer.clone().required(false), HeaderMap::new()).await.status(), 200);
    assert_eq!(provider.asked(), 0, "nobody has needed a key");
    // However many ask, and through however many services: each `send` makes one.
    let token = one("1");
    let all = (0..20).map(|_| status(&layer, &token));
    assert_eq!(futures_util::future::join_all(all).await, [200; 20]);
    assert_eq!(status(&layer.clone(), &token).await, 200);
    assert_eq!(provider.asked(), 1);
    assert_eq!(provider.paths.lock().unwrap()[0], "/keys");
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart() {
    let provider = Provider::new(Says::Document(first())).await;
    let layer = provider.layer();
    assert_eq!(status(&layer, &one("1")).await, 200);
    provider.says(Says::Document(second()));
    tokio::time::sleep(COOLDOWN).await;
    // The first that names the new key waits for it.
    assert_eq!(status(&layer, &two()).await, 200);
    assert_eq!(provider.asked(), 2);
    // What was taken back does not count any more.
    assert_eq!(refusal(layer.clone(), bearer(&one("1"))).await, Fault::Key);
    // In a cookie it is none then, which is known when the keys are there.
    assert_eq!(text(send(optional(&layer), cookie(&one("1"))).await).await, "no claims");
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn a_storm_of_unknown_kids_is_one_fetch_in_a_while() {
    let provider = Provider::new(Says::Document(set([jwk(&ed(), Signed::EdDSA, json!({"kid": "1"}))]))).await;
    let cooldown = Duration::from_secs(2);
    let layer = with(provider.jwks().cooldown(cooldown));
    let of = |kid: &str| by(&ed(), Signed::EdDSA, Some(kid), json!({}));
    let good = of("1");
    let unknown: Vec<_> = (0..50).map(|number| of(&format!("unknown-{number}"))).collect();
    let storm = || async {
        let all = unknown.iter().map(|token| status(&layer, token));
        assert_eq!(futures_util::future::join_all(all).await, [401; 50]);
    };
    assert_eq!(status(&layer, &good).await, 200);
    let began = Instant::now();
    storm().await;
    storm().await;
    assert_eq!(status(&layer, &good).await, 200);
    assert!(began.elapsed() < cooldown, "nobody waited");
    assert_eq!(provider.asked(), 1);
    tokio::time::sleep(cooldown.saturating_sub(began.elapsed())).await;
    storm().await;
    storm().await;
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn without_any_keys_there_is_no_access() {
    let provider = Provider::new(Says::Nothing).await;
    let layer = provider.layer();
    let response = send(layer.clone(), bearer(&one("1"))).await;
    assert_eq!((response.status().as_u16(), response.extensions().get()), (503, Some(&Fault::Unavailable)));
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(problem(response).await["type"], "https://ziggurat.dev/e/unavailable");
    // At once, until it is time to ask again.
    assert_eq!(status(&layer, &one("1")).await, 503);
    assert_eq!(provider.asked(), 1);
    assert_eq!(send(layer.clone(), HeaderMap::new()).await.status(), 401);
    // And it comes up by itself.
    provider.says(Says::Document(first()));
    tokio::time::sleep(COOLDOWN).await;
    assert_eq!(status(&layer, &one("1")).await, 200);
}

#[tokio::test]
async fn a_token_in_a_cookie_that_cannot_be_checked_does_not_count_as_none() {
    let provider = Provider::new(Says::Nothing).await;
    let response = send(optional(&provider.layer()), cookie(&one("1"))).await;
    assert_eq!((response.status().as_u16(), response.extensions().get()), (503, Some(&Fault::Unavailable)));
}

#[tokio::test]
async fn the_last_keys_serve_while_there_are_no_others() {
    let provider = Provider::new(Says::Aged(0, first())).await;
    let for_ever = provider.layer();
    let bounded = with(provider.jwks().stale_for(Duration::from_millis(300)));
    for layer in [&for_ever, &bounded] {
        assert_eq!(status(layer, &one("1")).await, 200);
    }
    provider.says(Says::Nothing);
    let asked = provider.asked();
    until(|| provider.asked() >= asked + 2).await;
    assert_eq!(status(&for_ever, &one("1")).await, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&for_ever, &one("1")).await, 200);
    assert_eq!(status(&bounded, &one("1")).await, 503);
    provider.says(Says::Document(first()));
    tokio::time::sleep(COOLDOWN).await;
    assert_eq!(status(&bounded, &one("1")).await, 200);
}

#[tokio::test]
async fn keys_are_refreshed_before_they_are_too_old() {
    let provider = Provider::new(Says::Aged(2, first())).await;
    let short = provider.layer();
    let began = Instant::now();
    assert_eq!(status(&short, &one("1")).await, 200);
    until(|| provider.asked() == 2).await;
    assert!((1.4..2.0).contains(&began.elapsed().as_secs_f64()), "at three quarters of max-age: {:?}", began.elapsed());

    // Without an age the configured one counts, and with a long one that.
    let provider = Provider::new(Says::Document(first())).await;
    let usual = with(provider.jwks().refresh(Duration::from_millis(300)));
    assert_eq!(status(&usual, &one("1")).await, 200);
    until(|| provider.asked() == 2).await;
    provider.says(Says::Aged(3600, first()));
    until(|| provider.asked() == 3).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn what_is_no_set_of_keys_changes_nothing() {
    let provider = Provider::new(Says::Document(first())).await;
    let layer = provider.layer();
    assert_eq!(status(&layer, &one("1")).await, 200);
    let new = two();
    let huge = format!(r#"{{"keys": [], "x": "{}"}}"#, "y".repeat(300 * 1024));
    let oct = json!({"keys": [{"kty": "oct", "kid": "1", "k": "YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCB3aGljaCBpcyBsb25n"}]});
    let weak = json!({"keys": [{"kty": "RSA", "kid": "1", "n": "_".repeat(171), "e": "AQAB"}]});
    let private = set([jwk(&ec(), Signed::ES256, json!({"kid": "2", "d": "AA"}))]);
    for says in [
        Says::Document("nonsense".into()),
        Says::Document("[]".into()),
        Says::Document(r#"{"keys": []}"#.into()),
        Says::Document(oct.to_string()),
        Says::Document(weak.to_string()),
        Says::Document(private),
        Says::Document(set([jwk(&ec(), Signed::ES256, json!({"kid": "2", "use": "enc"}))])),
        Says::Document(huge),
        Says::Raw(b"\xff\xfe nonsense".to_vec()),
        Says::Raw(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Says::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\"".to_vec()),
        Says::Raw(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2/keys\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Says::Raw(b"HTTP/1.1 302 Found\r\nlocation: /keys\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Says::Raw(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Says::Nothing,
    ] {
        provider.says(says);
        let asked = provider.asked();
        // Learns nothing from the fetch, for which it may have to wait.
        while provider.asked() == asked {
            assert_eq!(refusal(layer.clone(), bearer(&new)).await, Fault::Key);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(status(&layer, &one("1")).await, 200);
    }
}

#[tokio::test]
async fn a_slow_provider_is_not_waited_for_without_end() {
    let provider = Provider::new(Says::Late(Duration::from_secs(60), first())).await;
    let layer = with(provider.jwks().timeout(Duration::from_millis(200)));
    let began = Instant::now();
    assert_eq!(status(&layer, &one("1")).await, 503);
    assert!((0.2..5.0).contains(&began.elapsed().as_secs_f64()));
}

#[tokio::test]
async fn good_keys_among_bad_ones_are_used() {
    let weak = json!({"kty": "RSA", "kid": "weak", "n": "_".repeat(171), "e": "AQAB"});
    let oct = json!({"kty": "oct", "kid": "oct", "k": base64_of(SECRET)});
    let provider = Provider::new(Says::Document(set([
        oct,
        weak,
        json!({"kty": "RSA", "kid": 1}),
        jwk(&ed(), Signed::EdDSA, json!({"kid": "ed"})),
    ])))
    .await;
    let layer = provider.layer();
    assert!(accepts(layer.clone(), &by(&ed(), Signed::EdDSA, Some("ed"), json!({}))).await);
    let header = |kid: &str| Header { kid: Some(kid.into()), ..Header::default() };
    assert_eq!(
        refusal(layer.clone(), bearer(&signed(&claims(json!({})), &header("oct"), SECRET.as_bytes()))).await,
        Fault::Key
    );
    // Nor is a public key a secret.
    for kid in ["ed", "weak"] {
        let token = signed(&claims(json!({})), &header(kid), RSA_PUBLIC);
        assert!([Fault::Algorithm, Fault::Key].contains(&refusal(layer.clone(), bearer(&token)).await));
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn redirections_on_the_host_are_followed() {
    let moved = "HTTP/1.1 307 Moved\r\nlocation: /keys/there\r\ncontent-length: 0\r\n\r\n";
    let provider = Provider::new(Says::Raw(moved.into())).await;
    assert_eq!(status(&provider.layer(), &one("1")).await, 200);
    assert_eq!(*provider.paths.lock().unwrap(), ["/keys", "/keys/there"]);
}

#[tokio::test]
async fn an_issuer_says_itself_where_its_keys_are() {
    let provider = Provider::new(Says::Document(first())).await;
    let issuer = format!("http://{}", provider.address);
    let document =
        |issuer: &str| json!({"issuer": issuer, "jwks_uri": format!("http://{}/k", provider.address)}).to_string();
    *provider.discovery.lock().unwrap() = Some(document(&issuer));
    let layer = JwtLayer::issuers([Issuer::discover(&issuer).unwrap().audience("api")]).unwrap();
    let of = |iss: &str| by(&rsa(), Signed::RS256, Some("1"), json!({"iss": iss, "aud": "api"}));
    assert_eq!(status(&layer, &of(&issuer)).await, 200);
    assert_eq!(*provider.paths.lock().unwrap(), ["/.well-known/openid-configuration", "/k"]);
    assert_eq!(status(&layer, &of("http://other.example")).await, 401);

    // A document by somebody else is nobody's.
    *provider.discovery.lock().unwrap() = Some(document("https://other.example"));
    let layer = JwtLayer::issuers([Issuer::discover(&issuer).unwrap()]).unwrap();
    assert_eq!(status(&layer, &of(&issuer)).await, 503);
}

#[tokio::test]
async fn the_task_ends_with_the_last_layer() {
    let provider = Provider::new(Says::Aged(0, first())).await;
    let layer = provider.layer();
    let service = tower_layer::Layer::layer(&layer, ());
    assert_eq!(status(&layer, &one("1")).await, 200);
    drop(layer);
    let asked = provider.asked();
    until(|| provider.asked() > asked).await;
    drop(service);
    tokio::time::sleep(COOLDOWN).await;
    let asked = provider.asked();
    tokio::time::sleep(COOLDOWN * 4).await;
    assert_eq!(provider.asked(), asked);
}

#[test]
fn a_layer_outlives_a_runtime() {
    let run = |work: &dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
    };
    let layer: Arc<Mutex<Option<JwtLayer>>> = Arc::default();
    let shared = layer.clone();
    run(&move || {
        let layer = shared.clone();
        Box::pin(async move {
            let provider = Provider::new(Says::Late(Duration::from_secs(60), first())).await;
            let made = provider.layer();
            let token = one("1");
            let asking = status(&made, &token);
            let _ = tokio::time::timeout(Duration::from_millis(50), asking).await;
            *layer.lock().unwrap() = Some(made);
        })
    });
    let shared = layer;
    run(&move || {
        let made = shared.lock().unwrap().clone().unwrap();
        Box::pin(async move {
            // Nobody listens there any more, which is found out anew.
            let asking = tokio::time::timeout(Duration::from_secs(5), async { status(&made, &one("1")).await }).await;
            assert_eq!(asking, Ok(503));
        })
    });
}

#[test]
fn addresses_and_algorithms_that_are_no_good_are_refused_with_a_cure() {
    for bad in [
        "http://id.example/keys",
        "http://localhost.example/keys",
        "http://127.0.0.1.example/",
        "http://10.0.0.1/keys",
        "ftp://id.example/keys",
        "file:///etc/passwd",
        "/keys",
        "",
        "https://user:password@id.example/keys",
    ] {
        let error = Jwks::url(bad).unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")) && error.contains("; "), "{error}");
        assert!(Issuer::discover(bad).is_err(), "{bad}");
    }
    for good in ["https://id.example/keys?x=1", "http://localhost:80/", "http://127.9.9.9/", "http://[::1]:1/k"] {
        assert!(Jwks::url(good).is_ok(), "{good}");
    }
    let jwks = || Jwks::url("https://id.example").unwrap();
    let hmac = JwtLayer::issuers([Issuer::new("a").jwks(jwks()).algorithms([Algorithm::HS256])]).unwrap_err();
    assert!(hmac.to_string().contains("HS256 is for secrets, which are not published"), "{hmac}");
    let both = JwtLayer::issuers([Issuer::new("a").jwks(jwks()).secret(SECRET).unwrap()]).unwrap_err();
    assert!(both.to_string().contains("keys beside those that are fetched"), "{both}");
    assert!(jwks().root_pem("nonsense").unwrap_err().to_string().contains("no certificate to trust"));
}

#[tokio::test]
async fn a_forged_token_of_a_known_kid_asks_nobody() {
    let provider = Provider::new(Says::Document(second())).await;
    let layer = provider.layer();
    assert_eq!(status(&layer, &two()).await, 200);
    tokio::time::sleep(COOLDOWN).await;
    let asked = provider.asked();
    let mut forged = two();
    let at = forged.len() - 20;
    forged.replace_range(at..=at, if forged.as_bytes()[at] == b'A' { "B" } else { "A" });
    assert_eq!(refusal(layer.clone(), bearer(&forged)).await, Fault::Signature);
    let hmac = signed(&claims(json!({})), &Header { kid: Some("9".into()), ..Header::default() }, SECRET.as_bytes());
    assert_eq!(refusal(layer.clone(), bearer(&hmac)).await, Fault::Key);
    assert_eq!(provider.asked(), asked, "no published key is for HMAC");
}
