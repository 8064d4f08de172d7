//! Rows belong to callers: who sees, makes and changes which.

use std::sync::Arc;

use http::Method;
use serde_json::json;
use ziggurat::crud::{Comparison, Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Rule, Schema, Value};

use crate::support::{Answer, App, JSON, every_op};

const NOTE: &str = r#"{"name":"Note","id":"id","fields":[
  {"name":"id","type":{"type":"uuid"}},
  {"name":"owner","type":{"type":"str"}},
  {"name":"text","type":{"type":"str"},"default":{"value":""}},
  {"name":"public","type":{"type":"bool"},"default":{"value":false}},
  {"name":"team","type":{"type":"optional","of":{"type":"int"}},"default":{"value":null}},
  {"name":"readers","type":{"type":"list","items":{"type":"str"}},"default":{"value":[]}},
  {"name":"key","type":{"type":"optional","of":{"type":"str"}},"default":{"value":null},"index":{"unique":true}}]}"#;

const ANN: &str = r#"{"sub":"ann","teams":[1,2],"tenant":{"id":7}}"#;
const BOB: &str = r#"{"sub":"bob","teams":"none"}"#;
const NOBODY: &str = "";

fn path(name: &str) -> Path {
    Path::of(&Schema::from_description(NOTE).unwrap(), name).unwrap()
}

fn own() -> Rule {
    Expr::equal(path("owner"), Operand::claim("sub"))
}

fn public() -> Rule {
    Expr::equal(path("public"), Operand::Value(true.into()))
}

/// Everybody sees what is public and writes what is their own.
fn shared() -> ResourceOptions {
    ResourceOptions::new().ops(every_op()).bulk(true).policy(Policy::new().read(own().or(public())).write(own()))
}

impl App {
    async fn make(&self, claims: &str, body: &str) -> Answer {
        self.send_as(claims, Method::POST, "/note", &[JSON], body.to_owned()).await
    }

    async fn note(&self, claims: &str, body: &str) -> String {
        let answer = self.make(claims, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("location").to_owned()
    }

    async fn look(&self, claims: &str, target: &str) -> Answer {
        self.send_as(claims, Method::GET, target, &[], "").await
    }

    async fn change(&self, claims: &str, method: Method, target: &str, body: &str) -> Answer {
        self.send_as(claims, method, target, &[JSON], body.to_owned()).await
    }

    async fn texts(&self, claims: &str, query: &str) -> Vec<String> {
        let page = self.look(claims, &format!("/note?sort=text{query}")).await;
        page.column("text").iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn rows_are_seen_by_those_they_are_for() {
    let app = App::new(NOTE, shared()).await;
    let hidden = app.note(ANN, r#"{"text":"a"}"#).await;
    let open = app.note(ANN, r#"{"text":"b","public":true}"#).await;
    let other = app.note(BOB, r#"{"text":"c"}"#).await;
    assert_eq!(app.texts(ANN, "").await, ["a", "b"]);
    assert_eq!(app.texts(BOB, "").await, ["b", "c"]);
    assert_eq!(app.texts(NOBODY, "").await, ["b"]);
    // A filter narrows and never widens.
    assert_eq!(app.texts(BOB, "&or=(text.eq.a,text.eq.c)").await, ["c"]);
    assert_eq!(app.texts(NOBODY, "&not.and=(public.eq.true)").await, [""; 0]);

    assert_eq!(app.look(ANN, &hidden).await.json()["owner"], "ann", "it was set from the claim");
    assert_eq!(app.look(BOB, &hidden).await.problem(), "404");
    assert_eq!(app.look(NOBODY, &hidden).await.problem(), "404");
    assert_eq!(app.look(NOBODY, &open).await.status, 200);
    assert_eq!(app.look(ANN, &other).await.problem(), "404");

    for (claims, count) in [(ANN, 2), (BOB, 2), (NOBODY, 1)] {
        assert_eq!(app.look(claims, "/note/_count").await.json(), json!({"count": count}));
        let exported = app.look(claims, "/note/_export?fields=text").await.text();
        assert_eq!(exported.lines().count(), count, "{exported}");
        for preference in ["count=exact", "count=estimated"] {
            let page = app.send_as(claims, Method::GET, "/note", &[("prefer", preference)], "").await;
            // An estimate would tell how many rows there are that the caller may not see.
            let total = if preference == "count=exact" { count.to_string() } else { String::new() };
            assert_eq!(page.header("total-count"), total, "{claims} {preference}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_one_caller_shows_another_nothing_more() {
    let app = App::new(NOTE, shared()).await;
    for text in ["a", "b", "c"] {
        app.note(ANN, &format!(r#"{{"text":"{text}"}}"#)).await;
    }
    let next = app.look(ANN, "/note?sort=text&limit=1").await.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(app.texts(ANN, &format!("&cursor={next}")).await, ["b", "c"]);
    assert_eq!(app.texts(BOB, &format!("&cursor={next}")).await, [""; 0]);
}

#[tokio::test]
async fn rows_are_made_for_who_makes_them() {
    let app = App::new(NOTE, shared()).await;
    assert_eq!(app.make(ANN, r#"{"owner":"ann"}"#).await.status, 201);
    let stolen = app.make(ANN, r#"{"owner":"bob"}"#).await;
    assert_eq!(stolen.problem(), "422 /owner policy");
    assert!(stolen.text().contains("must be the caller's sub, or be left out"), "{}", stolen.text());
    // What else is wrong is told as ever.
    assert_eq!(app.make(ANN, r#"{"text":1}"#).await.problem(), "422 /text string_type");
    let nobody = app.make(NOBODY, r#"{"owner":"ann"}"#).await;
    assert_eq!(
        (nobody.problem(), nobody.detail()),
        ("403".into(), "rows are made by callers who say who they are; send a token".into())
    );
    assert_eq!(
        app.make(r#"{"scope":"x"}"#, "{}").await.detail(),
        "the caller has no claim sub that rows could be given"
    );

    let many = app.make(ANN, r#"[{"text":"1"},{"text":"2","owner":"bob"}]"#).await;
    assert_eq!(many.problem(), "422 /1/owner policy");
    let lenient = app
        .send_as(ANN, Method::POST, "/note", &[JSON, ("prefer", "handling=lenient")], r#"[{},{"owner":"bob"}]"#)
        .await;
    assert_eq!(lenient.status, 207);
    assert_eq!(
        (&lenient.json()["items"][0]["item"]["owner"], &lenient.json()["items"][1]["status"]),
        (&json!("ann"), &json!(422))
    );
    assert_eq!(app.look(ANN, "/note/_count").await.json(), json!({"count": 2}));
}

#[tokio::test]
async fn rows_are_written_by_those_who_may() {
    let app = App::new(NOTE, shared()).await;
    let hidden = app.note(ANN, r#"{"text":"a"}"#).await;
    let open = app.note(ANN, r#"{"text":"b","public":true}"#).await;
    let writes = [
        (Method::PUT, r#"{"text":"x"}"#),
        (Method::PATCH, r#"{"text":"x"}"#),
        (Method::PATCH, r#"{"public":true}"#),
        (Method::PATCH, "{}"),
        (Method::DELETE, ""),
    ];
    for (method, body) in writes.clone() {
        for claims in [BOB, NOBODY] {
            assert_eq!(app.change(claims, method.clone(), &hidden, body).await.problem(), "404", "{method} {body}");
            let refused = app.change(claims, method.clone(), &open, body).await;
            assert_eq!(refused.problem(), "403", "{method} {body}");
            assert_eq!(refused.detail(), "the caller may read this row and not write it");
        }
    }
    assert_eq!(app.texts(ANN, "").await, ["a", "b"], "nothing was written");
    // A tag does not open what the policy closes, and tells nothing.
    for claims in [BOB, NOBODY] {
        let tagged =
            app.send_as(claims, Method::PATCH, &hidden, &[JSON, ("if-match", "\"zz\"")], r#"{"text":"x"}"#).await;
        assert_eq!(tagged.problem(), "404");
    }
    for (method, body) in writes {
        let done = app.change(ANN, method.clone(), &open, body).await;
        assert!(done.status.is_success(), "{method} {body}: {}", done.text());
        if method == Method::PUT {
            assert_eq!(done.json()["owner"], "ann", "left out, it stays the caller's");
        }
    }
    assert_eq!(app.look(ANN, &open).await.problem(), "404");
}

#[tokio::test]
async fn a_row_cannot_be_given_away() {
    let app = App::new(NOTE, shared()).await;
    let note = app.note(ANN, r#"{"text":"a"}"#).await;
    assert_eq!(app.change(ANN, Method::PUT, &note, r#"{"owner":"bob"}"#).await.problem(), "422 /owner policy");
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"owner":"bob"}"#).await.problem(), "422 /owner policy");
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"owner":"ann","text":"b"}"#).await.json()["text"], "b");
    assert_eq!(app.look(ANN, &note).await.json()["owner"], "ann");

    // Without a field that is simply the caller's, the rule itself decides.
    let teams =
        Policy::new().read(Expr::True).write(Expr::In { field: path("team"), values: vec![Operand::claim("teams")] });
    let app = App::new(NOTE, ResourceOptions::new().policy(teams)).await;
    let made = app.make(ANN, r#"{"owner":"x","team":3}"#).await;
    assert_eq!((made.problem(), made.detail()), ("403".into(), "the caller may not write such a row".into()));
    assert_eq!(app.make(BOB, r#"{"owner":"x","team":1}"#).await.problem(), "403", "the claim is no list of numbers");
    let note = app.note(ANN, r#"{"owner":"x","team":2}"#).await;
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"team":1}"#).await.json()["team"], 1);
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"team":3}"#).await.problem(), "403");
    assert_eq!(app.change(ANN, Method::PUT, &note, r#"{"owner":"x"}"#).await.problem(), "403");
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"text":"kept"}"#).await.json()["text"], "kept");
    assert_eq!(app.change(BOB, Method::PATCH, &note, r#"{"text":"x"}"#).await.problem(), "403");
    assert_eq!(app.look(NOBODY, &note).await.json()["team"], 1);
}

#[tokio::test]
async fn rows_may_be_made_by_others_than_those_who_write_them() {
    let policy = Policy::new().read(own()).create(Expr::equal(path("public"), Operand::Value(false.into())));
    let app = App::new(NOTE, ResourceOptions::new().policy(policy)).await;
    let note = app.note(NOBODY, r#"{"owner":"ann","text":"a"}"#).await;
    assert_eq!(app.make(NOBODY, r#"{"owner":"ann","public":true}"#).await.problem(), "403");
    assert_eq!(app.look(NOBODY, &note).await.problem(), "404");
    assert_eq!(app.change(ANN, Method::PATCH, &note, r#"{"text":"b"}"#).await.json()["text"], "b");
    assert_eq!(app.change(BOB, Method::DELETE, &note, "").await.problem(), "404");
}

#[tokio::test]
async fn what_is_not_known_is_not_allowed() {
    let not = |rule: Rule| Expr::Not(Box::new(rule));
    let claim = || Operand::claim("teams");
    let compare = |op| Expr::Compare { field: path("team"), op, value: Operand::claim("tenant.id") };
    let team = || Expr::In { field: path("team"), values: vec![Operand::Value(Value::Int(9)), claim()] };
    let reader = || Expr::Has { field: path("readers"), values: vec![Operand::claim("sub")] };
    let all = ["a1", "b7", "c9", "d-"];
    let cases: Vec<(Rule, &str, &[&str])> = vec![
        (team(), ANN, &["a1", "c9"]),
        (team(), BOB, &["c9"]),
        (team(), NOBODY, &["c9"]),
        (not(team()), ANN, &["b7", "d-"]),
        (not(team()), BOB, &[]),
        (not(team()), NOBODY, &[]),
        (not(not(team())), NOBODY, &["c9"]),
        (compare(Comparison::Ne), ANN, &["a1", "c9", "d-"]),
        (compare(Comparison::Ne), BOB, &[]),
        (not(compare(Comparison::Lt)), ANN, &["b7", "c9", "d-"]),
        (not(compare(Comparison::Lt)), NOBODY, &[]),
        (reader(), ANN, &["a1", "d-"]),
        (reader(), NOBODY, &[]),
        (not(reader()), NOBODY, &[]),
        (not(reader()).or(public()), NOBODY, &["c9"]),
        (Expr::IsNull { field: path("team") }, NOBODY, &["d-"]),
        (Expr::True, NOBODY, &all),
    ];
    for (rule, claims, expected) in cases {
        let app =
            App::new(NOTE, ResourceOptions::new().policy(Policy::new().read(rule.clone()).create(Expr::True))).await;
        for (text, more) in [
            ("a1", r#""team":1,"readers":["x","ann"]"#),
            ("b7", r#""team":7"#),
            ("c9", r#""team":9,"public":true"#),
            ("d-", r#""readers":["ann"]"#),
        ] {
            app.note(NOBODY, &format!(r#"{{"owner":"x","text":"{text}",{more}}}"#)).await;
        }
        assert_eq!(app.texts(claims, "").await, expected, "{rule:?} for {claims}");
    }
}

#[tokio::test]
async fn an_id_that_is_taken_by_a_hidden_row_is_not_overwritten() {
    let chosen = NOTE.replacen(r#""type":"uuid""#, r#""type":"str""#, 1);
    let app = App::new(&chosen, shared().client_id(true).upsert(true)).await;
    assert_eq!(app.change(ANN, Method::PUT, "/note/1", r#"{"text":"a"}"#).await.status, 201);
    assert_eq!(app.change(BOB, Method::PUT, "/note/1", r#"{"text":"b"}"#).await.problem(), "409");
    assert_eq!(app.change(NOBODY, Method::PUT, "/note/2", r#"{"owner":"ann"}"#).await.problem(), "403");
    assert_eq!(app.change(ANN, Method::PUT, "/note/1", r#"{"text":"c","public":true}"#).await.status, 200);
    assert_eq!(app.change(BOB, Method::PUT, "/note/1", r#"{"text":"b"}"#).await.problem(), "403");
    assert_eq!(app.look(ANN, "/note/1").await.json()["text"], "c");
}

#[test]
fn mistakes_are_found_at_start_up() {
    let schema = Arc::new(Schema::from_description(NOTE).unwrap());
    let check =
        |rule: Rule| Resource::new(schema.clone(), ResourceOptions::new().policy(Policy::new().read(rule))).check();
    assert!(check(own()).is_ok());
    let error = check(Expr::equal(path("readers"), Operand::claim("sub"))).unwrap_err().to_string();
    assert!(error.contains("the policy of Note asks readers for a comparison"), "{error}");
    let error = check(Expr::Has { field: path("owner"), values: vec![] }).unwrap_err().to_string();
    assert!(error.contains("no list of single values"), "{error}");
    assert!(check(Expr::IsNull { field: 99.into() }).is_err());
    let error = Path::of(&schema, "ownr").unwrap_err().to_string();
    assert!(error.contains("did you mean owner?"), "{error}");
}

#[test]
fn writes_that_anybody_may_do_are_known() {
    let schema = Arc::new(Schema::from_description(NOTE).unwrap());
    let open = |options| Resource::new(schema.clone(), options).open_writes().collect::<Vec<_>>();
    assert_eq!(open(ResourceOptions::new()), [Op::Create, Op::Replace, Op::Patch, Op::Delete]);
    assert_eq!(open(ResourceOptions::new().ops([Op::Get, Op::List])), []);
    assert_eq!(open(shared()), []);
    let made_by_anybody = Policy::new().write(own()).create(public());
    assert_eq!(open(ResourceOptions::new().policy(made_by_anybody)), [Op::Create]);
    let guarded = ResourceOptions::new().guard(Op::Delete, "Guard", |route| route);
    assert_eq!(open(guarded), [Op::Create, Op::Replace, Op::Patch]);
}
