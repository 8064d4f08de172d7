//! Spans as a collector gets them.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Method};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;
use ziggurat::layers::otel::{Export, OtelHandle, OtelLayer, TraceContext};
use ziggurat::layers::{ClientIp, TraceLayer};
use ziggurat::service::{Dispatcher, Leaf, LeafKind, RouteTableBuilder};
use ziggurat::{Body, BoxError, Request, Response, Route};

use crate::support::{bytes, channel, get, text};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a collector was sent: the path, the headers, and the batch.
pub type Sent = (String, HeaderMap, ExportTraceServiceRequest);

pub struct Collector {
    pub url: String,
    pub sent: mpsc::UnboundedReceiver<Sent>,
}

impl Collector {
    /// Answers with this status.
    pub async fn start(status: u16) -> Self {
        Self::answering(status, 0).await
    }

    /// And with so many bytes; with more than 64 KiB there is no end.
    pub async fn answering(status: u16, length: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, sent) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let sender = sender.clone();
                let take = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let sender = sender.clone();
                    async move {
                        assert_eq!(
                            (request.method(), &request.headers()["content-type"]),
                            (&Method::POST, &"application/x-protobuf".parse().unwrap())
                        );
                        let (head, body) = request.into_parts();
                        let batch =
                            ExportTraceServiceRequest::decode(body.collect().await.unwrap().to_bytes()).unwrap();
                        let _ = sender.send((head.uri.to_string(), head.headers, batch));
                        let frames = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; length])))]);
                        let body = if length > 64 * 1024 {
                            StreamBody::new(frames.chain(stream::pending())).boxed_unsync()
                        } else {
                            Full::<Bytes>::from(vec![0; length]).boxed_unsync()
                        };
                        Ok::<_, Infallible>(http::Response::builder().status(status).body(body).unwrap())
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), take));
            }
        });
        Self { url, sent }
    }

    pub fn layer(&self) -> (OtelLayer, OtelHandle) {
        let layer = OtelLayer::to(Export::new().endpoint(&self.url).unwrap().service_name("shop").unwrap()).unwrap();
        let handle = layer.handle();
        (layer, handle)
    }

    /// All spans that have ended.
    async fn spans(&mut self, handle: &OtelHandle) -> Vec<Span> {
        assert!(flush(handle, Duration::from_secs(10)).await);
        let mut spans = Vec::new();
        while let Ok((_, _, batch)) = self.sent.try_recv() {
            let scopes = batch.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        spans
    }
}

/// It blocks, and the collector runs here.
pub async fn flush(handle: &OtelHandle, limit: Duration) -> bool {
    let handle = handle.clone();
    tokio::task::spawn_blocking(move || handle.flush(limit)).await.unwrap()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn routes() -> Route {
    let mut table = RouteTableBuilder::new();
    let answer = |status: u16| {
        let service = service_fn(move |request: Request| async move {
            let trace = request.extensions().get::<TraceContext>().unwrap().traceparent();
            Ok::<_, Infallible>(http::Response::builder().status(status).body(Body::from(trace)).unwrap())
        });
        Leaf::new("leaf", LeafKind::Native, Route::new(service))
    };
    table.add(Some(Method::GET), "/users/{id}", answer(200)).unwrap();
    table.add(Some(Method::GET), "/down", answer(503)).unwrap();
    Route::new(Dispatcher::new(table.build().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_tells_what_conventions_ask_for() {
    let mut collector = Collector::start(200).await;
    let (layer, handle) = collector.layer();
    let service = layer.layer(routes());
    let mut request = get(
        "/users/7?token=secret",
        &[
            ("host", "shop.example:8080"),
            ("user-agent", "a browser"),
            ("authorization", "Bearer secret"),
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
        ],
    );
    request.extensions_mut().insert(ClientIp([203, 0, 113, 7].into()));
    let response = service.clone().oneshot(request).await.unwrap();
    let told = response.extensions().get::<TraceContext>().unwrap().clone();
    let seen = text(response.map(Body::from)).await;
    for path in ["/nowhere", "/down"] {
        bytes(service.clone().oneshot(get(path, &[])).await.unwrap().map(Body::from)).await;
    }
    let odd = Request::builder().method("BREW").uri("/").body(Body::empty()).unwrap();
    drop(service.oneshot(odd).await.unwrap());

    assert!(flush(&handle, Duration::from_secs(10)).await);
    let (path, headers, batch) = collector.sent.recv().await.unwrap();
    assert_eq!((&*path, &headers["user-agent"]), ("/v1/traces", &"ziggurat".parse().unwrap()));
    assert!(!format!("{batch:?}").contains("secret"));
    let resource = batch.resource_spans[0].resource.clone().unwrap();
    assert!(format!("{resource:?}").contains("\"shop\""), "{resource:?}");
    let spans = &batch.resource_spans[0].scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["GET /users/{id}", "GET", "GET /down", "HTTP"]);
    let span = &spans[0];
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(hex(&span.trace_id), &PARENT[3..35]);
    assert_eq!(hex(&span.parent_span_id), &PARENT[36..52]);
    assert_eq!(seen, format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)), "the handler sends it on");
    assert_eq!((told.traceparent(), told.tracestate(), &*span.trace_state), (seen, Some("a=1"), "a=1"));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0);
    for (name, wanted) in [
        ("http.request.method", "GET"),
        ("url.path", "/users/7"),
        ("url.scheme", "http"),
        ("http.route", "/users/{id}"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "55"),
        ("network.protocol.version", "1.1"),
        ("server.address", "shop.example"),
        ("server.port", "8080"),
        ("user_agent.original", "a browser"),
        ("client.address", "203.0.113.7"),
        ("ziggurat.leaf", "native"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(wanted), "{name}");
    }
    assert_eq!((attribute(span, "error.type"), attribute(span, "url.query")), (None, None));
    let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(spans.iter().map(status).collect::<Vec<_>>(), [0, 0, StatusCode::Error as i32, 0]);
    assert_eq!(attribute(&spans[1], "http.response.status_code").unwrap(), "404");
    assert_eq!(attribute(&spans[2], "error.type").unwrap(), "503");
    assert_eq!(attribute(&spans[3], "http.request.method").unwrap(), "_OTHER");
    assert_eq!(attribute(&spans[3], "http.request.method_original").unwrap(), "BREW");
    assert!(spans[1].parent_span_id.is_empty() && spans[1].trace_id != spans[2].trace_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_is_told() {
    let mut collector = Collector::start(200).await;
    let (layer, handle) = collector.layer();
    let mut service = layer.layer(service_fn(|request: Request| {
        assert_ne!(request.uri().path(), "/panics");
        async move {
            match request.uri().path() {
                "/panics-later" => panic!("boom"),
                "/fails" => Err::<Response, BoxError>("the inner error".into()),
                "/hangs" => pending().await,
                _ => Ok(Response::default()),
            }
        }
    }));
    assert!(AssertUnwindSafe(async { service.call(get("/panics", &[])).await }).catch_unwind().await.is_err());
    assert!(AssertUnwindSafe(service.call(get("/panics-later", &[]))).catch_unwind().await.is_err());
    assert!(service.call(get("/fails", &[])).await.is_err());
    assert!(service.call(get("/hangs", &[])).now_or_never().is_none());
    drop(service.call(get("/", &[])).await.unwrap());
    let spans = collector.spans(&handle).await;
    let ends: Vec<_> = spans
        .iter()
        .map(|span| (attribute(span, "error.type"), span.status.as_ref().map_or(0, |status| status.code)))
        .collect();
    let error = StatusCode::Error as i32;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        ends,
        [
            (some("panic"), error),
            (some("panic"), error),
            (some("failed"), error),
            (some("client_closed_request"), 0),
            (None, 0)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_ends_with_the_body() {
    let mut collector = Collector::start(200).await;
    let (layer, handle) = collector.layer();
    for breaks_off in [false, true] {
        let (sender, body) = channel();
        let body = std::sync::Mutex::new(Some(body));
        let service = layer.layer(service_fn(|_: Request| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Ok::<_, Infallible>(Response::new(body)) }
        }));
        let mut response = service.oneshot(get("/", &[])).await.unwrap();
        sender.send(Ok(Bytes::from("12345"))).unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        assert!(collector.spans(&handle).await.is_empty(), "it has not ended");
        if breaks_off {
            sender.send(Err("broken".into())).unwrap();
        }
        drop(sender);
        let last = response.body_mut().frame().await;
        assert_eq!(last.is_some(), breaks_off);
        let spans = collector.spans(&handle).await;
        assert_eq!(spans.len(), 1);
        let wanted = if breaks_off { (None, Some("failed".to_owned())) } else { (Some("5".to_owned()), None) };
        assert_eq!((attribute(&spans[0], "http.response.body.size"), attribute(&spans[0], "error.type")), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_began_a_trace_says_whether_it_is_exported() {
    let mut collector = Collector::start(200).await;
    let export = || Export::new().endpoint(&collector.url).unwrap();
    let of = |layer: OtelLayer| {
        let handle = layer.handle();
        (layer.layer(routes()), handle)
    };
    let (none, none_handle) = of(OtelLayer::to(export().sample(0.0).unwrap()).unwrap());
    let (all, all_handle) = of(OtelLayer::to(export()).unwrap());
    let (distrustful, distrustful_handle) = of(OtelLayer::to(export()).unwrap().trust_incoming(false));
    let (wary, wary_handle) = of(OtelLayer::to(export().sample(0.0).unwrap()).unwrap().trust_incoming(false));
    let unsampled = PARENT.replace("-01", "-00");
    let invalid = PARENT.to_uppercase();
    for (service, handle, parent, spans, goes_on) in [
        (&none, &none_handle, PARENT, 1, true),
        (&none, &none_handle, &*unsampled, 0, true),
        (&none, &none_handle, "", 0, false),
        (&none, &none_handle, &*invalid, 0, false),
        (&all, &all_handle, PARENT, 1, true),
        (&all, &all_handle, &*unsampled, 0, true),
        (&all, &all_handle, "", 1, false),
        (&all, &all_handle, &*invalid, 1, false),
        (&distrustful, &distrustful_handle, PARENT, 1, false),
        (&distrustful, &distrustful_handle, &*unsampled, 1, false),
        (&wary, &wary_handle, PARENT, 0, false),
    ] {
        let response = service.clone().oneshot(get("/users/1", &[("traceparent", parent)])).await.unwrap();
        let context = response.extensions().get::<TraceContext>().unwrap().clone();
        drop(response);
        assert_eq!(context.trace_id() == PARENT[3..35], goes_on, "{parent:?}");
        assert_eq!(context.is_sampled(), spans == 1, "{parent:?}");
        let exported = collector.spans(handle).await;
        assert_eq!(exported.len(), spans, "{parent:?}");
        for span in exported {
            let links: Vec<String> = span.links.iter().map(|link| hex(&link.trace_id)).collect();
            let is_linked = !goes_on && parent.starts_with("00-0af");
            assert_eq!(links, if is_linked { vec![PARENT[3..35].to_owned()] } else { Vec::new() }, "{parent:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_router_tells_the_route() {
    let mut collector = Collector::start(200).await;
    let (layer, handle) = collector.layer();
    let layer = layer.matched_path(|request: &http::Extensions| request.get::<&str>().map(|path| (*path).to_owned()));
    let service = layer.layer(service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) }));
    let mut request = get("/users/7", &[]);
    request.extensions_mut().insert("/users/{id}");
    drop(service.oneshot(request).await.unwrap());
    let spans = collector.spans(&handle).await;
    assert_eq!(
        (&*spans[0].name, attribute(&spans[0], "http.route").as_deref()),
        ("GET /users/{id}", Some("/users/{id}"))
    );
}

#[tokio::test]
async fn the_log_has_the_id_of_the_trace() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let otel = OtelLayer::to(Export::new().sample(0.0).unwrap()).unwrap();
    let outside = otel.layer(TraceLayer::new().layer(routes()));
    let inside = TraceLayer::new().layer(otel.layer(routes()));
    bytes(outside.oneshot(get("/users/1", &[("traceparent", PARENT)])).await.unwrap().map(Body::new)).await;
    bytes(inside.oneshot(get("/users/1", &[("traceparent", PARENT)])).await.unwrap().map(Body::new)).await;
    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let wanted = format!("trace_id=\"{}\"", &PARENT[3..35]);
    assert_eq!(written.matches(&wanted).count(), 2, "{written}");
}
