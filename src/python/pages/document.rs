//! The OpenAPI document: made by Python once the app has begun and has nothing else to do, or when it is asked for before that; native
//! from then on. No start waits for it.

use std::convert::Infallible;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tower::service_fn;

use super::failures::Noted;
use crate::Body;
use crate::python::hooks::Surrounding;
use crate::python::objects::{Objects, Shared};
use crate::python::{attach, errors, refusal};
use crate::service::{Problem, Request, Response, Route};

/// An app in which Python was not entered for so long has time for its document.
const QUIET: Duration = Duration::from_millis(250);
/// So often that is waited for; then it is made all the same, which takes the interpreter from requests for some time.
const MOST_LOOKS: u32 = 40;

/// A text that Python makes once.
pub(in crate::python) struct Document {
    content_type: HeaderValue,
    /// What was made, or why there is none: what failed once does so each time, as the app is frozen.
    made: OnceLock<Result<Bytes, Failed>>,
    /// Whether a thread is at it.
    begun: AtomicBool,
    ended: Notify,
    /// What makes the text, among the app's objects.
    maker: usize,
    surrounding: Surrounding,
}

/// It was logged, with its traceback.
struct Failed(Option<Arc<Noted>>);

impl Document {
    /// One that the maker at this place gives.
    pub(in crate::python) fn new(content_type: HeaderValue, maker: usize, surrounding: Surrounding) -> Arc<Self> {
        Arc::new(Self {
            content_type,
            made: OnceLock::new(),
            begun: AtomicBool::new(false),
            ended: Notify::new(),
            maker,
            surrounding,
        })
    }

    /// Answers with it.
    pub(in crate::python) fn route(self: &Arc<Self>) -> Route {
        let document = self.clone();
        Route::new(service_fn(move |_: Request| match document.made.get() {
            Some(made) => Either::Left(ready(Ok::<_, Infallible>(document.answer(made)))),
            None => {
                let document = document.clone();
                Either::Right(async move {
                    Ok(match document.make().await {
                        Ok(made) => document.answer(made),
                        Err(problem) => problem.into_response(),
                    })
                })
            }
        }))
    }

    fn answer(&self, made: &Result<Bytes, Failed>) -> Response {
        match made {
            Ok(text) => {
                let mut response = Response::new(Body::from(text.clone()));
                response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
                response
            }
            Err(Failed(noted)) => {
                let problem = Problem::internal().detail("the OpenAPI document cannot be made; the log says why");
                let mut response = problem.into_response();
                if let Some(noted) = noted {
                    response.extensions_mut().insert(noted.clone());
                }
                response
            }
        }
    }

    /// Has it made, unless it was, or is just now: who gives up waiting does not stop that.
    async fn make(self: &Arc<Self>) -> Result<&Result<Bytes, Failed>, Problem> {
        let mut ended = std::pin::pin!(self.ended.notified());
        // From here on its end is not missed.
        ended.as_mut().enable();
        if self.made.get().is_none() {
            self.begin()?;
            ended.await;
        }
        self.made.get().ok_or_else(refusal::lost)
    }

    /// Begins to make it, on a thread of its own: it takes too long for the loop, and handlers need the others.
    fn begin(self: &Arc<Self>) -> Result<(), Problem> {
        if self.begun.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let ending = Ending(self.clone());
        let Some((objects, _)) = self.surrounding.get() else { return Err(refusal::not_running()) };
        let objects = objects.clone();
        let work = move || {
            let Ending(document) = &ending;
            // For no request, so that it does not count as one that entered.
            attach::try_aside(|py| {
                if let Some(objects) = objects.upgrade() {
                    let made = document.call(py, &objects);
                    drop(objects);
                    let _ = document.made.set(made);
                }
            });
        };
        let spawned = std::thread::Builder::new().name("ziggurat-document".into()).spawn(work);
        spawned.map(drop).map_err(|_| refusal::overloaded())
    }

    fn call(&self, py: Python<'_>, objects: &Objects) -> Result<Bytes, Failed> {
        let make = || {
            let make = objects.documents.get(self.maker).ok_or_else(|| errors::bug("nothing makes the document"))?;
            attach::staying(|| make.bind(py).call0())?.extract::<Vec<u8>>()
        };
        make().map(Bytes::from).map_err(|error| Failed(errors::noted(py, &error, "the OpenAPI document")))
    }
}

/// Tells those who wait that it is made, or will not be.
struct Ending(Arc<Document>);

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.made.get().is_none() {
            self.0.begun.store(false, Ordering::Release);
        }
        self.0.ended.notify_waiters();
    }
}

/// Ready when `count` did not change for some time, or has changed for too long.
async fn quiet<T: PartialEq>(count: impl Fn() -> T) {
    let mut before = count();
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(QUIET).await;
        let now = count();
        if now == before {
            return;
        }
        before = now;
    }
}

/// Has them made once requests leave the interpreter some time, one after the other.
pub(in crate::python) fn make_when_quiet(documents: Vec<Arc<Document>>, shared: &Shared, runtime: &Handle) {
    if documents.iter().all(|document| document.made.get().is_some()) {
        return;
    }
    let stopping = shared.stopping();
    let making = async move {
        quiet(attach::counts).await;
        for document in documents {
            match document.make().await {
                Ok(Ok(text)) => tracing::debug!(bytes = text.len(), "the OpenAPI document is made"),
                // It was told of.
                Ok(Err(_)) => {}
                // Who asks for it begins anew.
                Err(problem) => tracing::debug!(?problem, "the OpenAPI document is not made yet"),
            }
        }
    };
    drop(runtime.spawn(async move {
        tokio::select! {
            () = making => {}
            () = stopping => {}
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_waited_for_but_not_for_ever() {
        let begun = Instant::now();
        quiet(|| 0).await;
        assert_eq!(begun.elapsed(), QUIET);

        let (begun, looks) = (Instant::now(), Cell::new(0));
        // Requests come until the fifth look.
        quiet(|| looks.replace(looks.get() + 1).min(5)).await;
        assert_eq!(begun.elapsed(), QUIET * 6);

        let (begun, looks) = (Instant::now(), Cell::new(0));
        quiet(|| looks.replace(looks.get() + 1)).await;
        assert_eq!(begun.elapsed(), QUIET * MOST_LOOKS);
    }
}
