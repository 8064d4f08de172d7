use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, PROXY_AUTHORIZATION, RANGE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body::Body as HttpBody;

use super::control::Asks;
use super::status::Why;
use super::stored::append;
use crate::service::Claims;

/// What a request is to the cache.
pub(super) enum Asked {
    /// It may be answered by what is kept.
    Read(Read),
    /// It may change what is at its path.
    Write,
    /// It is not for the cache.
    Other,
}

/// A request that may be answered by what is kept.
#[derive(Debug)]
pub(super) struct Read {
    /// All by which answers are told apart, but for what they say to vary by.
    pub(super) key: Vec<u8>,
    pub(super) head: bool,
    /// Whether the answer may be for this client alone.
    pub(super) has_credentials: bool,
    pub(super) asks: Asks,
    /// What the client has.
    pub(super) none_match: Vec<HeaderValue>,
    pub(super) modified_since: Option<HeaderValue>,
    /// Why it is handed on, if it is, or waits.
    pub(super) why: Why,
}

impl Asked {
    pub(super) fn of<B: HttpBody>(request: &Request<B>, rules: &Rules) -> Self {
        match *request.method() {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS | Method::TRACE | Method::CONNECT => return Self::Other,
            ref method if method == "QUERY" => return Self::Other,
            _ => return Self::Write,
        }
        let headers = request.headers();
        let has = |name: &HeaderName| headers.contains_key(name);
        // Of parts, and of what has to be in a certain state, only who has it knows.
        let is_special = [RANGE, IF_RANGE, IF_MATCH, IF_UNMODIFIED_SINCE, UPGRADE, TRANSFER_ENCODING].iter().any(has);
        // An answer may be by a body, which is no part of the key.
        let has_body =
            headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") || !request.body().is_end_stream();
        if is_special || has_body || is_upgrade(headers) {
            return Self::Other;
        }
        let asks = if rules.client_control { Asks::of(headers) } else { Asks::default() };
        if asks.no_store {
            return Self::Other;
        }
        let has_credentials = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].iter().any(has)
            || request.extensions().get::<Claims>().is_some();
        Self::Read(Read {
            key: key_of(request, &rules.vary),
            head: request.method() == Method::HEAD,
            has_credentials,
            asks,
            none_match: headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            modified_since: headers.get(IF_MODIFIED_SINCE).cloned(),
            why: Why::UriMiss,
        })
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// What counts for all requests.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) ttl: Option<std::time::Duration>,
    pub(super) max_bytes: u64,
    pub(super) max_body_bytes: usize,
    pub(super) vary: Vec<HeaderName>,
    pub(super) client_control: bool,
}

/// All of the target and of `Host`, as they were sent: whoever answers may look at any of it.
fn key_of<B>(request: &Request<B>, vary: &[HeaderName]) -> Vec<u8> {
    let uri = request.uri();
    let parts = [uri.scheme_str(), uri.authority().map(|host| host.as_str()), Some(uri.path()), uri.query()];
    let mut key = Vec::with_capacity(64 + uri.path().len() + uri.query().map_or(0, str::len));
    for part in parts {
        // No part of a target holds a zero.
        key.extend_from_slice(part.unwrap_or_default().as_bytes());
        key.push(0);
    }
    // A question mark without anything behind it is another target.
    key.push(uri.query().is_some().into());
    append(&mut key, request.headers(), &HOST);
    for name in vary {
        append(&mut key, request.headers(), name);
    }
    key
}

impl Read {
    /// Takes off what would have the answer be short; what the client has is looked at when the answer is there.
    pub(super) fn ask_whole(headers: &mut HeaderMap) {
        headers.remove(IF_NONE_MATCH);
        headers.remove(IF_MODIFIED_SINCE);
    }
}
