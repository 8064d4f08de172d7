//! Canonical JSON of typed values.
//!
//! Both stores answer through these functions, so that their rows are equal to the byte: fields in the schema's order, no
//! white space, the shortest float that reads back the same, lower-case UUIDs, datetimes as `YYYY-MM-DDTHH:MM:SS.mmmZ`, with six
//! digits after the point where microseconds are kept.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::schema::{BytesForm, Type};
use super::{Decimal, Schema, Value};

/// The first instant that is written with four digits of a year after 0: `0001-01-01T00:00:00.000Z`.
pub const FIRST_INSTANT: i64 = -62_135_596_800_000;
/// The last instant that is written with four digits of a year: `9999-12-31T23:59:59.999Z`.
pub const LAST_INSTANT: i64 = 253_402_300_799_999;

const MS_PER_DAY: i64 = 86_400_000;
const US_PER_DAY: u64 = 86_400_000_000;

/// The members of an object in their order, as they stand there.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// The JSON of a document: a [`Value::Object`] of `schema`.
pub fn document(schema: &Schema, document: &Value<'_>) -> Bytes {
    let mut out = Vec::with_capacity(64 + schema.fields.len() * 24);
    match document {
        Value::Object(values) => write_object(&mut out, schema, values),
        other => write_scalar(&mut out, other),
    }
    out.into()
}

/// Appends an object: one value for each field of `schema`, in its order, and behind them what it has beside these.
pub fn write_object(out: &mut Vec<u8>, schema: &Schema, values: &[Value<'_>]) {
    out.push(b'{');
    for (index, (field, value)) in schema.fields.iter().zip(values).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(field.key());
        write_value(out, &field.kind, value);
    }
    for (index, (name, value)) in schema.extras(values).iter().enumerate() {
        if index > 0 || !schema.fields.is_empty() {
            out.push(b',');
        }
        write_str(out, name);
        out.push(b':');
        write_value(out, &Type::Any, value);
    }
    out.push(b'}');
}

/// Appends a value of type `kind`.
pub fn write_value(out: &mut Vec<u8>, kind: &Type, value: &Value<'_>) {
    match (value, kind) {
        (Value::Null, _) => out.extend_from_slice(b"null"),
        (_, Type::Optional(inner)) => write_value(out, inner, value),
        (Value::Object(values), Type::Model(schema)) => write_object(out, schema, values),
        (Value::Tagged(variant, values), Type::Tagged(tagged)) => match tagged.schema(*variant) {
            Some(schema) => write_object(out, schema, values),
            None => write_scalar(out, value),
        },
        (value, Type::Union(union)) => match union.of_value(value) {
            Some(kind) => write_value(out, kind, value),
            None => write_scalar(out, value),
        },
        (Value::List(items), Type::List { .. } | Type::Fixed(_) | Type::Any) => write_items(out, kind, items),
        (Value::Map(entries), Type::Map { value: kind, .. }) => write_entries(out, kind, entries),
        (Value::Map(entries), Type::Any) => write_entries(out, kind, entries),
        (Value::Int(x), Type::IntText(_)) => write_int_text(out, *x),
        (Value::Bytes(x), Type::Bytes { form, .. }) => write_bytes(out, x, *form),
        (value, _) => write_scalar(out, value),
    }
}

fn write_items(out: &mut Vec<u8>, kind: &Type, items: &[Value<'_>]) {
    out.push(b'[');
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, kind.item(index), value);
    }
    out.push(b']');
}

fn write_entries(out: &mut Vec<u8>, kind: &Type, entries: &[(Cow<'_, str>, Value<'_>)]) {
    out.push(b'{');
    for (index, (name, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_str(out, name);
        out.push(b':');
        write_value(out, kind, value);
    }
    out.push(b'}');
}

/// Appends a value that needs no schema to be written; a list or an object of unknown type is written as null.
pub fn write_scalar(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(x) => write_int(out, *x),
        Value::Float(x) => write_float(out, *x),
        Value::Str(x) => write_str(out, x),
        Value::Uuid(x) => write_uuid(out, x),
        Value::DateTime(x) => write_datetime(out, *x),
        Value::Micros(x) => write_micros(out, *x),
        Value::Duration(x) => write_duration(out, *x),
        Value::Decimal(x) => write_decimal(out, *x),
        Value::Bytes(x) => write_bytes(out, x, BytesForm::default()),
        Value::Null | Value::List(_) | Value::Object(_) | Value::Tagged(..) | Value::Map(_) => {
            out.extend_from_slice(b"null");
        }
    }
}

/// Appends an integer.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an integer in quotes.
pub fn write_int_text(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    write_int(out, value);
    out.push(b'"');
}

/// Appends a float; NaN and the infinities, which JSON does not have, as null.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a text in quotes.
pub fn write_str(out: &mut Vec<u8>, value: &str) {
    // Writing text to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a UUID in quotes, in its lower-case form with hyphens.
pub fn write_uuid(out: &mut Vec<u8>, value: &Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.push(b'"');
    out.extend_from_slice(value.hyphenated().encode_lower(&mut buffer).as_bytes());
    out.push(b'"');
}

/// Appends a time in quotes, given in milliseconds since 1970.
pub fn write_datetime(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(&datetime_text(value));
    out.push(b'"');
}

/// Appends the day of a time in quotes, given in milliseconds since 1970.
pub fn write_date(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(date_text(value).as_bytes());
    out.push(b'"');
}

/// Appends a time in quotes, given in microseconds since 1970.
pub fn write_micros(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(&micros_text(value));
    out.push(b'"');
}

/// Appends a span of time in quotes, given in microseconds: `"P1DT2H"`, as pydantic writes it.
pub fn write_duration(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(duration_text(value).as_bytes());
    out.push(b'"');
}

/// `P1DT2H` (ISO 8601); days are put together to years of 365 days.
pub fn duration_text(value: i64) -> String {
    let size = value.unsigned_abs();
    let (days, rest) = (size / US_PER_DAY, size % US_PER_DAY);
    // 64 bits hold fewer than 2^27 days.
    let part = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let (second, microsecond) = (part(rest / 1_000_000), part(rest % 1_000_000));
    speedate::Duration { positive: value >= 0, day: part(days), second, microsecond }.to_string()
}

/// Appends bytes in quotes.
pub fn write_bytes(out: &mut Vec<u8>, value: &[u8], form: BytesForm) {
    if form == BytesForm::Utf8 {
        return write_str(out, &String::from_utf8_lossy(value));
    }
    out.push(b'"');
    match form {
        BytesForm::Base64 => out.extend_from_slice(STANDARD.encode(value).as_bytes()),
        BytesForm::Hex => {
            for byte in value {
                // Writing to memory cannot fail.
                let _ = write!(out, "{byte:02x}");
            }
        }
        _ => out.extend_from_slice(URL_SAFE.encode(value).as_bytes()),
    }
    out.push(b'"');
}

/// Appends a decimal number in quotes: as a number, readers would make a float of it.
pub fn write_decimal(out: &mut Vec<u8>, value: Decimal) {
    // Writing to memory cannot fail.
    let _ = write!(out, "\"{value}\"");
}

/// `2024-05-01T12:00:00.000Z`. Times outside the years 1 to 9999 become the nearest one inside, so that the text always
/// has the same width and sorts as the time does.
pub fn datetime_text(value: i64) -> [u8; 24] {
    let value = value.clamp(FIRST_INSTANT, LAST_INSTANT);
    let (days, ms) = (value.div_euclid(MS_PER_DAY), value.rem_euclid(MS_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, width: usize, mut number: i64| {
        for digit in text[at..at + width].iter_mut().rev() {
            // Always one decimal digit.
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, ms / 3_600_000);
    put(14, 2, ms / 60_000 % 60);
    put(17, 2, ms / 1000 % 60);
    put(20, 3, ms % 1000);
    text
}

/// Whether a day begins in UTC, in milliseconds since 1970.
pub const fn is_midnight(value: i64) -> bool {
    value.rem_euclid(MS_PER_DAY) == 0
}

/// `2024-05-01`: the day of a time in UTC.
pub fn date_text(value: i64) -> String {
    String::from_utf8_lossy(&datetime_text(value)[..10]).into_owned()
}

/// `2024-05-01T12:00:00.000000Z`, as [`datetime_text`] writes its milliseconds.
pub fn micros_text(value: i64) -> [u8; 27] {
    let value = value.clamp(FIRST_INSTANT * 1000, LAST_INSTANT * 1000 + 999);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    text[..23].copy_from_slice(&datetime_text(value.div_euclid(1000))[..23]);
    let mut rest = value.rem_euclid(1000);
    for digit in text[23..26].iter_mut().rev() {
        // Always one decimal digit.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datetime(value: i64) -> String {
        String::from_utf8(datetime_text(value).to_vec()).unwrap()
    }

    #[test]
    fn datetimes_have_a_fixed_width() {
        assert_eq!(datetime(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(datetime(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(datetime(1_709_210_096_007), "2024-02-29T12:34:56.007Z");
        assert_eq!(datetime(FIRST_INSTANT), "0001-01-01T00:00:00.000Z");
        assert_eq!(datetime(LAST_INSTANT), "9999-12-31T23:59:59.999Z");
        assert_eq!(datetime(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_of_four_centuries_agrees_with_the_parser() {
        for day in -80_000..80_000 {
            let text = datetime(day * MS_PER_DAY + 1);
            let parsed = speedate::DateTime::parse_str_rfc3339(&text).unwrap();
            assert_eq!(parsed.timestamp(), day * 86_400, "{text}");
        }
    }

    #[test]
    fn scalars_are_canonical() {
        let text = |value: Value<'_>| {
            let mut out = Vec::new();
            write_scalar(&mut out, &value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(Value::Float(1.0)), "1.0");
        assert_eq!(text(Value::Float(0.1 + 0.2)), "0.30000000000000004");
        assert_eq!(text(Value::Float(f64::NAN)), "null");
        assert_eq!(text(Value::Duration(-90_061_000_001)), r#""-P1DT1H1M1.000001S""#);
        assert_eq!(text(Value::Duration(0)), r#""PT0S""#);
        assert_eq!(text(Value::Micros(-1)), r#""1969-12-31T23:59:59.999999Z""#);
        assert_eq!(text(Value::Micros(1_709_210_096_007_045)), r#""2024-02-29T12:34:56.007045Z""#);
        assert_eq!(text(Value::Micros(i64::MIN)), r#""0001-01-01T00:00:00.000000Z""#);
        assert_eq!(text(Value::Micros(i64::MAX)), r#""9999-12-31T23:59:59.999999Z""#);
        assert_eq!(text(Value::Decimal(Decimal::parse("1.50").unwrap())), r#""1.50""#);
        assert_eq!(text(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(text(Value::Str("a\"\\\n\u{1}é".into())), r#""a\"\\\n\u0001é""#);
        assert_eq!(text(Value::Uuid(Uuid::from_u128(10))), r#""00000000-0000-0000-0000-00000000000a""#);
    }
}
