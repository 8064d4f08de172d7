//! What rows may be filtered and sorted by, and what becomes of a query that reads every row.

use std::sync::Arc;

use http::Method;
use ziggurat::crud::{Expr, Path, Policy, Resource, ResourceOptions, Schema, Unindexed, openapi};

use crate::support::{App, JSON, USER, every_op};

fn options() -> ResourceOptions {
    ResourceOptions::new().ops(every_op())
}

#[tokio::test]
async fn rows_are_filtered_and_sorted_by_what_is_named() {
    let app = App::new(USER, options().filterable(["name", "home"]).sortable(["age"])).await;
    app.user(r#"{"name":"Ada","home":{"city":"Ur"}}"#).await;
    for query in ["name=Ada", "home.city=Ur&sort=-age", "or=(name.eq.Ada,home.is.null)", "sort=age,id", "sort=id"] {
        let answer = app.get(&format!("/user?{query}")).await;
        let problem = if query.contains("id") { "400 sort not_sortable" } else { "" };
        let told = if answer.status == 200 { String::new() } else { answer.problem() };
        assert_eq!(told, problem, "{query}");
    }
    for (query, problem) in [
        ("age=1", "400 age not_filterable"),
        ("age=x", "400 age not_filterable"),
        ("or=(name.eq.Ada,age.gt.1)", "400 or not_filterable"),
        ("sort=-name", "400 sort not_sortable"),
        ("agee=1", "400 agee unknown_parameter"),
    ] {
        assert_eq!(app.get(&format!("/user?{query}")).await.problem(), problem, "{query}");
    }
    let refused = app.get("/user?age=1&sort=name").await;
    let details: Vec<String> =
        refused.json()["errors"].as_array().unwrap().iter().map(|error| error["detail"].to_string()).collect();
    assert_eq!(
        details,
        [
            r#""rows are not filtered by age; choose from name, home""#,
            r#""rows are not sorted by name; choose from age""#
        ]
    );
    for target in ["/user/_count?age=1", "/user/_export?age=1", "/user/_changes?age=1"] {
        assert_eq!(app.get(target).await.problem(), "400 age not_filterable");
    }
    assert_eq!(app.send(Method::DELETE, "/user?age=1", &[], "").await.problem(), "400 age not_filterable");
    let asked = app.send(Method::QUERY, "/user", &[JSON], r#"{"filter":{"not":["age","gt",1]},"sort":["name"]}"#).await;
    assert_eq!(asked.problem(), "400 /filter/not/0 not_filterable /sort not_sortable");

    let schema = Arc::new(Schema::from_description(USER).unwrap());
    let resource = Resource::new(schema.clone(), options().filterable(["name", "home"]).sortable(["age"]));
    let document = openapi(&resource);
    let parameters = document["paths"]["/user"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(
        names.join(" "),
        "fields limit cursor sort offset or and name home home.city home.zip If-None-Match Prefer"
    );
    assert!(parameters[3]["description"].as_str().unwrap().ends_with("largest first: age"));

    for (options, what) in [
        (
            options().filterable(["nam"]),
            r#"User has no field "nam" that rows could be filtered by; did you mean name?"#,
        ),
        (options().sortable(["home"]), "User.home holds no single value, so rows cannot be sorted by it"),
    ] {
        let text = Resource::new(schema.clone(), options).check().unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    }
}

#[tokio::test]
async fn a_query_that_reads_every_row_is_refused_where_that_is_wanted() {
    let app = App::new(USER, options().unindexed(Unindexed::Deny)).await;
    for target in [
        "/user",
        "/user?sort=-age",
        "/user?age=1&name=Ada",
        "/user?or=(age.eq.1,email.eq.x)",
        "/user?email=startswith.a&sort=name",
        "/user/_count",
        "/user/_export?sort=name",
        "/user/_count?age=gt.3",
    ] {
        assert_eq!(app.get(target).await.status, 200, "{target}");
    }
    for target in [
        "/user?name=Ada",
        "/user?sort=name",
        "/user?age=not.eq.3",
        "/user?or=(age.eq.1,name.eq.x)",
        "/user?home.city=Ur",
        "/user?tags=has.x",
        "/user/_count?name=Ada",
        "/user/_export?name=Ada",
    ] {
        let refused = app.get(target).await;
        assert_eq!(refused.problem(), "400", "{target}");
        assert!(refused.detail().contains("at least one of id, email, age"), "{}", refused.detail());
    }
    assert_eq!(app.send(Method::DELETE, "/user?name=Ada", &[], "").await.problem(), "400");
    assert_eq!(app.send(Method::QUERY, "/user", &[JSON], r#"{"filter":["name","eq","x"]}"#).await.problem(), "400");

    // What a policy asks for counts, too.
    let schema = Schema::from_description(USER).unwrap();
    let adult = Expr::Compare {
        field: Path::of(&schema, "age").unwrap(),
        op: ziggurat::crud::Comparison::Ge,
        value: ziggurat::crud::Operand::Value(18.into()),
    };
    let app = App::new(USER, options().unindexed(Unindexed::Deny).policy(Policy::new().read(adult))).await;
    assert_eq!(app.get("/user?name=Ada").await.status, 200);
}
