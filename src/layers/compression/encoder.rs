use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::{Level, brotli, zstd};
use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::Coding;

/// Of a stream, whose length is not known, as a power of two. More would cost memory for each open stream.
const STREAM_WINDOW: u32 = 19;

/// Compresses into memory, which never has to be waited for.
pub(super) enum Encoder {
    // By far the largest.
    Brotli(Box<BrotliEncoder<Vec<u8>>>),
    Zstd(ZstdEncoder<Vec<u8>>),
    Gzip(GzipEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    /// `length` of the whole input, when it is known, saves memory.
    pub(super) fn new(coding: Coding, level: Option<u8>, length: Option<usize>) -> Self {
        let out = Vec::with_capacity(length.map_or(4096, |length| length / 2));
        let level = |default: i32| Level::Precise(level.map_or(default, i32::from));
        let window =
            length.map_or(STREAM_WINDOW, |length| (usize::BITS - length.leading_zeros()).clamp(10, STREAM_WINDOW));
        let window = i32::try_from(window).unwrap_or(19);
        match coding {
            Coding::Brotli => {
                let params = brotli::EncoderParams::default().quality(level(4)).window_size(window);
                Self::Brotli(Box::new(BrotliEncoder::with_params(out, params)))
            }
            Coding::Zstd => {
                let window = zstd::CParameter::window_log(window as u32);
                Self::Zstd(ZstdEncoder::with_quality_and_params(out, level(3), &[window]))
            }
            Coding::Gzip => Self::Gzip(GzipEncoder::with_quality(out, level(5))),
            Coding::Deflate => Self::Deflate(ZlibEncoder::with_quality(out, level(5))),
        }
    }

    /// All of `input` at once.
    pub(super) fn one_shot(coding: Coding, level: Option<u8>, input: &[u8]) -> io::Result<Bytes> {
        let mut encoder = Self::new(coding, level, Some(input.len()));
        encoder.write(input)?;
        encoder.finish()?;
        Ok(encoder.take())
    }

    pub(super) fn write(&mut self, mut input: &[u8]) -> io::Result<()> {
        while !input.is_empty() {
            let written = at_once(|cx| self.as_write().poll_write(cx, input))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            input = &input[written..];
        }
        Ok(())
    }

    /// Makes all that was written decodable.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        at_once(|cx| self.as_write().poll_flush(cx))
    }

    /// Ends the compressed stream.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        at_once(|cx| self.as_write().poll_shutdown(cx))
    }

    /// The compressed bytes so far.
    pub(super) fn take(&mut self) -> Bytes {
        let out = match self {
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }

    fn as_write(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        let encoder: &mut (dyn AsyncWrite + Unpin) = match self {
            Self::Brotli(encoder) => &mut **encoder,
            Self::Zstd(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
            Self::Deflate(encoder) => encoder,
        };
        Pin::new(encoder)
    }
}

/// A vector takes any number of bytes at once, so the poll is always ready.
fn at_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
