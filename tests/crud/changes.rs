//! `GET /user/_changes`: what changes, as it happens.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use ziggurat::Body;
use ziggurat::crud::{Expr, Operand, Path, Policy, Resource, ResourceOptions, Schema, openapi};

use crate::support::{App, JSON, USER, every_op};

const SOON: Duration = Duration::from_secs(20);

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op())
}

/// An event as a browser would see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Json,
}

/// A client of a feed.
pub struct Feed {
    body: Body,
    text: String,
    /// The last id, as `Last-Event-ID` sends it.
    id: String,
}

impl Feed {
    pub async fn open(app: &App, claims: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let response = app.begin(claims, Method::GET, target, headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "private, no-store");
        let mut feed = Self { body: response.into_body(), text: String::new(), id: String::new() };
        assert!(feed.read().await, "something is sent at once");
        feed
    }

    async fn users(app: &App, query: &str) -> Self {
        Self::open(app, "", &format!("/user/_changes{query}"), &[]).await
    }

    /// Whether more was read.
    async fn read(&mut self) -> bool {
        match tokio::time::timeout(SOON, self.body.frame()).await.expect("it comes soon") {
            Some(frame) => {
                self.text += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
                true
            }
            None => false,
        }
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", name)) => event.name = name.to_owned(),
                        Some(("id", id)) => self.id = id.to_owned(),
                        Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                        Some(("retry", time)) => assert_eq!(time, "1000"),
                        _ => assert_eq!(line, ":"),
                    }
                }
                if !event.name.is_empty() {
                    event.id.clone_from(&self.id);
                    return Some(event);
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Name and user of the next event.
    async fn told(&mut self) -> (String, Json) {
        let event = self.next().await.expect("the feed goes on");
        (event.name, event.data["name"].clone())
    }
}

fn told(name: &str, user: &str) -> (String, Json) {
    (name.to_owned(), json!(user))
}

#[tokio::test]
async fn each_change_is_an_event() {
    let app = App::new(USER, options()).await;
    let mut feed = Feed::users(&app, "").await;
    let (path, _) = app.user(r#"{"name":"Ada","email":"line\nbreak"}"#).await;
    let made = feed.next().await.unwrap();
    assert_eq!((made.name.as_str(), &made.data), ("create", &app.get(&path).await.json()));
    app.patch(&path, r#"{"age":3}"#).await;
    let changed = feed.next().await.unwrap();
    assert_eq!((changed.name.as_str(), &changed.data["age"]), ("update", &json!(3)));
    assert_eq!(app.put(&path, r#"{"name":"Eve"}"#).await.status, 200);
    assert_eq!(feed.told().await, told("update", "Eve"));
    assert_eq!(app.send(Method::DELETE, &path, &[], "").await.status, 204);
    let gone = feed.next().await.unwrap();
    assert_eq!((gone.name.as_str(), gone.data), ("delete", json!({"id": made.data["id"]})));

    // Several at once, for two who watch.
    let mut other = Feed::users(&app, "?fields=name").await;
    for name in ["A", "B", "C"] {
        app.user(&format!(r#"{{"name":"{name}"}}"#)).await;
    }
    assert_eq!(app.patch("/user?name=in.(A,B,C)", r#"{"age":1}"#).await.json()["modified"], 3);
    for name in ["A", "B", "C"] {
        assert_eq!(feed.told().await, told("create", name));
        assert_eq!(other.next().await.unwrap().data, json!({"name": name}));
    }
    for name in ["A", "B", "C"] {
        assert_eq!(feed.told().await, told("update", name));
    }
    let answer = app.send(Method::HEAD, "/user/_changes", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
}

#[tokio::test]
async fn a_filter_makes_rows_come_and_go() {
    let app = App::new(USER, options()).await;
    let mut adults = Feed::users(&app, "?age=gte.18&not.and=(name.eq.Bob)").await;
    let (ada, _) = app.user(r#"{"name":"Ada","age":17}"#).await;
    let (bob, _) = app.user(r#"{"name":"Bob","age":30}"#).await;
    app.patch(&ada, r#"{"score":2}"#).await;
    app.patch(&ada, r#"{"age":18}"#).await;
    assert_eq!(adults.told().await, told("create", "Ada"), "what came before was not there for this client");
    app.patch(&ada, r#"{"age":19}"#).await;
    app.patch(&bob, r#"{"age":3}"#).await;
    app.send(Method::DELETE, &bob, &[], "").await;
    app.patch(&ada, r#"{"age":null}"#).await;
    app.send(Method::DELETE, &ada, &[], "").await;
    app.user(r#"{"name":"End","age":99}"#).await;
    assert_eq!(adults.told().await, told("update", "Ada"));
    assert_eq!(adults.next().await.unwrap().name, "delete");
    assert_eq!(adults.told().await, told("create", "End"));

    for (query, problem) in [
        ("agee=1", "400 agee unknown_parameter"),
        ("limit=1", "400 limit unknown_parameter"),
        ("age=x", "422 age int_parsing"),
        ("fields=x", "400 fields unknown_parameter"),
    ] {
        assert_eq!(app.get(&format!("/user/_changes?{query}")).await.problem(), problem);
    }
    assert_eq!(app.post("/user/_changes", "{}").await.status, 405);
}

#[tokio::test]
async fn nobody_learns_of_rows_that_are_not_for_them() {
    const ANN: &str = r#"{"sub":"ann"}"#;
    const BOB: &str = r#"{"sub":"bob"}"#;
    let model = r#"{"name":"Note","id":"id","fields":[{"name":"id","type":{"type":"str"}},
      {"name":"owner","type":{"type":"str"}},{"name":"public","type":{"type":"bool"},"default":{"value":false}},
      {"name":"secret","type":{"type":"int"},"default":{"value":7},"access":"hidden"}]}"#;
    let schema = Schema::from_description(model).unwrap();
    let path = |name| Path::of(&schema, name).unwrap();
    let own = || Expr::equal(path("owner"), Operand::claim("sub"));
    let public = Expr::equal(path("public"), Operand::Value(true.into()));
    let policy = Policy::new().read(own().or(public)).write(own());
    let app = App::new(model, options().client_id(true).policy(policy)).await;
    let mut anns = Feed::open(&app, ANN, "/note/_changes", &[]).await;
    let mut bobs = Feed::open(&app, BOB, "/note/_changes", &[]).await;
    let send = async |method: Method, target: &str, body: &'static str| {
        let answer = app.send_as(ANN, method, target, &[JSON], body).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    };
    send(Method::POST, "/note", r#"{"id":"a"}"#).await;
    send(Method::PATCH, "/note/a", r#"{"public":true}"#).await;
    send(Method::PATCH, "/note/a", r#"{"public":false}"#).await;
    send(Method::DELETE, "/note/a", "").await;
    send(Method::POST, "/note", r#"{"id":"z","public":true}"#).await;
    let names = async |feed: &mut Feed, count| {
        let mut seen = Vec::new();
        for _ in 0..count {
            let event = feed.next().await.unwrap();
            assert!(!event.data.to_string().contains("secret"), "{event:?}");
            seen.push(format!("{} {}", event.name, event.data["id"].as_str().unwrap()));
        }
        seen
    };
    assert_eq!(names(&mut anns, 5).await, ["create a", "update a", "update a", "delete a", "create z"]);
    assert_eq!(names(&mut bobs, 3).await, ["create a", "delete a", "create z"]);
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_was_missed() {
    let app = App::new(USER, options()).await;
    let mut feed = Feed::users(&app, "?age=is.null").await;
    app.user(r#"{"name":"Ada"}"#).await;
    let first = feed.next().await.unwrap();
    drop(feed);
    for name in ["B", "C"] {
        app.user(&format!(r#"{{"name":"{name}"}}"#)).await;
    }
    let back = async |id: &str| Feed::open(&app, "", "/user/_changes", &[("last-event-id", id)]).await;
    let mut feed = back(&first.id).await;
    assert_eq!(feed.told().await, told("create", "B"));
    assert_eq!(feed.told().await, told("create", "C"));
    app.user(r#"{"name":"D"}"#).await;
    assert_eq!(feed.told().await, told("create", "D"));

    // The token of a feed in which nothing has happened will do as well.
    let mut quiet = back("").await;
    assert!(quiet.text.contains("id: "), "{}", quiet.text);
    app.user(r#"{"name":"E"}"#).await;
    assert_eq!(quiet.told().await, told("create", "E"));

    // What is no token, or one of a store that is gone, is told where the feed is now.
    for wrong in ["x", "999999", "-5"] {
        let mut feed = back(wrong).await;
        let reset = feed.next().await.unwrap();
        assert_eq!((reset.name.as_str(), reset.data["detail"].is_string()), ("reset", true));
        app.user(&format!(r#"{{"name":"after {wrong}"}}"#)).await;
        assert_eq!(feed.told().await, told("create", &format!("after {wrong}")));
        assert_eq!(back(&reset.id).await.told().await, told("create", &format!("after {wrong}")));
    }
}

#[tokio::test]
async fn whoever_is_too_slow_is_told_to_begin_anew() {
    let app = App::new(USER, options().bulk(true)).await;
    let mut slow = Feed::users(&app, "").await;
    let rows: Vec<Json> = (0..500).map(|index| json!({"name": format!("{index}")})).collect();
    let mut quick = Feed::users(&app, "").await;
    for _ in 0..3 {
        assert_eq!(app.post("/user", &json!(rows).to_string()).await.status, 201);
        for _ in 0..500 {
            assert_eq!(quick.next().await.unwrap().name, "create");
        }
    }
    let mut seen = Vec::new();
    while let Some(event) = slow.next().await {
        seen.push(event.name);
    }
    assert_eq!(seen.last().map(String::as_str), Some("reset"), "{}", seen.len());
    // With what it was told last it goes on from there.
    let mut back = Feed::open(&app, "", "/user/_changes", &[("last-event-id", &slow.id)]).await;
    app.user(r#"{"name":"new"}"#).await;
    assert_eq!(back.told().await, told("create", "new"));
}

#[tokio::test]
async fn a_feed_ends_with_the_store_and_with_the_token() {
    let app = App::new(USER, options()).await;
    let mut feed = Feed::users(&app, "").await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + 0.3;
    let mut expiring = Feed::open(&app, &format!(r#"{{"sub":"a","exp":{soon}}}"#), "/user/_changes", &[]).await;
    assert_eq!(expiring.next().await, None);
    app.user(r#"{"name":"A"}"#).await;
    assert_eq!(feed.told().await, told("create", "A"), "others go on");
    app.close().await;
    assert_eq!(feed.next().await, None);
    assert_eq!(app.get("/user/_changes").await.problem(), "503");
}

#[tokio::test]
async fn silence_is_broken_by_comments() {
    let app = App::new(USER, options()).await;
    let mut feed = Feed::users(&app, "?name=Nobody").await;
    let begun = std::mem::take(&mut feed.text);
    let id = |text: &str| text.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned);
    app.user(r#"{"name":"A"}"#).await;
    assert!(feed.read().await);
    let (first, now) = (id(&begun), id(&feed.text));
    assert!(feed.text.ends_with(":\n\n") && now.is_some() && now != first, "{begun:?} {:?}", feed.text);
    feed.text.clear();
    assert!(feed.read().await);
    assert_eq!(feed.text, ":\n\n", "there is nothing new to tell");
}

#[test]
fn it_is_documented() {
    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let document = openapi(&Resource::new(schema, options()));
    let operation = &document["paths"]["/user/_changes"]["get"];
    assert_eq!(operation["operationId"], "user_changes");
    assert!(operation["responses"]["200"]["content"]["text/event-stream"].is_object());
    let parameters = operation["parameters"].as_array().unwrap();
    assert_eq!(parameters.last().unwrap()["name"], "Last-Event-ID");
}
