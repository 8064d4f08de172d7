//! Everything that a plan asks of a request's head, read at once.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;

use super::param::Param;
use super::plan::{Plan, Source};
use super::scalar::Scalar;
use crate::python::headers::text_of;
use crate::service::{PathParams, Problem, Violation, query_pairs};

/// How much of what is wrong is told.
pub(super) const MAX_TOLD: usize = 100;

pub(in crate::python) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl Plan {
    /// All parameters, in the plan's order; or all that is wrong with them.
    pub(super) fn read(&self, parts: &Parts) -> Result<Vec<Scalar>, Problem> {
        let mut scalars = Vec::with_capacity(self.params.len());
        let mut wrong = Vec::new();
        let path = parts.extensions.get::<PathParams>();
        let query: Pairs<'_> = match parts.uri.query() {
            Some(text) if self.looks.at_query => query_pairs(text).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let cookies = if self.looks.at_cookies { cookies(&parts.headers) } else { Vec::new() };
        for param in &self.params {
            let found = match param.source {
                Source::Path => param.one(path.and_then(|path| path.at(param.position))),
                Source::Query => param.take(called(&query, &param.alias)),
                Source::Cookie => param.take(called(&cookies, &param.alias)),
                Source::Header => header(param, &parts.headers),
                // Filled in when the body was read.
                Source::Form => Ok(Scalar::Absent),
            };
            match found {
                Ok(scalar) => scalars.push(scalar),
                Err(violations) => wrong.extend(violations),
            }
        }
        for (source, known) in self.forbids.iter().filter(|(source, _)| *source != Source::Form) {
            let given = if *source == Source::Cookie { &cookies } else { &query };
            for (name, _) in given.iter().filter(|(name, _)| !known.iter().any(|known| known == name)) {
                wrong.push(Violation::new(source.at(name.to_string()), "extra_forbidden", "is not known here"));
            }
        }
        if wrong.is_empty() {
            return Ok(scalars);
        }
        wrong.truncate(MAX_TOLD);
        Err(Problem::validation(wrong))
    }
}

fn called<'a>(pairs: &'a Pairs<'a>, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    pairs.iter().filter(move |(own, _)| own == name).map(|(_, value)| &**value)
}

fn header(param: &Param, headers: &HeaderMap) -> Result<Scalar, Vec<Violation>> {
    let Some(name) = &param.header else { return param.one(None) };
    if !param.takes_several() {
        // Of several fields the last counts, as of all but cookies.
        return param.one(headers.get_all(name).iter().next_back().map(text_of).as_deref());
    }
    let values: Vec<Cow<'_, str>> = headers.get_all(name).iter().map(text_of).collect();
    param.take(values.iter().map(|value| &**value))
}

/// Names and values of cookies (RFC 6265, 4.2.1), in the order in which they were sent. HTTP/2 may send several fields (RFC 9113,
/// 8.2.3). What is no pair is passed over: neighbouring hosts may have set it.
pub(in crate::python) fn cookies(headers: &HeaderMap) -> Pairs<'_> {
    let mut pairs = Vec::new();
    for field in headers.get_all(COOKIE) {
        let split = |text: &str| -> Vec<(String, String)> {
            let pair = |pair: &str| pair_of(pair).map(|(name, value)| (name.to_owned(), value.to_owned()));
            text.split(';').filter_map(pair).collect()
        };
        match text_of(field) {
            Cow::Borrowed(text) => pairs.extend(
                text.split(';').filter_map(pair_of).map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))),
            ),
            Cow::Owned(text) => {
                pairs.extend(split(&text).into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))));
            }
        }
    }
    pairs
}

fn pair_of(pair: &str) -> Option<(&str, &str)> {
    let (name, value) = pair.split_once('=')?;
    let blank = [' ', '\t'];
    let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!name.is_empty()).then_some((name, unquoted))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_pairs() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; b=\"x y\"; nothing;=2;  c = d=e ;a=3"));
        headers.append(COOKIE, HeaderValue::from_bytes(b"l=\xe9").unwrap());
        let got = cookies(&headers);
        let got: Vec<_> = got.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(got, [("a", "1"), ("b", "x y"), ("c", "d=e"), ("a", "3"), ("l", "é")]);
    }
}
