//! Stopping: signals, and the draining of what is in flight.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::activity::Order;
use super::bound::Connections;

/// How long dropped connections get to unwind.
const UNWIND: Duration = Duration::from_secs(1);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were in flight when the server was told to stop, and finished.
    pub finished: usize,
    /// Requests that were cut off: the drain timeout passed, or the server was hurried.
    pub dropped: usize,
    /// How long the stop took.
    pub took: Duration,
}

/// Waits for connections that were told to finish, with so many requests in flight at that time.
pub(super) async fn drain(
    connections: &Connections,
    in_flight: usize,
    limit: Duration,
    hurry: impl Future<Output = ()>,
) -> Drained {
    let begin = Instant::now();
    if in_flight > 0 {
        info!(in_flight, "stopping: waiting for requests in flight");
    }
    let all_ended = {
        let emptied = pin!(connections.emptied());
        let hurry = pin!(hurry);
        tokio::select! {
            () = emptied => true,
            () = hurry => false,
            () = tokio::time::sleep(limit) => false,
        }
    };
    let dropped = if all_ended { 0 } else { connections.order(Order::Drop) };
    if !all_ended {
        if dropped > 0 {
            warn!(dropped, "stopping: requests in flight were dropped");
        }
        // Their futures are dropped by their own tasks, soon unless one of them never yields.
        let _ = tokio::time::timeout(UNWIND, connections.emptied()).await;
    }
    Drained { finished: in_flight.saturating_sub(dropped), dropped, took: begin.elapsed() }
}

/// SIGINT and SIGTERM (Ctrl-C elsewhere), counted.
///
/// For programs in Rust; a program that embeds Python leaves signals to Python.
#[derive(Debug, Clone)]
pub struct Signals {
    seen: watch::Receiver<u32>,
}

impl Signals {
    /// Begins to catch the signals, which no longer end the process then. It needs a Tokio runtime around it.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn install() -> io::Result<Self> {
        let (sender, seen) = watch::channel(0);
        let mut source = Source::new()?;
        tokio::spawn(async move {
            while source.next().await.is_some() {
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { seen })
    }

    /// Ready once a signal has come.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + 'static {
        self.count(1)
    }

    /// Ready once a second signal has come.
    pub fn hurry(&self) -> impl Future<Output = ()> + Send + 'static {
        self.count(2)
    }

    fn count(&self, wanted: u32) -> impl Future<Output = ()> + Send + 'static {
        let mut seen = self.seen.clone();
        async move {
            if seen.wait_for(|count| *count >= wanted).await.is_err() {
                // No signal can come any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Option<()> {
        tokio::select! {
            signal = self.interrupt.recv() => signal,
            signal = self.terminate.recv() => signal,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Option<()> {
        tokio::signal::ctrl_c().await.ok()
    }
}
