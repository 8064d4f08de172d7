//! What the tests of several layers need.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;
use ziggurat::{Body, BoxError, Request, Response};

pub const SECRET: &str = "a secret of the tests, which is long enough for HMAC with SHA-512";

/// A token for `ann` that is signed with [`SECRET`] and holds for a minute, with `more` claims.
pub fn token(more: Value) -> String {
    signed(&claims(more), &Header::default(), SECRET.as_bytes())
}

pub fn claims(more: Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": get_current_timestamp() + 60});
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

pub fn signed(claims: &Value, header: &Header, secret: &[u8]) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

pub fn get(path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = http::Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// Sends `request` through `layer` to a service that answers with `response`.
pub async fn answer<L>(layer: L, request: Request, response: impl Fn() -> Response + Clone + Send + 'static) -> Response
where
    L: Layer<tower::util::BoxCloneSyncService<Request, Response, Infallible>>,
    L::Service: Service<Request, Error = Infallible>,
    <L::Service as Service<Request>>::Response: IntoOurs,
{
    let response = std::sync::Mutex::new(response);
    let response = std::sync::Arc::new(response);
    let inner = service_fn(move |_: Request| {
        let response = (response.lock().unwrap())();
        async move { Ok::<_, Infallible>(response) }
    });
    let inner = tower::util::BoxCloneSyncService::new(inner);
    layer.layer(inner).oneshot(request).await.unwrap().into_ours()
}

/// Brings the answers of layers that change bodies back to one type.
pub trait IntoOurs {
    fn into_ours(self) -> Response;
}

impl<B: Into<Body>> IntoOurs for Response<B> {
    fn into_ours(self) -> Response {
        self.map(Into::into)
    }
}

pub async fn text(response: Response) -> String {
    String::from_utf8(bytes(response).await.to_vec()).unwrap()
}

pub async fn bytes(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

pub async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    serde_json::from_slice(&bytes(response).await).unwrap()
}

/// A body that yields what is sent to it.
pub fn channel() -> (mpsc::UnboundedSender<Result<Bytes, BoxError>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    (sender, Body::from_stream(chunks))
}

/// Made by an encoder that has nothing to do with ours.
pub fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap().into()
}

/// Decodes as much of `coded` as can be decoded, by decoders that have nothing to do with ours.
pub fn decode(coding: &str, coded: &[u8]) -> Vec<u8> {
    let mut decoder: Box<dyn Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(coded)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(coded)),
        "br" => Box::new(brotli::Decompressor::new(coded, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
        other => panic!("no decoder for {other}"),
    };
    // Byte by byte, so that a cut end does not swallow what came before it.
    let mut decoded = Vec::new();
    let mut byte = [0];
    loop {
        match decoder.read(&mut byte) {
            Ok(0) => return decoded,
            Ok(_) => decoded.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return decoded,
        }
    }
}

/// What is logged.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines of the access log, once each.
    pub fn take(&self) -> Vec<Value> {
        self.take_of("ziggurat::access")
    }

    /// Those whose target begins so.
    pub fn take_of(&self, target: &str) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["target"].as_str().unwrap().starts_with(target))
            .collect()
    }
}

/// Logs what this thread does, for as long as the guard is kept.
pub fn log(level: tracing::Level) -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}
