//! While an app is developed: what went wrong is told to who asked, if that is the one who sits at the machine.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, Method};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use tower_service::Service;

use super::failures::Noted;
use super::{door, escape, protect};
use crate::Body;
use crate::service::{Problem, Request, Response, Route};

const STYLE: &str = include_str!("error/error.css");
const PAGE: &str = include_str!("error/error.html");

/// Nothing but the style that is a part of the page.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    );
    // Base64: always a header.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// A route whose failures are told.
#[derive(Clone)]
pub(in crate::python) struct ErrorPages {
    pub(in crate::python) inner: Route,
    /// Where the live page is, if there is one.
    pub(in crate::python) live: Option<Arc<str>>,
}

impl Service<Request> for ErrorPages {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = Asked::of(&request);
        let live = self.live.clone();
        let answer = self.inner.answer(request);
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            let noted = response.extensions().get::<Arc<Noted>>().cloned();
            match noted {
                Some(noted) if asked.is_let_in => asked.tell(&noted, &mut response, live.as_deref()),
                _ => {}
            }
            Ok(response)
        })
    }
}

/// What is known of a request when its answer is there.
struct Asked {
    is_let_in: bool,
    takes_html: bool,
    line: String,
}

/// As it stands in a list: the query may hold secrets.
pub(super) fn line_of(request: &Request) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

impl Asked {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let is_html = |range: &str| range.split(';').next().is_some_and(|kind| kind.trim() == "text/html");
        Self {
            is_let_in: request.method() != Method::HEAD && door::is_local(request) && door::is_same_site(headers),
            takes_html: accepts.flat_map(|accept| accept.split(',')).any(is_html),
            line: line_of(request),
        }
    }

    fn tell(&self, noted: &Noted, response: &mut Response, live: Option<&str>) {
        let body = match self.takes_html {
            true => self.page(noted, live).into(),
            false => with_traceback(response, noted),
        };
        *response.body_mut() = body;
        let headers = response.headers_mut();
        for name in [CONTENT_LENGTH, CONTENT_ENCODING, ETAG] {
            headers.remove(name);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.takes_html {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            protect(response, &POLICY);
        }
    }

    fn page(&self, noted: &Noted, live: Option<&str>) -> String {
        let failure = &noted.failure;
        let more = live.map_or_else(String::new, |path| {
            format!("<p class=\"more\"><a href=\"{}\">All recent errors, live</a></p>", escape(path))
        });
        let parts = [
            ("{style}", STYLE.to_owned()),
            ("{title}", escape(&failure.title())),
            ("{kind}", escape(failure.kind())),
            ("{message}", escape(failure.message())),
            ("{request}", escape(&self.line)),
            ("{whose}", escape(failure.whose())),
            ("{more}", more),
            ("{text}", escape(failure.text())),
            // Last, as it holds what others have written.
            ("{frames}", noted.page.clone()),
        ];
        filled(PAGE, &parts)
    }
}

/// The template with its places filled, each where it stands in the template: what is filled in is not looked at again.
fn filled(template: &str, parts: &[(&str, String)]) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((at, (name, text))) =
        parts.iter().filter_map(|part| Some((rest.find(part.0)?, part))).min_by_key(|(at, _)| *at)
    {
        page.push_str(&rest[..at]);
        page.push_str(text);
        rest = &rest[at + name.len()..];
    }
    page.push_str(rest);
    page
}

/// The document that was answered, and the traceback within it.
fn with_traceback(response: &Response, noted: &Noted) -> Body {
    let own = match response.body().as_bytes() {
        Some(bytes) if !response.headers().contains_key(CONTENT_ENCODING) => serde_json::from_slice(bytes).ok(),
        _ => None,
    };
    let own: Option<Map<String, Json>> = own.or_else(|| serde_json::from_slice(&Problem::internal().to_bytes()).ok());
    let mut document = own.unwrap_or_default();
    let lines = noted.failure.text().lines().map(Json::from).collect();
    document.insert("traceback".to_owned(), lines);
    Body::from(Json::Object(document).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_itself() {
        let parts = [("{a}", "{b}".to_owned()), ("{b}", "{a}".to_owned())];
        assert_eq!(filled("1 {a} 2 {b} 3 {c}", &parts), "1 {b} 2 {a} 3 {c}");
    }

    #[test]
    fn the_policy_names_the_style() {
        assert!(POLICY.to_str().unwrap().contains("'sha256-"));
        assert!(PAGE.contains("<style>{style}</style>"), "its hash is that of the whole element");
    }
}
