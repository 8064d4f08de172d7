use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

pin_project! {
    /// A request body that counts what is read of it.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Read,
    }
}

/// How many bytes of a body were read; none of one that is empty. What is announced is only what a client says.
pub(super) type Read = Option<Arc<AtomicU64>>;

impl<B: HttpBody> RequestBody<B> {
    pub(super) fn new(inner: B) -> Self {
        let read = if inner.is_end_stream() { None } else { Some(Arc::default()) };
        Self { inner, read }
    }

    pub(super) fn read(&self) -> Read {
        self.read.clone()
    }
}

impl From<RequestBody<Body>> for Body {
    fn from(body: RequestBody<Body>) -> Self {
        match (&body.read, body.inner.as_bytes()) {
            (None, _) => body.inner,
            // It is there, so it counts as read and stays as it is.
            (Some(read), Some(bytes)) => {
                read.store(bytes.len() as u64, Ordering::Relaxed);
                body.inner
            }
            (Some(_), None) => Self::new(body),
        }
    }
}

impl<B: HttpBody> HttpBody for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let (Some(read), Some(Ok(frame))) = (this.read, &frame)
            && let Some(data) = frame.data_ref()
        {
            read.fetch_add(data.remaining() as u64, Ordering::Relaxed);
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
