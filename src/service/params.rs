//! What the path of a request said.

use std::sync::Arc;

/// The parameters of the matched path, percent-decoded, in the order in which the path names them.
///
/// A request extension, set by the dispatcher when the path has parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathParams(Arc<[(Arc<str>, Box<str>)]>);

impl PathParams {
    pub(super) fn new(pairs: Vec<(Arc<str>, Box<str>)>) -> Self {
        Self(pairs.into())
    }

    /// The value of the parameter called `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The value of the parameter at `index`, counted from the left of the path.
    pub fn at(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// Names and values from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}
