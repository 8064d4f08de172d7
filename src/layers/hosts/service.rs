use bytes::Bytes;
use http::{Request, Response};

use super::names::Names;

/// Refuses requests that are meant for another host; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Hosts<S> {
    pub(super) inner: S,
    pub(super) names: Names,
}

impl<S> Hosts<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        self.names.check(request.uri(), request.headers()).err().map(|problem| problem.into_response())
    }
}

crate::layers::gate!(Hosts);
