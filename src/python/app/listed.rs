//! The routes of an app and what requests to them pass, as JSON.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::built::Built;
use crate::crud::{Resource, openapi_of};
use crate::python::pages::Live;
use crate::service::LeafInfo;

/// The route table.
pub(super) fn routes(built: &Built) -> String {
    let routes = built.stack.table().leaves().iter().map(|leaf| {
        let passes: Vec<&str> = built.passes(leaf, None).map(|(name, _)| name).collect();
        json!({
            "method": method_of(leaf),
            "path": &*leaf.path,
            "name": leaf.name,
            "kind": leaf.kind.as_str(),
            "location": leaf.location,
            "stack": passes,
            "enters_python": built.passes(leaf, None).any(|(_, python)| python),
            "middleware": built.wrapping(leaf, None).collect::<Vec<_>>(),
            "hooks": leaf.hooks,
        })
    });
    Value::from_iter(routes).to_string()
}

/// The parts of the OpenAPI document for `resources`, but those at the places in `hidden`.
pub(super) fn crud_openapi(resources: &[Resource], hidden: &[usize]) -> String {
    let shown = resources.iter().enumerate().filter(|(place, _)| !hidden.contains(place));
    openapi_of(shown.map(|(_, resource)| resource)).to_string()
}

/// What a request to a concrete path passes, for each method that is answered there.
pub(super) fn stacks(built: &Built, path: &str) -> String {
    let stacks = built.stack.table().at(path).into_iter().map(|leaf| {
        let passes: Vec<(&str, bool)> = built.passes(&leaf, Some(path)).collect();
        let python: Vec<&str> = passes.iter().filter(|(_, python)| *python).map(|(name, _)| *name).collect();
        json!({
            "method": method_of(&leaf),
            "passes": passes.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "enters_python": python,
        })
    });
    Value::from_iter(stacks).to_string()
}

/// For the page that shows the app at work: the towers of all routes but those of the page itself.
pub(super) fn towers(built: &Built, live: &Live) -> Bytes {
    let leaves = built.stack.table().leaves().iter().filter(|leaf| !live.is_own(&leaf.path));
    let routes = leaves.map(|leaf| {
        let passes = built.passes(leaf, None).map(|(name, python)| json!({"name": name, "python": python}));
        json!({
            "method": method_of(leaf),
            "path": &*leaf.path,
            "name": leaf.name,
            "kind": leaf.kind.as_str(),
            "location": leaf.location,
            "hooks": leaf.hooks.len(),
            "passes": passes.collect::<Vec<_>>(),
        })
    });
    Value::from_iter(routes).to_string().into()
}

/// The method of a route, as it is shown.
fn method_of(leaf: &LeafInfo) -> Option<&str> {
    if leaf.websocket { Some("WEBSOCKET") } else { leaf.method.as_ref().map(Method::as_str) }
}
