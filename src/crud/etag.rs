//! Entity tags: the version of a row in base 36, and the conditions that clients put on it (RFC 9110, 13).

use http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use super::store::Expect;
use crate::service::{Location, Problem, Violation};

/// `"<version in base 36>"`.
pub(super) fn of_version(version: i64) -> HeaderValue {
    // A sign, 13 digits and two quotes at most.
    let mut text = [0; 16];
    let mut at = text.len() - 1;
    text[at] = b'"';
    let mut rest = version.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    if version < 0 {
        at -= 1;
        text[at] = b'-';
    }
    at -= 1;
    text[at] = b'"';
    // ASCII without control characters.
    HeaderValue::from_bytes(&text[at..]).unwrap_or(HeaderValue::from_static("\"\""))
}

/// `"<version>.<view>"`: the tag of a part of a row, which a write may be conditional on as well.
pub(super) fn of_view(version: i64, view: &str) -> HeaderValue {
    let tag = of_version(version);
    if view.is_empty() {
        return tag;
    }
    let mut text = tag.as_bytes().to_vec();
    text.pop();
    text.push(b'.');
    text.extend_from_slice(view.as_bytes());
    text.push(b'"');
    HeaderValue::from_bytes(&text).unwrap_or(tag)
}

/// Eight digits that stand for what a row is shown as; none for all of it.
pub(super) fn view(shown: &[u8]) -> String {
    let mut rest = if shown.is_empty() { return String::new() } else { digest(shown) };
    let mut digits = String::with_capacity(8);
    for _ in 0..8 {
        digits.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]));
        rest /= 36;
    }
    digits
}

/// `"<hash in base 36>"` of an answer that has no version of its own.
pub(super) fn of_bytes(bytes: &[u8]) -> HeaderValue {
    of_version((digest(bytes) >> 1) as i64)
}

/// A fast 64-bit digest that is the same on every machine; not for secrets.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word).wrapping_mul(MULTIPLIER);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let mut state = fold(0x243f_6a88_85a3_08d3, bytes.len() as u64);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        state = fold(state, u64::from_le_bytes(eight));
    }
    let mut eight = [0; 8];
    eight[..words.remainder().len()].copy_from_slice(words.remainder());
    fold(fold(state, u64::from_le_bytes(eight)), 0x1319_8a2e_0370_7344)
}

/// What an `If-Match` or `If-None-Match` lists.
#[derive(Debug, PartialEq)]
pub(super) enum Condition {
    /// `*`
    Any,
    Tags(Vec<Tag>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Tag {
    weak: bool,
    /// What is between the quotes, without what a coding adds after a hyphen and a view after a dot.
    text: String,
    /// The view.
    view: String,
}

impl Tag {
    fn version(&self) -> Option<i64> {
        // A sign would be taken for the beginning of a suffix, and versions have none.
        i64::from_str_radix(&self.text, 36).ok().filter(|version| *version >= 0)
    }
}

impl Condition {
    /// The `If-Match` of a request.
    pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::read(headers, &IF_MATCH)
    }

    /// The `If-None-Match` of a request.
    pub(super) fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::read(headers, &IF_NONE_MATCH)
    }

    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        if !headers.contains_key(name) {
            return Ok(None);
        }
        let mut tags = Vec::new();
        for value in headers.get_all(name) {
            if value.as_bytes().trim_ascii() == b"*" {
                return Ok(Some(Self::Any));
            }
            match value.to_str().ok().and_then(parse) {
                Some(more) => tags.extend(more),
                None => {
                    let at = Location::Header(name.to_string());
                    let detail = "must be * or a list of entity tags in quotes, as they came in ETag";
                    return Err(Problem::bad_request(format!("{name} {detail}")).errors(vec![Violation::new(
                        at,
                        "entity_tag",
                        detail,
                    )]));
                }
            }
        }
        Ok(Some(Self::Tags(tags)))
    }

    /// Strong comparison with a version: a weak tag never matches.
    pub(super) fn matches_strongly(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak && tag.version() == Some(version)),
        }
    }

    /// Weak comparison with a version.
    pub(super) fn matches_weakly(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.version() == Some(version)),
        }
    }

    /// Whether a client has the row as it would be shown: the version and the view are listed.
    pub(super) fn has(&self, version: i64, view: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.version() == Some(version) && tag.view == view),
        }
    }

    /// What a store is told: the versions that the tags name, none when no tag is one of ours.
    pub(super) fn expect(&self) -> Expect {
        match self {
            Self::Any => Expect::any(),
            Self::Tags(tags) => {
                Expect::versions(tags.iter().filter(|tag| !tag.weak).filter_map(Tag::version).collect())
            }
        }
    }
}

/// Weak comparison of an `If-None-Match` with the tag of an answer without a version.
pub(super) fn is_listed(condition: &Condition, tag: &HeaderValue) -> bool {
    match condition {
        Condition::Any => true,
        Condition::Tags(tags) => {
            let own = tag.as_bytes().trim_ascii();
            let own = own.strip_prefix(b"\"").and_then(|own| own.strip_suffix(b"\""));
            tags.iter().any(|tag| Some(tag.text.as_bytes()) == own)
        }
    }
}

fn parse(mut text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(tags);
        }
        let weak = text.starts_with("W/");
        let quoted = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
        let (inner, rest) = quoted.split_once('"')?;
        let own = inner.split('-').next().unwrap_or(inner);
        let (own, view) = own.split_once('.').unwrap_or((own, ""));
        tags.push(Tag { weak, text: own.to_owned(), view: view.to_owned() });
        text = rest.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(value: &str) -> Result<Option<Condition>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(value).unwrap());
        Condition::if_match(&headers)
    }

    #[test]
    fn tags_read_back_as_versions() {
        for version in [0, 1, 35, 36, 1_732_310_000_000_000, i64::MAX] {
            let tag = of_version(version);
            let condition = condition(tag.to_str().unwrap()).unwrap().unwrap();
            assert_eq!(condition.expect(), Expect::versions(vec![version]), "{tag:?}");
        }
    }

    #[test]
    fn suffixes_and_lists_are_understood() {
        let read = condition(r#" "z.abc" , W/"10", "11-gzip""#).unwrap().unwrap();
        assert_eq!(read.expect(), Expect::versions(vec![35, 37]));
        assert!(read.matches_weakly(36) && !read.matches_strongly(36));
        assert!(read.matches_strongly(35) && !read.matches_strongly(34));
        assert_eq!(condition("*").unwrap(), Some(Condition::Any));
        assert_eq!(condition("\"not ours!\"").unwrap().unwrap().expect(), Expect::versions(vec![]));
    }

    #[test]
    fn a_view_counts_for_reads_and_not_for_writes() {
        let view = view(b"id,name,");
        assert_eq!(view.len(), 8);
        assert_ne!(view, super::view(b"id,"));
        let tag = of_view(35, &view);
        let condition = condition(tag.to_str().unwrap()).unwrap().unwrap();
        assert_eq!(condition.expect(), Expect::versions(vec![35]));
        assert!(condition.has(35, &view) && !condition.has(35, "") && !condition.has(36, &view));
        assert_eq!(of_view(35, ""), of_version(35));
    }

    #[test]
    fn a_tag_without_quotes_is_a_bad_request() {
        for wrong in ["abc", "\"abc", "\"a\" \"b\"", "w/\"a\""] {
            assert_eq!(condition(wrong).unwrap_err().status(), 400, "{wrong}");
        }
    }

    #[test]
    fn every_byte_counts_in_a_digest() {
        let text = b"0123456789abcdefghi".to_vec();
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 1;
            assert_ne!(digest(&text), digest(&other));
        }
        assert_ne!(digest(b"a"), digest(b"a\0"));
        assert_ne!(digest(b""), digest(&[0; 8]));
    }
}
