//! Answers that something waits for the end of.

use http_body::Body as _;
use tokio::sync::oneshot;

use crate::Response;
use crate::python::stream::held;

/// The answer, and what ends when its body does; none for one in memory, which is over when it is handed on.
pub(super) fn watched(response: Response) -> (Response, Option<oneshot::Receiver<()>>) {
    if response.body().as_bytes().is_some() || response.body().is_end_stream() {
        return (response, None);
    }
    let (over, receiver) = oneshot::channel();
    (response.map(|body| held(body, over)), Some(receiver))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Body, BoxError};

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
