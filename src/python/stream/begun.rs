//! Bodies of which the first piece is awaited before anything is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;

use crate::{Body, BoxError, Response};

/// A response whose body has begun, so that what goes wrong before it does can still be told.
///
/// # Errors
/// When the body fails before its first piece.
pub(in crate::python) async fn begun(response: Response) -> Result<Response, BoxError> {
    let (parts, mut body) = response.into_parts();
    let body = match body.frame().await {
        None => Body::empty(),
        Some(first) => Body::new(Begun { first: Some(first?), rest: body }),
    };
    Ok(Response::from_parts(parts, body))
}

struct Begun {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
