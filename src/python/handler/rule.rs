//! The limits of a parameter.

use std::borrow::Cow;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use regex::Regex;
use serde::Deserialize;

use super::scalar::Scalar;
use crate::ConfigError;
use crate::service::Limit;

/// The limits as Python writes them; those of decimals are texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    ge: Option<Bound>,
    gt: Option<Bound>,
    le: Option<Bound>,
    lt: Option<Bound>,
    multiple_of: Option<Bound>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<String>,
    max_digits: Option<i64>,
    decimal_places: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(f64),
    Text(String),
}

/// The limits of a parameter. Most have none.
#[derive(Debug, Default)]
pub(in crate::python) struct Rule(Option<Box<Limits>>);

#[derive(Debug)]
struct Limits {
    numbers: Numbers<f64>,
    decimals: Numbers<BigDecimal>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<Regex>,
    max_digits: Option<i64>,
    decimal_places: Option<i64>,
}

#[derive(Debug)]
struct Numbers<T> {
    ge: Option<T>,
    gt: Option<T>,
    le: Option<T>,
    lt: Option<T>,
    multiple_of: Option<T>,
}

/// Code, detail and limit.
pub(super) type Broken = (&'static str, Cow<'static, str>, Option<Limit>);

impl Written {
    pub(super) fn compile(self) -> Result<Rule, ConfigError> {
        let Self { ge, gt, le, lt, multiple_of, min_length, max_length, pattern, max_digits, decimal_places } = self;
        let bounds = [ge, gt, le, lt, multiple_of];
        let sizes = min_length.is_some() || max_length.is_some() || max_digits.is_some() || decimal_places.is_some();
        if bounds.iter().all(Option::is_none) && !sizes && pattern.is_none() {
            return Ok(Rule::default());
        }
        let pattern = pattern.map(|pattern| Regex::new(&pattern)).transpose();
        let pattern = pattern.map_err(|error| ConfigError::new(format!("a pattern cannot be used: {error}")))?;
        let number = |bound: &Option<Bound>| match bound {
            Some(Bound::Number(number)) => Some(*number),
            _ => None,
        };
        let decimal = |bound: &Option<Bound>| match bound {
            Some(Bound::Text(text)) => text.parse().ok(),
            _ => None,
        };
        Ok(Rule(Some(Box::new(Limits {
            numbers: Numbers::of(&bounds, number),
            decimals: Numbers::of(&bounds, decimal),
            min_length,
            max_length,
            pattern,
            max_digits,
            decimal_places,
        }))))
    }
}

impl<T> Numbers<T> {
    fn of(bounds: &[Option<Bound>; 5], read: impl Fn(&Option<Bound>) -> Option<T>) -> Self {
        let [ge, gt, le, lt, multiple_of] = bounds.each_ref().map(read);
        Self { ge, gt, le, lt, multiple_of }
    }

    /// The first bound that does not hold.
    fn check(&self, compared: impl Fn(&T) -> std::cmp::Ordering) -> Option<(&'static str, &'static str, &T)> {
        let rules = [
            (&self.ge, "greater_than_equal", ">=", [false, true, true]),
            (&self.gt, "greater_than", ">", [false, false, true]),
            (&self.le, "less_than_equal", "<=", [true, true, false]),
            (&self.lt, "less_than", "<", [true, false, false]),
        ];
        rules.into_iter().find_map(|(bound, code, sign, holds)| {
            let bound = bound.as_ref()?;
            let place = match compared(bound) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => 1,
                std::cmp::Ordering::Greater => 2,
            };
            (!holds[place]).then_some((code, sign, bound))
        })
    }
}

impl Rule {
    pub(super) fn check(&self, value: &Scalar) -> Result<(), Broken> {
        let Some(limits) = &self.0 else { return Ok(()) };
        match value {
            #[allow(clippy::cast_precision_loss, reason = "limits are compared as floats, as they were given")]
            Scalar::Int(int) => limits.number(*int as f64, |of| {
                let of = whole(of)?;
                Some(i128::from(*int) % i128::from(of) == 0)
            }),
            Scalar::BigInt(digits) => limits.number(digits.parse().unwrap_or(f64::INFINITY), |of| {
                let int: BigInt = digits.parse().ok()?;
                Some(int % whole(of)? == BigInt::ZERO)
            }),
            Scalar::Float(float) => limits.number(*float, |_| None),
            Scalar::Decimal(text) => limits.decimal(text),
            Scalar::Str(text) => limits.text(text),
            Scalar::Bytes(bytes) => limits.bytes(bytes.len()),
            _ => Ok(()),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "only when it is a whole number that fits")]
fn whole(limit: f64) -> Option<i64> {
    (limit.fract() == 0.0 && limit.abs() < 1e15).then_some(limit as i64)
}

fn shown(limit: f64) -> Limit {
    whole(limit).map_or(Limit::Float(limit), Limit::Int)
}

fn count(limit: usize) -> Option<Limit> {
    Some(Limit::Int(i64::try_from(limit).unwrap_or(i64::MAX)))
}

impl Limits {
    /// `exactly` says of whole numbers whether they are multiples.
    fn number(&self, number: f64, exactly: impl Fn(f64) -> Option<bool>) -> Result<(), Broken> {
        let broken = self.numbers.check(|limit| number.partial_cmp(limit).unwrap_or(std::cmp::Ordering::Greater));
        if let Some((code, sign, limit)) = broken {
            return Err((code, format!("must be {sign} {limit}").into(), Some(shown(*limit))));
        }
        match self.numbers.multiple_of {
            Some(of) if !exactly(of).unwrap_or_else(|| is_multiple(number, of)) => {
                Err(("multiple_of", format!("must be a multiple of {of}").into(), Some(shown(of))))
            }
            _ => Ok(()),
        }
    }

    fn decimal(&self, text: &str) -> Result<(), Broken> {
        let Ok(value) = text.parse::<BigDecimal>() else { return Ok(()) };
        if let Some((code, sign, limit)) = self.decimals.check(|limit| value.cmp(limit)) {
            return Err((code, format!("must be {sign} {limit}").into(), Some(Limit::Text(limit.to_string()))));
        }
        if let Some(of) = &self.decimals.multiple_of
            && &value % of != 0
        {
            return Err((
                "multiple_of",
                format!("must be a multiple of {of}").into(),
                Some(Limit::Text(of.to_string())),
            ));
        }
        if self.max_digits.is_none() && self.decimal_places.is_none() {
            return Ok(());
        }
        // Zeros at the end count for nothing, as for pydantic.
        let (digits, places) = value.normalized().into_bigint_and_exponent();
        let digits = i64::try_from(digits.magnitude().to_string().len()).unwrap_or(i64::MAX);
        let (digits, places) = if places <= 0 { (digits - places, 0) } else { (digits.max(places), places) };
        let too_many = |limit: i64, what: &str| format!("must have at most {limit} {what}").into();
        match (self.max_digits, self.decimal_places) {
            (Some(max), _) if digits > max => {
                Err(("decimal_max_digits", too_many(max, "digits"), Some(Limit::Int(max))))
            }
            (_, Some(max)) if places > max => {
                Err(("decimal_max_places", too_many(max, "digits after the point"), Some(Limit::Int(max))))
            }
            (Some(all), Some(after)) if digits - places > all - after => {
                let max = all - after;
                Err(("decimal_whole_digits", too_many(max, "digits before the point"), Some(Limit::Int(max))))
            }
            _ => Ok(()),
        }
    }

    fn bytes(&self, length: usize) -> Result<(), Broken> {
        match (self.min_length, self.max_length) {
            (Some(min), _) if length < min => {
                Err(("bytes_too_short", format!("must have at least {min} bytes").into(), count(min)))
            }
            (_, Some(max)) if length > max => {
                Err(("bytes_too_long", format!("must have at most {max} bytes").into(), count(max)))
            }
            _ => Ok(()),
        }
    }

    fn text(&self, text: &str) -> Result<(), Broken> {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count();
            match (self.min_length, self.max_length) {
                (Some(min), _) if length < min => {
                    return Err((
                        "string_too_short",
                        format!("must have at least {min} characters").into(),
                        count(min),
                    ));
                }
                (_, Some(max)) if length > max => {
                    return Err(("string_too_long", format!("must have at most {max} characters").into(), count(max)));
                }
                _ => {}
            }
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => Err((
                "string_pattern_mismatch",
                format!("must match {}", pattern.as_str()).into(),
                Some(Limit::Text(pattern.as_str().to_owned())),
            )),
            _ => Ok(()),
        }
    }
}

/// As pydantic has it, for numbers that are not exact.
fn is_multiple(number: f64, of: f64) -> bool {
    let rest = (number % of).abs();
    let least = number.abs() / 1e9;
    rest <= least || (rest - of).abs() <= least
}

/// How many values there may be.
pub(super) fn check_items(items: usize, min: Option<usize>, max: Option<usize>) -> Result<(), Broken> {
    match (min, max) {
        (Some(min), _) if items < min => {
            Err(("too_short", format!("must be there at least {min} times").into(), count(min)))
        }
        (_, Some(max)) if items > max => {
            Err(("too_long", format!("must be there at most {max} times").into(), count(max)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(rule: &str, value: &Scalar) -> Option<&'static str> {
        let written: Written = serde_json::from_str(rule).unwrap();
        written.compile().unwrap().check(value).err().map(|(code, ..)| code)
    }

    #[test]
    fn multiples_are_exact_where_numbers_are() {
        assert_eq!(broken(r#"{"multiple_of": 3}"#, &Scalar::Int(9)), None);
        assert_eq!(broken(r#"{"multiple_of": 3}"#, &Scalar::Int(-10)), Some("multiple_of"));
        let great: Box<str> = "9223372036854775808".into();
        assert_eq!(broken(r#"{"multiple_of": 2}"#, &Scalar::BigInt(great.clone())), None);
        assert_eq!(broken(r#"{"multiple_of": 3}"#, &Scalar::BigInt(great)), Some("multiple_of"));
        assert_eq!(broken(r#"{"multiple_of": 0.1}"#, &Scalar::Float(0.3)), None);
        assert_eq!(broken(r#"{"multiple_of": 0.1}"#, &Scalar::Float(0.35)), Some("multiple_of"));
    }

    #[test]
    fn decimals_are_exact() {
        let decimal = |text: &str| Scalar::Decimal(text.into());
        let rule = r#"{"ge": "0.1", "lt": "1e2", "max_digits": 4, "decimal_places": 2}"#;
        for good in ["0.1", "99.99", "1.100", "1e1"] {
            assert_eq!(broken(rule, &decimal(good)), None, "{good}");
        }
        assert_eq!(broken(rule, &decimal("0.0999999999999999999999999")), Some("greater_than_equal"));
        assert_eq!(broken(rule, &decimal("100.00")), Some("less_than"));
        assert_eq!(broken(rule, &decimal("1.001")), Some("decimal_max_places"));
        assert_eq!(broken(rule, &decimal("10.001")), Some("decimal_max_digits"));
        assert_eq!(
            broken(r#"{"max_digits": 4, "decimal_places": 2}"#, &decimal("123.4")),
            Some("decimal_whole_digits")
        );
        assert_eq!(broken(r#"{"multiple_of": "0.05"}"#, &decimal("1.15")), None);
        assert_eq!(broken(r#"{"multiple_of": "0.05"}"#, &decimal("1.16")), Some("multiple_of"));
    }

    #[test]
    fn texts_are_measured_and_matched() {
        let text = |text: &str| Scalar::Str(text.into());
        assert_eq!(broken(r#"{"pattern": "^a+$"}"#, &text("aa")), None);
        assert_eq!(broken(r#"{"pattern": "^a+$"}"#, &text("ab")), Some("string_pattern_mismatch"));
        assert_eq!(broken(r#"{"min_length": 2}"#, &text("ü")), Some("string_too_short"));
    }

    #[test]
    fn values_are_counted() {
        assert!(check_items(2, Some(2), Some(2)).is_ok());
        assert_eq!(check_items(1, Some(2), None).unwrap_err().0, "too_short");
        assert_eq!(check_items(3, None, Some(2)).unwrap_err().0, "too_long");
    }
}
