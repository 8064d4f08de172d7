//! Routes that no request can reach.

use http::Method;

use crate::ConfigError;
use crate::layers::LayerSpec;
use crate::service::{LeafInfo, RouteTable};

fn is_asked(leaf: &LeafInfo) -> bool {
    matches!(leaf.method, None | Some(Method::GET | Method::HEAD))
}

/// Whether it is what is mounted at the path without the slash, too, so that nothing is lost.
fn is_mount(table: &RouteTable, leaf: &LeafInfo) -> bool {
    let without = leaf.path.trim_end_matches('/');
    let is_same =
        |other: &LeafInfo| *other.path == *without && (&other.name, &other.location) == (&leaf.name, &leaf.location);
    leaf.method.is_none() && table.leaves().iter().any(|other| is_same(other))
}

/// Refuses a route whose requests a layer keeps to itself.
pub(super) fn check(layers: &[LayerSpec], table: &RouteTable) -> Result<(), ConfigError> {
    layers.iter().try_for_each(|layer| match layer {
        LayerSpec::NormalizePath(_) => {
            let is_kept = |leaf: &LeafInfo| leaf.path.len() > 1 && leaf.path.ends_with('/') && !is_mount(table, leaf);
            refuse(table, is_kept, "NormalizePath", "takes the slash at the end off")
        }
        LayerSpec::HealthCheck(spec) => {
            let is_answered = |path: &str| spec.paths.iter().chain(&spec.ready_paths).any(|own| own == path);
            let is_kept = |leaf: &LeafInfo| is_asked(leaf) && is_answered(&leaf.path);
            refuse(table, is_kept, "HealthCheck", "answers there")
        }
        LayerSpec::Metrics(spec) => {
            let is_kept = |leaf: &LeafInfo| spec.path.as_deref() == Some(&*leaf.path) && is_asked(leaf);
            refuse(table, is_kept, "Metrics", "answers there")
        }
        LayerSpec::Redirect(spec) => {
            refuse(table, |leaf| spec.paths.contains_key(&*leaf.path), "Redirect", "leads elsewhere")
        }
        _ => Ok(()),
    })
}

fn refuse(
    table: &RouteTable,
    is_unreached: impl Fn(&LeafInfo) -> bool,
    layer: &str,
    why: &str,
) -> Result<(), ConfigError> {
    let Some(leaf) = table.leaves().iter().find(|leaf| is_unreached(leaf)) else { return Ok(()) };
    Err(ConfigError::new(format!("{} at {} is reached by no request: {layer} {why}", leaf.name, leaf.path))
        .cure(format!("give it another path, or leave layers.{layer} out"))
        .at_if_known(&leaf.location))
}
