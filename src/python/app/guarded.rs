//! What stands around a single route.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower_layer::Layer;
use tower_service::Service;

use super::draft::Around;
use crate::layers::RequireAuth;
use crate::python::catch::CatchLayer;
use crate::python::handler::{Plan, Switch};
use crate::service::{ErrorFormat, Leaf, Request, Requirement, Response, Route};

type Guarded = <RequireAuth as Layer<Route>>::Service;

pub(super) fn guard_of(requirements: &[Requirement]) -> RequireAuth {
    requirements.iter().cloned().fold(RequireAuth::new(), RequireAuth::require)
}

/// `RequireAuth`, with what it asks for.
pub(super) fn guard_name(guard: &RequireAuth) -> String {
    match guard.to_string() {
        asked if asked.is_empty() => "RequireAuth".to_owned(),
        asked => format!("RequireAuth({asked})"),
    }
}

/// A leaf with what it asks of its caller.
pub(super) fn asking(leaf: Leaf, auth: Option<&[Requirement]>, errors: ErrorFormat) -> Leaf {
    let Some(requirements) = auth else { return leaf };
    let guard = guard_of(requirements).errors(errors);
    leaf.layer(guard_name(&guard), |route| route.layer(guard))
}

/// The same for a handler, which `switch` tells what stands in for.
pub(super) fn guarded(leaf: Leaf, plan: &Plan, switch: Arc<Switch>) -> Leaf {
    match plan.auth.as_deref() {
        Some(requirements) if plan.asks_for_claims => {
            let guard = guard_of(requirements).errors(plan.format);
            let taken = plan.takes_claims;
            leaf.layer(guard_name(&guard), |route| Route::new(ForClaims { guarded: guard.layer(route), taken, switch }))
        }
        auth => asking(leaf, auth, plan.format),
    }
}

/// A leaf with what is offered to handlers of exceptions, and outside of that the layers around it.
pub(super) fn surrounded(mut leaf: Leaf, catch: Option<CatchLayer>, around: Around) -> Leaf {
    if let Some(catch) = catch {
        leaf = leaf.layer(CatchLayer::NAME, |route| route.layer(catch));
    }
    for layer in around.layers.iter().rev() {
        leaf = leaf.layer(layer.name(), |route| layer.apply(route));
    }
    leaf.skip(around.skips)
}

/// Asks who calls for a handler that takes Claims, and for nothing else: as long as something stands in that takes none, everybody may call.
#[derive(Clone)]
struct ForClaims {
    guarded: Guarded,
    /// Whether the handler takes them that the app was built with.
    taken: bool,
    switch: Arc<Switch>,
}

impl Service<Request> for ForClaims {
    type Response = Response;
    type Error = Infallible;
    type Future = <Guarded as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.guarded.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.switch.now().map_or(self.taken, |(plan, _)| plan.takes_claims) {
            self.guarded.call(request)
        } else {
            Either::Left(self.guarded.get_mut().call(request))
        }
    }
}
