//! Whether somebody still waits for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body::Body as _;

use super::stream::held_before;
use crate::Response;

/// What a request knows of the client that waits for its answer.
#[derive(Clone, Default)]
pub(super) struct Presence(Arc<AtomicBool>);

impl Presence {
    /// Of a request that is answered.
    pub(super) fn over() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Whether the client has gone, or has all of its answer.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// What is dropped when nobody waits any longer.
    pub(super) fn waits(&self) -> Waits {
        Waits(self.0.clone())
    }
}

/// Kept by whatever the connection drops when the client has gone, or has its answer.
pub(super) struct Waits(Arc<AtomicBool>);

impl Waits {
    /// Goes on until the body of `response` is over, where that comes in pieces.
    pub(super) fn for_body(self, response: Response) -> Response {
        if response.body().as_bytes().is_some() || response.body().is_end_stream() {
            return response;
        }
        // Before what makes it is closed, which may ask.
        response.map(|body| held_before(body, self))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Body, BoxError};

    #[test]
    fn it_is_over_with_what_waits() {
        let presence = Presence::default();
        let waits = presence.waits();
        assert!(!presence.is_over());
        drop(waits);
        assert!(presence.is_over() && Presence::over().is_over());
    }

    #[test]
    fn a_body_in_pieces_is_waited_for() {
        let presence = Presence::default();
        let pieces = futures_util::stream::iter([Ok::<_, BoxError>(Bytes::from_static(b"a"))]);
        let response = presence.waits().for_body(Response::new(Body::from_stream(pieces)));
        assert!(!presence.is_over());
        drop(response);
        assert!(presence.is_over());
        let presence = Presence::default();
        let whole = presence.waits().for_body(Response::new(Body::from("whole")));
        assert!(presence.is_over() && whole.body().as_bytes().is_some());
    }
}
