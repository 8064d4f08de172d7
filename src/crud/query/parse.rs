//! The query string of a list: filters, sort, limit and cursor, typed and checked against the schema.
//!
//! `?age=gte.18&or=(name.in.(Ada,"Grace, Hopper"),home.city.eq.Paris)&sort=-age,name&limit=20`.

use std::borrow::Cow;

use super::condition::condition;
use super::{Expr, Path, Query, Sort, cursor, group};
use crate::crud::Value;
use crate::crud::schema::check::Fault;
use crate::crud::schema::{Schema, Type, suggest};
use crate::service::{Limit, Location, Problem, Violation, query_pairs};

/// Conditions in one request.
const MOST_CONDITIONS: usize = 32;
/// Groups within groups.
const DEEPEST_GROUP: usize = 4;
/// Keys of one sort.
const MOST_SORT_KEYS: usize = 8;

/// The parameters that are not fields, and may be there once.
const CONTROLS: [&str; 3] = ["limit", "sort", "cursor"];
/// Those that group conditions.
const GROUPS: [&str; 4] = ["or", "and", "not.or", "not.and"];

/// Whether a field of this name cannot be filtered by, because a parameter is called so.
pub(crate) fn is_taken(name: &str) -> bool {
    CONTROLS.contains(&name) || GROUPS.contains(&name)
}

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
    let mut reader = Reader { schema, conditions: 0, wrong: Vec::new(), invalid: Vec::new() };
    let mut conditions = Vec::new();
    let mut filters: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let mut controls: [Option<Cow<'_, str>>; 3] = [None, None, None];
    for pair in query_pairs(raw.unwrap_or("")) {
        let (name, value) = pair?;
        if let Some(at) = CONTROLS.iter().position(|control| *control == name) {
            if controls[at].replace(value).is_some() {
                reader.wrong(&name, "duplicate_parameter", "may be there only once");
            }
        } else {
            match group::begins(&name).filter(|(.., rest)| rest.is_empty()) {
                Some((negated, one, _)) => conditions.push(reader.group(&name, negated, one, &value, 1)),
                None => conditions.push(reader.condition(&name, &value)),
            }
            filters.push((name, value));
        }
        if reader.conditions > MOST_CONDITIONS {
            return Err(Problem::bad_request(format!("a request may have at most {MOST_CONDITIONS} conditions")));
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
    /// How many were read.
    conditions: usize,
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

    /// Notes that there is no such field, or parameter where it is one.
    fn unknown(&mut self, parameter: &str, name: &str) {
        let is_parameter = parameter == name;
        // Within a model the last name is the one to look at.
        let (model, last) =
            match name.rsplit_once('.').and_then(|(model, last)| Some((Path::read(self.schema, model)?, last))) {
                Some(((_, field, None), last)) => match field.kind.inner().0 {
                    Type::Model(model) => (&**model, last),
                    _ => (self.schema, name),
                },
                _ => (self.schema, name),
            };
        let fields = model.fields.iter().map(|field| &*field.name);
        let known = fields.chain(is_parameter.then_some(CONTROLS.into_iter().chain(GROUPS)).into_iter().flatten());
        let what = if is_parameter { "unknown parameter" } else { "unknown field" };
        let shown: String = last.chars().take(100).collect();
        let detail = match (suggest::closest(last, known), is_parameter) {
            (Some(near), true) => format!("{what}; did you mean {near}?"),
            (Some(near), false) => format!("{what} {shown}; did you mean {near}?"),
            (None, true) => what.to_owned(),
            (None, false) => format!("{what} {shown}"),
        };
        self.wrong(parameter, "unknown_parameter", detail);
    }

    /// The index of a field that rows can be sorted by, or none after noting why not.
    fn sorted_by(&mut self, name: &str) -> Option<usize> {
        let Some(index) = self.schema.field(name) else {
            self.unknown("sort", name);
            return None;
        };
        if !self.schema.fields[index].kind.is_scalar() {
            self.wrong("sort", "not_scalar", "lists and models cannot be sorted by");
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
            let Some(field) = self.sorted_by(name) else { continue };
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

    /// The condition on a field in a parameter of its own, or none after noting what is wrong with it.
    fn condition(&mut self, name: &str, text: &str) -> Option<Expr> {
        self.conditions += 1;
        let Some((path, field, None)) = Path::read(self.schema, name) else {
            self.unknown(name, name);
            return None;
        };
        self.noted(name, condition(path, &field.kind, text))
    }

    /// Conditions in brackets.
    fn group(&mut self, parameter: &str, negated: bool, one: bool, text: &str, depth: usize) -> Option<Expr> {
        if depth > DEEPEST_GROUP {
            let fault = Fault::new("too_deep", format!("may have groups within groups {DEEPEST_GROUP} deep"));
            return self.noted(parameter, Err(fault));
        }
        let parts = self.noted(parameter, group::parts(text))?;
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            // All that is wrong is told, up to the most conditions there may be.
            if self.conditions > MOST_CONDITIONS {
                return None;
            }
            found.push(match group::begins(part).filter(|(.., rest)| rest.starts_with('(')) {
                Some((negated, one, rest)) => self.group(parameter, negated, one, rest, depth + 1),
                None => self.part(parameter, part),
            });
        }
        let found: Vec<Expr> = found.into_iter().collect::<Option<_>>()?;
        let group = if one { Expr::Or(found) } else { Expr::And(found) };
        Some(if negated { Expr::Not(Box::new(group)) } else { group })
    }

    /// A condition in a group: `home.city.eq.Paris`, `not.age.gt.5`.
    fn part(&mut self, parameter: &str, text: &str) -> Option<Expr> {
        self.conditions += 1;
        let (negated, text) = match text.strip_prefix("not.") {
            Some(rest) if self.schema.field("not").is_none() => (true, rest),
            _ => (false, text),
        };
        let Some((path, field, rest)) = Path::read(self.schema, text) else {
            self.unknown(parameter, text.split('.').next().unwrap_or(text));
            return None;
        };
        let name = path.dotted(self.schema).unwrap_or_default();
        let Some(rest) = rest else {
            let fault =
                Fault::new("operator", format!("{name} must be followed by an operator and a value, as {name}.eq.x"));
            return self.noted(parameter, Err(fault));
        };
        let expr = group::unquoted(rest).and_then(|rest| condition(path, &field.kind, &rest)).map_err(|mut fault| {
            fault.detail = format!("{name}: {}", fault.detail).into();
            fault
        });
        let expr = self.noted(parameter, expr)?;
        Some(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn noted<T>(&mut self, parameter: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.invalid(parameter, fault)).ok()
    }
}

#[cfg(test)]
mod tests;
