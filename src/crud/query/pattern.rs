//! Texts with wildcards.

use std::sync::{Arc, OnceLock};

use regex::Regex;

/// A text in which anything may stand between the pieces: `a*b` has the pieces `a` and `b`.
///
/// A regular expression made of it is the same for both stores: the pieces are escaped, and only `.*` is between them.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Never empty; an empty first or last piece leaves that end open.
    pieces: Vec<String>,
    fold: bool,
    /// Compiled when it is first asked for, once for all clones.
    regex: Arc<OnceLock<Option<Regex>>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.pieces, self.fold) == (&other.pieces, other.fold)
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// A pattern; with `fold` letters are the same whether small or capital (Unicode simple case folding).
    pub fn new(pieces: impl IntoIterator<Item = String>, fold: bool) -> Self {
        let mut pieces: Vec<String> = pieces.into_iter().collect();
        if pieces.is_empty() {
            pieces.push(String::new());
        }
        Self { pieces, fold, regex: Arc::default() }
    }

    /// A text that holds `part`.
    pub fn containing(part: String) -> Self {
        Self::new([String::new(), part, String::new()], false)
    }

    /// Whether small and capital letters are the same.
    pub const fn folds(&self) -> bool {
        self.fold
    }

    /// Whether there is no wildcard in it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.pieces.len() == 1
    }

    /// The text itself, where there is no wildcard in it.
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    pub(crate) fn whole(&self) -> Option<&str> {
        match &self.pieces[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The regular expression without its ends, in the words that Rust, PCRE and Python share; dots are to match line
    /// ends too.
    pub(crate) fn source(&self) -> String {
        let escaped: Vec<String> =
            self.pieces.iter().map(|piece| regex::escape(piece).replace('\0', "\\x00")).collect();
        escaped.join(".*")
    }

    /// The regular expression as Rust's crate compiles it.
    pub(crate) fn anchored(&self) -> String {
        format!("(?s{}:\\A{}\\z)", if self.fold { "i" } else { "" }, self.source())
    }

    /// Whether a text is like this.
    pub fn matches(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| Regex::new(&self.anchored()).ok());
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}
