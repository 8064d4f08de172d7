//! The leaf: checks a handshake, hands it to the handler, and has the socket pumped once that has accepted.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::close;
use super::deflate::Agreed;
use super::handshake::Handshake;
use super::link::Link;
use super::message::Decision;
use super::pump::{Pump, Stop};
use super::settings::Settings;
use super::upgrade::{Connection, Socket, Upgrade};
use crate::python::handler::{Opened, PyHandlerService};
use crate::python::objects::Shared;
use crate::service::server::{ConnectInfo, Tunnel};
use crate::service::{Problem, Request, Response};

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
        let handshake = match Handshake::check(&parts, &self.settings) {
            Ok(handshake) => handshake,
            Err(problem) => return Err(self.handler.refuse(problem, parts).await),
        };
        let Some(upgrade) = Upgrade::take(&mut parts.extensions) else {
            let problem = Problem::of(http::StatusCode::NOT_IMPLEMENTED);
            let problem = problem.detail("this server does not hand connections over");
            return Err(self.handler.refuse(problem, parts).await);
        };
        let tunnel = parts.extensions.remove::<Tunnel>();
        let stop = self.stop(parts.extensions.get());
        let agreed = handshake.agreed(&self.settings);
        let (link, mut decision) = Link::new(self.settings.clone(), handshake.offered.clone(), agreed);
        let mut opened = self.handler.open(parts, link.clone()).await?;
        // A handler that accepts and ends at once has accepted.
        let decision = tokio::select! {
            biased;
            decision = &mut decision => decision.ok(),
            answer = &mut opened.answer => {
                // Without a word it was not wanted.
                return Ok(opened.answer(answer.ok()).await);
            }
        };
        match decision {
            Some(Decision::Accept(accepted)) => {
                let deflate = handshake.deflate;
                let socket = Accepted { deflate, link, settings: self.settings.clone(), opened, stop, tunnel };
                match upgrade {
                    Upgrade::InProcess(stream) => drop(self.shared.background.spawn(socket.pump(stream))),
                    Upgrade::Connection(upgrade) => drop(self.shared.background.spawn(async move {
                        match upgrade.await {
                            Ok(upgraded) => socket.pump(Connection::new(upgraded)).await,
                            // A layer answered something else, or the client went.
                            Err(_) => socket.never_came().await,
                        }
                    })),
                }
                Ok(handshake.accept(accepted))
            }
            Some(Decision::Refuse) => {
                // It may have something to clean up.
                drop(self.shared.background.spawn(async move {
                    drop((&mut opened.answer).await);
                    drop(opened);
                }));
                Ok(close::refused())
            }
            None => {
                let answer = (&mut opened.answer).await.ok();
                Ok(opened.answer(answer).await)
            }
        }
    }

    /// Ready when the server of this connection, or the app, is to stop.
    fn stop(&self, connection: Option<&ConnectInfo>) -> Stop {
        let app = self.shared.stopping();
        match connection.map(ConnectInfo::stopping) {
            Some(server) => Box::pin(async move {
                tokio::select! {
                    () = server => {}
                    () = app => {}
                }
            }),
            None => Box::pin(app),
        }
    }
}

/// A socket that was accepted.
struct Accepted {
    deflate: Option<Agreed>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    opened: Opened,
    stop: Stop,
    tunnel: Option<Tunnel>,
}

impl Accepted {
    /// Speaks on the socket until it is over, and waits for the handler then: it may clean up as long as the app runs.
    async fn pump(self, io: impl Socket) {
        let Self { deflate, link, settings, opened: Opened { answer, submitted, .. }, stop, tunnel } = self;
        let mut answer = Some(answer);
        {
            let mut pump = Pump::new(io, deflate, link, settings, &mut answer, stop);
            poll_fn(|cx| pump.poll(cx)).await;
        }
        drop(tunnel);
        if let Some(answer) = answer {
            drop(answer.await);
        }
        drop(submitted);
    }

    async fn never_came(self) {
        self.link.end(close::Close::new(close::ABNORMAL, "the connection was not handed over"));
        drop(self.opened.answer.await);
    }
}
