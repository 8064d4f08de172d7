//! The OpenAPI document: made by Python when it is first asked for, so that no start waits for it, and native from then on.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::Either;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use pyo3::prelude::*;
use tokio::sync::{OnceCell, oneshot};
use tower::service_fn;

use crate::Body;
use crate::python::hooks::Surrounding;
use crate::python::objects::Objects;
use crate::python::{errors, refusal};
use crate::service::{Problem, Request, Response, Route};

struct Document {
    content_type: HeaderValue,
    text: OnceCell<Bytes>,
    /// What makes the text, among the app's objects.
    maker: usize,
    surrounding: Surrounding,
}

/// A text that the maker at this place gives when it is first asked for.
pub(in crate::python) fn document(content_type: HeaderValue, maker: usize, surrounding: Surrounding) -> Route {
    let document = Arc::new(Document { content_type, text: OnceCell::new(), maker, surrounding });
    Route::new(service_fn(move |_: Request| match document.text.get() {
        Some(text) => Either::Left(ready(Ok::<_, Infallible>(document.answer(text)))),
        None => {
            let document = document.clone();
            Either::Right(async move {
                // Those who ask meanwhile wait for the same.
                Ok(match document.text.get_or_try_init(|| document.make()).await {
                    Ok(text) => document.answer(text),
                    Err(problem) => problem.into_response(),
                })
            })
        }
    }))
}

impl Document {
    fn answer(&self, text: &Bytes) -> Response {
        let mut response = Response::new(Body::from(text.clone()));
        response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        response
    }

    /// Has the text made on a thread: it takes too long for the loop.
    async fn make(&self) -> Result<Bytes, Problem> {
        let Some((objects, shared)) = self.surrounding.get() else { return Err(refusal::not_running()) };
        let (sender, receiver) = oneshot::channel();
        let (objects, maker) = (objects.clone(), self.maker);
        let work = move |py: Python<'_>| {
            // Nobody may be waiting any longer.
            drop(sender.send(objects.upgrade().ok_or_else(refusal::stopping).and_then(|o| made(py, &o, maker))));
        };
        shared.sync.run(Box::new(work)).map_err(|_| refusal::overloaded())?;
        receiver.await.unwrap_or_else(|_| Err(refusal::lost()))
    }
}

fn made(py: Python<'_>, objects: &Objects, maker: usize) -> Result<Bytes, Problem> {
    let make = objects.documents.get(maker).ok_or_else(Problem::internal)?;
    let text = make.bind(py).call0().and_then(|text| text.extract::<Vec<u8>>());
    text.map(Bytes::from).map_err(|error| errors::problem(py, error, "the OpenAPI document"))
}
