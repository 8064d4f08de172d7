use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use tokio::task::{JoinHandle, spawn_blocking};

use super::answer::Content;
use super::disk::Disk;
use crate::Problem;

type Answer = Option<Response<Content>>;

/// What looks for a file: in memory first, at once, and else where one may wait for disks. It is not begun there when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Job(State);

#[derive(Debug)]
enum State {
    Done(Answer),
    Working(JoinHandle<io::Result<Answer>>),
}

impl Job {
    pub(super) fn new(work: impl Fn(Disk) -> io::Result<Answer> + Send + 'static) -> Self {
        Self(match work(Disk::InMemory) {
            Ok(answer) => State::Done(answer),
            Err(_) => State::Working(spawn_blocking(move || work(Disk::MayWait))),
        })
    }

    /// Whether it is done and there is no file.
    pub(super) fn has_found_nothing(&self) -> bool {
        matches!(self.0, State::Done(None))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let State::Working(work) = &self.0 {
            work.abort();
        }
    }
}

impl Future for Job {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let work = match &mut self.0 {
            State::Done(answer) => return Poll::Ready(answer.take()),
            State::Working(work) => work,
        };
        Pin::new(work).poll(cx).map(|done| match done {
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
    use super::super::disk::would_wait;
    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_end_of_the_server() {
        let work = |disk| if disk == Disk::MayWait { panic!("of a test") } else { Err(would_wait()) };
        assert_eq!(Job::new(work).await.unwrap().status(), 500);
    }

    #[tokio::test]
    async fn what_is_in_memory_needs_no_thread() {
        let answer = |status| {
            let mut response = Response::new(bytes::Bytes::new().into());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        };
        let job = Job::new(move |disk| Ok((disk == Disk::InMemory).then(|| answer(299))));
        assert_eq!(job.await.unwrap().status(), 299);
        assert!(Job::new(|_| Ok(None)).has_found_nothing());
        let job = Job::new(move |disk| if disk == Disk::MayWait { Ok(Some(answer(298))) } else { Err(would_wait()) });
        assert!(!job.has_found_nothing());
        assert_eq!(job.await.unwrap().status(), 298);
    }
}
