//! The body of a `QUERY`: what the query string of a list says, as JSON.
//!
//! ```json
//! {"filter": {"and": [["age", "gte", 18], {"not": ["tags", "hasany", ["a", "b"]]}]}, "sort": ["-age"], "limit": 20}
//! ```
//!
//! Each condition becomes the text that it would be in a query string, so there is one grammar and one set of rules.

use serde_json::value::RawValue;

use super::condition::condition;
use super::parse::{CONTROLS, DEEPEST_GROUP, ListRules, Listing, Reader, SEARCH, finished, too_many_conditions};
use super::{Expr, Path};
use crate::crud::json::Members;
use crate::crud::schema::check::{self, Fault};
use crate::crud::schema::{Schema, Type, suggest};
use crate::service::{Problem, position, push_token};

/// What a condition may ask; `len` may be followed by a comparison, and each may come after `not.`.
const OPERATORS: [&str; 18] = [
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "nin",
    "between",
    "is",
    "like",
    "ilike",
    "startswith",
    "contains",
    "has",
    "hasany",
    "hasall",
    "haskey",
];

/// Names in `sort` and `fields`.
const MOST_NAMES: usize = 500;

/// Reads the body of a `QUERY`. What it does not know to ask for is a 400, a value of the wrong type a 422.
pub(crate) fn listing_of_body(schema: &Schema, body: &[u8], rules: &ListRules) -> Result<Listing, Problem> {
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!("the body is not a JSON object: {error}")).not_json(position(body, &error))
    })?;
    let mut reader = Reader::of_body(schema, rules);
    let mut controls: Vec<(&'static str, String)> = Vec::new();
    let (mut filter, mut text) = (None, String::new());
    let search = reader.searches().then_some(SEARCH);
    let known = || CONTROLS.into_iter().chain(["filter"]).chain(search);
    let (mut sought, mut words) = (None, String::new());
    let mut seen: Vec<&str> = Vec::new();
    for (name, raw) in &members.0 {
        match known().find(|own| own == name) {
            Some(own) if seen.contains(&own) => reader.wrong(own, "duplicate_key", "may be there only once"),
            Some("filter") => {
                seen.push("filter");
                if raw.get() != "null" {
                    filter = reader.node("/filter", raw, 0, &mut text);
                }
            }
            Some(SEARCH) => {
                seen.push(SEARCH);
                match serde_json::from_str::<Option<String>>(raw.get()) {
                    Ok(Some(text)) => {
                        sought = reader.search(&text);
                        words = text;
                    }
                    Ok(None) => {}
                    Err(_) => reader.invalid(SEARCH, Fault::new("string_type", "must be a string")),
                }
            }
            Some(control) => {
                seen.push(control);
                match control_text(control, raw.get()) {
                    Ok(Some(text)) => controls.push((control, text)),
                    Ok(None) => {}
                    Err(fault) => reader.invalid(control, fault),
                }
            }
            None => {
                let detail = match suggest::closest(name, known()) {
                    Some(near) => format!("unknown member; did you mean {near}?"),
                    None => "unknown member".to_owned(),
                };
                reader.wrong(name, "unknown_parameter", detail);
            }
        }
        if reader.has_too_many() {
            return Err(too_many_conditions());
        }
        if reader.is_full() {
            break;
        }
    }
    let control = |name: &str| controls.iter().find(|(own, _)| *own == name).map(|(_, text)| &**text);
    let filter = filter.unwrap_or(Expr::True).and(sought.unwrap_or(Expr::True));
    finished(reader, control, rules, filter, vec![("filter".into(), text.into()), (SEARCH.into(), words.into())])
}

/// A member that is no filter as it would stand in a query string; none for null.
fn control_text(name: &str, json: &str) -> Result<Option<String>, Fault> {
    if json == "null" {
        return Ok(None);
    }
    match name {
        "sort" | "fields" | "expand" => {
            let names: Vec<String> = serde_json::from_str(json)
                .map_err(|_| Fault::new("list_type", "must be an array of names, as [\"-age\", \"name\"]"))?;
            if names.len() > MOST_NAMES {
                return Err(Fault::new("too_long", format!("must have at most {MOST_NAMES} items")));
            }
            match names.iter().find(|name| name.contains(',')) {
                Some(_) => Err(Fault::new("list_type", "must hold one name in each of its strings")),
                None => Ok(Some(names.join(","))),
            }
        }
        "cursor" => serde_json::from_str(json).map(Some).map_err(|_| Fault::new("string_type", "must be a string")),
        _ => Ok(Some(json.to_owned())),
    }
}

impl Reader<'_> {
    /// A condition or a group; what it would be in a query string is appended to `text`.
    fn node(&mut self, at: &str, raw: &RawValue, depth: usize, text: &mut String) -> Option<Expr> {
        match raw.get().as_bytes().first() {
            Some(b'[') => self.triple(at, raw, text),
            Some(b'{') => self.junction(at, raw, depth, text),
            _ => self.noted(at, Err(not_a_filter())),
        }
    }

    fn junction(&mut self, at: &str, raw: &RawValue, depth: usize, text: &mut String) -> Option<Expr> {
        if depth == DEEPEST_GROUP {
            let fault = Fault::new("too_deep", format!("may have groups within groups {DEEPEST_GROUP} deep"));
            return self.noted(at, Err(fault));
        }
        let members = serde_json::from_str::<Members<'_>>(raw.get()).map(|members| members.0).unwrap_or_default();
        let [(name, raw)] = members.as_slice() else { return self.noted(at, Err(not_a_filter())) };
        let mut inside = at.to_owned();
        push_token(&mut inside, name);
        match &**name {
            "not" => {
                text.push_str("not.");
                self.node(&inside, raw, depth + 1, text).map(|expr| Expr::Not(Box::new(expr)))
            }
            "and" | "or" => {
                let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
                    return self.noted(&inside, Err(Fault::new("list_type", "must be an array of conditions")));
                };
                if parts.is_empty() {
                    return self.noted(&inside, Err(Fault::new("too_short", "must hold at least one condition")));
                }
                text.push_str(name);
                text.push('(');
                let mut found = Vec::with_capacity(parts.len());
                for (index, part) in parts.into_iter().enumerate() {
                    // All that is wrong is told, up to the most conditions there may be.
                    if self.has_too_many() || self.is_full() {
                        return None;
                    }
                    found.push(self.node(&format!("{inside}/{index}"), part, depth + 1, text));
                    text.push(',');
                }
                text.push(')');
                let found: Vec<Expr> = found.into_iter().collect::<Option<_>>()?;
                Some(if name == "or" { Expr::Or(found) } else { Expr::And(found) })
            }
            _ => self.noted(at, Err(not_a_filter())),
        }
    }

    /// A condition: `["age", "gte", 18]`.
    fn triple(&mut self, at: &str, raw: &RawValue, text: &mut String) -> Option<Expr> {
        self.count();
        let parts: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        let [name, operator, value] = parts.as_slice() else { return self.noted(at, Err(not_a_filter())) };
        let names = (serde_json::from_str::<String>(name.get()), serde_json::from_str::<String>(operator.get()));
        let (Ok(name), Ok(operator)) = names else { return self.noted(at, Err(not_a_filter())) };
        let Some((path, field, None)) = Path::read(self.schema(), &name) else {
            self.unknown_field(&format!("{at}/0"), &name);
            return None;
        };
        if !self.may_filter(&format!("{at}/0"), &path) {
            return None;
        }
        let base = operator.strip_prefix("not.").unwrap_or(&operator);
        let base = base.split_once('.').map_or(base, |(base, _)| if base == "len" { base } else { &operator });
        if base != "len" && !OPERATORS.contains(&base) {
            let detail = match suggest::closest(&operator, OPERATORS.into_iter().chain(["len"])) {
                Some(near) => format!("is no operator; did you mean {near}?"),
                None => format!("is no operator; choose from {}, len", OPERATORS.join(", ")),
            };
            return self.noted(&format!("{at}/1"), Err(Fault::new("operator", detail)));
        }
        let begun = text.len();
        let found = operand(field.kind.inner().0, base, value.get()).and_then(|operand| {
            text.push_str(&name);
            text.push('.');
            let told = text.len();
            text.push_str(&operator);
            text.push('.');
            text.push_str(&operand);
            condition(path, &field.kind, &text[told..])
        });
        if found.is_err() {
            text.truncate(begun);
        }
        let place = if matches!(&found, Err(fault) if fault.code != "operator") { "/2" } else { "" };
        self.noted(&format!("{at}{place}"), found)
    }
}

fn not_a_filter() -> Fault {
    Fault::new(
        "filter_type",
        "must be a condition, as [\"age\", \"gte\", 18], or an object with one of and, or and not",
    )
}

/// What stands after an operator in a query string.
fn operand(kind: &Type, operator: &str, json: &str) -> Result<String, Fault> {
    let item = match kind {
        Type::List { item, .. } => item.inner().0,
        kind => kind,
    };
    match operator {
        "is" => match json {
            "null" | "\"null\"" => Ok("null".to_owned()),
            "\"notnull\"" => Ok("notnull".to_owned()),
            _ => Err(Fault::new("operator", "after is must come null or \"notnull\"")),
        },
        "in" | "nin" | "between" => list(kind, operator, json),
        "hasany" | "hasall" => list(item, operator, json),
        "has" => single(item, json),
        "len" => match json.parse::<u64>() {
            Ok(_) => Ok(json.to_owned()),
            Err(_) => Err(Fault::new("int_type", "must be a whole number")),
        },
        // What these cannot be asked of is told by the condition.
        "haskey" | "like" | "ilike" | "startswith" | "contains" => string(json),
        _ => single(kind, json),
    }
}

fn single(kind: &Type, json: &str) -> Result<String, Fault> {
    if json == "null" {
        return Err(Fault::new("operator", "cannot be compared with null; use is, as [\"age\", \"is\", null]"));
    }
    // What holds no single value is refused by the condition, whatever it is compared with.
    if kind.is_scalar() && !kind.looks_like(json) {
        return Err(check::wrong_kind(kind));
    }
    if json.starts_with('"') { string(json) } else { Ok(json.to_owned()) }
}

fn string(json: &str) -> Result<String, Fault> {
    if !json.starts_with('"') {
        return Err(Fault::new("string_type", "must be a string"));
    }
    serde_json::from_str(json).map_err(|_| Fault::new("string_unicode", "must not hold half of a surrogate pair"))
}

/// `("a","b")`, in which quotes and backslashes are escaped.
fn list(kind: &Type, operator: &str, json: &str) -> Result<String, Fault> {
    let items: Vec<&RawValue> = serde_json::from_str(json)
        .map_err(|_| Fault::new("list_type", format!("after {operator} must come an array of values")))?;
    let mut text = String::from("(");
    for (index, item) in items.into_iter().enumerate() {
        text.push_str(if index > 0 { ",\"" } else { "\"" });
        for letter in single(kind, item.get())?.chars() {
            if matches!(letter, '"' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push('"');
    }
    text.push(')');
    Ok(text)
}
