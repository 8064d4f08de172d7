//! Groups of rows and what is computed over each: `?by=status,month(created_at)&agg=count,sum(price)&sort=-count&limit=10`.

use super::parse::{ListRules, Reader};
use super::{Expr, Path};
use crate::ConfigError;
use crate::crud::schema::{Schema, Type, suggest};
use crate::service::Problem;

/// The parameters that are not filters.
const CONTROLS: [&str; 4] = ["by", "agg", "sort", "limit"];
/// Dimensions and aggregates of one request.
const MOST_COLUMNS: usize = 16;

/// Which rows are grouped by what, and what is computed over each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// Which rows.
    pub filter: Expr,
    /// What the rows of a group have in common; all rows are one group when there is nothing.
    pub by: Vec<Dimension>,
    /// What is computed.
    pub aggregates: Vec<Aggregate>,
    /// The order of the groups, which is total.
    pub order: Vec<Order>,
    /// At most how many groups.
    pub limit: usize,
}

/// A value that rows are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Where it lies.
    pub path: Path,
    /// What of a time is looked at; all of it unless told.
    pub part: Option<Part>,
}

/// How much of a date or of a time in UTC is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `2026`
    Year,
    /// `2026-11`
    Month,
    /// `2026-11-29`
    Day,
    /// `2026-11-29T13`; of a time only.
    Hour,
}

/// Something computed over the rows of a group; nulls do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aggregate {
    /// How many rows there are.
    Count,
    /// What is computed of the values at a path.
    Of(Function, Path),
}

/// What can be computed of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The sum, of ints and decimals exact; 0 of nothing.
    Sum,
    /// The mean; null of nothing. Of ints it is a float.
    Avg,
    /// The least value; null of nothing.
    Min,
    /// The greatest value; null of nothing.
    Max,
}

/// A key of the order of groups: a dimension, or an aggregate counted on after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
}

impl Part {
    const ALL: [Self; 4] = [Self::Year, Self::Month, Self::Day, Self::Hour];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// How many letters of the text of a time it is.
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    pub(crate) const fn length(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Month => 7,
            Self::Day => 10,
            Self::Hour => 13,
        }
    }
}

impl Function {
    const ALL: [Self; 4] = [Self::Sum, Self::Avg, Self::Min, Self::Max];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// Whether it can be computed of values of a type.
    pub(crate) fn takes(self, kind: &Type) -> bool {
        match kind.inner().0 {
            Type::Int(_) | Type::IntText(_) | Type::Float(_) | Type::Decimal(_) => true,
            Type::Bool | Type::OneOf { .. } => false,
            kind => matches!(self, Self::Min | Self::Max) && kind.is_scalar(),
        }
    }
}

impl Dimension {
    /// Reads `status`, `home.city` or `month(created_at)`.
    ///
    /// # Errors
    /// When the schema has no such field, clients do not see it, or rows cannot be grouped by it.
    pub fn of(schema: &Schema, text: &str) -> Result<Self, ConfigError> {
        let (part, name) = match call(text) {
            Some((function, inner)) => {
                let part = Part::ALL.into_iter().find(|part| part.as_str() == function);
                let part = part.ok_or_else(|| {
                    ConfigError::new(format!("{} is not grouped by {text}: there is no {function}", schema.name))
                        .cure("write year, month, day or hour before a date or a datetime")
                })?;
                (Some(part), inner)
            }
            None => (None, text),
        };
        let (path, kind) = shown(schema, name)?;
        let fits = match (part, kind) {
            (None, Type::OneOf { values, .. }) => !values.iter().any(|value| matches!(value, super::Value::Bool(_))),
            (None, kind) => kind.is_scalar(),
            (Some(Part::Hour), kind) => matches!(kind, Type::DateTime(_) | Type::Micros(_)),
            (Some(_), kind) => {
                matches!(kind, Type::DateTime(_) | Type::Micros(_) | Type::Date(_) | Type::Midnight(_))
            }
        };
        if fits {
            return Ok(Self { path, part });
        }
        Err(ConfigError::new(format!("{} cannot be grouped by {text}", schema.name))
            .cure("name a field that holds one value, or a part of a date or datetime, as month(created_at)"))
    }

    /// As it is written: `month(created_at)`.
    pub fn name(&self, schema: &Schema) -> String {
        let path = self.path.dotted(schema).unwrap_or_default();
        match self.part {
            Some(part) => format!("{}({path})", part.as_str()),
            None => path,
        }
    }
}

impl Aggregate {
    /// As it is written: `sum(price)`.
    pub fn name(&self, schema: &Schema) -> String {
        match self {
            Self::Count => "count".to_owned(),
            Self::Of(function, path) => {
                format!("{}({})", function.as_str(), path.dotted(schema).unwrap_or_default())
            }
        }
    }
}

/// What is at the path of a measure, for which at least one function must be there.
///
/// # Errors
/// When the schema has no such field, clients do not see it, or nothing can be computed of it.
pub(crate) fn measure(schema: &Schema, name: &str) -> Result<Path, ConfigError> {
    let (path, kind) = shown(schema, name)?;
    if Function::Max.takes(kind) {
        return Ok(path);
    }
    Err(ConfigError::new(format!("{}: nothing can be computed of {name}", schema.name))
        .cure("name numbers, texts, dates or times"))
}

/// The aggregates that a measure has.
pub(crate) fn aggregates<'s>(schema: &'s Schema, path: &'s Path) -> impl Iterator<Item = Aggregate> + 's {
    let kind = path.fields(schema).and_then(|fields| Some(&fields.last()?.kind));
    let taken = move |function: &Function| kind.is_some_and(|kind| function.takes(kind));
    Function::ALL.into_iter().filter(taken).map(|function| Aggregate::Of(function, path.clone()))
}

fn shown<'s>(schema: &'s Schema, name: &str) -> Result<(Path, &'s Type), ConfigError> {
    match Path::read(schema, name) {
        Some((path, field, None)) => Ok((path, field.kind.inner().0)),
        _ => {
            let error = ConfigError::new(format!("{} has no field {name:?} that clients see", schema.name));
            let fields = schema.fields.iter().filter(|field| field.access.is_shown());
            Err(match suggest::closest(name, fields.map(|field| &*field.name)) {
                Some(near) => error.cure(format!("did you mean {near}?")),
                None => error,
            })
        }
    }
}

/// `month(created_at)` in its two parts.
fn call(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix(')')?.split_once('(')
}

/// Reads the query string of a grouping.
pub(crate) fn grouping(schema: &Schema, raw: Option<&str>, rules: &ListRules) -> Result<Grouping, Problem> {
    let mut reader = Reader::new(schema, &CONTROLS, Some(rules));
    let mut sent = reader.read(raw)?;
    let known = rules.dimensions.iter().map(|dimension| (dimension.name(schema), dimension.clone())).collect();
    let by = named(&mut reader, "by", sent.control("by").unwrap_or(""), known);
    let measured = rules.measures.iter().flat_map(|path| aggregates(schema, path));
    let known = std::iter::once(Aggregate::Count).chain(measured).map(|known| (known.name(schema), known)).collect();
    let aggregates = named(&mut reader, "agg", sent.control("agg").unwrap_or("count"), known);
    if aggregates.is_empty() && sent.control("agg") == Some("") {
        reader.wrong("agg", "missing", "must name at least one, as agg=count");
    }
    let columns = by.iter().map(|by| by.name(schema)).chain(aggregates.iter().map(|own| own.name(schema))).collect();
    let order = order(&mut reader, sent.control("sort").unwrap_or(""), columns, by.len());
    let limit = reader.limit(sent.control("limit"), rules.default_limit, rules.max_limit);
    reader.finish()?;
    Ok(Grouping { filter: sent.filter(), by, aggregates, order, limit })
}

/// The things that a parameter names, each once.
fn named<T: PartialEq + Clone>(reader: &mut Reader<'_>, at: &str, text: &str, known: Vec<(String, T)>) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match known.iter().find(|(own, _)| own == name) {
            Some((_, one)) if found.contains(one) => {
                reader.wrong(at, "duplicate_parameter", format!("names {name} twice"));
            }
            Some((_, one)) => found.push(one.clone()),
            None => {
                let shown: String = name.chars().take(100).collect();
                let names: Vec<&str> = known.iter().map(|(name, _)| &**name).collect();
                reader.wrong(at, "unknown_parameter", format!("{shown} is not offered{}", choose(&names)));
            }
        }
        if found.len() > MOST_COLUMNS {
            reader.wrong(at, "too_long", format!("may name at most {MOST_COLUMNS}"));
        }
        if reader.is_full() || found.len() > MOST_COLUMNS {
            break;
        }
    }
    found
}

/// `; choose from status, day`
fn choose(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; choose from {}", names.join(", ")) }
}

/// The order that is asked for, and by the dimensions where it says nothing.
fn order(reader: &mut Reader<'_>, text: &str, columns: Vec<String>, by: usize) -> Vec<Order> {
    let mut keys: Vec<Order> = Vec::new();
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let (name, descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        match columns.iter().position(|own| own == name) {
            Some(column) if keys.iter().any(|key| key.column == column) => {
                reader.wrong("sort", "duplicate_parameter", format!("names {name} twice"));
            }
            Some(column) => keys.push(Order { column, descending }),
            None => {
                let shown: String = name.chars().take(100).collect();
                let names: Vec<&str> = columns.iter().map(|name| &**name).collect();
                let detail = format!("{shown} is neither in by nor in agg{}", choose(&names));
                reader.wrong("sort", "unknown_parameter", detail);
            }
        }
        if reader.is_full() {
            break;
        }
    }
    for column in 0..by {
        if keys.iter().all(|key| key.column != column) {
            keys.push(Order { column, descending: false });
        }
    }
    keys
}
