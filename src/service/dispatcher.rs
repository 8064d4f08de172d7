//! Hands a request to the leaf that its path and method name.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::table::{MethodEntry, PathEntry};
use super::{LeafInfo, Location, PathParams, Problem, Request, Response, Route, RouteTable, Violation};
use crate::{Body, BoxError};

/// The service at the bottom of a stack: path first, then method.
///
/// An unknown path is a 404, a known path with another method a 405 with `Allow`. HEAD is answered from GET unless a leaf
/// names it, OPTIONS with `Allow`. Always ready: a leaf that has no capacity answers so itself.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    table: Arc<RouteTable>,
}

impl Dispatcher {
    /// Dispatches over `table`.
    pub fn new(table: RouteTable) -> Self {
        Self { table: Arc::new(table) }
    }

    /// The frozen table.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    fn decide<B>(&self, request: &Request<B>) -> Decision {
        let path = request.uri().path();
        let Ok(found) = self.table.router.at(path) else {
            return Decision::Answer(Problem::not_found("no route has this path").into_response());
        };
        let method = request.method();
        let Some((entry, head)) = choose(found.value, method) else {
            return Decision::Answer(other_method(found.value, method));
        };
        let mut params = Vec::with_capacity(entry.names.len());
        for (name, (_, raw)) in entry.names.iter().zip(found.params.iter()) {
            match percent_decode_str(raw).decode_utf8() {
                Ok(value) if well_escaped(raw) => params.push((name.clone(), value.into())),
                _ => return Decision::Answer(undecodable(name)),
            }
        }
        Decision::Leaf { info: entry.info.clone(), route: entry.route.clone(), params, head }
    }
}

enum Decision {
    Answer(Response),
    Leaf { info: Arc<LeafInfo>, route: Route, params: Vec<(Arc<str>, Box<str>)>, head: bool },
}

/// The entry that answers `method`, and whether its body has to be cut off.
fn choose<'a>(path: &'a PathEntry, method: &Method) -> Option<(&'a MethodEntry, bool)> {
    let named = |wanted: &Method| path.methods.iter().find(|entry| entry.method.as_ref() == Some(wanted));
    if let Some(entry) = named(method) {
        return Some((entry, false));
    }
    if method == Method::HEAD
        && let Some(entry) = named(&Method::GET)
    {
        return Some((entry, true));
    }
    path.any.as_ref().map(|entry| (entry, false))
}

fn other_method(path: &PathEntry, method: &Method) -> Response {
    let mut response = if method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            .detail("this path answers only the methods in Allow")
            .into_response()
    };
    response.headers_mut().insert(ALLOW, path.allow.clone());
    response
}

/// Whether every percent sign is followed by two hexadecimal digits (RFC 3986, 2.1).
fn well_escaped(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    bytes
        .iter()
        .enumerate()
        .all(|(i, &b)| b != b'%' || bytes.get(i + 1..i + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)))
}

fn undecodable(name: &str) -> Response {
    Problem::bad_request("the path is not percent-encoded UTF-8")
        .errors(vec![Violation::new(
            Location::Path(name.to_owned()),
            "percent_encoding",
            "must be percent-encoded UTF-8",
        )])
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
        match self.decide(&request) {
            Decision::Answer(response) => ResponseFuture { state: State::Answer { response: Some(response) } },
            Decision::Leaf { info, mut route, params, head } => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(info.clone());
                if !params.is_empty() {
                    request.extensions_mut().insert(PathParams::new(params));
                }
                // Leaves are always ready: they shed load by answering 503.
                let future = route.call(request);
                ResponseFuture { state: State::Leaf { future, info: Some(info), head } }
            }
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
            future: <Route as Service<Request>>::Future,
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
    if let Some(length) = body.size_hint().exact()
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}
