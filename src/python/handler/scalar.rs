//! Path, query and header values: text to typed scalars, before Python is entered.

use std::borrow::Cow;

use serde::Deserialize;
use speedate::{Date, DateTime};
use uuid::Uuid;

use crate::service::{Limit, Location, Violation};

/// What a parameter is read as.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::python) enum Kind {
    Int,
    Float,
    Bool,
    Str,
    Uuid,
    DateTime,
    Date,
    Enum,
}

/// A checked value; Python objects are made of it on the thread that runs the handler.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::python) enum Scalar {
    /// The default, or an Enum's member: an object of the plan.
    Object(usize),
    Int(i64),
    /// More digits than 64 bits hold.
    BigInt(Box<str>),
    Float(f64),
    Bool(bool),
    Str(Box<str>),
    Uuid(Uuid),
    DateTime(DateTime),
    Date(Date),
    List(Vec<Scalar>),
}

/// The limits of a parameter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(in crate::python) struct Rule {
    ge: Option<f64>,
    gt: Option<f64>,
    le: Option<f64>,
    lt: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
}

/// The longest text that is read as a number; Python has a limit of its own (4300 digits) for the same reason.
const MAX_DIGITS: usize = 1000;

/// Python's calendar has no year 0.
const FIRST_YEAR: u16 = 1;

/// Reads `text`.
///
/// The spellings are those that pydantic takes in its lax mode, and the codes are pydantic's.
///
/// # Errors
/// What is wrong with it, at `at`.
pub(super) fn read(
    text: &str,
    kind: Kind,
    members: &[(String, usize)],
    rule: &Rule,
    at: impl FnOnce() -> Location,
) -> Result<Scalar, Violation> {
    let wrong = |code: &'static str, detail: Cow<'static, str>| (code, detail, None);
    let value = match kind {
        Kind::Str => Ok(Scalar::Str(text.into())),
        Kind::Int => int(text.trim()).ok_or_else(|| wrong("int_parsing", "must be a whole number".into())),
        Kind::Float => float(text.trim()).ok_or_else(|| wrong("float_parsing", "must be a finite number".into())),
        Kind::Bool => boolean(text.trim()).ok_or_else(|| wrong("bool_parsing", "must be true or false".into())),
        Kind::Uuid => {
            Uuid::parse_str(text.trim()).map(Scalar::Uuid).map_err(|_| wrong("uuid_parsing", "must be a UUID".into()))
        }
        Kind::DateTime => DateTime::parse_str_rfc3339(text.trim())
            .ok()
            .filter(|moment| moment.date.year >= FIRST_YEAR)
            .map(Scalar::DateTime)
            .ok_or_else(|| wrong("datetime_parsing", "must be a date and time as in RFC 3339".into())),
        Kind::Date => Date::parse_str_rfc3339(text.trim())
            .ok()
            .filter(|date| date.year >= FIRST_YEAR)
            .map(Scalar::Date)
            .ok_or_else(|| wrong("date_parsing", "must be a date as 2024-12-31".into())),
        Kind::Enum => {
            members.iter().find(|(member, _)| member == text).map(|(_, object)| Scalar::Object(*object)).ok_or_else(
                || {
                    let all: Vec<&str> = members.iter().map(|(member, _)| member.as_str()).collect();
                    wrong("enum", format!("must be one of {}", all.join(", ")).into())
                },
            )
        }
    };
    value.and_then(|value| rule.check(&value).map(|()| value)).map_err(|(code, detail, limit)| {
        let violation = Violation::new(at(), code, detail);
        match limit {
            Some(limit) => violation.limit(limit),
            None => violation,
        }
    })
}

fn int(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match text.parse::<i64>() {
        Ok(int) => Scalar::Int(int),
        Err(_) => Scalar::BigInt(text.into()),
    })
}

fn float(text: &str) -> Option<Scalar> {
    // `parse` also takes "inf" and "nan" in several spellings.
    let plain = text.len() <= MAX_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|float| plain && float.is_finite()).map(Scalar::Float)
}

fn boolean(text: &str) -> Option<Scalar> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "1", "yes", "on", "t", "y"]) {
        return Some(Scalar::Bool(true));
    }
    is(&["false", "0", "no", "off", "f", "n"]).then_some(Scalar::Bool(false))
}

type Broken = (&'static str, Cow<'static, str>, Option<Limit>);

impl Rule {
    fn check(&self, value: &Scalar) -> Result<(), Broken> {
        match value {
            #[allow(clippy::cast_precision_loss, reason = "limits are compared as floats, as they were given")]
            Scalar::Int(int) => self.check_number(*int as f64),
            Scalar::BigInt(digits) => self.check_number(digits.parse().unwrap_or(f64::INFINITY)),
            Scalar::Float(float) => self.check_number(*float),
            Scalar::Str(text) => self.check_length(text),
            _ => Ok(()),
        }
    }

    fn check_number(&self, number: f64) -> Result<(), Broken> {
        let rules = [
            (self.ge, "greater_than_equal", ">=", (|n, l| n >= l) as fn(f64, f64) -> bool),
            (self.gt, "greater_than", ">", |n, l| n > l),
            (self.le, "less_than_equal", "<=", |n, l| n <= l),
            (self.lt, "less_than", "<", |n, l| n < l),
        ];
        for (limit, code, sign, holds) in rules {
            if let Some(limit) = limit
                && !holds(number, limit)
            {
                #[allow(clippy::cast_possible_truncation, reason = "only when it is a whole number that fits")]
                let shown = if limit.fract() == 0.0 && limit.abs() < 1e15 {
                    Limit::Int(limit as i64)
                } else {
                    Limit::Float(limit)
                };
                return Err((code, format!("must be {sign} {limit}").into(), Some(shown)));
            }
        }
        Ok(())
    }

    fn check_length(&self, text: &str) -> Result<(), Broken> {
        if self.min_length.is_none() && self.max_length.is_none() {
            return Ok(());
        }
        let length = text.chars().count();
        let shown = |limit: usize| Some(Limit::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
        match (self.min_length, self.max_length) {
            (Some(min), _) if length < min => {
                Err(("string_too_short", format!("must have at least {min} characters").into(), shown(min)))
            }
            (_, Some(max)) if length > max => {
                Err(("string_too_long", format!("must have at most {max} characters").into(), shown(max)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, kind: Kind) -> Result<Scalar, String> {
        read(text, kind, &[("red".into(), 3)], &Rule::default(), || Location::Parameter("q".into()))
            .map_err(|violation| violation.code.into_owned())
    }

    #[test]
    fn spellings_are_pydantics() {
        assert_eq!(get("-12", Kind::Int), Ok(Scalar::Int(-12)));
        assert_eq!(get("+12", Kind::Int), Ok(Scalar::Int(12)));
        assert_eq!(get("9223372036854775808", Kind::Int), Ok(Scalar::BigInt("9223372036854775808".into())));
        for bad in ["", "1.5", "0x10", "1_000", "--1", "٣"] {
            assert_eq!(get(bad, Kind::Int), Err("int_parsing".into()), "{bad}");
        }
        assert_eq!(get(&"9".repeat(1001), Kind::Int), Err("int_parsing".into()));
        assert_eq!(get("1e3", Kind::Float), Ok(Scalar::Float(1000.0)));
        for bad in ["nan", "inf", "-Infinity", "1e999", "", "."] {
            assert_eq!(get(bad, Kind::Float), Err("float_parsing".into()), "{bad}");
        }
        assert_eq!(get("YES", Kind::Bool), Ok(Scalar::Bool(true)));
        assert_eq!(get("off", Kind::Bool), Ok(Scalar::Bool(false)));
        assert_eq!(get("2", Kind::Bool), Err("bool_parsing".into()));
        assert_eq!(get("red", Kind::Enum), Ok(Scalar::Object(3)));
        assert_eq!(get("Red", Kind::Enum), Err("enum".into()));
        assert!(get("2024-02-29T10:00:00+02:00", Kind::DateTime).is_ok());
        assert_eq!(get("2023-02-29T10:00:00Z", Kind::DateTime), Err("datetime_parsing".into()));
        assert!(get("0001-01-01", Kind::Date).is_ok());
        assert_eq!(get("0000-01-01", Kind::Date), Err("date_parsing".into()));
        assert_eq!(get("0000-01-01T00:00:00Z", Kind::DateTime), Err("datetime_parsing".into()));
        assert!(get("12345678-1234-5678-1234-567812345678", Kind::Uuid).is_ok());
        assert_eq!(get("x", Kind::Uuid), Err("uuid_parsing".into()));
    }

    #[test]
    fn limits_are_named() {
        let rule = Rule { ge: Some(1.0), lt: Some(10.0), ..Rule::default() };
        let at = || Location::Path("n".into());
        assert!(read("1", Kind::Int, &[], &rule, at).is_ok());
        let error = read("0", Kind::Int, &[], &rule, at).unwrap_err();
        assert_eq!((&*error.code, error.limit), ("greater_than_equal", Some(Limit::Int(1))));
        assert_eq!(read("10", Kind::Float, &[], &rule, at).unwrap_err().code, "less_than");
        assert_eq!(read("99999999999999999999", Kind::Int, &[], &rule, at).unwrap_err().code, "less_than");
        let rule = Rule { max_length: Some(2), ..Rule::default() };
        assert!(read("üü", Kind::Str, &[], &rule, at).is_ok());
        assert_eq!(read("abc", Kind::Str, &[], &rule, at).unwrap_err().code, "string_too_long");
    }
}
