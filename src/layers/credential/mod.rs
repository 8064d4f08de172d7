//! Where a credential is found in a request.

#[cfg(any(feature = "api-key", feature = "jwt"))]
mod source;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

#[cfg(any(feature = "api-key", feature = "jwt"))]
pub use source::CredentialSource;

/// It is there twice, or empty.
#[derive(Debug)]
pub(in crate::layers) struct Malformed;

/// The value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Malformed> {
    let mut sent = headers.get_all(name).iter();
    let value = sent.next().map(http::HeaderValue::as_bytes);
    if sent.next().is_some() { Err(Malformed) } else { Ok(value) }
}

/// What follows `scheme`, which is given in small letters, in `Authorization`. None too when the scheme is another.
pub(super) fn after<'h>(headers: &'h HeaderMap, scheme: &[u8]) -> Result<Option<&'h [u8]>, Malformed> {
    let Some(value) = only(headers, &AUTHORIZATION)? else { return Ok(None) };
    let (own, rest) = value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
    if !own.eq_ignore_ascii_case(scheme) {
        return Ok(None);
    }
    let credential = rest.trim_ascii();
    if credential.is_empty() { Err(Malformed) } else { Ok(Some(credential)) }
}
