use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Body;

pin_project! {
    /// A body that is handed on as it is. What was read of it already comes first.
    pub struct EtagBody<B: HttpBody> {
        ahead: Option<Result<Frame<Bytes>, B::Error>>,
        #[pin]
        inner: B,
    }
}

impl<B: HttpBody> EtagBody<B> {
    pub(super) fn plain(inner: B) -> Self {
        Self { ahead: None, inner }
    }

    pub(super) fn resumed(ahead: Result<Frame<Bytes>, B::Error>, inner: B) -> Self {
        Self { ahead: Some(ahead), inner }
    }
}

/// For layers outside that answer themselves.
impl<B: HttpBody + From<Bytes>> From<Bytes> for EtagBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::plain(bytes.into())
    }
}

impl<B: HttpBody + Default> Default for EtagBody<B> {
    fn default() -> Self {
        Self::plain(B::default())
    }
}

impl From<EtagBody<Body>> for Body {
    fn from(body: EtagBody<Body>) -> Self {
        match body.ahead {
            None => body.inner,
            Some(_) => Body::new(body),
        }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for EtagBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.ahead.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => this.inner.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(Ok(frame)) = &self.ahead {
            let ahead = frame.data_ref().map_or(0, |data| data.len() as u64);
            let upper = hint.upper().and_then(|upper| upper.checked_add(ahead));
            hint.set_lower(hint.lower().saturating_add(ahead).min(upper.unwrap_or(u64::MAX)));
            if let Some(upper) = upper {
                hint.set_upper(upper);
            }
        }
        hint
    }
}
