//! One connection, from accept to close.

use std::any::Any;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::activity::{Activity, Order, Phase, Watch};
use super::bound::Serve;
use super::builder::Settings;
use super::entry::{ConnectInfo, Entry};
use super::io::WatchedIo;
use super::proxy;

/// hyper's default, for which it needs no allocation per request.
const HYPER_HEAD_FIELDS: usize = 100;

/// The protocol settings, made once and shared by all connections.
pub(super) type Protocol = auto::Builder<Tasks>;

pub(super) fn protocol(settings: &Settings) -> Protocol {
    let mut builder = auto::Builder::new(Tasks);
    let mut http1 = builder.http1();
    // The connection's own watch covers the head; see the module docs. A head has to fit into the buffer, which is the only
    // limit of its size that hyper-util lets through.
    http1.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(settings.head_bytes);
    if settings.head_fields != HYPER_HEAD_FIELDS {
        http1.max_headers(settings.head_fields);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX).min(16 * 1024))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        // WebSockets over a stream (RFC 8441).
        .enable_connect_protocol()
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.ping_timeout);
    builder
}

/// Serves `stream` until either side has enough of it. Nothing that goes wrong here leaves it.
pub(super) async fn serve<S: Serve>(
    mut stream: TcpStream,
    mut info: ConnectInfo,
    service: S,
    activity: Arc<Activity>,
    protocol: Arc<Protocol>,
    settings: Arc<Settings>,
) {
    let peer = info.peer_addr;
    if settings.proxies.iter().any(|network| network.contains(&peer.ip().to_canonical())) {
        match proxied(&mut stream, &activity, settings.first_byte).await {
            Ok(Some(client)) => info.peer_addr = client,
            Ok(None) => {}
            Err(error) => return debug!(%peer, %error, "connection closed: no PROXY header"),
        }
    }
    let peer = info.peer_addr;
    let (watch, timer) = Watch::new(&settings);
    let (held, gone) = oneshot::channel();
    let io = TokioIo::new(WatchedIo::new(stream, activity.clone(), held));
    let entry = Entry { service, activity: activity.clone(), info, settings };
    let run = async {
        let end = {
            // In a box, whose room is free again while the socket is somebody else's.
            let mut connection = Box::pin(protocol.serve_connection_with_upgrades(io, entry));
            drive(connection.as_mut(), &activity, watch, timer).await
        };
        outlive(gone).await;
        end
    };
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(End::Closed(Ok(()))) => {}
        Ok(End::Closed(Err(error))) => debug!(%peer, error = &*error, "connection ended early"),
        Ok(End::Overdue(phase)) => debug!(%peer, ?phase, "connection closed: deadline passed"),
        Ok(End::Dropped) => debug!(%peer, in_flight = activity.in_flight(), "connection dropped by the server"),
        Err(panic) => error!(%peer, panic = message(&*panic), "panic while serving a connection"),
    }
}

/// What a proxy says of a connection before anything else: whose it is, unless it is its own.
async fn proxied(stream: &mut TcpStream, activity: &Activity, within: Duration) -> io::Result<Option<SocketAddr>> {
    let told = poll_fn(|cx| {
        activity.wake_by(cx);
        // No request has come yet, so there is nothing to finish.
        if activity.ordered() == Order::Run { Poll::Pending } else { Poll::Ready(()) }
    });
    tokio::select! {
        biased;
        header = tokio::time::timeout(within, proxy::read(stream)) => header?,
        () = told => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")),
    }
}

/// Waits for whoever took the socket over, as a WebSocket does: its connection is still open, and still one of those that count. It
/// may go on until the server drops what is left; it is told to stop as all are, by [`ConnectInfo::stopping`].
async fn outlive(gone: oneshot::Receiver<Infallible>) {
    // It fails when the socket is dropped, which is all that it is for.
    let _ = gone.await;
}

enum End {
    Closed(Result<(), crate::BoxError>),
    Overdue(Phase),
    Dropped,
}

async fn drive<S: Serve>(
    mut connection: Pin<&mut auto::UpgradeableConnection<'_, TokioIo<WatchedIo>, Entry<S>, Tasks>>,
    activity: &Activity,
    mut watch: Watch,
    timer: tokio::time::Sleep,
) -> End {
    let mut timer = pin!(timer);
    let mut step = |cx: &mut Context<'_>| {
        activity.wake_by(cx);
        let order = activity.ordered();
        if order == Order::Drop {
            return Poll::Ready(End::Dropped);
        }
        if order == Order::Finish {
            watch.hurry();
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Closed(result));
            }
            let overdue = watch.check(activity, timer.as_mut(), cx);
            let close = match overdue {
                // Told to stop: after a poll, so that a request that has already come is still answered.
                None => order == Order::Finish && !watch.is_expecting(),
                Some(Phase::Idle(_)) => true,
                Some(phase) => return Poll::Ready(End::Overdue(phase)),
            };
            match (close, overdue) {
                (false, _) => return Poll::Pending,
                (true, _) if !watch.is_closing() => {
                    watch.closing();
                    connection.as_mut().graceful_shutdown();
                }
                (true, None) => return Poll::Pending,
                (true, Some(phase)) => return Poll::Ready(End::Overdue(phase)),
            }
        }
    };
    poll_fn(move |cx| step(cx)).await
}

/// Runs the streams of HTTP/2 connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(async {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                error!(panic = message(&*panic), "panic while serving a request");
            }
        });
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
