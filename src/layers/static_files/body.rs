use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::answer::Content;
use super::chunks::Chunks;
use crate::{Body, BoxError};

pin_project! {
    /// A body of the inner service, or a file that is read while it is sent.
    ///
    /// It fails where a file becomes shorter meanwhile, so that the connection ends and nobody takes a part for the whole.
    #[derive(Debug)]
    pub struct FileBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Plain { #[pin] body: B },
        Chunks { chunks: Chunks },
    }
}

impl<B> FileBody<B> {
    pub(super) fn plain(body: B) -> Self {
        Self { kind: Kind::Plain { body } }
    }
}

impl<B: From<Bytes>> FileBody<B> {
    pub(super) fn of(content: Content) -> Self {
        match content {
            Content::Bytes(bytes) => Self::plain(bytes.into()),
            Content::Chunks(chunks) => Self { kind: Kind::Chunks { chunks } },
        }
    }
}

/// For layers outside that answer themselves.
impl<B: From<Bytes>> From<Bytes> for FileBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::plain(bytes.into())
    }
}

impl<B: Default> Default for FileBody<B> {
    fn default() -> Self {
        Self::plain(B::default())
    }
}

impl From<FileBody<Body>> for Body {
    fn from(body: FileBody<Body>) -> Self {
        match body.kind {
            Kind::Plain { body } => body,
            Kind::Chunks { .. } => Body::new(body),
        }
    }
}

impl<B> HttpBody for FileBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Plain { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Chunks { chunks } => {
                chunks.poll_next(cx).map(|next| next.map(|read| read.map(Frame::data).map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Chunks { chunks } => chunks.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } => body.size_hint(),
            Kind::Chunks { chunks } => SizeHint::with_exact(chunks.left()),
        }
    }
}
