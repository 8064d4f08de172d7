//! A bound server, and its serving.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tower_service::Service;
use tracing::debug;

use super::accept::{Acceptor, connection_cap};
use super::activity::{Activity, Order};
use super::builder::Settings;
use super::connection::{self, Protocol};
use super::refuse::Refusals;
use super::shutdown::{self, Drained};
use super::{ConnectInfo, Signals};
use crate::ConfigError;
use crate::service::{Request, Response};

/// What a server can serve: every Tower service with our bodies that always answers.
///
/// Implemented for all of them; it only spares a long list of bounds.
pub trait Serve:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<S> Serve for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

/// Why a server could not serve.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting makes no sense.
    Config(ConfigError),
    /// The address cannot be listened on.
    Bind {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed in another way: no runtime, a broken listener, no signal handlers.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Bind { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Bind { source, .. } => Some(source),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<ConfigError> for ServeError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A server that listens: connections queue up until it serves them.
#[derive(Debug)]
pub struct BoundServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    settings: Arc<Settings>,
    stop: watch::Sender<bool>,
}

impl BoundServer {
    pub(super) fn new(listener: TcpListener, settings: Arc<Settings>) -> Result<Self, ServeError> {
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr, settings, stop: watch::Sender::new(false) })
    }

    /// The address that is listened on, with the real port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ready once it was told to stop and has counted what is in flight, or serves no more: what has no end of its own may be ended then.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // It fails when the server is gone.
            let _ = stop.wait_for(|told| *told).await;
        }
    }

    /// Serves until `shutdown` is ready, then lets requests in flight finish within the drain timeout.
    ///
    /// Each connection works on its own clone of `service`, as a task of the Tokio runtime that polls this future. When the
    /// future is dropped, so are all connections.
    ///
    /// # Errors
    /// When the listener breaks. Trouble with single connections, or a lack of descriptors, is logged and outlived.
    pub async fn serve<S: Serve>(self, service: S, shutdown: impl Future<Output = ()>) -> Result<Drained, ServeError> {
        self.serve_until(service, shutdown, pending()).await
    }

    /// As [`serve`](Self::serve); once `hurry` is ready too, what is still in flight is dropped at once.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_until<S: Serve>(
        self,
        service: S,
        shutdown: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<Drained, ServeError> {
        let mut acceptor = Acceptor::new(tokio::net::TcpListener::from_std(self.listener)?);
        let host = Host {
            service,
            protocol: Arc::new(connection::protocol(&self.settings)),
            cap: connection_cap(self.settings.connections),
            settings: self.settings,
            connections: Arc::new(Connections::default()),
            refusals: Refusals::new(),
            stop: self.stop,
        };
        // Covers a caller that drops this future as well as connections that a drain could not end.
        let _all_dropped = DropAll(host.connections.clone());
        {
            let mut shutdown = pin!(shutdown);
            loop {
                tokio::select! {
                    biased;
                    () = &mut shutdown => break,
                    accepted = acceptor.accept() => {
                        let (stream, peer) = accepted?;
                        host.take(stream, peer);
                    }
                }
            }
        }
        // These clients were told by the system that they are connected.
        while let Some((stream, peer)) = acceptor.accept_waiting() {
            host.take(stream, peer);
        }
        drop(acceptor);
        // Counted before those who took a socket over are told, who may end it at once.
        let in_flight = host.connections.order(Order::Finish);
        host.stop.send_replace(true);
        Ok(shutdown::drain(&host.connections, in_flight, host.settings.drain, hurry).await)
    }

    /// Serves until SIGINT or SIGTERM; a second one drops what is still in flight.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), and when signals cannot be caught.
    pub async fn serve_until_signal<S: Serve>(self, service: S) -> Result<Drained, ServeError> {
        let signals = Signals::install()?;
        self.serve_until(service, signals.stop(), signals.hurry()).await
    }
}

/// What every new connection needs.
struct Host<S> {
    service: S,
    protocol: Arc<Protocol>,
    settings: Arc<Settings>,
    connections: Arc<Connections>,
    cap: usize,
    refusals: Refusals,
    stop: watch::Sender<bool>,
}

impl<S: Serve> Host<S> {
    fn take(&self, stream: TcpStream, peer_addr: SocketAddr) {
        let Some(place) = Connections::enter(&self.connections, self.cap) else {
            debug!(peer = %peer_addr, "refused a connection: too many are open");
            return self.refusals.refuse(stream);
        };
        // It fails only for a socket that is gone already.
        let _ = stream.set_nodelay(true);
        let Ok(local_addr) = stream.local_addr() else { return };
        let info = ConnectInfo { peer_addr, local_addr, stop: self.stop.subscribe() };
        let (service, protocol, settings) = (self.service.clone(), self.protocol.clone(), self.settings.clone());
        tokio::spawn(async move {
            connection::serve(stream, info, service, place.activity.clone(), protocol, settings).await;
        });
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    activities: HashMap<u64, Arc<Activity>>,
}

impl Connections {
    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection, unless `cap` are open.
    fn enter(this: &Arc<Self>, cap: usize) -> Option<Place> {
        let mut open = this.open();
        if open.activities.len() >= cap {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let activity = Arc::<Activity>::default();
        open.activities.insert(number, activity.clone());
        Some(Place { connections: this.clone(), number, activity })
    }

    /// Gives `order` to all, and tells how many requests are in flight.
    pub(super) fn order(&self, order: Order) -> usize {
        let activities: Vec<_> = self.open().activities.values().cloned().collect();
        let in_flight = activities.iter().map(|activity| activity.in_flight()).sum();
        activities.iter().for_each(|activity| activity.order(order));
        in_flight
    }

    /// Waits until none is open.
    pub(super) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open().activities.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// Drops all connections when it is dropped itself.
struct DropAll(Arc<Connections>);

impl Drop for DropAll {
    fn drop(&mut self) {
        self.0.order(Order::Drop);
    }
}

/// A connection's place among the open ones.
struct Place {
    connections: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let empty = {
            let mut open = self.connections.open();
            open.activities.remove(&self.number);
            open.activities.is_empty()
        };
        if empty {
            self.connections.emptied.notify_waiters();
        }
    }
}
