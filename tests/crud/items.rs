//! Single rows: create, get, replace, patch, delete.

use http::Method;
use serde_json::json;

use crate::support::{App, JSON, USER};
use ziggurat::crud::ResourceOptions;

const NOBODY: &str = "/user/00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_row_lives_from_create_to_delete() {
    let app = App::users().await;
    let created = app.post("/user", r#"{"name":"Ada","age":36,"home":{"city":"London"}}"#).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("content-type"), "application/json");
    let document = created.json();
    let id = document["id"].as_str().unwrap();
    assert_eq!(
        created.text(),
        format!(
            r#"{{"id":"{id}","name":"Ada","email":null,"age":36,"tags":[],"home":{{"city":"London","zip":"0"}},"at":"2024-05-01T10:00:00.000Z","score":1.0}}"#
        )
    );
    assert_eq!(created.header("location"), format!("/user/{id}"));
    let path = created.header("location");

    let got = app.get(path).await;
    assert_eq!((got.status.as_u16(), &got.body), (200, &created.body));
    assert_eq!(got.header("etag"), created.header("etag"));
    assert_eq!(got.header("cache-control"), "private, no-cache");
    assert_eq!(got.header("vary"), "Accept, Authorization, Prefer");
    assert_eq!(got.header("x-content-type-options"), "nosniff");

    let replaced = app.put(path, r#"{"name":"Grace"}"#).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.json()["age"], json!(null), "what is left out takes its default");
    assert_eq!(replaced.json()["id"], document["id"]);
    assert_ne!(replaced.header("etag"), created.header("etag"));

    let patched = app.patch(path, r#"{"age":5,"tags":["a"]}"#).await;
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["name"], "Grace");
    assert_eq!(patched.json()["tags"], json!(["a"]));
    assert_eq!(app.get(path).await.body, patched.body);

    let deleted = app.send(Method::DELETE, path, &[], "").await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    assert_eq!(app.get(path).await.problem(), "404");
    assert_eq!(app.send(Method::DELETE, path, &[], "").await.problem(), "404");
}

#[tokio::test]
async fn a_document_may_be_put_back_as_it_came() {
    let app = App::users().await;
    let (path, _) = app.user(r#"{"name":"Ada","email":"a@b","tags":["x"],"home":{"city":"Ur"}}"#).await;
    let got = app.get(&path).await;
    let put = app.put(&path, &got.text()).await;
    assert_eq!((put.status.as_u16(), put.body), (200, got.body));
}

#[tokio::test]
async fn ids_that_are_not_there_or_not_ids_are_one_answer() {
    let app = App::users().await;
    for path in [NOBODY, "/user/1", "/user/xyz", "/user/%00", "/user/%27%20OR%201=1"] {
        let answer = app.get(path).await;
        assert_eq!(answer.problem(), "404", "{path}");
        assert_eq!(answer.detail(), "there is no row with this id");
    }
    assert_eq!(app.put(NOBODY, r#"{"name":"x"}"#).await.problem(), "404");
    assert_eq!(app.patch(NOBODY, r#"{"name":"x"}"#).await.problem(), "404");
    assert_eq!(app.patch(NOBODY, "{}").await.problem(), "404");
    assert_eq!(app.patch(NOBODY, r#"{"home":{"city":"x"}}"#).await.problem(), "404");
}

#[tokio::test]
async fn clients_do_not_choose_ids_unless_they_may() {
    let body = r#"{"id":"00000000-0000-4000-8000-00000000000A","name":"Ada"}"#;
    let app = App::users().await;
    assert_eq!(app.post("/user", body).await.problem(), "422 /id read_only");
    let (path, _) = app.user(r#"{"name":"Ada"}"#).await;
    assert_eq!(app.put(&path, body).await.problem(), "422 /id id_mismatch");
    assert_eq!(app.patch(&path, body).await.problem(), "422 /id id_mismatch");

    let app = App::new(USER, ResourceOptions::new().client_id(true)).await;
    assert_eq!(app.user(body).await.0, "/user/00000000-0000-4000-8000-00000000000a");
    let again = app.post("/user", body).await;
    assert_eq!(again.problem(), "409 /id unique");
    app.user(r#"{"name":"no id"}"#).await;
}

#[tokio::test]
async fn ids_may_be_texts_and_numbers() {
    let text = r#"{"name":"Page","id":"id","fields":[{"name":"id","type":{"type":"str"}}]}"#;
    let app = App::new(text, ResourceOptions::new().client_id(true)).await;
    let created = app.post("/page", r#"{"id":"a/b ü?"}"#).await;
    assert_eq!(created.header("location"), "/page/a%2Fb%20%C3%BC%3F");
    assert_eq!(app.get(created.header("location")).await.json()["id"], "a/b ü?");
    assert_eq!(app.post("/page", r#"{"id":"_count"}"#).await.problem(), "422 /id reserved_id");

    // A client that follows such a Location asks for another path: /page/.. is /.
    let app = App::new(text, ResourceOptions::new().client_id(true).upsert(true)).await;
    for id in [".", ".."] {
        assert_eq!(app.post("/page", &format!(r#"{{"id":"{id}"}}"#)).await.problem(), "422 /id reserved_id");
        for path in [format!("/page/{id}"), format!("/page/{}", id.replace('.', "%2E"))] {
            assert_eq!(app.put(&path, "{}").await.problem(), "404", "{path}");
        }
    }

    let number = r#"{"name":"Item","id":"id","fields":[{"name":"id","type":{"type":"int"}}]}"#;
    let app = App::new(number, ResourceOptions::new().client_id(true)).await;
    assert_eq!(app.post("/item", r#"{"id":-7}"#).await.header("location"), "/item/-7");
    assert_eq!(app.get("/item/-7").await.status, 200);
    for path in ["/item/-07", "/item/%2B7", "/item/7.0", "/item/99999999999999999999"] {
        assert_eq!(app.get(path).await.problem(), "404", "{path}");
    }
}

#[tokio::test]
async fn patches_reach_into_nested_models() {
    let app = App::users().await;
    let (path, _) = app.user(r#"{"name":"Ada","home":{"city":"Ur","zip":"9"},"tags":["a","b"]}"#).await;
    let merge = [("content-type", "application/merge-patch+json; charset=utf-8")];
    let patched = app.send(Method::PATCH, &path, &merge, r#"{"home":{"city":"Uruk"},"tags":["c"]}"#).await;
    assert_eq!(patched.json()["home"], json!({"city": "Uruk", "zip": "9"}));
    assert_eq!(patched.json()["tags"], json!(["c"]), "lists are replaced whole");
    assert_eq!(app.patch(&path, r#"{"home":null}"#).await.json()["home"], json!(null));
    assert_eq!(app.patch(&path, r#"{"home":{"zip":"1"}}"#).await.problem(), "422 /home/city missing");
    assert_eq!(app.patch(&path, r#"{"home":{"city":"Eridu"}}"#).await.json()["home"]["zip"], "0");
    assert_eq!(app.patch(&path, r#"{"name":null}"#).await.problem(), "422 /name string_type");
    assert_eq!(
        app.patch(&path, r#"{"name":"","age":-1,"home":{"cty":"x"},"x":1}"#).await.problem(),
        "422 /name string_too_short /age greater_than_equal /home/cty extra_forbidden /x extra_forbidden"
    );
    let before = app.get(&path).await;
    let nothing = app.patch(&path, "{}").await;
    assert_eq!(
        (nothing.status.as_u16(), nothing.header("etag")),
        (200, before.header("etag")),
        "an empty patch writes nothing"
    );
}

#[tokio::test]
async fn a_minimal_answer_is_minimal() {
    let app = App::users().await;
    let minimal = [JSON, ("prefer", "respond-async, return=minimal")];
    let created = app.send(Method::POST, "/user", &minimal, r#"{"name":"Ada"}"#).await;
    assert_eq!((created.status.as_u16(), created.body.len()), (201, 0));
    assert_eq!(created.header("preference-applied"), "return=minimal");
    let path = created.header("location");
    let patched = app.send(Method::PATCH, path, &minimal, r#"{"age":1}"#).await;
    assert_eq!((patched.status.as_u16(), patched.body.len()), (204, 0));
    assert_eq!(patched.header("etag"), app.get(path).await.header("etag"));
    let replaced = app.send(Method::PUT, path, &minimal, r#"{"name":"x"}"#).await;
    assert_eq!(replaced.status, 204);
    let whole = app.send(Method::PUT, path, &[JSON, ("prefer", "return=representation")], r#"{"name":"x"}"#).await;
    assert_eq!(whole.status, 200);
}

#[tokio::test]
async fn unique_fields_answer_409() {
    let app = App::users().await;
    app.user(r#"{"name":"Ada","email":"a@b"}"#).await;
    let (other, _) = app.user(r#"{"name":"Grace"}"#).await;
    let taken = app.post("/user", r#"{"name":"Eve","email":"a@b"}"#).await;
    assert_eq!(taken.problem(), "409 /email unique");
    assert!(!taken.text().contains("a@b"), "values are not repeated");
    assert_eq!(app.patch(&other, r#"{"email":"a@b"}"#).await.problem(), "409 /email unique");
    assert_eq!(app.put(&other, r#"{"name":"Grace","email":"a@b"}"#).await.problem(), "409 /email unique");
    app.user(r#"{"name":"nulls do not count"}"#).await;
}

#[tokio::test]
async fn values_come_back_as_they_were_sent() {
    let app = App::users().await;
    for name in [
        "$gt",
        "{\"$ne\":null}",
        "a\u{0}b",
        "'; DROP TABLE c_user; --",
        "__proto__",
        "\\\"\u{1f600}\u{7f}",
        "$.name",
        "%s%n",
    ] {
        let body = json!({"name": name, "tags": [name, "$where"], "home": {"city": name}}).to_string();
        let (path, _) = app.user(&body).await;
        let got = app.get(&path).await.json();
        assert_eq!((&got["name"], &got["tags"][0], &got["home"]["city"]), (&json!(name), &json!(name), &json!(name)));
        let patched = app.patch(&path, &json!({"home": {"city": format!("{name}$set")}}).to_string()).await;
        assert_eq!(patched.json()["home"]["city"], format!("{name}$set"));
    }
    for score in ["0.1", "5e-324", "1.7976931348623157e308", "-0.0", "51.24817837550541"] {
        let (path, _) = app.user(&format!(r#"{{"name":"n","score":{score}}}"#)).await;
        assert_eq!(
            app.get(&path).await.json()["score"].as_f64().unwrap().to_bits(),
            score.parse::<f64>().unwrap().to_bits()
        );
    }
    assert_eq!(app.get("/user").await.status, 200);
}
