//! `bench-load events|echo PORT PATH CLIENTS SECONDS`: opens all connections, says `ready`, waits for a line, counts for so many
//! seconds, and says what it counted as JSON. Handshakes and the ends of connections are not within what is measured.

mod echo;
mod events;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// How many clients connect at once.
const AT_ONCE: usize = 64;
/// How long all of them may take for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What all clients count together.
#[derive(Default)]
struct Counts {
    counting: Cell<bool>,
    /// Clients that have had a first answer.
    ready: Cell<usize>,
    answers: Cell<u64>,
    bytes: Cell<u64>,
    errors: Cell<u64>,
    /// Of single answers, in microseconds.
    times: RefCell<Vec<u32>>,
}

impl Counts {
    fn answered(&self, bytes: usize, took: Duration) {
        if self.counting.get() {
            self.answers.set(self.answers.get() + 1);
            self.bytes.set(self.bytes.get() + bytes as u64);
            self.times.borrow_mut().push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    fn failed(&self, error: &io::Error) {
        if self.errors.get() == 0 {
            eprintln!("{error}");
        }
        self.errors.set(self.errors.get() + 1);
    }

    fn is_ready(&self) {
        self.ready.set(self.ready.get() + 1);
    }

    /// How many clients are connected, or never will be.
    fn settled(&self) -> usize {
        self.ready.get() + self.errors.get() as usize
    }

    async fn wait(&self, deadline: Instant, clients: usize) -> io::Result<()> {
        if Instant::now() > deadline {
            let ready = self.ready.get();
            return Err(io::Error::other(format!("{ready} of {clients} clients had a first answer in {PATIENCE:?}")));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    fn percentile(&self, share: f64) -> u32 {
        let mut times = self.times.borrow_mut();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        times.get((last as f64 * share) as usize).copied().unwrap_or(0)
    }
}

/// Sends `head` and reads the answer's, whose status has to be `status`. Gives what was read beyond it.
async fn ask(stream: &mut TcpStream, head: &str, status: &str) -> io::Result<Vec<u8>> {
    stream.set_nodelay(true)?;
    stream.write_all(head.as_bytes()).await?;
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&buffer[..count]);
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            if read.get(9..12) != Some(status.as_bytes()) {
                return Err(io::Error::other(format!("answered {}", String::from_utf8_lossy(&read[..end]))));
            }
            return Ok(read.split_off(end + 4));
        }
    }
}

async fn run(kind: String, port: u16, path: String, clients: usize, length: Duration) -> io::Result<()> {
    let counts = Rc::new(Counts::default());
    let deadline = Instant::now() + PATIENCE;
    for started in 0..clients {
        // No more at once than a server keeps waiting to be accepted.
        while started >= counts.settled() + AT_ONCE {
            counts.wait(deadline, clients).await?;
        }
        let (counts, kind, path) = (counts.clone(), kind.clone(), path.clone());
        tokio::task::spawn_local(async move {
            let done = match kind.as_str() {
                "events" => events::client(port, &path, &counts).await,
                _ => echo::client(port, &path, &counts).await,
            };
            if let Err(error) = done {
                counts.failed(&error);
            }
        });
    }
    while counts.settled() < clients {
        counts.wait(deadline, clients).await?;
    }
    println!("ready");
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
    let begun = Instant::now();
    counts.counting.set(true);
    tokio::time::sleep(length).await;
    counts.counting.set(false);
    let micros = begun.elapsed().as_micros();
    println!(
        r#"{{"requests":{},"micros":{micros},"bytes":{},"connect":0,"read":{},"write":0,"status":0,"timeout":0,"p50":{},"p99":{}}}"#,
        counts.answers.get(),
        counts.bytes.get(),
        counts.errors.get(),
        counts.percentile(0.5),
        counts.percentile(0.99),
    );
    Ok(())
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, port, path, clients, seconds] = &args[..] else {
        return Err(io::Error::other("bench-load events|echo PORT PATH CLIENTS SECONDS"));
    };
    let (Ok(port), Ok(clients), Ok(seconds)) = (port.parse(), clients.parse(), seconds.parse()) else {
        return Err(io::Error::other("PORT, CLIENTS and SECONDS are numbers"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = LocalSet::new()
        .block_on(&runtime, run(kind.clone(), port, path.clone(), clients, Duration::from_secs_f64(seconds)));
    // The read of standard input may still stand on a thread.
    runtime.shutdown_background();
    done
}
