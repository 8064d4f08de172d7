//! One fetch, from the address to the keys.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use http::uri::Scheme;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use jsonwebtoken::AlgorithmFamily;
use serde::Deserialize;

use super::source::{Jwks, Place, is_safe};
use crate::BoxError;
use crate::layers::jwt::key::Key;
use crate::layers::jwt::key_set::{self, Unused};
use crate::layers::outbound;

/// Sets have some KiB.
const MAX_BYTES: usize = 256 * 1024;
const MAX_REDIRECTIONS: usize = 3;

/// What was published, and how long it holds.
pub(super) struct Fetched {
    pub(super) keys: Vec<Key>,
    pub(super) max_age: Option<Duration>,
}

/// The keys there are now.
pub(super) async fn fetch(source: &Jwks) -> Result<Fetched, BoxError> {
    let fetched = tokio::time::timeout(source.timeout, async {
        match &source.place {
            Place::Set(url) => get(source, url.clone()).await,
            Place::Discovery { document, issuer } => {
                let (_, found) = get(source, document.clone()).await?;
                get(source, set_of(&found, issuer, document.scheme())?).await
            }
        }
    });
    let (head, body) = fetched.await.map_err(|_| "it took too long")??;
    let keys = usable(std::str::from_utf8(&body)?, source)?;
    Ok(Fetched { keys, max_age: max_age(&head) })
}

/// Where a discovery document says that the set is.
fn set_of(document: &[u8], issuer: &str, over: Option<&Scheme>) -> Result<Uri, BoxError> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let document: Document = serde_json::from_slice(document).map_err(|_| "the discovery document is none")?;
    // OpenID Connect Discovery 1.0, 4.3: or anybody could speak for the issuer.
    if document.issuer != issuer {
        return Err(format!("the discovery document is by {:?}", document.issuer).into());
    }
    let url: Uri = document.jwks_uri.parse()?;
    // A document that came from elsewhere does not lead to what listens on this machine.
    let is_as_safe = url.scheme() == over || url.scheme() == Some(&Scheme::HTTPS);
    if is_safe(&url) && is_as_safe {
        Ok(url)
    } else {
        Err(format!("the discovery document names {url}, which is not safe").into())
    }
}

fn usable(json: &str, source: &Jwks) -> Result<Vec<Key>, BoxError> {
    let read = key_set::read(json).map_err(|what| format!("the document {what}"))?;
    let mut keys = Vec::with_capacity(read.len());
    for key in read {
        match key {
            // Whoever reads a secret that was published signs tokens.
            Ok(key) if key.decoding.family() == AlgorithmFamily::Hmac => {
                tracing::warn!(place = ?source.place, kid = key.id, "a published secret is not used as a key");
            }
            Ok(key) => keys.push(key),
            Err((_, Unused::Other)) => {}
            Err((kid, Unused::Wrong(what))) => {
                tracing::warn!(place = ?source.place, kid, "a key is not used: it {what}");
            }
        }
    }
    if keys.is_empty() { Err("the document has no key that checks signatures".into()) } else { Ok(keys) }
}

async fn get(source: &Jwks, mut url: Uri) -> Result<(HeaderMap, Bytes), BoxError> {
    for _ in 0..=MAX_REDIRECTIONS {
        let request = Request::get(&url).header(ACCEPT, "application/jwk-set+json, application/json");
        let response = outbound::send(request.body(Empty::<Bytes>::new())?, &source.roots).await?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).ok_or("it redirects to nowhere")?.to_str()?;
            url = redirected(&url, to)?;
            continue;
        }
        if status != http::StatusCode::OK {
            return Err(format!("the answer was {status}").into());
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|error| format!("the document: {error}"))?;
        return Ok((head.headers, body.to_bytes()));
    }
    Err("it redirects too often".into())
}

/// Another host was not asked to be trusted.
fn redirected(from: &Uri, to: &str) -> Result<Uri, BoxError> {
    if to.starts_with("//") {
        return Err("it redirects to another host".into());
    }
    let to: Uri = to.parse()?;
    let mut parts = to.into_parts();
    let is_elsewhere = (parts.scheme.is_some() && parts.scheme.as_ref() != from.scheme())
        || (parts.authority.is_some() && parts.authority.as_ref() != from.authority());
    if is_elsewhere {
        return Err("it redirects to another host".into());
    }
    parts.scheme = from.scheme().cloned();
    parts.authority = from.authority().cloned();
    Ok(Uri::from_parts(parts)?)
}

/// How long caches may keep an answer (RFC 9111, 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives =
        values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    directives.find_map(|directive| match directive.strip_prefix("max-age=") {
        Some(seconds) => seconds.trim_matches('"').parse().ok().map(Duration::from_secs),
        None => matches!(&*directive, "no-store" | "no-cache").then_some(Duration::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_age_is_read_from_among_other_directives() {
        let age = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CACHE_CONTROL, HeaderValue::from_static(value)));
            max_age(&values.collect()).map(|age| age.as_secs())
        };
        assert_eq!(age(&["public, Max-Age=60, must-revalidate"]), Some(60));
        assert_eq!(age(&["max-age=\"5\""]), Some(5));
        assert_eq!(age(&["no-store"]), Some(0));
        assert_eq!((age(&[]), age(&["max-age=-1"]), age(&["s-maxage=9"])), (None, None, None));
    }

    #[test]
    fn redirections_stay_on_the_host() {
        let from: Uri = "https://a.example/keys".parse().unwrap();
        let to = |text: &str| redirected(&from, text).map(|url| url.to_string()).ok();
        assert_eq!(to("/other?x=1").as_deref(), Some("https://a.example/other?x=1"));
        assert_eq!(to("https://a.example/b").as_deref(), Some("https://a.example/b"));
        for other in ["http://a.example/", "https://b.example/", "https://a.example:8443/", "//b.example/", "x y"] {
            assert_eq!(to(other), None, "{other}");
        }
    }

    #[test]
    fn a_discovery_document_speaks_for_its_issuer_alone() {
        let set = |json: &str| {
            set_of(json.as_bytes(), "https://a.example", Some(&Scheme::HTTPS)).map(|url| url.to_string()).ok()
        };
        let json = r#"{"issuer": "https://a.example", "jwks_uri": "https://keys.example/set"}"#;
        assert_eq!(set(json).as_deref(), Some("https://keys.example/set"));
        assert_eq!(set(&json.replace("https://a.example", "https://a.example/")), None);
        assert_eq!(set(&json.replace("https://keys", "http://keys")), None);
        assert_eq!(set("{}"), None);
    }
}
