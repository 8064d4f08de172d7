//! Layers around a dispatcher, in an order that can be printed.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::util::MapResponse;
use tower_layer::Layer;
use tower_service::Service;

use super::path::PathTemplate;
use super::{Dispatcher, LeafInfo, Request, Response, Route, RouteTable};
use crate::{Body, ConfigError};

type Wrap = Box<dyn Fn(Route) -> Route + Send>;

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
    pub fn wrap(mut self, name: impl Into<String>, wrap: impl Fn(Route) -> Route + Send + 'static) -> Self {
        self.layers.push((name.into(), Box::new(wrap)));
        self
    }

    /// Puts the layers around `dispatcher`.
    ///
    /// For leaves that [skip](super::Leaf::skip) some of them there is a second stack of the others, around the same dispatcher.
    ///
    /// # Errors
    /// When a leaf skips a layer that is not there; the error names both.
    pub fn build(self, dispatcher: Dispatcher) -> Result<Stack, ConfigError> {
        let names: Vec<String> = self.layers.iter().map(|(name, _)| name.clone()).collect();
        let around = |inner: Route, skips: &[String]| {
            let layers = self.layers.iter().rev().filter(|(name, _)| !skips.contains(name));
            layers.fold(inner, |route, (_, wrap)| wrap(route))
        };
        let whole = around(Route::new(dispatcher.clone()), &[]);
        let mut fewer: Vec<(Vec<String>, Route)> = Vec::new();
        for leaf in dispatcher.table().leaves() {
            if let Some(unknown) = leaf.skips.iter().find(|name| !names.contains(name)) {
                return Err(ConfigError::new(format!(
                    "{} {} ({}) skips the layer {unknown}, which is not around it",
                    leaf.method.as_ref().map_or("*", |method| method.as_str()),
                    leaf.path,
                    leaf.name
                ))
                .cure(match &names[..] {
                    [] => "there are no layers; skip none".to_owned(),
                    names => format!("choose from {}", names.join(", ")),
                })
                .at_if_known(&leaf.location));
            }
            if !leaf.skips.is_empty() && fewer.iter().all(|(skips, _)| *skips != leaf.skips) {
                let inner =
                    Skipping { dispatcher: dispatcher.clone(), skips: leaf.skips.clone().into(), whole: whole.clone() };
                fewer.push((leaf.skips.clone(), around(Route::new(inner), &leaf.skips)));
            }
        }
        let route = match fewer.is_empty() {
            true => whole,
            false => Route::new(Choose::new(dispatcher.clone(), whole, fewer)),
        };
        Ok(Stack(Arc::new(Inner { route, names, dispatcher })))
    }
}

/// Chooses between stacks around the same dispatcher: by the leaf that will answer, as far as that is known outside of all layers.
///
/// A layer may still change the path or the method: see [`Skipping`].
#[derive(Clone)]
struct Choose(Arc<Choice>);

struct Choice {
    /// The paths at which a leaf skips layers, so that requests to others are not looked for twice in the whole table.
    paths: matchit::Router<()>,
    dispatcher: Dispatcher,
    whole: Route,
    fewer: Vec<(Vec<String>, Route)>,
}

impl Choose {
    fn new(dispatcher: Dispatcher, whole: Route, fewer: Vec<(Vec<String>, Route)>) -> Self {
        let mut paths = matchit::Router::new();
        for leaf in dispatcher.table().leaves().iter().filter(|leaf| !leaf.skips.is_empty()) {
            if let Ok(path) = PathTemplate::parse(&leaf.path) {
                // Fails for a second leaf at the same path, which then is there.
                let _ = paths.insert(path.shape(), ());
            }
        }
        Self(Arc::new(Choice { paths, dispatcher, whole, fewer }))
    }

    fn route(&self, request: &Request) -> &Route {
        let Choice { paths, dispatcher, whole, fewer } = &*self.0;
        let path = request.uri().path();
        if paths.at(path).is_err() {
            return whole;
        }
        let leaf = dispatcher.table().leaf(path, request.method());
        let own = leaf.and_then(|leaf| fewer.iter().find(|(skips, _)| *skips == leaf.skips));
        own.map_or(whole, |(_, route)| route)
    }
}

/// What a stack with fewer layers ends in: the dispatcher, for the leaves that skip just these.
///
/// A request that a layer of this stack has led to another leaf, or to none, passes the whole stack first, as if it had asked for that.
#[derive(Clone)]
struct Skipping {
    dispatcher: Dispatcher,
    skips: Arc<[String]>,
    whole: Route,
}

impl Service<Request> for Skipping {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<<Dispatcher as Service<Request>>::Future, <Route as Service<Request>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.dispatcher.skipping(request, &self.skips, &self.whole)
    }
}

impl Service<Request> for Choose {
    type Response = Response;
    type Error = Infallible;
    type Future = <Route as Service<Request>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.route(&request).answer(request)
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

    /// The names of the layers around every route, but for leaves that skip some, outermost first.
    pub fn layers(&self) -> &[String] {
        &self.0.names
    }

    /// The frozen route table.
    pub fn table(&self) -> &RouteTable {
        self.0.dispatcher.table()
    }

    /// What a request to the concrete `path` passes, outermost first, for each leaf that answers there.
    pub fn at(&self, path: &str) -> Vec<(Arc<LeafInfo>, Vec<String>)> {
        let passes = |leaf: &LeafInfo| {
            let around = self.layers().iter().filter(|name| !leaf.skips.contains(name));
            around.chain(&leaf.layers).cloned().collect()
        };
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
    use http::Method;

    fn mark(letter: char) -> impl Fn(Route) -> Route + Send + 'static {
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
        let mut stack = Stack::builder().wrap("a", mark('a')).wrap("b", mark('b')).build(dispatcher)?;
        let Ok(response) = stack.call(Request::default()).await;
        assert_eq!(response.body().as_bytes().map(|b| &b[..]), Some(&b"abcd"[..]));
        let printed = stack.at("/").into_iter().map(|(leaf, layers)| (leaf.name.clone(), layers.concat()));
        assert_eq!(printed.collect::<Vec<_>>(), [("trail".to_owned(), "abcd".to_owned())]);
        assert_eq!(stack.layers(), ["a", "b"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_leaf_skips_layers_and_others_pass_them() -> Result<(), ConfigError> {
        let trail = || {
            let service = tower::service_fn(|request: Request| async move {
                let trail = request.extensions().get::<String>().cloned().unwrap_or_default();
                Ok(Response::new(Body::from(trail)))
            });
            Leaf::new("trail", LeafKind::Native, Route::new(service))
        };
        let mut table = RouteTableBuilder::new();
        table.add(Some(Method::GET), "/users/{id}", trail().skip(["a", "c"]).layer("d", mark('d')))?;
        table.add(Some(Method::POST), "/users/{id}", trail())?;
        table.add(None, "/users/me", trail().skip(["b"]))?;
        table.add(None, "/", trail())?;
        let builder = || Stack::builder().wrap("a", mark('a')).wrap("b", mark('b')).wrap("c", mark('c'));
        let mut stack = builder().build(Dispatcher::new(table.build()?))?;
        for (method, path, wanted) in [
            (Method::GET, "/users/1", "bd"),
            (Method::HEAD, "/users/1", ""),
            (Method::POST, "/users/1", "abc"),
            (Method::GET, "/users/me", "ac"),
            (Method::DELETE, "/users/me", "ac"),
            (Method::GET, "/", "abc"),
        ] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let Ok(response) = stack.call(request).await;
            assert_eq!(response.body().as_bytes().map_or(&b""[..], |body| body), wanted.as_bytes(), "{path}");
        }
        let printed: Vec<_> = stack.at("/users/1").into_iter().map(|(_, layers)| layers.concat()).collect();
        assert_eq!(printed, ["bd", "abc"]);

        // A layer that leads a request elsewhere leads it past nothing.
        let mut table = RouteTableBuilder::new();
        table.add(None, "/{rest:path}", trail().skip(["a"]))?;
        table.add(None, "/closed", trail())?;
        let lead = |inner: Route| {
            Route::new(tower::service_fn(move |mut request: Request| {
                if request.uri().path() == "/closed/" {
                    *request.uri_mut() = "/closed".parse().unwrap();
                }
                inner.answer(request)
            }))
        };
        let stack = Stack::builder().wrap("lead", lead).wrap("a", mark('a')).wrap("b", mark('b'));
        let mut stack = stack.build(Dispatcher::new(table.build()?))?;
        for (path, wanted) in [("/closed/", "bab"), ("/closed", "ab"), ("/other/", "b")] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let Ok(response) = stack.call(request).await;
            assert_eq!(response.body().as_bytes().map_or(&b""[..], |body| body), wanted.as_bytes(), "{path}");
        }

        let mut table = RouteTableBuilder::new();
        table.add(Some(Method::GET), "/x", trail().skip(["d"]))?;
        let error = builder().build(Dispatcher::new(table.build()?)).unwrap_err().to_string();
        assert!(error.contains("GET /x (trail) skips the layer d") && error.contains("a, b, c"), "{error}");
        Ok(())
    }
}
