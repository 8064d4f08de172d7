//! A server that publishes keys: a real one, on a port of this machine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::Algorithm as Signed;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use ziggurat::layers::JwtLayer;
use ziggurat::layers::jwt::{Issuer, Jwks};

use crate::jwt_keys::{jwk, rsa, set};

pub const COOLDOWN: Duration = Duration::from_millis(150);

/// What a provider of keys answers.
#[derive(Clone)]
pub enum Says {
    Document(String),
    Aged(u64, String),
    Raw(Vec<u8>),
    Late(Duration, String),
    /// Hangs up.
    Nothing,
}

#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    pub paths: Arc<Mutex<Vec<String>>>,
    pub discovery: Arc<Mutex<Option<String>>>,
}

impl Provider {
    pub async fn new(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
            paths: Arc::default(),
            discovery: Arc::default(),
        };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        provider
    }

    async fn answer(self, mut stream: tokio::net::TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        self.paths.lock().unwrap().push(path.clone());
        if path.contains("/.well-known/") {
            let document = self.discovery.lock().unwrap().clone().unwrap();
            let _ = stream.write_all(&ok("", &document)).await;
            return;
        }
        if path == "/keys/there" {
            let _ = stream.write_all(&ok("", &first())).await;
            return;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let says = self.says.lock().unwrap().clone();
        let bytes = match says {
            Says::Document(json) => ok("", &json),
            Says::Aged(seconds, json) => ok(&format!("cache-control: public, max-age={seconds}\r\n"), &json),
            Says::Raw(bytes) => bytes,
            Says::Late(time, json) => {
                tokio::time::sleep(time).await;
                ok("", &json)
            }
            Says::Nothing => return,
        };
        let _ = stream.write_all(&bytes).await;
    }

    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn jwks(&self) -> Jwks {
        Jwks::url(&format!("http://{}/keys", self.address)).unwrap().cooldown(COOLDOWN)
    }

    pub fn layer(&self) -> JwtLayer {
        JwtLayer::issuers([Issuer::default().jwks(self.jwks())]).unwrap()
    }
}

fn ok(more: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{more}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The key `1`.
pub fn first() -> String {
    set([jwk(&rsa(), Signed::RS256, json!({"kid": "1"}))])
}
