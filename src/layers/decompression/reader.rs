use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body as HttpBody;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use crate::{BodyTooLarge, BoxError};

/// The bytes of a body as decoders read them.
pub(super) struct Reader<B> {
    body: B,
    chunk: Bytes,
    ended: bool,
    limit: usize,
    read: usize,
    /// How many bytes were decoded.
    pub(super) decoded_from: usize,
    pub(super) trailers: Option<HeaderMap>,
    /// Why there is no more, where it is no fault of the coding.
    pub(super) failure: Option<BoxError>,
}

impl<B> Reader<B> {
    /// Reads at most `limit` bytes: a body of nothing but empty blocks would never come to the limit of what is decoded.
    pub(super) fn new(body: B, limit: usize) -> Self {
        Self { body, chunk: Bytes::new(), ended: false, limit, read: 0, decoded_from: 0, trailers: None, failure: None }
    }

    /// Whether there was nothing to decode.
    pub(super) fn was_empty(&self) -> bool {
        self.ended && self.read == 0 && self.failure.is_none()
    }

    fn fail(&mut self, failure: BoxError) -> io::Error {
        self.ended = true;
        self.failure = Some(failure);
        io::ErrorKind::Other.into()
    }
}

impl<B> AsyncBufRead for Reader<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        // An empty chunk would pass for the end.
        while this.chunk.is_empty() && !this.ended {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.read = this.read.saturating_add(data.len());
                        if this.read > this.limit {
                            return Poll::Ready(Err(this.fail(BodyTooLarge { limit: this.limit }.into())));
                        }
                        this.chunk = data;
                    }
                    Err(frame) => {
                        this.trailers = frame.into_trailers().ok();
                        this.ended = true;
                    }
                },
                Some(Err(error)) => return Poll::Ready(Err(this.fail(error.into()))),
                None => this.ended = true,
            }
        }
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        this.chunk.advance(amount);
        this.decoded_from += amount;
    }
}

impl<B> AsyncRead for Reader<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = there.len().min(buffer.remaining());
        buffer.put_slice(&there[..amount]);
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}
