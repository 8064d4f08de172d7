//! Values of the path, the query, headers and cookies: text to typed scalars, before Python is entered.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use speedate::{Date, DateTime, Duration, Time};
use uuid::Uuid;

use super::rule::{Broken, Rule};
use crate::python::form::Upload;
use crate::service::{Location, Violation};

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
    Time,
    TimeDelta,
    Decimal,
    Ipv4,
    Ipv6,
    Enum,
    Literal,
    /// The content of a file of a form.
    Bytes,
    /// A file of a form.
    Upload,
}

/// What several values are put into.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::python) enum Collection {
    List,
    Set,
    FrozenSet,
    Tuple,
}

/// A checked value; Python objects are made of it on the thread that runs the handler.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::python) enum Scalar {
    /// The default, or a member of an Enum or a Literal: an object of the plan.
    Object(usize),
    /// What a function among the objects of the plan makes.
    Made(usize),
    /// Nothing, of which a model is not told.
    Absent,
    Int(i64),
    /// More digits than 64 bits hold.
    BigInt(Box<str>),
    Float(f64),
    Bool(bool),
    Str(Box<str>),
    Uuid(Uuid),
    DateTime(DateTime),
    Date(Date),
    Time(Time),
    Delta(Duration),
    Decimal(Box<str>),
    Ip(IpAddr),
    Bytes(Bytes),
    Upload(Arc<Upload>),
    Many(Collection, Vec<Scalar>),
}

/// The longest text that is read as a number; Python has a limit of its own (4300 digits) for the same reason.
const MAX_DIGITS: usize = 1000;

/// Python's `timedelta` has no more days.
const MAX_DAYS: u32 = 999_999_999;

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
        Kind::Time => Time::parse_str(text.trim())
            .ok()
            .map(Scalar::Time)
            .ok_or_else(|| wrong("time_parsing", "must be a time as 12:30:00".into())),
        Kind::TimeDelta => Duration::parse_str(text.trim())
            .ok()
            .filter(|delta| delta.day < MAX_DAYS)
            .map(Scalar::Delta)
            .ok_or_else(|| wrong("time_delta_parsing", "must be a duration as PT1H30M or 01:30:00".into())),
        Kind::Decimal => {
            decimal(text.trim()).ok_or_else(|| wrong("decimal_parsing", "must be a decimal number".into()))
        }
        Kind::Ipv4 => (text.trim().parse::<Ipv4Addr>())
            .map(|ip| Scalar::Ip(ip.into()))
            .map_err(|_| wrong("ip_v4_address", "must be an IPv4 address".into())),
        Kind::Ipv6 => (text.trim().parse::<Ipv6Addr>())
            .map(|ip| Scalar::Ip(ip.into()))
            .map_err(|_| wrong("ip_v6_address", "must be an IPv6 address".into())),
        Kind::Bytes => Ok(Scalar::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
        Kind::Upload => Err(wrong("upload_type", "must be sent as a file, with a file name".into())),
        Kind::Enum | Kind::Literal => {
            members.iter().find(|(member, _)| member == text).map(|(_, object)| Scalar::Object(*object)).ok_or_else(
                || {
                    let all: Vec<&str> = members.iter().map(|(member, _)| member.as_str()).collect();
                    let code = if kind == Kind::Enum { "enum" } else { "literal_error" };
                    wrong(code, format!("must be one of {}", all.join(", ")).into())
                },
            )
        }
    };
    value.and_then(|value| rule.check(&value).map(|()| value)).map_err(|broken| violation(broken, at()))
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

/// The greatest power of ten of a decimal: one that is beyond it costs more than it is worth.
const MAX_EXPONENT: i64 = 1000;

/// Digits with a point and an exponent, of which the number is made in Python, so that none is lost.
fn decimal(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().ok()?),
        None => (unsigned, 0_i64),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_one = !(whole.is_empty() && rest.is_empty()) && are_digits(whole) && are_digits(rest);
    (is_one && text.len() <= MAX_DIGITS && exponent.abs() <= MAX_EXPONENT).then(|| Scalar::Decimal(text.into()))
}

/// Whether a content type, which may have parameters, is one, as `image/png`, or of a kind, as `image/*`.
pub(super) fn is_media_type(given: &str, taken: &str) -> bool {
    let given = given.split(';').next().unwrap_or_default().trim();
    match taken.strip_suffix('*') {
        Some("*/") => true,
        Some(start) => given.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start)),
        None => given.eq_ignore_ascii_case(taken),
    }
}

/// What breaks a rule, at a place.
pub(super) fn violation((code, detail, limit): Broken, at: Location) -> Violation {
    let violation = Violation::new(at, code, detail);
    match limit {
        Some(limit) => violation.limit(limit),
        None => violation,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Written;
    use super::*;
    use crate::service::Limit;

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
    fn more_kinds_are_read() {
        assert!(get("12:30:00.5", Kind::Time).is_ok());
        assert_eq!(get("25:00", Kind::Time), Err("time_parsing".into()));
        assert!(get("P1DT2H", Kind::TimeDelta).is_ok());
        assert_eq!(get("soon", Kind::TimeDelta), Err("time_delta_parsing".into()));
        for good in ["1", "-1.50", "+.5", "5.", "1e-7"] {
            assert_eq!(get(good, Kind::Decimal), Ok(Scalar::Decimal(good.into())), "{good}");
        }
        for bad in ["", ".", "nan", "1_0", "1e99999", "--1", "1e", "٣"] {
            assert_eq!(get(bad, Kind::Decimal), Err("decimal_parsing".into()), "{bad}");
        }
        assert!(get("10.0.0.1", Kind::Ipv4).is_ok());
        assert_eq!(get("10.0.0.256", Kind::Ipv4), Err("ip_v4_address".into()));
        assert!(get("::1", Kind::Ipv6).is_ok());
        assert_eq!(get("10.0.0.1", Kind::Ipv6), Err("ip_v6_address".into()));
        assert_eq!(get("green", Kind::Literal), Err("literal_error".into()));
    }

    #[test]
    fn limits_are_named() {
        let rule = |json: &str| serde_json::from_str::<Written>(json).unwrap().compile().unwrap();
        let at = || Location::Path("n".into());
        let bounds = rule(r#"{"ge": 1.0, "lt": 10.0}"#);
        assert!(read("1", Kind::Int, &[], &bounds, at).is_ok());
        let error = read("0", Kind::Int, &[], &bounds, at).unwrap_err();
        assert_eq!((&*error.code, error.limit), ("greater_than_equal", Some(Limit::Int(1))));
        assert_eq!(read("10", Kind::Float, &[], &bounds, at).unwrap_err().code, "less_than");
        assert_eq!(read("99999999999999999999", Kind::Int, &[], &bounds, at).unwrap_err().code, "less_than");
        let length = rule(r#"{"max_length": 2}"#);
        assert!(read("üü", Kind::Str, &[], &length, at).is_ok());
        assert_eq!(read("abc", Kind::Str, &[], &length, at).unwrap_err().code, "string_too_long");
    }
}
