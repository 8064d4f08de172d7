//! Taking connections in, whatever the system says.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::{error, warn};

/// How often the same trouble is logged.
const LOG_EVERY: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections, and outlives what passes.
pub(super) struct Acceptor {
    listener: TcpListener,
    pause: Duration,
    logged: Option<Instant>,
    failed: u64,
}

/// What an error of `accept` means.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// That one connection was lost; the next may be there already.
    Connection,
    /// The system is out of something; it may come back.
    Resources,
    /// The listener is no longer one.
    Listener,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, pause: FIRST_PAUSE, logged: None, failed: 0 }
    }

    /// The next connection. Safe to drop at any point.
    ///
    /// # Errors
    /// Only when the listener itself is broken.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let error = match self.listener.accept().await {
                Ok(accepted) => {
                    self.pause = FIRST_PAUSE;
                    return Ok(accepted);
                }
                Err(error) => error,
            };
            match trouble(&error) {
                Trouble::Connection => {}
                Trouble::Resources => {
                    self.log(&error);
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                Trouble::Listener => {
                    error!(%error, "the listener is broken");
                    return Err(error);
                }
            }
        }
    }

    /// A connection that is waiting already, if there is one.
    pub(super) fn accept_waiting(&mut self) -> Option<(TcpStream, SocketAddr)> {
        use futures_util::FutureExt;
        self.listener.accept().now_or_never()?.ok()
    }

    fn log(&mut self, error: &io::Error) {
        self.failed += 1;
        let now = Instant::now();
        if self.logged.is_none_or(|last| now.duration_since(last) >= LOG_EVERY) {
            warn!(%error, failures = self.failed, "cannot accept connections; trying again");
            self.logged = Some(now);
        }
    }
}

fn trouble(error: &io::Error) -> Trouble {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted => {
            Trouble::Connection
        }
        // EINVAL and EBADF and their kin mean that waiting will not help.
        Kind::InvalidInput | Kind::NotConnected => Trouble::Listener,
        _ if is_bad_descriptor(error) => Trouble::Listener,
        _ => Trouble::Resources,
    }
}

#[cfg(unix)]
fn is_bad_descriptor(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::NOTSOCK].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn is_bad_descriptor(_: &io::Error) -> bool {
    false
}

/// How many connections may be open: `wanted`, but leaving some of the process's descriptors to files and stores.
pub(super) fn connection_cap(wanted: usize) -> usize {
    const RESERVE: u64 = 64;
    #[cfg(unix)]
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let open_files: Option<u64> = None;
    match open_files {
        // A limit so low that the reserve would leave nothing is shared half and half.
        Some(limit) => {
            wanted.min(usize::try_from(limit.saturating_sub(RESERVE).max(limit / 2)).unwrap_or(wanted)).max(1)
        }
        None => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_apart() {
        let of = |kind: io::ErrorKind| trouble(&io::Error::from(kind));
        assert_eq!(of(io::ErrorKind::ConnectionAborted), Trouble::Connection);
        assert_eq!(of(io::ErrorKind::OutOfMemory), Trouble::Resources);
        assert_eq!(of(io::ErrorKind::InvalidInput), Trouble::Listener);
        #[cfg(unix)]
        {
            let raw = |errno: rustix::io::Errno| trouble(&io::Error::from_raw_os_error(errno.raw_os_error()));
            assert_eq!(raw(rustix::io::Errno::MFILE), Trouble::Resources);
            assert_eq!(raw(rustix::io::Errno::NFILE), Trouble::Resources);
            assert_eq!(raw(rustix::io::Errno::BADF), Trouble::Listener);
        }
    }

    #[test]
    fn the_cap_leaves_descriptors() {
        assert_eq!(connection_cap(1), 1);
        assert!(connection_cap(usize::MAX) >= 1);
    }
}
