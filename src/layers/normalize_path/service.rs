use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::layer::Mode;
use super::target::{location, replaced, trimmed};

/// Takes the slashes at the end of paths off; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct NormalizePath<S> {
    pub(super) inner: S,
    pub(super) mode: Mode,
}

impl<S> NormalizePath<S> {
    crate::layers::inner_accessors!();
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for NormalizePath<S>
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if let Some(target) = trimmed(request.uri()) {
            match self.mode {
                Mode::Trim => {
                    if let Some(uri) = replaced(request.uri(), target) {
                        *request.uri_mut() = uri;
                    }
                }
                Mode::Redirect => {
                    if let Some(location) = location(&target) {
                        let mut response = Response::new(ResBody::from(Bytes::new()));
                        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                        response.headers_mut().insert(LOCATION, location);
                        return Either::Right(ready(Ok(response)));
                    }
                }
            }
        }
        Either::Left(self.inner.call(request))
    }
}
