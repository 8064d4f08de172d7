//! Files that Python answers with: sent by Rust, as a directory of files would be.

use std::io;
use std::path::PathBuf;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{Method, StatusCode};
use pyo3::prelude::*;

use super::request::Request;
use super::unfinished::Rest;
use crate::layers::static_files::ServeFile;
use crate::service::Problem;
use crate::{Body, Response};

/// A file that is still to be opened.
#[derive(Clone)]
pub(super) struct SendFile {
    pub(super) path: PathBuf,
    /// The directory below which it has to be.
    pub(super) root: Option<PathBuf>,
    /// The name that tells the type, where it is not that of the path.
    pub(super) name: Option<PathBuf>,
    /// Whether one that is not there is a 404.
    pub(super) missing_ok: bool,
    /// Where the response was made.
    pub(super) location: String,
    /// The method of the request and its headers, where Python was given them.
    pub(super) asked: Option<(Method, HeaderMap)>,
}

/// Says which request it is that a file may answer.
pub(super) fn asked_by(py: Python<'_>, response: Response, request: Option<&Py<Request>>) -> Response {
    let Some(request) = request else { return response };
    let mut response = response;
    match Rest::take(&mut response) {
        Some(Rest::File(mut file)) => {
            file.asked = Some(request.bind(py).get().asked());
            Rest::File(file).of(response)
        }
        Some(rest) => rest.of(response),
        None => response,
    }
}

impl SendFile {
    /// The answer: `response`, whose body is yet to come, with what is sent of the file. `head` is that of the request.
    pub(super) async fn answer(self, response: Response, head: Option<&Parts>) -> Response {
        let (own, _) = response.into_parts();
        let (method, headers) = match (self.asked, head) {
            (Some(asked), _) => asked,
            (None, Some(head)) => (head.method.clone(), head.headers.clone()),
            (None, None) => (Method::GET, HeaderMap::new()),
        };
        // What has a status of its own is not a part of anything, nor unchanged.
        let is_plain = own.status == StatusCode::OK;
        let headers = if is_plain { headers } else { HeaderMap::new() };
        let mut file = match self.root {
            Some(root) => ServeFile::below(root, &self.path),
            None => ServeFile::new(&self.path),
        };
        if let Some(name) = &self.name {
            file = file.named(name);
        }
        if let Some(kind) = own.headers.get(CONTENT_TYPE) {
            file = file.content_type(kind.clone());
        }
        let answered = match file.answer::<Body>(&method, &headers).await {
            Ok(answered) => answered,
            Err(error) if self.missing_ok && is_missing(&error) => {
                let mut refused = Problem::not_found("there is no such file").into_response();
                *refused.extensions_mut() = own.extensions;
                return refused;
            }
            Err(error) => {
                tracing::error!(path = %self.path.display(), location = self.location, %error, "a FileResponse cannot be sent");
                let mut refused = Problem::internal().into_response();
                *refused.extensions_mut() = own.extensions;
                return refused;
            }
        };
        let (mut parts, body) = answered.into_parts();
        let is_sent = parts.status.is_success();
        if is_sent || parts.status == StatusCode::NOT_MODIFIED {
            add(&mut parts.headers, own.headers);
        }
        if is_sent && !is_plain {
            parts.status = own.status;
            parts.headers.remove(ACCEPT_RANGES);
        }
        parts.extensions = own.extensions;
        Response::from_parts(parts, body.into())
    }
}

/// What the app says of the answer comes before what the file says, other than how much of it is sent.
fn add(headers: &mut HeaderMap, own: HeaderMap) {
    let mut last = None;
    for (name, value) in own {
        let is_next = name.is_none();
        let Some(name) = name.or_else(|| last.clone()) else { continue };
        last = Some(name.clone());
        if [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_RANGE, ACCEPT_RANGES].contains(&name) {
            continue;
        }
        if is_next {
            headers.append(name, value);
        } else {
            headers.insert(name, value);
        }
    }
}

/// Whether nothing is there that could be sent.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidFilename | InvalidInput)
}
