use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::layer::Settings;
use super::{ConnectionPeer, MatchedPath, NoMatchedPath, Peer, Record, RequestBody, ResponseBody, ResponseFuture};
use crate::layers::watched::Watch as _;

/// Counts requests; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Metrics<S, P = NoMatchedPath, A = ConnectionPeer> {
    pub(super) inner: S,
    pub(super) settings: Settings<P, A>,
}

impl<S, P, A> Metrics<S, P, A> {
    crate::layers::inner_accessors!();
}

impl<S, P, A, ReqBody, ResBody> Service<Request<ReqBody>> for Metrics<S, P, A>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>>,
    P: MatchedPath,
    A: Peer,
    ReqBody: HttpBody,
    ResBody: HttpBody + From<Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = Either<ResponseFuture<S::Future>, Ready<Result<Self::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Settings { handle, door, routes, path, peer } = &self.settings;
        if door.as_ref().is_some_and(|door| door.admits(&request, peer)) {
            return Either::Right(ready(Ok(handle.answer(request.method(), request.headers()))));
        }
        let matched = path.matched_path(request.extensions());
        let (request, mut record) = Record::start(&handle.0, request, routes.as_ref(), matched);
        // For a panic in there.
        record.polling(true);
        let future = self.inner.call(request);
        record.polling(false);
        Either::Left(ResponseFuture::new(future, Some(record)))
    }
}
