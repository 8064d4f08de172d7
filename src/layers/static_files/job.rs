use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use tokio::task::{JoinHandle, spawn_blocking};

use super::answer::Content;
use crate::Problem;

type Answer = Option<Response<Content>>;

/// What is done where one may wait for disks. It is not begun when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Job(JoinHandle<io::Result<Answer>>);

impl Job {
    pub(super) fn new(work: impl FnOnce() -> io::Result<Answer> + Send + 'static) -> Self {
        Self(spawn_blocking(work))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for Job {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(cx).map(|done| match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(%error, "a file could not be read");
                Some(Problem::internal().into_response())
            }
            Err(error) if error.is_panic() => Some(Problem::internal().into_response()),
            // The runtime ends.
            Err(_) => Some(Problem::unavailable("the server is stopping", 1).into_response()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_end_of_the_server() {
        let answer = Job::new(|| panic!("of a test")).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
}
