//! What is known of a request whose bodies are timed, and what is said of it in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::{Extensions, Request, Uri};

use crate::service::LeafInfo;

/// The path of the route where it is known, else that of the request.
#[derive(Debug, Clone)]
pub(super) enum Path {
    Matched(Arc<LeafInfo>),
    Asked(Uri),
}

impl Path {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let leaf = request.extensions().get().cloned();
        leaf.map_or_else(|| Self::Asked(request.uri().clone()), Self::Matched)
    }

    /// A dispatcher further in has told its answer.
    pub(super) fn learn(&mut self, extensions: &Extensions) {
        if let Some(leaf) = extensions.get() {
            *self = Self::Matched(Arc::clone(leaf));
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Matched(leaf) => &leaf.path,
            Self::Asked(uri) => uri.path(),
        })
    }
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// By the client, whose body did not come.
    Client(Duration),
    /// By the service, of whose body nothing came.
    Service(Duration),
    Total(Duration),
}

impl Passed {
    /// Once for a request. The head of its answer was a good one, so that nothing else would tell.
    pub(super) fn log(self, path: &Path) {
        let (what, limit) = match self {
            Self::Client(limit) => ("nothing came of the body of a request", limit),
            Self::Service(limit) => ("nothing came of the body of an answer", limit),
            Self::Total(limit) => ("an answer had not ended", limit),
        };
        tracing::warn!(%path, limit_s = limit.as_secs_f64(), "{what} in time, and it was given up");
    }
}

const READING: u8 = 0;
const TRIPPED: u8 = 1;
const ANSWERED: u8 = 2;

/// Between the body of a request and the future of its answer: the future tells the log and the client if it still can.
#[derive(Debug)]
pub(super) struct Watch {
    path: Path,
    state: AtomicU8,
}

impl Watch {
    pub(super) fn new(path: Path) -> Self {
        Self { path, state: AtomicU8::new(READING) }
    }

    /// The client was too slow.
    pub(super) fn trip(&self, limit: Duration) {
        let was = self.state.compare_exchange(READING, TRIPPED, Ordering::AcqRel, Ordering::Acquire);
        if was == Err(ANSWERED) {
            Passed::Client(limit).log(&self.path);
        }
    }

    /// The head of the answer is there; whether the client had been too slow before.
    pub(super) fn answered(&self) -> bool {
        self.state.swap(ANSWERED, Ordering::AcqRel) == TRIPPED
    }
}
