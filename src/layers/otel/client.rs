use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::RootCertStore;
use tokio::runtime::{Builder, Runtime};

use crate::layers::outbound;

/// A collector that is down is told of once in so much time.
const QUIET: Duration = Duration::from_secs(60);
/// Answers of a collector have a few bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Sends what the thread that exports gives it, on that thread.
pub(super) struct Client {
    /// Of its own: the program's may end before the last spans are sent. There until this is dropped.
    runtime: Option<Runtime>,
    roots: Arc<RootCertStore>,
    timeout: Duration,
    told: Mutex<Option<Instant>>,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let roots = Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
        Ok(Self { runtime: Some(runtime), roots, timeout, told: Mutex::new(None) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = async {
            let response = outbound::send(request.map(Full::new), &self.roots).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout(self.timeout, sent).await.map_err(|_| "it took too long")?
    }

    /// Tells the log when the collector goes away, and when it is back.
    fn tell(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let why = match sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the answer was {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match (why, *told) {
            (None, None) => {}
            (None, Some(_)) => {
                *told = None;
                tracing::info!("spans are exported again");
            }
            (Some(_), Some(last)) if last.elapsed() < QUIET => {}
            (Some(why), _) => {
                *told = Some(Instant::now());
                tracing::warn!(why, "spans could not be exported; requests are answered as before");
            }
        }
    }
}

/// It may be dropped within another runtime, as when a setting beside it is refused, and there a runtime must not wait for its end.
impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'sent>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'a: 'sent,
        Self: 'sent,
    {
        Box::pin(async move {
            let runtime = self.runtime.as_ref().ok_or("it has ended")?;
            let sent = runtime.block_on(self.send(request));
            self.tell(&sent);
            sent
        })
    }
}
