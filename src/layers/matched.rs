//! The template that a path matched, whoever routes.

use http::Extensions;

/// Finds the template that a request's path matched, in what another router put into its extensions.
pub trait MatchedPath {
    /// The template; none where no route matched, or the router is not known.
    fn matched_path(&self, request: &Extensions) -> Option<String>;
}

impl<F> MatchedPath for F
where
    F: Fn(&Extensions) -> Option<String>,
{
    fn matched_path(&self, request: &Extensions) -> Option<String> {
        self(request)
    }
}

/// There is no other router.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMatchedPath;

impl MatchedPath for NoMatchedPath {
    fn matched_path(&self, _: &Extensions) -> Option<String> {
        None
    }
}
