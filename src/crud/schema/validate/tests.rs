use std::borrow::Cow;

use super::*;
use crate::crud::schema::Unknown;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn schema(fields: &str) -> Schema {
    Schema::from_description(&format!(
        r#"{{"name":"User","id":"id","fields":[{{"name":"id","type":{{"type":"uuid"}}}},{fields}]}}"#
    ))
    .unwrap()
}

/// `pointer code` of each violation of a value of type `kind`, or the value as JSON.
fn field(kind: &str, json: &str) -> String {
    coerced(Coerce::Strict, kind, json)
}

/// As [`field`], in pydantic's lax mode.
fn lax(kind: &str, json: &str) -> String {
    coerced(Coerce::Pydantic, kind, json)
}

fn coerced(coerce: Coerce, kind: &str, json: &str) -> String {
    let schema = schema(&format!(r#"{{"name":"x","type":{kind}}}"#));
    match document(&schema, format!(r#"{{"x":{json}}}"#).as_bytes(), IdRule::Generated, &[], coerce) {
        Ok(values) => {
            let mut out = Vec::new();
            crate::crud::json::write_value(&mut out, &schema.fields[1].kind, &values[1]);
            String::from_utf8(out).unwrap()
        }
        Err(rejection) => show_rejection(rejection),
    }
}

fn outcome(schema: &Schema, body: &str, show: impl Fn(&[Value<'_>]) -> String) -> String {
    match document(schema, body.as_bytes(), IdRule::Generated, &[], Coerce::Strict) {
        Ok(values) => show(&values),
        Err(rejection) => show_rejection(rejection),
    }
}

fn show_rejection(rejection: Rejection) -> String {
    match rejection {
        Rejection::Malformed(detail, _) => detail,
        Rejection::Invalid(violations) => {
            let show = |violation: &Violation| match &violation.at {
                Location::Pointer(pointer) => format!("{pointer} {}", violation.code),
                other => format!("{other:?}"),
            };
            violations.iter().map(show).collect::<Vec<_>>().join(", ")
        }
    }
}

#[test]
fn each_rule_has_its_code() {
    let table = [
        (r#"{"type":"bool"}"#, "true", "true"),
        (r#"{"type":"bool"}"#, "1", "/x bool_type"),
        (r#"{"type":"bool"}"#, "\"true\"", "/x bool_type"),
        (r#"{"type":"int"}"#, "-9223372036854775808", "-9223372036854775808"),
        (r#"{"type":"int"}"#, "9223372036854775807", "9223372036854775807"),
        (r#"{"type":"int"}"#, "9223372036854775808", "/x int_out_of_range"),
        (r#"{"type":"int"}"#, "-9223372036854775809", "/x int_out_of_range"),
        (r#"{"type":"int"}"#, "1000000000000000000000000000000", "/x int_out_of_range"),
        (r#"{"type":"int"}"#, "-0", "0"),
        (r#"{"type":"int"}"#, "1.0", "/x int_type"),
        (r#"{"type":"int"}"#, "\"12\"", "/x int_type"),
        (r#"{"type":"int"}"#, "true", "/x int_type"),
        (r#"{"type":"int"}"#, "null", "/x int_type"),
        (r#"{"type":"int","ge":0}"#, "-1", "/x greater_than_equal"),
        (r#"{"type":"int","gt":0}"#, "0", "/x greater_than"),
        (r#"{"type":"int","le":5}"#, "6", "/x less_than_equal"),
        (r#"{"type":"int","lt":5}"#, "5", "/x less_than"),
        (r#"{"type":"int","text":true}"#, r#""9223372036854775807""#, r#""9223372036854775807""#),
        (r#"{"type":"int","text":true}"#, "-9007199254740993", r#""-9007199254740993""#),
        (r#"{"type":"int","text":true}"#, r#""007""#, r#""7""#),
        (r#"{"type":"int","text":true}"#, r#""9223372036854775808""#, "/x int_out_of_range"),
        (r#"{"type":"int","text":true}"#, "9223372036854775808", "/x int_out_of_range"),
        (r#"{"type":"int","text":true}"#, r#""1.0""#, "/x int_parsing"),
        (r#"{"type":"int","text":true}"#, r#"" 1""#, "/x int_parsing"),
        (r#"{"type":"int","text":true}"#, "\"\"", "/x int_parsing"),
        (r#"{"type":"int","text":true}"#, "1.5", "/x int_type"),
        (r#"{"type":"int","text":true}"#, "true", "/x int_type"),
        (r#"{"type":"int","text":true,"le":5}"#, r#""6""#, "/x less_than_equal"),
        (
            r#"{"type":"datetime","micro":true}"#,
            r#""2024-05-01T12:00:00.1234567+02:00""#,
            r#""2024-05-01T10:00:00.123456Z""#,
        ),
        (r#"{"type":"datetime","micro":true}"#, r#""1969-12-31T23:59:59.999999Z""#, r#""1969-12-31T23:59:59.999999Z""#),
        (r#"{"type":"datetime","micro":true}"#, r#""2024-05-01T12:00:00""#, "/x timezone_aware"),
        (r#"{"type":"datetime"}"#, r#""1969-12-31T23:59:59.999999Z""#, r#""1969-12-31T23:59:59.999Z""#),
        (r#"{"type":"bytes","form":"base64"}"#, r#""-_8""#, r#""+/8=""#),
        (r#"{"type":"bytes","form":"utf8"}"#, r#""é\n""#, r#""é\n""#),
        (r#"{"type":"bytes","form":"utf8","max_length":1}"#, r#""é""#, "/x bytes_too_long"),
        (r#"{"type":"bytes","form":"hex"}"#, r#""00Ff""#, r#""00ff""#),
        (r#"{"type":"bytes","form":"hex"}"#, r#""0""#, "/x bytes_invalid_encoding"),
        (r#"{"type":"bytes","form":"hex"}"#, r#""0g""#, "/x bytes_invalid_encoding"),
        (r#"{"type":"int","multiple_of":3}"#, "-9", "-9"),
        (r#"{"type":"int","multiple_of":3}"#, "10", "/x multiple_of"),
        (r#"{"type":"int","multiple_of":-1}"#, "-9223372036854775808", "-9223372036854775808"),
        (r#"{"type":"float"}"#, "1", "1.0"),
        (r#"{"type":"float"}"#, "0.1", "0.1"),
        (r#"{"type":"float"}"#, "51.24817837550540", "51.2481783755054"),
        (r#"{"type":"float"}"#, "1.7976931348623157e308", "1.7976931348623157e308"),
        (r#"{"type":"float"}"#, "\"1\"", "/x float_type"),
        (r#"{"type":"float"}"#, "false", "/x float_type"),
        (r#"{"type":"float","le":0.5}"#, "0.6", "/x less_than_equal"),
        (r#"{"type":"float","multiple_of":0.1}"#, "0.3", "0.3"),
        (r#"{"type":"float","multiple_of":0.1}"#, "0.35", "/x multiple_of"),
        (r#"{"type":"decimal","multiple_of":"0.1"}"#, "0.30", r#""0.30""#),
        (r#"{"type":"decimal","multiple_of":"0.1"}"#, r#""0.35""#, "/x multiple_of"),
        (r#"{"type":"str"}"#, "\"a\\u0000b\"", r#""a\u0000b""#),
        (r#"{"type":"str"}"#, "1", "/x string_type"),
        (r#"{"type":"str"}"#, "\"\\ud800\"", "/x string_unicode"),
        (r#"{"type":"str","min_length":2}"#, "\"é\"", "/x string_too_short"),
        (r#"{"type":"str","max_length":2}"#, "\"日本\"", "\"日本\""),
        (r#"{"type":"str","max_length":2}"#, "\"日本語\"", "/x string_too_long"),
        (r#"{"type":"str","pattern":"^a+$"}"#, "\"aab\"", "/x string_pattern_mismatch"),
        (r#"{"type":"str","strip":true,"min_length":1}"#, "\"  \"", "/x string_too_short"),
        (r#"{"type":"str","strip":true,"lower":true}"#, "\" ÀB \"", "\"àb\""),
        (r#"{"type":"str","upper":true}"#, "\"straße\"", "\"STRASSE\""),
        (r#"{"type":"uuid"}"#, "\"00000000000000000000000000000ABC\"", "\"00000000-0000-0000-0000-000000000abc\""),
        (r#"{"type":"uuid"}"#, "\"xyz\"", "/x uuid_parsing"),
        (r#"{"type":"uuid"}"#, "1", "/x uuid_type"),
        (r#"{"type":"datetime"}"#, "\"2024-05-01T12:00:00.123999+02:00\"", "\"2024-05-01T10:00:00.123Z\""),
        (r#"{"type":"datetime"}"#, "\"1960-01-01T00:00:00.0009Z\"", "\"1960-01-01T00:00:00.000Z\""),
        (r#"{"type":"datetime"}"#, "\"2024-05-01 12:00:00.123456789-0330\"", "\"2024-05-01T15:30:00.123Z\""),
        (r#"{"type":"datetime"}"#, "\"2024-05-01T12:00:00\"", "/x timezone_aware"),
        (r#"{"type":"datetime"}"#, "\"2024-13-01T12:00:00Z\"", "/x datetime_parsing"),
        (r#"{"type":"datetime"}"#, "\"1700000000\"", "/x datetime_parsing"),
        (r#"{"type":"datetime"}"#, "1700000000", "/x datetime_type"),
        (r#"{"type":"datetime"}"#, "\"9999-12-31T23:59:59-01:00\"", "/x datetime_object_invalid"),
        (r#"{"type":"datetime"}"#, "\"0000-06-01T00:00:00Z\"", "/x datetime_object_invalid"),
        (r#"{"type":"enum","values":["a",1]}"#, "1", "1"),
        (r#"{"type":"enum","values":["a",1]}"#, "true", "/x enum"),
        (r#"{"type":"enum","values":["a",1]}"#, "[]", "/x enum"),
        (r#"{"type":"literal","values":["a",true]}"#, "true", "true"),
        (r#"{"type":"literal","values":["a"]}"#, "\"b\"", "/x literal_error"),
        (r#"{"type":"optional","of":{"type":"int","ge":0}}"#, "null", "null"),
        (r#"{"type":"optional","of":{"type":"int","ge":0}}"#, "-1", "/x greater_than_equal"),
        (r#"{"type":"list","items":{"type":"int"}}"#, "[1,\"a\",2,null]", "/x/1 int_type, /x/3 int_type"),
        (r#"{"type":"list","items":{"type":"int"}}"#, "{}", "/x list_type"),
        (r#"{"type":"list","items":{"type":"int"},"min_length":1}"#, "[]", "/x too_short"),
        (r#"{"type":"list","items":{"type":"int"},"max_length":2}"#, "[1,2,\"a\"]", "/x too_long"),
        (
            r#"{"type":"model","schema":{"name":"N","fields":[{"name":"y","type":{"type":"int"}}]}}"#,
            "[]",
            "/x model_type",
        ),
        (
            r#"{"type":"model","schema":{"name":"N","fields":[{"name":"y","type":{"type":"int"}}]}}"#,
            "{}",
            "/x/y missing",
        ),
    ];
    for (kind, json, expected) in table {
        assert_eq!(field(kind, json), expected, "{kind} {json}");
    }
}

#[test]
fn all_violations_come_at_once() {
    let schema = schema(
        r#"{"name":"name","type":{"type":"str","min_length":1}},{"name":"age","type":{"type":"int"}},
           {"name":"a/b~c","type":{"type":"int"},"default":{"value":1}}"#,
    );
    let show = |body: &str| outcome(&schema, body, |_| "ok".to_owned());
    assert_eq!(
        show(r#"{"name":"","a/b~c":"x","nmae":[{}]}"#),
        "/name string_too_short, /a~1b~0c int_type, /nmae extra_forbidden, /age missing"
    );
    assert_eq!(show(r#"{"name":"a","age":1,"age":2}"#), "/age duplicate_key");
    assert_eq!(show(&format!(r#"{{"name":"a","age":1,"id":"{ID}"}}"#)), "/id read_only");
    assert_eq!(show("[]"), " model_type");
    assert_eq!(show("null"), " model_type");
    let unknown: Vec<String> = (0..500).map(|i| format!("\"u{i}\":0")).collect();
    let rejection =
        document(&schema, format!("{{{}}}", unknown.join(",")).as_bytes(), IdRule::Generated, &[], Coerce::Strict)
            .unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(violations) if violations.len() == 100));
}

#[test]
fn unknown_fields_get_a_hint() {
    let schema = schema(r#"{"name":"name","type":{"type":"str"}}"#);
    let Err(Rejection::Invalid(violations)) =
        document(&schema, br#"{"name":"a","nmae":"b"}"#, IdRule::Generated, &[], Coerce::Strict)
    else {
        panic!("must be refused");
    };
    assert_eq!(violations[0].detail, "unknown field; did you mean name?");
}

#[test]
fn malformed_bodies_say_where() {
    let schema = schema(r#"{"name":"n","type":{"type":"int"}}"#);
    let show = |body: &str| outcome(&schema, body, |_| "ok".to_owned());
    assert_eq!(show("{\"n\":1,}"), "the body is not JSON: trailing comma at line 1 column 8");
    assert_eq!(show("{\"n\":1}\n{}"), "the body is not JSON: trailing characters at line 2 column 1");
    assert_eq!(show("{\"n\":NaN}"), "the body is not JSON: expected value at line 1 column 6");
    let deep = |depth: usize| format!("{{\"n\":1,\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(show(&deep(100_000)).starts_with("the body is nested too deeply at line 1"), "{}", show(&deep(100_000)));
    assert_eq!(show(&deep(100)), "/x extra_forbidden");
    let Err(Rejection::Malformed(detail, _)) =
        document(&schema, b"{\"n\":\"\xff\"}", IdRule::Generated, &[], Coerce::Strict)
    else {
        panic!("must be refused");
    };
    assert!(detail.contains("invalid unicode"), "{detail}");
}

#[test]
fn ignored_fields_are_left_out() {
    let mut schema = schema(r#"{"name":"n","type":{"type":"int"}}"#);
    schema.unknown = Unknown::Ignore;
    let values = document(&schema, br#"{"zz":{"a":[1]},"n":1}"#, IdRule::Generated, &[], Coerce::Strict).unwrap();
    assert_eq!(values[1], Value::Int(1));
    assert_eq!(values.len(), 2);
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let schema = schema(r#"{"name":"n","type":{"type":"str","strip":true}}"#);
    let values = document(&schema, br#"{"n":" abc "}"#, IdRule::Generated, &[], Coerce::Strict).unwrap();
    assert!(matches!(&values[1], Value::Str(Cow::Borrowed("abc"))));
}

#[test]
fn ids_follow_their_rule() {
    let schema = schema(r#"{"name":"n","type":{"type":"int"},"default":{"value":7}}"#);
    let id = Value::Uuid(Uuid::from_u128(1));
    let read = |body: &str, rule| {
        document(&schema, body.as_bytes(), rule, &[], Coerce::Strict).map(|values| values[0].clone().into_owned())
    };
    let sent = format!(r#"{{"id":"{ID}"}}"#);
    assert!(matches!(read("{}", IdRule::Generated), Ok(Value::Uuid(id)) if id.get_version_num() == 7));
    assert_eq!(read(&sent, IdRule::Chosen), Ok(id.clone()));
    assert!(matches!(read("{}", IdRule::Chosen), Ok(Value::Uuid(_))));
    assert_eq!(read(&sent, IdRule::Given(&id)), Ok(id.clone()));
    assert_eq!(read("{}", IdRule::Given(&id)), Ok(id.clone()));
    let other = Value::Uuid(Uuid::from_u128(2));
    assert_eq!(read(&sent, IdRule::Given(&other)).map_err(show_rejection), Err("/id id_mismatch".to_owned()));
    assert_eq!(read(r#"{"id":null}"#, IdRule::Given(&id)).map_err(show_rejection), Err("/id uuid_type".to_owned()));

    let text =
        Schema::from_description(r#"{"name":"T","id":"id","fields":[{"name":"id","type":{"type":"str"}}]}"#).unwrap();
    let read = |body: &str| {
        document(&text, body.as_bytes(), IdRule::Chosen, &[], Coerce::Strict).map_err(show_rejection).map(|_| ())
    };
    assert_eq!(read(r#"{"id":"_count"}"#), Err("/id reserved_id".to_owned()));
    for reserved in ["", ".", ".."] {
        assert_eq!(read(&format!(r#"{{"id":"{reserved}"}}"#)), Err("/id reserved_id".to_owned()), "{reserved:?}");
    }
    assert_eq!(read(r#"{"id":"..."}"#), Ok(()));
    assert_eq!(read("{}"), Err("/id missing".to_owned()));
    assert_eq!(read(r#"{"id":"a"}"#), Ok(()));
}

#[test]
fn patches_merge_nested_models() {
    let schema = schema(
        r#"{"name":"n","type":{"type":"optional","of":{"type":"int"}}},
           {"name":"home","type":{"type":"optional","of":{"type":"model","schema":{"name":"Home","fields":[
              {"name":"city","type":{"type":"str"}},{"name":"zip","type":{"type":"str"},"default":{"value":"0"}}]}}}}"#,
    );
    let id = Value::Uuid(Uuid::from_u128(1));
    let apply = |stored: &str, body: &str| {
        let mut values: Vec<_> =
            super::stored(&schema, stored.as_bytes()).unwrap().into_iter().map(Value::into_owned).collect();
        patch(&schema, body.as_bytes(), &id, Coerce::Strict)
            .and_then(|changes| merge(&schema, &mut values, changes, Coerce::Strict))
            .map_err(show_rejection)?;
        Ok::<_, String>(
            String::from_utf8(crate::crud::json::document(&schema, &Value::Object(values)).to_vec()).unwrap(),
        )
    };
    let stored = |rest: &str| format!(r#"{{"id":"{ID}",{rest}}}"#);
    let full = stored(r#""n":1,"home":{"city":"Ur","zip":"9"}"#);
    let empty = stored(r#""n":1,"home":null"#);
    assert_eq!(apply(&full, r#"{"home":{"city":"Uruk"}}"#), Ok(stored(r#""n":1,"home":{"city":"Uruk","zip":"9"}"#)));
    assert_eq!(apply(&full, r#"{"n":null,"home":null}"#), Ok(stored(r#""n":null,"home":null"#)));
    assert_eq!(apply(&empty, r#"{"home":{"city":"Uruk"}}"#), Ok(stored(r#""n":1,"home":{"city":"Uruk","zip":"0"}"#)));
    assert_eq!(apply(&empty, r#"{"home":{"zip":"1"}}"#), Err("/home/city missing".to_owned()));
    assert_eq!(
        apply(&full, r#"{"home":{"city":null,"x":1},"n":"a"}"#),
        Err("/home/city string_type, /home/x extra_forbidden, /n int_type".to_owned())
    );
    assert_eq!(apply(&full, r#"{"home":[]}"#), Err("/home model_type".to_owned()));
    assert_eq!(apply(&full, r#"{"id":"00000000-0000-0000-0000-000000000002"}"#), Err("/id id_mismatch".to_owned()));
    assert_eq!(apply(&full, &format!(r#"{{"id":"{ID}"}}"#)), Ok(full.clone()));
    assert_eq!(apply(&full, "[]"), Err(" model_type".to_owned()));
}

/// The same text as serde_json's own tree, for a schema that takes everything the text may hold.
#[test]
fn accepted_documents_agree_with_serde_json() {
    let schema = schema(
        r#"{"name":"s","type":{"type":"str"}},{"name":"i","type":{"type":"int"}},{"name":"f","type":{"type":"float"}},
           {"name":"l","type":{"type":"list","items":{"type":"optional","of":{"type":"bool"}}}}"#,
    );
    let strategy = (
        "\\PC*",
        proptest::num::i64::ANY,
        proptest::num::f64::NORMAL,
        proptest::collection::vec(proptest::option::of(proptest::bool::ANY), 0..5),
    );
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&strategy, |(s, i, f, l)| {
            let sent = serde_json::json!({"s": s, "i": i, "f": f, "l": l});
            let body = sent.to_string();
            let values = document(&schema, body.as_bytes(), IdRule::Generated, &[], Coerce::Strict).unwrap();
            let mut answered: serde_json::Value =
                serde_json::from_slice(&crate::crud::json::document(&schema, &Value::Object(values))).unwrap();
            answered.as_object_mut().unwrap().remove("id");
            proptest::prop_assert_eq!(answered, sent);
            Ok(())
        })
        .unwrap();
}

proptest::proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(proptest::num::u8::ANY, 0..80), json in "[\\[\\]{}:,\"a0x.e-]{0,60}") {
        let schema = schema(r#"{"name":"a","type":{"type":"list","items":{"type":"int"}}},{"name":"x","type":{"type":"str"}}"#);
        for bytes in [&body[..], json.as_bytes()] {
            let _ = document(&schema, bytes, IdRule::Chosen, &[], Coerce::Strict);
            let _ = patch(&schema, bytes, &Value::Null, Coerce::Strict);
        }
    }
}

#[test]
fn multiples_are_told_as_closely_however_large_they_are() {
    let halves = r#"{"type":"float","multiple_of":0.5}"#;
    assert_eq!(field(halves, "1700000000123.5"), "1700000000123.5");
    assert_eq!(field(halves, "1700000000123.4561"), "/x multiple_of");
    assert_eq!(field(r#"{"type":"float","multiple_of":0.1}"#, "0.3"), "0.3");
}

#[test]
fn lax_bodies_are_read_as_pydantic_does() {
    let int = r#"{"type":"int","le":9}"#;
    assert_eq!(["\"5\"", "\" +05.0 \"", "5.0", "true", "-0"].map(|json| lax(int, json)), ["5", "5", "5", "1", "0"]);
    assert_eq!(lax(int, "\"10\""), "/x less_than_equal");
    assert_eq!(lax(int, "\"5.5\""), "/x int_parsing");
    assert_eq!(lax(int, "5.5"), "/x int_from_float");
    assert_eq!(lax(int, "\"9223372036854775808\""), "/x int_out_of_range");
    assert_eq!(lax(r#"{"type":"float"}"#, "\" 1_0\""), "/x float_parsing");
    assert_eq!(lax(r#"{"type":"float"}"#, "\"nan\""), "/x finite_number");
    assert_eq!(["1", "1.0", "\"oN\"", "\"T\""].map(|json| lax(r#"{"type":"bool"}"#, json)), ["true"; 4]);
    assert_eq!([lax(r#"{"type":"bool"}"#, "2"), lax(r#"{"type":"bool"}"#, "0.5")], ["/x bool_parsing", "/x bool_type"]);
    assert_eq!(lax(r#"{"type":"str"}"#, "5"), "/x string_type");
    let enums = [r#"{"type":"enum","values":[1],"int":true}"#, r#"{"type":"enum","values":[1]}"#];
    assert_eq!(enums.map(|kind| lax(kind, "\"1\"")), ["1", "/x enum"]);
    assert_eq!(enums.map(|kind| lax(kind, "true")), ["1", "1"]);
    assert_eq!(enums.map(|kind| field(kind, "\"1\"")), ["/x enum", "/x enum"]);
    assert_eq!(lax(r#"{"type":"decimal"}"#, "\" 1_0.50 \""), "\"10.50\"");
}

#[test]
fn lax_numbers_are_times() {
    let datetime = r#"{"type":"datetime"}"#;
    for json in ["1700000000.25", "1700000000250", "\"1700000000250\"", "\"1700000000.2509\""] {
        assert_eq!(lax(datetime, json), "\"2023-11-14T22:13:20.250Z\"", "{json}");
    }
    assert_eq!(lax(datetime, "\"2024-05-01\""), "/x timezone_aware");
    assert_eq!(lax(datetime, "\"x\""), "/x datetime_from_date_parsing");
    assert_eq!(lax(datetime, "1e18"), "/x datetime_parsing");
    let date = r#"{"type":"date","ge":"1970-01-02"}"#;
    assert_eq!(["86400", "\"1970-01-02T00:00:00+02:00\""].map(|json| lax(date, json)), ["\"1970-01-02\""; 2]);
    assert_eq!(lax(date, "0"), "/x greater_than_equal");
    assert_eq!(lax(date, "86400.5"), "/x date_from_datetime_inexact");
    assert_eq!(lax(r#"{"type":"time"}"#, "5"), "/x timezone_naive");
    assert_eq!(lax(r#"{"type":"time"}"#, "86400"), "/x time_parsing");
    assert_eq!(lax(r#"{"type":"timedelta"}"#, "-90.5"), "\"-PT1M30.5S\"");
    assert_eq!(lax(r#"{"type":"timedelta"}"#, "1e15"), "/x time_delta_parsing");
}

#[test]
fn lax_unions_take_what_fits_best() {
    let either = r#"{"type":"union","of":[{"type":"int"},{"type":"str","max_length":1},{"type":"list","items":{"type":"int"}}]}"#;
    let taken = ["\"5\"", "\"55\"", "5.0", "true", "[\"5\"]"].map(|json| lax(either, json));
    assert_eq!(taken, ["\"5\"", "55", "5", "1", "[5]"]);
    assert_eq!(lax(either, "\"ab\""), "/x int_parsing, /x string_too_long, /x list_type");
    assert_eq!(lax(either, "[\"a\"]"), "/x/0 int_parsing");
    let numbers = r#"{"type":"union","of":[{"type":"bool"},{"type":"float"},{"type":"int"}]}"#;
    let taken = ["1", "1.0", "\"1\"", "\"2\"", "true"].map(|json| lax(numbers, json));
    assert_eq!(taken, ["1", "1.0", "true", "2.0", "true"]);
    // It is an int, and what it would be as a float is not what was meant.
    assert_eq!(lax(numbers, "9223372036854775808"), "/x int_out_of_range");
}
