//! Errors as FastAPI tells of them: `{"detail": ...}`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::{Limit, Location, Problem, Violation, marked};
use crate::ConfigError;
use crate::service::Response;

/// How clients are told what was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorFormat {
    /// As problem documents (RFC 9457).
    #[default]
    Problem,
    /// As FastAPI does: a 422 is `{"detail": [{"type": ..., "loc": ["body", "age"], "msg": ...}]}`, and everything else
    /// `{"detail": "..."}`. A body that is no JSON is a 422, too. Values that were sent are not repeated.
    FastApi,
}

impl FromStr for ErrorFormat {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose("errors", text, &[("problem", Self::Problem), ("fastapi", Self::FastApi)])
    }
}

impl ErrorFormat {
    /// The answer that tells of `problem`, with its headers, in any body type that holds bytes.
    pub fn response<B: From<Bytes>>(self, problem: Problem) -> Response<B> {
        self.response_about(problem, |_, _| true)
    }

    /// As [`response`](Self::response); `is_index` says of a number in a pointer, after what stands before it, whether it is that of an
    /// item and not a name.
    pub(crate) fn response_about<B: From<Bytes>>(
        self,
        problem: Problem,
        is_index: impl Fn(&[Cow<'_, str>], &str) -> bool,
    ) -> Response<B> {
        if self == Self::Problem {
            return problem.into_response();
        }
        let (status, document) = self.document(&problem, is_index);
        let mut response = Response::new(B::from(document));
        *response.status_mut() = status;
        *response.headers_mut() = problem.0.headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        marked(response)
    }

    /// The status and the body of that answer.
    pub(crate) fn document(
        self,
        problem: &Problem,
        is_index: impl Fn(&[Cow<'_, str>], &str) -> bool,
    ) -> (StatusCode, Bytes) {
        if self == Self::Problem {
            return (problem.status(), problem.to_bytes());
        }
        let (status, detail) = told(problem, is_index);
        // Serialising strings and numbers to memory cannot fail; an empty object is still valid JSON.
        (status, serde_json::to_vec(&Document { detail }).unwrap_or_else(|_| b"{}".to_vec()).into())
    }
}

/// What of a body was no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "crud"), expect(dead_code, reason = "only CRUD services read JSON"))]
pub(super) enum Unread {
    Empty,
    /// Where, in characters.
    At(usize),
}

#[cfg(feature = "crud")]
impl Problem {
    /// The same, about a body that is empty.
    pub(crate) fn without_body(mut self) -> Self {
        self.0.unread = Some(Unread::Empty);
        self
    }

    /// The same, about a body that is no JSON at a position, in characters; none where it is not that.
    pub(crate) fn not_json(mut self, at: Option<usize>) -> Self {
        self.0.unread = at.map(Unread::At);
        self
    }
}

/// Where a text ceases to be JSON, in characters; none where it is JSON of another kind than wanted, or no text.
#[cfg(feature = "crud")]
pub(crate) fn position(json: &[u8], error: &serde_json::Error) -> Option<usize> {
    let text = std::str::from_utf8(json).ok().filter(|_| !error.is_data())?;
    if error.is_eof() {
        return Some(text.chars().count());
    }
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let end = (before + error.column().saturating_sub(1)).min(json.len());
    Some(String::from_utf8_lossy(&json[..end]).chars().count())
}

#[derive(Serialize)]
struct Document<'p> {
    detail: Detail<'p>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'p> {
    Text(Cow<'p, str>),
    Entries(Vec<Entry<'p>>),
    #[cfg(feature = "python")]
    Json(&'p serde_json::value::RawValue),
}

#[derive(Serialize)]
struct Entry<'p> {
    #[serde(rename = "type")]
    code: &'p str,
    loc: Vec<Step<'p>>,
    msg: &'p str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ctx: BTreeMap<&'static str, Limit>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Step<'p> {
    Name(Cow<'p, str>),
    Index(usize),
}

fn told(problem: &Problem, is_index: impl Fn(&[Cow<'_, str>], &str) -> bool) -> (StatusCode, Detail<'_>) {
    let parts = &*problem.0;
    let body = || Step::Name("body".into());
    let text = parts.detail.as_deref().unwrap_or(&parts.title);
    let entries = match parts.unread {
        Some(Unread::Empty) => vec![Entry { code: "missing", loc: vec![body()], msg: text, ctx: BTreeMap::new() }],
        Some(Unread::At(at)) => {
            let ctx = BTreeMap::from([("error", Limit::Text(text.to_owned()))]);
            vec![Entry { code: "json_invalid", loc: vec![body(), Step::Index(at)], msg: "JSON decode error", ctx }]
        }
        None if parts.status == StatusCode::UNPROCESSABLE_ENTITY => {
            parts.errors.iter().map(|error| entry(error, &is_index)).collect()
        }
        None => Vec::new(),
    };
    #[cfg(feature = "python")]
    if let Some(details) = parts.own.details.as_deref().filter(|_| entries.is_empty()) {
        return (parts.status, Detail::Json(details));
    }
    if entries.is_empty() {
        return (parts.status, Detail::Text(sentence(text, &parts.errors, parts.status, is_index)));
    }
    (StatusCode::UNPROCESSABLE_ENTITY, Detail::Entries(entries))
}

/// What is wrong in one text, as it would be raised with an `HTTPException`.
fn sentence<'p>(
    text: &'p str,
    errors: &[Violation],
    status: StatusCode,
    is_index: impl Fn(&[Cow<'_, str>], &str) -> bool,
) -> Cow<'p, str> {
    if status == StatusCode::BAD_REQUEST {
        let more = errors.iter().filter(|error| !text.contains(&*error.detail)).map(|error| {
            let (Location::Pointer(name)
            | Location::Parameter(name)
            | Location::Path(name)
            | Location::Header(name)
            | Location::Cookie(name)) = &error.at;
            format!("{name} {}", error.detail)
        });
        let more: Vec<String> = more.collect();
        return if more.is_empty() { text.into() } else { format!("{text}: {}", more.join("; ")).into() };
    }
    // Of several rows that were sent, it is said which.
    let first = errors.first().map(|error| place(&error.at, &is_index));
    match first.as_deref() {
        Some([_, Step::Index(item), ..]) => format!("{text} (item {item})").into(),
        _ => text.into(),
    }
}

fn entry<'p>(error: &'p Violation, is_index: &impl Fn(&[Cow<'_, str>], &str) -> bool) -> Entry<'p> {
    let ctx = error.limit.clone().zip(limit_name(&error.code)).map(|(limit, name)| (name, limit));
    Entry { code: &error.code, loc: place(&error.at, is_index), msg: &error.detail, ctx: ctx.into_iter().collect() }
}

/// What pydantic calls the limit that a violation of this code passes.
fn limit_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "greater_than" => "gt",
        "greater_than_equal" => "ge",
        "less_than" => "lt",
        "less_than_equal" => "le",
        "multiple_of" => "multiple_of",
        "string_too_short" | "bytes_too_short" | "too_short" => "min_length",
        "string_too_long" | "bytes_too_long" | "too_long" => "max_length",
        "string_pattern_mismatch" => "pattern",
        "decimal_max_digits" => "max_digits",
        "decimal_max_places" => "decimal_places",
        "decimal_whole_digits" => "whole_digits",
        _ => return None,
    })
}

fn place<'p>(at: &'p Location, is_index: &impl Fn(&[Cow<'_, str>], &str) -> bool) -> Vec<Step<'p>> {
    let (part, name) = match at {
        Location::Pointer(pointer) => return steps(pointer, is_index),
        Location::Parameter(name) => ("query", name),
        Location::Path(name) => ("path", name),
        Location::Header(name) => ("header", name),
        Location::Cookie(name) => ("cookie", name),
    };
    // What is wrong with all of a model of parameters has no name.
    let name = Some(name).filter(|name| !name.is_empty()).map(|name| Step::Name(name.into()));
    std::iter::once(Step::Name(part.into())).chain(name).collect()
}

/// The steps of a JSON pointer into a body.
fn steps<'p>(pointer: &'p str, is_index: &impl Fn(&[Cow<'_, str>], &str) -> bool) -> Vec<Step<'p>> {
    let mut steps = vec![Step::Name("body".into())];
    let mut before: Vec<Cow<'p, str>> = Vec::new();
    for token in pointer.split('/').skip(1) {
        let name = if token.contains('~') {
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(token)
        };
        let number = name.parse().ok().filter(|number: &usize| number.to_string() == *name);
        steps.push(match number.filter(|_| is_index(&before, &name)) {
            Some(number) => Step::Index(number),
            None => Step::Name(name.clone()),
        });
        before.push(name);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(problem: &Problem) -> String {
        let (status, document) = ErrorFormat::FastApi.document(problem, |before, _| before != ["counts"]);
        format!("{} {}", status.as_u16(), String::from_utf8_lossy(&document))
    }

    #[test]
    fn violations_are_told_as_fastapi_tells_them() {
        let at = |pointer: &str| Location::Pointer(pointer.to_owned());
        let problem = Problem::validation(vec![
            Violation::new(at("/age"), "greater_than_equal", "must be >= 0").limit(Limit::Int(0)),
            Violation::new(at("/tags/10/a~1b~0"), "string_type", "must be a string"),
            Violation::new(at("/counts/10"), "int_type", "must be a whole number"),
            Violation::new(at(""), "model_type", "must be an object"),
            Violation::new(Location::Parameter("age".into()), "int_parsing", "must be a whole number"),
            Violation::new(Location::Header("if-match".into()), "missing", "is required"),
        ]);
        assert_eq!(
            document(&problem),
            concat!(
                r#"422 {"detail":[{"type":"greater_than_equal","loc":["body","age"],"msg":"must be >= 0","ctx":{"ge":0}},"#,
                r#"{"type":"string_type","loc":["body","tags",10,"a/b~"],"msg":"must be a string"},"#,
                r#"{"type":"int_type","loc":["body","counts","10"],"msg":"must be a whole number"},"#,
                r#"{"type":"model_type","loc":["body"],"msg":"must be an object"},"#,
                r#"{"type":"int_parsing","loc":["query","age"],"msg":"must be a whole number"},"#,
                r#"{"type":"missing","loc":["header","if-match"],"msg":"is required"}]}"#
            )
        );
    }

    #[test]
    fn everything_else_is_one_text() {
        assert_eq!(document(&Problem::of(StatusCode::NOT_FOUND)), r#"404 {"detail":"Not found"}"#);
        let detail = Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail("no");
        assert_eq!(document(&detail), r#"422 {"detail":"no"}"#);
        let taken = |pointer: &str| {
            let at = Location::Pointer(pointer.into());
            Problem::of(StatusCode::CONFLICT).detail("taken").errors(vec![Violation::new(at, "unique", "is taken")])
        };
        assert_eq!(document(&taken("/email")), r#"409 {"detail":"taken"}"#);
        assert_eq!(document(&taken("/3/email")), r#"409 {"detail":"taken (item 3)"}"#);
        let unknown = Violation::new(Location::Parameter("nmae".into()), "unknown_parameter", "is not known");
        let asked = Problem::bad_request("the query is wrong").errors(vec![unknown]);
        assert_eq!(document(&asked), r#"400 {"detail":"the query is wrong: nmae is not known"}"#);
    }

    #[test]
    fn headers_stay() {
        let response: Response = ErrorFormat::FastApi.response(Problem::unavailable("busy", 3));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[http::header::RETRY_AFTER], "3");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }

    #[cfg(feature = "crud")]
    #[test]
    fn what_is_no_json_has_a_place() {
        let at = |json: &str| {
            let error = serde_json::from_str::<serde_json::Value>(json).unwrap_err();
            position(json.as_bytes(), &error)
        };
        // As json.JSONDecodeError.pos has it.
        let places = ["{\"a\": }", "{\"a\": 1", "{\"é\":1,}", "{} x", "{\n \"a\":\n x}", ""].map(at);
        assert_eq!(places, [Some(6), Some(7), Some(7), Some(3), Some(9), Some(0)]);
    }
}
