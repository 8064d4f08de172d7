//! Answers of Python that are not whole yet.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use super::background;
use super::bridge::OnLoop;
use super::catch::Raised;
use super::file::SendFile;
use super::request::Request;
use crate::Response;

/// A response extension: what is still to be done, on the runtime, by who waits for the answer.
#[derive(Clone)]
pub(super) struct Unfinished(Arc<Mutex<Option<Rest>>>);

pub(super) enum Rest {
    /// A handler of exceptions is to answer.
    Raised(OnLoop<Raised>),
    /// The first piece of its body is awaited, as what yields it may raise an exception; with the request that it was given.
    First(Option<OnLoop<Py<Request>>>),
    /// A file is to be sent.
    File(Box<SendFile>),
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

/// The whole answer of what is no handler of a route, and so has left nothing to do but to send a file.
pub(super) async fn finished(mut response: Response) -> Response {
    match Rest::take(&mut response) {
        Some(Rest::File(file)) => background::with_body(file.answer(response, None).await),
        _ => response,
    }
}
