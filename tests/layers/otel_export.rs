//! Spans on their way to a collector, which may not be there, or not take them.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_layer::Layer;
use ziggurat::layers::LayerSpec;
use ziggurat::layers::otel::{Export, OtelLayer};

use crate::otel::{Collector, flush, routes};
use crate::support::{get, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_holds_up_nobody() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [hanging.local_addr().unwrap(), refusing.local_addr().unwrap()];
    drop(refusing);
    let failing = Collector::start(500).await;
    for url in [format!("http://{}", addresses[0]), format!("http://{}", addresses[1]), failing.url.clone()] {
        let export = Export::new().endpoint(&url).unwrap().timeout(Duration::from_millis(200));
        let layer = OtelLayer::to(export).unwrap();
        let handle = layer.handle();
        let service = layer.layer(routes());
        let begun = Instant::now();
        // More than the queue takes.
        for _ in 0..5000 {
            assert_eq!(service.clone().oneshot(get("/users/1", &[])).await.unwrap().status(), 200);
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}: {:?}", begun.elapsed());
        let begun = Instant::now();
        let flushed = flush(&handle, Duration::from_millis(100)).await;
        assert!(!flushed || !url.contains(&addresses[0].to_string()), "it waits for who does not answer");
        assert!(begun.elapsed() < Duration::from_secs(2), "{url}: {:?}", begun.elapsed());
        // A thread of its own does what is left to do.
        let begun = Instant::now();
        drop((service, layer, handle));
        assert!(begun.elapsed() < Duration::from_millis(500), "{url}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_tells_whether_all_was_taken() {
    // One has a longer answer than any collector, which is not read to its end.
    for (status, length, taken, times) in
        [(200, 10, true, 1), (200, 65 * 1024, true, 1), (401, 0, false, 1), (500, 0, false, 1), (503, 0, false, 4)]
    {
        let mut collector = Collector::answering(status, length).await;
        let (layer, handle) = collector.layer();
        drop(layer.layer(routes()).oneshot(get("/users/1", &[])).await.unwrap());
        assert_eq!(flush(&handle, Duration::from_secs(10)).await, taken, "{status} {length}");
        assert!(flush(&handle, Duration::from_secs(10)).await, "nothing is left");
        let mut sent = 0;
        while collector.sent.try_recv().is_ok() {
            sent += 1;
        }
        assert_eq!(sent, times, "{status} {length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_takes_no_longer_than_it_may() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let export = Export::new().endpoint(&url).unwrap().timeout(Duration::from_millis(200));
    let layer = OtelLayer::to(export).unwrap();
    drop(layer.layer(routes()).oneshot(get("/users/1", &[])).await.unwrap());
    let begun = Instant::now();
    assert!(!flush(&layer.handle(), Duration::from_secs(20)).await);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_exported_when_the_layer_is_dropped() {
    let mut collector = Collector::start(200).await;
    let export = Export::new().endpoint(&collector.url).unwrap().header("x-api-key", "the key").unwrap();
    assert!(!format!("{export:?}").contains("the key"));
    let layer = OtelLayer::to(export).unwrap();
    assert!(!format!("{layer:?}").contains("the key"));
    drop(layer.layer(routes()).oneshot(get("/users/1", &[])).await.unwrap());
    drop(layer);
    let sent = tokio::time::timeout(Duration::from_secs(10), collector.sent.recv()).await.unwrap();
    assert_eq!(sent.unwrap().1["x-api-key"], "the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_of_data_is_flushed_by_its_handle() {
    let mut collector = Collector::start(200).await;
    let spec = LayerSpec::from_json(&format!(r#"{{"type":"Otel","endpoint":"{}/"}}"#, collector.url)).unwrap();
    let LayerSpec::Otel(otel) = &spec else { panic!("{spec:?}") };
    let handle = otel.handle.clone();
    let route = spec.build().unwrap().apply(routes());
    assert_eq!(text(route.oneshot(get("/users/1", &[])).await.unwrap()).await.len(), 55);
    assert!(flush(handle.get().unwrap(), Duration::from_secs(10)).await);
    let (path, _, batch) = collector.sent.recv().await.unwrap();
    assert_eq!(path, "/v1/traces");
    let spans = &batch.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans[0].name, "GET /users/{id}");
}
