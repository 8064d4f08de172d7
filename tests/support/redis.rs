//! A Redis server for tests: Debian's `redis-server`, as a process of its own.
//!
//! Without it the tests that need it are left out with a note, unless `ZIGGURAT_REDIS=required`, as continuous integration has it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Redis {
    port: u16,
    process: Option<Child>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// One that is running; none where it is not installed.
    pub fn started() -> Option<Self> {
        let mut server = Self::stopped()?;
        server.start();
        Some(server)
    }

    /// One that will run at its address.
    pub fn stopped() -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            let required = std::env::var("ZIGGURAT_REDIS").is_ok_and(|value| value == "required");
            assert!(!required, "redis-server is missing (Debian: apt install redis-server), and required here");
            eprintln!("note: redis-server is missing (Debian: apt install redis-server); this test is left out");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self { port, process: None, folder: tempfile::tempdir().unwrap() })
    }

    pub fn start(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        self.process = Some(command.arg(self.folder.path()).stdout(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Whether it runs on after a pause, in which it answers nothing.
    pub fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Sends a command, and gives the first lines of its answer.
    pub fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut sent = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| sent += &format!("${}\r\n{word}\r\n", word.len()));
        stream.write_all(sent.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end();
        let Some(length) = line.strip_prefix('$').filter(|length| *length != "-1") else { return line.to_owned() };
        let mut text = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
