//! Clients that are sent to where they should have asked.

use tower_test::mock;
use ziggurat::layers::RedirectLayer;
use ziggurat::{Body, Request, Response};

use crate::support::{get, text};

/// Where a request is sent, or none where it was handed inward.
async fn place(layer: &RedirectLayer, target: &str, headers: &[(&str, &str)]) -> Option<String> {
    let (mut service, mut inner) = mock::spawn_layer::<Request, Response, _>(layer.clone());
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get(target, headers));
    if inner.poll_request().is_ready() {
        return None;
    }
    let response = answer.await.unwrap();
    assert_eq!(response.status(), 308);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(text(response).await, "");
    Some(place)
}

/// A target, headers, and where it leads.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

#[tokio::test]
async fn what_came_without_tls_comes_again_with_it() {
    let layer = RedirectLayer::new().https("Example.org").unwrap().https("[::1]").unwrap();
    let host = ("host", "example.org");
    let proto = |value| ("x-forwarded-proto", value);
    let led = Some("https://example.org/a?b=c");
    let cases: &[Case<'_>] = &[
        ("/a?b=c", &[host], led),
        ("/a?b=c", &[host, proto("http")], led),
        ("/a?b=c", &[host, proto("nonsense")], led),
        ("/a?b=c", &[host, proto("")], led),
        ("/a?b=c", &[("host", "EXAMPLE.ORG.:8080")], led),
        ("http://example.org/a?b=c", &[], led),
        // The nearest proxy is the last.
        ("/a?b=c", &[host, proto("https, http")], led),
        ("/a?b=c", &[host, proto("https"), proto("http")], led),
        ("https://example.org/a?b=c", &[proto("http")], led),
        ("/a", &[host, proto("https")], None),
        ("/a", &[host, proto("HTTPS")], None),
        ("/a", &[host, proto("http, https")], None),
        ("/a", &[host, proto("http"), proto("https")], None),
        ("https://example.org/a", &[], None),
        ("http://example.org/a", &[proto("https")], None),
        ("/", &[("host", "[::1]:8000")], Some("https://[::1]/")),
        ("//evil.example/", &[host], Some("https://example.org//evil.example/")),
        ("/\\evil.example/", &[host], Some("https://example.org/\\evil.example/")),
        ("/@evil.example", &[host], Some("https://example.org/@evil.example")),
        // What is not known is led nowhere.
        ("/a", &[("host", "evil.example")], None),
        ("/a", &[("host", "example.org.evil.example")], None),
        ("/a", &[("host", "example.org@evil.example")], None),
        ("/a", &[("host", "www.example.org")], None),
        ("/a", &[("host", "exa mple.org")], None),
        ("/a", &[("host", "")], None),
        ("/a", &[], None),
        ("http://evil.example/a", &[host], None),
        ("*", &[host], None),
    ];
    for (target, headers, wanted) in cases {
        assert_eq!(place(&layer, target, headers).await.as_deref(), *wanted, "{target} {headers:?}");
    }
}

#[tokio::test]
async fn a_host_has_one_name() {
    let layer = RedirectLayer::new().host("www.example.org", "example.org").unwrap();
    for (host, wanted) in [
        ("www.example.org", Some("//example.org/a?b")),
        ("WWW.example.org.:80", Some("//example.org/a?b")),
        ("example.org", None),
        ("www.example.org.evil.example", None),
        ("evil.example", None),
    ] {
        assert_eq!(place(&layer, "/a?b", &[("host", host)]).await.as_deref(), wanted, "{host}");
    }
    let target = "http://www.example.org//evil.example/";
    assert_eq!(place(&layer, target, &[]).await.as_deref(), Some("//example.org//evil.example/"));
}

#[tokio::test]
async fn a_path_leads_to_its_new_place() {
    let layer = RedirectLayer::new()
        .path("/old", "/new")
        .and_then(|layer| layer.path("/asked", "/new?of=asked"))
        .and_then(|layer| layer.path("/away", "https://other.example/here"))
        .and_then(|layer| layer.path("/part", "/new#part"))
        .unwrap();
    for (target, wanted) in [
        ("/old", Some("/new")),
        ("/old?a=//evil.example", Some("/new?a=//evil.example")),
        ("/asked?a=b", Some("/new?of=asked")),
        ("/away?a=b", Some("https://other.example/here?a=b")),
        ("/part?a=b", Some("/new#part")),
        ("http://evil.example/old", Some("/new")),
        ("/old/", None),
        ("//old", None),
        ("/Old", None),
        ("/%6fld", None),
        ("/new", None),
        ("/old//evil.example", None),
    ] {
        assert_eq!(place(&layer, target, &[("host", "evil.example")]).await.as_deref(), wanted, "{target}");
    }
}

#[tokio::test]
async fn one_redirect_does_it_all() {
    let layer = RedirectLayer::new()
        .https("example.org")
        .and_then(|layer| layer.host("www.example.org", "example.org"))
        .and_then(|layer| layer.host("old.example", "new.example"))
        .and_then(|layer| layer.path("/old", "/new"))
        .unwrap();
    for (host, proto, target, wanted) in [
        ("www.example.org", "http", "/old?a", Some("https://example.org/new?a")),
        ("www.example.org", "http", "/a", Some("https://example.org/a")),
        ("www.example.org", "https", "/old", Some("//example.org/new")),
        ("example.org", "http", "/old", Some("https://example.org/new")),
        ("example.org", "https", "/old", Some("/new")),
        ("example.org", "https", "/a", None),
        ("old.example", "http", "/old", Some("//new.example/new")),
        ("evil.example", "http", "/a", None),
    ] {
        let headers = [("host", host), ("x-forwarded-proto", proto)];
        assert_eq!(place(&layer, target, &headers).await.as_deref(), wanted, "{host} {proto} {target}");
    }
}

#[tokio::test]
async fn the_status_is_one_of_a_redirect() {
    for status in [301, 302, 307, 308] {
        let layer = RedirectLayer::new().path("/old", "/new").unwrap();
        let layer = layer.status(http::StatusCode::from_u16(status).unwrap()).unwrap();
        let inner =
            tower::service_fn(|_: Request| async { Ok::<Response, std::convert::Infallible>(Response::default()) });
        let request = http::Request::post("/old").body(Body::from("kept")).unwrap();
        let response = tower::ServiceExt::oneshot(tower_layer::Layer::layer(&layer, inner), request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    for status in [200, 300, 303, 304, 404] {
        let error = RedirectLayer::new().status(http::StatusCode::from_u16(status).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("status is {status}; give 308")), "{error}");
    }
}

#[test]
fn places_are_plain_and_lead_nowhere_else() {
    let new = RedirectLayer::new;
    for host in ["", "*", "*.example.org", "example.org:80", "https://example.org", "a/b", "u@a", "a.", "a b", "a\r\nb"]
    {
        for error in [new().https(host), new().host(host, "a.example"), new().host("a.example", host)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("{host:?} is no host; ")), "{error}");
        }
    }
    for from in ["", "old", "/a?b", "/a#b", "/a b", "*", "https://a.example/"] {
        let error = new().path(from, "/new").unwrap_err().to_string();
        assert!(error.contains(&format!("{from:?} is no path; ")), "{error}");
    }
    for to in [
        "",
        "new",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "https://",
        "https:///a",
        "ftp://a.example/",
        "/a\r\nset-cookie: b",
        "/a b",
        "/\u{e9}",
    ] {
        let error = new().path("/old", to).unwrap_err().to_string();
        assert!(error.contains(&format!("{to:?} is no place to go; ")), "{error}");
    }
    for twice in [
        new().https("a.example").unwrap().https("A.example"),
        new().host("a.example", "b.example").unwrap().host("a.example", "c.example"),
        new().path("/a", "/b").unwrap().path("/a", "/c"),
    ] {
        assert!(twice.unwrap_err().to_string().contains(" is named twice; "));
    }
    for circle in [
        new().host("a.example", "A.example"),
        new().host("a.example", "b.example").unwrap().host("b.example", "a.example"),
        new().host("a.example", "b.example").unwrap().host("b.example", "c.example"),
        new().host("a.example", "b.example").unwrap().host("c.example", "a.example"),
        new().path("/a", "/a?b"),
        new().path("/a", "/b").unwrap().path("/b", "/a"),
        new().path("/a", "/b?c").unwrap().path("/b", "/c"),
        new().path("/a", "/b").unwrap().path("/c", "/a#d"),
    ] {
        let error = circle.unwrap_err().to_string();
        assert!(error.contains("by way of another redirect; let each lead to where it ends"), "{error}");
    }
}
