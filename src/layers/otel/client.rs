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
            // The head says whether the spans were taken. Without the rest they would be sent again.
            let body = Limited::new(body, MAX_BYTES).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(self.timeout, sent).await.map_err(|_| "it took too long")?
    }

    /// Tells the log when the collector goes away, and when it is back.
    fn tell(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match news(fault(sent), &mut told, Instant::now()) {
            None => {}
            Some(News::Back) => tracing::info!("spans are exported again"),
            Some(News::Away(why)) => {
                tracing::warn!(why, "spans could not be exported; requests are answered as before");
            }
        }
    }
}

fn fault(sent: &Result<Response<Bytes>, HttpError>) -> Option<String> {
    match sent {
        Ok(response) if response.status().is_success() => None,
        Ok(response) => Some(format!("the answer was {}", response.status())),
        Err(error) => Some(error.to_string()),
    }
}

/// What the log is told.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Away(String),
    Back,
}

/// What is new, where an export failed for a reason or did not fail, and when it was `told` last that they fail.
fn news(why: Option<String>, told: &mut Option<Instant>, now: Instant) -> Option<News> {
    match (why, *told) {
        (None, before) => {
            *told = None;
            before.map(|_| News::Back)
        }
        (Some(_), Some(last)) if now.duration_since(last) < QUIET => None,
        (Some(why), _) => {
            *told = Some(now);
            Some(News::Away(why))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_down_is_told_of_once_a_minute_and_that_it_is_back() {
        let (mut told, begin) = (None, Instant::now());
        let mut after =
            |seconds, why: Option<&str>| news(why.map(str::to_owned), &mut told, begin + Duration::from_secs(seconds));
        let away = |why: &str| Some(News::Away(why.to_owned()));
        assert_eq!(after(0, None), None);
        assert_eq!(after(1, Some("refused")), away("refused"));
        assert_eq!(after(60, Some("refused")), None);
        assert_eq!(after(61, Some("it took too long")), away("it took too long"));
        assert_eq!(after(62, None), Some(News::Back));
        assert_eq!(after(63, None), None);
        assert_eq!(after(64, Some("refused")), away("refused"));
    }

    #[test]
    fn what_is_no_success_is_a_fault() {
        let of = |status: u16| fault(&Ok(Response::builder().status(status).body(Bytes::new()).unwrap()));
        assert_eq!((of(200), of(202)), (None, None));
        for (status, why) in
            [(307, "307 Temporary Redirect"), (401, "401 Unauthorized"), (503, "503 Service Unavailable")]
        {
            assert_eq!(of(status), Some(format!("the answer was {why}")));
        }
        assert_eq!(fault(&Err("it took too long".into())), Some("it took too long".to_owned()));
    }
}
