use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};

use super::Fault;
use crate::ConfigError;

/// Where a token is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSource(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Authorization,
    Header(HeaderName),
    Cookie(Box<str>),
}

impl TokenSource {
    /// `Authorization: Bearer`.
    pub const fn authorization() -> Self {
        Self(Place::Authorization)
    }

    /// A header whose whole value is the token, as proxies set one. For `Authorization` it is
    /// [`authorization`](Self::authorization).
    pub fn header(name: HeaderName) -> Self {
        Self(if name == AUTHORIZATION { Place::Authorization } else { Place::Header(name) })
    }

    /// A cookie.
    ///
    /// Browsers send it along with what other sites have them ask for. Set it with `SameSite=Lax` or `Strict`, `Secure` and
    /// `HttpOnly`, let nothing be changed by GET, and refuse writes of foreign origins.
    ///
    /// # Errors
    /// When `name` cannot be one of a cookie (RFC 6265, 4.1.1).
    pub fn cookie(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        // A token of RFC 9110, which is what names of headers are.
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(ConfigError::new(format!("Jwt: {name:?} cannot be the name of a cookie"))
                .cure("use letters, digits and hyphens"));
        }
        Ok(Self(Place::Cookie(name.into())))
    }

    /// The token that `headers` have there.
    pub(super) fn find<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h [u8]>, Fault> {
        let token = match &self.0 {
            Place::Authorization => return bearer(headers),
            Place::Header(name) => only(headers, name)?.map(<[u8]>::trim_ascii),
            Place::Cookie(name) => cookie(headers, name.as_bytes())?,
        };
        if token.is_some_and(<[u8]>::is_empty) { Err(Fault::Malformed) } else { Ok(token) }
    }
}

/// The value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Fault> {
    let mut sent = headers.get_all(name).iter();
    let value = sent.next().map(http::HeaderValue::as_bytes);
    if sent.next().is_some() { Err(Fault::Malformed) } else { Ok(value) }
}

/// None too when the scheme is another.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Fault> {
    let Some(value) = only(headers, &AUTHORIZATION)? else { return Ok(None) };
    let (scheme, rest) = value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = rest.trim_ascii();
    if token.is_empty() { Err(Fault::Malformed) } else { Ok(Some(token)) }
}

/// HTTP/2 may send several `Cookie` fields (RFC 9113, 8.2.3). Of two cookies of one name nobody can tell which is ours: a
/// page on a neighbouring host may have set the other.
fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Result<Option<&'h [u8]>, Fault> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|&byte| byte == b';'));
    let mut found = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        (pair[..equals].trim_ascii_start() == name).then(|| pair[equals + 1..].trim_ascii())
    });
    let value = found.next();
    if found.next().is_some() { Err(Fault::Malformed) } else { Ok(value) }
}
