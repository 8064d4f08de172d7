use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::encoder::Encoder;
use crate::{Body, BoxError};

/// Compressed in one step, so that a large chunk does not hold up its thread.
const STEP: usize = 64 * 1024;
/// After this much input without any output, other tasks of the thread have their turn.
const TURN: usize = 1024 * 1024;

pin_project! {
    /// A body that is handed on as it is, or compressed while it is read.
    pub struct CompressionBody<B> {
        #[pin]
        inner: B,
        coder: Option<Box<Coder>>,
    }
}

/// What was read of a body before it was known that more has to be waited for.
#[derive(Default)]
pub(super) struct Part {
    pub(super) chunks: VecDeque<Bytes>,
    /// Trailers or the failure that came after the chunks.
    pub(super) after: Option<Result<Frame<Bytes>, BoxError>>,
}

/// The state of a body that is being compressed.
pub(super) struct Coder {
    encoder: Encoder,
    /// Read, but not yet compressed.
    input: Part,
    /// Whether each chunk is an event that someone waits for.
    flush_each: bool,
    /// Whether the encoder holds back input.
    unflushed: bool,
    trailers: Option<HeaderMap>,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Reading,
    Trailers,
    Ended,
}

impl<B> CompressionBody<B> {
    pub(super) fn plain(inner: B) -> Self {
        Self { inner, coder: None }
    }

    /// `input` was read from `inner` already.
    pub(super) fn coded(inner: B, encoder: Encoder, input: Part, flush_each: bool) -> Self {
        let coder = Coder { encoder, input, flush_each, unflushed: false, trailers: None, stage: Stage::Reading };
        Self { inner, coder: Some(Box::new(coder)) }
    }
}

/// For layers outside that answer themselves.
impl<B: From<Bytes>> From<Bytes> for CompressionBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::plain(bytes.into())
    }
}

impl<B: Default> Default for CompressionBody<B> {
    fn default() -> Self {
        Self::plain(B::default())
    }
}

impl From<CompressionBody<Body>> for Body {
    fn from(body: CompressionBody<Body>) -> Self {
        match body.coder {
            None => body.inner,
            Some(_) => Body::new(body),
        }
    }
}

impl Coder {
    /// Compresses a step of the waiting input, and tells how much that was.
    fn step(&mut self) -> io::Result<usize> {
        let Some(chunk) = self.input.chunks.front_mut() else { return Ok(0) };
        let part = chunk.split_to(chunk.len().min(STEP));
        let chunk_ended = chunk.is_empty();
        if chunk_ended {
            self.input.chunks.pop_front();
        }
        self.encoder.write(&part)?;
        self.unflushed = true;
        if chunk_ended && self.flush_each {
            self.flush()?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unflushed = false;
        self.encoder.flush()
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        self.trailers = trailers;
        self.stage = Stage::Trailers;
        self.encoder.finish()
    }

    /// What can be sent now.
    fn output(&mut self) -> Option<Frame<Bytes>> {
        let bytes = self.encoder.take();
        (!bytes.is_empty()).then(|| Frame::data(bytes))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

fn poll_coded<B>(mut inner: Pin<&mut B>, coder: &mut Coder, cx: &mut Context<'_>) -> Result<Polled, BoxError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut consumed = 0;
    loop {
        match coder.stage {
            Stage::Ended => return Ok(Poll::Ready(None)),
            Stage::Trailers => {
                coder.stage = Stage::Ended;
                return Ok(Poll::Ready(coder.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))));
            }
            Stage::Reading => {}
        }
        let mut waiting = false;
        if !coder.input.chunks.is_empty() {
            consumed += coder.step()?;
        } else {
            let next = match coder.input.after.take() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => inner.as_mut().poll_frame(cx).map_err(Into::into),
            };
            match next {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        coder.input.chunks.push_back(data);
                        continue;
                    }
                    Err(frame) => coder.finish(frame.into_trailers().ok())?,
                },
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(None) => coder.finish(None)?,
                Poll::Pending => {
                    waiting = true;
                    if coder.unflushed {
                        coder.flush()?;
                    }
                }
            }
        }
        if let Some(frame) = coder.output() {
            return Ok(Poll::Ready(Some(Ok(frame))));
        }
        if waiting {
            return Ok(Poll::Pending);
        }
        if consumed >= TURN {
            cx.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
    }
}

impl<B> HttpBody for CompressionBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = self.project();
        let Some(coder) = this.coder else { return this.inner.poll_frame(cx).map_err(Into::into) };
        match poll_coded(this.inner, coder, cx) {
            Ok(poll) => poll,
            Err(error) => {
                coder.stage = Stage::Ended;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.coder {
            None => self.inner.is_end_stream(),
            Some(coder) => coder.stage == Stage::Ended || (coder.stage == Stage::Trailers && coder.trailers.is_none()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.coder {
            None => self.inner.size_hint(),
            // Not known before it is compressed.
            Some(_) => SizeHint::default(),
        }
    }
}
