use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use http_body::Body as HttpBody;
use tokio::io::AsyncRead;

use super::reader::Reader;
use crate::BoxError;
use crate::layers::compression::Coding;

/// What RFC 9659 allows senders: 8 MiB, as a power of two. The format would allow 128 MiB for each body.
const ZSTD_WINDOW: u32 = 23;

pub(super) enum Decoder<B> {
    Brotli(BrotliDecoder<Reader<B>>),
    Zstd(ZstdDecoder<Reader<B>>),
    Gzip(GzipDecoder<Reader<B>>),
    Deflate(ZlibDecoder<Reader<B>>),
}

impl<B> Decoder<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(coding: Coding, reader: Reader<B>) -> Self {
        match coding {
            Coding::Brotli => Self::Brotli(BrotliDecoder::new(reader)),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW)]);
                // A sequence of frames is one body (RFC 8878, 3.1), and of members (RFC 1952, 2.2).
                decoder.multiple_members(true);
                Self::Zstd(decoder)
            }
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                Self::Gzip(decoder)
            }
            Coding::Deflate => Self::Deflate(ZlibDecoder::new(reader)),
        }
    }

    pub(super) fn decoded(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin + '_)> {
        let decoder: &mut (dyn AsyncRead + Unpin) = match self {
            Self::Brotli(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
            Self::Gzip(decoder) => decoder,
            Self::Deflate(decoder) => decoder,
        };
        Pin::new(decoder)
    }

    pub(super) fn reader(&mut self) -> &mut Reader<B> {
        match self {
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }
}
