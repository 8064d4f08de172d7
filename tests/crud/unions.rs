//! Fields that hold a value of one of several types.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use ziggurat::crud::{Resource, ResourceOptions, Schema, openapi};

use crate::support::{App, every_op};

const OWNER: &str = r#"{"name":"Owner","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"size","type":{"type":"union","of":[{"type":"int","ge":0},{"type":"optional","of":{"type":"str","max_length":3}}]},"default":{"value":null}},
  {"name":"pet","type":{"type":"optional","of":{"type":"tagged","tag":"kind","models":[
     {"tags":["cat","kitten"],"model":{"type":"model","schema":{"name":"Cat","fields":[
        {"name":"kind","type":{"type":"literal","values":["cat","kitten"]}},
        {"name":"lives","type":{"type":"int","le":9},"default":{"value":9}},
        {"name":"toys","type":{"type":"dict","values":{"type":"int"}},"default":{"value":{}}}]}}},
     {"tags":["dog"],"model":{"type":"model","schema":{"name":"Dog","fields":[
        {"name":"name","type":{"type":"str"}},
        {"name":"kind","type":{"type":"literal","values":["dog"]}}]}}}]}},"default":{"value":null}},
  {"name":"at","type":{"type":"union","of":[{"type":"str"},{"type":"model","schema":{"name":"Place","fields":[
     {"name":"city","type":{"type":"str"}},{"name":"zip","type":{"type":"optional","of":{"type":"int"}},"default":{"value":7}}]}}]},
     "default":{"value":"home"}}]}"#;

async fn app() -> App {
    App::new(OWNER, ResourceOptions::new().ops(every_op()).client_id(true)).await
}

impl App {
    async fn owner(&self, body: &str) -> Json {
        let made = self.post("/owner", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }
}

#[tokio::test]
async fn values_are_of_the_type_that_they_look_like() {
    let app = app().await;
    assert_eq!(app.owner(r#"{"id":"a"}"#).await, json!({"id": "a", "size": null, "pet": null, "at": "home"}));
    app.owner(r#"{"id":"b","size":4,"at":{"city":"Ur"},"pet":{"lives":3,"kind":"kitten"}}"#).await;
    app.owner(r#"{"id":"c","size":"XL","pet":{"kind":"dog","name":"Rex"}}"#).await;
    assert_eq!(
        app.get("/owner/b").await.text(),
        r#"{"id":"b","size":4,"pet":{"kind":"kitten","lives":3,"toys":{}},"at":{"city":"Ur","zip":7}}"#
    );
    assert_eq!(app.get("/owner?size=is.null").await.column("id"), ["a"]);
    assert_eq!(app.get("/owner?pet=is.notnull").await.column("id"), ["b", "c"]);
    assert_eq!(app.get("/owner/c?fields=pet").await.text(), r#"{"pet":{"name":"Rex","kind":"dog"}}"#);
    for query in ["size=4", "pet=x", "at=gt.a"] {
        assert_eq!(app.get(&format!("/owner?{query}")).await.status, 422, "{query}");
    }
    assert_eq!(app.get("/owner?sort=size").await.problem(), "400 sort not_scalar");
    assert_eq!(app.get("/owner?pet.lives=3").await.problem(), "400 pet.lives unknown_parameter");
}

#[tokio::test]
async fn what_is_of_none_of_the_types_is_named() {
    let app = app().await;
    for (members, problem) in [
        (r#""size":-1"#, "422 /size greater_than_equal"),
        (r#""size":"XXXL""#, "422 /size string_too_long"),
        (r#""size":1.5"#, "422 /size int_type /size string_type"),
        (r#""size":[true]"#, "422 /size int_type /size string_type"),
        (r#""pet":3"#, "422 /pet dict_type"),
        (r#""pet":{}"#, "422 /pet union_tag_not_found"),
        (r#""pet":{"kind":"cow"}"#, "422 /pet union_tag_invalid"),
        (r#""pet":{"kind":7}"#, "422 /pet union_tag_invalid"),
        (r#""pet":{"name":1,"kind":"dog","lives":2}"#, "422 /pet/name string_type /pet/lives extra_forbidden"),
        (r#""pet":{"kind":"cat","kind":"dog"}"#, "422 /pet/kind duplicate_key"),
        (r#""pet":{"kind":"dog","name":"\ud800"}"#, "422 /pet/name string_unicode"),
        (r#""pet":{"kind":"\ud800"}"#, "422 /pet union_tag_invalid"),
        (r#""at":{"zip":1}"#, "422 /at/city missing"),
        (r#""at":null"#, "422 /at string_type /at model_type"),
    ] {
        assert_eq!(app.post("/owner", &format!(r#"{{"id":"x",{members}}}"#)).await.problem(), problem, "{members}");
    }
    let unknown = app.post("/owner", r#"{"id":"x","pet":{"kind":"cow"}}"#).await;
    assert_eq!(
        unknown.json()["errors"][0]["detail"],
        r#"has a kind that tells no model; it must be one of "cat", "kitten", "dog""#
    );
}

#[tokio::test]
async fn a_patch_merges_into_what_the_row_holds() {
    let app = app().await;
    app.owner(r#"{"id":"a","pet":{"kind":"cat","toys":{"ball":1,"mouse":2}},"at":{"city":"Ur","zip":null}}"#).await;
    let pet = async |body: &str| {
        let answer = app.patch("/owner/a", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["pet"].clone()
    };
    // Without a tag it is about the model that is there, with the same model's as well.
    let merged = pet(r#"{"pet":{"lives":8,"toys":{"ball":null,"rope":3}}}"#).await;
    assert_eq!(merged, json!({"kind": "cat", "lives": 8, "toys": {"mouse": 2, "rope": 3}}));
    let merged = pet(r#"{"pet":{"kind":"kitten"}}"#).await;
    assert_eq!(merged, json!({"kind": "kitten", "lives": 8, "toys": {"mouse": 2, "rope": 3}}));
    for (body, problem) in [
        (r#"{"pet":{"name":"Rex"}}"#, "422 /pet/name extra_forbidden"),
        (r#"{"pet":{"lives":10}}"#, "422 /pet/lives less_than_equal"),
        (r#"{"pet":{"lives":null}}"#, "422 /pet/lives int_type"),
        (r#"{"pet":{"kind":"dog"}}"#, "422 /pet/name missing"),
        (r#"{"pet":{"kind":"cow"}}"#, "422 /pet union_tag_invalid"),
        (r#"{"pet":[1]}"#, "422 /pet dict_type"),
        (r#"{"pet":{"toys":{"x":"\ud800"}}}"#, "422 /pet string_unicode"),
        (r#"{"size":{}}"#, "422 /size int_type /size string_type"),
    ] {
        assert_eq!(app.patch("/owner/a", body).await.problem(), problem, "{body}");
    }
    // With the tag of another it is a new one.
    assert_eq!(pet(r#"{"pet":{"kind":"dog","name":"Rex"}}"#).await, json!({"name": "Rex", "kind": "dog"}));
    assert_eq!(pet(r#"{"pet":null}"#).await, Json::Null);
    assert_eq!(app.patch("/owner/a", r#"{"pet":{"lives":1}}"#).await.problem(), "422 /pet union_tag_not_found");
    assert_eq!(pet(r#"{"pet":{"kind":"cat","lives":1}}"#).await, json!({"kind": "cat", "lives": 1, "toys": {}}));

    let at = async |body: &str| app.patch("/owner/a", body).await.json()["at"].clone();
    assert_eq!(at(r#"{"at":{"zip":5}}"#).await, json!({"city": "Ur", "zip": 5}));
    assert_eq!(at(r#"{"at":"away"}"#).await, json!("away"));
    assert_eq!(app.patch("/owner/a", r#"{"at":{"zip":5}}"#).await.problem(), "422 /at/city missing");
    assert_eq!(at(r#"{"at":{"city":"Ur"}}"#).await, json!({"city": "Ur", "zip": 7}));

    assert_eq!(app.patch("/owner?size=is.null", r#"{"pet":{"kind":"dog"}}"#).await.problem(), "422 /pet nested_change");
    assert_eq!(app.patch("/owner?size=is.null", r#"{"size":"M","at":"x"}"#).await.json()["modified"], 1);
    let deep = format!(r#"{{"pet":{}1{}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(app.patch("/owner/a", &deep).await.problem(), "400");
    let deep = format!(r#"{{"id":"z","pet":{}1{}}}"#, r#"{"kind":"cat","a":"#.repeat(40_000), "}".repeat(40_000));
    assert_eq!(app.post("/owner", &deep).await.problem(), "400");
}

#[test]
fn they_are_documented() {
    let schema = Arc::new(Schema::from_description(OWNER).unwrap());
    let document = openapi(&Resource::new(schema, ResourceOptions::new().client_id(true)));
    let schemas = &document["components"]["schemas"];
    let pet = &schemas["OwnerCreate"]["properties"]["pet"]["anyOf"][0];
    let reference = |name: &str| format!("#/components/schemas/{name}");
    assert_eq!(pet["oneOf"], json!([{"$ref": reference("CatCreate")}, {"$ref": reference("DogCreate")}]));
    assert_eq!(
        pet["discriminator"],
        json!({"propertyName": "kind", "mapping": {
        "cat": reference("CatCreate"), "kitten": reference("CatCreate"), "dog": reference("DogCreate")}})
    );
    assert!(schemas["OwnerPatch"]["properties"]["pet"]["anyOf"][0]["discriminator"].is_null());
    let size = &schemas["Owner"]["properties"]["size"]["anyOf"][0]["anyOf"];
    assert_eq!(size.as_array().unwrap().iter().map(|kind| &kind["type"]).collect::<Vec<_>>(), ["integer", "string"]);
}

#[test]
fn descriptions_that_make_no_sense_are_refused() {
    let refused = |kind: &str| {
        let text = format!(
            r#"{{"name":"M","id":"id","fields":[{{"name":"id","type":{{"type":"uuid"}}}},{{"name":"x","type":{kind}}}]}}"#
        );
        Schema::from_description(&text).map(|_| ()).unwrap_err().to_string()
    };
    let model = |tags: &str, field: &str| {
        format!(
            r#"{{"tags":[{tags}],"model":{{"type":"model","schema":{{"name":"A","fields":[{{"name":"{field}","type":{{"type":"literal","values":["a"]}}}}]}}}}}}"#
        )
    };
    let tagged = |models: String| format!(r#"{{"type":"tagged","tag":"kind","models":[{models}]}}"#);
    for (kind, says) in [
        (r#"{"type":"union","of":[]}"#.to_owned(), "M.x: there is no type to choose from"),
        (r#"{"type":"union","of":[{"type":"str"},{"type":"uuid"}]}"#.to_owned(), "M.x: str and UUID look the same"),
        (tagged(String::new()), "M.x: there is no model to choose from"),
        (tagged(model("\"a\"", "sort")), "M.x: A has no field \"kind\""),
        (tagged(model("\"b\"", "kind")), "M.x: A.kind cannot hold what A is told by"),
        (
            tagged([model("\"a\"", "kind"), model("\"a\"", "kind")].join(",")),
            "M.x: A is told by the same kind as another",
        ),
        (
            tagged(
                r#"{"tags":["a"],"model":{"type":"model","schema":{"name":"A","fields":[{"name":"kind","type":{"type":"str"}}]}}}"#.to_owned(),
            ),
            "M.x: A.kind is no Literal or Enum",
        ),
    ] {
        let text = refused(&kind);
        assert!(text.contains(says), "{text}");
    }
}
