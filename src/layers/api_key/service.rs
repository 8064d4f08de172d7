use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, Response, StatusCode};

use super::{ApiKeys, Claims, CredentialSource};
use crate::Problem;
use crate::layers::credential::Malformed;
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

/// Why a request was refused. An extension of the answer, for layers outside; clients are not told. Where the key of a cookie counts
/// as none it is an extension of the request, for services inside.
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

/// Who sent a request.
enum Caller {
    Known(Claims),
    /// There is no key, or one in a cookie that counts as none.
    Unknown(Option<Fault>),
}

impl<S> ApiKey<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        let caller = match self.judge(request) {
            Ok(caller) => caller,
            Err(fault) => return Some(fault.into_response()),
        };
        let extensions = request.extensions_mut();
        match caller {
            Caller::Known(claims) => drop(extensions.insert(claims)),
            Caller::Unknown(passed_over) => {
                Challenges::add(extensions, CHALLENGE);
                if let Some(fault) = passed_over {
                    extensions.insert(fault);
                }
            }
        }
        None
    }

    fn judge<B>(&self, request: &Request<B>) -> Result<Caller, Fault> {
        let is_needed = self.required && request.extensions().get::<Claims>().is_none();
        let mut passed_over = None;
        for source in &*self.sources {
            let checked = match source.find(request.uri(), request.headers()) {
                Ok(None) => continue,
                Ok(Some(key)) => self.keys.find(&key).ok_or(Fault::Unknown),
                Err(Malformed) => Err(Fault::Malformed),
            };
            match checked {
                Ok(claims) => return Ok(Caller::Known(claims)),
                Err(fault) if !is_needed && source.is_cookie() => {
                    tracing::debug!(?fault, "a key in a cookie counts as none");
                    passed_over = passed_over.or(Some(fault));
                }
                Err(fault) => return Err(fault),
            }
        }
        if is_needed { Err(Fault::Missing) } else { Ok(Caller::Unknown(passed_over)) }
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
