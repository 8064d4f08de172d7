//! What a handler was given that has to do with its answer.

use std::sync::Arc;

use http::StatusCode;
use pyo3::intern;
use pyo3::prelude::*;

use super::content::Content;
use crate::python::form::Kept;
use crate::python::objects::Objects;
use crate::python::request::Request;
use crate::python::response::{self, Response};
use crate::python::websocket::Link;
use crate::python::{background, file};

/// Kept while a handler runs.
#[derive(Default)]
pub(super) struct Given {
    pub(super) request: Option<Py<Request>>,
    /// In place of an answer.
    pub(super) socket: Option<Arc<Link>>,
    response: Option<Py<Response>>,
    tasks: Option<Py<PyAny>>,
    /// Closes the files of a form.
    files: Option<Kept>,
}

impl Given {
    /// Where only the request is still known.
    pub(super) fn of(request: Option<Py<Request>>) -> Self {
        Self { request, ..Self::default() }
    }

    /// Keeps the files of a form until they are not needed any longer.
    pub(super) fn of_form(&mut self, content: &Content) {
        if let Content::Form(form) = content {
            self.files = Kept::of(form);
        }
    }

    /// Those of the form that was read before the handler ran, or while it did.
    fn files(&self, py: Python<'_>) -> Option<Kept> {
        self.files.clone().or_else(|| Kept::of(&self.request.as_ref()?.bind(py).get().form_read()?))
    }

    /// The response whose status, headers and cookies the answer gets.
    pub(super) fn response<'py>(&mut self, py: Python<'py>, status: StatusCode) -> PyResult<Bound<'py, PyAny>> {
        let response = match &self.response {
            Some(response) => response.clone_ref(py),
            None => self.response.insert(Response::beside(py, status)?).clone_ref(py),
        };
        Ok(response.into_bound(py).into_any())
    }

    /// The tasks that run behind the answer.
    pub(super) fn tasks<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(tasks) = &self.tasks {
            return Ok(tasks.bind(py).clone());
        }
        let module = py.import(intern!(py, "ziggurat.background"))?;
        let tasks = module.getattr(intern!(py, "BackgroundTasks"))?.call0()?;
        self.tasks = Some(tasks.clone().unbind());
        Ok(tasks)
    }

    /// What the handler returned, with what it said beside. `write` makes JSON of it, if it is no response.
    pub(super) fn answer(
        &self,
        value: &Bound<'_, PyAny>,
        status: StatusCode,
        write: Option<&Bound<'_, PyAny>>,
        objects: &Objects,
    ) -> PyResult<crate::Response> {
        let py = value.py();
        let status = self.response.as_ref().map_or(status, |response| response.bind(py).get().status_code());
        let mut answer = match write {
            Some(write) => response::written(value, status, write, objects)?,
            None => response::answer(value, status, objects)?,
        };
        if let Some(beside) = &self.response {
            let beside = beside.bind(py);
            // One that was returned itself says everything already.
            if !beside.is(value) {
                answer = beside.get().add_to(py, objects, answer, value.is_instance_of::<Response>())?;
            }
        }
        let answer = file::asked_by(py, answer, self.request.as_ref());
        self.behind(py, answer, objects)
    }

    /// The same behind a body that is still to be made: what is added until it ends counts.
    pub(super) fn behind_body(
        &self,
        py: Python<'_>,
        answer: crate::Response,
        objects: &Objects,
    ) -> PyResult<crate::Response> {
        let answer = match &self.tasks {
            Some(tasks) => background::after(objects, answer, tasks.clone_ref(py))?,
            None => answer,
        };
        Ok(background::keep(answer, self.files(py)))
    }

    fn behind(&self, py: Python<'_>, answer: crate::Response, objects: &Objects) -> PyResult<crate::Response> {
        let answer = match &self.tasks {
            Some(tasks) if tasks.bind(py).is_truthy()? => background::after(objects, answer, tasks.clone_ref(py))?,
            _ => answer,
        };
        Ok(background::keep(answer, self.files(py)))
    }

    /// For a handler whose client has gone: what it wanted to run behind its answer runs all the same.
    pub(super) fn unanswered(&self, py: Python<'_>, objects: &Objects) {
        if let Ok(nobody) = self.behind(py, crate::Response::default(), objects) {
            drop(nobody);
        }
    }
}
