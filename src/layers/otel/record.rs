use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Version};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::TraceContext;
use super::context::incoming;
use crate::layers::watched::{Watch, has_no_content};
use crate::service::LeafInfo;

/// Longer values are cut: what a client sends is not to fill the memory of a collector.
const MAX_VALUE: usize = 1024;

/// The span of a request. It ends when this is dropped, however that comes about.
#[derive(Debug)]
pub struct Record {
    span: Span,
    /// As it stands in the name of the span: `HTTP` for those that are not known.
    method: &'static str,
    is_head: bool,
    matched: Option<String>,
    answered: Option<StatusCode>,
    polling: bool,
    sent: u64,
}

impl Record {
    pub(super) fn start<B>(
        tracer: &SdkTracer,
        request: &Request<B>,
        trust_incoming: bool,
        matched: Option<String>,
    ) -> Self {
        let method = known(request.method()).unwrap_or("HTTP");
        let builder = tracer.span_builder(method).with_kind(SpanKind::Server);
        let sent = incoming(request.headers());
        let parent = match &sent {
            Some(sent) if trust_incoming => Context::new().with_remote_span_context(sent.clone()),
            _ => Context::new(),
        };
        let mut span = tracer.build_with_context(builder, &parent);
        if span.is_recording() {
            span.set_attributes(attributes(request));
            if let Some(sent) = sent.filter(|_| !trust_incoming) {
                span.add_link(sent, Vec::new());
            }
        }
        let is_head = request.method() == Method::HEAD;
        Self { span, method, is_head, matched, answered: None, polling: false, sent: 0 }
    }

    pub(super) fn context(&self) -> Option<TraceContext> {
        TraceContext::of(self.span.span_context())
    }

    fn fault(&mut self, kind: String) {
        self.span.set_attribute(KeyValue::new("error.type", kind));
        // Not why: that is for the log.
        self.span.set_status(Status::error(""));
    }
}

impl Watch for Record {
    const IN_MEMORY_IS_SENT: bool = true;

    fn polling(&mut self, now: bool) {
        self.polling = now;
    }

    fn answered<B>(&mut self, response: &mut Response<B>) {
        let status = response.status();
        self.answered = Some(status);
        if let Some(context) = self.context() {
            response.extensions_mut().insert(context);
        }
        if !self.span.is_recording() {
            return;
        }
        let leaf = response.extensions().get::<Arc<LeafInfo>>();
        if let Some(leaf) = leaf {
            self.span.set_attribute(KeyValue::new("ziggurat.leaf", leaf.kind.as_str()));
        }
        if let Some(route) = leaf.map(|leaf| &*leaf.path).or(self.matched.as_deref()) {
            self.span.update_name(format!("{} {route}", self.method));
            self.span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            self.fault(status.as_str().to_owned());
        }
    }

    fn failed_to_answer(&mut self) {
        self.answered = Some(StatusCode::INTERNAL_SERVER_ERROR);
        self.fault("failed".to_owned());
    }

    fn has_no_content(&self) -> bool {
        self.answered.is_some_and(|status| has_no_content(self.is_head, status))
    }

    fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    fn complete(mut self) {
        let bytes = i64::try_from(self.sent).unwrap_or(i64::MAX);
        self.span.set_attribute(KeyValue::new("http.response.body.size", bytes));
    }

    fn failed(mut self) {
        self.fault("failed".to_owned());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match (self.answered, self.polling) {
            (Some(_), _) => {}
            (None, true) => self.fault("panic".to_owned()),
            (None, false) => self.span.set_attribute(KeyValue::new("error.type", "client_closed_request")),
        }
        self.span.end();
    }
}

/// The methods that names of spans may hold: any may be sent.
fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 10] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|name| *name == method.as_str())
}

/// What OpenTelemetry's conventions say of a server's span, without the query: it may hold secrets.
fn attributes<B>(request: &Request<B>) -> Vec<KeyValue> {
    let (uri, headers) = (request.uri(), request.headers());
    let mut attributes = vec![
        KeyValue::new("http.request.method", known(request.method()).unwrap_or("_OTHER")),
        KeyValue::new("url.path", cut(uri.path())),
        KeyValue::new("url.scheme", if uri.scheme_str() == Some("https") { "https" } else { "http" }),
        KeyValue::new("network.protocol.version", version(request.version())),
    ];
    if known(request.method()).is_none() {
        attributes.push(KeyValue::new("http.request.method_original", cut(request.method().as_str())));
    }
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(host) = uri.authority().cloned().or(host) {
        attributes.push(KeyValue::new("server.address", cut(host.host())));
        attributes.extend(host.port_u16().map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    if let Some(agent) = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        attributes.push(KeyValue::new("user_agent.original", cut(agent)));
    }
    attributes.extend(client_of(request.extensions()).map(|client| KeyValue::new("client.address", client)));
    attributes
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn cut(text: &str) -> String {
    let end = (0..=MAX_VALUE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(feature = "client-ip")]
fn client_of(extensions: &http::Extensions) -> Option<String> {
    extensions.get::<crate::layers::ClientIp>().map(|client| client.0.to_string())
}

#[cfg(not(feature = "client-ip"))]
fn client_of(_: &http::Extensions) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_cut() {
        assert_eq!(cut("abc"), "abc");
        assert_eq!(cut(&"a".repeat(MAX_VALUE + 1)), "a".repeat(MAX_VALUE));
        // Not within a character.
        assert_eq!(cut(&format!("a{}", "\u{e9}".repeat(MAX_VALUE))).len(), MAX_VALUE - 1);
    }

    #[test]
    fn a_host_is_told_without_the_name_of_a_user() {
        let of = |target: &str, host: &str| {
            let request = Request::get(target).header("host", host).body(()).unwrap();
            let told = attributes(&request);
            let of = |name: &str| told.iter().find(|told| told.key.as_str() == name).map(|told| told.value.to_string());
            assert!(!format!("{told:?}").contains("hunter2"));
            (of("server.address"), of("server.port"))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("/", "ann:hunter2@a.example:81"), (some("a.example"), some("81")));
        assert_eq!(of("http://ann:hunter2@b.example/?hunter2", "a.example:81"), (some("b.example"), None));
        assert_eq!(of("/", "a b"), (None, None));
    }
}
