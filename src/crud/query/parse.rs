//! The query string of a list: filters, sort, limit and cursor, typed and checked against the schema.
//!
//! `?age=gte.18&or=(name.in.(Ada,"Grace, Hopper"),home.city.eq.Paris)&sort=-age,name&limit=20`.

use std::borrow::Cow;

use super::condition::condition;
use super::grouping::Dimension;
use super::{Expr, Path, Query, Shown, Sort, cursor, group, search};
use crate::crud::Value;
use crate::crud::schema::check::Fault;
use crate::crud::schema::{Schema, Type, suggest};
use crate::service::{Limit, Location, Problem, Violation, push_token, query_pairs};

/// Conditions in one request.
const MOST_CONDITIONS: usize = 32;
/// Groups within groups.
pub(super) const DEEPEST_GROUP: usize = 4;
/// Rows that can be skipped by number; the store walks over each of them.
pub(crate) const FARTHEST_OFFSET: usize = 10_000;
/// Violations that are told; a body has room for more than anybody reads.
const MOST_VIOLATIONS: usize = 100;
/// Keys of one sort.
const MOST_SORT_KEYS: usize = 8;

/// The parameters of a list that are not fields, and may be there once.
pub(super) const CONTROLS: [&str; 6] = ["limit", "sort", "cursor", "offset", "fields", "expand"];
/// Words that rows are searched for, where they are.
pub(crate) const SEARCH: &str = "q";
/// Those that group conditions.
const GROUPS: [&str; 4] = ["or", "and", "not.or", "not.and"];

/// Whether a field of this name cannot be filtered by, because a parameter is called so.
pub(crate) fn is_taken(name: &str) -> bool {
    CONTROLS.contains(&name) || GROUPS.contains(&name)
}

/// What a list may be asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListRules {
    /// Rows on a page when the client does not say.
    pub(crate) default_limit: usize,
    /// Rows on a page at most.
    pub(crate) max_limit: usize,
    /// Whether rows may be skipped by number.
    pub(crate) offset: bool,
    /// The fields that rows may be filtered by, given by index; all that clients see unless there are some.
    pub(crate) filterable: Option<Vec<usize>>,
    /// The fields that rows may be sorted by, alike.
    pub(crate) sortable: Option<Vec<usize>>,
    /// What rows may be grouped by.
    pub(crate) dimensions: Vec<Dimension>,
    /// What may be computed of.
    pub(crate) measures: Vec<Path>,
}

/// A list request and what makes the cursor of the next page.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) query: Query,
    pub(crate) cursors: Cursors,
    pub(crate) shown: Shown,
    pub(crate) expand: Option<Expand>,
}

/// The references that are to be expanded, and where that was said.
#[derive(Debug)]
pub(crate) struct Expand {
    pub(crate) names: String,
    pub(crate) at: Location,
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

/// Reads the query string of a list.
///
/// What a request does not know to ask for (a parameter, a field) is a 400, a value of the wrong type a 422; each lists all
/// of its kind.
pub(crate) fn listing(schema: &Schema, raw: Option<&str>, rules: &ListRules) -> Result<Listing, Problem> {
    let mut reader = Reader::new(schema, &CONTROLS, Some(rules));
    let mut sent = reader.read(raw)?;
    let filters = std::mem::take(&mut sent.filters);
    let filter = sent.filter();
    finished(reader, |name| sent.control(name), rules, filter, filters)
}

/// What a list is asked for, from the conditions that were read and what else there is.
pub(super) fn finished<'c>(
    mut reader: Reader<'_>,
    control: impl Fn(&str) -> Option<&'c str>,
    rules: &ListRules,
    filter: Expr,
    mut filters: Vec<(Cow<'_, str>, Cow<'_, str>)>,
) -> Result<Listing, Problem> {
    let limit = reader.limit(control("limit"), rules.default_limit, rules.max_limit);
    let sort = reader.sort(control("sort"));
    let offset = reader.offset(control("offset"), rules.offset);
    let shown = reader.shown(control("fields"));
    if control("cursor").is_some() && control("offset").is_some() {
        reader.wrong("offset", "contradiction", "cannot be sent together with cursor: leave one of them out");
    }
    reader.finish()?;

    let schema = reader.schema;
    let hash = hash(schema, &sort, &mut filters);
    let after = match control("cursor") {
        Some(text) => Some(cursor::decode(text, hash, schema, &sort).map_err(|detail| {
            let at = reader.at("cursor");
            Problem::bad_request(format!("the cursor {detail}")).errors(vec![Violation::new(at, "cursor", detail)])
        })?),
        None => None,
    };
    let query = Query { filter, sort, limit, offset, after };
    let expand = reader.expand(control("expand"));
    Ok(Listing { query, cursors: Cursors { hash }, shown, expand })
}

/// Reads a query string that holds nothing but filters, as that of a count.
pub(crate) fn filter(schema: &Schema, raw: Option<&str>, rules: &ListRules) -> Result<Expr, Problem> {
    let mut reader = Reader::new(schema, &[], Some(rules));
    let mut sent = reader.read(raw)?;
    reader.finish()?;
    Ok(sent.filter())
}

/// Reads the query string of a feed of changes: filters, and what is shown of the rows.
pub(crate) fn watched(schema: &Schema, raw: Option<&str>, rules: &ListRules) -> Result<(Expr, Shown), Problem> {
    let mut reader = Reader::new(schema, &["fields"], Some(rules));
    reader.searches = false;
    let mut sent = reader.read(raw)?;
    let shown = reader.shown(sent.control("fields"));
    reader.finish()?;
    Ok((sent.filter(), shown))
}

/// What is to be exported.
#[derive(Debug)]
pub(crate) struct Export {
    /// Its limit is that of the whole.
    pub(crate) query: Query,
    pub(crate) shown: Shown,
    /// Whether a last line is to tell how many rows there were.
    pub(crate) end: bool,
}

/// Reads the query string of an export: that of a list without pages.
pub(crate) fn export(schema: &Schema, raw: Option<&str>, rules: &ListRules) -> Result<Export, Problem> {
    // No field begins with an underscore.
    let mut reader = Reader::new(schema, &["limit", "sort", "fields", "_end"], Some(rules));
    let mut sent = reader.read(raw)?;
    let limit = reader.limit(sent.control("limit"), usize::MAX, i64::MAX as usize);
    let sort = reader.sort(sent.control("sort"));
    let shown = reader.shown(sent.control("fields"));
    let end = match sent.control("_end") {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => {
            reader.invalid("_end", Fault::new("bool_parsing", "must be 0 or 1"));
            false
        }
    };
    reader.finish()?;
    let query = Query { filter: sent.filter(), sort, limit, offset: 0, after: None };
    Ok(Export { query, shown, end })
}

/// Reads the query string of one row, which says at most what is shown of it.
pub(crate) fn shown(schema: &Schema, raw: Option<&str>) -> Result<(Shown, Option<Expand>), Problem> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return Ok((Shown::All, None)) };
    let mut reader = Reader::new(schema, &["fields", "expand"], None);
    let sent = reader.read(Some(raw))?;
    let shown = reader.shown(sent.control("fields"));
    reader.finish()?;
    let expand = reader.expand(sent.control("expand"));
    Ok((shown, expand))
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

pub(super) fn too_many_conditions() -> Problem {
    Problem::bad_request(format!("a request may have at most {MOST_CONDITIONS} conditions"))
}

/// What a query string holds.
pub(super) struct Sent<'r> {
    /// None stands for one that is wrong.
    conditions: Vec<Option<Expr>>,
    /// The same as they were sent.
    filters: Vec<(Cow<'r, str>, Cow<'r, str>)>,
    controls: Vec<(&'static str, Cow<'r, str>)>,
}

impl Sent<'_> {
    pub(super) fn control(&self, name: &str) -> Option<&str> {
        self.controls.iter().find(|(control, _)| *control == name).map(|(_, value)| &**value)
    }

    pub(super) fn filter(&mut self) -> Expr {
        let mut conditions: Vec<Expr> = std::mem::take(&mut self.conditions).into_iter().flatten().collect();
        match conditions.len() {
            0 => Expr::True,
            1 => conditions.remove(0),
            _ => Expr::And(conditions),
        }
    }
}

pub(super) struct Reader<'s> {
    schema: &'s Schema,
    /// Parameters that are not filters.
    controls: &'static [&'static str],
    /// What rows may be filtered and sorted by; none where there is neither.
    rules: Option<&'s ListRules>,
    /// Whether `q` holds words that rows are searched for, where the schema has some that are.
    searches: bool,
    /// What is read is a body: places in it are JSON pointers.
    body: bool,
    /// How many conditions were read.
    conditions: usize,
    /// What the service does not have.
    wrong: Vec<Violation>,
    /// Values that do not fit.
    invalid: Vec<Violation>,
}

impl<'s> Reader<'s> {
    pub(super) const fn new(
        schema: &'s Schema,
        controls: &'static [&'static str],
        rules: Option<&'s ListRules>,
    ) -> Self {
        Self {
            schema,
            controls,
            rules,
            searches: rules.is_some(),
            body: false,
            conditions: 0,
            wrong: Vec::new(),
            invalid: Vec::new(),
        }
    }

    pub(super) fn searches(&self) -> bool {
        self.searches && self.schema.searched().next().is_some()
    }

    fn expand(&self, names: Option<&str>) -> Option<Expand> {
        names.map(|names| Expand { names: names.to_owned(), at: self.at("expand") })
    }

    /// The rows that hold the words of a search.
    pub(super) fn search(&mut self, text: &str) -> Option<Expr> {
        self.conditions += 1;
        self.noted(SEARCH, search::words(text)).map(|words| Expr::Search { words })
    }

    pub(super) fn of_body(schema: &'s Schema, rules: &'s ListRules) -> Self {
        Self { body: true, ..Self::new(schema, &CONTROLS, Some(rules)) }
    }

    pub(super) const fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// Notes that there is one more condition.
    pub(super) const fn count(&mut self) {
        self.conditions += 1;
    }

    pub(super) const fn has_too_many(&self) -> bool {
        self.conditions > MOST_CONDITIONS
    }

    /// Whether so much is wrong that reading on tells nobody more.
    pub(super) const fn is_full(&self) -> bool {
        self.wrong.len() + self.invalid.len() >= MOST_VIOLATIONS
    }

    /// A parameter, or a place in the body: a member of it by name, or a pointer.
    fn at(&self, place: &str) -> Location {
        let shown: String = place.chars().take(100).collect();
        match (self.body, place.starts_with('/')) {
            (false, _) => Location::Parameter(shown),
            (true, true) => Location::Pointer(place.to_owned()),
            (true, false) => {
                let mut pointer = String::new();
                push_token(&mut pointer, &shown);
                Location::Pointer(pointer)
            }
        }
    }

    pub(super) fn read<'r>(&mut self, raw: Option<&'r str>) -> Result<Sent<'r>, Problem> {
        let mut sent = Sent { conditions: Vec::new(), filters: Vec::new(), controls: Vec::new() };
        for pair in query_pairs(raw.unwrap_or("")) {
            let (name, value) = pair?;
            if let Some(control) = self.controls.iter().find(|control| **control == name) {
                if sent.control(control).is_some() {
                    self.wrong(&name, "duplicate_parameter", "may be there only once");
                }
                sent.controls.push((control, value));
            } else if self.rules.is_none() {
                self.unknown(&name, &name);
            } else if name == SEARCH && self.searches() {
                sent.conditions.push(self.search(&value));
                sent.filters.push((name, value));
            } else {
                sent.conditions.push(match group::begins(&name).filter(|(.., rest)| rest.is_empty()) {
                    Some((negated, one, _)) => self.group(&name, negated, one, &value, 1),
                    None => self.condition(&name, &value),
                });
                sent.filters.push((name, value));
            }
            if self.has_too_many() {
                return Err(too_many_conditions());
            }
        }
        Ok(sent)
    }

    pub(super) fn wrong(&mut self, place: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.wrong.push(Violation::new(self.at(place), code, detail));
    }

    pub(super) fn invalid(&mut self, place: &str, fault: Fault) {
        self.invalid.push(fault.at(self.at(place)));
    }

    pub(super) fn finish(&mut self) -> Result<(), Problem> {
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
        self.unknown_name(parameter, name, parameter == name);
    }

    /// Notes that there is no such field.
    pub(super) fn unknown_field(&mut self, place: &str, name: &str) {
        self.unknown_name(place, name, false);
    }

    fn unknown_name(&mut self, parameter: &str, name: &str, is_parameter: bool) {
        // Within a model the last name is the one to look at.
        let (model, last) =
            match name.rsplit_once('.').and_then(|(model, last)| Some((Path::read(self.schema, model)?, last))) {
                Some(((_, field, None), last)) => match field.kind.inner().0 {
                    Type::Model(model) => (model as &Schema, last),
                    _ => (self.schema, name),
                },
                _ => (self.schema, name),
            };
        let shown = model.fields.iter().filter(|field| field.access.is_shown());
        let fields = shown.map(|field| &*field.name).filter(|_| self.rules.is_some() || !is_parameter);
        let groups = GROUPS.into_iter().filter(|_| self.rules.is_some());
        let parameters = self.controls.iter().copied().chain(groups).filter(|_| is_parameter);
        let known = fields.chain(parameters);
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
        let found = self.schema.field(name).filter(|index| self.schema.fields[*index].access.is_shown());
        let Some(index) = found else {
            self.unknown("sort", name);
            return None;
        };
        if !self.schema.fields[index].kind.is_scalar() {
            self.wrong("sort", "not_scalar", "lists and models cannot be sorted by");
            return None;
        }
        let allowed = self.rules.and_then(|rules| rules.sortable.as_deref());
        if allowed.is_some_and(|allowed| !allowed.contains(&index)) {
            let detail = format!("rows are not sorted by {name}{}", self.choices(allowed));
            self.wrong("sort", "not_sortable", detail);
            return None;
        }
        Some(index)
    }

    /// Whether rows may be filtered by what is at a path, after noting that they may not.
    pub(super) fn may_filter(&mut self, place: &str, path: &Path) -> bool {
        let allowed = self.rules.and_then(|rules| rules.filterable.as_deref());
        if allowed.is_none_or(|allowed| allowed.contains(&path.first())) {
            return true;
        }
        let name = &self.schema.fields[path.first()].name;
        let detail = format!("rows are not filtered by {name}{}", self.choices(allowed));
        self.wrong(place, "not_filterable", detail);
        false
    }

    /// `; choose from id, name`
    fn choices(&self, allowed: Option<&[usize]>) -> String {
        let names: Vec<&str> = allowed.into_iter().flatten().map(|index| &*self.schema.fields[*index].name).collect();
        if names.is_empty() { String::new() } else { format!("; choose from {}", names.join(", ")) }
    }

    pub(super) fn limit(&mut self, text: Option<&str>, default: usize, max: usize) -> usize {
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

    fn offset(&mut self, text: Option<&str>, allowed: bool) -> usize {
        let Some(text) = text else { return 0 };
        if !allowed {
            self.wrong("offset", "not_allowed", "is not taken by this list; follow next instead");
            return 0;
        }
        let fault = match text.parse::<usize>() {
            Ok(offset) if offset <= FARTHEST_OFFSET => return offset,
            Ok(_) => Fault::new("less_than_equal", format!("must be <= {FARTHEST_OFFSET}; follow next instead"))
                .limit(Limit::Int(FARTHEST_OFFSET as i64)),
            Err(_) => Fault::new("int_parsing", format!("must be a whole number from 0 to {FARTHEST_OFFSET}")),
        };
        self.invalid("offset", fault);
        0
    }

    /// The fields that are asked for: `id,home.city`.
    fn shown(&mut self, text: Option<&str>) -> Shown {
        let Some(text) = text else { return Shown::All };
        let mut paths = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match Path::read(self.schema, name) {
                Some((path, _, None)) => paths.push(path),
                _ => self.unknown("fields", name),
            }
        }
        if paths.is_empty() && self.wrong.is_empty() {
            self.wrong("fields", "missing", "must name at least one field, as fields=id");
        }
        Shown::of(paths)
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
        Sort::until_id(self.schema, keys)
    }

    /// The condition on a field in a parameter of its own, or none after noting what is wrong with it.
    fn condition(&mut self, name: &str, text: &str) -> Option<Expr> {
        self.conditions += 1;
        let Some((path, field, None)) = Path::read(self.schema, name) else {
            self.unknown(name, name);
            return None;
        };
        if !self.may_filter(name, &path) {
            return None;
        }
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
            if self.has_too_many() {
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
        if !self.may_filter(parameter, &path) {
            return None;
        }
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

    pub(super) fn noted<T>(&mut self, parameter: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.invalid(parameter, fault)).ok()
    }
}

#[cfg(test)]
mod tests;
