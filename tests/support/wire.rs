//! What the driver sends to a MongoDB server: a proxy that reads along.
//!
//! It shows what goes over the wire, whoever built it. It can also answer in the server's place, to `hello`, as the router of a sharded
//! cluster does.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Messages of all commands and their answers (`OP_MSG`).
const MESSAGE: i32 = 2013;

/// A proxy before a server.
pub struct Wire {
    uri: String,
    heard: Arc<Mutex<Vec<Document>>>,
}

impl Wire {
    /// One before the server that `uri` names.
    pub async fn before(uri: &str) -> Self {
        Self::new(uri, false).await
    }

    /// One that says of the server that it is a router (`mongos`).
    pub async fn router(uri: &str) -> Self {
        Self::new(uri, true).await
    }

    async fn new(uri: &str, router: bool) -> Self {
        let rest = uri.strip_prefix("mongodb://").unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let host = host.rsplit('@').next().unwrap().split(',').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let heard = Arc::new(Mutex::default());
        let uri = format!("mongodb://{}/{database}", listener.local_addr().unwrap());
        let told = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&host).await else { return };
                let asked = Arc::new(Mutex::default());
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(asking(from_client, to_server, Arc::clone(&told), Arc::clone(&asked)));
                tokio::spawn(answering(from_server, to_client, router, asked));
            }
        });
        Self { uri, heard }
    }

    /// The URI of the same database through the proxy.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The commands to a collection since the last call: their names, and the filters of the rows that they are about.
    pub fn heard(&self, collection: &str) -> Vec<(String, Document)> {
        let commands = std::mem::take(&mut *self.heard.lock().unwrap());
        let of_it = commands.into_iter().filter_map(|command| {
            let (name, target) = command.iter().next()?;
            (target.as_str() == Some(collection)).then(|| (name.clone(), filter(&command)))
        });
        of_it.collect()
    }
}

/// Which rows a command is about.
fn filter(command: &Document) -> Document {
    let own = ["filter", "query"].iter().find_map(|name| command.get_document(name).ok());
    let many = ["updates", "deletes"].iter().find_map(|name| command.get_array(name).ok());
    let first = many.and_then(|statements| statements.first()?.as_document()?.get_document("q").ok());
    own.or(first).cloned().unwrap_or_default()
}

/// The whole message that comes next, with its head.
async fn message(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.ok()?;
    let mut message = vec![0; usize::try_from(i32::from_le_bytes(length)).ok()?];
    message[..4].copy_from_slice(&length);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().unwrap())
}

/// The command or the answer in a message, with the documents that follow it.
fn read(message: &[u8]) -> Document {
    let mut command = Document::new();
    let mut sequences = Vec::new();
    let mut at = 20;
    while at < message.len() {
        let kind = message[at];
        let size = usize::try_from(number(message, at + 1)).unwrap();
        let part = &message[at + 1..at + 1 + size];
        if kind == 0 {
            command = Document::from_reader(part).unwrap();
        } else {
            let end = 4 + part[4..].iter().position(|byte| *byte == 0).unwrap();
            let mut documents = Vec::new();
            let mut rest = &part[end + 1..];
            while !rest.is_empty() {
                documents.push(Bson::from(Document::from_reader(&mut rest).unwrap()));
            }
            sequences.push((String::from_utf8(part[4..end].to_vec()).unwrap(), documents));
        }
        at += 1 + size;
    }
    command.extend(sequences.into_iter().map(|(name, documents)| (name, Bson::Array(documents))));
    command
}

async fn asking(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    heard: Arc<Mutex<Vec<Document>>>,
    asked: Arc<Mutex<HashSet<i32>>>,
) {
    while let Some(message) = message(&mut from).await {
        if number(&message, 12) == MESSAGE {
            let command = read(&message);
            // That of a handshake or a monitor is left alone, so that the driver takes the server for what it is.
            if command.contains_key("hello") && command.get_str("$db").is_ok_and(|database| database != "admin") {
                asked.lock().unwrap().insert(number(&message, 4));
            }
            heard.lock().unwrap().push(command);
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn answering(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, router: bool, asked: Arc<Mutex<HashSet<i32>>>) {
    while let Some(mut message) = message(&mut from).await {
        if router && number(&message, 12) == MESSAGE && asked.lock().unwrap().remove(&number(&message, 8)) {
            let mut answer = read(&message);
            answer.remove("setName");
            answer.extend(doc! { "msg": "isdbgrid" });
            message.truncate(20);
            message.push(0);
            message.extend(answer.to_vec().unwrap());
            let length = i32::try_from(message.len()).unwrap();
            message[..4].copy_from_slice(&length.to_le_bytes());
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}
