//! What stands around a single route.

use super::draft::Around;
use crate::layers::RequireAuth;
use crate::python::catch::CatchLayer;
use crate::service::{ErrorFormat, Leaf, Requirement};

pub(super) fn guard_of(requirements: &[Requirement]) -> RequireAuth {
    requirements.iter().cloned().fold(RequireAuth::new(), RequireAuth::require)
}

/// `RequireAuth`, with what it asks for.
pub(super) fn guard_name(guard: &RequireAuth) -> String {
    match guard.to_string() {
        asked if asked.is_empty() => "RequireAuth".to_owned(),
        asked => format!("RequireAuth({asked})"),
    }
}

/// A leaf with its guard, what is offered to handlers of exceptions, and outside of that the layers around it.
pub(super) fn surrounded(
    mut leaf: Leaf,
    auth: Option<&[Requirement]>,
    errors: ErrorFormat,
    catch: Option<CatchLayer>,
    around: Around,
) -> Leaf {
    if let Some(requirements) = auth {
        let guard = guard_of(requirements).errors(errors);
        leaf = leaf.layer(guard_name(&guard), |route| route.layer(guard));
    }
    if let Some(catch) = catch {
        leaf = leaf.layer(CatchLayer::NAME, |route| route.layer(catch));
    }
    for layer in around.layers.iter().rev() {
        leaf = leaf.layer(layer.name(), |route| layer.apply(route));
    }
    leaf.skip(around.skips)
}
