//! A body that keeps something until it is over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{Body, BoxError};

// Dropped in this order: whoever waits for one may rely on those before it.
struct Held<T> {
    _before: Option<T>,
    body: Body,
    _after: Option<T>,
}

/// `body`, which drops `kept` after itself: when it was sent, broke off, or nobody wants it.
pub(in crate::python) fn held<T: Send + Unpin + 'static>(body: Body, kept: T) -> Body {
    Body::new(Held { _before: None, body, _after: Some(kept) })
}

/// `body`, which drops `kept` before itself at the same time: what ends with the body finds it dropped.
pub(in crate::python) fn held_before<T: Send + Unpin + 'static>(body: Body, kept: T) -> Body {
    Body::new(Held { _before: Some(kept), body, _after: None })
}

impl<T: Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
