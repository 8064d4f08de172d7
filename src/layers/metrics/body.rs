use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

pin_project! {
    /// A request body that counts what is read of it, where its length was not announced.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Option<Arc<AtomicU64>>,
    }
}

/// How large a request body is.
#[derive(Debug)]
pub(super) enum Size {
    Announced(u64),
    /// So much was read so far.
    Read(Arc<AtomicU64>),
}

impl Size {
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Announced(bytes) => *bytes,
            Self::Read(bytes) => bytes.load(Ordering::Relaxed),
        }
    }
}

impl<B: HttpBody> RequestBody<B> {
    pub(super) fn measured(inner: B) -> (Self, Size) {
        match inner.size_hint().exact() {
            Some(bytes) => (Self { inner, read: None }, Size::Announced(bytes)),
            None => {
                let read = Arc::new(AtomicU64::new(0));
                (Self { inner, read: Some(read.clone()) }, Size::Read(read))
            }
        }
    }
}

impl From<RequestBody<Body>> for Body {
    fn from(body: RequestBody<Body>) -> Self {
        match body.read {
            None => body.inner,
            Some(_) => Self::new(body),
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
