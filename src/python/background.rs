//! What runs behind an answer, once that was handed over.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use http_body::Body as _;
use pyo3::intern;
use pyo3::prelude::*;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::bridge::OnLoop;
use super::form::Kept;
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
    let behind = Behind { left: Some((tasks, token)), files: OnceLock::new(), home };
    // Several may stand behind one answer: its own, and those of the handler.
    let before = response.extensions_mut().remove::<After>();
    response.extensions_mut().insert(After { behind: Arc::new(behind), before: before.map(Arc::new) });
    Ok(with_body(response))
}

/// Leaves it to the body of `response` to begin what runs behind it, where that is not in memory yet.
pub(super) fn with_body(mut response: Response) -> Response {
    if response.body().as_bytes().is_some() || response.body().is_end_stream() {
        return response;
    }
    match response.extensions_mut().remove::<After>() {
        Some(after) => {
            let mut left = response.extensions_mut().remove::<InBody>().unwrap_or_default();
            left.0.extend(after.all().map(Arc::downgrade));
            response.extensions_mut().insert(left);
            response.map(|body| held(body, after))
        }
        None => response,
    }
}

/// Keeps the files of a form until the answer was handed over, and what runs behind it is over.
pub(super) fn keep(mut response: Response, files: Option<Kept>) -> Response {
    let Some(files) = files else { return response };
    let extensions = response.extensions_mut();
    if let Some(left) = extensions.remove::<InBody>() {
        for behind in left.0.iter().filter_map(Weak::upgrade) {
            let _ = behind.files.set(files.clone());
        }
    }
    if let Some(after) = extensions.get::<After>() {
        for behind in after.all() {
            let _ = behind.files.set(files.clone());
        }
    }
    if response.body().as_bytes().is_some() || response.body().is_end_stream() {
        response.extensions_mut().insert(files);
        return response;
    }
    response.map(|body| held(body, files))
}

/// A response extension: what is behind its body.
#[derive(Clone, Default)]
struct InBody(Vec<Weak<Behind>>);

/// A response extension: what is behind begins when the last copy of it is dropped, which is when the head was sent.
#[derive(Clone)]
struct After {
    behind: Arc<Behind>,
    before: Option<Arc<After>>,
}

impl After {
    fn all(&self) -> impl Iterator<Item = &Arc<Behind>> {
        std::iter::successors(Some(self), |after| after.before.as_deref()).map(|after| &after.behind)
    }
}

/// It begins when this is dropped, whether the client got its answer or has gone.
struct Behind {
    left: Option<(OnLoop<Py<PyAny>>, Option<TaskTrackerToken>)>,
    /// What it may read.
    files: OnceLock<Kept>,
    home: LoopHandle,
}

impl Drop for Behind {
    fn drop(&mut self) {
        let Some((tasks, token)) = self.left.take() else { return };
        let running = Running(Mutex::new(Some((token, self.files.take()))));
        let told = self.home.deliver(Box::new(move |py| {
            attach::on_loop(py, LeafKind::Python, |py| begin(py, tasks.into_inner(py), running));
        }));
        if let Err(back) = told {
            tracing::error!("background tasks were not run: the event loop is closed");
            release::bury(back);
        }
    }
}

fn begin(py: Python<'_>, tasks: Py<PyAny>, running: Running) {
    let begun = || -> PyResult<()> {
        let begin = py.import(intern!(py, "ziggurat.background"))?.getattr(intern!(py, "_begin"))?;
        begin.call1((tasks, running)).map(drop)
    };
    if let Err(error) = begun() {
        errors::log(py, &error, "a background task");
    }
}

/// Kept by what runs until it has ended.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
struct Running(Mutex<Option<(Option<TaskTrackerToken>, Option<Kept>)>>);

#[pymethods]
impl Running {
    /// An app that stops need not wait any longer.
    fn end(&self) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(kept);
    }
}
