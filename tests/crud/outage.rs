//! A MongoDB that is killed under load and comes back: clients are told to wait, what they were told stays true, and our
//! server needs no restart.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};
use ziggurat::crud::store::AnyStore;
use ziggurat::crud::{Op, ResourceOptions};

use crate::mongo::{Server, is_off};
use crate::socket::Client;
use crate::support::{Answer, App, USER, every_op};

const ROUNDS: usize = 4;
/// No request takes longer, whatever the store does: the deadline of an operation is three seconds, and a request with a key has
/// two of them.
const LONGEST: Duration = Duration::from_secs(8);
/// How long it takes at most until all is well again.
const RECOVERY: Duration = Duration::from_secs(15);

/// Those who send requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Who {
    /// Writes with a key, again and again until it is answered.
    Keyed,
    /// Writes once.
    Plain,
    /// Writes three rows at once, all or none.
    Bulk,
    Reader,
}

const ALL: [(Who, usize); 4] = [(Who::Keyed, 8), (Who::Plain, 6), (Who::Bulk, 4), (Who::Reader, 4)];

/// What all know of each other.
#[derive(Default)]
struct Ledger {
    stop: AtomicBool,
    /// Names and paths of the rows that were acknowledged.
    acknowledged: Mutex<Vec<(String, String)>>,
    /// Names of the rows of each request of which that is not known.
    unknown: Mutex<Vec<Vec<String>>>,
    done: Counts,
    refused: Counts,
    replayed: AtomicUsize,
    slowest: Mutex<Duration>,
    statuses: Mutex<HashMap<u16, usize>>,
}

#[derive(Default)]
struct Counts(Mutex<HashMap<Who, usize>>);

impl Counts {
    fn add(&self, who: Who) {
        *self.0.lock().unwrap().entry(who).or_default() += 1;
    }

    fn of(&self, who: Who) -> usize {
        self.0.lock().unwrap().get(&who).copied().unwrap_or_default()
    }

    /// Waits until each has `more` than now.
    async fn grow(&self, more: usize, patience: Duration, what: &str) {
        let begun = Instant::now();
        let goals = ALL.map(|(who, _)| (who, self.of(who) + more));
        while goals.iter().any(|(who, goal)| self.of(*who) < *goal) {
            assert!(begun.elapsed() < patience, "{what}: {:?} of {goals:?}", ALL.map(|(who, _)| self.of(who)));
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Ledger {
    /// One request and its answer, if it is one that a client can go on with; none when the store was not there.
    async fn ask(
        &self,
        who: Who,
        client: &mut Client,
        method: &str,
        target: &str,
        headers: &[(&str, &[u8])],
        body: &str,
    ) -> Option<Answer> {
        let begun = Instant::now();
        let answer = timeout(LONGEST, client.send(method, target, headers, body)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} {target} hangs")).expect("our server stays");
        let status = answer.status.as_u16();
        *self.statuses.lock().unwrap().entry(status).or_default() += 1;
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = begun.elapsed().max(*slowest);
        match status {
            200 | 201 => {
                self.done.add(who);
                Some(answer)
            }
            503 | 504 => {
                assert_eq!(answer.problem(), status.to_string());
                if status == 503 {
                    let seconds: u64 = answer.header("retry-after").parse().expect("when to try again");
                    assert!((1..60).contains(&seconds), "{seconds}");
                }
                self.refused.add(who);
                None
            }
            // What was sent before is still being written.
            409 if who == Who::Keyed => {
                assert_eq!(
                    (answer.problem().as_str(), answer.header("retry-after")),
                    ("409 idempotency-key key_in_use", "1")
                );
                None
            }
            _ => panic!("{method} {target} {body}: {status} {}", answer.text()),
        }
    }

    async fn write(&self, who: Who, number: usize, addr: SocketAddr) {
        let mut client = Client::new(addr);
        for count in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("{who:?} {number} {count}");
            let names = match who {
                Who::Bulk => ["a", "b", "c"].map(|letter| format!("{name} {letter}")).to_vec(),
                _ => vec![name.clone()],
            };
            let rows: Vec<String> = names.iter().map(|name| json!({"name": name, "age": count}).to_string()).collect();
            let body = if who == Who::Bulk { format!("[{}]", rows.join(",")) } else { rows.concat() };
            let key = [("content-type", &b"application/json"[..]), ("idempotency-key", name.as_bytes())];
            let headers = if who == Who::Keyed { &key[..] } else { &key[..1] };
            let answer = loop {
                let answer = self.ask(who, &mut client, "POST", "/user", headers, &body).await;
                if answer.is_some() || who != Who::Keyed {
                    break answer;
                }
                sleep(Duration::from_millis(50)).await;
            };
            let Some(answer) = answer else {
                self.unknown.lock().unwrap().push(names);
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            self.replayed.fetch_add(usize::from(!answer.header("idempotency-replayed").is_empty()), Ordering::Relaxed);
            let made = match answer.json() {
                Json::Object(mut page) if who == Who::Bulk => page.remove("items").unwrap().as_array().unwrap().clone(),
                row => vec![row],
            };
            assert_eq!(made.iter().map(|row| &row["name"]).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
            let path = |row: &Json| format!("/user/{}", row["id"].as_str().unwrap());
            self.acknowledged.lock().unwrap().extend(names.into_iter().zip(made.iter().map(path)));
        }
    }

    /// Reads what was acknowledged, by its id and in lists.
    async fn read(&self, number: usize, addr: SocketAddr) {
        let mut client = Client::new(addr);
        for count in number.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let row = {
                let acknowledged = self.acknowledged.lock().unwrap();
                acknowledged.get(count * 7919 % acknowledged.len().max(1)).cloned()
            };
            let Some((name, path)) = row else {
                sleep(Duration::from_millis(1)).await;
                continue;
            };
            let list = format!("/user?name=eq.{}&limit=5", name.replace(' ', "%20"));
            let target = if count % 4 == 0 { &list } else { &path };
            match self.ask(Who::Reader, &mut client, "GET", target, &[], "").await {
                Some(answer) if count % 4 == 0 => assert_eq!(answer.column("name"), [name], "{}", answer.text()),
                Some(answer) => assert_eq!(answer.json()["name"], name),
                None => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_and_comes_back_is_waited_for() {
    if is_off() {
        return;
    }
    let server = Server::start();
    let store = AnyStore::open_url(&server.uri("app")).await.unwrap();
    let ops = every_op().filter(|op| *op != Op::Changes);
    let app = App::over(store, USER, ResourceOptions::new().ops(ops).bulk(true).idempotency(true)).await;
    let listening = app.listen();
    let ledger = Arc::new(Ledger::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (who, count) in ALL {
        for number in 0..count {
            let (ledger, addr) = (ledger.clone(), listening.addr);
            tasks.spawn(async move {
                match who {
                    Who::Reader => ledger.read(number, addr).await,
                    writer => ledger.write(writer, number, addr).await,
                }
            });
        }
    }
    let rounds = async {
        for round in 1..=ROUNDS {
            ledger.done.grow(30, RECOVERY, "under load").await;
            server.kill();
            // In every other round it is back before anybody's patience with it has ended.
            if round % 2 == 1 {
                ledger.refused.grow(2, RECOVERY, "while it is away").await;
            }
            tokio::task::block_in_place(|| server.restart());
            let begun = Instant::now();
            ledger.done.grow(5, RECOVERY, "when it is back").await;
            println!("round {round}: well again after {:?}", begun.elapsed());
        }
        ledger.stop.store(true, Ordering::Relaxed);
    };
    // A task that ends before it is told to has failed.
    tokio::select! {
        () = rounds => {}
        ended = tasks.join_next() => ended.unwrap().unwrap(),
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }

    let mut found: HashMap<String, usize> = HashMap::new();
    let mut target = "/user?limit=1000&fields=name".to_owned();
    loop {
        let page = app.get(&target).await;
        assert_eq!(page.status, 200, "{}", page.text());
        for name in page.column("name") {
            *found.entry(name.as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page.json()["next"].as_str() {
            Some(next) => target = format!("/user?limit=1000&fields=name&cursor={next}"),
            None => break,
        }
    }
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let unknown = ledger.unknown.lock().unwrap();
    println!(
        "{} rows, {} acknowledged ({} again), {} not; {:?}, the slowest {:?}",
        found.len(),
        acknowledged.len(),
        ledger.replayed.load(Ordering::Relaxed),
        unknown.len(),
        ledger.statuses.lock().unwrap(),
        ledger.slowest.lock().unwrap()
    );
    let names: HashSet<&String> = acknowledged.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), acknowledged.len());
    let lost: Vec<_> = names.iter().filter(|name| !found.contains_key(**name)).collect();
    assert!(lost.is_empty(), "{} acknowledged rows of {} are lost: {lost:?}", lost.len(), names.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "made twice: {twice:?}");
    let others = found.keys().filter(|name| !names.contains(name) && !unknown.iter().flatten().any(|own| own == *name));
    assert_eq!(others.count(), 0, "rows that nobody asked for");
    for request in unknown.iter() {
        // Those with a key were answered in the end.
        assert!(!request[0].starts_with("Keyed"), "{request:?}");
        let kept = request.iter().filter(|name| found.contains_key(*name)).count();
        assert!(kept == 0 || kept == request.len(), "{kept} rows of {request:?}");
    }
}
