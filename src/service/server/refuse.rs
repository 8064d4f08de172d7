//! What connections over the limit are told.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::service::Problem;

/// How many refusals may be under way; beyond it connections are closed without a word.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells connections over the limit to come back later.
pub(super) struct Refusals {
    answer: Arc<[u8]>,
    permits: Arc<Semaphore>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        let body = Problem::unavailable("the server holds as many connections as it may", 1).to_bytes();
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), &body].concat();
        Self { answer: answer.into(), permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else { return };
        let answer = self.answer.clone();
        tokio::spawn(async move {
            let _permit = permit;
            // A socket closed with unread bytes is reset, and the answer lost: so read what there is, before and after.
            let mut scratch = [0; 4096];
            let _ = tokio::time::timeout(PATIENCE, async {
                if stream.read(&mut scratch).await? == 0 {
                    return Ok(());
                }
                stream.write_all(&answer).await?;
                stream.shutdown().await?;
                while stream.read(&mut scratch).await? > 0 {}
                Ok::<_, std::io::Error>(())
            })
            .await;
        });
    }
}
