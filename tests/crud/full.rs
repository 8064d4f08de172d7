//! A disk that is full: a real one of a few megabytes, and one on which files may not grow. Writes are answered 503, nothing
//! of them is left, reads go on, and all is well as soon as there is room.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use http::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use ziggurat::crud::ResourceOptions;
use ziggurat::crud::store::AnyStore;

use crate::socket::Client;
use crate::support::{Answer, App, JSON, USER, every_op};

/// Names the folder to the process whose disk is to be full.
const FOLDER: &str = "ZIGGURAT_TEST_FULL_FOLDER";
/// Whether it is a disk of its own.
const SMALL: &str = "ZIGGURAT_TEST_FULL_SMALL";

/// The text of a row that needs more room than there is.
const LARGE: usize = 300_000;

struct Disk {
    folder: PathBuf,
    /// It is small; else its files may not grow.
    small: bool,
}

impl Disk {
    /// Leaves room for so many bytes.
    fn fill(&self, leave: u64) {
        // A log that begins anew has no room of its own, which it would keep for later.
        let db = rusqlite::Connection::open(self.folder.join("rows.db")).unwrap();
        let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert!(!busy);
        drop(db);
        if self.small {
            let mut filler = OpenOptions::new().append(true).create(true).open(self.folder.join("filler")).unwrap();
            let full = loop {
                if let Err(error) = filler.write_all(&[0; 4096]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull);
            filler.set_len(filler.metadata().unwrap().len() - leave).unwrap();
        } else {
            // The file itself is longer; what is in the log does not get into it as long as there is no room.
            limit(Some(leave));
        }
    }

    fn make_room(&self) {
        if self.small {
            std::fs::remove_file(self.folder.join("filler")).unwrap();
        } else {
            limit(None);
        }
    }

    /// That a write was refused because there is no room.
    fn check(&self, answer: &Answer, what: &str) {
        assert_eq!(answer.problem(), "503", "{what}: {}", answer.text());
        // SQLite takes a file that may not grow for a disk that fails.
        let (detail, retry) = if self.small {
            ("the store has no space left", "60")
        } else {
            ("the store cannot be reached at the moment", "1")
        };
        assert_eq!((&*answer.detail(), answer.header("retry-after")), (detail, retry), "{what}");
    }
}

/// How long a file may become.
fn limit(current: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current, ..getrlimit(Resource::Fsize) }).unwrap();
}

fn large(name: &str) -> String {
    json!({"name": name, "tags": ["x".repeat(LARGE)]}).to_string()
}

impl App {
    /// All rows in full, and the tag of the first.
    async fn everything(&self) -> (Vec<Bytes>, String) {
        let (mut pages, mut target) = (Vec::new(), "/user?limit=1000".to_owned());
        loop {
            let page = self.get(&target).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let next = page.json()["next"].as_str().map(|next| format!("/user?limit=1000&cursor={next}"));
            let first = page.json()["items"][0]["id"].as_str().map(|id| format!("/user/{id}"));
            pages.push(page.body);
            match next {
                Some(next) => target = next,
                None => return (pages, self.get(&first.unwrap()).await.header("etag").to_owned()),
            }
        }
    }

    async fn names(&self) -> Vec<String> {
        let (pages, _) = self.everything().await;
        let rows = pages.iter().flat_map(|page| {
            let page: Json = serde_json::from_slice(page).unwrap();
            page["items"].as_array().unwrap().clone()
        });
        let mut names: Vec<String> = rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }
}

/// One after the other: every way to write.
async fn each(app: &App, disk: &Disk, row: &str, key: &str) {
    type Sent<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str);

    disk.fill(0);
    let before = app.everything().await;
    let rows: Vec<Json> =
        (0..900).map(|number| json!({"name": format!("many {number}"), "tags": ["x".repeat(900)]})).collect();
    let many = json!(rows).to_string();
    let large = large("large");
    let writes: [Sent<'_>; 10] = [
        (Method::POST, "/user", &[], &large),
        (Method::POST, "/user", &[("idempotency-key", key)], &large),
        (Method::POST, "/user", &[], &many),
        (Method::POST, "/user", &[("idempotency-key", "many")], &many),
        (Method::PUT, row, &[], &large),
        (Method::PUT, "/user/00000000-0000-4000-8000-000000000009", &[], &large),
        (Method::PATCH, row, &[], &large),
        (Method::PATCH, row, &[("idempotency-key", key)], &large),
        // A change that is merged and written again.
        (Method::PATCH, row, &[], &format!(r#"{{"home":{{"city":"{}"}}}}"#, "x".repeat(LARGE))),
        (Method::PATCH, "/user?age=0", &[], &large),
    ];
    for (method, target, headers, body) in writes {
        let what = format!("{method} {target} {headers:?}");
        let refused = app.send(method, target, &[&[JSON], headers].concat(), body.to_owned()).await;
        disk.check(&refused, &what);
        assert!(app.everything().await == before, "something is left of {what}");
    }
    // In parts: what fits is there, and the rest is told.
    let mixed = format!(r#"[{{"name":"fits"}},{large},{{"name":"fits too"}}]"#);
    let lenient = [JSON, ("prefer", "handling=lenient")];
    let parts = app.send(Method::POST, "/user", &lenient, mixed).await;
    let items = parts.json()["items"].clone();
    assert_eq!((parts.status.as_u16(), &items[1]["status"]), (207, &json!(503)), "{}", parts.text());
    let mut wanted: Vec<Json> =
        serde_json::from_slice::<Json>(&before.0[0]).unwrap()["items"].as_array().unwrap().clone();
    wanted.extend(
        [&items[0], &items[2]].into_iter().filter(|part| part["status"] == 201).map(|part| part["item"].clone()),
    );
    assert_eq!(app.get("/user?limit=1000").await.json()["items"], json!(wanted));

    disk.make_room();
    let key = [JSON, ("idempotency-key", key)];
    let made = app.send(Method::POST, "/user", &key, large.clone()).await;
    assert_eq!((made.status.as_u16(), made.header("idempotency-replayed")), (201, ""), "nothing was kept of its key");
    assert_eq!(app.post("/user", &many).await.status, 201);
    let patched = app.send(Method::PATCH, row, &key, large).await;
    assert_eq!((patched.status.as_u16(), patched.header("idempotency-replayed")), (200, ""));
}

/// At once: small rows and large ones that share transactions, of which some do not fit.
async fn together(app: &App, disk: &Disk) {
    let listening = app.listen();
    let before = app.names().await;
    let (mut large_ones, mut small_ones) = (0, 0);
    for volley in 0..30 {
        let mut acknowledged = before.clone();
        disk.fill(600_000);
        let mut senders = tokio::task::JoinSet::new();
        for number in 0..24 {
            let addr = listening.addr;
            senders.spawn(async move {
                let name = format!("volley {volley} {number}");
                let body = match number % 4 {
                    // Keeps the writer busy while the others come.
                    _ if number == 0 => json!((0..200).map(|_| json!({"name": name})).collect::<Vec<_>>()).to_string(),
                    1 => large(&name),
                    _ => json!({"name": name}).to_string(),
                };
                let headers = [("content-type", &b"application/json"[..])];
                (number, name, Client::new(addr).send("POST", "/user", &headers, body).await.unwrap())
            });
        }
        for (number, name, answer) in senders.join_all().await {
            match answer.status.as_u16() {
                201 => acknowledged.extend(std::iter::repeat_n(name, if number == 0 { 200 } else { 1 })),
                503 => {
                    assert!(["1", "60"].contains(&answer.header("retry-after")), "{:?}", answer.headers);
                    *(if number % 4 == 1 { &mut large_ones } else { &mut small_ones }) += 1;
                }
                _ => panic!("{name}: {} {}", answer.status, answer.text()),
            }
        }
        acknowledged.sort_unstable();
        assert!(app.names().await == acknowledged, "volley {volley}: the rows are not those that were acknowledged");
        disk.make_room();
        let gone = app.send(Method::DELETE, "/user?name=startswith.volley", &[], "").await;
        assert_eq!(gone.json()["matched"], acknowledged.len() - before.len());
        if volley > 3 && large_ones > 0 && small_ones > 0 {
            return;
        }
    }
    panic!("{large_ones} large and {small_ones} small rows were refused: none shared the fate of another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by others in a process of its own, whose disk is full"]
async fn on_a_disk_that_fills() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let disk = Disk { folder, small: std::env::var_os(SMALL).is_some() };
    let url = format!("sqlite:///{}", disk.folder.join("rows.db").display());
    let options = || ResourceOptions::new().ops(every_op()).client_id(true).upsert(true).bulk(true).idempotency(true);
    let app = App::over(AnyStore::open_url(&url).await.unwrap(), USER, options()).await;
    let (row, _) = app.user(r#"{"name":"first","age":0,"home":{"city":"Ur"}}"#).await;
    for number in 1..20 {
        app.user(&json!({"name": format!("row {number}")}).to_string()).await;
    }
    for key in ["once", "again"] {
        each(&app, &disk, &row, key).await;
        let others = format!("/user?id=ne.{}", row.trim_start_matches("/user/"));
        let gone = app.send(Method::DELETE, &others, &[], "").await;
        assert_eq!(gone.status, 200, "{}", gone.text());
    }
    together(&app, &disk).await;

    let before = app.everything().await;
    app.close().await;
    let db = rusqlite::Connection::open(disk.folder.join("rows.db")).unwrap();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    drop(db);
    let app = App::over(AnyStore::open_url(&url).await.unwrap(), USER, options()).await;
    assert!(app.everything().await == before, "the rows after a restart");
}

/// Runs the test above by a script, to which its command line is given.
fn run(script: &str, folder: &Path, small: bool) {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["full::on_a_disk_that_fills", "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder);
    if small {
        command.env(SMALL, "1");
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn a_full_disk_is_told_and_nothing_is_half_written() {
    let folder = TempDir::new().unwrap();
    // Mounting takes a namespace, which some systems do not give to everybody.
    let mount = ["-rm", "mount", "-t", "tmpfs", "none"];
    let may = Command::new("unshare").args(mount).arg(folder.path()).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("note: `unshare -rm` cannot mount a small disk here; what becomes of a full one is not tested");
        return;
    }
    let script =
        format!("exec unshare -rm sh -c 'mount -t tmpfs -o size=16m none \"${FOLDER}\" && exec \"$@\"' sh \"$@\"");
    run(&script, folder.path(), true);
}

#[test]
fn files_that_may_not_grow_are_told_and_nothing_is_half_written() {
    let folder = TempDir::new().unwrap();
    // The signal that comes with it would end the process.
    run("trap '' XFSZ; exec \"$@\"", folder.path(), false);
}
