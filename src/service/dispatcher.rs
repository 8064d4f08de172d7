//! Hands a request to the leaf that its path and method name.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::Either;
use http::header::{ALLOW, CONTENT_LENGTH, UPGRADE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::route::ResponseFuture as RouteFuture;
use super::table::MethodEntry;
use super::{LeafInfo, Location, PathParams, Problem, Request, Response, Route, RouteTable, Violation};
use crate::{Body, BoxError};

/// The service at the bottom of a stack: path first, then method.
///
/// An unknown path is a 404, a known path with another method a 405 with `Allow`. HEAD is answered from GET unless a leaf
/// names it, OPTIONS with `Allow`. Always ready: a leaf that has no capacity answers so itself. A WebSocket handshake goes to the
/// leaf that [`add_websocket`](super::RouteTableBuilder::add_websocket) put there, where there is one.
///
/// Paths are compared as they were sent: `/users/` and `/%75sers` are not `/users`, so that a layer that looks at the path
/// sees what the dispatcher sees.
#[derive(Clone)]
pub struct Dispatcher {
    table: Arc<RouteTable>,
    on_refusal: Option<OnRefusal>,
}

/// Answers a request in the place of a dispatcher that has no leaf for it, given what that would say.
pub(crate) type OnRefusal = Arc<dyn Fn(Request, Response) -> RouteFuture + Send + Sync>;

impl Dispatcher {
    /// Dispatches over `table`.
    pub fn new(table: RouteTable) -> Self {
        Self { table: Arc::new(table), on_refusal: None }
    }

    /// Has the requests that no leaf is for answered by `answer`.
    #[cfg(feature = "python")]
    pub(crate) fn on_refusal(mut self, answer: OnRefusal) -> Self {
        self.on_refusal = Some(answer);
        self
    }

    /// The frozen table.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Hands a request to the leaf it names if that leaf skips just these layers, else to another route.
    pub(super) fn skipping(
        &self,
        request: Request,
        skips: &[String],
        or: &Route,
    ) -> Either<ResponseFuture, RouteFuture> {
        match decide(&self.table, &request) {
            Decision::Leaf { entry, params, head } if entry.info.skips == skips => {
                Either::Left(enter(request, entry, params, head))
            }
            _ => Either::Right(or.answer(request)),
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("table", &self.table).finish_non_exhaustive()
    }
}

fn enter(mut request: Request, entry: &MethodEntry, params: Option<PathParams>, head: bool) -> ResponseFuture {
    request.extensions_mut().insert(entry.info.clone());
    if let Some(params) = params {
        request.extensions_mut().insert(params);
    }
    let future = entry.route.answer(request);
    ResponseFuture { state: State::Leaf { future, info: Some(entry.info.clone()), head } }
}

enum Decision<'a> {
    Answer(Response),
    Leaf { entry: &'a MethodEntry, params: Option<PathParams>, head: bool },
}

fn decide<'a, B>(table: &'a RouteTable, request: &http::Request<B>) -> Decision<'a> {
    let (uri, method) = (request.uri(), request.method());
    let Ok(found) = table.router.at(uri.path()) else {
        return Decision::Answer(nowhere(table, uri.path(), method));
    };
    let leaf = match &found.value.websocket {
        Some(socket) if is_handshake(request) => Some((socket, false)),
        // A tunnel is for nobody else but what hands requests on: a leaf that answers any method would take it for an ordinary request.
        _ if tunnelled(request).is_some() => found.value.any.as_ref().filter(|any| any.tunnels).map(|any| (any, false)),
        _ => found.value.leaf(method),
    };
    let Some((entry, head)) = leaf else {
        return Decision::Answer(other_method(&found.value.allow, &found.value.accepts, method));
    };
    if entry.names.is_empty() {
        return Decision::Leaf { entry, params: None, head };
    }
    match PathParams::decode(uri, &entry.names, found.params.iter().map(|(_, raw)| raw)) {
        Ok(params) => Decision::Leaf { entry, params: Some(params), head },
        Err(index) => Decision::Answer(undecodable(entry.names.get(index))),
    }
}

/// Whether somebody wants to speak WebSocket, in the words of HTTP/1.1 (RFC 6455, 4.1) or of HTTP/2 (RFC 8441, 4).
pub(crate) fn is_handshake<B>(request: &http::Request<B>) -> bool {
    let asks = |value: &HeaderValue| {
        value.to_str().unwrap_or_default().split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket"))
    };
    match *request.method() {
        Method::GET => request.headers().get_all(UPGRADE).iter().any(asks),
        Method::CONNECT => tunnelled(request) == Some("websocket"),
        _ => false,
    }
}

/// What an extended CONNECT wants to speak.
#[cfg(feature = "server")]
fn tunnelled<B>(request: &http::Request<B>) -> Option<&str> {
    if request.method() != Method::CONNECT {
        return None;
    }
    request.extensions().get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "server"))]
fn tunnelled<B>(_: &http::Request<B>) -> Option<&str> {
    None
}

/// The answer for a target that no route has.
fn nowhere(table: &RouteTable, path: &str, method: &Method) -> Response {
    if path == "*" && method == Method::OPTIONS {
        // What the server can do at all (RFC 9110, 9.3.7).
        return other_method(&table.allow, &[], method);
    }
    if !path.starts_with('/') {
        return Problem::bad_request("the request target is not a path").into_response();
    }
    let detail = match path.strip_suffix('/') {
        Some(without) if table.router.at(without).is_ok() => {
            "no route has this path; there is one without the slash at the end"
        }
        None if table.router.at(&format!("{path}/")).is_ok() => {
            "no route has this path; there is one with a slash at the end"
        }
        _ => "no route has this path",
    };
    Problem::not_found(detail).into_response()
}

fn other_method(allow: &HeaderValue, accepts: &[(HeaderName, HeaderValue)], method: &Method) -> Response {
    let mut response = if method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().extend(accepts.iter().cloned());
        response
    } else {
        Problem::of(StatusCode::METHOD_NOT_ALLOWED)
            .detail("this path answers only the methods in Allow")
            .into_response()
    };
    response.headers_mut().insert(ALLOW, allow.clone());
    response
}

fn undecodable(name: Option<&Arc<str>>) -> Response {
    let name = name.map_or_else(String::new, |name| name.as_ref().to_owned());
    Problem::bad_request("the path is not percent-encoded UTF-8")
        .errors(vec![Violation::new(Location::Path(name), "percent_encoding", "must be percent-encoded UTF-8")])
        .into_response()
}

impl<B> Service<Request<B>> for Dispatcher
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        match decide(&self.table, &request) {
            Decision::Answer(response) => match &self.on_refusal {
                Some(answer) if response.status().is_client_error() => {
                    let head = request.method() == Method::HEAD;
                    let future = answer(request.map(Body::new), response);
                    ResponseFuture { state: State::Leaf { future, info: None, head } }
                }
                _ => ResponseFuture { state: State::Answer { response: Some(response) } },
            },
            Decision::Leaf { entry, params, head } => enter(request.map(Body::new), entry, params, head),
        }
    }
}

pin_project! {
    /// The answer of a leaf, or of the dispatcher itself.
    pub struct ResponseFuture {
        #[pin]
        state: State,
    }
}

pin_project! {
    #[project = StateProj]
    enum State {
        Answer { response: Option<Response> },
        Leaf {
            #[pin]
            future: RouteFuture,
            info: Option<Arc<LeafInfo>>,
            head: bool,
        },
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Answer { response } => Poll::Ready(Ok(response.take().unwrap_or_default())),
            StateProj::Leaf { future, info, head } => {
                let Ok(mut response) = ready!(future.poll(cx));
                if let Some(info) = info.take() {
                    response.extensions_mut().insert(info);
                }
                Poll::Ready(Ok(if *head { without_body(response) } else { response }))
            }
        }
    }
}

/// The answer to HEAD: the headers that GET would have sent, with its length (RFC 9110, 9.3.2).
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // These have no body under GET either, and so no length (RFC 9110, 8.6).
    let bodiless = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = body.size_hint().exact()
        && !bodiless
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
