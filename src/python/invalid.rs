//! What libraries that check values say of bad ones, as problems.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use serde::de::IgnoredAny;

use super::convert::classes;
use crate::service::{ErrorFormat, Limit, Location, Problem, Violation, position, push_token};

/// How much of what is wrong is told.
const MAX_TOLD: usize = 100;

/// A problem, and which numbers in its pointers are names.
pub(super) struct Invalid {
    problem: Problem,
    /// Pointers to members whose names are numbers.
    names: HashSet<String>,
}

impl From<Problem> for Invalid {
    fn from(problem: Problem) -> Self {
        Self { problem, names: HashSet::new() }
    }
}

impl Invalid {
    /// The problem document, for handlers of exceptions.
    pub(super) fn document(&self) -> Bytes {
        self.problem.to_bytes()
    }

    /// The same, with what `more` says of the problem.
    pub(super) fn with(self, more: impl FnOnce(Problem) -> Option<Problem>) -> Option<Self> {
        Some(Self { problem: more(self.problem)?, names: self.names })
    }

    /// Without what tells names from numbers, for places in which parameters stand and no members of a body.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    pub(super) fn into_response(self, format: ErrorFormat) -> crate::Response {
        let Self { problem, names } = self;
        format.response_about(problem, |before: &[Cow<'_, str>], name| {
            if names.is_empty() {
                return true;
            }
            let mut pointer = String::new();
            before.iter().for_each(|token| push_token(&mut pointer, token));
            push_token(&mut pointer, name);
            !names.contains(&pointer)
        })
    }
}

/// What is wrong with a JSON body, as a problem: 400 when it is not JSON, 422 otherwise. None for an exception of another kind.
pub(super) fn of_body(py: Python<'_>, error: &PyErr, body: &[u8]) -> PyResult<Option<Invalid>> {
    if let Some(told) = Told::by(py, error)? {
        return match told {
            Told::NotJson(message) => Ok(Some(not_json(&message, body).into())),
            Told::Wrong(found) => {
                let mut names = HashSet::new();
                let mut violations = Vec::with_capacity(found.len());
                for Found { steps, code, message } in found {
                    let pointer = pointer(&steps, &mut names);
                    violations.push(Violation::new(Location::Pointer(pointer), code, message));
                }
                Ok(Some(Invalid { problem: Problem::validation(violations), names }))
            }
        };
    }
    Ok(None)
}

/// What an app itself says is wrong, by a `RequestValidationError` that it raised.
///
/// # Errors
/// Something was made of its `errors` that says nothing.
pub(super) fn of_raised(error: &Bound<'_, PyAny>) -> PyResult<Invalid> {
    type Said<'py> = (String, Bound<'py, PyAny>, String, String, Option<Bound<'py, PyAny>>);
    let said = error.call_method0(intern!(error.py(), "_violations"))?.cast_into::<PyList>()?;
    let mut names = HashSet::new();
    let mut violations = Vec::with_capacity(said.len());
    for each in said.iter() {
        let (place, at, code, detail, limit): Said<'_> = each.extract()?;
        let at = match &*place {
            "parameter" => Location::Parameter(at.extract()?),
            "path" => Location::Path(at.extract()?),
            "header" => Location::Header(at.extract()?),
            "cookie" => Location::Cookie(at.extract()?),
            _ => {
                let steps: PyResult<Vec<Step>> = at.cast::<PyList>()?.iter().map(|step| Step::of(&step)).collect();
                Location::Pointer(pointer(&steps?, &mut names))
            }
        };
        let violation = Violation::new(at, code, detail);
        violations.push(match limit {
            Some(limit) => violation.limit(limit_of(&limit)?),
            None => violation,
        });
    }
    Ok(Invalid { problem: Problem::validation(violations), names })
}

fn limit_of(limit: &Bound<'_, PyAny>) -> PyResult<Limit> {
    if let Ok(whole) = limit.extract::<i64>() {
        return Ok(Limit::Int(whole));
    }
    match limit.extract::<f64>() {
        // What JSON has no number for stands as text.
        Ok(float) if float.is_finite() => Ok(Limit::Float(float)),
        _ => Ok(Limit::Text(limit.str()?.to_string())),
    }
}

/// The JSON pointer of these steps; those of members whose names are numbers are added to `names`.
fn pointer(steps: &[Step], names: &mut HashSet<String>) -> String {
    let mut pointer = String::new();
    for step in steps {
        push_token(&mut pointer, step.text());
        if let Step::Name(name) = step
            && name.bytes().all(|byte| byte.is_ascii_digit())
        {
            names.insert(pointer.clone());
        }
    }
    pointer
}

/// The same of a model that is made of parameters; `place` says where what the model calls so stands.
pub(super) fn of_model(
    py: Python<'_>,
    error: &PyErr,
    place: impl Fn(Option<&str>) -> Location,
) -> PyResult<Option<Vec<Violation>>> {
    let Some(Told::Wrong(found)) = Told::by(py, error)? else { return Ok(None) };
    let violations = found.into_iter().map(|Found { steps, code, message }| {
        let field = steps.first().map(Step::text);
        Violation::new(place(field), code, message)
    });
    Ok(Some(violations.collect()))
}

/// A body that is no JSON: what is wrong with it, and where.
pub(super) fn not_json(message: &str, body: &[u8]) -> Problem {
    // Where, for those who are told as FastAPI does: the libraries count in bytes, or in lines.
    let at = serde_json::from_slice::<IgnoredAny>(body).err().and_then(|error| position(body, &error));
    Problem::bad_request(format!("the body is not JSON: {message}")).not_json(at)
}

enum Told {
    NotJson(String),
    Wrong(Vec<Found>),
}

struct Found {
    steps: Vec<Step>,
    code: Cow<'static, str>,
    message: String,
}

enum Step {
    Name(String),
    /// Of an item.
    Index(String),
}

impl Step {
    fn of(step: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match step.cast::<PyString>() {
            Ok(name) => Self::Name(name.to_str()?.to_owned()),
            Err(_) => Self::Index(step.str()?.to_str()?.to_owned()),
        })
    }

    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Index(text) => text,
        }
    }
}

impl Told {
    fn by(py: Python<'_>, error: &PyErr) -> PyResult<Option<Self>> {
        let value = error.value(py);
        if value.is_instance(classes(py)?.validation_error.bind(py))? {
            return by_pydantic(value).map(Some);
        }
        let class = error.get_type(py);
        // By its name, so that what may not be installed need not be imported.
        let module = class.getattr(intern!(py, "__module__"))?;
        if !module.cast::<PyString>().is_ok_and(|module| module == "msgspec") {
            return Ok(None);
        }
        let message = value.str()?.to_string();
        Ok(match &*class.name()?.to_string_lossy() {
            "ValidationError" => Some(Self::Wrong(vec![by_msgspec(&message)])),
            "DecodeError" => Some(Self::NotJson(message)),
            _ => None,
        })
    }
}

fn by_pydantic(value: &Bound<'_, PyAny>) -> PyResult<Told> {
    let py = value.py();
    let kwargs = PyDict::new(py);
    for unwanted in ["include_url", "include_context", "include_input"] {
        kwargs.set_item(unwanted, false)?;
    }
    let errors = value.call_method(intern!(py, "errors"), (), Some(&kwargs))?.cast_into::<PyList>()?;
    let mut found = Vec::with_capacity(errors.len().min(MAX_TOLD));
    for error in errors.iter().take(MAX_TOLD) {
        let code: String = error.get_item("type")?.extract()?;
        let message: String = error.get_item("msg")?.extract()?;
        let steps = error.get_item("loc")?.cast::<PyTuple>()?.iter().map(|step| Step::of(&step));
        let steps: Vec<Step> = steps.collect::<PyResult<_>>()?;
        // A text within it that is to hold JSON is a member as any other.
        if code == "json_invalid" && steps.is_empty() {
            return Ok(Told::NotJson(message));
        }
        found.push(Found { steps, code: code.into(), message });
    }
    Ok(Told::Wrong(found))
}

/// A message of msgspec, which tells of one thing: ``Expected `int`, got `str` - at `$.lines[0].count` ``.
fn by_msgspec(message: &str) -> Found {
    let (what, place) = message.rsplit_once(" - at ").unwrap_or((message, "`$`"));
    let mut steps = steps_of(place);
    let (code, missing) = code_of(what);
    steps.extend(missing.map(|name| Step::Name(name.to_owned())));
    Found { steps, code: code.into(), message: what.to_owned() }
}

/// What pydantic would call it, and the member that it is about.
fn code_of(what: &str) -> (&'static str, Option<&str>) {
    let quoted = |after: &str| what.strip_prefix(after)?.strip_suffix('`');
    if let Some(name) = quoted("Object missing required field `") {
        return ("missing", Some(name));
    }
    if let Some(name) = quoted("Object contains unknown field `") {
        return ("extra_forbidden", Some(name));
    }
    let has = |text: &str| what.contains(text);
    let code = if what.starts_with("Invalid enum value") {
        "enum"
    } else if what.starts_with("Invalid value") {
        "union_tag_invalid"
    } else if has("` of length >=") {
        if has("`str`") { "string_too_short" } else { "too_short" }
    } else if has("` of length <=") {
        if has("`str`") { "string_too_long" } else { "too_long" }
    } else if has(" matching regex ") {
        "string_pattern_mismatch"
    } else if has(" that's a multiple of ") {
        "multiple_of"
    } else if has("` >= ") {
        "greater_than_equal"
    } else if has("` > ") {
        "greater_than"
    } else if has("` <= ") {
        "less_than_equal"
    } else if has("` < ") {
        "less_than"
    } else if has(", got `") {
        expected(what)
    } else if what.starts_with("Invalid RFC3339") || what.starts_with("Invalid ISO8601") || has("Invalid UUID") {
        "value_parsing"
    } else {
        "value_error"
    };
    (code, None)
}

/// Of ``Expected `int`, got `str` ``.
fn expected(what: &str) -> &'static str {
    match what.strip_prefix("Expected `").and_then(|rest| rest.split('`').next()) {
        Some("int") => "int_type",
        Some("float") => "float_type",
        Some("str") => "string_type",
        Some("bool") => "bool_type",
        Some("array") => "list_type",
        Some("object") => "dict_type",
        Some("null") => "none_required",
        _ => "value_type",
    }
}

/// The steps of `` `$.lines[0].count` ``. `[...]` is some member of a dict, of which it does not say which.
fn steps_of(place: &str) -> Vec<Step> {
    // Of a key it says `` `key` in `$.counts` ``.
    let place = place.rsplit(" in ").next().unwrap_or(place);
    let mut rest = place.trim_matches('`').strip_prefix('$').unwrap_or_default();
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').unwrap_or((inner, ""));
            if index == "..." {
                break;
            }
            steps.push(Step::Index(index.to_owned()));
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            // A name that begins with what ends one is taken as it is, so that this comes to an end.
            let (name, after) = if end == 0 { (name, "") } else { name.split_at(end) };
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> String {
        let Found { steps, code, .. } = by_msgspec(message);
        let mut pointer = String::new();
        steps.iter().for_each(|step| push_token(&mut pointer, step.text()));
        format!("{pointer} {code}")
    }

    #[test]
    fn messages_of_msgspec_are_places_and_codes() {
        assert_eq!(told("Expected `int`, got `str` - at `$.lines[0].count`"), "/lines/0/count int_type");
        assert_eq!(told("Object missing required field `name` - at `$.user`"), "/user/name missing");
        assert_eq!(told("Object contains unknown field `x`"), "/x extra_forbidden");
        assert_eq!(told("Expected `str` of length >= 3 - at `$[1]`"), "/1 string_too_short");
        assert_eq!(told("Expected `array` of length <= 3"), " too_long");
        assert_eq!(told("Expected `int` >= 3"), " greater_than_equal");
        assert_eq!(told("Expected `int`, got `str` - at `$.counts[...]`"), "/counts int_type");
        assert_eq!(told("Expected `int`, got `str` - at `key` in `$.counts`"), "/counts int_type");
        assert_eq!(told("Expected `str` matching regex 'x' - at `$.a`"), "/a string_pattern_mismatch");
        assert_eq!(told("Something new"), " value_error");
    }
}
