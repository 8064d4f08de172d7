//! What a token costs: the layer, with and without its memory, beside `jsonwebtoken::decode` alone.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use serde::Deserialize;
use serde_json::json;
use tower::{Layer, Service, service_fn};
use ziggurat::layers::JwtLayer;
use ziggurat::{Body, Request, Response};

const SECRET: &[u8] = b"a secret of the benchmark, which is long enough";
const RSA: &[u8] = include_bytes!("../../tests/layers/keys/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/layers/keys/rsa.pub.pem");
const EC: &[u8] = include_bytes!("../../tests/layers/keys/ec.pem");
const EC_PUBLIC: &[u8] = include_bytes!("../../tests/layers/keys/ec.pub.pem");

#[derive(Deserialize)]
#[allow(dead_code)] // Read, and that is all.
struct Claims {
    sub: String,
    exp: u64,
    scope: String,
}

#[allow(clippy::unwrap_used)] // A benchmark may fail.
fn tokens(c: &mut Criterion) {
    let kinds = [
        (
            Algorithm::HS256,
            EncodingKey::from_secret(SECRET),
            DecodingKey::from_secret(SECRET),
            JwtLayer::secret(SECRET),
        ),
        (
            Algorithm::ES256,
            EncodingKey::from_ec_pem(EC).unwrap(),
            DecodingKey::from_ec_pem(EC_PUBLIC).unwrap(),
            JwtLayer::public_key_pem(EC_PUBLIC),
        ),
        (
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(RSA).unwrap(),
            DecodingKey::from_rsa_pem(RSA_PUBLIC).unwrap(),
            JwtLayer::public_key_pem(RSA_PUBLIC),
        ),
    ];
    for (algorithm, signs, checks, layer) in kinds {
        let claims = json!({
            "sub": "0190b6f4-7c1e-7d3a-9f54-3c2c8d1e7a10", "iss": "https://id.example", "scope": "users:read users:write",
            "exp": get_current_timestamp() + 3600, "iat": get_current_timestamp(), "name": "Ann Example",
        });
        let token = encode(&Header::new(algorithm), &claims, &signs).unwrap();
        let mut group = c.benchmark_group(format!("{algorithm:?}"));
        let validation = Validation::new(algorithm);
        group.bench_function("decode", |b| {
            b.iter(|| decode::<Claims>(black_box(&token), &checks, &validation).unwrap())
        });
        let layer = layer.unwrap();
        for (name, layer) in [("layer", layer.clone()), ("layer, nothing remembered", layer.remember(0))] {
            let inner: fn(Request) -> Ready<Result<Response, Infallible>> = |_| ready(Ok(Response::default()));
            let mut service = layer.layer(service_fn(inner));
            let request = || {
                let request = Request::new(Body::empty());
                let (mut parts, body) = request.into_parts();
                parts.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
                Request::from_parts(parts, body)
            };
            let mut call = |request| {
                let response = service.call(request).now_or_never().unwrap().unwrap();
                assert_eq!(response.status(), 200);
                response
            };
            group.bench_function(name, |b| b.iter_batched(request, &mut call, BatchSize::SmallInput));
        }
        group.finish();
    }
}

criterion_group!(benches, tokens);
criterion_main!(benches);
