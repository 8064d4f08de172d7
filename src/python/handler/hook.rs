//! What a hook of CRUD takes beside the context and the row: read and checked on a worker, as what a handler takes.

use std::sync::Arc;

use http::request::Parts;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::callable::{Callable, Failed, Input};
use super::content::Content;
use super::given::Given;
use super::plan::{Mode, Plan};
use super::run::Run;
use super::switch::Switch;
use crate::python::objects::Objects;
use crate::python::request::Request;
use crate::service::Problem;

/// The plan of a hook that takes more, and where it stands among the handlers.
#[derive(Clone)]
pub(in crate::python) struct Takes {
    plan: Arc<Plan>,
    place: usize,
    switch: Arc<Switch>,
}

/// What one call takes of a request.
pub(in crate::python) struct Taken {
    place: usize,
    input: Input,
}

impl Takes {
    pub(in crate::python) fn new(callable: &Callable, place: usize) -> Self {
        Self { plan: callable.plan.clone(), place, switch: callable.switch.clone() }
    }

    /// Reads it.
    ///
    /// # Errors
    /// All that is wrong with its parameters.
    pub(in crate::python) fn read(&self, parts: &Parts) -> Result<Taken, Problem> {
        let (plan, place) = self.switch.now().unwrap_or_else(|| (self.plan.clone(), self.place));
        let scalars = plan.read(parts)?;
        let claims = if plan.needs_claims() { parts.extensions.get().cloned() } else { None };
        Ok(Taken { place, input: Input { scalars, body: Content::empty(), head: None, claims, socket: None } })
    }
}

impl Taken {
    /// What is called, and what it is given before the context and the row.
    pub(in crate::python) fn bring<'py>(
        self,
        py: Python<'py>,
        objects: &Arc<Objects>,
        request: &Py<Request>,
    ) -> Result<(Py<PyAny>, Bound<'py, PyTuple>), Refused> {
        let callable = objects.handler(self.place);
        let run = match callable.plan.mode {
            Mode::Run => Some(Bound::new(py, Run::unanswered(self.place, objects))?),
            _ => None,
        };
        let mut given = Given::of(Some(request.clone_ref(py)));
        let args = callable.arguments(py, self.input, None, objects, run.as_ref(), &mut given)?;
        Ok((callable.function(py), PyTuple::new(py, args)?))
    }
}

/// Why a hook is not called.
pub(in crate::python) enum Refused {
    /// A model of parameters is not as it has to be.
    Problem(Box<Problem>),
    Raised(PyErr),
}

impl From<PyErr> for Refused {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(invalid) => Self::Problem(Box::new(invalid.into_problem())),
            Failed::Raised(error) => Self::Raised(error),
        }
    }
}
