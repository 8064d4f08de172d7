//! Requests that are sent in this process, without a socket: what test clients send.
//!
//! They run where those of connections run, and whoever waits for them does so on a thread of its own, so that the event loop has
//! no part in it that it has not in a server.

use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tower::ServiceExt;

use super::runtime::runtime;
use crate::Body;
use crate::python::bridge::{EventLoop, OnLoop};
use crate::python::context;
use crate::python::errors;
use crate::python::headers::text;
use crate::python::objects::{HasRaised, Objects, Surroundings, SurroundingsId};
use crate::python::stream::{Form, Outgoing, Pieces, is_chunks};
use crate::service::Stack;
use crate::service::server::ConnectInfo;

/// How long a wait may last before it is looked whether somebody wants to interrupt it.
const SLICE: Duration = Duration::from_millis(100);

/// Names and values of header fields, as bytes.
pub(super) type Fields = Vec<(PyBackedBytes, PyBackedBytes)>;

/// Status, headers and body.
pub(super) type Answer<'py> = (u16, Vec<(String, String)>, Bound<'py, PyBytes>);

/// What requests of this process are answered by.
pub(super) struct Here {
    pub(super) stack: Stack,
    /// Where connections are served.
    pub(super) serves: Handle,
    pub(super) event_loop: EventLoop,
}

/// Sends a request and waits for the whole answer; `serves` is where connections are served.
pub(super) fn answer<'py>(
    py: Python<'py>,
    stack: Stack,
    serves: &Handle,
    (method, target): (&str, &str),
    headers: &[(String, String)],
    body: &[u8],
) -> PyResult<Answer<'py>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(name, value.as_bytes());
    }
    let request = request
        .body(Body::from(Bytes::copy_from_slice(body)))
        .map_err(|error| PyValueError::new_err(format!("not a request: {error}")))?;
    let runtime = runtime()?;
    // Spawned, so that the services run where they always run and not on this thread.
    let answer = async move {
        let Ok(response) = stack.oneshot(request).await;
        let (parts, body) = response.into_parts();
        body.collect().await.map(|body| (parts, body.to_bytes()))
    };
    let (parts, bytes) = py
        .detach(|| runtime.block_on(serves.spawn(answer)))
        .map_err(|error| match error.is_cancelled() {
            true => PyRuntimeError::new_err("the app was stopped before it answered"),
            false => PyRuntimeError::new_err(format!("the stack panicked: {error}")),
        })?
        .map_err(|error| PyRuntimeError::new_err(format!("the answer broke off: {error}")))?;
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Ok((parts.status.as_u16(), headers, PyBytes::new(py, &bytes)))
}

/// A request of these parts, from that address if one is given; `body` is bytes, or yields its chunks.
pub(super) fn request(
    here: &Here,
    (method, target): (&str, &str),
    fields: &Fields,
    body: &Bound<'_, PyAny>,
    client: Option<(IpAddr, u16)>,
) -> PyResult<Request<Body>> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(client) = client {
        request = request.extension(ConnectInfo::in_process(client.into()));
    }
    for (name, value) in fields {
        request = request.header(&name[..], &value[..]);
    }
    let body = match body.cast::<PyBytes>() {
        Ok(bytes) => Bytes::copy_from_slice(bytes.as_bytes()).into(),
        Err(_) if is_chunks(body)? => {
            Body::new(Outgoing::new(here.event_loop.clone(), body.clone().unbind(), Form::Chunks, Pieces::Apart))
        }
        Err(_) => return Err(PyTypeError::new_err("a body is bytes, or an iterator of bytes")),
    };
    request.body(body).map_err(|error| PyValueError::new_err(format!("not a request: {error}")))
}

/// A request that was sent, and its answer as it comes.
#[pyclass(frozen, module = "ziggurat._ziggurat")]
pub(in crate::python) struct Sent {
    stage: Mutex<Stage>,
    /// Ends what is waited for now.
    abort: Mutex<Option<AbortHandle>>,
    serves: Handle,
}

enum Stage {
    Head(JoinHandle<crate::Response>, Option<OnLoop<Lent>>),
    Body(Body),
    /// Somebody waits.
    Awaited,
    Over,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sent {
    /// Sends it. With `raising` an exception that nobody caught is raised to who waits, as a middleware around everything would see it.
    pub(super) fn begin(
        py: Python<'_>,
        here: Here,
        mut request: Request<Body>,
        raising: Option<Weak<Objects>>,
    ) -> PyResult<Self> {
        let lent = raising.map(|objects| Lent::begin(py, objects, &here.event_loop)).transpose()?;
        if let Some(lent) = &lent {
            request.extensions_mut().insert(SurroundingsId(lent.get(py).id));
        }
        let Here { stack, serves, .. } = here;
        let task = serves.spawn(async move {
            let Ok(response) = stack.oneshot(request).await;
            response
        });
        let abort = Mutex::new(Some(task.abort_handle()));
        Ok(Self { stage: Mutex::new(Stage::Head(task, lent)), abort, serves })
    }

    fn wait<T: Send + 'static>(&self, py: Python<'_>, mut task: JoinHandle<T>, seconds: Option<f64>) -> PyResult<T> {
        if Handle::try_current().is_ok() {
            return Err(PyRuntimeError::new_err("this thread serves requests, and cannot wait for one"));
        }
        let end =
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(|time| Instant::now() + time);
        let runtime = runtime()?;
        loop {
            let slice = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()).min(SLICE));
            match py.detach(|| runtime.block_on(async { tokio::time::timeout(slice, &mut task).await })) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error.is_cancelled() => {
                    return Err(PyRuntimeError::new_err(
                        "the app was stopped, or the request given up, before it was answered",
                    ));
                }
                Ok(Err(error)) => return Err(PyRuntimeError::new_err(format!("the stack panicked: {error}"))),
                Err(_) => {}
            }
            let interrupted = py.check_signals();
            if interrupted.is_err() || end.is_some_and(|end| end <= Instant::now()) {
                task.abort();
                return Err(interrupted.err().unwrap_or_else(|| PyTimeoutError::new_err("nothing came in time")));
            }
        }
    }

    /// Puts down how it goes on, unless it was given up meanwhile.
    fn go_on(&self, next: Stage) {
        let mut stage = lock(&self.stage);
        if matches!(*stage, Stage::Awaited) {
            *stage = next;
        }
    }
}

#[pymethods]
impl Sent {
    /// Waits for the head; gives status, header fields, and the body if it is in memory. `TimeoutError` after so many seconds.
    #[pyo3(signature = (seconds = None))]
    fn head(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<Py<PyAny>> {
        let (task, lent) = {
            let mut stage = lock(&self.stage);
            match mem::replace(&mut *stage, Stage::Awaited) {
                Stage::Head(task, lent) => (task, lent),
                other => {
                    *stage = other;
                    return Err(PyRuntimeError::new_err("the head was asked for already"));
                }
            }
        };
        let answered = self.wait(py, task, seconds);
        let raised = lent.map(|lent| lent.into_inner(py));
        let mut response = answered?;
        if response.extensions_mut().remove::<HasRaised>().is_some()
            && let Some(error) = raised.as_ref().and_then(Lent::raised)
        {
            return Err(error);
        }
        drop(raised);
        let (parts, body) = response.into_parts();
        let fields = parts.headers.iter().map(|(name, value)| {
            let name = PyBytes::new(py, name.as_str().as_bytes());
            (name, PyBytes::new(py, value.as_bytes()))
        });
        let fields = PyList::new(py, fields.collect::<Vec<_>>())?;
        let whole = body.as_bytes().map(|bytes| PyBytes::new(py, bytes));
        self.go_on(if whole.is_some() { Stage::Over } else { Stage::Body(body) });
        (parts.status.as_u16(), fields, whole).into_py_any(py)
    }

    /// Waits for the next piece of the body; None at its end.
    #[pyo3(signature = (seconds = None))]
    fn next<'py>(&self, py: Python<'py>, seconds: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut body = {
            let mut stage = lock(&self.stage);
            match mem::replace(&mut *stage, Stage::Awaited) {
                Stage::Body(body) => body,
                Stage::Over => {
                    *stage = Stage::Over;
                    return Ok(None);
                }
                other => {
                    *stage = other;
                    return Err(PyRuntimeError::new_err("the head, or another piece, is awaited"));
                }
            }
        };
        let task = self.serves.spawn(async move {
            loop {
                match body.frame().await.map(|frame| frame.map(http_body::Frame::into_data)) {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(error.to_string()),
                    Some(Ok(Ok(data))) if !data.is_empty() => return Ok(Some((data, body))),
                    Some(Ok(_)) => {}
                }
            }
        });
        *lock(&self.abort) = Some(task.abort_handle());
        match self.wait(py, task, seconds)? {
            Ok(None) => {
                self.go_on(Stage::Over);
                Ok(None)
            }
            Ok(Some((data, body))) => {
                self.go_on(Stage::Body(body));
                Ok(Some(PyBytes::new(py, &data)))
            }
            Err(error) => Err(PyRuntimeError::new_err(format!("the body broke off: {error}"))),
        }
    }

    /// Gives it up, as a client does that goes away. Called on any thread.
    fn abort(&self) {
        let stage = mem::replace(&mut *lock(&self.stage), Stage::Over);
        let task = lock(&self.abort).take();
        if let Some(task) = task {
            task.abort();
        }
        drop(stage);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.abort();
    }
}

/// A place among the app's objects for what is raised while a request is answered.
struct Lent {
    objects: Weak<Objects>,
    id: u64,
}

impl Lent {
    /// To be let go of on the loop thread, since Python objects go with it.
    fn begin(py: Python<'_>, objects: Weak<Objects>, event_loop: &EventLoop) -> PyResult<OnLoop<Self>> {
        let strong: Arc<Objects> = objects.upgrade().ok_or_else(|| errors::bug("the application is gone"))?;
        let context = context::copy_current(py)?.unbind();
        let id = strong.lend(Surroundings { context, state: PyDict::new(py).unbind(), raised: None });
        Ok(event_loop.keep(Self { objects, id }))
    }

    fn raised(&self) -> Option<PyErr> {
        Some(self.objects.upgrade()?.take_raised(self.id)?.0)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(objects) = self.objects.upgrade() {
            drop(objects.take_back(self.id));
        }
    }
}

/// What `request` of an app is told when the loop that is to answer runs here.
pub(super) fn would_wait_for_itself() -> PyErr {
    PyRuntimeError::new_err(
        "request() waits for the answer and would stop the event loop that is to give it; call it from another thread",
    )
}
