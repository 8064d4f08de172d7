//! The opening handshake (RFC 6455, 4.2; RFC 8441 over HTTP/2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tungstenite::handshake::derive_accept_key;

use super::deflate::Agreed;
use super::settings::Settings;
use crate::Response;
use crate::service::{Location, Problem, Violation};

const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const SWITCH: HeaderValue = HeaderValue::from_static("Upgrade");

/// A handshake that may be accepted.
#[derive(Debug)]
pub(super) struct Handshake {
    /// What proves that the key was read; none over HTTP/2, which needs no proof.
    accept: Option<String>,
    /// The subprotocols that the client offers, the best first.
    pub(super) offered: Vec<String>,
    /// How messages are compressed.
    pub(super) deflate: Option<Agreed>,
}

/// What a handler accepts a handshake with.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) subprotocol: Option<HeaderValue>,
    pub(super) headers: HeaderMap,
}

impl Handshake {
    /// Checks a request.
    ///
    /// # Errors
    /// The answer to one that is no handshake, or comes from a page that may not open a socket.
    pub(super) fn check(parts: &Parts, settings: &Settings) -> Result<Self, Problem> {
        let offered = tokens(&parts.headers, &SEC_WEBSOCKET_PROTOCOL);
        let accept = if parts.method == Method::CONNECT {
            check_version(&parts.headers)?;
            None
        } else {
            Some(check_switch(parts)?)
        };
        settings.origins.check(parts).map_err(|origin| {
            tracing::info!(
                origin,
                path = parts.uri.path(),
                "a page of another site may not open this socket; name its origin in origins=[...] if it is yours"
            );
            Problem::forbidden("pages of this origin may not open the socket")
        })?;
        let deflate = settings.compression.as_ref().and_then(|how| Agreed::of(&parts.headers, how.context));
        Ok(Self { accept, offered, deflate })
    }

    /// The subprotocol that both know, the best first in the eyes of the route.
    pub(super) fn agreed(&self, settings: &Settings) -> Option<String> {
        settings.subprotocols.iter().find(|own| self.offered.contains(own)).cloned()
    }

    /// The answer that opens the socket.
    pub(super) fn accept(self, accepted: Accepted) -> Response {
        let mut response = Response::default();
        *response.headers_mut() = accepted.headers;
        if let Some(accept) = self.accept {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(CONNECTION, SWITCH);
            response.headers_mut().insert(UPGRADE, WEBSOCKET);
            if let Ok(accept) = HeaderValue::try_from(accept) {
                response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
        }
        if let Some(extension) = self.deflate.and_then(Agreed::header) {
            response.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        if let Some(subprotocol) = accepted.subprotocol {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        response
    }
}

/// Whether a header belongs to the handshake, or to the framing of the answer.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    name.as_str().starts_with("sec-websocket-")
        || [CONNECTION, UPGRADE, http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING].contains(name)
}

/// The members of a list.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let tokens = values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty());
    tokens.map(str::to_owned).collect()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).iter().any(|token| token.eq_ignore_ascii_case(wanted))
}

/// 426, and how to do better (RFC 9110, 15.5.22).
fn upgrade_required(detail: &'static str) -> Problem {
    Problem::of(StatusCode::UPGRADE_REQUIRED)
        .detail(detail)
        .header(UPGRADE, WEBSOCKET)
        .header(CONNECTION, SWITCH)
        .header(SEC_WEBSOCKET_VERSION, VERSION)
}

fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if *version == VERSION => Ok(()),
        _ => Err(upgrade_required("this server speaks version 13 of WebSocket")),
    }
}

/// What over HTTP/1.1 asks to switch; gives the proof that it was read.
fn check_switch(parts: &Parts) -> Result<String, Problem> {
    let headers = &parts.headers;
    if !has_token(headers, &UPGRADE, "websocket") || parts.method != Method::GET {
        return Err(upgrade_required("this path speaks WebSocket; connect to it by ws:// or wss://"));
    }
    if parts.version != Version::HTTP_11 {
        return Err(Problem::bad_request("a WebSocket begins with a request of HTTP/1.1"));
    }
    check_version(headers)?;
    let mut wrong = Vec::new();
    let mut violation = |name: &HeaderName, code: &'static str, detail: &'static str| {
        wrong.push(Violation::new(Location::Header(name.as_str().to_owned()), code, detail));
    };
    if !has_token(headers, &CONNECTION, "upgrade") {
        violation(&CONNECTION, "missing", "must be Upgrade");
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) => Some(key),
        (None, _) => {
            violation(&SEC_WEBSOCKET_KEY, "missing", "must be sixteen random bytes in base64");
            None
        }
        _ => {
            violation(&SEC_WEBSOCKET_KEY, "base64", "must be sixteen random bytes in base64, once");
            None
        }
    };
    match key {
        Some(key) if wrong.is_empty() => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(Problem::bad_request("this is no handshake of WebSocket").errors(wrong)),
    }
}
