//! Lists: pages, filters, sort.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value as Json, json};

use crate::support::App;

async fn seeded() -> App {
    let app = App::users().await;
    for (name, age) in
        [("Ada", "36"), ("Grace", "85"), ("Alan", "41"), ("Edsger", "null"), ("Barbara", "41"), ("$gt", "0")]
    {
        app.user(&format!(r#"{{"name":"{name}","age":{age},"email":"{name}@x","score":{}.5}}"#, name.len())).await;
    }
    app
}

async fn names(app: &App, query: &str) -> Vec<Json> {
    let answer = app.get(&format!("/user?{query}")).await;
    assert_eq!(answer.status, 200, "{query} {}", answer.text());
    answer.column("name")
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let app = App::users().await;
    let answer = app.get("/user").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, r#"{"items":[],"next":null}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("link"), "");
}

#[tokio::test]
async fn filters_choose_rows() {
    let app = seeded().await;
    for (query, expected) in [
        ("age=gte.41&sort=name", json!(["Alan", "Barbara", "Grace"])),
        ("age=41&sort=-name", json!(["Barbara", "Alan"])),
        ("age=gt.36&age=lt.85&sort=name", json!(["Alan", "Barbara"])),
        ("age=lte.36&sort=name", json!(["$gt", "Ada"])),
        ("age=ne.41&sort=name", json!(["$gt", "Ada", "Edsger", "Grace"])),
        ("age=is.null", json!(["Edsger"])),
        ("age=is.notnull&name=gt.B&sort=name", json!(["Barbara", "Grace"])),
        ("age=not.gte.1&sort=name", json!(["$gt", "Edsger"])),
        ("name=in.(Ada,%22Alan%22,nobody)&sort=name", json!(["Ada", "Alan"])),
        ("name=in.()", json!([])),
        ("name=%24gt", json!(["$gt"])),
        ("name=eq.$gt", json!(["$gt"])),
        ("name='%20OR%20'1'='1", json!([])),
        ("score=3.5&sort=name", json!(["$gt", "Ada"])),
        ("at=2024-05-01T12:00:00+02:00&age=85", json!(["Grace"])),
        ("or=(age.85,name.startswith.A)&sort=name", json!(["Ada", "Alan", "Grace"])),
        ("not.or=(age.gte.41,name.in.(Ada,%22$gt%22))&sort=name", json!(["Edsger"])),
        ("and=(age.gt.1,or(name.eq.%22Ada%22,not.age.lt.85))&sort=name", json!(["Ada", "Grace"])),
        ("age=between.(36,41)&name=nin.(Alan)&sort=name", json!(["Ada", "Barbara"])),
        ("name=like.*a*a&sort=name", json!(["Barbara"])),
        ("name=ilike.A*A&sort=name", json!(["Ada"])),
        ("name=contains.$", json!(["$gt"])),
        ("name=contains..*", json!([])),
        ("tags=len.0&name=contains.l", json!(["Alan"])),
        ("tags=hasany.(x,y)", json!([])),
        ("home=is.notnull", json!([])),
        ("home.city=is.null&name=Ada", json!(["Ada"])),
        ("sort=age,name", json!(["Edsger", "$gt", "Ada", "Alan", "Barbara", "Grace"])),
        ("sort=-age,name", json!(["Grace", "Alan", "Barbara", "Ada", "$gt", "Edsger"])),
    ] {
        assert_eq!(Json::from(names(&app, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_lead_through_every_row_once() {
    let app = seeded().await;
    for sort in ["", "sort=age&", "sort=-age,name&", "sort=-score,-id&", "age=is.notnull&sort=age&"] {
        for limit in [1, 2, 5, 6, 7] {
            let mut seen = Vec::new();
            let mut target = format!("/user?{sort}limit={limit}");
            loop {
                let page = app.get(&target).await;
                assert_eq!(page.status, 200, "{target} {}", page.text());
                seen.extend(page.column("id"));
                let document = page.json();
                let Some(next) = document["next"].as_str() else {
                    assert_eq!(page.header("link"), "");
                    break;
                };
                let link = page.header("link");
                let linked = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
                assert_eq!(linked, format!("/user?{sort}limit={limit}&cursor={next}"));
                target = linked.to_owned();
                assert!(seen.len() <= 6, "{target}");
            }
            let whole = app.get(&format!("/user?{sort}")).await.column("id");
            assert_eq!(seen, whole, "{sort} {limit}");
            assert_eq!(seen.iter().map(Json::to_string).collect::<HashSet<_>>().len(), seen.len());
        }
    }
}

#[tokio::test]
async fn lists_and_models_are_looked_into() {
    let app = App::users().await;
    for body in [
        r#"{"name":"a","tags":["x","y"],"home":{"city":"Paris"}}"#,
        r#"{"name":"b","tags":["y"],"home":{"city":"Lima","zip":"7"}}"#,
        r#"{"name":"c"}"#,
    ] {
        app.user(body).await;
    }
    for (query, expected) in [
        ("tags=has.y&sort=name", json!(["a", "b"])),
        ("tags=hasall.(x,y)", json!(["a"])),
        ("tags=not.has.x&sort=name", json!(["b", "c"])),
        ("tags=len.lt.2&sort=name", json!(["b", "c"])),
        ("home.city=Paris", json!(["a"])),
        ("home.zip=ne.7&sort=name", json!(["a", "c"])),
        ("or=(home.city.eq.Lima,home.is.null)&sort=name", json!(["b", "c"])),
    ] {
        assert_eq!(Json::from(names(&app, query).await), expected, "{query}");
    }
    let first = app.get("/user?or=(tags.has.y,home.is.null)&sort=name&limit=2").await;
    let link = first.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(Json::from(app.get(&link).await.column("name")), json!(["c"]), "a cursor goes with its groups");
}

#[tokio::test]
async fn rows_written_between_pages_do_not_disturb() {
    let app = seeded().await;
    let first = app.get("/user?sort=name&limit=3").await;
    assert_eq!(Json::from(first.column("name")), json!(["$gt", "Ada", "Alan"]));
    app.user(r#"{"name":"Aaron"}"#).await;
    let next = format!("/user?sort=name&limit=3&cursor={}", first.json()["next"].as_str().unwrap());
    assert_eq!(Json::from(app.get(&next).await.column("name")), json!(["Barbara", "Edsger", "Grace"]));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let app = seeded().await;
    let cursor = app.get("/user?sort=name&limit=1").await.json()["next"].as_str().unwrap().to_owned();
    for target in [
        format!("/user?sort=-name&cursor={cursor}"),
        format!("/user?sort=name&age=1&cursor={cursor}"),
        format!("/user?cursor={cursor}"),
        "/user?cursor=x".to_owned(),
        "/user?cursor=".to_owned(),
    ] {
        assert_eq!(app.get(&target).await.problem(), "400 cursor cursor", "{target}");
    }
}

#[tokio::test]
async fn what_a_list_does_not_have_is_told() {
    let app = App::users().await;
    for (query, problem) in [
        ("nmae=x&agee=1", "400 nmae unknown_parameter agee unknown_parameter"),
        ("name[$ne]=x", "400 name[$ne] unknown_parameter"),
        ("$where=1", "400 $where unknown_parameter"),
        ("home=x", "422 home operator"),
        ("home.cty=x", "400 home.cty unknown_parameter"),
        ("tags=x", "422 tags operator"),
        ("sort=home", "400 sort not_scalar"),
        ("sort=name;drop", "400 sort unknown_parameter"),
        ("ofset=1", "400 ofset unknown_parameter"),
        ("age=old&score=NaN&at=now", "422 age int_parsing score float_parsing at datetime_parsing"),
        ("age=$gt.1", "422 age int_parsing"),
        ("limit=1001", "422 limit less_than_equal"),
        ("limit=-1", "422 limit int_parsing"),
        ("name=%E0%A4%A", "400"),
    ] {
        assert_eq!(app.get(&format!("/user?{query}")).await.problem(), problem, "{query}");
    }
    assert!(app.get("/user?nmae=x").await.text().contains("did you mean name?"));
}

#[tokio::test]
async fn a_page_has_a_tag_of_its_own() {
    let app = seeded().await;
    let first = app.get("/user?limit=2").await;
    let tag = first.header("etag").to_owned();
    let unchanged = app.send(Method::GET, "/user?limit=2", &[("if-none-match", &tag)], "").await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    assert_ne!(app.get("/user?limit=3").await.header("etag"), tag);
    let path = format!("/user/{}", first.column("id")[0].as_str().unwrap());
    app.patch(&path, r#"{"age":99}"#).await;
    assert_eq!(app.send(Method::GET, "/user?limit=2", &[("if-none-match", &tag)], "").await.status, 200);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = seeded().await;
    for target in ["/user?limit=2", "/user"] {
        let get = app.get(target).await;
        let head = app.send(Method::HEAD, target, &[], "").await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
        assert_eq!(head.header("etag"), get.header("etag"));
    }
}

#[tokio::test]
async fn hostile_texts_find_themselves_and_nothing_else() {
    let app = App::users().await;
    let hostile = [
        "$gt",
        "{\"$ne\":null}",
        "[$ne]",
        "a\u{0}b",
        "a",
        "__proto__",
        "constructor",
        "' OR 1=1 --",
        "\"; DROP TABLE c_user; --",
        "%",
        "_",
        "*",
        "in.(a)",
        "eq.a",
        "not.eq.a",
        "is.null",
        "null",
        "\\",
        "\\\"",
        "(a,b)",
        "a,b",
        "\u{1f600}",
        "e\u{301}",
        "\u{feff}a",
    ];
    for name in hostile {
        app.user(&json!({ "name": name }).to_string()).await;
    }
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for name in hostile {
        assert_eq!(names(&app, &format!("name=eq.{}", encode(name))).await, [json!(name)], "{name:?}");
        let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        assert_eq!(names(&app, &format!("name=in.({})", encode(&quoted))).await, [json!(name)], "{name:?}");
        assert_eq!(names(&app, &format!("name=ne.{}", encode(name))).await.len(), hostile.len() - 1, "{name:?}");
    }
    let mut sorted = hostile.map(str::to_owned);
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let mut seen = Vec::new();
    let mut target = "/user?sort=name&limit=3".to_owned();
    loop {
        let page = app.get(&target).await;
        seen.extend(page.column("name").iter().map(|name| name.as_str().unwrap().to_owned()));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { break };
        target = format!("/user?sort=name&limit=3&cursor={next}");
    }
    assert_eq!(seen, sorted, "text is ordered by its UTF-8 bytes");
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_told_without_asking_the_store() {
    let app = seeded().await;
    let again = async |query: &str, tag: &str| {
        app.send(Method::GET, &format!("/user?{query}"), &[("if-none-match", tag)], "").await
    };
    let first = app.get("/user?sort=name&limit=2").await;
    let tag = first.header("etag").to_owned();
    let told = again("sort=name&limit=2", &tag).await;
    assert_eq!(told.status, 304);
    // Something else is written: the page is looked at again, and has not changed.
    app.user(r#"{"name":"Zoe"}"#).await;
    assert_eq!(again("sort=name&limit=2", &tag).await.status, 304);
    let (path, _) = app.user(r#"{"name":"$$"}"#).await;
    let changed = again("sort=name&limit=2", &tag).await;
    assert_eq!((changed.status.as_u16(), &changed.column("name")[1]), (200, &json!("$gt")));
    assert_eq!(app.send(Method::DELETE, &path, &[], "").await.status, 204);
    let told = again("sort=name&limit=2", &tag).await;
    assert_eq!((told.status.as_u16(), told.header("etag"), told.header("link")), (304, &*tag, first.header("link")));
    // Where nothing was written since, nobody is asked.
    app.close().await;
    let still = again("sort=name&limit=2", &tag).await;
    assert_eq!((still.status.as_u16(), still.header("etag"), still.header("link")), (304, &*tag, first.header("link")));
    assert_eq!(
        (still.header("cache-control"), still.header("x-content-type-options")),
        ("private, no-cache", "nosniff")
    );
    assert_eq!(again("sort=name&limit=2", "\"other\"").await.status, 503);
    assert_eq!(again("sort=name&limit=3", &tag).await.status, 503);
    assert_eq!(app.get("/user?sort=name&limit=2").await.status, 503);
}
