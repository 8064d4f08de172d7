//! The leaf: checks a handshake, hands it to the handler, and has the socket pumped once that has accepted.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::opening::Opening;
use super::settings::Settings;
use crate::python::handler::PyHandlerService;
use crate::python::objects::Shared;
use crate::service::{Request, Response};

/// Answers WebSocket handshakes with a Python handler.
#[derive(Clone)]
pub(in crate::python) struct PyWebSocketService(Arc<Inner>);

struct Inner {
    handler: PyHandlerService,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
}

impl PyWebSocketService {
    pub(in crate::python) fn new(handler: PyHandlerService, settings: Arc<Settings>, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { handler, settings, shared }))
    }
}

impl Service<Request> for PyWebSocketService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { Ok(inner.answer(request).await.unwrap_or_else(|refused| refused)) })
    }
}

impl Inner {
    /// # Errors
    /// The answer to a handshake that is refused before the handler is asked.
    async fn answer(&self, request: Request) -> Result<Response, Response> {
        let (mut parts, body) = request.into_parts();
        drop(body);
        let opening = match Opening::of(&mut parts, &self.settings, &self.shared) {
            Ok(opening) => opening,
            Err(problem) => return Err(self.handler.refuse(problem, parts).await),
        };
        let (speaks, called) = self.handler.open(parts, opening.link()).await?;
        match opening.decided(speaks).await {
            Ok(response) => Ok(response),
            // Without a word it was not wanted.
            Err(ended) => Ok(called.answer(ended).await),
        }
    }
}
