use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

pin_project! {
    /// A body that is handed on as it is. What was read of it already comes first.
    pub struct CacheBody<B: HttpBody> {
        ahead: Ahead<B::Error>,
        #[pin]
        inner: B,
    }
}

/// What was read.
struct Ahead<E> {
    chunks: VecDeque<Bytes>,
    /// Trailers or a failure, behind the chunks.
    last: Option<Result<Frame<Bytes>, E>>,
}

impl<E> Ahead<E> {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.last.is_none()
    }
}

impl<B: HttpBody> CacheBody<B> {
    pub(super) fn plain(inner: B) -> Self {
        Self::resumed(VecDeque::new(), None, inner)
    }

    pub(super) fn resumed(chunks: VecDeque<Bytes>, last: Option<Result<Frame<Bytes>, B::Error>>, inner: B) -> Self {
        Self { ahead: Ahead { chunks, last }, inner }
    }
}

/// For layers outside that answer themselves.
impl<B: HttpBody + From<Bytes>> From<Bytes> for CacheBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::plain(bytes.into())
    }
}

impl<B: HttpBody + Default> Default for CacheBody<B> {
    fn default() -> Self {
        Self::plain(B::default())
    }
}

impl From<CacheBody<Body>> for Body {
    fn from(body: CacheBody<Body>) -> Self {
        if body.ahead.is_empty() { body.inner } else { Body::new(body) }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if let Some(chunk) = this.ahead.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match this.ahead.last.take() {
            Some(last) => Poll::Ready(Some(last)),
            None => this.inner.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(ahead)) {
            hint.set_upper(upper);
        }
        hint.set_lower(inner.lower().saturating_add(ahead).min(hint.upper().unwrap_or(u64::MAX)));
        hint
    }
}
