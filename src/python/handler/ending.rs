//! Answers that something waits for the end of.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::{Body, BoxError, Response};

/// Is told, by being dropped, that a body is over: sent, broken off, or nobody wants it.
struct Ending {
    // Dropped first: what yields it is closed when the other side learns of it.
    inner: Body,
    _over: oneshot::Sender<()>,
}

/// The answer, and what ends when its body does; none for one in memory, which is over when it is handed on.
pub(super) fn watched(response: Response) -> (Response, Option<oneshot::Receiver<()>>) {
    if response.body().as_bytes().is_some() || response.body().is_end_stream() {
        return (response, None);
    }
    let (over, receiver) = oneshot::channel();
    (response.map(|inner| Body::new(Ending { inner, _over: over })), Some(receiver))
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_in_pieces_is_waited_for() {
        assert!(watched(Response::new(Body::from("x"))).1.is_none());
        assert!(watched(Response::new(Body::empty())).1.is_none());
        let pieces = futures_util::stream::iter([Ok::<_, BoxError>(Bytes::from_static(b"x"))]);
        let (response, over) = watched(Response::new(Body::from_stream(pieces)));
        let mut over = over.unwrap();
        assert!(over.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Empty));
        drop(response);
        assert!(over.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Closed));
    }
}
