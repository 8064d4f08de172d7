//! A MongoDB server for tests.
//!
//! `ZIGGURAT_MONGO_URI` names one that is there. Else a SecantusDB is started: a process of its own that speaks MongoDB's
//! protocol, made for tests. It is looked for in `ZIGGURAT_MONGO_SERVER`, in `.venv/bin` and on the `PATH`.
//! `ZIGGURAT_MONGO=off` leaves the tests out; nothing else does.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Whether the tests of MongoDB are left out.
pub fn is_off() -> bool {
    std::env::var("ZIGGURAT_MONGO").is_ok_and(|value| value == "off")
}

/// A deployment that tests may write to.
pub struct Mongo {
    uri: Uri,
}

enum Uri {
    Given(String),
    Started(Arc<Server>),
}

impl Mongo {
    /// The server that all tests of this process share.
    pub fn shared() -> Self {
        if let Ok(uri) = std::env::var("ZIGGURAT_MONGO_URI") {
            return Self { uri: Uri::Given(uri) };
        }
        // Weak: statics are never dropped, but the server has to end with the last test.
        static SHARED: OnceLock<Mutex<Weak<Server>>> = OnceLock::new();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::start());
            *shared = Arc::downgrade(&server);
            server
        });
        Self { uri: Uri::Started(server) }
    }

    /// The URI of a database of its own.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("zg_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        match &self.uri {
            Uri::Started(server) => server.uri(&name),
            Uri::Given(uri) => {
                let (head, query) = uri.split_once('?').map_or((uri.as_str(), ""), |(head, query)| (head, query));
                let after_scheme = head.find("://").map_or(0, |at| at + 3);
                let hosts = head[after_scheme..].find('/').map_or(head, |at| &head[..after_scheme + at]);
                if query.is_empty() { format!("{hosts}/{name}") } else { format!("{hosts}/{name}?{query}") }
            }
        }
    }
}

/// A server process that can be killed and started again over the same files.
pub struct Server {
    port: u16,
    files: tempfile::TempDir,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    /// The watchdog kills the server when this end of the pipe is closed: by `drop`, or by our own death.
    _alive: ChildStdin,
}

impl Server {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { port, files: tempfile::TempDir::new().unwrap(), running: Mutex::new(None) };
        server.restart();
        server
    }

    /// The URI of a database.
    pub fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true", self.port)
    }

    /// Starts the process and waits until it answers.
    pub fn restart(&self) {
        let program = program();
        // Acknowledged writes outlive a kill only with `--sync-on-commit`. The shell holds the pipe whose other end is
        // ours, and kills the server when that is closed, however we die.
        let script = "\"$@\" </dev/null >/dev/null & server=$!; echo $server; cat >/dev/null; kill -9 $server";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&program)
            .args([
                "--port",
                &self.port.to_string(),
                "--cache-size",
                "256M",
                "--sync-on-commit",
                "--log-level",
                "WARNING",
            ])
            .arg("--storage-path")
            .arg(self.files.path().join("mdb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let alive = child.stdin.take().unwrap();
        *self.running.lock().unwrap() = Some(Running { child, _alive: alive });
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !answers(address) {
            assert!(Instant::now() < deadline, "{} does not answer", program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the process without warning.
    pub fn kill(&self) {
        if let Some(Running { mut child, _alive }) = self.running.lock().unwrap().take() {
            drop(_alive);
            let _ = child.wait();
        }
    }

    /// Stops the process where it stands, or lets it go on: `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let mut running = self.running.lock().unwrap();
        let Some(Running { child, .. }) = running.as_mut() else { return };
        // The first line that the shell writes is the id of the server.
        static IDS: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());
        let mut ids = IDS.lock().unwrap();
        let server = match ids.iter().find(|(shell, _)| *shell == child.id()) {
            Some((_, server)) => server.clone(),
            None => {
                let mut line = Vec::new();
                let mut byte = [0];
                let out = child.stdout.as_mut().unwrap();
                while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
                    line.push(byte[0]);
                }
                let server = String::from_utf8(line).unwrap();
                ids.push((child.id(), server.clone()));
                server
            }
        };
        assert!(Command::new("kill").args([&format!("-{name}"), &server]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the server program is. Without one the tests fail: a suite that skips in silence proves nothing.
fn program() -> PathBuf {
    if let Ok(path) = std::env::var("ZIGGURAT_MONGO_SERVER") {
        return path.into();
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/secantusd-py");
    if beside.exists() {
        return beside;
    }
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|folder| folder.join("secantusd-py")).find(|p| p.exists()));
    on_path.unwrap_or_else(|| {
        panic!(
            "there is no MongoDB server to test with; run `python3 -m venv .venv && .venv/bin/pip install SecantusDB==0.7.0b3`, \
             or set ZIGGURAT_MONGO_URI, or leave these tests out with ZIGGURAT_MONGO=off"
        )
    })
}

/// Whether a server answers `ping`, asked with the plainest message there is.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        // {"ping": 1, "$db": "admin"}
        let body = b"\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
        let mut message = Vec::new();
        let length = 16 + 4 + 1 + body.len() as u32;
        for number in [length, 1, 0, 2013, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(body);
        socket.write_all(&message)?;
        Ok(socket.read(&mut [0; 64])? > 16)
    };
    ask().unwrap_or(false)
}
