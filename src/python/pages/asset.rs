//! Files that pages are made of. They are a part of this crate, so that nothing is fetched from elsewhere.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

use super::protect;
use crate::Body;
use crate::layers::tags::is_listed;
use crate::layers::weights::elements;
use crate::service::{PathParams, Problem, Request, Response};

/// A file whose name changes with its content, so that it may be kept for ever.
pub(super) struct Asset {
    pub(super) name: String,
    content_type: HeaderValue,
    content: Content,
    tag: HeaderValue,
}

enum Content {
    Plain(&'static str),
    Gzip {
        compressed: &'static [u8],
        /// For who takes nothing compressed, which browsers do.
        whole: OnceCell<Bytes>,
    },
}

impl Asset {
    /// A text of ours; a hash of it becomes a part of its name.
    pub(super) fn plain(stem: &str, ending: &str, content: &'static str) -> Self {
        let hash = hash(content.as_bytes());
        Self {
            name: format!("{stem}-{hash}.{ending}"),
            content_type: content_type(ending),
            content: Content::Plain(content),
            tag: tag(&hash),
        }
    }

    /// A text of others, compressed, whose version is a part of its name.
    pub(super) fn compressed(stem: &str, version: &str, ending: &str, compressed: &'static [u8]) -> Self {
        Self {
            name: format!("{stem}-{version}.{ending}"),
            content_type: content_type(ending),
            content: Content::Gzip { compressed, whole: OnceCell::new() },
            tag: tag(version),
        }
    }

    async fn answer(&self, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        if is_listed(asked.get_all(IF_NONE_MATCH), &self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            match &self.content {
                Content::Plain(text) => *response.body_mut() = Body::from(*text),
                Content::Gzip { compressed, .. } if takes_gzip(asked) => {
                    *response.body_mut() = Body::from(Bytes::from_static(compressed));
                    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                Content::Gzip { compressed, whole } => match whole.get_or_try_init(|| inflate(compressed)).await {
                    Ok(bytes) => *response.body_mut() = Body::from(bytes.clone()),
                    Err(error) => {
                        tracing::error!(%error, file = self.name, "a file of a page is broken");
                        return Problem::internal().into_response();
                    }
                },
            }
            response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        }
        let headers = response.headers_mut();
        headers.insert(ETAG, self.tag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if matches!(self.content, Content::Gzip { .. }) {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }
}

/// The one that the last part of the path names.
pub(super) async fn file(assets: &[Asset], request: &Request<()>) -> Response {
    let name = file_name(request).unwrap_or_default();
    match assets.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.answer(request.headers()).await,
        None => Problem::not_found("no file of this page is called so").into_response(),
    }
}

/// What a request asks for below a page.
pub(super) fn file_name(request: &Request<()>) -> Option<&str> {
    request.extensions().get::<PathParams>().and_then(|path| path.at(0))
}

/// A page with its policy. It is asked for again each time, as it names files that change.
pub(super) fn html(text: &Bytes, policy: &HeaderValue, tag: &HeaderValue, asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    if is_listed(asked.get_all(IF_NONE_MATCH), tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::from(text.clone());
        response.headers_mut().insert(CONTENT_TYPE, content_type("html"));
    }
    response.headers_mut().insert(ETAG, tag.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    protect(&mut response, policy);
    response
}

/// The entity tag of a content.
pub(super) fn tag_of(content: &[u8]) -> HeaderValue {
    tag(&hash(content))
}

fn tag(text: &str) -> HeaderValue {
    // Digits and letters: always a header.
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn hash(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // A string takes all that is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn content_type(ending: &str) -> HeaderValue {
    HeaderValue::from_static(match ending {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        _ => "text/html; charset=utf-8",
    })
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = 0;
    for (name, weight) in values.flat_map(elements) {
        if name.eq_ignore_ascii_case("gzip") {
            return weight > 0;
        }
        if name == "*" {
            any = weight;
        }
    }
    any > 0
}

async fn inflate(compressed: &'static [u8]) -> std::io::Result<Bytes> {
    let mut whole = Vec::new();
    async_compression::tokio::bufread::GzipDecoder::new(compressed).read_to_end(&mut whole).await?;
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (accepted, wanted) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.1", true),
            ("*", true),
            ("", false),
            ("br", false),
            ("gzip;q=0, *", false),
            ("identity", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accepted).unwrap());
            assert_eq!(takes_gzip(&headers), wanted, "{accepted}");
        }
    }

    #[tokio::test]
    async fn what_is_compressed_is_whole_for_others() {
        static GZIP: &[u8] = include_bytes!("swagger-ui/swagger-ui.css.gz");
        let asset = Asset::compressed("a", "1", "css", GZIP);
        let plain = asset.answer(&HeaderMap::new()).await;
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        let text = plain.body().as_bytes().unwrap();
        assert!(text.len() > GZIP.len() && text.starts_with(b".swagger-ui"));
        let mut asked = HeaderMap::new();
        asked.insert(IF_NONE_MATCH, HeaderValue::from_static("W/\"1\""));
        assert_eq!(asset.answer(&asked).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let (one, other) = (Asset::plain("a", "js", "1"), Asset::plain("a", "js", "2"));
        assert_ne!(one.name, other.name);
        assert_ne!(one.tag, other.tag);
        assert_eq!(one.content_type, "text/javascript; charset=utf-8");
    }
}
