use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::rules::Rules;

/// Sends clients to where they should have asked; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Redirect<S> {
    pub(super) inner: S,
    pub(super) rules: Arc<Rules>,
    pub(super) status: StatusCode,
}

impl<S> Redirect<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Redirect<S>
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
        let Some(place) = self.rules.place(request.uri(), request.headers()) else {
            return Either::Left(self.inner.call(request));
        };
        let mut response = Response::new(ResBody::from(Bytes::new()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, place);
        Either::Right(ready(Ok(response)))
    }
}
