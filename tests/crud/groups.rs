//! `_group`: what rows have in common, and what is computed over them.

use std::sync::Arc;

use ziggurat::crud::{Expr, Op, Operand, Path, Policy, Resource, ResourceOptions, Schema, Unindexed, openapi};

use crate::support::{App, USER};

const ORDER: &str = r#"{"name":"Order","id":"id","fields":[
  {"name":"id","type":{"type":"int"}},
  {"name":"status","type":{"type":"optional","of":{"type":"str"}},"index":{}},
  {"name":"price","type":{"type":"optional","of":{"type":"decimal"}}},
  {"name":"count","type":{"type":"int"},"default":{"value":1}},
  {"name":"weight","type":{"type":"float"},"default":{"value":0}},
  {"name":"at","type":{"type":"datetime"},"default":{"value":"2026-01-31T23:30:00Z"}},
  {"name":"day","type":{"type":"optional","of":{"type":"date"}},"default":{"value":null}},
  {"name":"paid","type":{"type":"bool"},"default":{"value":false}},
  {"name":"ship","type":{"type":"optional","of":{"type":"model","schema":{"name":"Ship","fields":[
     {"name":"city","type":{"type":"str"}}]}}},"default":{"value":null}},
  {"name":"note","type":{"type":"str"},"default":{"value":""},"access":"hidden"}]}"#;

fn options() -> ResourceOptions {
    ResourceOptions::new()
        .ops([Op::Create, Op::Group])
        .client_id(true)
        .dimensions(["status", "paid", "ship.city", "month(at)", "hour(at)", "year(day)", "price"])
        .measures(["price", "count", "weight", "at", "day"])
}

async fn orders(options: ResourceOptions) -> App {
    let app = App::new(ORDER, options).await;
    for body in [
        r#"{"id":1,"status":"paid","price":"1.50","count":9223372036854775807,"weight":0.1,"paid":true,"day":"2025-12-31"}"#,
        r#"{"id":2,"status":"paid","price":"1.5","count":9223372036854775807,"weight":0.2,"ship":{"city":"Ur"}}"#,
        r#"{"id":3,"status":"open","price":"100","count":-1,"weight":0.3,"at":"2026-02-01T00:00:00Z"}"#,
        r#"{"id":4,"status":null,"price":null,"count":2,"ship":{"city":"Ur"},"day":"2026-03-01"}"#,
    ] {
        assert_eq!(app.post("/order", body).await.status, 201);
    }
    app
}

#[tokio::test]
async fn rows_are_counted_and_added_up_by_what_they_have_in_common() {
    let app = orders(options()).await;
    for (query, groups) in [
        ("", r#"{"by":{},"count":4}"#),
        (
            "by=status",
            r#"{"by":{"status":null},"count":1},{"by":{"status":"open"},"count":1},{"by":{"status":"paid"},"count":2}"#,
        ),
        ("by=status&status=eq.paid", r#"{"by":{"status":"paid"},"count":2}"#),
        (
            "by=status&agg=sum(price),avg(price),min(price),max(price)&sort=-sum(price)",
            r#"{"by":{"status":"open"},"sum(price)":"100","avg(price)":"100","min(price)":"100","max(price)":"100"},{"by":{"status":"paid"},"sum(price)":"3","avg(price)":"1.5","min(price)":"1.5","max(price)":"1.5"},{"by":{"status":null},"sum(price)":"0","avg(price)":null,"min(price)":null,"max(price)":null}"#,
        ),
        // More than 64 bits, digit for digit.
        (
            "agg=sum(count),max(count)",
            r#"{"by":{},"sum(count)":18446744073709551615,"max(count)":9223372036854775807}"#,
        ),
        ("agg=sum(weight),avg(weight)", r#"{"by":{},"sum(weight)":0.6,"avg(weight)":0.15}"#),
        (
            "by=month(at)&agg=count",
            r#"{"by":{"month(at)":"2026-01"},"count":3},{"by":{"month(at)":"2026-02"},"count":1}"#,
        ),
        (
            "by=hour(at)&agg=min(at)",
            r#"{"by":{"hour(at)":"2026-01-31T23"},"min(at)":"2026-01-31T23:30:00.000Z"},{"by":{"hour(at)":"2026-02-01T00"},"min(at)":"2026-02-01T00:00:00.000Z"}"#,
        ),
        (
            "by=year(day)&agg=max(day)",
            r#"{"by":{"year(day)":null},"max(day)":null},{"by":{"year(day)":"2025"},"max(day)":"2025-12-31"},{"by":{"year(day)":"2026"},"max(day)":"2026-03-01"}"#,
        ),
        (
            "by=ship.city,paid&sort=-count",
            r#"{"by":{"ship.city":"Ur","paid":false},"count":2},{"by":{"ship.city":null,"paid":false},"count":1},{"by":{"ship.city":null,"paid":true},"count":1}"#,
        ),
        (
            "by=price&sort=-price",
            r#"{"by":{"price":"100"},"count":1},{"by":{"price":"1.5"},"count":2},{"by":{"price":null},"count":1}"#,
        ),
        (
            "status=eq.none&agg=count,sum(price),sum(weight),avg(count),min(at)",
            r#"{"by":{},"count":0,"sum(price)":"0","sum(weight)":0.0,"avg(count)":null,"min(at)":null}"#,
        ),
        ("by=status&status=eq.none", ""),
    ] {
        let answer = app.get(&format!("/order/_group?{query}")).await;
        assert_eq!(answer.text(), format!(r#"{{"items":[{groups}],"more":false}}"#), "{query}");
    }
    let first = app.get("/order/_group?by=status&limit=2").await;
    assert!(first.text().ends_with(r#"{"status":"open"},"count":1}],"more":true}"#), "{}", first.text());
    assert!(!first.header("etag").is_empty());
}

#[tokio::test]
async fn what_is_not_offered_is_refused_and_what_is_named() {
    let app = orders(options()).await;
    for (query, problem) in [
        ("by=note", "400 by unknown_parameter"),
        ("by=count", "400 by unknown_parameter"),
        ("by=day(at)", "400 by unknown_parameter"),
        ("by=status,status", "400 by duplicate_parameter"),
        ("agg=sum(at)", "400 agg unknown_parameter"),
        ("agg=sum(note)", "400 agg unknown_parameter"),
        ("agg=", "400 agg missing"),
        ("by=status&sort=paid", "400 sort unknown_parameter"),
        ("by=status&sort=count,-count", "400 sort duplicate_parameter"),
        ("limit=0", "422 limit greater_than_equal"),
        ("limit=1001", "422 limit less_than_equal"),
        ("status=gt.1&nope=1", "400 nope unknown_parameter"),
        ("count=gt.x", "422 count int_parsing"),
    ] {
        assert_eq!(app.get(&format!("/order/_group?{query}")).await.problem(), problem, "{query}");
    }
    let refused = app.get("/order/_group?by=stat&agg=total(price)").await.text();
    assert!(refused.contains("stat is not offered; choose from status, paid, ship.city, month(at)"), "{refused}");
    assert!(refused.contains("total(price) is not offered; choose from count, sum(price), avg(price)"), "{refused}");
}

#[tokio::test]
async fn a_policy_and_an_index_are_asked_of_groups_too() {
    let schema = Schema::from_description(ORDER).unwrap();
    let own = Expr::equal(Path::of(&schema, "status").unwrap(), Operand::claim("sub"));
    let app = orders(options().policy(Policy::new().read(own).write(Expr::True))).await;
    let sees = |claims: &'static str| {
        let app = &app;
        async move { app.send_as(claims, http::Method::GET, "/order/_group?by=status", &[], "").await.text() }
    };
    assert_eq!(sees(r#"{"sub":"open"}"#).await, r#"{"items":[{"by":{"status":"open"},"count":1}],"more":false}"#);
    assert_eq!(sees("").await, r#"{"items":[],"more":false}"#);

    let app = orders(options().unindexed(Unindexed::Deny)).await;
    assert_eq!(app.get("/order/_group?by=status").await.status, 200);
    assert_eq!(app.get("/order/_group?by=status&status=eq.open").await.status, 200);
    assert_eq!(app.get("/order/_group?by=status&count=gt.1").await.status, 400);
}

#[tokio::test]
async fn what_cannot_be_grouped_by_or_computed_fails_at_start_up() {
    let schema = Arc::new(Schema::from_description(ORDER).unwrap());
    let grouped = || ResourceOptions::new().client_id(true).ops([Op::Group]);
    for (options, what) in [
        (grouped().dimensions(["stats"]), r#"Order has no field "stats" that clients see; did you mean status?"#),
        (grouped().dimensions(["note"]), r#"Order has no field "note" that clients see"#),
        (grouped().dimensions(["ship"]), "Order cannot be grouped by ship"),
        (grouped().dimensions(["month(status)"]), "Order cannot be grouped by month(status)"),
        (grouped().dimensions(["hour(day)"]), "Order cannot be grouped by hour(day)"),
        (grouped().dimensions(["week(at)"]), "Order is not grouped by week(at): there is no week"),
        (grouped().measures(["paid"]), "Order: nothing can be computed of paid"),
        (grouped().measures(["ship"]), "Order: nothing can be computed of ship"),
        (
            ResourceOptions::new().client_id(true).measures(["count"]),
            "dimensions and measures are of group, which is not served",
        ),
    ] {
        let text = Resource::new(schema.clone(), options).check().unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    }
    let users = Arc::new(Schema::from_description(USER).unwrap());
    assert!(Resource::new(users, ResourceOptions::new().ops([Op::Group])).check().is_ok(), "rows can be counted");
}

#[test]
fn the_document_tells_of_groups() {
    let schema = Arc::new(Schema::from_description(ORDER).unwrap());
    let document = openapi(&Resource::new(schema, options()));
    let group = &document["paths"]["/order/_group"]["get"];
    let parameters = group["parameters"].as_array().unwrap();
    assert_eq!(parameters[0]["name"], "by");
    assert!(parameters[0]["description"].as_str().unwrap().ends_with("year(day), price"));
    let members = &group["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["items"]["items"];
    assert_eq!(members["properties"]["sum(count)"]["type"], "integer");
    assert_eq!(members["properties"]["avg(count)"]["anyOf"][0]["type"], "number");
    assert_eq!(members["properties"]["by"]["properties"]["month(at)"]["anyOf"][0]["type"], "string");
}
