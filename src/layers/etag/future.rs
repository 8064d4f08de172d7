use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;

use super::layer::Settings;
use super::service::Asked;
use super::{EtagBody, tag};
use crate::layers::tags;

pin_project! {
    /// The answer of the inner service with its tag, or a 304 where the client has it already.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // None where neither is for this method.
        asked: Option<Asked>,
        settings: Settings,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, asked: Option<Asked>, settings: Settings) -> Self {
        Self { inner, asked, settings }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
{
    type Output = Result<Response<EtagBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut parts, body) = ready!(this.inner.poll(cx))?.into_parts();
        let Some(asked) = this.asked.take().filter(|_| parts.status == StatusCode::OK) else {
            return Poll::Ready(Ok(Response::from_parts(parts, EtagBody::plain(body))));
        };
        let body = if may_be_tagged(&parts, &body, &asked, *this.settings) {
            tagged(&mut parts, body, this.settings.weak, cx)
        } else {
            EtagBody::plain(body)
        };
        if parts.headers.get(ETAG).is_some_and(|tag| tags::is_listed(&asked.if_none_match, tag)) {
            parts.status = StatusCode::NOT_MODIFIED;
            tags::without_metadata(&mut parts.headers);
            return Poll::Ready(Ok(Response::from_parts(parts, EtagBody::from(Bytes::new()))));
        }
        Poll::Ready(Ok(Response::from_parts(parts, body)))
    }
}

fn may_be_tagged<B: HttpBody>(parts: &Parts, body: &B, asked: &Asked, settings: Settings) -> bool {
    // What HEAD has no body of would have another tag under GET.
    let is_cut_off = asked.head && body.is_end_stream();
    let length = body.size_hint().exact();
    let not_stored = parts.headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.to_str().unwrap_or_default().split(',');
        directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
    });
    !is_cut_off
        && !not_stored
        && !parts.headers.contains_key(ETAG)
        && length.is_some_and(|length| length <= settings.max_bytes)
}

/// Reads what is there of the body; if that is all, the head gets its tag.
fn tagged<B>(parts: &mut Parts, mut body: B, weak: bool, cx: &mut Context<'_>) -> EtagBody<B>
where
    B: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
{
    let length = body.size_hint().exact();
    let (bytes, ended) = match Pin::new(&mut body).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(bytes) => (bytes, body.is_end_stream()),
            Err(frame) => return EtagBody::resumed(Ok(frame), body),
        },
        Poll::Ready(Some(Err(error))) => return EtagBody::resumed(Err(error), body),
        Poll::Ready(None) => (Bytes::new(), true),
        // It is polled again by whoever sends it.
        Poll::Pending => return EtagBody::plain(body),
    };
    if length == Some(bytes.len() as u64) {
        parts.headers.insert(ETAG, tag::of(&bytes, weak));
    }
    if ended { EtagBody::from(bytes) } else { EtagBody::resumed(Ok(Frame::data(bytes)), body) }
}
