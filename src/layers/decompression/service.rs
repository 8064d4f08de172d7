use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::layer::{Limits, Offer};
use super::{DecompressedBody, ResponseFuture};
use crate::layers::compression::Coding;
use crate::{BoxError, Problem};

/// Decompresses request bodies; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct Decompression<S> {
    pub(super) inner: S,
    pub(super) offer: Offer,
    pub(super) limits: Limits,
}

impl<S> Decompression<S> {
    crate::layers::inner_accessors!();

    /// The coding of a body; none when it is not coded.
    fn coding(&self, headers: &HeaderMap) -> Result<Option<Coding>, Problem> {
        let mut coding = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let names = value.to_str().map_err(|_| self.unsupported())?;
            for name in names.split(',').map(str::trim) {
                if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                    continue;
                }
                let known = self.offer.codings.iter().find(|coding| coding.is_called(name));
                // One over the other would multiply how much a body may grow.
                match (known, coding) {
                    (Some(known), None) => coding = Some(*known),
                    _ => return Err(self.unsupported()),
                }
            }
        }
        Ok(coding)
    }

    fn unsupported(&self) -> Problem {
        Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail("the body has to be sent as it is, or in one of the content codings in Accept-Encoding")
            .header(ACCEPT_ENCODING, self.offer.accepted.clone())
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Decompression<S>
where
    S: Service<Request<DecompressedBody<ReqBody>>, Response = Response<ResBody>>,
    ReqBody: HttpBody<Data = Bytes> + Unpin,
    ReqBody::Error: Into<BoxError>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<ResponseFuture<S::Future>, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let coding = match self.coding(request.headers()) {
            Ok(coding) => coding,
            Err(problem) => return Either::Right(ready(Ok(problem.into_response()))),
        };
        let Some(coding) = coding else {
            return Either::Left(ResponseFuture::new(self.inner.call(request.map(DecompressedBody::plain)), None));
        };
        // Both are of what was sent, and not of what is read further in.
        request.headers_mut().remove(CONTENT_ENCODING);
        request.headers_mut().remove(CONTENT_LENGTH);
        let fault = Arc::default();
        let request = request.map(|body| DecompressedBody::coded(body, coding, self.limits, Arc::clone(&fault)));
        Either::Left(ResponseFuture::new(self.inner.call(request), Some(fault)))
    }
}
