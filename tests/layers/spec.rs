//! Layers as data.

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower::{ServiceExt, service_fn};
use ziggurat::layers::{ClientIp, LayerSpec, foundation};
use ziggurat::{Body, Request, Response, Route};

use crate::support::{SECRET, get, signed, text, token};

fn names(json: &str) -> Vec<String> {
    foundation(LayerSpec::list_from_json(json).unwrap()).iter().map(LayerSpec::to_string).collect()
}

#[test]
fn the_foundation_is_added_where_it_is_missing() {
    assert_eq!(names("[]"), ["CatchPanic", "RequestId", "Timeout", "BodyLimit"]);
    assert_eq!(
        names(r#"[{"type":"Compression"},{"type":"Timeout","seconds":2.5},{"type":"Trace"}]"#),
        ["CatchPanic", "RequestId", "BodyLimit", "Compression", "Timeout", "Trace"]
    );
    assert_eq!(names(r#"[{"type":"Trace"}]"#), ["CatchPanic", "RequestId", "Trace", "Timeout", "BodyLimit"]);
    assert_eq!(
        names(
            r#"[{"type":"HealthCheck"},{"type":"SecurityHeaders"},{"type":"Trace"},{"type":"Hosts","names":["a.example"]}]"#
        ),
        ["CatchPanic", "RequestId", "HealthCheck", "SecurityHeaders", "Trace", "Timeout", "BodyLimit", "Hosts"]
    );
    let seen = r#"[{"type":"HealthCheck"},{"type":"Metrics"},{"type":"Otel"},{"type":"Trace"},{"type":"Cors"}]"#;
    let wanted = ["CatchPanic", "RequestId", "HealthCheck", "Metrics", "Otel", "Trace", "Timeout", "BodyLimit", "Cors"];
    assert_eq!(names(seen), wanted);
    assert_eq!(
        names(r#"[{"type":"Trace"},{"type":"Compression"},{"type":"NormalizePath"},{"type":"RequestId"}]"#),
        ["CatchPanic", "Trace", "Timeout", "Compression", "NormalizePath", "BodyLimit", "RequestId"]
    );
    assert_eq!(
        names(r#"[{"type":"BodyLimit"},{"type":"NormalizePath"}]"#),
        ["CatchPanic", "RequestId", "Timeout", "BodyLimit", "NormalizePath"]
    );
    assert_eq!(
        names(r#"[{"type":"ClientIp"},{"type":"Trace"},{"type":"Cors"},{"type":"ClientIp"}]"#),
        ["CatchPanic", "RequestId", "ClientIp", "Trace", "Timeout", "BodyLimit", "Cors", "ClientIp"]
    );
    let all = r#"[{"type":"BodyLimit"},{"type":"Timeout"},{"type":"RequestId"},{"type":"CatchPanic"}]"#;
    assert_eq!(names(all), ["BodyLimit", "Timeout", "RequestId", "CatchPanic"]);
}

#[tokio::test]
async fn a_whole_stack_of_data_answers() {
    let list = serde_json::json!([
        {"type": "ClientIp", "trusted": ["10.0.0.0/8"], "hops": 1, "header": "forwarded"},
        {"type": "Metrics", "path": "/internal", "allow": ["192.0.2.1"], "buckets": [0.5, 1]},
        {"type": "Otel", "endpoint": "http://[::1]:1", "service_name": "a", "sample": 0, "headers": {"x-key": "k"}, "timeout": 1, "trust_incoming": false},
        {"type": "Trace", "format": "json", "level": "warn"},
        {"type": "HealthCheck", "paths": ["/up"]},
        {"type": "SecurityHeaders", "hsts_seconds": 5, "frame_options": null},
        {"type": "LoadShed", "max_concurrent": 2, "queue": 1},
        {"type": "SensitiveHeaders", "headers": ["x-key"]},
        {"type": "Hosts", "names": ["a.example"]},
        {"type": "Redirect", "https": ["b.example"], "hosts": {"www.a.example": "a.example"}, "paths": {"/old": "/"}, "status": 301},
        {"type": "Cors", "allow_origins": ["https://a.example"], "allow_methods": ["*"], "allow_headers": ["*"]},
        {"type": "Csrf", "trusted_origins": ["https://a.example"], "exempt": ["/hooks/{name}"]},
        {"type": "Static", "directory": "src", "path": "/files", "index": "mod.rs", "fallback": "lib.rs", "precompressed": true,
         "max_age": 9, "immutable": true, "hidden": true, "follow_symlinks": true},
        {"type": "Compression", "algorithms": ["gzip"], "min_size": 10, "level": 9},
        {"type": "Etag", "weak": true, "max_bytes": 1000},
        {"type": "BodyLimit", "max_bytes": 5},
        {"type": "RateLimit", "limit": 3, "period": 90, "burst": 2, "by_route": true, "policy": "most"},
        {"type": "RateLimit", "limit": 100, "by_header": "x-key", "ipv6_prefix": 56, "without_key": "allow", "max_keys": 10, "headers": false},
        {"type": "Jwt", "secret": SECRET, "algorithms": ["HS256"], "issuer": ["me", "you"], "leeway": 5, "required": true},
        {"type": "Cache", "ttl": 0.5, "max_bytes": 5000, "max_body_bytes": 500, "vary": ["x-key"], "client_control": false},
    ]);
    let leaf = service_fn(|request: Request| async move {
        assert_eq!(request.extensions().get::<ClientIp>().unwrap().0.to_string(), "192.0.2.1");
        let length = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes().len();
        let response = http::Response::builder().header("content-type", "text/plain");
        Ok::<Response, Infallible>(response.body(Body::from(format!("{length} bytes ").repeat(20))).unwrap())
    });
    let specs = foundation(LayerSpec::list_from_json(&list.to_string()).unwrap());
    let built: Vec<_> = specs.into_iter().map(|spec| spec.build().unwrap()).collect();
    let route = built.iter().rev().fold(Route::new(leaf), |route, layer| layer.apply(route));

    let token = format!("Bearer {}", token(serde_json::json!({"iss": "me"})));
    let host = ("host", "a.example");
    let client = ("forwarded", "for=192.0.2.1, for=10.0.0.1");
    let response = route
        .clone()
        .oneshot(get("/", &[host, client, ("authorization", &token), ("origin", "https://a.example")]))
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
    assert_eq!(response.headers()["strict-transport-security"], "max-age=5");
    assert!(!response.headers().contains_key("x-frame-options"));
    assert!(response.headers()["etag"].to_str().unwrap().starts_with("W/"));
    assert_eq!(text(response).await, "0 bytes ".repeat(20));
    let response = route
        .clone()
        .oneshot(get("/", &[host, client, ("authorization", &token), ("accept-encoding", "gzip")]))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["ratelimit-policy"], r#""most";q=2;w=60"#);
    assert_eq!(route.clone().oneshot(get("/", &[host, client])).await.unwrap().status(), 429);
    assert_eq!(route.clone().oneshot(get("/", &[host])).await.unwrap().status(), 401);
    assert_eq!(route.clone().oneshot(get("/", &[])).await.unwrap().status(), 400);
    let counted = text(route.clone().oneshot(get("/internal", &[client])).await.unwrap()).await;
    assert!(counted.contains("http_server_request_duration_seconds_bucket"), "{counted}");
    assert!(counted.contains(r#"http_response_status_code="429",le="0.5"} "#), "{counted}");
    assert_eq!(text(route.clone().oneshot(get("/up", &[])).await.unwrap()).await, "ok\n");
    let led = route.clone().oneshot(get("/old", &[host])).await.unwrap();
    assert_eq!((led.status().as_u16(), &led.headers()["location"]), (301, &"/".parse().unwrap()));
    let file = route.clone().oneshot(get("/files/layers/", &[host])).await.unwrap();
    assert_eq!(
        (file.status().as_u16(), &file.headers()["cache-control"]),
        (200, &"max-age=9, immutable".parse().unwrap())
    );
    assert_eq!(text(file).await, std::fs::read_to_string("src/layers/mod.rs").unwrap());
    let foreign = http::Request::post("/").header("host", "a.example").header("origin", "https://b.example");
    assert_eq!(route.clone().oneshot(foreign.body(Body::empty()).unwrap()).await.unwrap().status(), 403);
    let large = http::Request::post("/")
        .header("host", "a.example")
        .header("authorization", &token)
        .body(Body::from("123456"))
        .unwrap();
    let refused = route.oneshot(large).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["referrer-policy"]),
        (413, &"no-referrer".parse().unwrap())
    );
}

#[tokio::test]
async fn layers_that_leave_a_body_alone_do_not_box_it() {
    let leaf = service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::new(Body::from("as it was"))) });
    let route = ["Compression", "Etag", "BodyLimit", "Metrics", "Otel", "CatchPanic", "RequestId", "Timeout"]
        .iter()
        .fold(Route::new(leaf), |route, name| {
            LayerSpec::from_json(&format!(r#"{{"type":"{name}"}}"#)).unwrap().build().unwrap().apply(route)
        });
    let response = route.oneshot(get("/", &[("accept-encoding", "br")])).await.unwrap();
    assert_eq!(response.body().as_bytes().unwrap(), "as it was");
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for (json, wanted) in [
        (r#"{"type":"Jwt","secrets":"x"}"#, "layer Jwt: unknown field `secrets`"),
        (r#"{"type":"Jwt","algorithms":["none"]}"#, "unknown variant `none`"),
        (r#"{"type":"Jwt","require":[{"scope":"a","role":"b"}]}"#, "a requirement is one of scope, role, and claim"),
        (r#"{"type":"Jwt","jwks":{"uri":"https://a.example"}}"#, "unknown field `uri`"),
        (r#"{"type":"Jwt","sources":[{"body":"a"}]}"#, "unknown variant `body`"),
        (r#"{"type":"ApiKey"}"#, "missing field `keys`"),
        (r#"{"type":"ApiKey","keys":[{"key":"a"}]}"#, "unknown field `key`"),
        (r#"{"type":"Basic","users":[{"name":"a"}]}"#, "missing field `hash`"),
        (r#"{"type":"Jwt","issuers":[{"name":"a"}]}"#, "unknown field `name`"),
        (r#"{"type":"CatchPanic","x":1}"#, "layer CatchPanic: unknown field `x`"),
        (r#"{"type":"Zip"}"#, "layer Zip: unknown variant `Zip`, expected one of `CatchPanic`"),
        (r#"{"format":"json"}"#, "missing field `type`"),
        (
            r#"{"type":"ClientIp","header":"x-real-ip"}"#,
            "unknown variant `x-real-ip`, expected `x-forwarded-for` or `forwarded`",
        ),
        (r#"{"type":"ClientIp","hops":-1}"#, "layer ClientIp: invalid value"),
        (r#"{"type":"RateLimit"}"#, "layer RateLimit: missing field `limit`"),
        (r#"{"type":"RateLimit","limit":1,"without_key":"refuse"}"#, "expected `share` or `allow`"),
        (r#"{"type":"RateLimit","limit":1,"on_failure":"wait"}"#, "expected `allow` or `refuse`"),
        (r#"{"type":"RateLimit","limit":1,"routes":null}"#, "layer RateLimit: unknown field `routes`"),
        (r#"{"type":"Trace","format":"xml"}"#, "layer Trace: unknown variant `xml`, expected `text` or `json`"),
        (r#"{"type":"SecurityHeaders","frame_options":"deny"}"#, "layer SecurityHeaders: unknown variant `deny`"),
        (r#"{"type":"NormalizePath","redirect":"yes"}"#, "layer NormalizePath: invalid type"),
        (r#"{"type":"Decompression","algorithms":["lzma"]}"#, "layer Decompression: unknown variant `lzma`"),
        (r#"{"type":"Metrics","paths":["/metrics"]}"#, "layer Metrics: unknown field `paths`"),
        (r#"{"type":"Metrics","routes":null}"#, "layer Metrics: unknown field `routes`"),
        (r#"{"type":"Otel","handle":null}"#, "layer Otel: unknown field `handle`"),
        (r#"{"type":"Otel","sample":"all"}"#, "layer Otel: invalid type"),
        (r#"{"type":"LoadShed"}"#, "layer LoadShed: missing field `max_concurrent`"),
        (r#"{"type":"Etag","max_bytes":-1}"#, "layer Etag: invalid value"),
        (r#"{"type":"BodyLimit","max_bytes":-1}"#, "layer BodyLimit: invalid value"),
        (r#"{"type":"Compression","algorithms":["lzma"]}"#, "layer Compression: unknown variant `lzma`"),
        ("nonsense", "layer: expected"),
    ] {
        let error = LayerSpec::from_json(json).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("; "), "{error}");
        assert!(!error.contains("line 1"), "{error}");
    }
    assert!(LayerSpec::list_from_json(r#"{"type":"Trace"}"#).unwrap_err().to_string().contains("a list"));
}

#[test]
fn contradictions_are_refused_by_name() {
    for (json, wanted) in [
        (r#"{"type":"Jwt"}"#, "secret"),
        (r#"{"type":"Jwt","secret":"x","jwks":"y"}"#, "jwks is given beside another key"),
        (r#"{"type":"Jwt","jwks":{"keys":[]}}"#, "no key that checks signatures"),
        (r#"{"type":"Jwt","jwks":"{}"}"#, "is no JWK Set"),
        (r#"{"type":"Jwt","jwks":"http://a.example/keys"}"#, "could be changed on its way"),
        (r#"{"type":"Jwt","jwks":{}}"#, "one of url and discover"),
        (
            r#"{"type":"Jwt","jwks":{"url":"https://a.example","discover":"https://a.example"}}"#,
            "one of url and discover",
        ),
        (r#"{"type":"Jwt","jwks":{"url":"https://a.example","cooldown":0}}"#, "jwks cooldown is 0"),
        (r#"{"type":"Jwt","jwks":{"url":"https://a.example","root_pem":"x"}}"#, "no certificate to trust"),
        (r#"{"type":"Jwt","jwks":"https://a.example","algorithms":["HS256"]}"#, "HS256 is for secrets"),
        (r#"{"type":"Jwt","issuers":[]}"#, "issuers is empty"),
        (r#"{"type":"Jwt","issuers":[{"issuer":"a"}]}"#, "no key is given"),
        (r#"{"type":"Jwt","issuers":[],"secret":"x"}"#, "both issuers and settings of a single one"),
        (r#"{"type":"Jwt","secret":"x","public_key_pem":"y"}"#, "both"),
        (r#"{"type":"Jwt","secret":"short"}"#, "5 bytes"),
        (r#"{"type":"Timeout","seconds":0}"#, "Timeout: seconds is 0"),
        (r#"{"type":"Timeout","seconds":1e9}"#, "86400"),
        (r#"{"type":"Timeout","body_idle":0}"#, "Timeout: body_idle is 0; give a number of seconds from 0.001"),
        (r#"{"type":"Timeout","total":-1}"#, "Timeout: total is -1"),
        (r#"{"type":"Trace","level":"loud"}"#, "loud"),
        (r#"{"type":"RequestId","header":"a b"}"#, "a b"),
        (r#"{"type":"ClientIp","trusted":["proxy.example"]}"#, "trusted holds \"proxy.example\", which is no network"),
        (r#"{"type":"ClientIp","hops":33}"#, "ClientIp: hops is 33"),
        (r#"{"type":"RateLimit","limit":0}"#, "RateLimit: limit is 0"),
        (r#"{"type":"RateLimit","limit":1,"burst":0}"#, "RateLimit: burst is 0"),
        (r#"{"type":"RateLimit","limit":1,"period":0}"#, "RateLimit: period is 0"),
        (r#"{"type":"RateLimit","limit":1,"by_header":"a b"}"#, "RateLimit: \"a b\" is not a header name"),
        (r#"{"type":"RateLimit","limit":1,"by_header":"a","by_claim":"sub"}"#, "both by_header and by_claim"),
        (r#"{"type":"RateLimit","limit":1,"ipv6_prefix":129}"#, "ipv6_prefix is 129"),
        (r#"{"type":"RateLimit","limit":1,"max_keys":0}"#, "max_keys is 0"),
        (r#"{"type":"RateLimit","limit":1,"policy":"a b"}"#, "policy \"a b\" is no name"),
        (r#"{"type":"RateLimit","limit":1,"namespace":"a"}"#, "namespace is given without store"),
        (r#"{"type":"RateLimit","limit":1,"on_failure":"refuse"}"#, "on_failure is given without store"),
        (r#"{"type":"RateLimit","limit":1,"store_timeout":1}"#, "store_timeout is given without store"),
        (r#"{"type":"RateLimit","limit":1,"store":"mysql://u:p@h"}"#, "store is no store of quotas; write sqlite:///"),
        (r#"{"type":"RateLimit","limit":1,"store":"sqlite:///"}"#, "store is no store of quotas"),
        (r#"{"type":"RateLimit","limit":1,"store":"sqlite:////no/such/folder/q.db"}"#, "does not exist; make it first"),
        (r#"{"type":"RateLimit","limit":1,"store":"sqlite:///q.db","max_keys":0}"#, "max_keys is 0"),
        (
            r#"{"type":"RateLimit","limit":1,"store":"sqlite:///q.db","namespace":"a b"}"#,
            "namespace \"a b\" is no name",
        ),
        (r#"{"type":"RateLimit","limit":1,"store":"sqlite:///q.db","store_timeout":0}"#, "store_timeout is 0"),
        (
            r#"{"type":"RateLimit","limit":1,"store":"redis://h","max_keys":9}"#,
            "max_keys is given, and store is a Redis",
        ),
        (r#"{"type":"RateLimit","limit":1,"store":"redis://h:x"}"#, "the store is no server of quotas; write redis://"),
        (r#"{"type":"RateLimit","limit":1,"store":"rediss://h"}"#, "the store cannot be spoken to over TLS"),
        (r#"{"type":"SensitiveHeaders","headers":[]}"#, "empty"),
        (r#"{"type":"SecurityHeaders","hsts_preload":true}"#, "hsts_preload is given without hsts_seconds"),
        (r#"{"type":"SecurityHeaders","hsts_seconds":9,"hsts_preload":true}"#, "for a year at least"),
        (
            r#"{"type":"SecurityHeaders","content_security_policy":"a\r\nb: c"}"#,
            "cannot be sent as Content-Security-Policy",
        ),
        (r#"{"type":"Metrics","path":"metrics"}"#, "Metrics: \"metrics\" is no path"),
        (r#"{"type":"Metrics","path":"/{x}"}"#, "is no path"),
        (r#"{"type":"Metrics","allow":[]}"#, "Metrics: allow is empty"),
        (r#"{"type":"Metrics","allow":["*","::1"]}"#, "Metrics: allow holds \"*\" and others"),
        (r#"{"type":"Metrics","allow":["10.0.0.1/8"]}"#, "Metrics: allow holds \"10.0.0.1/8\", which has bits beyond"),
        (r#"{"type":"Metrics","allow":["::/0"]}"#, "Metrics: allow holds \"::/0\", so everybody could read them"),
        (r#"{"type":"Metrics","buckets":[]}"#, "Metrics: there are 0 buckets"),
        (r#"{"type":"Metrics","buckets":[1,1]}"#, "Metrics: the bucket 1 comes after 1"),
        (r#"{"type":"Otel","endpoint":"collector:4318"}"#, "Otel: \"collector:4318\" is no address of a collector"),
        (r#"{"type":"Otel","endpoint":"http://a.example?x"}"#, "Otel: the endpoint is no address of a collector"),
        (r#"{"type":"Otel","endpoint":"http://u:p@a.example"}"#, "Otel: the endpoint is no address of a collector"),
        (r#"{"type":"Otel","endpoint":"grpc://a.example"}"#, "is no address of a collector"),
        (r#"{"type":"Otel","service_name":""}"#, "Otel: the name of the service is empty"),
        (r#"{"type":"Otel","sample":1.5}"#, "Otel: sample is 1.5"),
        (r#"{"type":"Otel","timeout":0}"#, "Otel: timeout is 0"),
        (r#"{"type":"Otel","headers":{"a b":"c"}}"#, "Otel: \"a b\" cannot be sent as a header"),
        (r#"{"type":"Otel","headers":{"a":"b\nc"}}"#, "Otel: \"a\" cannot be sent as a header"),
        (r#"{"type":"LoadShed","max_concurrent":0}"#, "max_concurrent is 0, so every request would be refused"),
        (r#"{"type":"LoadShed","max_concurrent":1,"queue":1,"wait":0}"#, "LoadShed: wait is 0"),
        (r#"{"type":"Csrf","trusted_origins":["https://A.example"]}"#, "is not an origin as browsers send it"),
        (r#"{"type":"Csrf","exempt":["/{x"]}"#, "an exempt path \"/{x\""),
        (r#"{"type":"HealthCheck","paths":["/{x}"]}"#, "is no path"),
        (r#"{"type":"HealthCheck","paths":["/a","/a"]}"#, "is named twice"),
        (r#"{"type":"Redirect"}"#, "nothing is redirected"),
        (r#"{"type":"Redirect","https":["a.example:80"]}"#, "is no host"),
        (r#"{"type":"Redirect","hosts":{"a.example":"*"}}"#, "is no host"),
        (r#"{"type":"Redirect","paths":{"/a":"//evil.example"}}"#, "is no place to go"),
        (r#"{"type":"Redirect","paths":{"/a":"/b","/b":"/a"}}"#, "by way of another redirect"),
        (r#"{"type":"Redirect","paths":{"/a":"/b"},"status":200}"#, "status is 200"),
        (r#"{"type":"Redirect","paths":{"/a":"/b"},"status":9}"#, "status is 9"),
        (r#"{"type":"Static","directory":"no/such"}"#, "directory \"no/such\" does not exist"),
        (r#"{"type":"Static","directory":"Cargo.toml"}"#, "is no directory"),
        (r#"{"type":"Static","directory":"src","path":"static"}"#, "\"static\" is no path"),
        (r#"{"type":"Static","directory":"src","index":"a/b"}"#, "index \"a/b\" is no name of a file"),
        (r#"{"type":"Static","directory":"src","fallback":"no.html"}"#, "is no file of the directory"),
        (r#"{"type":"Static","directory":"src","immutable":true}"#, "immutable is given without max_age"),
        (r#"{"type":"Cache","ttl":0}"#, "Cache: ttl is 0"),
        (r#"{"type":"Cache","vary":["a b"]}"#, "Cache: \"a b\" is not a header name"),
        (r#"{"type":"Cache","max_bytes":5}"#, "max_bytes is 5, and one body may have 1048576"),
        (r#"{"type":"Cache","max_body_bytes":0}"#, "max_body_bytes is 0"),
        (r#"{"type":"Hosts","names":[]}"#, "no host is known"),
        (r#"{"type":"Hosts","names":["https://a.example"]}"#, "is no host"),
        (r#"{"type":"ApiKey","keys":[]}"#, "no key is known"),
        (r#"{"type":"ApiKey","keys":[{"hash":"abc","subject":"a"}]}"#, "the hash of the key of \"a\" is none"),
        (r#"{"type":"Basic","users":[]}"#, "no user is known"),
        (r#"{"type":"Basic","users":[{"name":"a","hash":"abc"}]}"#, "the hash of \"a\" is no PHC string"),
        (r#"{"type":"Compression","level":10}"#, "level"),
        (r#"{"type":"Compression","algorithms":[]}"#, "Compression: algorithms is empty"),
        (r#"{"type":"Decompression","algorithms":[]}"#, "Decompression: algorithms is empty"),
        (r#"{"type":"Decompression","algorithms":["br","br"]}"#, "names \"br\" twice"),
        (r#"{"type":"Decompression","max_ratio":0}"#, "max_ratio is 0"),
        (r#"{"type":"Cors","allow_origins":["*"],"allow_credentials":true}"#, "allow_credentials"),
    ] {
        let error = LayerSpec::from_json(json).unwrap().build().unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("; "), "{error}");
    }
    let issuer = format!(r#"{{"type":"Jwt","secret":"{SECRET}","issuer":[]}}"#);
    assert!(LayerSpec::from_json(&issuer).unwrap().build().unwrap_err().to_string().contains("issuer"));
    let with = |more: &str| {
        let json = format!(r#"{{"type":"Jwt","secret":"{SECRET}",{more}}}"#);
        LayerSpec::from_json(&json).unwrap().build().unwrap_err().to_string()
    };
    assert!(with(r#""sources":[{"query":"a"}]"#).contains("in a query string"));
    assert!(with(r#""sources":[]"#).contains("sources is empty"));
    assert!(with(r#""sources":[{"cookie":"a b"}]"#).contains("cannot be the name of a cookie"));
    assert!(with(r#""sources":[{"header":"a b"}]"#).contains("is not a header name"));
    let negative = format!(r#"{{"type":"Jwt","secret":"{SECRET}","leeway":-1}}"#);
    assert!(LayerSpec::from_json(&negative).unwrap().build().unwrap_err().to_string().contains("leeway"));
}

#[tokio::test]
async fn a_jwt_of_data_has_issuers_places_and_requirements() {
    let other = "another secret of the tests, which is long enough";
    let keys = serde_json::json!({"keys": [{"kty": "oct", "kid": "1", "k": URL_SAFE_NO_PAD.encode(other)}]});
    let spec = serde_json::json!({
        "type": "Jwt",
        "issuers": [{"issuer": "a", "secret": SECRET, "audience": ["x", "y"]}, {"issuer": ["b", "c"], "jwks": keys}],
        "sources": [{"header": "authorization"}, {"cookie": "session"}],
        "require": [{"scope": "s"}, {"role": "r"}, {"claim": "t", "is": ["u"]}],
        "max_token_bytes": 500,
    });
    let layer = LayerSpec::from_json(&spec.to_string()).unwrap().build().unwrap();
    let leaf = service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) });
    let route = layer.apply(Route::new(leaf));
    let all = serde_json::json!({"scope": "s", "roles": ["r"], "t": "u"});
    let with = |more: serde_json::Value| {
        let mut claims = all.clone();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        crate::support::claims(claims)
    };
    let header = jsonwebtoken::Header::default();
    let a = signed(&with(serde_json::json!({"iss": "a", "aud": "y"})), &header, SECRET.as_bytes());
    let c = signed(&with(serde_json::json!({"iss": "c"})), &header, other.as_bytes());
    let less = signed(&with(serde_json::json!({"iss": "c", "t": "v"})), &header, other.as_bytes());
    let long = signed(&with(serde_json::json!({"iss": "c", "x": "y".repeat(500)})), &header, other.as_bytes());
    let wrong = signed(&with(serde_json::json!({"iss": "a", "aud": "y"})), &header, other.as_bytes());
    for (token, wanted) in [(a, 200), (c, 200), (less, 403), (long, 401), (wrong, 401)] {
        let bearer = format!("Bearer {token}");
        let cookie = format!("session={token}");
        for sent in [("authorization", &bearer), ("cookie", &cookie)] {
            assert_eq!(route.clone().oneshot(get("/", &[(sent.0, sent.1)])).await.unwrap().status(), wanted);
        }
    }
}

#[tokio::test]
async fn keys_and_users_of_data_are_known() {
    let claims = serde_json::json!({"tenant": "t"});
    let hash = ziggurat::layers::api_key::KnownKey::hash_of("the key");
    let list = serde_json::json!([
        {"type": "ApiKey", "keys": [{"hash": hash, "subject": "robot", "scopes": ["s"], "claims": claims}],
         "sources": [{"query": "key"}, {"header": "x-key"}], "required": false},
        {"type": "Basic", "users": [{"name": "ann", "hash": "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc", "scopes": ["s"], "claims": claims}],
         "realm": "here", "parallel": 1, "remember": 0, "required": true},
    ]);
    let leaf = service_fn(|request: Request| async move {
        let claims = request.extensions().get::<ziggurat::service::Claims>().unwrap();
        assert!(claims.has_scope("s") && claims.get("tenant").unwrap() == "t");
        Ok::<Response, Infallible>(Response::new(Body::from(claims.subject().unwrap().to_owned())))
    });
    let specs = LayerSpec::list_from_json(&list.to_string()).unwrap();
    assert!(!format!("{specs:?}").contains("argon2id") && !format!("{specs:?}").contains("sha256"));
    let built: Vec<_> = specs.into_iter().map(|spec| spec.build().unwrap()).collect();
    let route = built.iter().rev().fold(Route::new(leaf), |route, layer| layer.apply(route));
    let keyed = route.clone().oneshot(get("/?key=the+key&a=b", &[])).await.unwrap();
    assert_eq!(keyed.status(), 401, "a plus is a plus");
    let keyed = route.clone().oneshot(get("/?key=the%20key&a=b", &[])).await.unwrap();
    assert_eq!(text(keyed).await, "robot");
    let user = route.clone().oneshot(get("/", &[("authorization", &crate::basic::sent("ann", "open sesame"))])).await;
    assert_eq!(text(user.unwrap()).await, "ann");
    let nobody = route.oneshot(get("/", &[])).await.unwrap();
    assert_eq!(nobody.headers()["www-authenticate"], "Basic realm=\"here\", charset=\"UTF-8\"");
}

#[test]
fn secrets_are_not_printed() {
    let otel = format!(r#"{{"type":"Otel","headers":{{"x-key":"{SECRET}"}}}}"#);
    assert!(!format!("{:?}", LayerSpec::from_json(&otel).unwrap()).contains("secret of the tests"));
    let set = format!(r#"{{"type":"Jwt","jwks":{{"keys":[{{"kty":"oct","k":"{SECRET}"}}]}}}}"#);
    assert!(!format!("{:?}", LayerSpec::from_json(&set).unwrap()).contains("secret of the tests"));
    let store = LayerSpec::from_json(r#"{"type":"RateLimit","limit":1,"store":"redis://ann:hunter2@h"}"#).unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
    let spec = LayerSpec::from_json(&format!(r#"{{"type":"Jwt","secret":"{SECRET}"}}"#)).unwrap();
    assert!(!format!("{spec:?}").contains("secret of the tests"));
}
