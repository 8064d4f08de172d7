//! The one place where service types are erased.

use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use tower::util::BoxCloneSyncService;
use tower_layer::Layer;
use tower_service::Service;

use super::{Request, Response};

/// Any service from request to response, cheap to clone and shared between threads.
///
/// Leaves, wrapped leaves and whole stacks are all routes. A route always answers: its error is [`Infallible`].
#[derive(Clone)]
pub struct Route(BoxCloneSyncService<Request, Response, Infallible>);

impl Route {
    /// Erases `service`. A [`Route`] is handed back as it is, never boxed twice.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let any = &service as &dyn std::any::Any;
        match any.downcast_ref::<Route>() {
            Some(route) => route.clone(),
            None => Self(BoxCloneSyncService::new(service)),
        }
    }

    /// Wraps this route in `layer`, which becomes the outermost.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route>,
        L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self::new(layer.layer(self))
    }
}

impl Service<Request> for Route {
    type Response = Response;
    type Error = Infallible;
    type Future = <BoxCloneSyncService<Request, Response, Infallible> as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Route")
    }
}
