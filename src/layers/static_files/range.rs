use http::HeaderMap;
use http::header::RANGE;

/// The part of a file that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// These bytes, with the last one.
    Part {
        first: u64,
        last: u64,
    },
    /// A part that is not there.
    Beyond,
}

impl Extent {
    /// What `Range` asks for (RFC 9110, 14.2) of a file with `length` bytes.
    ///
    /// What cannot be read is passed over, and so are several ranges: the whole file is a proper answer to both.
    pub(super) fn of(headers: &HeaderMap, length: u64) -> Self {
        let mut values = headers.get_all(RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Self::Whole };
        value.to_str().ok().and_then(|text| Self::read(text, length)).unwrap_or(Self::Whole)
    }

    fn read(text: &str, length: u64) -> Option<Self> {
        let (unit, ranges) = text.split_once('=')?;
        let (first, last) = ranges.trim().split_once('-')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        match (number(first), number(last)) {
            (None, Some(0)) if first.is_empty() => Some(Self::Beyond),
            (None, Some(suffix)) if first.is_empty() => {
                // Of nothing the last bytes are nothing, which is whole.
                let last = length.checked_sub(1)?;
                Some(Self::Part { first: length.saturating_sub(suffix), last })
            }
            (Some(first), last_named) if last_named.is_some() || last.is_empty() => {
                let last = last_named.unwrap_or(u64::MAX);
                if first > last {
                    return None;
                }
                if first >= length {
                    return Some(Self::Beyond);
                }
                Some(Self::Part { first, last: last.min(length - 1) })
            }
            _ => None,
        }
    }

    /// The first byte, and how many there are, of a file with `length` bytes.
    pub(super) fn span(self, length: u64) -> (u64, u64) {
        match self {
            Self::Whole => (0, length),
            Self::Part { first, last } => (first, last - first + 1),
            Self::Beyond => (0, 0),
        }
    }
}

/// Digits; a number that is greater than any file is the greatest one.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_defined() {
        let part = |first, last| Extent::Part { first, last };
        let huge = "99999999999999999999999";
        for (text, length, wanted) in [
            ("bytes=0-499", 1000, part(0, 499)),
            ("bytes=500-999", 1000, part(500, 999)),
            ("bytes=-500", 1000, part(500, 999)),
            ("bytes=500-", 1000, part(500, 999)),
            ("bytes=0-0", 1000, part(0, 0)),
            ("bytes=-1", 1000, part(999, 999)),
            ("bytes=-2000", 1000, part(0, 999)),
            ("bytes=0-", 1000, part(0, 999)),
            ("bytes=0-5000", 1000, part(0, 999)),
            ("Bytes=1-2", 1000, part(1, 2)),
            ("bytes= 1-2 ", 1000, part(1, 2)),
            (&format!("bytes=1-{huge}"), 1000, part(1, 999)),
            (&format!("bytes=-{huge}"), 1000, part(0, 999)),
            ("bytes=1000-", 1000, Extent::Beyond),
            ("bytes=1000-1001", 1000, Extent::Beyond),
            ("bytes=-0", 1000, Extent::Beyond),
            (&format!("bytes={huge}-"), 1000, Extent::Beyond),
            ("bytes=0-", 0, Extent::Beyond),
            ("bytes=-0", 0, Extent::Beyond),
            ("bytes=-5", 0, Extent::Whole),
            // Not well-formed, of another unit, or several.
            ("bytes=5-4", 1000, Extent::Whole),
            ("bytes=-", 1000, Extent::Whole),
            ("bytes=", 1000, Extent::Whole),
            ("bytes", 1000, Extent::Whole),
            ("", 1000, Extent::Whole),
            ("bytes=a-b", 1000, Extent::Whole),
            ("bytes=1-b", 1000, Extent::Whole),
            ("bytes=a-1", 1000, Extent::Whole),
            ("bytes=1--2", 1000, Extent::Whole),
            ("bytes=--2", 1000, Extent::Whole),
            ("bytes=+1-2", 1000, Extent::Whole),
            ("bytes=1 - 2", 1000, Extent::Whole),
            ("bytes 1-2", 1000, Extent::Whole),
            ("lines=1-2", 1000, Extent::Whole),
            ("bytes=0-0,-1", 1000, Extent::Whole),
            ("bytes=0-,0-,0-,0-,0-", 1000, Extent::Whole),
            ("bytes=2000-3000,4000-", 1000, Extent::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            assert_eq!(Extent::of(&headers, length), wanted, "{text} of {length}");
        }
    }

    #[test]
    fn one_field_is_asked_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(Extent::of(&headers, 9), Extent::Whole);
        headers.append(RANGE, "bytes=0-1".parse().unwrap());
        headers.append(RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(Extent::of(&headers, 9), Extent::Whole);
    }
}
