use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;

use super::TraceBody;
use super::record::Record;
use crate::layers::watched::Watch as _;

pin_project! {
    /// The answer of the inner service, whose body reports its end.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Dropped with the future when the client leaves.
        record: Option<Record>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, record: Option<Record>) -> Self {
        Self { inner, record }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: HttpBody,
{
    type Output = Result<Response<TraceBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(record) = this.record.as_mut() {
            record.polling(true);
        }
        let answer = this.inner.poll(cx);
        if let Some(record) = this.record.as_mut() {
            record.polling(false);
        }
        let answer = ready!(answer);
        let mut record = this.record.take();
        match answer {
            Ok(response) => {
                if let Some(record) = &mut record {
                    record.answered(&response);
                }
                Poll::Ready(Ok(response.map(|body| TraceBody::new(body, record))))
            }
            Err(error) => {
                if let Some(record) = record {
                    record.failed();
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
