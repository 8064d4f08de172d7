use http::StatusCode;

use super::job::CatchJob;
use crate::Response;
use crate::python::bridge::OnLoop;
use crate::python::catch::Raised;
use crate::python::hooks::Surrounding;
use crate::python::presence::Waits;
use crate::python::pyloop::reply;
use crate::python::request::{BodySource, Head};
use crate::python::{refusal, unfinished};
use crate::service::{IsProblem, LeafKind};

/// Which problems are offered to the handlers of exceptions, and where those are.
pub(in crate::python) struct Rules {
    /// Among the app's catchers.
    pub(in crate::python) index: usize,
    /// None is every status.
    pub(in crate::python) statuses: Option<Vec<u16>>,
    pub(in crate::python) surrounding: Surrounding,
}

/// What is known of a request whose answer a handler of exceptions makes.
pub(in crate::python) struct Refused {
    pub(in crate::python) head: Head,
    pub(in crate::python) body: BodySource,
    pub(in crate::python) surroundings: Option<u64>,
    /// For whom Python is entered.
    pub(in crate::python) kind: LeafKind,
}

impl Rules {
    /// Whether somebody may answer a problem with this status.
    pub(in crate::python) fn holds(&self, status: StatusCode) -> bool {
        self.statuses.as_ref().is_none_or(|some| some.contains(&status.as_u16()))
    }

    /// Offers `response`, if it is a problem that somebody may answer.
    pub(in crate::python) async fn offer(&self, mut response: Response, request: Refused) -> Response {
        if response.extensions_mut().remove::<IsProblem>().is_none() || !self.holds(response.status()) {
            return response;
        }
        let Some(document) = response.body().as_bytes().cloned() else { return response };
        let Some((objects, shared)) = self.surrounding.get() else { return response };
        let Some(event_loop) = shared.event_loop() else { return response };
        let waits = request.head.waits();
        let (reply, answer) = reply(None);
        let job = CatchJob::of_problem(self.index, response, document, request, objects.clone(), reply);
        match event_loop.submit(Box::new(job)) {
            Ok(_submitted) => {
                // Dropped before the coroutine is cancelled, which may ask.
                let waits = waits;
                let answer = answer.await.unwrap_or_else(|_| refusal::lost().into_response());
                waits.for_body(unfinished::finished(answer).await)
            }
            Err(why) => refusal::of_overload(why).into_response(),
        }
    }

    /// Has the handler that was found answer; `waits` is of the request that it is given, where another one waited for that before.
    pub(in crate::python) async fn answer(
        &self,
        raised: OnLoop<Raised>,
        request: Option<Refused>,
        waits: Option<Waits>,
    ) -> Response {
        let Some((objects, shared)) = self.surrounding.get() else { return refusal::not_running().into_response() };
        let Some(event_loop) = shared.event_loop() else { return refusal::not_running().into_response() };
        let waits = waits.or_else(|| request.as_ref().map(|request| request.head.waits()));
        let (reply, answer) = reply(None);
        let job = CatchJob::of_raised(raised, request, objects.clone(), reply);
        match event_loop.submit(Box::new(job)) {
            Ok(_submitted) => {
                let waits = waits;
                let response = answer.await.unwrap_or_else(|_| refusal::lost().into_response());
                match waits {
                    Some(waits) => waits.for_body(response),
                    None => response,
                }
            }
            Err(why) => {
                tracing::error!(%why, "an exception was left to its handler, which could not be called");
                refusal::of_overload(why).into_response()
            }
        }
    }
}
