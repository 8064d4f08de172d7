use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;

use super::{Record, ResponseBody};

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
    pub(super) fn new(inner: F, record: Record) -> Self {
        Self { inner, record: Some(record) }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: HttpBody,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polling = |record: &mut Option<Record>, now| record.iter_mut().for_each(|record| record.polling(now));
        polling(this.record, true);
        let answer = this.inner.poll(cx);
        polling(this.record, false);
        let answer = ready!(answer);
        let mut record = this.record.take();
        match answer {
            Ok(mut response) => {
                record.iter_mut().for_each(|record| record.answered(&mut response));
                Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, record))))
            }
            Err(error) => {
                record.iter_mut().for_each(Record::failed_to_answer);
                Poll::Ready(Err(error))
            }
        }
    }
}
