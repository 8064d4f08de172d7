//! The exceptions that nobody expected, as far as somebody looks at them.
//!
//! They are those of the process: what is raised in a background task, or in a callback of a library, belongs to no app.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pyo3::intern;
use pyo3::prelude::*;
use serde_json::{Value as Json, json};

use crate::python::interrupt;

/// How many are kept.
const MOST: usize = 50;
/// In the long run no more are described than one in this time, since that takes time on the loop.
const APART: Duration = Duration::from_millis(50);
/// So many are at once.
const AT_ONCE: u32 = 10;

static KEPT: AtomicBool = AtomicBool::new(false);
static RECENT: Mutex<Recent> =
    Mutex::new(Recent { failures: VecDeque::new(), last: 0, passed_over: 0, credit: AT_ONCE, at: None });

struct Recent {
    failures: VecDeque<Arc<Failure>>,
    last: u64,
    /// Came too fast.
    passed_over: u64,
    /// How many may be described now, as of then.
    credit: u32,
    at: Option<Instant>,
}

/// An exception that nobody expected. No Python object, and nothing that a client sent but the path.
#[derive(Debug)]
pub(in crate::python) struct Failure {
    id: u64,
    /// Milliseconds since 1970.
    at: u64,
    whose: String,
    kind: String,
    message: String,
    /// `file:line` of the innermost frame in the user's code.
    place: String,
    /// The traceback, cut.
    text: String,
    request: OnceLock<String>,
}

/// A response extension: the answer stands for this failure.
#[derive(Debug)]
pub(in crate::python) struct Noted {
    pub(super) failure: Arc<Failure>,
    /// The traceback as HTML.
    pub(super) page: String,
}

impl Failure {
    /// Says which request it was; the first to say so knows.
    pub(super) fn belongs_to(&self, request: &str) {
        let _ = self.request.set(request.to_owned());
    }

    pub(super) fn title(&self) -> String {
        if self.message.is_empty() { self.kind.clone() } else { format!("{}: {}", self.kind, self.message) }
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn whose(&self) -> &str {
        &self.whose
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn to_json(&self) -> Json {
        json!({
            "id": self.id,
            "at": self.at,
            "whose": self.whose,
            "kind": self.kind,
            "message": self.message,
            "place": self.place,
            "text": self.text,
            "request": self.request.get(),
        })
    }
}

fn recent() -> MutexGuard<'static, Recent> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on failures are kept.
pub(in crate::python) fn keep() {
    KEPT.store(true, Ordering::Relaxed);
}

/// Keeps an exception if anybody looks.
pub(in crate::python) fn note(py: Python<'_>, error: &PyErr, whose: &str) -> Option<Arc<Noted>> {
    if !KEPT.load(Ordering::Relaxed) || !recent().admit() {
        return None;
    }
    let described = interrupt::noting(py, describe(py, error));
    let Described { kind, message, place, text, page } = described.unwrap_or_else(|failure| Described {
        kind: "an exception".to_owned(),
        message: String::new(),
        place: String::new(),
        text: format!("It cannot be described: {failure}"),
        page: "<p>It cannot be described.</p>".to_owned(),
    });
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let at = u64::try_from(at).unwrap_or(u64::MAX);
    let mut recent = recent();
    recent.last += 1;
    let (id, request) = (recent.last, OnceLock::new());
    let failure = Arc::new(Failure { id, at, whose: whose.to_owned(), kind, message, place, text, request });
    if recent.failures.len() == MOST {
        recent.failures.pop_front();
    }
    recent.failures.push_back(failure.clone());
    Some(Arc::new(Noted { failure, page }))
}

impl Recent {
    fn admit(&mut self) -> bool {
        let now = Instant::now();
        let since = now.duration_since(*self.at.get_or_insert(now));
        let earned = u32::try_from(since.as_millis() / APART.as_millis()).unwrap_or(AT_ONCE);
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(AT_ONCE);
            self.at = Some(now);
        }
        let Some(left) = self.credit.checked_sub(1) else {
            self.passed_over += 1;
            return false;
        };
        self.credit = left;
        true
    }
}

#[derive(FromPyObject)]
struct Described {
    kind: String,
    message: String,
    place: String,
    text: String,
    page: String,
}

fn describe(py: Python<'_>, error: &PyErr) -> PyResult<Described> {
    let value = error.value(py);
    // A value that was raised may have lost its traceback, as one that was set by hand.
    let traceback = error.traceback(py);
    let described = py.import("ziggurat._failures")?.call_method1(intern!(py, "described"), (value, traceback))?;
    described.extract()
}

/// The number of the last one, and how many were passed over.
pub(super) fn counts() -> (u64, u64) {
    let recent = recent();
    (recent.last, recent.passed_over)
}

/// All that are kept, the last one first.
pub(super) fn all() -> Json {
    let failures: Vec<_> = recent().failures.iter().rev().cloned().collect();
    failures.iter().map(|failure| failure.to_json()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_come_too_fast_are_passed_over() {
        let mut recent = Recent { failures: VecDeque::new(), last: 0, passed_over: 0, credit: AT_ONCE, at: None };
        let begun = Instant::now();
        let admitted = (0..1000).filter(|_| recent.admit()).count();
        let later = usize::try_from(begun.elapsed().as_millis() / APART.as_millis()).unwrap();
        let least = AT_ONCE as usize;
        assert!((least..=least + later + 1).contains(&admitted), "{admitted}");
        assert_eq!(recent.passed_over, 1000 - admitted as u64);
        std::thread::sleep(APART);
        assert!(recent.admit());
    }
}
