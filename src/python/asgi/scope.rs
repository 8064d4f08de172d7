//! The scope: a request as ASGI tells of it.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::{Method, Version};
use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::python::mounted::MountedAt;
use crate::python::request::{client_of, loads};
use crate::python::websocket::Link;
use crate::service::Claims;
use crate::service::server::ConnectInfo;

/// Of a request to an application that is mounted at `root`, which is a part of its path; `socket` is that of a handshake.
pub(super) fn scope<'py>(
    py: Python<'py>,
    parts: &Parts,
    root: &MountedAt,
    state: Bound<'py, PyDict>,
    socket: Option<&Link>,
) -> PyResult<Bound<'py, PyDict>> {
    let scope = PyDict::new(py);
    let asgi = PyDict::new(py);
    asgi.set_item(intern!(py, "version"), intern!(py, "3.0"))?;
    asgi.set_item(intern!(py, "spec_version"), intern!(py, "2.4"))?;
    scope.set_item(intern!(py, "asgi"), asgi)?;
    let version = match parts.version {
        Version::HTTP_10 => intern!(py, "1.0"),
        Version::HTTP_2 => intern!(py, "2"),
        _ => intern!(py, "1.1"),
    };
    scope.set_item(intern!(py, "http_version"), version)?;
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    match socket {
        None => {
            scope.set_item(intern!(py, "type"), intern!(py, "http"))?;
            let method = match parts.method {
                Method::GET => intern!(py, "GET").clone(),
                Method::POST => intern!(py, "POST").clone(),
                _ => PyString::new(py, parts.method.as_str()),
            };
            scope.set_item(intern!(py, "method"), method)?;
            scope.set_item(intern!(py, "scheme"), scheme)?;
        }
        Some(link) => {
            scope.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
            scope.set_item(intern!(py, "scheme"), if scheme == "https" { "wss" } else { "ws" })?;
            scope.set_item(intern!(py, "subprotocols"), &link.offered)?;
            let extensions = PyDict::new(py);
            extensions.set_item(intern!(py, "websocket.http.response"), PyDict::new(py))?;
            scope.set_item(intern!(py, "extensions"), extensions)?;
        }
    }
    // The path is that of the whole request; `root` is what of it the application is mounted at.
    let outside = parts.extensions.get::<MountedAt>();
    let raw = match outside {
        None => Cow::Borrowed(parts.uri.path()),
        Some(outside) => Cow::Owned(format!("{}{}", outside.raw(), parts.uri.path())),
    };
    let root = root.within(outside);
    scope.set_item(intern!(py, "path"), &*percent_decode_str(&raw).decode_utf8_lossy())?;
    scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, raw.as_bytes()))?;
    scope.set_item(intern!(py, "root_path"), &*root.text())?;
    let query = parts.uri.query().unwrap_or_default();
    scope.set_item(intern!(py, "query_string"), PyBytes::new(py, query.as_bytes()))?;
    scope.set_item(intern!(py, "headers"), headers(py, parts)?)?;
    let client = client_of(&parts.extensions).map(|(ip, port)| (ip.to_string(), port));
    scope.set_item(intern!(py, "client"), client)?;
    let server = parts.extensions.get().map(|info: &ConnectInfo| info.local_addr);
    scope.set_item(intern!(py, "server"), server.map(|own| (own.ip().to_string(), own.port())))?;
    if let Some(claims) = parts.extensions.get::<Claims>() {
        // `request.state.auth` of Starlette: what the layers outside found out of the caller.
        state.set_item(intern!(py, "auth"), loads(py, claims.as_json().as_bytes())?)?;
    }
    scope.set_item(intern!(py, "state"), state)?;
    Ok(scope)
}

fn headers<'py>(py: Python<'py>, parts: &Parts) -> PyResult<Bound<'py, PyList>> {
    let made = PyList::empty(py);
    // Over HTTP/2 the host has a place of its own.
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(HOST)
    {
        made.append((PyBytes::new(py, b"host"), PyBytes::new(py, authority.as_str().as_bytes())))?;
    }
    for (name, value) in &parts.headers {
        made.append((PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes())))?;
    }
    Ok(made)
}
