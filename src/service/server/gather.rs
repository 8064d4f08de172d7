//! Small frames of a body, which go out together.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};

use crate::{Body, BoxError};

/// Frames are joined up to this length, in bytes; one that is half as long is sent as it is.
const ENOUGH: usize = 16 * 1024;

type Next = Option<Result<Frame<Bytes>, BoxError>>;

/// Joins what a body has ready. Each frame costs the protocol a head of its own, and nobody may rely on where one ends (RFC 9112, 7.1);
/// what is not there yet is not waited for.
#[derive(Default)]
pub(super) struct Gather {
    /// What has come behind that which was joined.
    behind: Option<Next>,
}

impl Gather {
    pub(super) fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Next> {
        let first = match self.behind.take() {
            Some(next) => next,
            None => ready!(Pin::new(&mut *body).poll_frame(cx)),
        };
        let first = match first {
            Some(Ok(frame)) if is_small(&frame) => frame.into_data().unwrap_or_default(),
            other => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        let mut length = first.len();
        while let Poll::Ready(next) = Pin::new(&mut *body).poll_frame(cx) {
            let data = next.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
            let Some(data) = data.filter(|data| length + data.len() <= ENOUGH) else {
                self.behind = Some(next);
                break;
            };
            if joined.is_empty() {
                joined.reserve(ENOUGH);
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(data);
            length += data.len();
        }
        Poll::Ready(Some(Ok(Frame::data(if joined.is_empty() { first } else { joined.freeze() }))))
    }

    /// Whether nothing more comes of `body`.
    pub(super) fn is_over(&self, body: &Body) -> bool {
        match &self.behind {
            None => body.is_end_stream(),
            Some(next) => next.is_none(),
        }
    }
}

/// Whether more may be worth to be joined to it.
fn is_small(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_some_and(|data| data.len() <= ENOUGH / 2)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::HeaderMap;

    use super::*;

    /// Gives what it was told, one after the other.
    struct Script(VecDeque<Poll<Next>>);

    impl HttpBody for Script {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
            cx.waker().wake_by_ref();
            self.0.pop_front().expect("it was asked for more after its end")
        }
    }

    fn data(length: usize) -> Poll<Next> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; length])))))
    }

    /// The lengths of frames that come of it, with how it ends.
    async fn gathered(script: impl IntoIterator<Item = Poll<Next>>) -> (Vec<usize>, &'static str) {
        let mut body = Body::new(Script(script.into_iter().collect()));
        let mut gather = Gather::default();
        let mut lengths = Vec::new();
        loop {
            match std::future::poll_fn(|cx| gather.poll_frame(&mut body, cx)).await {
                None => return (lengths, "end"),
                Some(Err(_)) => return (lengths, "error"),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => lengths.push(data.len()),
                    Err(_) => return (lengths, "trailers"),
                },
            }
        }
    }

    #[tokio::test]
    async fn what_is_there_is_joined_and_the_rest_not_waited_for() {
        let end = || Poll::Ready(None);
        for (script, lengths) in [
            (vec![end()], vec![]),
            (vec![data(1), data(2), end()], vec![3]),
            (vec![data(1), Poll::Pending, data(2), end()], vec![1, 2]),
            (vec![Poll::Pending, data(1), data(2), Poll::Pending, end()], vec![3]),
            (vec![data(0), data(0), data(2), end()], vec![2]),
            (vec![data(ENOUGH / 2), data(ENOUGH / 2), data(1), end()], vec![ENOUGH, 1]),
            (vec![data(ENOUGH / 2 + 1), data(1), data(1), end()], vec![ENOUGH / 2 + 1, 2]),
            (vec![data(1), data(ENOUGH), data(1), end()], vec![1, ENOUGH, 1]),
        ] {
            assert_eq!(gathered(script).await, (lengths, "end"));
        }
    }

    #[tokio::test]
    async fn what_comes_behind_comes_behind() {
        let trailers = Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new()))));
        assert_eq!(gathered([data(1), data(1), trailers]).await, (vec![2], "trailers"));
        assert_eq!(gathered([data(1), data(1), Poll::Ready(Some(Err("broken".into())))]).await, (vec![2], "error"));
    }

    #[tokio::test]
    async fn the_bytes_are_those_of_the_body_in_their_order() {
        let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let script: VecDeque<_> = text
            .chunks(700)
            .map(|chunk| Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(chunk))))))
            .chain([Poll::Ready(None)])
            .collect();
        let mut body = Body::new(Script(script));
        let mut gather = Gather::default();
        let mut all = Vec::new();
        while !gather.is_over(&body) {
            let frame = std::future::poll_fn(|cx| gather.poll_frame(&mut body, cx)).await;
            let frame = frame.expect("the last frame brings the end along").unwrap();
            all.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(all, text);
    }
}
