//! Routes that no request can reach.

use crate::ConfigError;
use crate::layers::LayerSpec;
use crate::service::RouteTable;

/// Where slashes are taken off the end of paths, no route may end with one.
pub(super) fn check(layers: &[LayerSpec], table: &RouteTable) -> Result<(), ConfigError> {
    if !layers.iter().any(|layer| matches!(layer, LayerSpec::NormalizePath(_))) {
        return Ok(());
    }
    let unreached = table.leaves().iter().find(|leaf| leaf.path.len() > 1 && leaf.path.ends_with('/'));
    unreached.map_or(Ok(()), |leaf| {
        let what = format!(
            "{} at {} is reached by no request: NormalizePath takes the slash at the end off",
            leaf.name, leaf.path
        );
        Err(ConfigError::new(what)
            .cure("write its path without the slash, or leave layers.NormalizePath out")
            .at_if_known(&leaf.location))
    })
}
