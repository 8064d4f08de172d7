//! Answers of which nothing has changed since: a client that asks again is told so without asking the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::HeaderValue;

use super::etag::{self, Condition};

/// Answers that are remembered; then all are forgotten, as it costs one query each to know them again.
const MOST: usize = 1024;

/// What was answered, by what was asked.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<HashMap<u64, Known>>);

#[derive(Debug)]
struct Known {
    /// How many writes there were in the store before the answer.
    writes: u64,
    tag: HeaderValue,
    /// Those of the 304.
    headers: HeaderMap,
}

/// Something that was asked at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) question: u64,
    pub(super) writes: u64,
}

impl Memo {
    /// The headers of a 304, if nothing was written since the answer that the client has.
    pub(super) fn unchanged(&self, asked: Asked, condition: &Condition) -> Option<HeaderMap> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&asked.question).filter(|known| known.writes == asked.writes)?;
        etag::is_listed(condition, &known.tag).then(|| known.headers.clone())
    }

    /// Remembers an answer; `asked` was made before it.
    pub(super) fn remember(&self, asked: Asked, tag: HeaderValue, headers: HeaderMap) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&asked.question) {
            known.clear();
        }
        known.insert(asked.question, Known { writes: asked.writes, tag, headers });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_known_until_something_is_written() {
        let memo = Memo::default();
        let tag = HeaderValue::from_static("\"abc\"");
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(http::header::IF_NONE_MATCH, HeaderValue::from_static(text))]);
            Condition::if_none_match(&headers).unwrap().unwrap()
        };
        let asked = |question, writes| Asked { question, writes };
        memo.remember(asked(1, 5), tag.clone(), HeaderMap::new());
        assert!(memo.unchanged(asked(1, 5), &of("\"abc\"")).is_some());
        assert!(memo.unchanged(asked(1, 5), &of("W/\"x\", \"abc\"")).is_some());
        assert!(memo.unchanged(asked(1, 5), &of("\"abd\"")).is_none());
        assert!(memo.unchanged(asked(1, 6), &of("\"abc\"")).is_none());
        assert!(memo.unchanged(asked(2, 5), &of("\"abc\"")).is_none());
        for question in 2..=MOST as u64 + 1 {
            memo.remember(asked(question, 5), tag.clone(), HeaderMap::new());
        }
        assert!(memo.unchanged(asked(1, 5), &of("\"abc\"")).is_none(), "it was forgotten");
        assert!(memo.unchanged(asked(MOST as u64 + 1, 5), &of("\"abc\"")).is_some());
    }
}
