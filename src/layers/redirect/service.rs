use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::rules::Rules;
use crate::layers::moved::moved;

/// Sends clients to where they should have asked; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Redirect<S> {
    pub(super) inner: S,
    pub(super) rules: Arc<Rules>,
    pub(super) status: StatusCode,
}

impl<S> Redirect<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        let place = self.rules.place(request.uri(), request.headers())?;
        Some(moved(self.status, place))
    }
}

crate::layers::gate!(Redirect);
