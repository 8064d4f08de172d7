use super::super::condition::choices;
use super::super::{Comparison, Pattern};
use super::*;

fn schema() -> Schema {
    Schema::from_description(
        r#"{"name":"User","id":"id","fields":[
          {"name":"id","type":{"type":"uuid"}},
          {"name":"name","type":{"type":"str","max_length":3,"lower":true}},
          {"name":"age","type":{"type":"optional","of":{"type":"int","ge":0}}},
          {"name":"score","type":{"type":"float"}},
          {"name":"active","type":{"type":"bool"}},
          {"name":"at","type":{"type":"datetime"}},
          {"name":"role","type":{"type":"enum","values":["admin","user"]}},
          {"name":"tags","type":{"type":"list","items":{"type":"str"}}},
          {"name":"home","type":{"type":"optional","of":{"type":"model","schema":{"name":"Home","fields":[
            {"name":"city","type":{"type":"str"}},
            {"name":"rooms","type":{"type":"list","items":{"type":"int"}}}]}}}}]}"#,
    )
    .unwrap()
}

const RULES: ListRules = ListRules {
    default_limit: 50,
    max_limit: 1000,
    offset: true,
    filterable: None,
    sortable: None,
    dimensions: Vec::new(),
    measures: Vec::new(),
};

fn parse(raw: &str) -> Result<Query, Problem> {
    listing(&schema(), Some(raw), &RULES).map(|listing| listing.query)
}

fn filter(raw: &str) -> Expr {
    parse(raw).unwrap().filter
}

/// The status, and `parameter code` of each violation.
fn refused(raw: &str) -> String {
    let problem = parse(raw).map(|query| format!("{query:?}")).unwrap_err();
    let document: serde_json::Value = serde_json::from_slice(&problem.to_bytes()).unwrap();
    let errors = document["errors"].as_array().cloned().unwrap_or_default();
    let show = |error: &serde_json::Value| {
        format!(" {} {}", error["parameter"].as_str().unwrap(), error["code"].as_str().unwrap())
    };
    format!("{}{}", problem.status().as_u16(), errors.iter().map(show).collect::<String>())
}

fn compare(field: usize, op: Comparison, value: Value<'static>) -> Expr {
    Expr::Compare { field: field.into(), op, value }
}

#[test]
fn every_operator_is_typed() {
    use Comparison::*;
    assert_eq!(filter(""), Expr::True);
    assert_eq!(filter("age=18"), compare(2, Eq, Value::Int(18)));
    assert_eq!(filter("age=eq.-18"), compare(2, Eq, Value::Int(-18)));
    assert_eq!(filter("age=ne.1"), compare(2, Ne, Value::Int(1)));
    assert_eq!(filter("age=gte.18"), compare(2, Ge, Value::Int(18)));
    assert_eq!(filter("age=lte.18"), compare(2, Le, Value::Int(18)));
    assert_eq!(filter("score=gt.1.5"), compare(3, Gt, Value::Float(1.5)));
    assert_eq!(filter("score=1.5"), compare(3, Eq, Value::Float(1.5)));
    assert_eq!(filter("active=true"), compare(4, Eq, Value::Bool(true)));
    assert_eq!(filter("role=ne.user"), compare(6, Ne, Value::Str("user".into())));
    assert_eq!(filter("at=lt.1970-01-01T00:00:01Z"), compare(5, Lt, Value::DateTime(1000)));
    assert_eq!(filter("at=1970-01-01T02:00:01+02:00"), compare(5, Eq, Value::DateTime(1000)));
    assert_eq!(filter("at=1970-01-01T02:00:01%2B02:00"), compare(5, Eq, Value::DateTime(1000)));
    assert_eq!(filter("age=is.null"), Expr::IsNull { field: 2.into() });
    assert_eq!(filter("age=is.notnull"), Expr::Not(Box::new(Expr::IsNull { field: 2.into() })));
    assert_eq!(filter("age=not.gt.1"), Expr::Not(Box::new(compare(2, Gt, Value::Int(1)))));
    assert_eq!(
        filter("age=gt.1&age=lt.5"),
        Expr::And(vec![compare(2, Gt, Value::Int(1)), compare(2, Lt, Value::Int(5))])
    );
}

#[test]
fn texts_are_only_ever_values() {
    let name = |raw: &str| match filter(&format!("name={raw}")) {
        Expr::Compare { op: Comparison::Eq, value: Value::Str(text), .. } => text.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name("eq.gte.x"), "gte.x");
    assert_eq!(name("a.b"), "a.b");
    assert_eq!(name("%24gt"), "$gt");
    assert_eq!(name("{%22$ne%22:null}"), "{\"$ne\":null}");
    assert_eq!(name("'%20OR%201=1--"), "' or 1=1--");
    assert_eq!(name("a+b%2Bc"), "a b+c");
    assert_eq!(name("%00"), "\0");
    assert_eq!(name("Abc"), "abc", "letters are changed as the field's rules say");
    assert_eq!(name(""), "");
}

#[test]
fn choices_may_be_quoted() {
    let values = |raw: &str| match filter(raw) {
        Expr::In { values, .. } => values,
        other => panic!("{other:?}"),
    };
    let texts = |raw: &str| -> Vec<String> {
        let text = |value| match value {
            Value::Str(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        values(raw).into_iter().map(text).collect()
    };
    assert_eq!(values("age=in.(1,-2)"), [Value::Int(1), Value::Int(-2)]);
    assert_eq!(values("age=in.()"), []);
    assert_eq!(texts(r#"name=in.(a,"b,c","d\"e\\",)"#), ["a", "b,c", "d\"e\\", ""]);
    assert_eq!(texts("name=in.(a(b))"), ["a(b)"]);
    for wrong in ["age=in.1,2", "age=in.(1", "name=in.(\"a)", "name=in.(\"a\"b)"] {
        assert_eq!(refused(wrong), format!("422 {} operator", wrong.split('=').next().unwrap()), "{wrong}");
    }
    let many = vec!["1"; 501].join(",");
    assert_eq!(refused(&format!("age=in.({many})")), "422 age too_long");
}

#[test]
fn sorts_end_with_the_id() {
    let sort = |raw: &str| -> Vec<(usize, bool)> {
        parse(raw).unwrap().sort.into_iter().map(|key| (key.field, key.descending)).collect()
    };
    assert_eq!(sort(""), [(0, false)]);
    assert_eq!(sort("sort=-age,name"), [(2, true), (1, false), (0, false)]);
    assert_eq!(sort("sort=-id,name"), [(0, true)]);
    assert_eq!(refused("sort=age,-age"), "400 sort duplicate_parameter");
    assert_eq!(refused("sort=tags"), "400 sort not_scalar");
    assert_eq!(refused("sort=agee"), "400 sort unknown_parameter");
}

#[test]
fn what_is_wrong_is_told_all_at_once() {
    assert_eq!(refused("agee=1&nmae=x&limit=0"), "400 agee unknown_parameter nmae unknown_parameter");
    assert_eq!(
        refused("age=x&score=nan&active=1&id=7"),
        "422 age int_parsing score float_parsing active bool_parsing id uuid_parsing"
    );
    assert_eq!(refused("age=9223372036854775808"), "422 age int_out_of_range");
    assert_eq!(refused("age=1_000"), "422 age int_parsing");
    assert_eq!(refused("score=inf"), "422 score float_parsing");
    assert_eq!(refused("at=2024-01-01T00:00:00"), "422 at timezone_aware");
    assert_eq!(refused("role=root"), "422 role enum");
    assert_eq!(refused("role=gt.user"), "422 role operator");
    assert_eq!(refused("age=is.nul"), "422 age operator");
    assert_eq!(refused("tags=a"), "422 tags operator");
    assert_eq!(refused("home=x"), "422 home operator");
    assert_eq!(refused("limit=0"), "422 limit greater_than_equal");
    assert_eq!(refused("limit=1001"), "422 limit less_than_equal");
    assert_eq!(refused("limit=x"), "422 limit int_parsing");
    assert_eq!(refused("limit=1&limit=2"), "400 limit duplicate_parameter");
    assert_eq!(refused("name=%zz"), "400");
    assert_eq!(refused("name=%ff"), "400");
    assert_eq!(refused(&format!("name={}", "a".repeat(4097))), "422 name string_too_long");
    assert_eq!(refused(&vec!["age=1"; 33].join("&")), "400");
    assert_eq!(refused("name[$ne]=x"), "400 name[$ne] unknown_parameter");
    assert_eq!(refused("__proto__=x"), "400 __proto__ unknown_parameter");
}

#[test]
fn near_names_are_suggested() {
    let text = |raw: &str| String::from_utf8(parse(raw).unwrap_err().to_bytes().to_vec()).unwrap();
    assert!(text("nmae=x").contains("did you mean name?"));
    assert!(text("limt=1").contains("did you mean limit?"));
    assert!(text("sort=agee").contains("did you mean age?"));
}

#[test]
fn cursors_come_back_typed() {
    let schema = schema();
    let first = listing(&schema, Some("age=gte.0&sort=-age,name,at,score"), &RULES).unwrap();
    let boundary = vec![
        Value::Null,
        Value::Str("longer than the rule\n".into()),
        Value::DateTime(1),
        Value::Float(0.1),
        Value::Uuid(uuid::Uuid::from_u128(7)),
    ];
    let cursor = first.cursors.encode(&boundary);
    let after = |raw: String| listing(&schema, Some(&raw), &RULES).map(|listing| listing.query.after);
    assert_eq!(after(format!("age=gte.0&sort=-age,name,at,score&cursor={cursor}&limit=3")).unwrap(), Some(boundary));

    let wrong = |raw: String| after(raw).unwrap_err().status().as_u16();
    assert_eq!(wrong(format!("age=gte.1&sort=-age,name,at,score&cursor={cursor}")), 400, "another filter");
    assert_eq!(wrong(format!("age=gte.0&sort=age,name,at,score&cursor={cursor}")), 400, "another sort");
    for garbage in ["", "!", "AAAA", &cursor[..cursor.len() - 2], &"A".repeat(70_000)] {
        assert_eq!(wrong(format!("age=gte.0&sort=-age,name,at,score&cursor={garbage}")), 400, "{garbage}");
    }
}

#[test]
fn forged_boundaries_are_refused() {
    let schema = schema();
    let first = listing(&schema, Some("sort=age"), &RULES).unwrap();
    for forged in [
        vec![Value::Str("x".into()), Value::Uuid(uuid::Uuid::nil())],
        vec![Value::Int(1)],
        vec![Value::Int(1), Value::Null],
        vec![Value::Int(1), Value::Str("x".into())],
    ] {
        let raw = format!("sort=age&cursor={}", first.cursors.encode(&forged));
        assert_eq!(listing(&schema, Some(&raw), &RULES).unwrap_err().status(), 400, "{forged:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_query_string_panics(raw in "([a-z$._(),=&%+\"-]|name|age|in\\.|not\\.|cursor|sort|\\PC){0,60}") {
        let _ = parse(&raw);
    }

    #[test]
    fn quoted_choices_come_back(texts in proptest::collection::vec("\\PC{0,12}", 1..6)) {
        let quoted: Vec<String> = texts
            .iter()
            .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        proptest::prop_assert_eq!(choices("in", &format!("({})", quoted.join(","))).unwrap(), texts);
    }
}

fn path(indexes: &[usize]) -> Path {
    indexes[1..].iter().fold(Path::from(indexes[0]), |path, index| path.then(*index))
}

#[test]
fn texts_lists_and_models_have_operators_of_their_own() {
    let like = |field: usize, pieces: &[&str], fold| Expr::Like {
        field: field.into(),
        pattern: Pattern::new(pieces.iter().map(|piece| (*piece).to_owned()), fold),
    };
    let name = |op, text: &str| compare(1, op, Value::Str(text.to_owned().into()));
    assert_eq!(filter("name=like.*A*b"), like(1, &["", "a", "b"], false), "letters as the field's rules say");
    assert_eq!(filter("name=ilike.a"), like(1, &["a"], true));
    assert_eq!(filter("name=contains.*"), like(1, &["", "*", ""], false));
    assert_eq!(filter("name=like.ab"), name(Comparison::Eq, "ab"));
    let range = |from, to| Expr::And(vec![name(Comparison::Ge, from), name(Comparison::Lt, to)]);
    assert_eq!(filter("name=like.ab*"), range("ab", "ac"));
    assert_eq!(filter("name=startswith.ab"), range("ab", "ac"));
    assert_eq!(filter("name=startswith.%ED%9F%BF"), range("\u{D7FF}", "\u{E000}"), "no halves of surrogate pairs");
    assert_eq!(filter("name=startswith.a%F4%8F%BF%BF"), range("a\u{10FFFF}", "b"));
    assert_eq!(filter("name=startswith."), name(Comparison::Ge, ""));
    assert_eq!(
        filter("age=between.(1,5)"),
        Expr::And(vec![compare(2, Comparison::Ge, Value::Int(1)), compare(2, Comparison::Le, Value::Int(5))])
    );
    let ages = Expr::In { field: 2.into(), values: vec![Value::Int(1)] };
    assert_eq!(filter("age=nin.(1)"), Expr::Not(Box::new(ages)));

    let has = |text: &'static str| Value::Str(text.into());
    let tags = |values| Expr::Has { field: 7.into(), values };
    assert_eq!(filter("tags=has.a,b"), tags(vec![has("a,b")]));
    assert_eq!(filter("tags=hasany.(a,b)"), tags(vec![has("a"), has("b")]));
    assert_eq!(filter("tags=hasall.(a,b)"), Expr::And(vec![tags(vec![has("a")]), tags(vec![has("b")])]));
    assert_eq!(filter("tags=len.2"), Expr::Length { field: 7.into(), op: Comparison::Eq, length: 2 });
    assert_eq!(filter("tags=len.gte.2"), Expr::Length { field: 7.into(), op: Comparison::Ge, length: 2 });
    assert_eq!(filter("tags=is.null"), Expr::IsNull { field: 7.into() });
    assert_eq!(filter("home=is.null"), Expr::IsNull { field: 8.into() });
    let paris = Expr::Compare { field: path(&[8, 0]), op: Comparison::Eq, value: has("Paris") };
    assert_eq!(filter("home.city=Paris"), paris);
    assert_eq!(filter("home.rooms=has.3"), Expr::Has { field: path(&[8, 1]), values: vec![Value::Int(3)] });

    for wrong in [
        "age=like.1*",
        "age=between.(1)",
        "age=between.1,2",
        "active=between.(true,true)",
        "tags=eq.a",
        "tags=len.x.1",
        "tags=len.-1",
        "tags=len.9999999",
        "home=eq.x",
    ] {
        let field = wrong.split('=').next().unwrap();
        assert_eq!(refused(wrong), format!("422 {field} operator"), "{wrong}");
    }
    assert_eq!(refused("tags=len.x"), "422 tags int_parsing");
    assert_eq!(
        refused("home.cty=x&home.city.x=y&age.x=1"),
        "400 home.cty unknown_parameter home.city.x unknown_parameter age.x unknown_parameter"
    );
    assert_eq!(refused("sort=home.city"), "400 sort unknown_parameter");
}

#[test]
fn groups_are_of_conditions() {
    let age = |op, age| compare(2, op, Value::Int(age));
    let name = |text: &str| compare(1, Comparison::Eq, Value::Str(text.to_owned().into()));
    let not = |expr| Expr::Not(Box::new(expr));
    assert_eq!(filter("or=(age.gte.18,name.eq.a)"), Expr::Or(vec![age(Comparison::Ge, 18), name("a")]));
    assert_eq!(filter("and=(age.18)"), Expr::And(vec![age(Comparison::Eq, 18)]));
    assert_eq!(
        filter("not.or=(not.age.gt.1,not.and(age.not.lt.1,name.a))"),
        not(Expr::Or(vec![not(age(Comparison::Gt, 1)), not(Expr::And(vec![not(age(Comparison::Lt, 1)), name("a")])),]))
    );
    assert_eq!(
        filter(r#"or=(name.eq."a,\"(b",name."gt.c",name.not.eq."d",name.in.(e,"f,"),name.g(h)i,name.x"y)"#),
        Expr::Or(vec![
            name("a,\"(b"),
            name("gt.c"),
            not(name("d")),
            Expr::In { field: 1.into(), values: vec![Value::Str("e".into()), Value::Str("f,".into())] },
            name("g(h)i"),
            name("x\"y"),
        ])
    );
    let city = Expr::Compare { field: path(&[8, 0]), op: Comparison::Eq, value: Value::Str("Paris".into()) };
    assert_eq!(filter("or=(home.city.eq.Paris,home.is.null)"), Expr::Or(vec![city, Expr::IsNull { field: 8.into() }]));
    assert_eq!(
        filter("age=1&or=(age.2)"),
        Expr::And(vec![age(Comparison::Eq, 1), Expr::Or(vec![age(Comparison::Eq, 2)])])
    );

    for wrong in ["or=", "or=age.1", "or=(age.1", "or=(age.1))", "or=(name.\"a)", "or=(name.\"a\"b)", "or=(age)"] {
        assert_eq!(refused(wrong), "422 or operator", "{wrong}");
    }
    assert_eq!(refused("or=()"), "400 or unknown_parameter");
    assert_eq!(refused("or=(agee.1,nmae.2)"), "400 or unknown_parameter or unknown_parameter");
    assert_eq!(refused("or=(age.x,age.gte.y)"), "422 or int_parsing or int_parsing");
    assert_eq!(refused("and=(or(and(or(and(age.1)))))"), "422 and too_deep");
    filter("and=(or(and(or(age.1))))");
    assert_eq!(refused(&format!("or=({})", vec!["age.1"; 33].join(","))), "400");
    assert_eq!(refused(&format!("age=1&or=({})", vec!["age.1"; 32].join(","))), "400");
}
