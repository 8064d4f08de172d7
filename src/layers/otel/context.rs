use std::sync::Arc;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longer states are dropped as a whole. 512 are to be kept at least (W3C Trace Context, 3.3.1.5).
const MAX_STATE: usize = 4096;

/// In which trace a request is answered, and by which span: an extension of the request, and of its answer.
///
/// Requests that are sent on behalf of it carry it on: see [`inject`](Self::inject).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
    state: Option<Arc<str>>,
}

impl TraceContext {
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        let state = Some(span.trace_state().header()).filter(|state| !state.is_empty());
        span.is_valid().then(|| Self {
            trace: span.trace_id().to_bytes(),
            span: span.span_id().to_bytes(),
            sampled: span.is_sampled(),
            state: state.map(Arc::from),
        })
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The id of the span: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    /// Whether it is exported.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The value of the header `traceparent` of requests that are sent on behalf of this one.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), u8::from(self.sampled))
    }

    /// The value of the header `tracestate`, where there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Has a request that is sent on behalf of this one be a part of the trace.
    pub fn inject(&self, headers: &mut HeaderMap) {
        // Both are made of ASCII.
        if let Ok(value) = HeaderValue::from_str(&self.traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
        match self.tracestate().and_then(|state| HeaderValue::from_str(state).ok()) {
            Some(state) => headers.insert(TRACESTATE, state),
            None => headers.remove(TRACESTATE),
        };
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// What a client says of the trace that its request is a part of; none where that is not as it has to be.
pub(super) fn incoming(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let (trace, span, sampled) = parse(parent.as_bytes())?;
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(SpanContext::new(TraceId::from_bytes(trace), SpanId::from_bytes(span), flags, true, state(headers)))
}

/// W3C Trace Context, 3.2: `00-<32 digits>-<16 digits>-<2 digits>`, in small letters; later versions may have more behind that.
fn parse(text: &[u8]) -> Option<([u8; 16], [u8; 8], bool)> {
    let (known, more) = text.split_at_checked(55)?;
    let [version] = bytes(&known[..2])?;
    let is_dashed = [2, 35, 52].iter().all(|place| known[*place] == b'-');
    let is_whole = if version == 0 { more.is_empty() } else { more.first().is_none_or(|next| *next == b'-') };
    if version == 255 || !is_dashed || !is_whole {
        return None;
    }
    let (trace, span, [flags]) = (bytes(&known[3..35])?, bytes(&known[36..52])?, bytes(&known[53..])?);
    (trace != [0; 16] && span != [0; 8]).then_some((trace, span, flags & 1 == 1))
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// Of several headers one list is made (3.3.1.1).
fn state(headers: &HeaderMap) -> TraceState {
    let states: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|state| state.to_str().ok()).collect();
    let state = states.map(|states| states.join(",")).filter(|state| state.len() <= MAX_STATE);
    // Names have a character at least (3.3.1.3.1).
    let state = state.filter(|state| !state.split(',').any(|member| member.trim_start().starts_with('=')));
    state.and_then(|state| state.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_not_as_it_has_to_be_is_none() {
        assert!(parse(PARENT.as_bytes()).unwrap().2);
        assert!(parse(PARENT.replace("-01", "-03").as_bytes()).unwrap().2, "other flags are not known");
        assert!(!parse(PARENT.replace("-01", "-02").as_bytes()).unwrap().2);
        for later in ["01-", "cc-"] {
            assert!(parse(PARENT.replace("00-0a", &format!("{later}0a")).as_bytes()).is_some());
            assert!(parse(format!("{}-what", PARENT.replace("00-0a", &format!("{later}0a"))).as_bytes()).is_some());
            assert!(parse(format!("{}.what", PARENT.replace("00-0a", &format!("{later}0a"))).as_bytes()).is_none());
        }
        for wrong in [
            "".to_owned(),
            "00".to_owned(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-"),
            format!("{PARENT}0"),
            format!("ff{}", &PARENT[2..]),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            PARENT.replace("0af7", "+af7"),
            PARENT.replace("-01", "-+1"),
            PARENT.replace("-01", "-0x"),
            PARENT.replace("0af", "0äf"),
            "é".repeat(28),
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, PARENT.parse().unwrap());
        headers.append(TRACESTATE, "a=1, b=2".parse().unwrap());
        headers.append(TRACESTATE, "c=3".parse().unwrap());
        let context = TraceContext::of(&incoming(&headers).unwrap()).unwrap();
        assert_eq!((context.traceparent(), context.tracestate()), (PARENT.to_owned(), Some("a=1,b=2,c=3")));
        assert_eq!(context.trace_id() + &context.span_id(), "0af7651916cd43dd8448eb211c80319cb7ad6b7169203331");
        let mut sent = HeaderMap::new();
        context.inject(&mut sent);
        assert_eq!(
            (&sent[TRACEPARENT], &sent[TRACESTATE]),
            (&PARENT.parse().unwrap(), &"a=1,b=2,c=3".parse().unwrap())
        );

        // Each member may be as it is.
        let long: Vec<_> = (0..17).map(|number| format!("k{number}={}", "x".repeat(256))).collect();
        for wrong in ["a", "=1", &format!("a={}", "x".repeat(257)), &long.join(","), "a=1,a=\u{e9}"] {
            headers.insert(TRACESTATE, HeaderValue::from_bytes(wrong.as_bytes()).unwrap());
            let context = TraceContext::of(&incoming(&headers).unwrap()).unwrap();
            assert_eq!((context.traceparent(), context.tracestate()), (PARENT.to_owned(), None), "{wrong}");
            context.inject(&mut sent);
            assert!(!sent.contains_key(TRACESTATE));
        }
        headers.append(TRACEPARENT, PARENT.parse().unwrap());
        assert!(incoming(&headers).is_none(), "of two it is not clear which counts");
    }
}
