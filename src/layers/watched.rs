//! Answers that are watched to their end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

/// Is told what becomes of a request and of the body of its answer; dropped where the client has left.
pub trait Watch: Sized {
    /// Whether a body that is in memory counts as sent when it is handed on, so that it can stay as it is.
    const IN_MEMORY_IS_SENT: bool;

    /// The inner service is at work; when that panics, this is dropped meanwhile.
    fn polling(&mut self, now: bool);

    /// The head of the answer is there.
    fn answered<B>(&mut self, response: &mut Response<B>);

    /// There will be none: the inner service failed.
    fn failed_to_answer(&mut self);

    /// Whether the answer has no content, whatever its body says.
    fn has_no_content(&self) -> bool;

    /// So many bytes more were asked for.
    fn sent(&mut self, bytes: u64);

    /// All of it was asked for.
    fn complete(self);

    /// It broke off.
    fn failed(self);
}

/// Whether an answer has no content, whatever its body says (RFC 9110, 6.4.1).
pub(super) fn has_no_content(is_head: bool, status: StatusCode) -> bool {
    is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

pin_project! {
    /// The answer of the inner service, whose body tells of its end.
    pub struct WatchedFuture<F, W> {
        #[pin]
        inner: F,
        // Dropped with the future when the client leaves.
        watch: Option<W>,
    }
}

impl<F, W> WatchedFuture<F, W> {
    pub(super) fn new(inner: F, watch: Option<W>) -> Self {
        Self { inner, watch }
    }
}

impl<F, W, B, E> Future for WatchedFuture<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    W: Watch,
    B: HttpBody,
{
    type Output = Result<Response<WatchedBody<B, W>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polling = |watch: &mut Option<W>, now| watch.iter_mut().for_each(|watch| watch.polling(now));
        polling(this.watch, true);
        let answer = this.inner.poll(cx);
        polling(this.watch, false);
        let answer = ready!(answer);
        let mut watch = this.watch.take();
        match answer {
            Ok(mut response) => {
                watch.iter_mut().for_each(|watch| watch.answered(&mut response));
                Poll::Ready(Ok(response.map(|body| WatchedBody::new(body, watch))))
            }
            Err(error) => {
                watch.iter_mut().for_each(W::failed_to_answer);
                Poll::Ready(Err(error))
            }
        }
    }
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
