//! Conditional requests (RFC 9110, 13).

use http::Method;

use crate::support::{App, JSON};

#[tokio::test]
async fn reads_are_304_while_nothing_changed() {
    let app = App::users().await;
    let (path, tag) = app.user(r#"{"name":"Ada"}"#).await;
    for listed in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into(), tag.replace('"', "")] {
        let answer = app.send(Method::GET, &path, &[("if-none-match", &listed)], "").await;
        if listed.contains('"') || listed == "*" {
            assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{listed}");
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.header("cache-control"), "private, no-cache");
        } else {
            assert_eq!(answer.problem(), "400 if-none-match entity_tag", "{listed}");
        }
    }
    let suffixed = format!("{}-gzip\"", tag.trim_end_matches('"'));
    assert_eq!(app.send(Method::GET, &path, &[("if-none-match", &suffixed)], "").await.status, 304);
    app.patch(&path, r#"{"age":1}"#).await;
    assert_eq!(app.send(Method::GET, &path, &[("if-none-match", &tag)], "").await.status, 200);
    assert_eq!(app.send(Method::GET, &path, &[("if-match", &tag)], "").await.problem(), "412");
}

#[tokio::test]
async fn writes_with_an_old_tag_are_refused() {
    let app = App::users().await;
    let (path, old) = app.user(r#"{"name":"Ada","home":{"city":"Ur"}}"#).await;
    let current = app.patch(&path, r#"{"age":1}"#).await.header("etag").to_owned();
    let before = app.get(&path).await.body;
    let stale = [JSON, ("if-match", &old)];
    for (method, body) in [
        (Method::PUT, r#"{"name":"x"}"#),
        (Method::PATCH, r#"{"age":2}"#),
        (Method::PATCH, r#"{"home":{"city":"x"}}"#),
        (Method::PATCH, "{}"),
        (Method::DELETE, ""),
    ] {
        assert_eq!(app.send(method.clone(), &path, &stale, body).await.problem(), "412", "{method} {body}");
    }
    assert_eq!(app.get(&path).await.body, before);
    let weak = format!("W/{current}");
    assert_eq!(
        app.send(Method::DELETE, &path, &[("if-match", &weak)], "").await.problem(),
        "412",
        "weak tags never match"
    );
    assert_eq!(app.send(Method::DELETE, &path, &[("if-match", "\"zz zz\"")], "").await.problem(), "412");
    assert_eq!(app.send(Method::DELETE, &path, &[("if-match", "abc")], "").await.problem(), "400 if-match entity_tag");

    let fresh = format!("{old}, {}", current);
    assert_eq!(
        app.send(Method::PATCH, &path, &[JSON, ("if-match", &fresh)], r#"{"home":{"city":"y"}}"#).await.status,
        200
    );
    assert_eq!(app.send(Method::PATCH, &path, &[JSON, ("if-match", "*")], r#"{"age":3}"#).await.status, 200);
    let projected = format!("{}.abcd1234\"", app.get(&path).await.header("etag").trim_end_matches('"'));
    assert_eq!(app.send(Method::DELETE, &path, &[("if-match", &projected)], "").await.status, 204);
}

#[tokio::test]
async fn if_none_match_on_a_write_means_not_this_version() {
    let app = App::users().await;
    let (path, tag) = app.user(r#"{"name":"Ada"}"#).await;
    let put = |value: String| {
        let (app, path) = (&app, &path);
        async move { app.send(Method::PUT, path, &[JSON, ("if-none-match", &value)], r#"{"name":"x"}"#).await }
    };
    assert_eq!(put("*".into()).await.problem(), "412");
    assert_eq!(put(tag.clone()).await.problem(), "412");
    assert_eq!(put("\"0\"".into()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_writer_wins_a_race() {
    let app = std::sync::Arc::new(App::users().await);
    let (path, tag) = app.user(r#"{"name":"Ada","home":{"city":"Ur"}}"#).await;
    for body in [r#"{"age":AGE}"#, r#"{"home":{"city":"CAGE"}}"#] {
        let tag = if body.contains("home") { app.get(&path).await.header("etag").to_owned() } else { tag.clone() };
        let tasks: Vec<_> = (0..16)
            .map(|age| {
                let (app, path, tag) = (app.clone(), path.clone(), tag.clone());
                let body = body.replace("AGE", &age.to_string());
                tokio::spawn(async move {
                    app.send(Method::PATCH, &path, &[JSON, ("if-match", &tag)], body).await.status.as_u16()
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{body} {statuses:?}");
        assert!(statuses.iter().all(|status| [200, 409, 412].contains(status)), "{body} {statuses:?}");
    }
}

#[tokio::test]
async fn a_recreated_row_has_another_tag() {
    let app = App::new(crate::support::USER, ziggurat::crud::ResourceOptions::new().client_id(true)).await;
    let body = r#"{"id":"00000000-0000-4000-8000-000000000001","name":"Ada"}"#;
    let (path, first) = app.user(body).await;
    app.send(Method::DELETE, &path, &[], "").await;
    assert_ne!(app.user(body).await.1, first);
}
