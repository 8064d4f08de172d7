//! Models that hold themselves.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use ziggurat::crud::{Resource, ResourceOptions, Schema, openapi};

use crate::support::{App, every_op};

const POST: &str = r#"{"name":"Post","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"first","type":{"type":"optional","of":{"type":"model","schema":{"name":"Reply","ref":"r","fields":[
     {"name":"text","type":{"type":"str","min_length":1}},
     {"name":"replies","type":{"type":"list","items":{"type":"back","ref":"r"}},"default":{"value":[]}},
     {"name":"quote","type":{"type":"optional","of":{"type":"back","ref":"r"}},"default":{"value":null}}]}}},
   "default":{"value":null}},
  {"name":"rule","type":{"type":"optional","of":{"type":"tagged","tag":"op","models":[
     {"tags":["not"],"model":{"type":"model","schema":{"name":"Not","ref":"n","fields":[
        {"name":"op","type":{"type":"literal","values":["not"]}},
        {"name":"of","type":{"type":"tagged","tag":"op","models":[
           {"tags":["not"],"model":{"type":"back","ref":"n"}},
           {"tags":["is"],"model":{"type":"model","schema":{"name":"Is","fields":[
              {"name":"op","type":{"type":"literal","values":["is"]}},{"name":"value","type":{"type":"int"}}]}}}]}}]}}}]}},
   "default":{"value":null}}]}"#;

async fn app() -> App {
    App::new(POST, ResourceOptions::new().ops(every_op()).client_id(true)).await
}

#[tokio::test]
async fn they_are_kept_and_read_as_deep_as_they_are() {
    let app = app().await;
    let reply = |text: &str, replies: Json| json!({"text": text, "replies": replies, "quote": null});
    let first = reply("a", json!([reply("b", json!([reply("c", json!([]))])), reply("d", json!([]))]));
    let made = app.post("/post", &json!({"id": "1", "first": first}).to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(app.get("/post/1").await.json()["first"], first);
    assert_eq!(app.get("/post?first.quote.text=x").await.column("id"), [""; 0]);
    let quoted = app.patch("/post/1", r#"{"first":{"quote":{"text":"q","quote":{"text":"r"}}}}"#).await;
    assert_eq!(quoted.json()["first"]["quote"]["quote"]["text"], "r");
    assert_eq!(app.get("/post?first.quote.quote.text=r").await.column("id"), ["1"]);
    assert_eq!(app.get("/post/1?fields=first.quote.text").await.json(), json!({"first": {"quote": {"text": "q"}}}));
    let patched = app.patch("/post/1", r#"{"first":{"quote":{"quote":{"text":""}}}}"#).await;
    assert_eq!(patched.problem(), "422 /first/quote/quote/text string_too_short");

    let rule = r#"{"op":"not","of":{"op":"not","of":{"op":"is","value":3}}}"#;
    let ruled = app.patch("/post/1", &format!(r#"{{"rule":{rule}}}"#)).await;
    assert_eq!(ruled.json()["rule"], serde_json::from_str::<Json>(rule).unwrap());
    let wrong = r#"{"id":"2","rule":{"op":"not","of":{"op":"not","of":{"op":"is"}}}}"#;
    assert_eq!(app.post("/post", wrong).await.problem(), "422 /rule/of/of/value missing");
}

#[tokio::test]
async fn there_is_a_depth_that_is_too_deep() {
    let app = app().await;
    let nested = |levels: usize| {
        let (begin, end) = (r#"{"text":"x","quote":"#.repeat(levels), "}".repeat(levels));
        format!(r#"{{"id":"{levels}","first":{begin}null{end}}}"#)
    };
    assert_eq!(app.post("/post", &nested(63)).await.status, 201);
    assert_eq!(app.get("/post/63").await.status, 200);
    let deep = app.post("/post", &nested(64)).await;
    assert_eq!(deep.problem(), format!("422 /first{} too_deep", "/quote".repeat(63)));
    for levels in [200, 30_000] {
        assert_eq!(app.post("/post", &nested(levels)).await.problem(), "400", "{levels}");
    }
    let rule = |levels: usize| {
        let begin = r#"{"op":"not","of":"#.repeat(levels);
        format!(r#"{{"id":"r{levels}","rule":{begin}{{"op":"is","value":1}}{}}}"#, "}".repeat(levels))
    };
    assert_eq!(app.post("/post", &rule(20)).await.status, 201);
    for levels in [64, 200, 30_000] {
        let refused = app.post("/post", &rule(levels)).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{levels}: {}", refused.status);
    }
}

#[test]
fn they_are_documented_and_must_be_closed() {
    let schema = Arc::new(Schema::from_description(POST).unwrap());
    let document = openapi(&Resource::new(schema, ResourceOptions::new().ops(every_op()).client_id(true)));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Reply"]["properties"]["replies"]["items"]["$ref"], "#/components/schemas/Reply");
    assert_eq!(schemas["ReplyPatch"]["properties"]["replies"]["items"]["$ref"], "#/components/schemas/ReplyReplace");
    let text = document.to_string();
    for (at, _) in text.match_indices("\"$ref\":\"") {
        let reference = text[at + 8..].split('"').next().unwrap();
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    assert!(format!("{:?}", Schema::from_description(POST).unwrap()).len() < 20_000, "it can be printed");
    let lost = POST.replace(r#""ref":"r","fields""#, r#""ref":"s","fields""#);
    let text = Schema::from_description(&lost).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains(r#"Reply.replies: it stands in no model that is told by "r""#), "{text}");
}
