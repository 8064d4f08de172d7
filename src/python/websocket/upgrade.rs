//! The socket behind a handshake, wherever it comes from.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// A request extension: the socket of a handshake within this process.
#[derive(Clone)]
pub(super) struct InProcess(Arc<Mutex<Option<DuplexStream>>>);

impl InProcess {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self(Arc::new(Mutex::new(Some(stream))))
    }
}

/// What becomes a socket when the handshake is answered.
pub(super) enum Upgrade {
    Connection(OnUpgrade),
    InProcess(DuplexStream),
}

/// A socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

impl Upgrade {
    /// Takes it out of a request; none where nobody can hand a connection over.
    pub(super) fn take(extensions: &mut Extensions) -> Option<Self> {
        if let Some(InProcess(stream)) = extensions.remove::<InProcess>() {
            return stream.lock().unwrap_or_else(PoisonError::into_inner).take().map(Self::InProcess);
        }
        extensions.remove::<OnUpgrade>().map(Self::Connection)
    }
}

/// The socket of a connection of hyper's.
pub(super) type Connection = TokioIo<Upgraded>;
