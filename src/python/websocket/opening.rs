//! From a handshake to a socket, whoever is to speak on it.

use std::future::poll_fn;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use tokio::sync::oneshot;

use super::close::{self, Close};
use super::deflate::Agreed;
use super::handshake::Handshake;
use super::link::Link;
use super::message::Decision;
use super::pump::{Pump, Stop};
use super::settings::Settings;
use super::upgrade::{Connection, Socket, Upgrade};
use crate::python::objects::Shared;
use crate::python::pyloop::{Answer, Submitted};
use crate::service::server::{ConnectInfo, Tunnel};
use crate::service::{Problem, Response};

/// A handshake that is as it has to be, and about which nobody has decided.
pub(in crate::python) struct Opening {
    handshake: Handshake,
    upgrade: Upgrade,
    tunnel: Option<Tunnel>,
    stop: Stop,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    link: Arc<Link>,
    decision: oneshot::Receiver<Decision>,
}

/// What was handed over to somebody who speaks on the socket.
pub(in crate::python) struct Speaks {
    /// Comes when that has ended.
    pub(in crate::python) answer: Answer,
    /// Dropping it cancels that; none where it is told of the end instead.
    pub(in crate::python) submitted: Option<Submitted>,
}

impl Opening {
    /// # Errors
    /// The answer to a request that is no handshake, or comes from a page that may not open a socket.
    pub(in crate::python) fn of(
        parts: &mut Parts,
        settings: &Arc<Settings>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Problem> {
        let handshake = Handshake::check(parts, settings)?;
        let Some(upgrade) = Upgrade::take(&mut parts.extensions) else {
            let problem = Problem::of(StatusCode::NOT_IMPLEMENTED);
            return Err(problem.detail("this server does not hand connections over"));
        };
        let tunnel = parts.extensions.remove::<Tunnel>();
        let stop = stop(shared, parts.extensions.get());
        let agreed = handshake.agreed(settings);
        let (link, decision) = Link::new(settings.clone(), handshake.offered.clone(), agreed);
        let (settings, shared) = (settings.clone(), shared.clone());
        Ok(Self { handshake, upgrade, tunnel, stop, settings, shared, link, decision })
    }

    pub(in crate::python) fn link(&self) -> Arc<Link> {
        self.link.clone()
    }

    /// Waits for a decision, and has the socket pumped where it is accepted.
    ///
    /// # Errors
    /// The answer of somebody who has ended without one, if there is any.
    pub(in crate::python) async fn decided(self, mut speaks: Speaks) -> Result<Response, Option<Response>> {
        let Self { handshake, upgrade, tunnel, stop, settings, shared, link, mut decision } = self;
        let mut waits = Waits(Some(link.clone()));
        // A handler that accepts and ends at once has accepted.
        let decision = tokio::select! {
            biased;
            decision = &mut decision => decision.ok(),
            answer = &mut speaks.answer => {
                waits.0 = None;
                return Err(answer.ok());
            }
        };
        waits.0 = None;
        let refusal = match decision {
            Some(Decision::Accept(accepted)) => {
                let socket = Accepted { deflate: handshake.deflate, link, settings, speaks, stop, tunnel };
                match upgrade {
                    Upgrade::InProcess(stream) => drop(shared.background.spawn(socket.pump(stream))),
                    Upgrade::Connection(upgrade) => drop(shared.background.spawn(async move {
                        match upgrade.await {
                            Ok(upgraded) => socket.pump(Connection::new(upgraded)).await,
                            // A layer answered something else, or the client went.
                            Err(_) => socket.never_came().await,
                        }
                    })),
                }
                return Ok(handshake.accept(accepted));
            }
            Some(Decision::Refuse) => close::refused(),
            Some(Decision::Deny(answer)) => *answer,
            None => return Err((&mut speaks.answer).await.ok()),
        };
        // It may have something to clean up.
        drop(shared.background.spawn(async move {
            drop((&mut speaks.answer).await);
            drop(speaks);
        }));
        Ok(refusal)
    }
}

/// Ready when the server of this connection, or the app, is to stop.
fn stop(shared: &Shared, connection: Option<&ConnectInfo>) -> Stop {
    let app = shared.stopping();
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

/// Tells whoever speaks on the socket if the client goes before there is one.
struct Waits(Option<Arc<Link>>);

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.end(Close::new(close::ABNORMAL, "the client went before it was accepted"));
        }
    }
}

/// A socket that was accepted.
struct Accepted {
    deflate: Option<Agreed>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    speaks: Speaks,
    stop: Stop,
    tunnel: Option<Tunnel>,
}

impl Accepted {
    /// Speaks on the socket until it is over, and waits for the handler then: it may clean up as long as the app runs.
    async fn pump(self, io: impl Socket) {
        let Self { deflate, link, settings, speaks: Speaks { answer, submitted }, stop, tunnel } = self;
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
        self.link.end(Close::new(close::ABNORMAL, "the connection was not handed over"));
        drop(self.speaks.answer.await);
    }
}
