use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::percent_decode;

use super::{Malformed, after, only};
use crate::ConfigError;

/// Where a credential is looked for: a token or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSource(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Authorization,
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
}

impl CredentialSource {
    /// `Authorization: Bearer`.
    pub const fn authorization() -> Self {
        Self(Place::Authorization)
    }

    /// A header whose whole value is the credential. For `Authorization` it is [`authorization`](Self::authorization).
    pub fn header(name: HeaderName) -> Self {
        Self(if name == AUTHORIZATION { Place::Authorization } else { Place::Header(name) })
    }

    /// A cookie.
    ///
    /// Browsers send it along with what other sites have them ask for. Set it with `SameSite=Lax` or `Strict`, `Secure` and
    /// `HttpOnly`, let nothing be changed by GET, and refuse writes of foreign origins.
    ///
    /// They also send it until it is deleted or too old, whatever became of what is in it. Where no credential is required, one that is
    /// no good counts as none here; in any other place it is refused.
    ///
    /// # Errors
    /// When `name` cannot be one of a cookie (RFC 6265, 4.1.1).
    pub fn cookie(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        // A token of RFC 9110, which is what names of headers are.
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(ConfigError::new(format!("{name:?} cannot be the name of a cookie"))
                .cure("use letters, digits and hyphens"));
        }
        Ok(Self(Place::Cookie(name.into())))
    }

    /// A parameter of the query string, which logs and the history of browsers show. For clients that cannot send headers.
    ///
    /// # Errors
    /// When `name` is empty.
    pub fn query(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() {
            return Err(ConfigError::new("the name of a query parameter is empty").cure("name it, as api_key"));
        }
        Ok(Self(Place::Query(name.into())))
    }

    /// Whether it is a cookie: a browser sends it whatever is in there.
    pub(in crate::layers) fn is_cookie(&self) -> bool {
        matches!(self.0, Place::Cookie(_))
    }

    /// Whether it is a part of the address.
    #[cfg(feature = "jwt")]
    pub(in crate::layers) fn is_query(&self) -> bool {
        matches!(self.0, Place::Query(_))
    }

    /// The credential that a request has there.
    pub(in crate::layers) fn find<'r>(
        &self,
        uri: &'r Uri,
        headers: &'r HeaderMap,
    ) -> Result<Option<Cow<'r, [u8]>>, Malformed> {
        let found = match &self.0 {
            Place::Authorization => after(headers, b"bearer")?.map(Cow::Borrowed),
            Place::Header(name) => only(headers, name)?.map(|value| Cow::Borrowed(value.trim_ascii())),
            Place::Cookie(name) => cookie(headers, name.as_bytes())?.map(Cow::Borrowed),
            Place::Query(name) => parameter(uri, name.as_bytes())?,
        };
        if found.as_deref().is_some_and(<[u8]>::is_empty) { Err(Malformed) } else { Ok(found) }
    }
}

/// HTTP/2 may send several `Cookie` fields (RFC 9113, 8.2.3). Of two cookies of one name nobody can tell which is ours: a
/// page on a neighbouring host may have set the other.
fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Result<Option<&'h [u8]>, Malformed> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|&byte| byte == b';'));
    let mut found = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        (pair[..equals].trim_ascii_start() == name).then(|| pair[equals + 1..].trim_ascii())
    });
    let value = found.next();
    if found.next().is_some() { Err(Malformed) } else { Ok(value) }
}

fn parameter<'u>(uri: &'u Uri, name: &[u8]) -> Result<Option<Cow<'u, [u8]>>, Malformed> {
    let pairs = uri.query().unwrap_or_default().as_bytes().split(|&byte| byte == b'&');
    let mut found = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let own: Cow<'_, [u8]> = percent_decode(&pair[..equals]).into();
        (*own == *name).then(|| percent_decode(&pair[equals + 1..]).into())
    });
    let value = found.next();
    if found.next().is_some() { Err(Malformed) } else { Ok(value) }
}
