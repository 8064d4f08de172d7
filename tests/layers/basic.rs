//! Names and passwords, known and not.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::{Value, json};
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::basic::{BasicLayer, Claims, Fault, KnownUser};
use ziggurat::{Body, Request, Response};

use crate::support::{get, problem, text};

/// Of "open sesame".
const ANN: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc";
/// Of "pässword:x".
const BOB: &str = "$argon2id$v=19$m=64,t=1,p=1$YW5vdGhlciBzYWx0ISE$+MtRm2oDFELEmY/gxEmADdPX/cE8ahxqg8U4suRv4HI";
const ARGON2I: &str = "$argon2i$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$ahF/nBlNdbEZm9DoCYI4P3FIgDZOTDQLrOV5IdEXHYc";
/// Of "open sesame", and dear.
const DEAR: &str = "$argon2id$v=19$m=1024,t=2,p=1$c29tZSBzYWx0IGhlcmU$zw9YzZhB1870XrAVtJo0djHlvG1w/1rz57n/tq2CFGI";

pub fn layer() -> BasicLayer {
    let ann = KnownUser::new("ann", ANN).unwrap().scope("enter").claim("tenant", "t").unwrap();
    BasicLayer::new([ann, KnownUser::new("bob", BOB).unwrap()]).unwrap()
}

/// What a client sends.
pub fn sent(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

async fn send(layer: &BasicLayer, authorization: Option<&str>) -> Response {
    let inner = service_fn(|request: Request| async move {
        let claims = request.extensions().get::<Claims>().map_or("nobody", Claims::as_json).to_owned();
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(claims)))
    });
    let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
    layer.layer(inner).oneshot(get("/", &headers)).await.unwrap()
}

async fn refused(layer: &BasicLayer, authorization: Option<&str>) -> Fault {
    let response = send(layer, authorization).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"restricted\", charset=\"UTF-8\"");
    let fault = *response.extensions().get::<Fault>().unwrap();
    let missing = "this needs a name and a password";
    let detail = if fault == Fault::Missing { missing } else { "the name or the password is not valid" };
    assert_eq!(problem(response).await["detail"], detail);
    fault
}

#[tokio::test]
async fn a_good_password_says_who_it_is() {
    let layer = layer();
    for _ in 0..2 {
        let seen = text(send(&layer, Some(&sent("ann", "open sesame"))).await).await;
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen, json!({"sub": "ann", "scopes": ["enter"], "tenant": "t"}));
        let seen = text(send(&layer, Some(&sent("bob", "pässword:x").replace("Basic", "bASIC"))).await).await;
        assert_eq!(serde_json::from_str::<Value>(&seen).unwrap()["sub"], "bob");
    }
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let layer = layer();
    assert_eq!(send(&layer, Some(&sent("ann", "open sesame"))).await.status(), 200);
    for (name, password) in [
        ("ann", "open sesam"),
        ("ann", "open sesame "),
        ("ann", ""),
        ("bob", "open sesame"),
        ("Ann", "open sesame"),
        ("carl", "open sesame"),
        ("", ""),
        ("ann", ANN),
    ] {
        assert_eq!(refused(&layer, Some(&sent(name, password))).await, Fault::Wrong, "{name}:{password}");
    }
    for bad in
        ["Basic", "Basic ", "Basic !!!", "Basic YW5u", "Basic YW5uOm9wZW4gc2VzYW1l=", &sent("a", &"x".repeat(1025))]
    {
        assert_eq!(refused(&layer, Some(bad)).await, Fault::Malformed, "{bad}");
    }
    assert_eq!(
        refused(&layer, Some(&format!("Basic {}", STANDARD.encode(b"\xff:open sesame")))).await,
        Fault::Malformed
    );
    assert_eq!(refused(&layer, None).await, Fault::Missing);
    assert_eq!(refused(&layer, Some("Bearer x")).await, Fault::Missing);
    let optional = layer.required(false);
    assert_eq!(text(send(&optional, None).await).await, "nobody");
    assert_eq!(refused(&optional, Some(&sent("ann", "x"))).await, Fault::Wrong);
}

#[tokio::test]
async fn two_of_them_are_none() {
    let layer = layer();
    let mut request = get("/", &[]);
    for _ in 0..2 {
        request.headers_mut().append("authorization", HeaderValue::from_str(&sent("ann", "open sesame")).unwrap());
    }
    let inner = service_fn(|_: Request| async { Ok::<Response, std::convert::Infallible>(Response::default()) });
    assert_eq!(layer.layer(inner).oneshot(request).await.unwrap().status(), 401);
}

/// The least of several: others may have computed meanwhile.
async fn takes_at_least(layer: &BasicLayer, name: &str, password: &str, wanted: u16) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..20 {
        least = least.min(takes(&layer.clone(), name, password, wanted).await);
    }
    least
}

async fn takes(layer: &BasicLayer, name: &str, password: &str, wanted: u16) -> Duration {
    let began = Instant::now();
    assert_eq!(send(layer, Some(&sent(name, password))).await.status(), wanted);
    began.elapsed()
}

#[tokio::test]
async fn a_name_that_is_not_known_costs_as_much_whatever_others_cost() {
    let users = [KnownUser::new("ann", DEAR).unwrap(), KnownUser::new("bob", BOB).unwrap()];
    let layer = BasicLayer::new(users).unwrap();
    let mut times = [("ann", Duration::MAX), ("bob", Duration::MAX), ("nobody", Duration::MAX)];
    let are_alike = |times: &[(&str, Duration); 3]| {
        let of = |place: usize| times[place].1.as_secs_f64();
        [(0, 1), (1, 2), (2, 0)].iter().all(|&(one, other)| (0.5..2.0).contains(&(of(one) / of(other))))
    };
    // The least of each, which a busy machine takes some more rounds to find.
    for round in 0..100 {
        for (name, time) in &mut times {
            *time = (*time).min(takes(&layer, name, "wrong", 401).await);
        }
        if round >= 5 && are_alike(&times) {
            break;
        }
    }
    assert!(are_alike(&times), "{times:?}");
    // What is good is checked once, and tells nothing to who does not know it.
    let never = layer.remember(Duration::ZERO);
    let mut good = Duration::MAX;
    for _ in 0..100 {
        good = good.min(takes(&never, "bob", "pässword:x", 200).await);
        if good * 2 < times[1].1 {
            return;
        }
    }
    panic!("{good:?} {times:?}");
}

#[tokio::test]
async fn a_good_password_is_not_checked_again_for_a_while() {
    let users = || [KnownUser::new("ann", DEAR).unwrap()];
    let layer = BasicLayer::new(users()).unwrap().remember(Duration::from_millis(1500));
    let check = takes_at_least(&layer, "ann", "wrong", 401).await;
    // A busy machine makes each of them longer, and none shorter.
    let is_checked = |took: Duration| took * 3 > check;
    assert!(is_checked(takes(&layer, "ann", "open sesame", 200).await));
    // Nor by the services of copies.
    let again = takes_at_least(&layer, "ann", "open sesame", 200).await;
    assert!(!is_checked(again), "{again:?} where a check takes {check:?}");
    // Another password is, and does not push the good one out.
    assert!(is_checked(takes(&layer, "ann", "wrong", 401).await));
    let again = takes_at_least(&layer, "ann", "open sesame", 200).await;
    assert!(!is_checked(again), "{again:?} where a check takes {check:?}");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert!(is_checked(takes(&layer, "ann", "open sesame", 200).await));
    let never = BasicLayer::new(users()).unwrap().remember(Duration::ZERO);
    for _ in 0..2 {
        assert!(is_checked(takes(&never, "ann", "open sesame", 200).await));
    }
}

#[tokio::test]
async fn too_many_checks_are_refused_and_the_rest_go_on() {
    let layer = BasicLayer::new([KnownUser::new("ann", DEAR).unwrap()]).unwrap().parallel(1).remember(Duration::ZERO);
    let wrong = sent("ann", "wrong");
    let all = futures_util::future::join_all((0..80).map(|_| send(&layer, Some(&wrong)))).await;
    let busy = all.iter().filter(|response| response.status() == 503).count();
    assert_eq!(busy, 80 - 65);
    let first = all.iter().find(|response| response.status() == 503).unwrap();
    assert_eq!(
        (&first.headers()["retry-after"], first.extensions().get()),
        (&"1".parse().unwrap(), Some(&Fault::Busy))
    );
    assert_eq!(send(&layer, Some(&sent("ann", "open sesame"))).await.status(), 200);
}

#[tokio::test]
async fn who_has_gone_makes_room() {
    let layer = BasicLayer::new([KnownUser::new("ann", DEAR).unwrap()]).unwrap().parallel(1).remember(Duration::ZERO);
    let wrong = sent("ann", "wrong");
    for _ in 0..3 {
        let mut service = layer
            .layer(service_fn(|_: Request| async { Ok::<Response, std::convert::Infallible>(Response::default()) }));
        let mut pending: Vec<_> = Vec::new();
        for _ in 0..60 {
            pending.push(service.ready().await.unwrap().call(get("/", &[("authorization", &wrong)])));
        }
        drop(pending);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Ten seconds of work were never begun.
    let began = Instant::now();
    assert_eq!(send(&layer, Some(&wrong)).await.status(), 401);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn users_that_are_no_good_are_refused_with_a_cure() {
    let ann = || KnownUser::new("ann", ANN).unwrap();
    let without_hash = ANN.rsplit_once('$').unwrap().0;
    for (result, says) in [
        (KnownUser::new("", ANN).map(|_| ()), "subject is empty"),
        (KnownUser::new("a:b", ANN).map(|_| ()), "\"a:b\" cannot be the name of a user"),
        (KnownUser::new("a\nb", ANN).map(|_| ()), "cannot be the name"),
        (KnownUser::new("ann", "open sesame").map(|_| ()), "is no PHC string"),
        (KnownUser::new("ann", ARGON2I).map(|_| ()), "is not of argon2id"),
        (KnownUser::new("ann", without_hash).map(|_| ()), "lacks salt, hash or good parameters"),
        (ann().claim("scopes", "x").map(|_| ()), "said otherwise"),
        (BasicLayer::new([]).map(|_| ()), "no user is known"),
        (BasicLayer::new([ann(), ann()]).map(|_| ()), "\"ann\" is there twice"),
        (layer().realm("a\"b").map(|_| ()), "cannot be a realm"),
        (layer().realm("ä").map(|_| ()), "cannot be a realm"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("; "), "{error}");
        assert!(!error.contains("open sesame"), "it may be the password: {error}");
    }
    assert!(!format!("{:?} {:?}", layer(), ann()).contains("argon2id"));
}
