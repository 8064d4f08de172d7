//! The one body type of requests and responses.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};

use crate::BoxError;
#[cfg(feature = "server")]
use crate::service::server::IncomingBody;

/// Why the body of a request could not be read to its end.
///
/// It is found in the source chain of a body's error; `Problem::unreadable` turns it into the right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The connection or stream ended before the body did.
    Incomplete,
    /// The transfer coding was broken.
    Malformed,
    /// The client sent nothing, or too little, for too long.
    TooSlow,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the body ended before its announced end",
            Self::Malformed => "the transfer coding of the body is malformed",
            Self::TooSlow => "the body came too slowly",
        })
    }
}

impl std::error::Error for ReadError {}

/// A request or response body: nothing, bytes of known length, or a stream.
///
/// The first two need no box and know their exact length, so that the common answers stay cheap.
pub struct Body(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    /// What a client sends us: kept as it is, so that a request body needs no box.
    #[cfg(feature = "server")]
    Incoming(IncomingBody),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A body without content.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Wraps any body. A [`Body`] is handed back as it is, never boxed twice.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut slot = Some(body);
        if let Some(own) = (&mut slot as &mut dyn std::any::Any).downcast_mut::<Option<Body>>() {
            return own.take().unwrap_or_default();
        }
        match slot {
            Some(body) => Self(Kind::Stream(body.map_err(Into::into).boxed_unsync())),
            None => Self::empty(),
        }
    }

    /// A body that is sent chunk by chunk as `stream` yields them; an error aborts the answer.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::new(StreamBody::new(stream.map(|chunk| chunk.map(Frame::data))))
    }

    /// A body that is read from a connection; one that has ended already is empty.
    #[cfg(feature = "server")]
    pub(crate) fn incoming(incoming: IncomingBody) -> Self {
        if incoming.is_end_stream() { Self::empty() } else { Self(Kind::Incoming(incoming)) }
    }

    /// The bytes, when all of them are already in memory.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Full(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            #[cfg(feature = "server")]
            Kind::Incoming(_) => f.write_str("Body(incoming)"),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self(Kind::Full(bytes)) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            #[cfg(feature = "server")]
            Kind::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
            Kind::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            #[cfg(feature = "server")]
            Kind::Incoming(incoming) => incoming.is_end_stream(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "server")]
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_bytes_have_an_exact_length_and_end() {
        let body = Body::from("hello");
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.map(|b| b.to_bytes()).ok(), Some(Bytes::from_static(b"hello")));
        assert!(Body::from("").is_end_stream());
    }

    #[test]
    fn a_body_is_cheap_to_move() {
        // It is moved through every layer, and an incoming one is kept inside it.
        assert!(size_of::<Body>() <= 128, "{}", size_of::<Body>());
    }

    #[test]
    fn a_body_is_not_boxed_twice() {
        let body = Body::new(Body::from("x"));
        assert_eq!(body.as_bytes().map(|b| &b[..]), Some(&b"x"[..]));
    }

    #[tokio::test]
    async fn a_failing_stream_fails_the_body() {
        let chunks = futures_util::stream::iter([Ok(Bytes::from_static(b"a")), Err("torn")]);
        let error = Body::from_stream(chunks).collect().await.map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(error, Err("torn".to_owned()));
    }
}
