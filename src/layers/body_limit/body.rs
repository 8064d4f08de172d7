use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Body, BodyTooLarge, BoxError};

pin_project! {
    /// A request body that fails with [`BodyTooLarge`] once more bytes than allowed were read.
    #[derive(Debug)]
    pub struct LimitedBody<B> {
        #[pin]
        inner: B,
        count: Option<Count>,
    }
}

/// Of a body whose length is not known to fit.
#[derive(Debug)]
struct Count {
    limit: usize,
    left: usize,
    passed: Arc<AtomicBool>,
}

impl<B> LimitedBody<B> {
    /// `inner` is known to fit.
    pub(super) fn fitting(inner: B) -> Self {
        Self { inner, count: None }
    }

    /// Counts; `passed` becomes true when the limit is passed.
    pub(super) fn counting(inner: B, limit: usize, passed: Arc<AtomicBool>) -> Self {
        Self { inner, count: Some(Count { limit, left: limit, passed }) }
    }
}

impl From<LimitedBody<Body>> for Body {
    fn from(body: LimitedBody<Body>) -> Self {
        match body.count {
            None => body.inner,
            Some(_) => Body::new(body),
        }
    }
}

impl<B> HttpBody for LimitedBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = match ready!(this.inner.poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        if let (Some(count), Some(data)) = (this.count, frame.data_ref()) {
            match count.left.checked_sub(data.remaining()) {
                Some(left) => count.left = left,
                None => {
                    count.left = 0;
                    count.passed.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(BodyTooLarge { limit: count.limit }.into())));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(count) = &self.count {
            let left = count.left as u64;
            hint.set_lower(hint.lower().min(left));
            hint.set_upper(hint.upper().map_or(left, |upper| upper.min(left)));
        }
        hint
    }
}
