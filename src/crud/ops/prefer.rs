//! What a client would like, and may not get (`Prefer`, RFC 7240).

use http::header::{HeaderMap, HeaderName};

use crate::service::{Location, Problem, Violation};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Names the preferences that were heeded.
pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How rows are counted for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// One by one.
    Exact,
    /// As the store knows without looking at them.
    Estimated,
}

impl Count {
    /// As it is said in `Preference-Applied`.
    pub(super) const fn applied(self) -> &'static str {
        match self {
            Self::Exact => "count=exact",
            Self::Estimated => "count=estimated",
        }
    }
}

/// The value of a preference; that of the first is the one that counts.
fn preference<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let preferences = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or(preference);
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// Whether the client wants no document back: `return=minimal`.
pub(super) fn minimal(headers: &HeaderMap) -> bool {
    preference(headers, "return").is_some_and(|value| value.eq_ignore_ascii_case("minimal"))
}

/// Whether each row of an array is to stand for itself: `handling=lenient`.
pub(super) fn lenient(headers: &HeaderMap) -> bool {
    preference(headers, "handling").is_some_and(|value| value.eq_ignore_ascii_case("lenient"))
}

/// To how many rows a write may be done: `max-affected=100`.
///
/// # Errors
/// When it is no number. Other preferences that are not understood are passed over; this one is there for safety.
pub(super) fn max_affected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = preference(headers, "max-affected") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let detail = "max-affected must be a whole number, as Prefer: max-affected=100";
        let at = Location::Header(PREFER.to_string());
        Problem::bad_request(detail).errors(vec![Violation::new(at, "int_parsing", detail)])
    })
}

/// Whether and how rows are to be counted: `count=exact` or `count=estimated`, as PostgREST has it.
pub(super) fn count(headers: &HeaderMap) -> Option<Count> {
    match preference(headers, "count")? {
        "exact" => Some(Count::Exact),
        "estimated" => Some(Count::Estimated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn prefer(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn preferences_are_read_as_they_are_written() {
        assert!(minimal(&prefer(&["return=minimal"])));
        assert!(minimal(&prefer(&["wait=5, Return=\"Minimal\"; x=1"])));
        assert!(minimal(&prefer(&["wait=5", "return = minimal"])));
        assert!(!minimal(&prefer(&["return=representation, return=minimal"])));
        assert!(!minimal(&prefer(&["minimal"])));
        assert_eq!(count(&prefer(&["count=exact"])), Some(Count::Exact));
        assert_eq!(count(&prefer(&["return=minimal,count=estimated"])), Some(Count::Estimated));
        assert_eq!(count(&prefer(&["count=planned"])), None);
        assert_eq!(count(&HeaderMap::new()), None);
        let most = |values| max_affected(&prefer(values)).map_err(|problem| problem.status().as_u16());
        assert_eq!(most(&[]), Ok(None));
        assert_eq!(most(&["return=minimal, max-affected=3"]), Ok(Some(3)));
        assert_eq!([most(&["max-affected"]), most(&["max-affected=-1"]), most(&["max-affected=all"])], [Err(400); 3]);
    }
}
