//! Answers whose end is watched.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

/// Is told what becomes of a body; dropped where the client has left.
pub trait Watch: Sized {
    /// Whether a body that is in memory counts as sent when it is handed on, so that it can stay as it is.
    const IN_MEMORY_IS_SENT: bool;

    /// Whether the answer has no content, whatever its body says.
    fn has_no_content(&self) -> bool;

    /// So many bytes more were asked for.
    fn sent(&mut self, bytes: u64);

    /// All of it was asked for.
    fn complete(self);

    /// It broke off.
    fn failed(self);
}

pin_project! {
    /// A body that tells when it ends, fails or is dropped.
    #[derive(Debug)]
    pub struct WatchedBody<B, W> {
        #[pin]
        inner: B,
        watch: Option<W>,
        // Servers do not ask for more once all announced bytes were given.
        left: Option<u64>,
    }
}

impl<B: HttpBody, W: Watch> WatchedBody<B, W> {
    pub(super) fn new(inner: B, watch: Option<W>) -> Self {
        let left = inner.size_hint().exact();
        let mut body = Self { inner, watch, left };
        let nothing_follows = |watch: &W| watch.has_no_content() || body.inner.is_end_stream() || left == Some(0);
        if body.watch.as_ref().is_some_and(nothing_follows)
            && let Some(watch) = body.watch.take()
        {
            watch.complete();
        }
        body
    }
}

/// For layers outside that answer themselves: such an answer has nothing to report.
impl<B: From<Bytes>, W> From<Bytes> for WatchedBody<B, W> {
    fn from(bytes: Bytes) -> Self {
        Self { inner: bytes.into(), watch: None, left: None }
    }
}

impl<B: Default, W> Default for WatchedBody<B, W> {
    fn default() -> Self {
        Self { inner: B::default(), watch: None, left: None }
    }
}

impl<W: Watch + Send + 'static> From<WatchedBody<Body, W>> for Body {
    fn from(mut body: WatchedBody<Body, W>) -> Self {
        if W::IN_MEMORY_IS_SENT
            && let Some(bytes) = body.inner.as_bytes()
            && let Some(mut watch) = body.watch.take()
        {
            watch.sent(bytes.len() as u64);
            watch.complete();
        }
        match body.watch {
            None => body.inner,
            Some(_) => Self::new(body),
        }
    }
}

impl<B: HttpBody, W: Watch> HttpBody for WatchedBody<B, W> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(watch), Some(data)) = (this.watch.as_mut(), frame.data_ref()) {
                    let bytes = data.remaining() as u64;
                    watch.sent(bytes);
                    *this.left = this.left.map(|left| left.saturating_sub(bytes));
                }
                if (this.inner.is_end_stream() || *this.left == Some(0))
                    && let Some(watch) = this.watch.take()
                {
                    watch.complete();
                }
            }
            Some(Err(_)) => {
                if let Some(watch) = this.watch.take() {
                    watch.failed();
                }
            }
            None => {
                if let Some(watch) = this.watch.take() {
                    watch.complete();
                }
            }
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
