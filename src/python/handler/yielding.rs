//! Handlers that yield: generators, whose body is sent while they run.

use std::sync::Weak;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use pyo3::prelude::*;

use super::callable::{Callable, Within};
use super::given::Given;
use crate::python::bridge::{EventLoop, OnLoop, Raised};
use crate::python::headers::header_value;
use crate::python::objects::Objects;
use crate::python::pyloop::{Job, Refused, Reply, Started};
use crate::python::request::Request;
use crate::python::response::streamed;
use crate::python::stream::{Form, Outgoing};
use crate::python::unfinished::Rest;
use crate::python::{attach, context, errors, refusal};
use crate::service::LeafKind;
use crate::{Body, Response};

/// nginx holds answers back unless told.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a stream of events may be silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Callable {
    /// The answer whose body is what `generator` yields, in the context that is current.
    pub(super) fn streamed(
        &self,
        generator: &Bound<'_, PyAny>,
        given: &Given,
        objects: &Objects,
    ) -> PyResult<Response> {
        let py = generator.py();
        let generator = generator.clone();
        let Some(plan) = &self.plan.stream else { return Err(errors::bug("a handler that yields has a plan for it")) };
        let write = self.plan.write.map(|index| self.objects[index].clone_ref(py));
        let form = Form::new(&plan.form, write)?;
        let home = objects.event_loop()?;
        let event_loop = EventLoop::new(home.clone(), context::copy_current(py)?.unbind());
        let is_events = matches!(form, Form::Events(_));
        let pieces = objects.pieces();
        let body = match is_events {
            // The head of events is sent at once, so that the client knows that it is connected.
            true => {
                streamed(objects, Outgoing::new(event_loop, generator.unbind(), form, pieces), true, Some(KEEP_ALIVE))
            }
            false => Body::new(Outgoing::begun(py, &event_loop, generator.unbind(), form, pieces)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, header_value("content-type", &plan.media_type)?);
        if is_events {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
        }
        let response = given.behind_body(py, response, objects)?;
        if is_events {
            return Ok(response);
        }
        let request = given.request.as_ref().map(|request| OnLoop::new(request.clone_ref(py), home));
        Ok(Rest::First(request).of(response))
    }
}

/// A handler raised an exception before it has yielded anything.
pub(super) struct RaisedFirst {
    pub(super) handler: usize,
    pub(super) raised: Raised,
    pub(super) request: Option<OnLoop<Py<Request>>>,
    pub(super) objects: Weak<Objects>,
    pub(super) surroundings: Option<u64>,
    pub(super) reply: Reply,
}

impl Job for RaisedFirst {
    fn start(self: Box<Self>, py: Python<'_>) -> Started {
        attach::on_loop(py, LeafKind::Python, |py| {
            let Self { handler, raised, request, objects, surroundings, reply } = *self;
            let cancelled = raised.is_cancelled();
            let response = match objects.upgrade() {
                Some(objects) if !cancelled => {
                    let given = Given::of(request.map(|request| request.into_inner(py)));
                    let within = Within { objects: &objects, surroundings };
                    objects.handler(handler).raised(py, raised.into_err(py), given, within)
                }
                _ => refusal::stopping().into_response(),
            };
            reply.send(response);
        });
        Started::Finished
    }

    fn refused(self: Box<Self>, why: Refused) {
        if let Some(problem) = refusal::of_refusal(why) {
            self.reply.send(problem.into_response());
        }
    }
}
