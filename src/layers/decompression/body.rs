use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncBufRead, ReadBuf};

use super::decoder::Decoder;
use super::layer::Limits;
use super::reader::Reader;
use crate::layers::compression::Coding;
use crate::{Body, BodyTooLarge, BoxError, DecodeError};

/// Decoded in one step.
const STEP: usize = 8 * 1024;
/// Small bodies may grow by any factor: they cost nothing.
const FREE: usize = 64 * 1024;

pin_project! {
    /// A request body that is handed on as it is, or decompressed while it is read.
    pub struct DecompressedBody<B> {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B> {
        Plain { #[pin] inner: B },
        Coded { decoding: Box<Decoding<B>> },
    }
}

/// A body on its way through a decoder.
struct Decoding<B> {
    decoder: Decoder<B>,
    limits: Limits,
    decoded: usize,
    stage: Stage,
    fault: Arc<OnceLock<Fault>>,
}

#[derive(PartialEq)]
enum Stage {
    Decoding,
    Ending,
    Ended,
}

/// Why a body could not be decoded, for the answer of a reader that does not know.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    TooLarge(BodyTooLarge),
    Undecodable(DecodeError),
}

impl<B> DecompressedBody<B> {
    pub(super) fn plain(inner: B) -> Self {
        Self { state: State::Plain { inner } }
    }
}

impl<B> DecompressedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// `fault` is told what goes wrong.
    pub(super) fn coded(inner: B, coding: Coding, limits: Limits, fault: Arc<OnceLock<Fault>>) -> Self {
        let decoder = Decoder::new(coding, Reader::new(inner, limits.max_bytes));
        let decoding = Decoding { decoder, limits, decoded: 0, stage: Stage::Decoding, fault };
        Self { state: State::Coded { decoding: Box::new(decoding) } }
    }
}

impl From<DecompressedBody<Body>> for Body {
    fn from(body: DecompressedBody<Body>) -> Self {
        match body.state {
            State::Plain { inner } => inner,
            coded @ State::Coded { .. } => Body::new(DecompressedBody { state: coded }),
        }
    }
}

impl<B> Decoding<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        if self.stage == Stage::Decoding {
            let mut space = [MaybeUninit::uninit(); STEP];
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(self.decoder.decoded().poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.count(buffer.filled().len())?;
                    return Poll::Ready(Ok(Some(Frame::data(Bytes::copy_from_slice(buffer.filled())))));
                }
                Ok(()) => self.stage = Stage::Ending,
                // No bytes at all are no coded stream, but what clients without a body send.
                Err(_) if self.decoder.reader().was_empty() => self.stage = Stage::Ending,
                Err(_) => return Poll::Ready(Err(self.failure())),
            }
        }
        if self.stage == Stage::Ending {
            // The coded stream has ended, and so has to do the body.
            if !matches!(ready!(Pin::new(self.decoder.reader()).poll_fill_buf(cx)), Ok([])) {
                return Poll::Ready(Err(self.failure()));
            }
            self.stage = Stage::Ended;
            return Poll::Ready(Ok(self.decoder.reader().trailers.take().map(Frame::trailers)));
        }
        Poll::Ready(Ok(None))
    }

    fn count(&mut self, amount: usize) -> Result<(), BoxError> {
        self.decoded += amount;
        let Limits { max_bytes, max_ratio } = self.limits;
        if self.decoded > max_bytes {
            return Err(BodyTooLarge { limit: max_bytes }.into());
        }
        let from = self.decoder.reader().decoded_from;
        if self.decoded > FREE && self.decoded / (max_ratio as usize) > from {
            return Err(DecodeError::Ratio { most: max_ratio }.into());
        }
        Ok(())
    }

    /// What the body below failed with, or the coding.
    fn failure(&mut self) -> BoxError {
        self.decoder.reader().failure.take().unwrap_or_else(|| DecodeError::Malformed.into())
    }

    fn note(&self, error: &BoxError) {
        let fault = (error.downcast_ref().copied().map(Fault::TooLarge))
            .or_else(|| error.downcast_ref().copied().map(Fault::Undecodable));
        if let Some(fault) = fault {
            // There is one failure, and so no other value.
            let _ = self.fault.set(fault);
        }
    }
}

impl<B> HttpBody for DecompressedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let decoding = match self.project().state.project() {
            StateProj::Plain { inner } => return inner.poll_frame(cx).map_err(Into::into),
            StateProj::Coded { decoding } => decoding,
        };
        let polled = ready!(decoding.poll(cx));
        if let Err(error) = &polled {
            decoding.stage = Stage::Ended;
            decoding.note(error);
        }
        Poll::Ready(polled.transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Plain { inner } => inner.is_end_stream(),
            State::Coded { decoding } => decoding.stage == Stage::Ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Plain { inner } => inner.size_hint(),
            State::Coded { decoding } => {
                let mut hint = SizeHint::new();
                hint.set_upper((decoding.limits.max_bytes - decoding.decoded.min(decoding.limits.max_bytes)) as u64);
                hint
            }
        }
    }
}
