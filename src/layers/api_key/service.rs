use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, Response, StatusCode};

use super::{ApiKeys, Claims, CredentialSource};
use crate::Problem;
use crate::layers::guard::Challenges;

const CHALLENGE: HeaderValue = HeaderValue::from_static("ApiKey");

/// Asks for a key; see the [module](super) for examples.
#[derive(Clone)]
pub struct ApiKey<S> {
    pub(super) inner: S,
    pub(super) keys: ApiKeys,
    pub(super) sources: Arc<[CredentialSource]>,
    pub(super) required: bool,
}

/// Why a request was refused. An extension of the answer, for layers outside; clients are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no key.
    Missing,
    /// The key is there twice, or empty.
    Malformed,
    /// The key is not known.
    Unknown,
}

impl<S> ApiKey<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        match self.judge(request) {
            Ok(Some(claims)) => drop(request.extensions_mut().insert(claims)),
            Ok(None) => Challenges::add(request.extensions_mut(), CHALLENGE),
            Err(fault) => return Some(fault.into_response()),
        }
        None
    }

    fn judge<B>(&self, request: &Request<B>) -> Result<Option<Claims>, Fault> {
        for source in &*self.sources {
            let found = source.find(request.uri(), request.headers()).map_err(|_| Fault::Malformed)?;
            if let Some(key) = found {
                return self.keys.find(&key).map(Some).ok_or(Fault::Unknown);
            }
        }
        let is_known = request.extensions().get::<Claims>().is_some();
        if self.required && !is_known { Err(Fault::Missing) } else { Ok(None) }
    }
}

/// Without the keys.
impl<S: fmt::Debug> fmt::Debug for ApiKey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("inner", &self.inner).finish_non_exhaustive()
    }
}

crate::layers::gate!(ApiKey);

impl Fault {
    fn into_response<B: From<Bytes>>(self) -> Response<B> {
        tracing::debug!(fault = ?self, "a request was refused");
        let detail = match self {
            Self::Missing => "this needs an API key",
            Self::Malformed | Self::Unknown => "the API key is not valid",
        };
        let mut response =
            Problem::of(StatusCode::UNAUTHORIZED).detail(detail).header(WWW_AUTHENTICATE, CHALLENGE).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
