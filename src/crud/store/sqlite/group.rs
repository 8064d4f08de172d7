//! Groups of rows: one statement, and the functions for what SQL does not compute exactly.

use bigdecimal::BigDecimal;
use rusqlite::functions::{Aggregate as Function, Context, FunctionFlags};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, Error, params_from_iter};

use super::compile::Statement;
use super::error;
use super::table::{self, Table, quoted};
use crate::crud::query::{Aggregate, Dimension, Function as Computed, Grouping};
use crate::crud::schema::{Text, Type};
use crate::crud::store::{Groups, StoreError, names, rounded};
use crate::crud::{Decimal, Value};

/// `zg_sum(number)`: the sum of ints, or of decimals as [`functions::DECIMAL`](super::functions::DECIMAL) shows them, as text.
const SUM: &str = "zg_sum";
/// `zg_avg(number)`: their mean.
const AVG: &str = "zg_avg";

/// Makes the functions known to a connection.
pub(super) fn add(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_aggregate_function(SUM, 1, flags, Sum)?;
    db.create_aggregate_function(AVG, 1, flags, Avg)
}

struct Sum;
struct Avg;

/// What was added up so far, and how many numbers it was.
#[derive(Default)]
struct Added {
    sum: BigDecimal,
    count: u64,
}

impl Added {
    fn add(&mut self, context: &Context<'_>) -> rusqlite::Result<()> {
        let number = match context.get_raw(0) {
            ValueRef::Null => return Ok(()),
            ValueRef::Integer(x) => BigDecimal::from(x),
            ValueRef::Blob(key) => {
                let decimal = Decimal::from_key(key);
                decimal.ok_or_else(|| Error::UserFunctionError("no number to be added".into()))?.to_big()
            }
            _ => return Err(Error::UserFunctionError("no number to be added".into())),
        };
        self.sum += number;
        self.count += 1;
        Ok(())
    }
}

impl Function<Added, String> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Added> {
        Ok(Added::default())
    }

    fn step(&self, context: &mut Context<'_>, added: &mut Added) -> rusqlite::Result<()> {
        added.add(context)
    }

    fn finalize(&self, _: &mut Context<'_>, added: Option<Added>) -> rusqlite::Result<String> {
        text(&added.unwrap_or_default().sum)
    }
}

impl Function<Added, Option<String>> for Avg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Added> {
        Ok(Added::default())
    }

    fn step(&self, context: &mut Context<'_>, added: &mut Added) -> rusqlite::Result<()> {
        added.add(context)
    }

    fn finalize(&self, _: &mut Context<'_>, added: Option<Added>) -> rusqlite::Result<Option<String>> {
        let added = added.unwrap_or_default();
        (added.count > 0).then(|| text(&(added.sum / BigDecimal::from(added.count)))).transpose()
    }
}

fn text(number: &BigDecimal) -> rusqlite::Result<String> {
    let number = Decimal::of_big(number);
    Ok(number.ok_or_else(|| Error::UserFunctionError("the sum is too large for a decimal".into()))?.to_string())
}

/// How what a column shows is read.
enum Shown {
    /// As a value of a type.
    As(Type),
    Count,
    /// The text of a decimal.
    Exact,
    /// A float that was computed.
    Float,
}

fn dimension(table: &Table, by: &Dimension) -> Result<(String, Shown), StoreError> {
    let value = table.value_at(&by.path)?;
    Ok(match by.part {
        Some(part) => (format!("substr({value},1,{})", part.length()), Shown::As(Type::Str(Text::default()))),
        None => (value.into_owned(), Shown::As(names::scalar(&table.schema, &by.path)?.clone())),
    })
}

fn aggregate(table: &Table, aggregate: &Aggregate) -> Result<(String, Shown), StoreError> {
    let Aggregate::Of(function, path) = aggregate else { return Ok(("count(*)".into(), Shown::Count)) };
    let (value, kind) = (table.value_at(path)?, names::scalar(&table.schema, path)?);
    Ok(match (function, kind) {
        (Computed::Sum, Type::Int(_) | Type::IntText(_) | Type::Decimal(_)) => {
            (format!("{SUM}({value})"), Shown::Exact)
        }
        (Computed::Avg, Type::Decimal(_)) => (format!("{AVG}({value})"), Shown::Exact),
        // It adds up with a second double for what the first one loses.
        (Computed::Sum, _) => (format!("total({value})"), Shown::Float),
        (Computed::Avg, _) => (format!("avg({value})"), Shown::Float),
        (Computed::Min, kind) => (format!("min({value})"), Shown::As(kind.clone())),
        (Computed::Max, kind) => (format!("max({value})"), Shown::As(kind.clone())),
    })
}

/// A grouping as SQL, and how its columns are read.
pub(super) struct Compiled {
    sql: Statement,
    shown: Vec<Shown>,
    limit: usize,
}

pub(super) fn compile(table: &Table, grouping: &Grouping) -> Result<Compiled, StoreError> {
    let mut columns = Vec::new();
    for by in &grouping.by {
        columns.push(dimension(table, by)?);
    }
    for own in &grouping.aggregates {
        columns.push(aggregate(table, own)?);
    }
    let mut sql = Statement::new("SELECT ", Vec::new());
    for (index, (column, _)) in columns.iter().enumerate() {
        sql.text.push_str(&format!("{}{column} AS c{index}", if index > 0 { "," } else { "" }));
    }
    sql.text.push_str(&format!(" FROM {} WHERE ", quoted(&table.name)));
    sql.filter(table, &grouping.filter)?;
    for index in 0..grouping.by.len() {
        sql.text.push_str(&format!("{}c{index}", if index > 0 { "," } else { " GROUP BY " }));
    }
    for (index, key) in grouping.order.iter().enumerate() {
        sql.text.push_str(if index > 0 { "," } else { " ORDER BY " });
        let column = format!("c{}", key.column);
        sql.text.push_str(&match columns.get(key.column) {
            // A text that does not sort as the number does.
            Some((_, Shown::Exact)) => format!("{}({column})", super::functions::DECIMAL),
            _ => column,
        });
        sql.text.push_str(if key.descending { " DESC" } else { "" });
    }
    sql.text.push_str(" LIMIT ?");
    sql.args.push(Sql::Integer(i64::try_from(grouping.limit).unwrap_or(i64::MAX - 1) + 1));
    Ok(Compiled { sql, shown: columns.into_iter().map(|(_, shown)| shown).collect(), limit: grouping.limit })
}

pub(super) fn run(db: &Connection, compiled: &Compiled) -> Result<Groups, StoreError> {
    let Compiled { sql, shown, limit } = compiled;
    let mut statement = db.prepare_cached(&sql.text).map_err(error::plain)?;
    let mut rows = statement.query(params_from_iter(sql.args.iter())).map_err(error::plain)?;
    let mut groups = Groups { rows: Vec::new(), more: false };
    while let Some(row) = rows.next().map_err(error::plain)? {
        if groups.rows.len() == *limit {
            groups.more = true;
            break;
        }
        let value = |(index, shown): (usize, &Shown)| read(row.get_ref(index).map_err(error::plain)?, shown);
        groups.rows.push(shown.iter().enumerate().map(value).collect::<Result<_, _>>()?);
    }
    Ok(groups)
}

fn read(value: ValueRef<'_>, shown: &Shown) -> Result<Value<'static>, StoreError> {
    let unfit = || StoreError::Internal("what was computed is not of its type".into());
    Ok(match (shown, value) {
        (_, ValueRef::Null) => Value::Null,
        (Shown::As(kind), value) => table::unbind(kind, value).ok_or_else(unfit)?,
        (Shown::Count, ValueRef::Integer(x)) => Value::Int(x),
        (Shown::Exact, ValueRef::Text(text)) => {
            let text = std::str::from_utf8(text).map_err(|_| unfit())?;
            Value::Decimal(Decimal::parse(text).map_err(|_| unfit())?)
        }
        (Shown::Float, ValueRef::Real(x)) => Value::Float(rounded(x)),
        _ => return Err(unfit()),
    })
}
