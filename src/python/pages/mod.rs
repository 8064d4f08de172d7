//! What an app shows in a browser: its documentation, itself at work, and what went wrong while it is developed.

mod asset;
mod docs;
mod document;
mod door;
mod error_pages;
pub(super) mod failures;
mod live;

use http::{HeaderName, HeaderValue};

use crate::service::{Response, Route};

pub(super) use docs::docs;
pub(super) use document::{Document, make_when_quiet};
pub(super) use error_pages::ErrorPages;
pub(super) use live::{Live, Seen};

/// The page, and the files below it.
pub(super) struct Page {
    pub(super) page: Route,
    pub(super) files: Route,
}

/// What every page has of headers beside its policy: nobody frames it, and it is what it says.
fn protect(response: &mut Response, policy: &HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(http::header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
}

/// Text within HTML, also within the quotes of an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
