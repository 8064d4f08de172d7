//! Answers of Python that are not whole yet.

use std::sync::{Arc, Mutex, PoisonError};

use super::bridge::OnLoop;
use super::catch::Raised;
use crate::Response;

/// A response extension: what is still to be done, on the runtime, by who waits for the answer.
#[derive(Clone)]
pub(super) struct Unfinished(Arc<Mutex<Option<Rest>>>);

pub(super) enum Rest {
    /// A handler of exceptions is to answer.
    Raised(OnLoop<Raised>),
}

impl Rest {
    /// Leaves it to whoever takes the response.
    pub(super) fn of(self, mut response: Response) -> Response {
        response.extensions_mut().insert(Unfinished(Arc::new(Mutex::new(Some(self)))));
        response
    }

    /// What is still to be done of `response`.
    pub(super) fn take(response: &mut Response) -> Option<Self> {
        if response.extensions().is_empty() {
            return None;
        }
        let Unfinished(rest) = response.extensions_mut().remove()?;
        rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
