//! What pydantic takes in its lax mode for JSON beyond what it takes in its strict one: `"5"` for an int, `1` for a bool, seconds
//! for a datetime.
//!
//! It is asked for what has been refused, so reading strictly costs what it did.

use std::borrow::Cow;

use speedate::{DateTimeConfig, IntFloat, TimeConfig, TimestampUnit};

use super::check::{self, CUT, Fault};
use super::{ChoiceSort, Naive, Type};
use crate::crud::{Decimal, Value};

/// A value that was refused as it stands.
pub(super) enum Found<'t> {
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits.
    Long,
    /// A number with a fraction or an exponent, or an integer that is longer still.
    Float(f64),
    Text(&'t str),
}

/// Reads a value of `kind` from what was refused with `fault`.
pub(super) fn read<'a>(kind: &Type, found: Found<'_>, fault: Fault) -> Result<Value<'a>, Fault> {
    match kind {
        Type::Bool => bool(&found, fault).map(Value::Bool),
        Type::Int(bounds) | Type::IntText(bounds) => match found {
            Found::Bool(value) => Ok(i64::from(value)),
            Found::Float(value) if value.fract() != 0.0 => {
                Err(Fault::new("int_from_float", "must be a whole number, without a fraction"))
            }
            Found::Float(value) => whole(value).ok_or(fault),
            Found::Text(text) => int(text),
            Found::Int(_) | Found::Long => Err(fault),
        }
        .and_then(|value| check::int(value, bounds))
        .map(Value::Int),
        Type::Float(bounds) => match found {
            Found::Bool(value) => Ok(f64::from(value)),
            Found::Text(text) => float(text),
            _ => Err(fault),
        }
        .and_then(|value| check::float(value, bounds))
        .map(Value::Float),
        Type::DateTime(naive) | Type::Micros(naive) => datetime(&found, *naive, fault).map(|time| kind.instant(time)),
        Type::Date(bounds) | Type::Midnight(bounds) => date(&found, fault).and_then(|day| {
            let kept = check::moment(day.to_string().into(), bounds)?;
            check::day(day).map(|_| kept)
        }),
        Type::Time(_) => Err(time(&found, fault)),
        Type::Duration(bounds) => duration(&found, fault).and_then(|value| check::span(value, bounds)),
        Type::OneOf { values, sort } => choice(&found, values, *sort).ok_or(fault),
        _ => Err(fault),
    }
}

/// A whole number of 64 bits.
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0).then_some(value as i64)
}

fn bool(found: &Found<'_>, fault: Fault) -> Result<bool, Fault> {
    const TRUE: [&str; 6] = ["1", "t", "y", "on", "yes", "true"];
    const FALSE: [&str; 6] = ["0", "f", "n", "no", "off", "false"];
    let number = match found {
        Found::Text(text) => {
            let is = |word: &&str| text.eq_ignore_ascii_case(word);
            return match (TRUE.iter().any(is), FALSE.iter().any(is)) {
                (true, _) => Ok(true),
                (_, true) => Ok(false),
                _ => Err(unclear()),
            };
        }
        Found::Int(value) => Some(*value),
        Found::Float(value) => whole(*value),
        _ => None,
    };
    match number {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(unclear()),
        None => Err(fault),
    }
}

fn unclear() -> Fault {
    Fault::new("bool_parsing", "must be true or false, 1 or 0, on or off, yes or no")
}

/// The integer that a text stands for: ` +5 `, `005`, `5.00` and `1_000` do.
fn int(text: &str) -> Result<i64, Fault> {
    let unreadable = || Fault::new("int_parsing", "must be a whole number");
    let digits = digits(text).ok_or_else(unreadable)?;
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(unreadable());
    }
    digits.parse().map_err(|_| check::out_of_range())
}

/// A text without what may surround the digits of an integer, or none where a sign or a zero is out of place.
fn digits(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (negative, text) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => (false, text),
    };
    if text.starts_with(['-', '+']) {
        return None;
    }
    let text = without_zeros(text)?;
    let text = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    let text = without_underscores(text).unwrap_or(Cow::Borrowed(text));
    Some(if negative { Cow::Owned(format!("-{text}")) } else { text })
}

/// A number without zeros in front, between which underscores may stand; as pydantic, a minus, too, is taken for the end of them.
fn without_zeros(text: &str) -> Option<&str> {
    if text.starts_with(|first: char| matches!(first, '1'..='9')) {
        return Some(text);
    }
    if !text.starts_with('0') {
        return None;
    }
    match text.find(|next| !matches!(next, '0' | '_')) {
        // The last of them, which is an underscore where it must not.
        None => text.get(text.len() - 1..),
        Some(end) => match text.as_bytes()[end] {
            b'1'..=b'9' | b'-' => text.get(end..),
            b'.' => text.get(end - 1..),
            _ => None,
        },
    }
}

/// A number without the underscores between its digits; none where there are none, or such as Python would refuse.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    let is_refused = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (text.contains('_') && !is_refused).then(|| Cow::Owned(text.replace('_', "")))
}

fn float(text: &str) -> Result<f64, Fault> {
    let read = text.trim().parse().ok();
    // As pydantic, with white space or with underscores.
    let read = read.or_else(|| without_underscores(text)?.parse().ok());
    read.ok_or_else(|| Fault::new("float_parsing", "must be a number"))
}

/// The decimal number of a text, given as JSON: white space and underscores do not count.
#[cold]
#[inline(never)]
pub(super) fn decimal(json: &str) -> Option<Decimal> {
    let text: String = json.starts_with('"').then(|| serde_json::from_str(json).ok())??;
    check::decimal(&text.trim().replace('_', "")).ok()
}

/// Numbers are since 1970, in UTC.
const fn numbers_of(unit: TimestampUnit) -> DateTimeConfig {
    let time_config = TimeConfig {
        microseconds_precision_overflow_behavior: CUT.microseconds_precision_overflow_behavior,
        unix_timestamp_offset: Some(0),
    };
    DateTimeConfig { timestamp_unit: unit, time_config }
}

/// Great numbers are milliseconds.
const TIMES: DateTimeConfig = numbers_of(TimestampUnit::Infer);
const SECONDS: DateTimeConfig = numbers_of(TimestampUnit::Second);

/// The time that a number stands for which may have a fraction.
fn moment_of(number: f64) -> Result<speedate::DateTime, speedate::ParseError> {
    // Up to here numbers are seconds, beyond milliseconds.
    let in_a_second = if number.abs() <= 2e10 { 1.0 } else { 1e3 };
    let seconds = (number / in_a_second).floor();
    let microseconds = ((number - seconds * in_a_second) * (1e6 / in_a_second)).round() as u32;
    speedate::DateTime::from_timestamp_with_config(seconds as i64, microseconds, &SECONDS)
}

/// What stands for a date and a time; none for what is neither a text nor a number.
fn moment(found: &Found<'_>) -> Option<Result<speedate::DateTime, speedate::ParseError>> {
    match found {
        Found::Text(text) => {
            Some(speedate::DateTime::parse_bytes_rfc3339_with_config(text.as_bytes(), &TIMES.time_config).or_else(
                |error| match speedate::float_parse_str(text) {
                    IntFloat::Int(number) => speedate::DateTime::from_timestamp_with_config(number, 0, &TIMES),
                    IntFloat::Float(number) => moment_of(number),
                    IntFloat::Err => Err(error),
                },
            ))
        }
        Found::Int(number) => Some(speedate::DateTime::from_timestamp_with_config(*number, 0, &TIMES)),
        Found::Float(number) => Some(moment_of(*number)),
        Found::Bool(_) | Found::Long => None,
    }
}

fn datetime(found: &Found<'_>, naive: Naive, fault: Fault) -> Result<i64, Fault> {
    let year_0 = || Fault::new("datetime_parsing", "must be in the years 1 to 9999");
    match (moment(found), found) {
        (Some(Ok(parsed)), _) if parsed.date.year == 0 => Err(year_0()),
        (Some(Ok(parsed)), _) => check::instant(&parsed, naive),
        // A day is its midnight, of which it is not known where that is.
        (Some(Err(_)), Found::Text(text)) => match speedate::Date::parse_str(text) {
            Ok(day) if day.year == 0 => Err(year_0()),
            Ok(date) => {
                let time = speedate::Time { hour: 0, minute: 0, second: 0, microsecond: 0, tz_offset: None };
                check::instant(&speedate::DateTime { date, time }, naive)
            }
            Err(_) => Err(Fault::new("datetime_from_date_parsing", "must be a date and time, as 2024-05-01T12:00:00Z")),
        },
        (Some(Err(_)), _) => {
            Err(Fault::new("datetime_parsing", "must be a number of seconds that is in the years 1 to 9999"))
        }
        (None, _) => Err(fault),
    }
}

fn date(found: &Found<'_>, fault: Fault) -> Result<speedate::Date, Fault> {
    if let Found::Text(text) = found
        && let Ok(day) = speedate::Date::parse_str(text)
    {
        return Ok(day);
    }
    match moment(found) {
        Some(Ok(speedate::DateTime { date, time })) => {
            if (time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0) {
                Ok(date)
            } else {
                Err(Fault::new("date_from_datetime_inexact", "must be a date, or a time that is its midnight"))
            }
        }
        Some(Err(_)) => Err(Fault::new("date_from_datetime_parsing", "must be a date, as 2024-05-01")),
        None => Err(fault),
    }
}

/// Seconds since midnight are a time in UTC to pydantic, and times are kept without an offset.
fn time(found: &Found<'_>, fault: Fault) -> Fault {
    let is_time = match found {
        Found::Int(seconds) => (0..86_400).contains(seconds),
        Found::Float(seconds) => *seconds >= 0.0 && seconds.floor() + (seconds.fract() * 1e6).round() / 1e6 < 86_400.0,
        Found::Long => false,
        Found::Bool(_) | Found::Text(_) => return fault,
    };
    if is_time {
        Fault::new("timezone_naive", "must be a time without an offset, as 12:00:00; a number is one in UTC")
    } else {
        Fault::new("time_parsing", "must be a time, as 12:00:00")
    }
}

/// Numbers are seconds.
fn duration(found: &Found<'_>, fault: Fault) -> Result<i64, Fault> {
    let too_long = || Fault::new("time_delta_parsing", "must be shorter than 290 thousand years");
    let parsed = match found {
        Found::Int(seconds) => {
            let day = u32::try_from(seconds.unsigned_abs() / 86_400).map_err(|_| too_long())?;
            speedate::Duration::new(*seconds >= 0, day, (seconds.unsigned_abs() % 86_400) as u32, 0)
        }
        Found::Float(seconds) => {
            let size = seconds.abs();
            let microsecond = (size.fract() * 1e6).round() as u32;
            speedate::Duration::new(
                *seconds >= 0.0,
                (size / 86_400.0) as u32,
                (size as u64 % 86_400) as u32,
                microsecond,
            )
        }
        Found::Bool(_) | Found::Long | Found::Text(_) => return Err(fault),
    };
    check::microseconds(&parsed.map_err(|_| too_long())?)
}

/// The value that is the same to Python: 1, 1.0 and true are.
fn choice<'a>(found: &Found<'_>, values: &[Value<'static>], sort: ChoiceSort) -> Option<Value<'a>> {
    let number = match found {
        Found::Bool(value) => i64::from(*value),
        Found::Int(value) => *value,
        Found::Float(value) => whole(*value)?,
        Found::Text(text) if sort == ChoiceSort::IntEnum => int(text).ok()?,
        Found::Long | Found::Text(_) => return None,
    };
    let of = |wanted: fn(&Value<'static>) -> bool| values.iter().find(|own| wanted(own) && is(own, number)).cloned();
    // As pydantic, which has a place of its own for integers.
    of(|own| matches!(own, Value::Bool(_))).or_else(|| of(|own| matches!(own, Value::Int(_))))
}

/// Whether a value is this number to Python.
pub(super) fn is(value: &Value<'static>, number: i64) -> bool {
    match value {
        Value::Bool(value) => i64::from(*value) == number,
        Value::Int(value) => *value == number,
        _ => false,
    }
}

/// The integer that JSON is to Python.
#[cold]
#[inline(never)]
pub(super) fn integer(json: &str) -> Option<i64> {
    match json {
        "true" => Some(1),
        "false" => Some(0),
        _ => json.parse().ok().or_else(|| whole(json.parse().ok()?)),
    }
}

/// Whether a text is a date without being a time.
pub(super) fn is_date(text: &str) -> bool {
    speedate::Date::parse_str(text).is_ok()
}
