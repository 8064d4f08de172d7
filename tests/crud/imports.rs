//! `_import`: rows in lines, each for itself.

use http::Method;
use serde_json::Value as Json;
use ziggurat::Body;
use ziggurat::crud::{Event, Expr, Op, Operand, Path, Policy, ResourceOptions, Schema};
use ziggurat::service::Problem;

use crate::support::{Answer, App, USER};

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const LIVE: (&str, &str) = ("accept", "application/x-ndjson");

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(Op::CORE.into_iter().chain([Op::Import, Op::Count, Op::Export])).client_id(true)
}

async fn import(app: &App, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    app.send(Method::POST, "/user/_import", &[&[LINES], headers].concat(), body).await
}

fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Lines of which one is no JSON, one breaks the rules and two repeat what must be unique.
fn mixed() -> String {
    let lines = [
        format!(r#"{{"id":"{}","name":"Ada","email":"a@x"}}"#, id(1)),
        r#"{"name":"Bob""#.to_owned(),
        format!(r#"{{"id":"{}","name":"Cleo","email":"a@x"}}"#, id(3)),
        String::new(),
        format!(r#"{{"id":"{}","name":"","age":-1}}"#, id(5)),
        format!(r#"{{"id":"{}","name":"Dan"}}"#, id(6)),
        format!(r#"{{"id":"{}","name":"Eve"}}"#, id(6)),
    ];
    lines.join("\n")
}

#[tokio::test]
async fn each_line_stands_for_itself() {
    let app = App::new(USER, options()).await;
    let answer = import(&app, &[], mixed()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let told = answer.json();
    assert_eq!((&told["lines"], &told["created"], &told["failed"]), (&7.into(), &2.into(), &4.into()));
    assert_eq!(told["broken"], Json::Null);
    let wrong: Vec<String> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            format!("{} {} {}", error["line"], error["problem"]["status"], error["problem"]["errors"][0]["pointer"])
        })
        .collect();
    assert_eq!(wrong, ["2 400 null", r#"3 409 "/email""#, r#"5 422 "/name""#, r#"7 409 "/id""#]);
    let names: Vec<Json> = app.get("/user?sort=name").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].clone())
        .collect();
    assert_eq!(names, ["Ada", "Dan"]);
}

#[tokio::test]
async fn what_became_of_each_line_is_told_to_those_who_take_lines() {
    let app = App::new(USER, options()).await;
    let answer = import(&app, &[LIVE], mixed()).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = answer.text();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> =
        lines.iter().map(|line| format!("{} {} {}", line["line"], line["status"], line["id"])).collect();
    assert_eq!(
        told,
        [
            format!("1 201 \"{}\"", id(1)),
            "2 400 null".into(),
            "3 409 null".into(),
            "5 422 null".into(),
            format!("6 201 \"{}\"", id(6)),
            "7 409 null".into(),
            "null null null".into()
        ]
    );
    assert_eq!(lines[6]["$end"].to_string(), r#"{"broken":null,"created":2,"failed":4,"lines":7}"#);
    let again = import(&app, &[LIVE, ("prefer", "return=minimal")], "{\"name\":\"Zoe\"}\n{}").await.text();
    assert_eq!(again.lines().count(), 2, "{again}");
    assert!(again.starts_with(r#"{"line":2,"status":422,"problem":{"#), "{again}");
}

#[tokio::test]
async fn many_rows_go_in_and_come_out_again() {
    let app = App::new(USER, options()).await;
    let rows: Vec<String> =
        (0..2500).map(|number| format!(r#"{{"id":"{}","name":"n{number}"}}"#, id(number))).collect();
    let told = import(&app, &[], rows.join("\n")).await.json();
    assert_eq!((&told["lines"], &told["created"], &told["failed"]), (&2500.into(), &2500.into(), &0.into()));
    assert_eq!(app.get("/user/_count").await.text(), r#"{"count":2500}"#);
    // What an export gives another app takes.
    let other = App::new(USER, options()).await;
    let exported = app.get("/user/_export").await.text();
    assert_eq!(import(&other, &[], exported.clone()).await.json()["created"], 2500);
    assert_eq!(other.get("/user/_export").await.text(), exported);
}

#[tokio::test]
async fn a_long_line_and_a_broken_body_lose_nothing_else() {
    let app = App::new(USER, options().body_limit(100)).await;
    let long = format!("{{\"name\":\"a\"}}\n{{\"name\":\"{}\"}}\n{{\"name\":\"b\"}}\n", "x".repeat(200));
    let told = import(&app, &[], long).await.json();
    assert_eq!(
        (&told["created"], &told["errors"][0]["line"], &told["errors"][0]["problem"]["status"]),
        (&2.into(), &2.into(), &413.into())
    );

    let torn = |texts: &'static [&'static str]| {
        let pieces = texts
            .iter()
            .map(|text| if text.is_empty() { Err("torn") } else { Ok(bytes::Bytes::from_static(text.as_bytes())) });
        Body::from_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()))
    };
    let told = import(&app, &[], torn(&["{\"name\":\"c\"}\n{\"na", ""])).await.json();
    assert_eq!((&told["created"], &told["lines"], &told["broken"]["status"]), (&1.into(), &1.into(), &400.into()));
    assert_eq!(import(&app, &[], torn(&["{\"na", ""])).await.problem(), "400");
    assert_eq!(app.get("/user/_count").await.text(), r#"{"count":3}"#);
    assert_eq!(import(&app, &[], "").await.json()["lines"], 0);
    assert_eq!(app.send(Method::POST, "/user/_import", &[("content-type", "text/csv")], "a,b").await.status, 415);
}

#[tokio::test]
async fn a_store_that_fails_ends_the_import() {
    let app = App::new(USER, options()).await;
    app.close().await;
    let told = import(&app, &[], "{\"name\":\"a\"}\n{\"name\":\"b\"}\n").await.json();
    assert_eq!((&told["created"], &told["failed"], &told["broken"]["status"]), (&0.into(), &2.into(), &503.into()));
}

#[tokio::test]
async fn policies_and_hooks_of_making_rows_are_asked() {
    let schema = Schema::from_description(USER).unwrap();
    let own = Expr::equal(Path::of(&schema, "name").unwrap(), Operand::claim("sub"));
    let policy = Policy::new().create(own);
    let refuse = |event: Event| async move {
        let user: Json = serde_json::from_slice(&event.document).unwrap();
        if user["age"] == 13 {
            return Err(Problem::of(http::StatusCode::CONFLICT).detail("unlucky"));
        }
        Ok(event.document)
    };
    let app =
        App::new(USER, options().ops([Op::Import, Op::List]).policy(policy).before(Op::Create, "lucky", refuse)).await;
    let body = "{\"name\":\"ann\",\"age\":1}\n{\"name\":\"bob\"}\n{\"age\":2}\n{\"age\":13}";
    let told = app.send_as(r#"{"sub":"ann"}"#, Method::POST, "/user/_import", &[LINES], body).await.json();
    let errors: Vec<String> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{} {}", error["line"], error["problem"]["status"]))
        .collect();
    assert_eq!((&told["created"], errors), (&2.into(), vec!["2 422".to_owned(), "4 409".to_owned()]));
    assert_eq!(app.send(Method::POST, "/user/_import", &[LINES], body).await.status, 403);
}
