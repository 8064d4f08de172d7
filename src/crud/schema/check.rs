//! The rules of single values, with pydantic's error types as codes.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use speedate::{MicrosecondsPrecisionOverflowBehavior, TimeConfig};
use uuid::Uuid;

use super::{Bounds, BytesForm, ChoiceSort, ListSort, Naive, Number, Tagged, Text, Type};
use crate::crud::json::{FIRST_INSTANT, LAST_INSTANT, duration_text};
use crate::crud::{Decimal, NotDecimal, Value};
use crate::service::{Limit, Location, Violation};

/// Why a value is refused; where it stood is known to the caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) limit: Option<Limit>,
}

impl Fault {
    pub(crate) fn new(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), limit: None }
    }

    pub(crate) fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn at(self, at: Location) -> Violation {
        Violation { at, code: self.code.into(), detail: self.detail, limit: self.limit }
    }
}

/// The fault of a value of the wrong JSON kind.
pub(crate) fn wrong_kind(kind: &Type) -> Fault {
    match kind {
        Type::Bool => Fault::new("bool_type", "must be true or false"),
        Type::Int(_) => Fault::new("int_type", "must be a whole number"),
        Type::IntText(_) => Fault::new("int_type", "must be a whole number, or one in a string"),
        Type::Float(_) => Fault::new("float_type", "must be a number"),
        Type::Str(_) | Type::ObjectId => Fault::new("string_type", "must be a string"),
        Type::Uuid | Type::LegacyUuid(_) => Fault::new("uuid_type", "must be a UUID in a string"),
        Type::DateTime(_) | Type::Micros(_) => Fault::new("datetime_type", "must be a date and time in a string"),
        Type::Date(_) | Type::Midnight(_) => Fault::new("date_type", "must be a date in a string"),
        Type::Time(_) => Fault::new("time_type", "must be a time in a string"),
        Type::Duration(_) => Fault::new("time_delta_type", "must be a duration in a string"),
        Type::Decimal(_) => Fault::new("decimal_type", "must be a number, or one in a string"),
        Type::OneOf { values, sort } => not_a_choice(values, *sort),
        Type::Optional(inner) => wrong_kind(inner),
        Type::List { sort, .. } => {
            let code = match sort {
                ListSort::List => "list_type",
                ListSort::Set => "set_type",
                ListSort::FrozenSet => "frozen_set_type",
                ListSort::Tuple => "tuple_type",
            };
            Fault::new(code, "must be an array")
        }
        Type::Fixed(_) => Fault::new("tuple_type", "must be an array"),
        Type::Model(_) => Fault::new("model_type", "must be an object"),
        Type::Map { .. } | Type::Tagged(_) => Fault::new("dict_type", "must be an object"),
        Type::Bytes { form, .. } => Fault::new("bytes_type", format!("must be {} in a string", name_of(*form))),
        // What it might be instead is told one by one.
        Type::Union(union) => union.alternatives().first().map_or_else(|| wrong_kind(&Type::Any), wrong_kind),
        // Nothing is of the wrong kind.
        Type::Any => Fault::new("json_type", "must be JSON"),
    }
}

pub(crate) fn int(value: i64, bounds: &Bounds<i64>) -> Result<i64, Fault> {
    if let Some(limit) = bounds.multiple_of
        && value.checked_rem(limit).unwrap_or(0) != 0
    {
        return Err(Fault::new("multiple_of", format!("must be a multiple of {limit}")).limit(Limit::Int(limit)));
    }
    within(value, bounds, Limit::Int)
}

pub(crate) fn float(value: f64, bounds: &Bounds<f64>) -> Result<f64, Fault> {
    if !value.is_finite() {
        return Err(Fault::new("finite_number", "must be a finite number"));
    }
    if let Some(limit) = bounds.multiple_of
        && !is_multiple(value, limit)
    {
        return Err(Fault::new("multiple_of", format!("must be a multiple of {limit}")).limit(Limit::Float(limit)));
    }
    within(value, bounds, Limit::Float)
}

/// With the tolerance of pydantic: 0.3 is a multiple of 0.1.
#[inline(never)]
fn is_multiple(value: f64, limit: f64) -> bool {
    (value - (value / limit).round() * limit).abs() <= 1e-9
}

fn within<T: PartialOrd + Clone + std::fmt::Display>(
    value: T,
    bounds: &Bounds<T>,
    limit: fn(T) -> Limit,
) -> Result<T, Fault> {
    let fault =
        |code, sign, bound: &T| Err(Fault::new(code, format!("must be {sign} {bound}")).limit(limit(bound.clone())));
    match bounds {
        Bounds { le: Some(bound), .. } if value > *bound => fault("less_than_equal", "<=", bound),
        Bounds { lt: Some(bound), .. } if value >= *bound => fault("less_than", "<", bound),
        Bounds { ge: Some(bound), .. } if value < *bound => fault("greater_than_equal", ">=", bound),
        Bounds { gt: Some(bound), .. } if value <= *bound => fault("greater_than", ">", bound),
        _ => Ok(value),
    }
}

/// An integer from its digits.
pub(crate) fn int_text(text: &str) -> Result<i64, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new("int_parsing", "must be a whole number"));
    }
    text.parse().map_err(|_| out_of_range())
}

pub(crate) fn out_of_range() -> Fault {
    Fault::new("int_out_of_range", "must fit into 64 bits")
}

pub(crate) fn text<'a>(value: Cow<'a, str>, rules: &Text) -> Result<Cow<'a, str>, Fault> {
    let value = strip(value, rules);
    if rules.min.is_some() || rules.max.is_some() {
        let length = value.chars().count();
        if let Some(min) = rules.min
            && length < min
        {
            return Err(Fault::new("string_too_short", format!("must have at least {}", characters(min)))
                .limit(Limit::Int(min as i64)));
        }
        if let Some(max) = rules.max
            && length > max
        {
            return Err(Fault::new("string_too_long", format!("must have at most {}", characters(max)))
                .limit(Limit::Int(max as i64)));
        }
    }
    if let Some(pattern) = &rules.pattern
        && !pattern.is_match(&value)
    {
        return Err(Fault::new("string_pattern_mismatch", format!("must match {}", pattern.as_str()))
            .limit(Limit::Text(pattern.as_str().to_owned())));
    }
    Ok(letters(value, rules))
}

/// The changes that `rules` make to a text, without its checks: what a filter compares with.
pub(crate) fn normalise<'a>(value: Cow<'a, str>, rules: &Text) -> Cow<'a, str> {
    letters(strip(value, rules), rules)
}

fn strip<'a>(value: Cow<'a, str>, rules: &Text) -> Cow<'a, str> {
    if !rules.strip {
        return value;
    }
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// The change of letters alone.
pub(crate) fn letters<'a>(value: Cow<'a, str>, rules: &Text) -> Cow<'a, str> {
    if rules.lower {
        Cow::Owned(value.to_lowercase())
    } else if rules.upper {
        Cow::Owned(value.to_uppercase())
    } else {
        value
    }
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

pub(crate) fn uuid(text: &str) -> Result<Uuid, Fault> {
    Uuid::parse_str(text).map_err(|_| Fault::new("uuid_parsing", "must be a UUID"))
}

/// An ObjectId as it is kept: 24 hexadecimal digits, small letters among them.
pub(crate) fn object_id(text: &str) -> Result<(), Fault> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 24 && text.bytes().all(is_digit) {
        return Ok(());
    }
    Err(Fault::new("string_pattern_mismatch", "must be 24 hexadecimal digits, with small letters"))
}

/// A new ObjectId: the seconds since 1970, and eight bytes that nobody else has (BSON specification, ObjectId).
pub(crate) fn new_object_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let random = Uuid::new_v4().as_u128() as u64;
    // 32 bits of seconds last until 2106, and then begin anew, as in every driver.
    format!("{:08x}{random:016x}", now.as_secs() as u32)
}

/// A text that nobody guesses, made of so many random bytes.
pub(crate) fn new_token(bytes: usize) -> String {
    // All of a UUIDv4 is random but six bits of two of its bytes, which are left out.
    let random = std::iter::repeat_with(|| {
        let random = Uuid::new_v4().into_bytes();
        random.into_iter().enumerate().filter(|(index, _)| !matches!(index, 6 | 8)).map(|(_, byte)| byte)
    });
    let random: Vec<u8> = random.flatten().take(bytes).collect();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random)
}

/// A day as it is kept: `2024-05-01`.
pub(crate) fn date(text: &str) -> Result<Box<str>, Fault> {
    let parsed = speedate::Date::parse_str_rfc3339(text)
        .map_err(|_| Fault::new("date_parsing", "must be a date, as 2024-05-01"))?;
    day(parsed)
}

/// A day as it is kept, if Python has it.
pub(super) fn day(parsed: speedate::Date) -> Result<Box<str>, Fault> {
    if parsed.year == 0 {
        return Err(Fault::new("date_parsing", "must be in the years 1 to 9999"));
    }
    Ok(parsed.to_string().into())
}

/// A time of day as it is kept: `12:00:00`, or with six digits after the point; finer ones are cut off.
pub(crate) fn time(text: &str) -> Result<Box<str>, Fault> {
    let unreadable = || Fault::new("time_parsing", "must be a time, as 12:00:00");
    // A bare number would be taken for seconds since midnight.
    if !text.contains(':') {
        return Err(unreadable());
    }
    let parsed = speedate::Time::parse_bytes_with_config(text.as_bytes(), &CUT).map_err(|_| unreadable())?;
    if parsed.tz_offset.is_some() {
        return Err(Fault::new("timezone_naive", "must not say an offset from UTC; with one it needs a date, too"));
    }
    let speedate::Time { hour, minute, second, microsecond, .. } = parsed;
    Ok(match microsecond {
        0 => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}.{microsecond:06}"),
    }
    .into())
}

/// A date or a time within its bounds; the texts sort as what they stand for.
pub(crate) fn moment(text: Box<str>, bounds: &Bounds<Box<str>>) -> Result<Value<'static>, Fault> {
    within(text, bounds, |bound| Limit::Text(bound.into())).map(|text| Value::Str(String::from(text).into()))
}

/// Microseconds of an ISO 8601 duration, `P1DT2H`, or of `1 day, 02:00:00`; finer digits are cut off.
pub(crate) fn duration(text: &str) -> Result<i64, Fault> {
    let parsed = speedate::Duration::parse_bytes_with_config(text.as_bytes(), &CUT)
        .map_err(|_| Fault::new("time_delta_parsing", "must be a duration, as P1DT2H30M"))?;
    microseconds(&parsed)
}

/// A duration as it is kept.
pub(super) fn microseconds(parsed: &speedate::Duration) -> Result<i64, Fault> {
    let &speedate::Duration { positive, day, second, microsecond } = parsed;
    let size = (i64::from(day) * 86_400 + i64::from(second)).checked_mul(1_000_000);
    let size = size.and_then(|size| size.checked_add(i64::from(microsecond)));
    let size = size.ok_or_else(|| Fault::new("time_delta_parsing", "must be shorter than 290 thousand years"))?;
    Ok(if positive { size } else { -size })
}

/// A duration within its bounds, both in microseconds.
pub(crate) fn span(value: i64, bounds: &Bounds<i64>) -> Result<Value<'static>, Fault> {
    within(Span(value), &bounds.map(Span), |bound| Limit::Text(bound.to_string())).map(|_| Value::Duration(value))
}

/// Microseconds that are written as a duration.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Span(i64);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&duration_text(self.0))
    }
}

/// What a form of bytes is called.
const fn name_of(form: BytesForm) -> &'static str {
    match form {
        BytesForm::UrlSafe | BytesForm::Base64 => "base64",
        BytesForm::Utf8 => "bytes",
        BytesForm::Hex => "an even number of hexadecimal digits",
    }
}

/// Bytes from a text; base64 may be of either alphabet, with or without padding.
pub(crate) fn bytes(
    text: &str,
    form: BytesForm,
    min: Option<usize>,
    max: Option<usize>,
) -> Result<Value<'static>, Fault> {
    let decoded = match form {
        BytesForm::Utf8 => Some(text.as_bytes().to_vec()),
        BytesForm::Hex => hex(text),
        _ if text.contains(['+', '/']) => STANDARD_INDIFFERENT.decode(text).ok(),
        _ => URL_SAFE_INDIFFERENT.decode(text).ok(),
    };
    let bytes = decoded.ok_or_else(|| Fault::new("bytes_invalid_encoding", format!("must be {}", name_of(form))))?;
    let count = |count: usize| if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") };
    match (min, max) {
        (Some(min), _) if bytes.len() < min => {
            Err(Fault::new("bytes_too_short", format!("must have at least {}", count(min)))
                .limit(Limit::Int(min as i64)))
        }
        (_, Some(max)) if bytes.len() > max => {
            Err(Fault::new("bytes_too_long", format!("must have at most {}", count(max))).limit(Limit::Int(max as i64)))
        }
        _ => Ok(Value::Bytes(bytes.into())),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    // Two digits are one byte.
    let byte = |pair: &[u8]| Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(byte).collect()
}

const INDIFFERENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_INDIFFERENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const URL_SAFE_INDIFFERENT: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT);

/// A name in a dict, which must be one in both stores.
pub(crate) fn name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
        return Err(Fault::new("invalid_key", "the name must not be empty, begin with $ or hold . or NUL"));
    }
    Ok(())
}

/// Whether a member that is no field may have a name.
pub(crate) fn extra(extra: &str) -> Result<(), Fault> {
    if matches!(extra, "_id" | "_v" | "_k") {
        return Err(Fault::new("invalid_key", "the name must not be _id, _v or _k, which are the store's own"));
    }
    name(extra)
}

/// Whether a text cannot be the id of a row: what begins with `_` is a route, and clients take `.` and `..` out of a path before
/// they send it (RFC 3986, 5.2.4), percent-encoded or not.
pub(crate) fn is_reserved(id: &str) -> bool {
    matches!(id, "" | "." | "..") || id.starts_with('_')
}

/// A decimal number from its text.
pub(crate) fn decimal(text: &str) -> Result<Decimal, Fault> {
    Decimal::parse(text).map_err(|error| match error {
        NotDecimal::Unreadable => Fault::new("decimal_parsing", "must be a decimal number, as 12.50"),
        NotDecimal::NotFinite => Fault::new("finite_number", "must be a finite number"),
        NotDecimal::TooLong => Fault::new("decimal_max_digits", "must have at most 34 digits").limit(Limit::Int(34)),
        NotDecimal::OutOfRange => Fault::new("decimal_out_of_range", "must be of a size from 1E-6176 to 1E+6144"),
    })
}

/// A decimal number that obeys its rules, in pydantic's order.
pub(crate) fn number(value: Decimal, rules: &Number) -> Result<Value<'static>, Fault> {
    let (digits, places) = value.places();
    let too_many = |code, limit: usize, what: &str| {
        Err(Fault::new(code, format!("must have at most {limit} {what}")).limit(Limit::Int(limit as i64)))
    };
    match (rules.max_digits, rules.decimal_places) {
        (Some(max), _) if digits > max => return too_many("decimal_max_digits", max, "digits"),
        (_, Some(max)) if places > max => return too_many("decimal_max_places", max, "digits after the point"),
        (Some(all), Some(after)) if digits - places > all.saturating_sub(after) => {
            let whole = all.saturating_sub(after);
            return too_many("decimal_whole_digits", whole, "digits before the point");
        }
        _ => {}
    }
    if let Some(limit) = rules.bounds.multiple_of
        && !value.is_multiple_of(limit)
    {
        let limit = limit.to_string();
        return Err(Fault::new("multiple_of", format!("must be a multiple of {limit}")).limit(Limit::Text(limit)));
    }
    within(value, &rules.bounds, |bound| Limit::Text(bound.to_string())).map(Value::Decimal)
}

/// What is finer than a microsecond is cut off.
pub(super) const CUT: TimeConfig = TimeConfig {
    microseconds_precision_overflow_behavior: MicrosecondsPrecisionOverflowBehavior::Truncate,
    unix_timestamp_offset: None,
};

/// Microseconds since 1970 of an RFC 3339 time; finer digits are cut off.
pub(crate) fn datetime(text: &str, naive: Naive) -> Result<i64, Fault> {
    let parsed = speedate::DateTime::parse_bytes_rfc3339_with_config(text.as_bytes(), &CUT)
        .map_err(|_| Fault::new("datetime_parsing", "must be a date and time, as 2024-05-01T12:00:00Z"))?;
    instant(&parsed, naive)
}

/// Microseconds since 1970 of a time, if Python has it.
pub(super) fn instant(parsed: &speedate::DateTime, naive: Naive) -> Result<i64, Fault> {
    if parsed.time.tz_offset.is_none() && naive == Naive::Refused {
        return Err(no_offset());
    }
    if !(FIRST_INSTANT..=LAST_INSTANT).contains(&parsed.timestamp_tz_ms()) {
        return Err(Fault::new("datetime_object_invalid", "must be in the years 1 to 9999"));
    }
    Ok(parsed.timestamp_tz() * 1_000_000 + i64::from(parsed.time.microsecond))
}

/// The fault of a time of which it is not said where it is.
pub(super) fn no_offset() -> Fault {
    Fault::new("timezone_aware", "must say its offset from UTC, as 2024-05-01T12:00:00Z")
}

pub(crate) fn choice(value: Value<'_>, values: &[Value<'static>], sort: ChoiceSort) -> Result<Value<'static>, Fault> {
    values.iter().find(|own| **own == value).cloned().ok_or_else(|| not_a_choice(values, sort))
}

pub(crate) fn not_a_choice(values: &[Value<'static>], sort: ChoiceSort) -> Fault {
    let code = if sort == ChoiceSort::Literal { "literal_error" } else { "enum" };
    Fault::new(code, format!("must be one of {}", listed(values)))
}

/// The fault of an object whose tag is that of no model.
pub(crate) fn unknown_tag(tagged: &Tagged) -> Fault {
    let detail = format!("has a {} that tells no model; it must be one of {}", tagged.tag(), listed(tagged.tags()));
    Fault::new("union_tag_invalid", detail)
}

/// The fault of an object without the tag that would tell its model.
pub(crate) fn missing_tag(tagged: &Tagged) -> Fault {
    let detail = format!("must have a {} that tells its model: one of {}", tagged.tag(), listed(tagged.tags()));
    Fault::new("union_tag_not_found", detail)
}

/// Values as JSON, separated by commas.
fn listed<'v>(values: impl IntoIterator<Item = &'v Value<'static>>) -> String {
    let mut text = Vec::new();
    for value in values {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        crate::crud::json::write_scalar(&mut text, value);
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn length(count: usize, min: Option<usize>, max: Option<usize>) -> Result<(), Fault> {
    let items = |count: usize| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
    if let Some(min) = min
        && count < min
    {
        return Err(Fault::new("too_short", format!("must have at least {}", items(min))).limit(Limit::Int(min as i64)));
    }
    if let Some(max) = max
        && count > max
    {
        return Err(Fault::new("too_long", format!("must have at most {}", items(max))).limit(Limit::Int(max as i64)));
    }
    Ok(())
}
