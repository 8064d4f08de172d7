use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http_body::Body as HttpBody;
use tokio::time::Instant;

use super::CacheBody;
use super::core::Asking;
use super::lifetime::Lifetime;

/// An answer that is read to its end, to be kept.
pub(super) struct Reading<B> {
    parts: Parts,
    body: B,
    chunks: VecDeque<Bytes>,
    length: usize,
    lifetime: Lifetime,
    came: Instant,
    asking: Box<Asking>,
}

impl<B: HttpBody<Data = Bytes> + From<Bytes> + Unpin> Reading<B> {
    pub(super) fn new(parts: Parts, body: B, lifetime: Lifetime, asking: Box<Asking>) -> Self {
        Self { parts, body, chunks: VecDeque::new(), length: 0, lifetime, came: Instant::now(), asking }
    }

    /// Reads on; the answer is ready when the end or the limit is reached.
    pub(super) fn poll(reading: &mut Option<Box<Self>>, cx: &mut Context<'_>) -> Poll<Option<Response<CacheBody<B>>>> {
        let Some(this) = reading.as_mut() else { return Poll::Ready(None) };
        let last = loop {
            if this.body.is_end_stream() {
                break None;
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => break None,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => {
                        this.length = this.length.saturating_add(chunk.len());
                        this.chunks.push_back(chunk);
                        if this.length > this.asking.most() {
                            return Poll::Ready(reading.take().map(|this| this.hand_on(None)));
                        }
                    }
                    Err(trailers) => break Some(Ok(trailers)),
                },
                Some(Err(error)) => break Some(Err(error)),
            }
        };
        Poll::Ready(reading.take().map(|this| match last {
            None => this.keep(),
            Some(last) => this.hand_on(Some(last)),
        }))
    }

    fn keep(mut self) -> Response<CacheBody<B>> {
        let body = match self.chunks.len() {
            0 | 1 => self.chunks.pop_front().unwrap_or_default(),
            _ => {
                let mut whole = BytesMut::with_capacity(self.length);
                self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
                whole.freeze()
            }
        };
        // Of what is shorter than it says a part is missing, and a length that fits would hide that (RFC 9111, 3.3).
        let said = self.parts.headers.get(CONTENT_LENGTH);
        if said.is_some_and(|said| said.as_bytes() != self.length.to_string().as_bytes()) {
            self.asking.give_up(&mut self.parts);
            return Response::from_parts(self.parts, body).map(CacheBody::from);
        }
        self.asking.keep(self.parts, body, self.lifetime, self.came).map(CacheBody::from)
    }

    /// Sends what was read and all that follows.
    fn hand_on(mut self, last: Option<Result<http_body::Frame<Bytes>, B::Error>>) -> Response<CacheBody<B>> {
        if matches!(last, Some(Err(_))) {
            self.asking.give_up(&mut self.parts);
        } else if self.asking.hand_on(&mut self.parts) {
            return Response::from_parts(self.parts, Bytes::new().into());
        }
        Response::from_parts(self.parts, CacheBody::resumed(self.chunks, last, self.body))
    }
}
