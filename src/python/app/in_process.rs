//! Requests that are sent in this process, without a socket: what test clients send.

use std::net::IpAddr;
use std::sync::Weak;

use bytes::Bytes;
use http::Request;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList};
use tower::ServiceExt;

use crate::Body;
use crate::python::bridge::{EventLoop, OnLoop, current_loop, spawn_bringing};
use crate::python::context;
use crate::python::errors;
use crate::python::objects::{HasRaised, Objects, Surroundings, SurroundingsId};
use crate::python::stream::{BodyIterator, Form, Outgoing, is_chunks};
use crate::service::Stack;
use crate::service::server::ConnectInfo;

/// Names and values of header fields, as bytes.
pub(super) type Fields = Vec<(PyBackedBytes, PyBackedBytes)>;

/// A request of these parts, from that address if one is given; `body` is bytes, or yields its chunks.
pub(super) fn request(
    method: &str,
    target: &str,
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
            Body::new(Outgoing::new(current_loop(body.py())?, body.clone().unbind(), Form::Chunks))
        }
        Err(_) => return Err(PyTypeError::new_err("a body is bytes, or an iterator of bytes")),
    };
    request.body(body).map_err(|error| PyValueError::new_err(format!("not a request: {error}")))
}

/// Sends it through `stack`; gives an awaitable of status, header fields, and bytes or what iterates over the body.
///
/// With `raising` an exception that nobody caught is raised there, as a middleware around everything would see it.
pub(super) fn send<'py>(
    py: Python<'py>,
    stack: Stack,
    mut request: Request<Body>,
    raising: Option<Weak<Objects>>,
) -> PyResult<Bound<'py, PyAny>> {
    let lent = raising.map(|objects| Lent::begin(py, objects, &current_loop(py)?)).transpose()?;
    if let Some(lent) = &lent {
        request.extensions_mut().insert(SurroundingsId(lent.get(py).id));
    }
    let answer = spawn_bringing(py, async move {
        let Ok(mut response) = stack.oneshot(request).await;
        let has_raised = response.extensions_mut().remove::<HasRaised>().is_some();
        move |py: Python<'_>| {
            // What was lent is given back where this ends, whatever becomes of the body.
            if let Some(lent) = lent.map(|lent| lent.into_inner(py))
                && has_raised
                && let Some(error) = lent.raised()
            {
                return Err(error);
            }
            brought(py, response)
        }
    })?;
    Ok(answer.into_any())
}

fn brought(py: Python<'_>, response: crate::Response) -> PyResult<Py<PyAny>> {
    let (parts, body) = response.into_parts();
    let fields = parts.headers.iter().map(|(name, value)| {
        let name = PyBytes::new(py, name.as_str().as_bytes());
        (name, PyBytes::new(py, value.as_bytes()))
    });
    let fields = PyList::new(py, fields.collect::<Vec<_>>())?;
    let body = match body.as_bytes() {
        Some(bytes) => PyBytes::new(py, bytes).into_any(),
        None => Bound::new(py, BodyIterator::new(body))?.into_any(),
    };
    (parts.status.as_u16(), fields, body).into_py_any(py)
}

/// A place among the app's objects for what is raised while a request is answered.
struct Lent {
    objects: Weak<Objects>,
    id: u64,
}

impl Lent {
    /// To be let go of on the loop thread, since Python objects go with it.
    fn begin(py: Python<'_>, objects: Weak<Objects>, event_loop: &EventLoop) -> PyResult<OnLoop<Self>> {
        let strong = objects.upgrade().ok_or_else(|| errors::bug("the application is gone"))?;
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
