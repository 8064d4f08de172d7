use bytes::Bytes;
use http::{Request, Response};

use super::checks::Checks;

/// Answers whether the service is alive and ready; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct HealthCheck<S> {
    pub(super) inner: S,
    pub(super) checks: Checks,
}

impl<S> HealthCheck<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        self.checks.answer(request.method(), request.uri().path())
    }
}

crate::layers::gate!(HealthCheck);
