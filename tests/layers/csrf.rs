//! Requests that pages of other origins make.

use std::convert::Infallible;

use http::Method;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::CsrfLayer;
use ziggurat::{Body, Request, Response};

use crate::support::problem;

fn sent(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn status(layer: CsrfLayer, request: Request) -> u16 {
    let answers = service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) });
    let response = layer.layer(answers).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    if status == 403 {
        assert_eq!(problem(response).await["detail"], "pages of another origin may not send this");
    }
    status
}

/// As in the tests of Go's `CrossOriginProtection`.
#[tokio::test]
async fn where_a_request_comes_from_decides() {
    let host = ("host", "example.org");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[host, ("sec-fetch-site", "same-origin")], 200),
        (&[host, ("sec-fetch-site", "none")], 200),
        (&[host, ("sec-fetch-site", "cross-site")], 403),
        (&[host, ("sec-fetch-site", "same-site")], 403),
        (&[host, ("sec-fetch-site", "Same-Origin")], 403),
        (&[host, ("sec-fetch-site", "nonsense")], 403),
        // What a browser says of itself counts for more.
        (&[host, ("sec-fetch-site", "cross-site"), ("origin", "https://example.org")], 403),
        (&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], 200),
        // Without it.
        (&[host], 200),
        (&[host, ("origin", "https://example.org")], 200),
        (&[host, ("origin", "http://example.org")], 200),
        (&[host, ("origin", "https://evil.example")], 403),
        (&[host, ("origin", "https://example.org.evil.example")], 403),
        (&[host, ("origin", "https://evil.example/https://example.org")], 403),
        (&[host, ("origin", "https://example.org@evil.example")], 403),
        (&[host, ("origin", "https://sub.example.org")], 403),
        (&[host, ("origin", "https://example.org:8443")], 403),
        (&[host, ("origin", "null")], 403),
        (&[host, ("origin", "example.org")], 403),
        (&[host, ("origin", "nonsense://")], 403),
        (&[host, ("origin", "\u{e9}")], 403),
        (&[("host", "example.org:8443"), ("origin", "https://example.org:8443")], 200),
        (&[("origin", "https://example.org")], 403),
    ];
    for (headers, wanted) in cases {
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "PURGE"] {
            assert_eq!(status(CsrfLayer::new(), sent(method, "/", headers)).await, *wanted, "{method} {headers:?}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(status(CsrfLayer::default(), sent(method.as_str(), "/", headers)).await, 200, "{method}");
        }
    }
    // As HTTP/2 names the host.
    let asked = |origin| sent("POST", "https://example.org/", &[("origin", origin)]);
    assert_eq!(status(CsrfLayer::new(), asked("https://example.org")).await, 200);
    assert_eq!(status(CsrfLayer::new(), asked("https://evil.example")).await, 403);
}

#[tokio::test]
async fn trusted_origins_may_send_anything() {
    let layer =
        CsrfLayer::new().trusted_origin("https://app.example").unwrap().trusted_origin("http://[::1]:3000").unwrap();
    for (origin, wanted) in [
        ("https://app.example", 200),
        ("http://[::1]:3000", 200),
        ("http://app.example", 403),
        ("https://app.example:8443", 403),
        ("https://app.example.evil.example", 403),
        ("https://sub.app.example", 403),
        ("null", 403),
    ] {
        for site in [None, Some("cross-site"), Some("same-site")] {
            let mut headers = vec![("host", "api.example"), ("origin", origin)];
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            assert_eq!(status(layer.clone(), sent("POST", "/", &headers)).await, wanted, "{origin} {site:?}");
        }
    }
}

#[tokio::test]
async fn exempt_paths_are_those_and_no_others() {
    let layer = CsrfLayer::new().exempt("/hooks/{name}").unwrap().exempt("/open").unwrap();
    for (target, wanted) in [
        ("/hooks/paid", 200),
        ("/hooks/paid?a=/b", 200),
        ("/open", 200),
        ("/", 403),
        ("/open/", 403),
        ("//open", 403),
        ("/%6fpen", 403),
        ("/Open", 403),
        ("/hooks/", 403),
        ("/hooks/a/b", 403),
        ("/transfer?/open", 403),
        ("/hooks/../transfer", 403),
    ] {
        let request = sent("POST", target, &[("host", "api.example"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(status(layer.clone(), request).await, wanted, "{target}");
    }
}

#[test]
fn what_could_never_match_is_refused() {
    for origin in ["*", "null", "example.org", "https://example.org/", "https://Example.org", "https://example.org:443"]
    {
        let error = CsrfLayer::new().trusted_origin(origin).unwrap_err().to_string();
        assert!(error.contains(&format!("{origin:?} is not an origin as browsers send it; ")), "{error}");
    }
    let layer = CsrfLayer::new().exempt("/hooks/{name}").unwrap();
    for path in ["/hooks/{other}", "/{x", "hooks", ""] {
        let error = layer.clone().exempt(path).unwrap_err().to_string();
        assert!(error.contains(&format!("an exempt path {path:?}: ")) && error.contains("; "), "{error}");
    }
}
