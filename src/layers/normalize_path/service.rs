use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::layer::Mode;
use super::target::{location, replaced, trimmed};
use crate::layers::moved::moved;

/// Takes the slashes at the end of paths off; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct NormalizePath<S> {
    pub(super) inner: S,
    pub(super) mode: Mode,
}

impl<S> NormalizePath<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        let target = trimmed(request.uri())?;
        match self.mode {
            Mode::Trim => {
                if let Some(uri) = replaced(request.uri(), target) {
                    *request.uri_mut() = uri;
                }
                None
            }
            Mode::Redirect => Some(moved(StatusCode::PERMANENT_REDIRECT, location(&target)?)),
        }
    }
}

crate::layers::gate!(NormalizePath);
