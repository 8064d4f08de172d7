//! The headers that browsers heed: which are set, which stay, and what cannot be sent.

use std::time::Duration;

use http::HeaderMap;
use ziggurat::layers::LayerSpec;
use ziggurat::layers::security_headers::{
    API_POLICY, FrameOptions, Hsts, OpenerPolicy, ReferrerPolicy, ResourcePolicy, SecurityHeadersLayer,
};
use ziggurat::{Body, ConfigError, Problem, Response};

use crate::support::{answer, get};

async fn set(layer: SecurityHeadersLayer) -> HeaderMap {
    answer(layer, get("/", &[]), Response::default).await.into_parts().0.headers
}

fn sorted(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut list: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    list.sort_unstable();
    list
}

#[tokio::test]
async fn every_answer_has_what_asks_nothing_of_the_application() {
    let wanted = [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ];
    assert_eq!(sorted(&set(SecurityHeadersLayer::new()).await), wanted);
    assert_eq!(sorted(&set(SecurityHeadersLayer::default()).await), wanted);
    let refused = answer(SecurityHeadersLayer::new(), get("/", &[]), || Problem::internal().into_response()).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["x-content-type-options"]),
        (500, &"nosniff".parse().unwrap())
    );

    let spec = LayerSpec::from_json(r#"{"type":"SecurityHeaders"}"#).unwrap().build().unwrap();
    let leaf = tower::service_fn(|_: ziggurat::Request| async { Ok(Response::default()) });
    let response = tower::ServiceExt::oneshot(spec.apply(ziggurat::Route::new(leaf)), get("/", &[])).await.unwrap();
    assert_eq!(sorted(response.headers()), wanted);
}

#[tokio::test]
async fn what_the_inner_service_set_stays() {
    let response = answer(SecurityHeadersLayer::new(), get("/", &[]), || {
        let builder = http::Response::builder().header("x-frame-options", "SAMEORIGIN");
        builder.header("referrer-policy", "").body(Body::empty()).unwrap()
    })
    .await;
    let values = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values("x-frame-options"), ["SAMEORIGIN"]);
    assert_eq!(values("referrer-policy"), [""]);
    assert_eq!(values("x-content-type-options"), ["nosniff"]);
}

#[tokio::test]
async fn each_is_left_out_or_changed() {
    let none = SecurityHeadersLayer::new()
        .content_type_options(false)
        .frame_options(None)
        .referrer_policy(None)
        .cross_origin_opener_policy(None)
        .cross_origin_resource_policy(None);
    assert_eq!(sorted(&set(none).await), []);
    assert_eq!(sorted(&set(SecurityHeadersLayer::none()).await), []);

    let changed = SecurityHeadersLayer::new()
        .frame_options(Some(FrameOptions::SameOrigin))
        .referrer_policy(Some(ReferrerPolicy::StrictOriginWhenCrossOrigin))
        .cross_origin_opener_policy(Some(OpenerPolicy::SameOriginAllowPopups))
        .cross_origin_resource_policy(Some(ResourcePolicy::SameSite))
        .content_security_policy(Some(API_POLICY))
        .and_then(|layer| layer.permissions_policy(Some("camera=(), geolocation=(self)")))
        .and_then(|layer| layer.hsts(Some(Hsts::new())))
        .unwrap();
    let wanted = [
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cross-origin-opener-policy", "same-origin-allow-popups"),
        ("cross-origin-resource-policy", "same-site"),
        ("permissions-policy", "camera=(), geolocation=(self)"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("strict-transport-security", "max-age=63072000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
    ];
    assert_eq!(sorted(&set(changed).await), wanted);
}

#[tokio::test]
async fn hsts_says_what_was_asked() {
    let hsts = |seconds| Hsts::new().max_age(Duration::from_secs(seconds));
    for (hsts, wanted) in [
        (hsts(0), "max-age=0"),
        (Hsts::default().include_subdomains(true), "max-age=63072000; includeSubDomains"),
        (hsts(31_536_000).include_subdomains(true).preload(true), "max-age=31536000; includeSubDomains; preload"),
    ] {
        let headers = set(SecurityHeadersLayer::none().hsts(Some(hsts)).unwrap()).await;
        assert_eq!(headers["strict-transport-security"], wanted);
    }
    for hsts in [Hsts::new().preload(true), hsts(31_535_999).include_subdomains(true).preload(true)] {
        let error = SecurityHeadersLayer::new().hsts(Some(hsts)).unwrap_err().to_string();
        assert!(error.contains("preload is for hosts with all below them, for a year at least; "), "{error}");
    }
}

#[test]
fn what_would_end_a_header_is_refused() {
    type Set = fn(SecurityHeadersLayer, Option<&str>) -> Result<SecurityHeadersLayer, ConfigError>;
    let setters: [(&str, Set); 2] = [
        ("Content-Security-Policy", SecurityHeadersLayer::content_security_policy),
        ("Permissions-Policy", SecurityHeadersLayer::permissions_policy),
    ];
    for (header, setter) in setters {
        for text in ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0b", "a\tb", "a\u{7f}", "ä", "\u{2028}", "", "  "] {
            let error = setter(SecurityHeadersLayer::new(), Some(text)).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?} cannot be sent as {header}; ")), "{error}");
        }
    }
}

/// What serde reads is what is sent, for every choice.
#[tokio::test]
async fn choices_are_spelled_as_they_are_sent() {
    let choices: [(&str, &str, &[&str]); 4] = [
        ("frame_options", "x-frame-options", &["DENY", "SAMEORIGIN"]),
        (
            "referrer_policy",
            "referrer-policy",
            &[
                "no-referrer",
                "no-referrer-when-downgrade",
                "origin",
                "origin-when-cross-origin",
                "same-origin",
                "strict-origin",
                "strict-origin-when-cross-origin",
                "unsafe-url",
            ],
        ),
        (
            "cross_origin_opener_policy",
            "cross-origin-opener-policy",
            &["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"],
        ),
        ("cross_origin_resource_policy", "cross-origin-resource-policy", &["same-origin", "same-site", "cross-origin"]),
    ];
    let leaf = || tower::service_fn(|_: ziggurat::Request| async { Ok(Response::default()) });
    for (field, header, texts) in choices {
        for text in texts {
            let json = format!(r#"{{"type":"SecurityHeaders","{field}":"{text}"}}"#);
            let layer = LayerSpec::from_json(&json).unwrap().build().unwrap();
            let route = layer.apply(ziggurat::Route::new(leaf()));
            let response = tower::ServiceExt::oneshot(route, get("/", &[])).await.unwrap();
            assert_eq!(response.headers()[header], *text);
        }
        let null = LayerSpec::from_json(&format!(r#"{{"type":"SecurityHeaders","{field}":null}}"#)).unwrap();
        let route = null.build().unwrap().apply(ziggurat::Route::new(leaf()));
        let response = tower::ServiceExt::oneshot(route, get("/", &[])).await.unwrap();
        assert!(!response.headers().contains_key(header));
    }
}
