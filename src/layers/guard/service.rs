use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Extensions, Request, Response};
use tower_service::Service;

use super::{Challenges, Claims, Refusal};
use crate::service::{ErrorFormat, Requirement};

/// A service behind [`RequireAuth`](super::RequireAuth).
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    pub(super) inner: S,
    pub(super) requirements: Arc<[Requirement]>,
    pub(super) errors: ErrorFormat,
}

impl<S> Guarded<S> {
    crate::layers::inner_accessors!();

    fn judge(&self, extensions: &Extensions) -> Result<(), Refusal> {
        let claims = extensions.get::<Claims>().ok_or(Refusal::Unknown)?;
        let unmet = self.requirements.iter().find(|requirement| !requirement.is_met(claims));
        unmet.map_or(Ok(()), |unmet| Err(Refusal::of(unmet)))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Guarded<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.judge(request.extensions()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => {
                let challenges = request.extensions().get::<Challenges>().cloned();
                Either::Right(ready(Ok(refusal.into_response(&self.requirements, challenges, self.errors))))
            }
        }
    }
}
