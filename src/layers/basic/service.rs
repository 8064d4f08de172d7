use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use tower_service::Service;

use super::users::{Users, Verdict};
use super::{Claims, Fault, ResponseFuture};
use crate::layers::guard::Challenges;

/// Checks the request's password; see the [module](super) for examples.
#[derive(Clone)]
pub struct Basic<S> {
    pub(super) inner: S,
    pub(super) users: Arc<Users>,
    pub(super) challenge: HeaderValue,
    pub(super) required: bool,
}

impl<S> Basic<S> {
    crate::layers::inner_accessors!();
}

/// Without the passwords.
impl<S: fmt::Debug> fmt::Debug for Basic<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A request may have to wait for its password to be checked, and takes the service with it that was ready; hence `Clone`.
impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Basic<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.users.judge(request.headers()) {
            Verdict::Good(claims) => {
                request.extensions_mut().insert(claims);
                ResponseFuture::inner(self.inner.call(request))
            }
            Verdict::Without if self.required && request.extensions().get::<Claims>().is_none() => {
                ResponseFuture::refused(Fault::Missing, self.challenge.clone())
            }
            Verdict::Without => {
                Challenges::add(request.extensions_mut(), self.challenge.clone());
                ResponseFuture::inner(self.inner.call(request))
            }
            Verdict::Refused(fault) => ResponseFuture::refused(fault, self.challenge.clone()),
            Verdict::Checking(check) => {
                let fresh = self.inner.clone();
                let ready = mem::replace(&mut self.inner, fresh);
                ResponseFuture::checking(check, ready, request, self.challenge.clone())
            }
        }
    }
}
