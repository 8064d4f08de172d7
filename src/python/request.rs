//! A request as Python sees it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyString, PyType};

use super::convert::classes;
use super::errors;
use super::form::{self, Form, Limits, READ_AS_FORM};
use super::handler;
use super::headers::{Headers, text};
use super::middleware::Exchange;
use super::mounted::MountedAt;
use super::objects::Objects;
use super::presence::{Presence, Waits};
use super::query::QueryParams;
use super::ready::ready;
use super::stream::{Arriving, RequestStream};
use super::unread::{STREAMED, Unread};
use crate::layers::{ClientIp, RequestId, TraceContext};
use crate::service::server::ConnectInfo;
use crate::service::{Claims, PathParams};

/// What is kept of a request's head until Python asks for it.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    params: Option<PathParams>,
    client: Option<(IpAddr, u16)>,
    claims: Option<Claims>,
    request_id: Option<RequestId>,
    trace: Option<TraceContext>,
    root: Option<MountedAt>,
    presence: Presence,
}

impl Head {
    pub(super) fn new(parts: Parts) -> Self {
        let extensions = &parts.extensions;
        Self {
            params: extensions.get().cloned(),
            client: client_of(extensions),
            claims: extensions.get().cloned(),
            request_id: extensions.get().cloned(),
            trace: extensions.get().cloned(),
            root: extensions.get().cloned(),
            presence: Presence::default(),
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
        }
    }

    /// The same in memory of its own. What was parsed keeps the whole buffer of its connection, some 8 KiB, which is too much for what lasts as
    /// long as a WebSocket.
    pub(super) fn apart(mut self) -> Self {
        let mut headers = HeaderMap::with_capacity(self.headers.keys_len());
        for (name, value) in &self.headers {
            let own = HeaderName::from_bytes(name.as_str().as_bytes());
            if let (Ok(name), Ok(mut own)) = (own, HeaderValue::from_bytes(value.as_bytes())) {
                own.set_sensitive(value.is_sensitive());
                headers.append(name, own);
            }
        }
        self.headers = headers;
        if let Ok(uri) = self.uri.to_string().parse() {
            self.uri = uri;
        }
        self
    }

    /// To be kept by what waits for the answer.
    pub(super) fn waits(&self) -> Waits {
        self.presence.waits()
    }

    /// The same for one whose answer is waited for elsewhere.
    pub(super) fn with_presence(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }

    pub(super) fn of(parts: &Parts) -> Self {
        let extensions = &parts.extensions;
        Self {
            params: extensions.get().cloned(),
            client: client_of(extensions),
            claims: extensions.get().cloned(),
            request_id: extensions.get().cloned(),
            trace: extensions.get().cloned(),
            root: extensions.get().cloned(),
            presence: Presence::default(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            headers: parts.headers.clone(),
        }
    }
}

/// Where the request came from, and the port where it is known.
pub(super) fn client_of(extensions: &Extensions) -> Option<(IpAddr, u16)> {
    let peer = extensions.get().map(|info: &ConnectInfo| info.peer_addr);
    match extensions.get() {
        Some(&ClientIp(client)) => {
            let own = peer.filter(|peer| peer.ip().to_canonical() == client);
            Some((client, own.map_or(0, |peer| peer.port())))
        }
        None => peer.map(|peer| (peer.ip(), peer.port())),
    }
}

/// What is made of a body.
pub(super) enum Wanted {
    Bytes,
    Json,
    /// Of a request with these headers.
    Form(HeaderMap, Limits),
}

impl Wanted {
    pub(super) fn of(&self, py: Python<'_>, bytes: &Bytes) -> PyResult<Py<PyAny>> {
        match self {
            Self::Bytes => Ok(PyBytes::new(py, bytes).into_any().unbind()),
            Self::Json => body_json(py, bytes),
            Self::Form(headers, limits) => match form::of_bytes(headers, bytes, limits) {
                Ok(form) => form::data_of(py, &form),
                Err(problem) => Err(errors::http_error(py, &problem)),
            },
        }
    }
}

/// Where the body comes from.
pub(super) enum BodySource {
    /// A handler's: it was read before Python was entered.
    Read(Bytes, Arc<Limits>),
    /// The same, as a form.
    Form(Arc<Form>),
    /// A handler's, that is read when it is asked for.
    Unread(Arc<Unread>, Arc<Limits>),
    /// A middleware's: it is read when it is asked for.
    Exchange(Arc<Exchange>),
    /// A hook's: the row was made of it.
    Used,
    /// Of a request that was refused before its body was there, or answered already.
    Gone,
}

/// How a body that had been read was asked for first. What was streamed is not kept, whatever its size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Whole,
    Streamed,
}

/// A request. Every part is made when it is first asked for.
#[pyclass(frozen, module = "ziggurat")]
pub(super) struct Request {
    head: Head,
    body: BodySource,
    headers: PyOnceLock<Py<Headers>>,
    query: PyOnceLock<Py<QueryParams>>,
    auth: PyOnceLock<Option<Py<PyAny>>>,
    state: PyOnceLock<Py<PyDict>>,
    /// Who was given a body that had been read.
    taken: OnceLock<Taken>,
    /// What was made of it.
    form: OnceLock<Arc<Form>>,
    app: Option<Py<PyAny>>,
}

impl Request {
    pub(super) fn new(head: Head, body: BodySource) -> Self {
        Self {
            head,
            body,
            headers: PyOnceLock::new(),
            query: PyOnceLock::new(),
            auth: PyOnceLock::new(),
            state: PyOnceLock::new(),
            taken: OnceLock::new(),
            form: OnceLock::new(),
            app: None,
        }
    }

    /// Knows whose request it is.
    pub(super) fn of_app(mut self, py: Python<'_>, objects: &Objects) -> Self {
        self.app = objects.app.get().map(|app| app.clone_ref(py));
        self
    }

    /// Shares the state that a middleware outside began.
    pub(super) fn with_state(self, py: Python<'_>, state: Option<Py<PyDict>>) -> Self {
        if let Some(state) = state {
            let _ = self.state.set(py, state);
        }
        self
    }

    pub(super) fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let made = self.state.get_or_try_init(py, || {
            let state = classes(py)?.state.bind(py).call0()?.cast_into::<PyDict>()?;
            if let Some(app) = &self.app {
                let given = app.bind(py).getattr(intern!(py, "_lifespan_state"))?;
                if !given.is_none() {
                    state.call_method1(intern!(py, "update"), (given,))?;
                }
            }
            PyResult::Ok(state.unbind())
        })?;
        Ok(made.bind(py))
    }

    /// Scheme and host of the request, and where the app is mounted.
    fn base(&self) -> String {
        let uri = &self.head.uri;
        let host = uri.authority().map(|authority| authority.as_str().to_owned());
        let host = host.or_else(|| self.head.headers.get(HOST).map(text)).unwrap_or_default();
        let root = self.head.root.as_ref().map_or("", MountedAt::raw);
        format!("{}://{host}{root}", uri.scheme_str().unwrap_or("http"))
    }

    /// What the answer with a file depends on.
    pub(super) fn asked(&self) -> (Method, HeaderMap) {
        (self.head.method.clone(), self.head.headers.clone())
    }

    /// Has a body that had been read to be given whole.
    fn take_whole(&self) -> PyResult<()> {
        match self.taken.get_or_init(|| Taken::Whole) {
            Taken::Whole => Ok(()),
            Taken::Streamed => Err(PyRuntimeError::new_err(STREAMED)),
        }
    }

    /// The form that was read when it was asked for.
    pub(super) fn form_read(&self) -> Option<Arc<Form>> {
        match &self.body {
            BodySource::Unread(unread, _) => unread.form(),
            _ => self.form.get().cloned(),
        }
    }

    /// Whether this is the request that `exchange` carries.
    pub(super) fn is_of(&self, exchange: &Arc<Exchange>) -> bool {
        matches!(&self.body, BodySource::Exchange(own) if Arc::ptr_eq(own, exchange))
    }
}

#[pymethods]
impl Request {
    /// Tells who asks for a member of another framework's requests what is written here.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        Err(errors::missing(slf.as_any(), name))
    }

    /// `GET`, `POST` and so on.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.head.method {
            Method::GET => intern!(py, "GET").clone(),
            Method::POST => intern!(py, "POST").clone(),
            _ => PyString::new(py, self.head.method.as_str()),
        }
    }

    /// As it was sent, percent-encoded, without what the app is mounted at and without the query.
    #[getter]
    fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The whole, with the host that the client named, and `http` where a proxy in front has ended TLS.
    #[getter]
    fn url(&self) -> String {
        let target = self.head.uri.path_and_query().map_or("/", |target| target.as_str());
        format!("{}{target}", self.base())
    }

    /// The URL of the route of the app that is called so, with these parameters in its path.
    #[pyo3(signature = (name, /, **params))]
    fn url_for(&self, py: Python<'_>, name: &str, params: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
        let params = params.cloned().unwrap_or_else(|| PyDict::new(py));
        self.app(py)?.call_method1(py, intern!(py, "_url_for"), (self.base(), name, params))
    }

    /// What of the path of `url` is not in `path`: where the app is mounted in others.
    #[getter]
    fn root_path(&self) -> String {
        self.head.root.as_ref().map(|root| root.text().into_owned()).unwrap_or_default()
    }

    /// As it was sent, percent-encoded; empty where there is none.
    #[getter]
    fn query_string(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    /// The parameters of the query, decoded.
    #[getter]
    fn query(&self, py: Python<'_>) -> PyResult<Py<QueryParams>> {
        let made = self.query.get_or_try_init(py, || Py::new(py, QueryParams::new(self.query_string())))?;
        Ok(made.clone_ref(py))
    }

    /// Those that the client sent, whatever the letters of their names.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        let made = self.headers.get_or_try_init(py, || Py::new(py, Headers::of_request(self.head.headers.clone())))?;
        Ok(made.clone_ref(py))
    }

    /// By name. Of several that are called alike the first, as browsers send the one that fits the path best first.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let cookies = PyDict::new(py);
        for (name, value) in handler::cookies(&self.head.headers).into_iter().rev() {
            cookies.set_item(name, value)?;
        }
        Ok(cookies)
    }

    /// What stands in the path, decoded, as text.
    #[getter]
    fn path_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let params = PyDict::new(py);
        for (name, value) in self.head.params.iter().flat_map(PathParams::iter) {
            params.set_item(name, value)?;
        }
        Ok(params)
    }

    /// Address and port of the other end of the connection, which may be a proxy. Behind `layers.ClientIp` those of the
    /// client, with port 0 when it is a proxy that tells of it.
    #[getter]
    fn client<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let Some((ip, port)) = self.head.client else { return Ok(None) };
        CLASS.import(py, "ziggurat._state", "Address")?.call1((ip.to_string(), port)).map(Some)
    }

    /// The claims of the caller: of its token, or those that are known of its key or password.
    #[getter]
    fn auth(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let made = self.auth.get_or_try_init(py, || match &self.head.claims {
            Some(claims) => self::claims(py, claims).map(Some),
            None => Ok(None),
        })?;
        Ok(made.as_ref().map(|claims| claims.clone_ref(py)))
    }

    /// Room for what middleware, dependencies and the handler tell each other; it begins with what the lifespan yielded.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        Ok(self.state_dict(py)?.clone().unbind())
    }

    /// The app whose request it is.
    #[getter]
    fn app(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let app = self.app.as_ref().map(|app| app.clone_ref(py));
        app.ok_or_else(|| PyRuntimeError::new_err("this request is of no app"))
    }

    /// The id that the RequestId layer gave, whatever header it stands in.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.head.request_id.as_ref().map(RequestId::as_str)
    }

    /// The headers that make another request a part of the trace of this one; none without the Otel layer.
    #[getter]
    fn trace_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        if let Some(trace) = &self.head.trace {
            headers.set_item(intern!(py, "traceparent"), trace.traceparent())?;
            if let Some(state) = trace.tracestate() {
                headers.set_item(intern!(py, "tracestate"), state)?;
            }
        }
        Ok(headers)
    }

    /// `1.0`, `1.1` or `2`.
    #[getter]
    fn http_version(&self) -> &'static str {
        match self.head.version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        }
    }

    /// All of the body, to be awaited.
    fn body(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.body {
            BodySource::Read(bytes, _) => {
                self.take_whole()?;
                ready(py, PyBytes::new(py, bytes).into_any().unbind())
            }
            BodySource::Form(_) => Err(PyRuntimeError::new_err(READ_AS_FORM)),
            BodySource::Unread(unread, _) => unread.read_body(py, Wanted::Bytes),
            BodySource::Exchange(exchange) => exchange.read_body(py, Wanted::Bytes),
            BodySource::Used => Err(used()),
            BodySource::Gone => Err(gone()),
        }
    }

    /// What the body is as JSON, to be awaited; an `HTTPException`, 400, for one that is none.
    fn json(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.body {
            BodySource::Read(bytes, _) => {
                self.take_whole()?;
                ready(py, body_json(py, bytes)?)
            }
            BodySource::Form(_) => Err(PyRuntimeError::new_err(READ_AS_FORM)),
            BodySource::Unread(unread, _) => unread.read_body(py, Wanted::Json),
            BodySource::Exchange(exchange) => exchange.read_body(py, Wanted::Json),
            BodySource::Used => Err(used()),
            BodySource::Gone => Err(gone()),
        }
    }

    /// The pieces of the body, as they come. Those that were read already, as by `body()`, are one.
    fn stream(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.body {
            BodySource::Read(bytes, _) => match self.taken.set(Taken::Streamed) {
                Err(_) if self.taken.get() == Some(&Taken::Streamed) => Err(PyRuntimeError::new_err(STREAMED)),
                Ok(()) | Err(_) => RequestStream::create(py, Arriving::whole(bytes.clone())),
            },
            BodySource::Form(_) => Err(PyRuntimeError::new_err(READ_AS_FORM)),
            BodySource::Unread(unread, _) => unread.stream(py),
            BodySource::Exchange(exchange) => exchange.stream(py),
            BodySource::Used => Err(used()),
            BodySource::Gone => Err(gone()),
        }
    }

    /// Whether the client has gone, or has all of its answer, to be awaited.
    fn is_disconnected(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        ready(py, PyBool::new(py, self.head.presence.is_over()).to_owned().into_any().unbind())
    }

    /// The form in the body, to be awaited or entered; the limits are those of the app unless they are given.
    #[pyo3(signature = (*, max_files = None, max_fields = None, max_part_size = None))]
    fn form(
        &self,
        py: Python<'_>,
        max_files: Option<usize>,
        max_fields: Option<usize>,
        max_part_size: Option<usize>,
    ) -> PyResult<Py<PyAny>> {
        let with = |limits: &Limits| limits.with(max_files, max_fields, max_part_size);
        let awaited = match &self.body {
            BodySource::Read(bytes, limits) => {
                self.take_whole()?;
                if self.form.get().is_none() {
                    let form = form::of_bytes(&self.head.headers, bytes, &with(limits));
                    let _ = self.form.set(form.map_err(|problem| errors::http_error(py, &problem))?);
                }
                let form = self.form.get().ok_or_else(|| errors::bug("a form that was read is there"))?;
                ready(py, form::data_of(py, form)?)
            }
            BodySource::Form(form) => ready(py, form::data_of(py, form)?),
            BodySource::Unread(unread, limits) => unread.read_form(py, &self.head.headers, with(limits)),
            BodySource::Exchange(exchange) => {
                let limits = with(&exchange.limits_of_forms());
                exchange.read_body(py, Wanted::Form(self.head.headers.clone(), limits))
            }
            BodySource::Used => Err(used()),
            BodySource::Gone => Err(gone()),
        }?;
        form::opened(py, awaited)
    }

    fn __repr__(&self) -> String {
        format!("<Request {} {}>", self.head.method, self.head.uri.path())
    }
}

fn used() -> PyErr {
    PyRuntimeError::new_err("the body was read for the row, which the hook is given")
}

fn gone() -> PyErr {
    PyRuntimeError::new_err(
        "the body is not there: the request was refused before it was read, or a handler has had it",
    )
}

/// `ziggurat.Claims`.
pub(super) fn claims(py: Python<'_>, claims: &Claims) -> PyResult<Py<PyAny>> {
    Ok(classes(py)?.claims.bind(py).call1((loads(py, claims.as_json().as_bytes())?,))?.unbind())
}

/// `json.loads`: what handlers get is what Python's own parser makes of it.
pub(super) fn loads(py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    Ok(py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (PyBytes::new(py, bytes),))?.unbind())
}

/// A body as JSON; one that is not becomes a 400 unless it is caught.
pub(super) fn body_json(py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    loads(py, bytes).map_err(|error| {
        let class = super::convert::classes(py).map(|classes| classes.http_exception.bind(py));
        let made = class.and_then(|class| class.call1((400, format!("the body is not JSON: {}", error.value(py)))));
        match made {
            Ok(exception) => {
                let raised = PyErr::from_value(exception);
                raised.set_cause(py, Some(error));
                raised
            }
            Err(failure) => failure,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_apart_lets_go_of_the_buffer_of_its_connection() {
        let buffer = Bytes::from(b"/path?query=1 value".to_vec());
        let mut parts = http::Request::new(()).into_parts().0;
        parts.uri = Uri::from_maybe_shared(buffer.slice(..13)).unwrap();
        parts.headers.insert("x-own", HeaderValue::from_maybe_shared(buffer.slice(14..)).unwrap());
        let head = Head::new(parts);
        assert!(!buffer.is_unique());
        let head = head.apart();
        assert!(buffer.is_unique());
        assert_eq!(
            (head.uri.to_string().as_str(), &head.headers["x-own"]),
            ("/path?query=1", &HeaderValue::from_static("value"))
        );
    }
}
