//! Layers around a dispatcher, in an order that can be printed.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::MapResponse;
use tower_layer::Layer;
use tower_service::Service;

use super::{Dispatcher, LeafInfo, Request, Response, Route, RouteTable};
use crate::Body;

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
    ///
    /// A layer that changes the type of the response body fits when its body can become a [`Body`].
    #[must_use]
    pub fn layer<L, B>(self, name: impl Into<String>, layer: L) -> Self
    where
        L: Layer<Route> + Send + 'static,
        L::Service: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
        B: Into<Body> + 'static,
    {
        let own_body: fn(Response<B>) -> Response = |response| response.map(Into::into);
        self.wrap(name, move |route| Route::new(MapResponse::new(layer.layer(route), own_body)))
    }

    /// Adds any wrapping of a route inside the layers added before.
    #[must_use]
    pub fn wrap(mut self, name: impl Into<String>, wrap: impl FnOnce(Route) -> Route + Send + 'static) -> Self {
        self.layers.push((name.into(), Box::new(wrap)));
        self
    }

    /// Puts the layers around `dispatcher`.
    pub fn build(self, dispatcher: Dispatcher) -> Stack {
        let mut names = Vec::with_capacity(self.layers.len());
        let mut route = Route::new(dispatcher.clone());
        for (name, wrap) in self.layers.into_iter().rev() {
            route = wrap(route);
            names.push(name);
        }
        names.reverse();
        Stack(Arc::new(Inner { route, names, dispatcher }))
    }
}

/// A finished stack: the service that a server or a foreign program mounts. A clone is one pointer.
#[derive(Debug, Clone)]
pub struct Stack(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Route,
    names: Vec<String>,
    dispatcher: Dispatcher,
}

impl Stack {
    /// Starts a stack.
    pub fn builder() -> StackBuilder {
        StackBuilder::new()
    }

    /// The names of the layers around every route, outermost first.
    pub fn layers(&self) -> &[String] {
        &self.0.names
    }

    /// The frozen route table.
    pub fn table(&self) -> &RouteTable {
        self.0.dispatcher.table()
    }

    /// What a request to the concrete `path` passes, outermost first, for each leaf that answers there.
    pub fn at(&self, path: &str) -> Vec<(Arc<LeafInfo>, Vec<String>)> {
        let passes = |leaf: &LeafInfo| self.layers().iter().chain(&leaf.layers).cloned().collect();
        self.table().at(path).into_iter().map(|leaf| (leaf.clone(), passes(&leaf))).collect()
    }
}

impl Service<Request> for Stack {
    type Response = Response;
    type Error = Infallible;
    type Future = <Route as Service<Request>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.route.answer(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;
    use crate::service::{Leaf, LeafKind, RouteTableBuilder};

    fn mark(letter: char) -> impl FnOnce(Route) -> Route + Send + 'static {
        move |inner| {
            Route::new(tower::service_fn(move |mut request: Request| {
                let trail = request.extensions().get::<String>().cloned().unwrap_or_default();
                request.extensions_mut().insert(format!("{trail}{letter}"));
                inner.answer(request)
            }))
        }
    }

    #[tokio::test]
    async fn layers_run_in_the_order_in_which_they_print() -> Result<(), crate::ConfigError> {
        let trail = Route::new(tower::service_fn(|request: Request| async move {
            let trail = request.extensions().get::<String>().cloned().unwrap_or_default();
            Ok(Response::new(Body::from(trail)))
        }));
        let leaf = Leaf::new("trail", LeafKind::Native, trail).layer("d", mark('d')).layer("c", mark('c'));
        let mut table = RouteTableBuilder::new();
        table.add(None, "/", leaf)?;
        let dispatcher = Dispatcher::new(table.build()?);
        let mut stack = Stack::builder().wrap("a", mark('a')).wrap("b", mark('b')).build(dispatcher);
        let Ok(response) = stack.call(Request::default()).await;
        assert_eq!(response.body().as_bytes().map(|b| &b[..]), Some(&b"abcd"[..]));
        let printed = stack.at("/").into_iter().map(|(leaf, layers)| (leaf.name.clone(), layers.concat()));
        assert_eq!(printed.collect::<Vec<_>>(), [("trail".to_owned(), "abcd".to_owned())]);
        assert_eq!(stack.layers(), ["a", "b"]);
        Ok(())
    }
}
