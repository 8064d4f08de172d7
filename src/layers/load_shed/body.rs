use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::capacity::Permit;
use crate::Body;

pin_project! {
    /// A body whose request is under way until it ends, fails or is dropped.
    #[derive(Debug)]
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        permit: Option<Permit>,
    }
}

impl<B: HttpBody> CountedBody<B> {
    pub(super) fn new(inner: B, permit: Option<Permit>) -> Self {
        let permit = permit.filter(|_| !inner.is_end_stream());
        Self { inner, permit }
    }
}

/// For layers outside that answer themselves, and for refusals: these are not under way.
impl<B: From<Bytes>> From<Bytes> for CountedBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self { inner: bytes.into(), permit: None }
    }
}

impl<B: Default> Default for CountedBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), permit: None }
    }
}

impl From<CountedBody<Body>> for Body {
    fn from(body: CountedBody<Body>) -> Self {
        match body.permit {
            None => body.inner,
            Some(_) => Body::new(body),
        }
    }
}

impl<B: HttpBody> HttpBody for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream() {
            *this.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
