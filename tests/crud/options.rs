//! What a list and a row can be asked for beside filters, and what a resource can be told.

use http::Method;
use serde_json::{Value as Json, json};
use ziggurat::crud::{Concurrency, ResourceOptions};

use crate::support::{App, JSON, USER, every_op};

const CHOSEN: &str = r#"{"name":"Page","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},{"name":"size","type":{"type":"int"},"default":{"value":0}}]}"#;

async fn three(options: ResourceOptions) -> App {
    let app = App::new(USER, options).await;
    for (name, city) in [("Ada", "London"), ("Grace", "New York"), ("Alan", "London")] {
        app.user(&format!(r#"{{"name":"{name}","home":{{"city":"{city}"}}}}"#)).await;
    }
    app
}

#[tokio::test]
async fn rows_are_counted_where_it_is_allowed() {
    let app = three(ResourceOptions::new().ops(every_op())).await;
    let all = app.get("/user/_count").await;
    assert_eq!((all.status.as_u16(), all.text().as_str()), (200, r#"{"count":3}"#));
    assert_eq!(app.get("/user/_count?home.city=London").await.json(), json!({"count": 2}));
    assert_eq!(app.get("/user/_count?or=(name.Ada,name.Nobody)").await.json(), json!({"count": 1}));
    assert_eq!(app.get("/user/_count?limit=1").await.problem(), "400 limit unknown_parameter");
    assert_eq!(app.get("/user/_count?age=x").await.problem(), "422 age int_parsing");
    let again = app.send(Method::GET, "/user/_count", &[("if-none-match", all.header("etag"))], "").await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(app.post("/user/_count", "{}").await.status, 405);

    let core = three(ResourceOptions::new()).await;
    assert_eq!(core.get("/user/_count").await.problem(), "404", "it is an id that no row has");
}

#[tokio::test]
async fn an_offset_skips_rows() {
    let app = three(ResourceOptions::new()).await;
    let page = app.get("/user?sort=name&limit=1&offset=1").await;
    assert_eq!(page.column("name"), ["Alan"]);
    let next = page.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(page.header("link"), format!("</user?sort=name&limit=1&cursor={next}>; rel=\"next\""));
    assert_eq!(app.get(&format!("/user?sort=name&limit=1&cursor={next}")).await.column("name"), ["Grace"]);
    assert_eq!(app.get("/user?offset=3").await.column("name"), Vec::<Json>::new());
    assert_eq!(app.get("/user?offset=10001").await.problem(), "422 offset less_than_equal");
    assert_eq!(app.get("/user?offset=-1").await.problem(), "422 offset int_parsing");
    assert_eq!(app.get(&format!("/user?offset=1&cursor={next}")).await.problem(), "400 offset contradiction");
    let without = three(ResourceOptions::new().offset(false)).await;
    assert_eq!(without.get("/user?offset=1").await.problem(), "400 offset not_allowed");
}

#[tokio::test]
async fn totals_are_counted_when_they_are_asked_for() {
    let app = three(ResourceOptions::new()).await;
    let exact = app.send(Method::GET, "/user?limit=1&home.city=London", &[("prefer", "count=exact")], "").await;
    assert_eq!((exact.header("total-count"), exact.header("preference-applied")), ("2", "count=exact"));
    assert_eq!(exact.json()["items"].as_array().unwrap().len(), 1);
    let estimated = app.send(Method::GET, "/user", &[("prefer", "count=estimated")], "").await;
    assert_eq!((estimated.header("total-count"), estimated.header("preference-applied")), ("3", "count=estimated"));
    for (target, preference) in [("/user?name=Ada", "count=estimated"), ("/user", "count=planned"), ("/user", "x")] {
        let plain = app.send(Method::GET, target, &[("prefer", preference)], "").await;
        assert_eq!((plain.header("total-count"), plain.header("preference-applied")), ("", ""), "{preference}");
    }
}

#[tokio::test]
async fn only_the_fields_that_are_asked_for_are_shown() {
    let app = three(ResourceOptions::new()).await;
    let page = app.get("/user?fields=home.city,name&sort=name&limit=2").await;
    let items = r#"[{"name":"Ada","home":{"city":"London"}},{"name":"Alan","home":{"city":"London"}}]"#;
    assert!(page.text().starts_with(&format!(r#"{{"items":{items},"next":"#)), "{}", page.text());
    assert_eq!(app.get("/user?fields=nmae").await.problem(), "400 fields unknown_parameter");
    assert_eq!(app.get("/user?fields=").await.problem(), "400 fields missing");
    assert_eq!(app.get("/user?fields=home.town").await.problem(), "400 fields unknown_parameter");

    let (path, tag) = app.user(r#"{"name":"Barbara"}"#).await;
    let part = app.get(&format!("{path}?fields=name,home.city")).await;
    assert_eq!(part.text(), r#"{"name":"Barbara","home":null}"#);
    let view = part.header("etag").to_owned();
    assert!(view.starts_with(tag.trim_end_matches('"')) && view.contains('.'), "{view} {tag}");
    for (target, known, status) in
        [("?fields=home.city,name", &view, 304), ("", &view, 200), ("", &tag, 304), ("?fields=name", &view, 200)]
    {
        let answer = app.send(Method::GET, &format!("{path}{target}"), &[("if-none-match", known)], "").await;
        assert_eq!(answer.status, status, "{target} {known}");
    }
    let write = app.send(Method::PATCH, &path, &[JSON, ("if-match", &view)], r#"{"age":1}"#).await;
    assert_eq!(write.status, 200, "the tag of a part is good for a write");
    assert_eq!(app.get(&format!("{path}?feilds=name")).await.problem(), "400 feilds unknown_parameter");
    assert!(app.get(&format!("{path}?feilds=name")).await.text().contains("did you mean fields?"));
}

#[tokio::test]
async fn a_list_can_be_a_bare_array() {
    let app = three(ResourceOptions::new().envelope(false)).await;
    let page = app.get("/user?sort=name&limit=2&fields=name").await;
    assert_eq!(page.text(), r#"[{"name":"Ada"},{"name":"Alan"}]"#);
    let link = page.header("link").to_owned();
    let next = link.strip_prefix('<').unwrap().split_once('>').unwrap().0;
    assert_eq!(app.get(next).await.text(), r#"[{"name":"Grace"}]"#);
    assert_eq!(app.get("/user?name=x").await.text(), "[]");
}

#[tokio::test]
async fn writes_must_be_conditional_where_it_is_required() {
    let app = App::new(USER, ResourceOptions::new().concurrency(Concurrency::Required)).await;
    let (path, tag) = app.user(r#"{"name":"Ada"}"#).await;
    for (method, body) in [(Method::PUT, r#"{"name":"x"}"#), (Method::PATCH, r#"{"age":1}"#), (Method::DELETE, "")] {
        let answer = app.send(method.clone(), &path, &[JSON], body).await;
        assert_eq!(answer.problem(), "428 if-match missing", "{method}");
    }
    assert_eq!(app.send(Method::PATCH, &path, &[JSON, ("if-match", &tag)], r#"{"age":1}"#).await.status, 200);
    assert_eq!(app.send(Method::DELETE, &path, &[("if-match", &tag)], "").await.problem(), "412");
    assert_eq!(app.send(Method::DELETE, &path, &[("if-match", "*")], "").await.status, 204);
}

#[tokio::test]
async fn a_put_makes_a_row_where_it_may() {
    let options = || ResourceOptions::new().client_id(true).upsert(true);
    let app = App::new(CHOSEN, options()).await;
    let made = app.put("/page/a", r#"{"size":1}"#).await;
    assert_eq!((made.status.as_u16(), made.text().as_str()), (201, r#"{"id":"a","size":1}"#));
    let replaced = app.put("/page/a", r#"{"size":2}"#).await;
    assert_eq!((replaced.status.as_u16(), replaced.json()["size"].clone()), (200, json!(2)));

    let only_new = [JSON, ("if-none-match", "*")];
    assert_eq!(app.send(Method::PUT, "/page/a", &only_new, r#"{"size":3}"#).await.problem(), "412");
    assert_eq!(app.send(Method::PUT, "/page/b", &only_new, r#"{"size":3}"#).await.status, 201);
    for tag in ["*", "\"zz\""] {
        let answer = app.send(Method::PUT, "/page/c", &[JSON, ("if-match", tag)], "{}").await;
        assert_eq!(answer.problem(), "412", "a row that is not there has no version");
    }
    assert_eq!(app.put("/page/_c", "{}").await.problem(), "404", "no id begins with _");
    assert_eq!(app.get("/page/c").await.status, 404);

    let app = App::new(CHOSEN, options().concurrency(Concurrency::Required)).await;
    assert_eq!(app.put("/page/a", "{}").await.problem(), "428 if-match missing");
    assert_eq!(app.send(Method::PUT, "/page/a", &only_new, "{}").await.status, 201);
}

#[tokio::test]
async fn an_array_is_added_whole_or_not_at_all() {
    let app = App::new(USER, ResourceOptions::new().bulk(true)).await;
    let made = app.post("/user", r#" [{"name":"Ada","email":"a@x"},{"name":"Grace","age":3}]"#).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.column("name"), ["Ada", "Grace"]);
    assert_eq!(app.get("/user?sort=name").await.json()["items"], made.json()["items"]);

    let twice = app.post("/user", r#"[{"name":"Alan"},{"name":"x","email":"a@x"},{"name":"y"}]"#).await;
    assert_eq!(twice.problem(), "409 /1/email unique");
    let wrong = app.post("/user", r#"[{"name":"Alan"},{"name":"","age":-1},5,{"nmae":"x","name":"z"}]"#).await;
    assert_eq!(
        wrong.problem(),
        "422 /1/name string_too_short /1/age greater_than_equal /2 model_type /3/nmae extra_forbidden"
    );
    assert_eq!(app.post("/user", r#"[{"name":"Alan"},"#).await.problem(), "400");
    let many = format!("[{}]", vec![r#"{"name":"x"}"#; 1001].join(","));
    assert_eq!(app.post("/user", &many).await.problem(), "422  too_long");
    assert_eq!(app.get("/user").await.json()["items"].as_array().unwrap().len(), 2, "nothing of it was kept");

    assert_eq!(app.post("/user", "[]").await.text(), r#"{"items":[]}"#);
    let minimal =
        app.send(Method::POST, "/user", &[JSON, ("prefer", "return=minimal")], r#"[{"name":"Barbara"}]"#).await;
    assert_eq!((minimal.status.as_u16(), minimal.body.len()), (201, 0));
    assert_eq!(app.get("/user?name=Barbara").await.column("name"), ["Barbara"]);
    assert_eq!(app.post("/user", r#"{"name":"one"}"#).await.json()["name"], "one");

    let without = App::users().await;
    assert_eq!(without.post("/user", r#"[{"name":"Ada"}]"#).await.problem(), "422  model_type");
}

#[tokio::test]
async fn rows_of_an_array_may_stand_for_themselves() {
    let app = App::new(USER, ResourceOptions::new().bulk(true)).await;
    app.user(r#"{"name":"Ada","email":"a@x"}"#).await;
    let body = r#"[{"name":"Alan"},{"name":"x","email":"a@x"},{"name":""},{"name":"Grace"}]"#;
    let answer = app.send(Method::POST, "/user", &[JSON, ("prefer", "handling=lenient")], body).await;
    assert_eq!((answer.status.as_u16(), answer.header("preference-applied")), (207, "handling=lenient"));
    assert_eq!(answer.column("status"), [201, 409, 422, 201]);
    let items = &answer.json()["items"];
    assert_eq!(items[0]["item"]["name"], "Alan");
    assert_eq!(items[1]["problem"]["errors"][0]["pointer"], "/email");
    assert_eq!(items[2]["problem"]["errors"][0]["code"], "string_too_short");
    let path = items[3]["location"].as_str().unwrap();
    let row = app.get(path).await;
    assert_eq!((row.json(), row.header("etag")), (items[3]["item"].clone(), items[3]["etag"].as_str().unwrap()));
    assert_eq!(app.get("/user?sort=name").await.column("name"), ["Ada", "Alan", "Grace"]);
}
