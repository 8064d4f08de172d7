//! The one place where service types are erased.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::{Request, Response};

/// Any service from request to response, cheap to clone and shared between threads.
///
/// Leaves, wrapped leaves and whole stacks are all routes. A route always answers: its error is [`Infallible`].
///
/// A clone is one pointer, unlike that of a `BoxCloneSyncService`, which allocates; a call allocates its future and nothing
/// else. A route is always ready: each call works on a clone of the service, and waits there if that one is not ready.
#[derive(Clone)]
pub struct Route(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn answer(&self, request: Request) -> ResponseFuture;
}

impl<S> Erased for S
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn answer(&self, request: Request) -> ResponseFuture {
        let mut service = self.clone();
        // Nearly every service is ready at once; one that is not is asked again with a waker that wakes.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => ResponseFuture(Box::pin(service.call(request))),
            Poll::Pending => ResponseFuture(Box::pin(service.oneshot(request))),
        }
    }
}

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
            None => Self(Arc::new(service)),
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

    /// As [`Service::call`], without the need to own a clone.
    pub fn answer(&self, request: Request) -> ResponseFuture {
        self.0.answer(request)
    }
}

impl Service<Request> for Route {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        self.answer(request)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Route")
    }
}

/// The answer of a [`Route`].
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl ResponseFuture {
    /// The answer that `future` gives.
    #[cfg(feature = "python")]
    pub(crate) fn new(future: impl Future<Output = Result<Response, Infallible>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Ready only when asked for the third time.
    #[derive(Clone)]
    struct Slow(Arc<AtomicUsize>);

    impl Service<Request> for Slow {
        type Response = Response;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.0.fetch_add(1, Ordering::Relaxed) < 2 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request) -> Self::Future {
            assert!(self.0.load(Ordering::Relaxed) > 2, "called before it was ready");
            std::future::ready(Ok(Response::new(Body::from("at last"))))
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_is_waited_for() {
        let asked = Arc::new(AtomicUsize::new(0));
        let Ok(response) = Route::new(Slow(asked.clone())).answer(Request::default()).await;
        assert_eq!(response.body().as_bytes().map(|b| &b[..]), Some(&b"at last"[..]));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_route_is_not_erased_twice() {
        let route = Route::new(tower::service_fn(|_: Request| async { Ok(Response::default()) }));
        let again = Route::new(route.clone());
        assert!(Arc::ptr_eq(&route.0, &again.0));
    }

    #[test]
    fn routes_go_everywhere() {
        fn check<T: Clone + Send + Sync + Unpin>() {}
        check::<Route>();
    }
}
