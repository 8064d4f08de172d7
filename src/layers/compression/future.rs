use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, VARY,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;

use super::body::Part;
use super::encoder::Encoder;
use super::layer::Settings;
use super::service::Asked;
use super::{Coding, CompressWhen, CompressionBody, etag};
use crate::BoxError;

/// Longer bodies are compressed while they are sent.
const ONE_SHOT: u64 = 128 * 1024;

pin_project! {
    /// The answer of the inner service, compressed where it helps.
    pub struct ResponseFuture<F, P> {
        #[pin]
        inner: F,
        asked: Asked,
        settings: Settings,
        when: P,
    }
}

impl<F, P> ResponseFuture<F, P> {
    pub(super) fn new(inner: F, asked: Asked, settings: Settings, when: P) -> Self {
        Self { inner, asked, settings, when }
    }
}

impl<F, P, B, E> Future for ResponseFuture<F, P>
where
    F: Future<Output = Result<Response<B>, E>>,
    P: CompressWhen,
    B: HttpBody<Data = Bytes> + From<Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<CompressionBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut parts, body) = ready!(this.inner.poll(cx))?.into_parts();
        let coding = this.asked.choice.coding;
        let plain = |parts, body| Poll::Ready(Ok(Response::from_parts(parts, CompressionBody::plain(body))));
        if parts.status == StatusCode::NOT_MODIFIED {
            // The head that a 200 would have had (RFC 9110, 15.4.5).
            vary(&mut parts.headers);
            if let (true, Some(coding)) = (this.asked.had_coded_tag, coding) {
                etag::outward(&mut parts.headers, coding);
            }
            return plain(parts, body);
        }
        if !may_be_coded(&parts) || !this.when.compress_when(&parts) {
            return plain(parts, body);
        }
        // Some services, such as Axum's routes, cut the body off outside of here and take its length before.
        let bodiless_head = this.asked.head && body.is_end_stream();
        let length = length(&parts, &body, bodiless_head);
        let min_size = if this.asked.choice.identity_refused { 1 } else { this.settings.min_size };
        if length.is_some_and(|length| length < min_size) {
            return plain(parts, body);
        }
        vary(&mut parts.headers);
        let Some(coding) = coding else { return plain(parts, body) };
        if bodiless_head {
            mark(&mut parts.headers, coding);
            return plain(parts, body);
        }
        let level = this.settings.level;
        let mut body = body;
        let input = match length {
            Some(length) if length <= ONE_SHOT => match read_at_once(&mut body, cx) {
                Ok(whole) => {
                    let coded = match Encoder::one_shot(coding, level, &whole) {
                        Ok(coded) if coded.len() < whole.len() || this.asked.choice.identity_refused => coded,
                        _ => return plain(parts, B::from(whole)),
                    };
                    mark(&mut parts.headers, coding);
                    parts.headers.insert(CONTENT_LENGTH, coded.len().into());
                    return plain(parts, B::from(coded));
                }
                Err(part) => part,
            },
            _ => Box::default(),
        };
        mark(&mut parts.headers, coding);
        let encoder = Encoder::new(coding, level, length.and_then(|length| usize::try_from(length).ok()));
        let body = CompressionBody::coded(body, encoder, *input, is_event_stream(&parts));
        Poll::Ready(Ok(Response::from_parts(parts, body)))
    }
}

/// Whether the rules of HTTP allow another coding of this answer.
fn may_be_coded(parts: &Parts) -> bool {
    let never = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT];
    // Digests of the content (RFC 9530) would no longer be true.
    let digest = [HeaderName::from_static("content-digest"), HeaderName::from_static("digest")];
    let headers = &parts.headers;
    !parts.status.is_informational()
        && !never.contains(&parts.status)
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !digest.iter().any(|name| headers.contains_key(name))
        && !has_token(headers, &CACHE_CONTROL, "no-transform")
}

/// The length of the content, when it is known.
fn length<B: HttpBody>(parts: &Parts, body: &B, bodiless_head: bool) -> Option<u64> {
    let announced = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    // The body is empty, whatever GET would send.
    if bodiless_head { announced() } else { body.size_hint().exact().or_else(announced) }
}

/// The whole body if it is there already, else the part of it that is.
fn read_at_once<B>(body: &mut B, cx: &mut Context<'_>) -> Result<Bytes, Box<Part>>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut part = Box::<Part>::default();
    while !body.is_end_stream() {
        let after = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    part.chunks.push_back(data);
                    continue;
                }
                Err(trailers) => Some(Ok(trailers)),
            },
            Poll::Ready(Some(Err(error))) => Some(Err(error.into())),
            Poll::Ready(None) => break,
            Poll::Pending => None,
        };
        part.after = after;
        return Err(part);
    }
    if part.chunks.len() <= 1 {
        return Ok(part.chunks.pop_front().unwrap_or_default());
    }
    let mut whole = BytesMut::new();
    part.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    Ok(whole.freeze())
}

/// What is different in the head of a coded answer.
fn mark(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, coding.header());
    headers.remove(CONTENT_LENGTH);
    // Ranges would be of the uncompressed bytes.
    headers.remove(ACCEPT_RANGES);
    etag::outward(headers, coding);
}

fn vary(headers: &mut HeaderMap) {
    if !has_token(headers, &VARY, "accept-encoding") && !has_token(headers, &VARY, "*") {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn is_event_stream(parts: &Parts) -> bool {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}
