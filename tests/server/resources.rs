//! A process that runs out of descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Outcome, server, start};

const IN_CHILD: &str = "ZIGGURAT_TEST_FEW_DESCRIPTORS";

/// Serves with nearly no descriptors left; a process of its own, because the limit holds for a whole process.
#[test]
#[ignore = "run by descriptors_run_out_and_come_back in a process of its own"]
fn with_few_descriptors() -> Outcome {
    if std::env::var_os(IN_CHILD).is_none() {
        return Ok(());
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let running = start(server()).await;
        let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        // Room for three connections.
        hoard.truncate(hoard.len() - 3);
        println!("listening {}", running.addr);
        // The parent closes our input when it is done.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        drop(hoard);
        Ok(())
    })
}

fn get(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let mut received = Vec::new();
    while !received.ends_with(b"hello") {
        let mut buffer = [0; 512];
        match stream.read(&mut buffer)? {
            0 => break,
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&received).into_owned())
}

#[test]
fn descriptors_run_out_and_come_back() -> Outcome {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "resources::with_few_descriptors", "--ignored", "--nocapture"])
        .env(IN_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    let addr: SocketAddr = loop {
        let line = lines.next().ok_or("the child ended")??;
        if let Some((_, addr)) = line.split_once("listening ") {
            break addr.parse()?;
        }
    };
    let connect = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    };
    let mut served: Vec<TcpStream> = (0..3).map(|_| connect()).collect::<Result<_, _>>()?;
    for stream in &mut served {
        assert!(get(stream)?.ends_with("hello"));
    }
    // The system completes these, but the server has no descriptor to accept them with.
    let mut waiting: Vec<TcpStream> = (0..5).map(|_| connect()).collect::<Result<_, _>>()?;
    waiting[0].set_read_timeout(Some(Duration::from_millis(500)))?;
    assert!(get(&mut waiting[0]).is_err(), "there was a descriptor left");
    for stream in &mut served {
        assert!(get(stream)?.ends_with("hello"), "open connections are served on");
    }
    drop(served);
    for stream in &mut waiting[1..4] {
        assert!(get(stream)?.ends_with("hello"), "accepted once descriptors are free");
        stream.shutdown(std::net::Shutdown::Both)?;
    }
    drop(child.stdin.take());
    let output = child.wait_with_output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("cannot accept connections; trying again"), "{log}");
    assert!(log.matches("cannot accept").count() < 20, "the log is not flooded: {log}");
    Ok(())
}
