//! What becomes of an answer once it is sent.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING};
use pyo3::prelude::*;

use super::Response;
use super::content::{Content, taken};
use super::encode::assemble;
use crate::Body;
use crate::python::background;
use crate::python::bridge::EventLoop;
use crate::python::objects::Objects;
use crate::python::stream::{BodyIterator, Events, Form, Outgoing};
use crate::python::unfinished::Rest;

impl Response {
    /// What is sent. A body that is in memory can be sent again, a stream only once.
    pub(super) fn to_http(&self, py: Python<'_>, objects: &Objects) -> PyResult<crate::Response> {
        let mut headers = self.headers.bind(py).get().snapshot();
        // Framing is the connection's own business; code that sets it could only break it.
        headers.remove(TRANSFER_ENCODING);
        let (status, body) = {
            let mut state = self.lock();
            let kept = match &state.body {
                Content::Here(body) => body.as_bytes().cloned(),
                _ => None,
            };
            // Without a body it is the length that GET would have had, in the answer to HEAD from inside.
            if kept.is_some() || !state.from_inside {
                headers.remove(CONTENT_LENGTH);
            }
            let file = match &state.body {
                Content::File(file) => Some(file.clone()),
                _ => None,
            };
            let body = match (kept, file) {
                (Some(bytes), _) => Content::Here(bytes.into()),
                (None, Some(file)) => Content::File(file),
                (None, None) => std::mem::replace(&mut state.body, Content::Taken),
            };
            (state.status, body)
        };
        let mut rest = None;
        let body = match body {
            Content::Here(body) => body,
            Content::File(file) => {
                rest = Some(Rest::File(file));
                Body::empty()
            }
            Content::Taken => return Err(taken("and a stream is sent once")),
            Content::Chunks { chunks, context, form, keep_alive } => match chunks.cast_bound::<BodyIterator>(py) {
                Ok(unchanged) => unchanged.get().take().unwrap_or_default(),
                Err(_) => {
                    headers.remove(CONTENT_LENGTH);
                    let is_events = matches!(form, Form::Events(_));
                    let event_loop = EventLoop::new(objects.event_loop()?, context);
                    streamed(objects, Outgoing::new(event_loop, chunks, form, objects.pieces()), is_events, keep_alive)
                }
            },
        };
        let mut response = assemble(status, headers, body);
        if let Some(rest) = rest {
            response = rest.of(response);
        }
        let background = self.lock().background.as_ref().map(|tasks| tasks.clone_ref(py));
        match background {
            Some(tasks) => background::after(objects, response, tasks),
            None => Ok(response),
        }
    }

    /// Adds what was said beside: to the answer that was made of a value all of it, and to one with headers of its own those that it
    /// lacks. Cookies are added to both.
    pub(in crate::python) fn add_to(
        &self,
        py: Python<'_>,
        objects: &Objects,
        mut answer: crate::Response,
        is_own: bool,
    ) -> PyResult<crate::Response> {
        let headers = self.headers.bind(py).get().snapshot();
        let kept = answer.headers_mut();
        for name in headers.keys() {
            if *name == TRANSFER_ENCODING
                || *name == CONTENT_LENGTH
                || (is_own && *name != SET_COOKIE && kept.contains_key(name))
            {
                continue;
            }
            if *name != SET_COOKIE {
                kept.remove(name);
            }
            for value in headers.get_all(name) {
                kept.append(name, value.clone());
            }
        }
        let background = self.lock().background.as_ref().map(|tasks| tasks.clone_ref(py));
        match background {
            Some(tasks) => background::after(objects, answer, tasks),
            None => Ok(answer),
        }
    }
}

/// A body that an iterator yields. One of events ends when the app stops.
pub(in crate::python) fn streamed(
    objects: &Objects,
    chunks: Outgoing,
    is_events: bool,
    keep_alive: Option<Duration>,
) -> Body {
    match objects.shared.get() {
        Some(shared) if is_events => Body::new(Events::new(chunks, keep_alive, shared.stopping())),
        _ => Body::new(chunks),
    }
}
