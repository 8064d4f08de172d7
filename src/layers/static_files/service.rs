use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::asked::Asked;
use super::directory::Directory;
use super::job::Job;
use super::place::{Mount, Place};
use super::{FileBody, ResponseFuture};
use crate::layers::weights::elements;
use crate::{Body, BoxError, Problem};

/// Answers with files of a directory; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Static<S> {
    pub(super) inner: S,
    pub(super) mount: Mount,
    pub(super) directory: Arc<Directory>,
}

impl<S> Static<S> {
    crate::layers::inner_accessors!();
}

/// What a page that is not there is answered with.
pub(super) struct Fallback {
    pub(super) directory: Arc<Directory>,
    /// None where no page is asked for.
    pub(super) asked: Option<Asked>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Static<S>
where
    // Cloned only where a file may be there.
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: HttpBody<Data = Bytes> + From<Bytes>,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<FileBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let path = self.mount.within(request.uri().path());
        let Some(place) = path.and_then(|rest| Place::of(rest, self.directory.hidden)) else {
            return ResponseFuture::inner(self.inner.call(request), None);
        };
        let Some(asked) = Asked::of(request.method(), request.headers()) else {
            return ResponseFuture::inner(self.inner.call(request), None);
        };
        let fallback = self.directory.fallback.is_some().then(|| Fallback {
            directory: self.directory.clone(),
            asked: accepts_page(request.headers()).then(|| asked.clone()),
        });
        let (directory, uri) = (self.directory.clone(), request.uri().clone());
        let job = Job::new(move |disk| directory.answer(&place, &uri, &asked, disk));
        if job.has_found_nothing() {
            return ResponseFuture::inner(self.inner.call(request), fallback);
        }
        // The one that was made ready, as is proper, and not the clone.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        ResponseFuture::looking(job, inner, request, fallback)
    }
}

/// Whether a page is asked for, and not a part of one, or data.
fn accepts_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(elements).any(|(kind, weight)| weight > 0 && kind.eq_ignore_ascii_case("text/html"))
}

/// Has nothing: what is inside of [`StaticFiles`](super::StaticFiles).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Nothing;

impl<B> Service<Request<B>> for Nothing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let problem = match *request.method() {
            Method::GET | Method::HEAD => Problem::not_found("there is no such file"),
            _ => Problem::of(StatusCode::METHOD_NOT_ALLOWED)
                .detail("files answer only the methods in Allow")
                .header(ALLOW, HeaderValue::from_static("GET, HEAD")),
        };
        ready(Ok(problem.into_response()))
    }
}
