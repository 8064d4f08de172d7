//! Decimal numbers as the stores and the answers hold them.

use std::cmp::Ordering;
use std::fmt;

/// A finite decimal number of up to 34 digits: an IEEE 754-2008 decimal128.
///
/// The number of digits after the point is kept, `1.50` is written as it came; but it equals `1.5`, and is ordered as it. There is no
/// crate for this format that is not a binding to C.
#[derive(Clone, Copy)]
pub struct Decimal([u8; 16]);

/// Digits that fit.
const MOST_DIGITS: usize = 34;
const BIAS: i32 = 6176;
/// Exponents of the last digit.
const EXPONENTS: std::ops::RangeInclusive<i32> = -BIAS..=6111;
/// Bits of the coefficient, below those of the exponent and the sign.
const COEFFICIENT: u32 = 113;

/// Why a text is no decimal number that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDecimal {
    /// It is no number.
    Unreadable,
    /// It is infinite, or "not a number".
    NotFinite,
    /// It has more than 34 digits.
    TooLong,
    /// Its exponent is too large or too small.
    OutOfRange,
}

/// Sign, digits and the exponent of the last of them.
struct Parts {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Default for Decimal {
    /// Zero.
    fn default() -> Self {
        Self::of(&Parts { negative: false, digits: 0, exponent: 0 })
    }
}

impl Decimal {
    /// Reads `-1.50`, `.5`, `1e3`.
    ///
    /// # Errors
    /// When it is no number, or not one that can be kept without loss.
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if ["inf", "infinity", "nan", "snan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
            return Err(NotDecimal::NotFinite);
        }
        let (number, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(NotDecimal::Unreadable);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| NotDecimal::TooLong)?;
        let digits = [whole, fraction].concat();
        let digits = digits.trim_start_matches('0');
        let (digits, exponent) = fit(digits, exponent - places)?;
        let digits = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| NotDecimal::TooLong)? };
        Ok(Self::of(&Parts { negative, digits, exponent }))
    }

    /// From the bytes of a decimal128 (binary integer decimal, little-endian), unless it is not finite.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let bits = u128::from_le_bytes(bytes);
        // Both bits set: infinite, not a number, or a coefficient of more than 34 digits, which counts as 0 and nobody writes.
        let special = bits >> 125 & 0b11 == 0b11;
        (!special && bits & ((1 << COEFFICIENT) - 1) < 10_u128.pow(MOST_DIGITS as u32)).then_some(Self(bytes))
    }

    /// As a decimal128 (binary integer decimal, little-endian).
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    fn of(parts: &Parts) -> Self {
        // The exponent is in its range.
        let exponent = (parts.exponent + BIAS).unsigned_abs();
        let bits = u128::from(parts.negative) << 127 | u128::from(exponent) << COEFFICIENT | parts.digits;
        Self(bits.to_le_bytes())
    }

    fn parts(self) -> Parts {
        let bits = u128::from_le_bytes(self.0);
        Parts {
            negative: bits >> 127 == 1,
            digits: bits & ((1 << COEFFICIENT) - 1),
            exponent: (bits >> COEFFICIENT & 0x3fff) as i32 - BIAS,
        }
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self::of(&Parts { negative: false, ..self.parts() })
    }

    /// How many digits it has and how many of them are after the point, without zeros at its end, as pydantic counts them.
    pub fn places(self) -> (usize, usize) {
        let Parts { mut digits, mut exponent, .. } = self.parts();
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        if digits == 0 {
            return (1, 0);
        }
        let count = digits.ilog10() as usize + 1;
        let moved = exponent.unsigned_abs() as usize;
        if exponent >= 0 { (count + moved, 0) } else { (count.max(moved), moved) }
    }

    /// Whether it is a whole number of times `other`, exactly; nothing is a multiple of 0.
    pub fn is_multiple_of(self, other: Self) -> bool {
        let (Parts { digits, exponent, .. }, unit) = (self.parts(), other.parts());
        if unit.digits == 0 {
            return false;
        }
        let mut places = exponent.abs_diff(unit.exponent);
        if exponent < unit.exponent {
            let finer = 10_u128.checked_pow(places).and_then(|scale| unit.digits.checked_mul(scale));
            // A unit that does not even fit is larger than any number of so many digits.
            return finer.map_or(digits == 0, |unit| digits % unit == 0);
        }
        // As many digits at once as there is room for above the rest, which is smaller than the unit.
        let room = u128::MAX.ilog10() - unit.digits.ilog10() - 1;
        let mut rest = digits % unit.digits;
        while places > 0 && rest > 0 {
            let some = places.min(room);
            rest = rest * 10_u128.pow(some) % unit.digits;
            places -= some;
        }
        rest == 0
    }

    /// Bytes that sort as the numbers do.
    ///
    /// One for the sign, two for the exponent of the first digit, then the digits; those of negative numbers are turned round.
    pub fn key(self) -> Vec<u8> {
        let Parts { negative, digits, exponent } = self.parts();
        if digits == 0 {
            return vec![1];
        }
        let text = digits.to_string();
        // From 0 on for every exponent that there is.
        let first = (exponent + text.len() as i32 + BIAS).unsigned_abs() as u16;
        let mut key = Vec::with_capacity(text.len() + 4);
        key.extend_from_slice(&first.to_be_bytes());
        key.extend_from_slice(text.trim_end_matches('0').as_bytes());
        if negative {
            key.push(0);
            key.iter_mut().for_each(|byte| *byte = !*byte);
        }
        key.insert(0, if negative { 0 } else { 2 });
        key
    }

    /// All its digits, without an exponent where it is of a common size, and without zeros at the end: `1.5`, `2000`.
    pub fn plain(self) -> String {
        let Parts { negative, mut digits, mut exponent } = self.parts();
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        if digits == 0 {
            return "0".to_owned();
        }
        while exponent > 0 && digits < 10_u128.pow(MOST_DIGITS as u32 - 1) {
            digits *= 10;
            exponent -= 1;
        }
        Self::of(&Parts { negative, digits, exponent }).to_string()
    }

    /// As a number to compute with.
    #[cfg(feature = "sqlite")]
    pub(crate) fn to_big(self) -> bigdecimal::BigDecimal {
        let Parts { negative, digits, exponent } = self.parts();
        let digits = bigdecimal::num_bigint::BigInt::from(digits);
        bigdecimal::BigDecimal::new(if negative { -digits } else { digits }, (-exponent).into())
    }

    /// The nearest number of up to 34 digits, unless it is too large.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_big(number: &bigdecimal::BigDecimal) -> Option<Self> {
        let most = std::num::NonZeroU64::new(MOST_DIGITS as u64)?;
        let rounded = number.with_precision_round(most, bigdecimal::RoundingMode::HalfEven);
        Self::parse(&rounded.to_scientific_notation()).ok()
    }

    /// The number of a [`key`](Self::key).
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (sign, rest) = key.split_first()?;
        let turned: Vec<u8>;
        let (negative, rest) = match sign {
            1 if rest.is_empty() => return Some(Self::of(&Parts { negative: false, digits: 0, exponent: 0 })),
            2 => (false, rest),
            0 => {
                turned = rest.iter().map(|byte| !*byte).collect();
                (true, turned.strip_suffix(&[0])?)
            }
            _ => return None,
        };
        let (first, text) = rest.split_first_chunk::<2>()?;
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MOST_DIGITS)?;
        let exponent = i32::from(u16::from_be_bytes(*first)) - BIAS - text.len() as i32;
        let mut digits: u128 = text.parse().ok()?;
        let mut at = exponent;
        // A short number with a large exponent was written with zeros.
        while at > *EXPONENTS.end() && digits < 10_u128.pow(MOST_DIGITS as u32 - 1) {
            digits *= 10;
            at -= 1;
        }
        EXPONENTS.contains(&at).then(|| Self::of(&Parts { negative, digits, exponent: at }))
    }
}

fn exponent(text: &str) -> Result<i64, NotDecimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotDecimal::Unreadable);
    }
    // More than nine digits are out of range in any case.
    text.parse::<i32>().map(i64::from).map_err(|_| NotDecimal::OutOfRange)
}

/// Digits and exponent within what a decimal128 holds, without loss: zeros at the end may go, or come.
fn fit(digits: &str, exponent: i64) -> Result<(String, i32), NotDecimal> {
    let mut digits = digits.to_owned();
    let mut exponent = exponent;
    let range = i64::from(*EXPONENTS.start())..=i64::from(*EXPONENTS.end());
    if digits.is_empty() {
        // Zero is kept with the nearest exponent that there is.
        return Ok((digits, exponent.clamp(*range.start(), *range.end()) as i32));
    }
    while (digits.len() > MOST_DIGITS || exponent < *range.start()) && digits.ends_with('0') {
        digits.pop();
        exponent += 1;
    }
    if digits.len() > MOST_DIGITS {
        return Err(NotDecimal::TooLong);
    }
    while exponent > *range.end() && digits.len() < MOST_DIGITS {
        digits.push('0');
        exponent -= 1;
    }
    if range.contains(&exponent) { Ok((digits, exponent as i32)) } else { Err(NotDecimal::OutOfRange) }
}

/// `1.50`, `1E+3`: the to-scientific-string of the General Decimal Arithmetic Specification, as Python and MongoDB write them.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { negative, digits, exponent } = self.parts();
        let digits = digits.to_string();
        let count = digits.len() as i32;
        let first = exponent + count - 1;
        if negative {
            f.write_str("-")?;
        }
        if exponent <= 0 && first >= -6 {
            let point = count + exponent;
            return match point {
                _ if exponent == 0 => f.write_str(&digits),
                1.. => write!(f, "{}.{}", &digits[..point as usize], &digits[point as usize..]),
                _ => write!(f, "0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
            };
        }
        f.write_str(&digits[..1])?;
        if count > 1 {
            write!(f, ".{}", &digits[1..])?;
        }
        write!(f, "E{first:+}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn multiples_are_exact() {
        for (number, unit, is) in [
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("-7.50", "2.5", true),
            ("7.5", "-2.5", true),
            ("0", "3", true),
            ("0.00", "1E+30", true),
            ("1", "0", false),
            ("1E+3", "0.125", true),
            ("1E+6000", "7", false),
            ("7E+6000", "7", true),
            ("1E-6000", "1E+6000", false),
            ("9999999999999999999999999999999999", "3333333333333333333333333333333333", true),
            ("1E+100", "3333333333333333333333333333333333", false),
            ("6666666666666666666666666666666666E+100", "3333333333333333333333333333333333E+90", true),
        ] {
            assert_eq!(decimal(number).is_multiple_of(decimal(unit)), is, "{number} of {unit}");
        }
        // Held against the remainder that does with one step for each digit.
        let slow =
            |digits: u128, places: u32, unit: u128| (0..places).fold(digits % unit, |rest, _| rest * 10 % unit) == 0;
        for digits in [1, 7, 12, 99, 1_234_567, 10_u128.pow(33) + 2] {
            for places in [0, 1, 2, 5, 37, 200] {
                for unit in [1, 2, 3, 7, 64, 625, 1_234_567, 10_u128.pow(30) - 1, 10_u128.pow(34) - 1] {
                    let number = decimal(&format!("{digits}E{places}"));
                    let found = number.is_multiple_of(decimal(&unit.to_string()));
                    assert_eq!(found, slow(digits, places, unit), "{digits}E{places} of {unit}");
                }
            }
        }
    }

    #[test]
    fn texts_are_read_and_written_as_python_does() {
        for (text, written) in [
            ("1.50", "1.50"),
            ("+1.", "1"),
            (".5", "0.5"),
            ("-0", "-0"),
            ("0.00", "0.00"),
            ("007", "7"),
            ("1e3", "1E+3"),
            ("12E2", "1.2E+3"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("123e-2", "1.23"),
            ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
            ("0E+7000", "0E+6111"),
            ("1E6144", "1.000000000000000000000000000000000E+6144"),
        ] {
            assert_eq!(decimal(text).to_string(), written, "{text}");
        }
        let long = format!("1{}", "0".repeat(40));
        assert_eq!(decimal(&long).to_string(), "1.000000000000000000000000000000000E+40");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in ["", "-", ".", "1e", "e1", "1,5", "0x1", "1_000", " 1", "1.2.3", "١", "1e1.0", "--1"] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::Unreadable), "{text}");
        }
        for text in ["NaN", "-inf", "Infinity", "sNaN"] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::NotFinite), "{text}");
        }
        assert_eq!(Decimal::parse("12345678901234567890123456789012345"), Err(NotDecimal::TooLong));
        for text in ["1E6145", "1E-6177", "1e99999999999999999999"] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::OutOfRange), "{text}");
        }
        let infinite = (0b1111_u128 << 123).to_le_bytes();
        assert!(Decimal::from_bytes(infinite).is_none());
    }

    #[test]
    fn keys_sort_as_numbers_and_are_read_back() {
        let texts = [
            "-1E6144", "-100", "-99.9", "-10", "-9.99", "-1.5", "-1", "-0.5", "-1E-6176", "0", "1E-6176", "0.09",
            "0.1", "0.11", "1", "1.0001", "1.5", "2", "9", "10", "11", "99", "100", "1E+34", "9.9E6144",
        ];
        for (index, left) in texts.iter().enumerate() {
            for (other, right) in texts.iter().enumerate() {
                assert_eq!(decimal(left).cmp(&decimal(right)), index.cmp(&other), "{left} and {right}");
            }
            let left = decimal(left);
            assert_eq!(Decimal::from_key(&left.key()), Some(left));
            assert_eq!(Decimal::from_bytes(left.to_bytes()), Some(left));
        }
        assert_eq!(decimal("1.50"), decimal("1.5"));
        assert_eq!(decimal("-0.0"), decimal("0"));
        assert_eq!(Decimal::from_key(&[3]), None);
    }

    #[test]
    fn digits_are_counted_as_pydantic_does() {
        for (text, counts) in
            [("1.50", (2, 1)), ("100", (3, 0)), ("0.001", (3, 3)), ("12.34", (4, 2)), ("0.00", (1, 0)), ("1E3", (4, 0))]
        {
            assert_eq!(decimal(text).places(), counts, "{text}");
        }
    }
}
