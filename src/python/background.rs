//! What runs behind an answer, once that was handed over.

use std::sync::{Arc, Mutex, PoisonError};

use http_body::Body as _;
use pyo3::intern;
use pyo3::prelude::*;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::bridge::OnLoop;
use super::objects::Objects;
use super::pyloop::LoopHandle;
use super::stream::held;
use super::{attach, errors, release};
use crate::Response;
use crate::service::LeafKind;

/// Has `tasks` run when the answer was handed over: its head to the connection, and of a body in pieces the last of them.
pub(super) fn after(objects: &Objects, mut response: Response, tasks: Py<PyAny>) -> PyResult<Response> {
    let home = objects.event_loop()?;
    // An app that stops waits for it.
    let token = objects.shared.get().map(|shared| shared.background.token());
    let tasks = OnLoop::new(tasks, home.clone());
    let behind = Behind { left: Some((tasks, token)), home };
    // Several may stand behind one answer: its own, and those of the handler.
    let before = response.extensions_mut().remove::<After>();
    response.extensions_mut().insert(After { _behind: Arc::new(behind), _before: before.map(Arc::new) });
    Ok(with_body(response))
}

/// Leaves it to the body of `response` to begin what runs behind it, where that is not in memory yet.
pub(super) fn with_body(mut response: Response) -> Response {
    if response.body().as_bytes().is_some() || response.body().is_end_stream() {
        return response;
    }
    match response.extensions_mut().remove::<After>() {
        Some(after) => response.map(|body| held(body, after)),
        None => response,
    }
}

/// A response extension: what is behind begins when the last copy of it is dropped, which is when the head was sent.
#[derive(Clone)]
struct After {
    _behind: Arc<Behind>,
    _before: Option<Arc<After>>,
}

/// It begins when this is dropped, whether the client got its answer or has gone.
struct Behind {
    left: Option<(OnLoop<Py<PyAny>>, Option<TaskTrackerToken>)>,
    home: LoopHandle,
}

impl Drop for Behind {
    fn drop(&mut self) {
        let Some((tasks, token)) = self.left.take() else { return };
        let told = self.home.deliver(Box::new(move |py| {
            attach::on_loop(py, LeafKind::Python, |py| begin(py, tasks.into_inner(py), token));
        }));
        if let Err(back) = told {
            tracing::error!("background tasks were not run: the event loop is closed");
            release::bury(back);
        }
    }
}

fn begin(py: Python<'_>, tasks: Py<PyAny>, token: Option<TaskTrackerToken>) {
    let begun = || -> PyResult<()> {
        let begin = py.import(intern!(py, "ziggurat.background"))?.getattr(intern!(py, "_begin"))?;
        begin.call1((tasks, Running(Mutex::new(token)))).map(drop)
    };
    if let Err(error) = begun() {
        errors::log(py, &error, "a background task");
    }
}

/// Kept by what runs until it has ended.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct Running(Mutex<Option<TaskTrackerToken>>);

#[pymethods]
impl Running {
    /// An app that stops need not wait any longer.
    fn end(&self) {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(token);
    }
}
