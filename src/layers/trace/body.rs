use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::record::Record;
use crate::Body;

pin_project! {
    /// A body that has its request logged when it ends, fails or is dropped.
    pub struct TraceBody<B> {
        #[pin]
        inner: B,
        record: Option<Record>,
        // Servers do not ask for more once all announced bytes were given.
        exact: Option<u64>,
    }
}

impl<B: HttpBody> TraceBody<B> {
    pub(super) fn new(inner: B, record: Option<Record>) -> Self {
        let exact = inner.size_hint().exact();
        let mut body = Self { inner, record, exact };
        let nothing_follows =
            |record: &Record| record.has_no_content() || body.inner.is_end_stream() || exact == Some(0);
        if body.record.as_ref().is_some_and(nothing_follows)
            && let Some(record) = body.record.take()
        {
            record.complete();
        }
        body
    }
}

/// For layers outside that answer themselves: such an answer has nothing to report.
impl<B: From<Bytes>> From<Bytes> for TraceBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self { inner: bytes.into(), record: None, exact: None }
    }
}

impl<B: Default> Default for TraceBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), record: None, exact: None }
    }
}

impl From<TraceBody<Body>> for Body {
    fn from(body: TraceBody<Body>) -> Self {
        match body.record {
            None => body.inner,
            Some(_) => Body::new(body),
        }
    }
}

impl<B: HttpBody> HttpBody for TraceBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(record), Some(data)) = (this.record.as_mut(), frame.data_ref()) {
                    record.sent(data.remaining());
                }
                let all = |record: &Record| *this.exact == Some(record.bytes());
                if (this.inner.is_end_stream() || this.record.as_ref().is_some_and(all))
                    && let Some(record) = this.record.take()
                {
                    record.complete();
                }
            }
            Some(Err(_)) => {
                if let Some(record) = this.record.take() {
                    record.failed();
                }
            }
            None => {
                if let Some(record) = this.record.take() {
                    record.complete();
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
