//! A server that runs on the runtime while the loop thread does something else.

use std::net::SocketAddr;
use std::pin::Pin;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::service::Stack;
use crate::service::server::{Drained, ServeError, Server};

/// A server that was told to stop.
pub(super) struct Served {
    /// Ready once what is in flight was counted.
    pub(super) stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What comes once it has drained.
    pub(super) drained: JoinHandle<Result<Drained, ServeError>>,
}

pub(super) struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    hurry: Option<oneshot::Sender<()>>,
    served: Option<Served>,
}

impl Serving {
    pub(super) fn begin(runtime: &Handle, server: Server, stack: Stack) -> Result<Self, ServeError> {
        let bound = server.bind()?;
        let address = bound.local_addr();
        let stopping = Box::pin(bound.stopping());
        let (stop, stopped) = oneshot::channel();
        let (hurry, hurried) = oneshot::channel();
        let drained = runtime.spawn(async move {
            let stopped = async { drop(stopped.await) };
            let hurried = async {
                if hurried.await.is_err() {
                    // Nobody can hurry any more.
                    std::future::pending::<()>().await;
                }
            };
            bound.serve_until(stack, stopped, hurried).await
        });
        Ok(Self { address, stop: Some(stop), hurry: Some(hurry), served: Some(Served { stopping, drained }) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to drain; gives what to wait for, once.
    pub(super) fn stop(&mut self) -> Option<Served> {
        drop(self.stop.take());
        self.served.take()
    }

    pub(super) fn hurry(&mut self) {
        if let Some(hurry) = self.hurry.take() {
            let _ = hurry.send(());
        }
    }
}

/// An address that is taken is an `OSError` with the system's number, as for any socket.
pub(super) fn refused(error: &ServeError) -> PyErr {
    match error {
        ServeError::Bind { source, .. } => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}
