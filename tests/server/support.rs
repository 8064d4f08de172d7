//! A server to talk to, and clients that talk to it byte by byte.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use ziggurat::service::server::{ConnectInfo, Drained, Server, ServerBuilder, Tunnel};
use ziggurat::{Body, Problem, Request, Response};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Outcome = Result<(), Failure>;

/// No test should wait longer for anything, even on a crowded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    /// Requests whose work is neither finished nor dropped.
    pub(crate) at_work: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    hurry: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

/// A port of its own for every test.
pub(crate) fn server() -> ServerBuilder {
    Server::builder().port(0)
}

pub(crate) async fn start(builder: ServerBuilder) -> Running {
    let bound = builder.build().unwrap().bind().unwrap();
    let addr = bound.local_addr();
    let at_work = Arc::<AtomicUsize>::default();
    let service = {
        let at_work = at_work.clone();
        tower::service_fn(move |request: Request| answer(request, AtWork::begin(&at_work)))
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let (hurry, hurried) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        let hurried = async { drop(hurried.await) };
        bound.serve_until(service, stopped, hurried).await.unwrap()
    });
    Running { addr, at_work, stop: Some(stop), hurry: Some(hurry), task }
}

impl Running {
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) fn hurry(&mut self) {
        drop(self.hurry.take());
    }

    /// Drops the server in the middle of its work.
    pub(crate) fn abort(&self) {
        self.task.abort();
    }

    pub(crate) async fn drained(mut self) -> Drained {
        self.stop();
        // Kept until the end: a dropped sender is a signal.
        let hurry = self.hurry.take();
        let drained = within(self.task).await.unwrap();
        drop(hurry);
        drained
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.addr).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends `bytes` on a connection of its own and reads until the server closes it.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.rest().await
    }

    /// Waits until `count` requests are at work.
    pub(crate) async fn working(&self, count: usize) {
        until(|| self.at_work.load(Ordering::SeqCst) == count).await;
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "it never comes to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a client received as one response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        self.answer().await
    }

    /// Reads one response with a known length.
    pub(crate) async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read().await > 0, "closed before a head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.read().await > 0, "closed before the end of a body");
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Answer { status: head[9..12].parse().unwrap(), body }
    }

    async fn read(&mut self) -> usize {
        within(self.stream.read_buf(&mut self.buffer)).await.unwrap()
    }

    /// Everything until the server closes the connection; a reset counts as a close.
    pub(crate) async fn rest(&mut self) -> String {
        let _ = within(self.stream.read_to_end(&mut self.buffer)).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// How long it takes until the server closes the connection without saying anything.
    pub(crate) async fn closed_after(&mut self) -> Duration {
        let begin = Instant::now();
        assert_eq!(self.rest().await, "");
        begin.elapsed()
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|p| p.1)
}

/// Counts a request as at work until it is answered or dropped.
struct AtWork(Arc<AtomicUsize>);

impl AtWork {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends back what comes, and `bye` when the server stops; a stubborn one goes on.
async fn echo(upgrade: hyper::upgrade::OnUpgrade, info: ConnectInfo, stubborn: bool, at_work: AtWork) {
    let mut io = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
    let mut stopping = std::pin::pin!(info.stopping());
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            () = &mut stopping, if !stubborn => {
                io.write_all(b"bye").await.unwrap();
                break;
            }
            read = io.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => io.write_all(&buffer[..count]).await.unwrap(),
            }
        }
    }
    drop((io, at_work));
}

async fn answer(mut request: Request, at_work: AtWork) -> Result<Response, Infallible> {
    let argument: u64 = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
    let response = match request.uri().path() {
        "/hello" => Response::new(Body::from("hello")),
        "/hint" => Response::new(Body::from(format!("{:?}", request.body().size_hint().exact()))),
        "/peer" => {
            let info = request.extensions().get::<ConnectInfo>().unwrap();
            Response::new(Body::from(format!("{} {}", info.peer_addr, info.local_addr)))
        }
        "/echo" => match request.into_body().collect().await {
            Ok(body) => Response::new(Body::from(body.to_bytes())),
            Err(error) => Problem::unreadable(&*error).into_response(),
        },
        "/unread" => Problem::too_large(1).into_response(),
        "/sleep" => {
            tokio::time::sleep(Duration::from_millis(argument)).await;
            Response::new(Body::from("slept"))
        }
        "/endless" => {
            // The work lasts as long as the body.
            let chunks = futures_util::stream::repeat_with(move || {
                let _ = &at_work;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
            });
            return Ok(Response::new(Body::from_stream(chunks)));
        }
        "/feed" => {
            // An answer that ends when the server is told to stop.
            let stopping = Box::pin(request.extensions().get::<ConnectInfo>().unwrap().stopping());
            let chunks = futures_util::stream::unfold((stopping, true), |(mut stopping, begins)| async move {
                if !begins {
                    (&mut stopping).await;
                    return None;
                }
                Some((Ok::<_, Infallible>(Bytes::from_static(b"begun")), (stopping, false)))
            });
            return Ok(Response::new(Body::from_stream(chunks)));
        }
        "/upgrade" => {
            let info = request.extensions().get::<ConnectInfo>().unwrap().clone();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(echo(upgrade, info, argument == 1, at_work));
            let switch = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
            return Ok(switch.body(Body::empty()).unwrap());
        }
        "/tunnel" => {
            let info = request.extensions().get::<ConnectInfo>().unwrap().clone();
            let tunnel = request.extensions_mut().remove::<Tunnel>();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                echo(upgrade, info, argument == 1, at_work).await;
                drop(tunnel);
            });
            return Ok(Response::default());
        }
        "/panic" => panic!("a handler that panics"),
        _ => Problem::not_found("no such test").into_response(),
    };
    drop(at_work);
    Ok(response)
}
