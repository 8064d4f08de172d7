//! The query string of a list: filters, sort, limit and cursor, typed and checked against the schema.
//!
//! `?age=gte.18&name=in.(Ada,"Grace, Hopper")&sort=-age,name&limit=20`. An operator is recognised from a fixed list and
//! nothing else is structure: a value is never more than a value.

use std::borrow::Cow;

use super::{Comparison, Expr, Query, Sort, cursor};
use crate::crud::Value;
use crate::crud::schema::check::{self, Fault};
use crate::crud::schema::{Schema, Type, suggest};
use crate::service::{Limit, Location, Problem, Violation, query_pairs};

/// Conditions in one request.
const MOST_CONDITIONS: usize = 32;
/// Values of one `in`.
const MOST_CHOICES: usize = 500;
/// Keys of one sort.
const MOST_SORT_KEYS: usize = 8;
/// Bytes of a value; an `in` may have as many for each of its choices as the request line allows.
const LONGEST_VALUE: usize = 4096;

/// The parameters that are not fields.
const CONTROLS: [&str; 3] = ["limit", "sort", "cursor"];

/// A list request and what makes the cursor of the next page.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) query: Query,
    pub(crate) cursors: Cursors,
}

/// Makes cursors that belong to one filter and sort.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursors {
    hash: u64,
}

impl Cursors {
    /// The cursor of the page after `boundary`.
    pub(crate) fn encode(self, boundary: &[Value<'static>]) -> String {
        cursor::encode(self.hash, boundary)
    }
}

/// Reads a query string.
///
/// What a request does not know to ask for (a parameter, a field) is a 400, a value of the wrong type a 422; each lists all
/// of its kind.
pub(crate) fn listing(
    schema: &Schema,
    raw: Option<&str>,
    default_limit: usize,
    max_limit: usize,
) -> Result<Listing, Problem> {
    let mut reader = Reader { schema, wrong: Vec::new(), invalid: Vec::new() };
    let mut conditions = Vec::new();
    let mut filters: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let mut controls: [Option<Cow<'_, str>>; 3] = [None, None, None];
    for pair in query_pairs(raw.unwrap_or("")) {
        let (name, value) = pair?;
        if let Some(at) = CONTROLS.iter().position(|control| *control == name) {
            if controls[at].replace(value).is_some() {
                reader.wrong(&name, "duplicate_parameter", "may be there only once");
            }
        } else if conditions.len() >= MOST_CONDITIONS {
            return Err(Problem::bad_request(format!("a request may have at most {MOST_CONDITIONS} conditions")));
        } else {
            conditions.push(reader.condition(&name, &value));
            filters.push((name, value));
        }
    }
    let [limit, sort, after] = controls;
    let limit = reader.limit(limit.as_deref(), default_limit, max_limit);
    let sort = reader.sort(sort.as_deref());
    reader.finish()?;

    let hash = hash(schema, &sort, &mut filters);
    let after = match after {
        Some(text) => Some(cursor::decode(&text, hash, schema, &sort).map_err(|detail| {
            let at = Location::Parameter("cursor".to_owned());
            Problem::bad_request(format!("the cursor {detail}")).errors(vec![Violation::new(at, "cursor", detail)])
        })?),
        None => None,
    };
    let mut conditions: Vec<Expr> = conditions.into_iter().flatten().collect();
    let filter = match conditions.len() {
        0 => Expr::True,
        1 => conditions.remove(0),
        _ => Expr::And(conditions),
    };
    Ok(Listing { query: Query { filter, sort, limit, after }, cursors: Cursors { hash } })
}

fn hash(schema: &Schema, sort: &[Sort], filters: &mut [(Cow<'_, str>, Cow<'_, str>)]) -> u64 {
    let mut hash = cursor::Hash::new();
    hash.text(&schema.name);
    for key in sort {
        hash.text(if key.descending { "-" } else { "+" });
        hash.text(&schema.fields[key.field].name);
    }
    filters.sort_unstable();
    for (name, value) in filters {
        hash.text(name);
        hash.text(value);
    }
    hash.finish()
}

struct Reader<'s> {
    schema: &'s Schema,
    /// What the service does not have.
    wrong: Vec<Violation>,
    /// Values that do not fit.
    invalid: Vec<Violation>,
}

impl Reader<'_> {
    fn wrong(&mut self, parameter: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        let parameter = parameter.chars().take(100).collect();
        self.wrong.push(Violation::new(Location::Parameter(parameter), code, detail));
    }

    fn invalid(&mut self, parameter: &str, fault: Fault) {
        self.invalid.push(fault.at(Location::Parameter(parameter.to_owned())));
    }

    fn finish(&mut self) -> Result<(), Problem> {
        if !self.wrong.is_empty() {
            let wrong = std::mem::take(&mut self.wrong);
            return Err(Problem::bad_request("the query asks for what this list does not have").errors(wrong));
        }
        if !self.invalid.is_empty() {
            return Err(Problem::validation(std::mem::take(&mut self.invalid)));
        }
        Ok(())
    }

    /// The index of a scalar field, or none after noting why not.
    fn scalar(&mut self, parameter: &str, name: &str, doing: &str) -> Option<usize> {
        let Some(index) = self.schema.field(name) else {
            let fields = self.schema.fields.iter().filter(|field| field.kind.is_scalar()).map(|field| &*field.name);
            let known = fields.chain((parameter == name).then_some(CONTROLS).into_iter().flatten());
            let what = if parameter == name { "unknown parameter" } else { "unknown field" };
            let detail = match suggest::closest(name, known) {
                Some(near) => format!("{what}; did you mean {near}?"),
                None => what.to_owned(),
            };
            self.wrong(parameter, "unknown_parameter", detail);
            return None;
        };
        if !self.schema.fields[index].kind.is_scalar() {
            self.wrong(parameter, "not_scalar", format!("lists and models cannot be {doing}"));
            return None;
        }
        Some(index)
    }

    fn limit(&mut self, text: Option<&str>, default: usize, max: usize) -> usize {
        let Some(text) = text else { return default };
        let fault = match text.parse::<usize>() {
            Ok(limit) if (1..=max).contains(&limit) => return limit,
            Ok(0) => Fault::new("greater_than_equal", "must be >= 1").limit(Limit::Int(1)),
            Ok(_) => Fault::new("less_than_equal", format!("must be <= {max}")).limit(Limit::Int(max as i64)),
            Err(_) => Fault::new("int_parsing", format!("must be a whole number from 1 to {max}")),
        };
        self.invalid("limit", fault);
        default
    }

    /// The keys of a sort, up to the id and with it: the order is then total.
    fn sort(&mut self, text: Option<&str>) -> Vec<Sort> {
        let mut keys: Vec<Sort> = Vec::new();
        for name in text.unwrap_or("").split(',').filter(|name| !name.is_empty()) {
            let (name, descending) = match name.strip_prefix('-') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let Some(field) = self.scalar("sort", name, "sorted by") else { continue };
            if keys.iter().any(|key| key.field == field) {
                self.wrong("sort", "duplicate_parameter", format!("names {name} twice"));
            } else {
                keys.push(Sort { field, descending });
            }
        }
        if keys.len() > MOST_SORT_KEYS {
            self.wrong("sort", "too_long", format!("may have at most {MOST_SORT_KEYS} keys"));
        }
        if let Some(id) = self.schema.id {
            match keys.iter().position(|key| key.field == id) {
                Some(at) => keys.truncate(at + 1),
                None => keys.push(Sort { field: id, descending: false }),
            }
        }
        keys
    }

    /// One filter, or none after noting what is wrong with it.
    fn condition(&mut self, name: &str, text: &str) -> Option<Expr> {
        let field = self.scalar(name, name, "filtered by")?;
        match condition(field, &self.schema.fields[field].kind, text) {
            Ok(expr) => Some(expr),
            Err(fault) => {
                self.invalid(name, fault);
                None
            }
        }
    }
}

fn condition(field: usize, kind: &Type, text: &str) -> Result<Expr, Fault> {
    if let Some(rest) = text.strip_prefix("not.") {
        return Ok(Expr::Not(Box::new(condition_once(field, kind, rest)?)));
    }
    condition_once(field, kind, text)
}

fn condition_once(field: usize, kind: &Type, text: &str) -> Result<Expr, Fault> {
    let kind = kind.inner().0;
    let (operator, rest) = text.split_once('.').unwrap_or(("", text));
    let op = match operator {
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Ge,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Le,
        "in" => {
            let values = choices(rest)?.iter().map(|text| value(kind, text)).collect::<Result<_, _>>()?;
            return Ok(Expr::In { field, values });
        }
        "is" => {
            return match rest {
                "null" => Ok(Expr::IsNull { field }),
                "notnull" => Ok(Expr::Not(Box::new(Expr::IsNull { field }))),
                _ => Err(Fault::new("operator", "after is. must come null or notnull")),
            };
        }
        _ => return Ok(Expr::Compare { field, op: Comparison::Eq, value: value(kind, text)? }),
    };
    let ordered = !matches!(kind, Type::Bool | Type::OneOf { .. });
    if !ordered && !matches!(op, Comparison::Eq | Comparison::Ne) {
        return Err(Fault::new("operator", "has no order; use eq, ne or in"));
    }
    Ok(Expr::Compare { field, op, value: value(kind, rest)? })
}

/// A value of type `kind` from its text.
fn value(kind: &Type, text: &str) -> Result<Value<'static>, Fault> {
    if text.len() > LONGEST_VALUE {
        return Err(Fault::new("string_too_long", format!("must have at most {LONGEST_VALUE} bytes"))
            .limit(Limit::Int(LONGEST_VALUE as i64)));
    }
    match kind {
        Type::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Fault::new("bool_parsing", "must be true or false")),
        },
        Type::Int(_) => int(text).map(Value::Int),
        Type::Float(_) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(Fault::new("float_parsing", "must be a number")),
        },
        Type::Str(rules) => Ok(Value::Str(check::normalise(Cow::Borrowed(text), rules).into_owned().into())),
        Type::Uuid => check::uuid(text).map(Value::Uuid),
        // A plus sign that was not escaped arrives as a space: 12:00:00+02:00.
        Type::DateTime => check::datetime(text)
            .or_else(|fault| match text.len().checked_sub(6).filter(|at| text.as_bytes()[*at] == b' ') {
                Some(at) => check::datetime(&format!("{}+{}", &text[..at], &text[at + 1..])),
                None => Err(fault),
            })
            .map(Value::DateTime),
        Type::OneOf { values, literal } => {
            let is = |own: &&Value<'static>| match own {
                Value::Str(own) => own == text,
                Value::Int(own) => text.parse() == Ok(*own),
                Value::Bool(own) => text.parse() == Ok(*own),
                _ => false,
            };
            values.iter().find(is).cloned().ok_or_else(|| check::not_a_choice(values, *literal))
        }
        Type::Optional(inner) => value(inner, text),
        Type::List { .. } | Type::Model(_) => Err(Fault::new("not_scalar", "lists and models cannot be filtered by")),
    }
}

fn int(text: &str) -> Result<i64, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new("int_parsing", "must be a whole number"));
    }
    text.parse().map_err(|_| check::out_of_range())
}

/// The texts in `(a,"b,c",d)`; in quotes a backslash takes the next character as it is.
fn choices(text: &str) -> Result<Vec<String>, Fault> {
    let malformed = || Fault::new("operator", "after in. must come a list in brackets, as in.(a,\"b,c\")");
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(malformed)?;
    let mut found = Vec::new();
    if inner.is_empty() {
        return Ok(found);
    }
    let mut rest = inner.chars().peekable();
    loop {
        let mut item = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next() {
                    Some('"') => break,
                    Some('\\') => item.push(rest.next().ok_or_else(malformed)?),
                    Some(other) => item.push(other),
                    None => return Err(malformed()),
                }
            }
        } else {
            while let Some(other) = rest.next_if(|next| *next != ',') {
                item.push(other);
            }
        }
        if found.len() == MOST_CHOICES {
            return Err(Fault::new("too_long", format!("must have at most {MOST_CHOICES} choices"))
                .limit(Limit::Int(MOST_CHOICES as i64)));
        }
        found.push(item);
        match rest.next() {
            Some(',') => {}
            Some(_) => return Err(malformed()),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
