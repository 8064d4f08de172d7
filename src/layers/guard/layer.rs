use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::Guarded;
use crate::service::{ErrorFormat, Requirement};

/// Guards a route: only requests with [`Claims`](super::Claims) pass, and only when these have all that is asked for.
///
/// It applies [`Guarded`]. See the [module](super) for examples.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RequireAuth {
    requirements: Vec<Requirement>,
    errors: ErrorFormat,
}

impl RequireAuth {
    /// Any caller that is known passes.
    pub const fn new() -> Self {
        Self { requirements: Vec::new(), errors: ErrorFormat::Problem }
    }

    /// Asks for one more scope.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.require(Requirement::scope(scope))
    }

    /// Asks for more scopes.
    pub fn scopes<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        scopes.into_iter().fold(self, Self::scope)
    }

    /// Asks for one more thing.
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.requirements.push(requirement);
        self
    }

    /// How a refusal is told.
    pub const fn errors(mut self, format: ErrorFormat) -> Self {
        self.errors = format;
        self
    }
}

/// What is asked for, as a printed stack shows it: `notes:write, role editor`.
impl fmt::Display for RequireAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for scope in self.requirements.iter().filter_map(Requirement::as_scope) {
            write!(f, "{before}{scope}")?;
            before = " ";
        }
        let mut before = if before.is_empty() { "" } else { ", " };
        for other in self.requirements.iter().filter(|requirement| requirement.as_scope().is_none()) {
            write!(f, "{before}{other}")?;
            before = ", ";
        }
        Ok(())
    }
}

impl<S> Layer<S> for RequireAuth {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, requirements: Arc::from(&self.requirements[..]), errors: self.errors }
    }
}
