//! Layers around a dispatcher, in an order that can be printed.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{Dispatcher, LeafInfo, Request, Response, Route, RouteTable};

type Wrap = Box<dyn FnOnce(Route) -> Route + Send>;

/// Collects layers, outermost first, as `tower::ServiceBuilder` reads.
#[derive(Default)]
pub struct StackBuilder {
    layers: Vec<(String, Wrap)>,
}

impl StackBuilder {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer inside those added before; `name` is what the printed stack shows.
    #[must_use]
    pub fn layer<L>(self, name: impl Into<String>, layer: L) -> Self
    where
        L: Layer<Route> + Send + 'static,
        L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.wrap(name, move |route| route.layer(layer))
    }

    /// Adds any wrapping of a route inside the layers added before.
    #[must_use]
    pub fn wrap(mut self, name: impl Into<String>, wrap: impl FnOnce(Route) -> Route + Send + 'static) -> Self {
        self.layers.push((name.into(), Box::new(wrap)));
        self
    }

    /// Puts the layers around `dispatcher`.
    pub fn build(self, dispatcher: Dispatcher) -> Stack {
        let table = Arc::new(dispatcher.clone());
        let mut names = Vec::with_capacity(self.layers.len());
        let mut route = Route::new(dispatcher);
        for (name, wrap) in self.layers.into_iter().rev() {
            route = wrap(route);
            names.insert(0, name);
        }
        Stack { route, names: names.into(), dispatcher: table }
    }
}

/// A finished stack: the service that a server or a foreign program mounts.
#[derive(Debug, Clone)]
pub struct Stack {
    route: Route,
    names: Arc<[String]>,
    dispatcher: Arc<Dispatcher>,
}

impl Stack {
    /// Starts a stack.
    pub fn builder() -> StackBuilder {
        StackBuilder::new()
    }

    /// The names of the layers around every route, outermost first.
    pub fn layers(&self) -> &[String] {
        &self.names
    }

    /// The frozen route table.
    pub fn table(&self) -> &RouteTable {
        self.dispatcher.table()
    }

    /// What a request to the concrete `path` passes, outermost first, for each leaf that answers there.
    pub fn at(&self, path: &str) -> Vec<(Arc<LeafInfo>, Vec<String>)> {
        let passes = |leaf: &LeafInfo| self.names.iter().chain(&leaf.layers).cloned().collect();
        self.table().at(path).into_iter().map(|leaf| (leaf.clone(), passes(&leaf))).collect()
    }
}

impl Service<Request> for Stack {
    type Response = Response;
    type Error = Infallible;
    type Future = <Route as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.route.call(request)
    }
}
