//! Where a request leaves hyper and enters the stack.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::sync::watch;
use tower::ServiceExt;
use tower::util::Oneshot;

use super::IncomingBody;
use super::activity::{Activity, InFlight};
use super::bound::Serve;
use super::builder::Settings;
use super::gather::Gather;
use crate::service::{Problem, Request, Response};
use crate::{Body, BoxError};

/// The two ends of the connection that a request came over; a request extension.
///
/// The peer may be a proxy: whom to trust about the client behind it is a decision of the application, told to
/// [`proxy_protocol`](super::ServerBuilder::proxy_protocol) or a layer.
#[derive(Debug, Clone)]
pub struct ConnectInfo {
    /// The other end, or that which a proxy named by the PROXY protocol.
    pub peer_addr: SocketAddr,
    /// Our end.
    pub local_addr: SocketAddr,
    /// Whether the server has been told to stop.
    pub(super) stop: watch::Receiver<bool>,
}

impl ConnectInfo {
    /// Of a request that comes over no connection, from this address. Nobody stops what it does.
    #[cfg(feature = "python")]
    pub(crate) fn in_process(peer_addr: SocketAddr) -> Self {
        let local_addr = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        Self { peer_addr, local_addr, stop: watch::channel(false).1 }
    }

    /// Ready once the server has been told to stop: an answer that has no end of its own should come to one.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.clone();
        async move {
            if stop.wait_for(|told| *told).await.is_err() {
                // The server is gone, and this connection with it.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Keeps a connection of HTTP/2 from counting as idle, and has a stop of the server wait: for whoever speaks something else through
/// a stream, of which the connection knows nothing once it is answered. An extension of requests that ask for that, by the extended
/// CONNECT of RFC 8441; a service that agrees takes it out and keeps it as long as the stream.
#[derive(Debug, Clone)]
pub struct Tunnel {
    _in_flight: Arc<InFlight>,
}

/// Hands the requests of one connection to `service`.
pub(super) struct Entry<S> {
    pub(super) service: S,
    pub(super) activity: Arc<Activity>,
    pub(super) info: ConnectInfo,
    pub(super) settings: Arc<Settings>,
}

impl<S: Serve> hyper::service::Service<Request<Incoming>> for Entry<S> {
    type Response = Response<SentBody>;
    type Error = Infallible;
    type Future = Answer<S>;

    fn call(&self, request: Request<Incoming>) -> Answer<S> {
        let in_flight = InFlight::begin(&self.activity);
        let (mut parts, incoming) = request.into_parts();
        // Over HTTP/1 hyper cuts the body off.
        let head = parts.method == Method::HEAD && parts.version == Version::HTTP_2;
        if let Err(problem) = check(&parts, self.settings.uri_bytes) {
            let problem = if parts.version == Version::HTTP_2 { problem } else { problem.closing() };
            let response = send(problem.into_response(), head, in_flight);
            return Answer { state: State::Refused { response: Some(response) }, head };
        }
        parts.extensions.insert(self.info.clone());
        if parts.method == Method::CONNECT && parts.extensions.get::<hyper::ext::Protocol>().is_some() {
            parts.extensions.insert(Tunnel { _in_flight: Arc::new(InFlight::begin(&self.activity)) });
        }
        let body = if incoming.is_end_stream() {
            Body::empty()
        } else {
            let Settings { body, body_rate, .. } = *self.settings;
            Body::incoming(IncomingBody::new(incoming, self.activity.clone(), body, body_rate))
        };
        let request = Request::from_parts(parts, body);
        let mut service = self.service.clone();
        // Nearly every stack is ready at once; one that is not is asked again with a waker that wakes.
        let state = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => State::Called { future: service.call(request), in_flight: Some(in_flight) },
            Poll::Pending => State::Waiting { future: service.oneshot(request), in_flight: Some(in_flight) },
        };
        Answer { state, head }
    }
}

pin_project! {
    /// The answer of the stack, or a refusal.
    pub(super) struct Answer<S: Serve> {
        #[pin]
        state: State<S>,
        head: bool,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S: Serve> {
        Refused { response: Option<Response<SentBody>> },
        Called { #[pin] future: S::Future, in_flight: Option<InFlight> },
        Waiting { #[pin] future: Oneshot<S, Request>, in_flight: Option<InFlight> },
    }
}

impl<S: Serve> Future for Answer<S> {
    type Output = Result<Response<SentBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (response, in_flight) = match this.state.project() {
            StateProj::Refused { response } => match response.take() {
                Some(response) => return Poll::Ready(Ok(response)),
                // Polled after it was ready, which no executor does.
                None => return Poll::Pending,
            },
            StateProj::Called { future, in_flight } => (ready!(future.poll(cx)), in_flight.take()),
            StateProj::Waiting { future, in_flight } => (ready!(future.poll(cx)), in_flight.take()),
        };
        let Ok(response) = response;
        match in_flight {
            Some(in_flight) => Poll::Ready(Ok(send(response, *this.head, in_flight))),
            None => Poll::Pending,
        }
    }
}

/// Makes an answer ready to be sent. One to HEAD keeps the length of its body and loses the rest: whoever answered, a layer or
/// a leaf, need not have looked at the method, and a client ends the stream when a body comes (RFC 9113, 8.1.1).
fn send(mut response: Response, head: bool, in_flight: InFlight) -> Response<SentBody> {
    if head && !response.body().is_end_stream() {
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.hands_over();
    }
    response.map(|body| {
        // What has a length comes in pieces of a good size; what has none is often made of small ones.
        let gather = body.size_hint().exact().is_none().then(Gather::default);
        SentBody { body, gather, in_flight }
    })
}

/// A response body on its way out, which keeps its request in flight.
pub(super) struct SentBody {
    body: Body,
    gather: Option<Gather>,
    in_flight: InFlight,
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = match &mut this.gather {
            Some(gather) => gather.poll_frame(&mut this.body, cx),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        this.in_flight.progress(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.gather {
            Some(gather) => gather.is_over(&self.body),
            None => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        // What was joined is not the body's any more.
        if self.gather.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

/// What hyper leaves to its user: the length of the target, and `Host` (RFC 9112, 3.2).
fn check(parts: &http::request::Parts, uri_bytes: usize) -> Result<(), Problem> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > uri_bytes {
        return Err(
            Problem::of(StatusCode::URI_TOO_LONG).detail(format!("path and query may have at most {uri_bytes} bytes"))
        );
    }
    match parts.version {
        Version::HTTP_11 => check_host(&parts.headers, true),
        _ => check_host(&parts.headers, false),
    }
}

fn check_host(headers: &HeaderMap, required: bool) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Problem::bad_request("the Host header is not a host with an optional port")),
        (None, _) if !required => Ok(()),
        (None, _) => Err(Problem::bad_request("the Host header is missing")),
        (Some(_), Some(_)) => Err(Problem::bad_request("there is more than one Host header")),
    }
}

/// `uri-host [ ":" port ]` of RFC 9110, 7.2; empty when the target has no authority.
fn is_host(bytes: &[u8]) -> bool {
    let (host, port) = if bytes.first() == Some(&b'[') {
        let Some(end) = bytes.iter().position(|&b| b == b']') else { return false };
        let (literal, rest) = bytes.split_at(end + 1);
        let inner = &literal[1..literal.len() - 1];
        let is_address = std::str::from_utf8(inner).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        match (is_address, rest) {
            (true, []) => return true,
            (true, [b':', port @ ..]) => (&b""[..], port),
            _ => return false,
        }
    } else {
        match bytes.iter().position(|&b| b == b':') {
            Some(colon) => (&bytes[..colon], &bytes[colon + 1..]),
            None => (bytes, &b""[..]),
        }
    };
    let is_name = |&b: &u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b);
    host.iter().all(is_name) && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_other_text() {
        for good in ["example.org", "example.org:8080", "127.0.0.1:1", "[::1]", "[::1]:8000", "a_b", "", "x:"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in ["a b", "a/b", "a@b", "a:b", "[::1", "[::1]x", "[zz]", "a:123456", "a,b c", "a\u{e9}", "a:1:2"] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
