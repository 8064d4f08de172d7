//! Layers of others, by the names under which descriptions ask for them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{BuiltLayer, LayerSpec, unreadable};
use crate::ConfigError;

type Make = Arc<dyn Fn(Map<String, Value>) -> Result<BuiltLayer, ConfigError> + Send + Sync>;

static MADE_BY: RwLock<BTreeMap<String, Make>> = RwLock::new(BTreeMap::new());

/// Has descriptions of `type` `name` understood, in this whole process: `make` makes the layer of its settings.
///
/// ```
/// use serde::Deserialize;
/// use ziggurat::layers::{BuiltLayer, LayerSpec, TimeoutLayer, spec::register_layer};
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Patience { minutes: u64 }
///
/// register_layer("Patience", |settings: Patience| {
///     let limit = std::time::Duration::from_secs(settings.minutes * 60);
///     Ok(BuiltLayer::new("Patience", TimeoutLayer::new(limit)))
/// }).unwrap();
///
/// let layer = LayerSpec::from_json(r#"{"type": "Patience", "minutes": 5}"#).unwrap().build().unwrap();
/// assert_eq!(layer.name(), "Patience");
/// let error = LayerSpec::from_json(r#"{"type": "Patience", "hours": 5}"#).unwrap_err();
/// assert!(error.to_string().contains("layer Patience: unknown field `hours`"));
/// ```
///
/// # Errors
/// When a layer is called so already.
pub fn register_layer<S: DeserializeOwned>(
    name: impl Into<String>,
    make: impl Fn(S) -> Result<BuiltLayer, ConfigError> + Send + Sync + 'static,
) -> Result<(), ConfigError> {
    let name = name.into();
    let wrong = |what: &str| ConfigError::new(format!("a layer {name:?} cannot be registered: {what}"));
    if LayerSpec::is_known(&name) {
        return Err(wrong("there is one of this name").cure("give it another name"));
    }
    let described = format!(r#"{{"type": {}}}"#, Value::from(&*name));
    let make: Make = Arc::new(move |settings| match S::deserialize(Value::from(settings)) {
        Ok(settings) => make(settings),
        Err(error) => Err(unreadable(&described, &error)),
    });
    let mut made_by = MADE_BY.write().unwrap_or_else(PoisonError::into_inner);
    if made_by.contains_key(&name) {
        return Err(wrong("it is registered already").cure("register it once"));
    }
    made_by.insert(name, make);
    Ok(())
}

impl LayerSpec {
    /// Whether a layer of this crate is called so.
    pub fn is_known(name: &str) -> bool {
        let bare = Self::known(&format!(r#"{{"type": {}}}"#, Value::from(name)));
        bare.map_or_else(|error| !error.to_string().starts_with("unknown variant"), |_| true)
    }
}

/// The layer of a description whose `type` was registered; none of any other.
pub(super) fn made(json: &str) -> Option<Result<BuiltLayer, ConfigError>> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "type")]
        name: String,
        #[serde(flatten)]
        settings: Map<String, Value>,
    }
    let make = |name: &str| MADE_BY.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let Named { name, settings } = serde_json::from_str(json).ok()?;
    Some(make(&name)?(settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::TimeoutLayer;

    #[test]
    fn a_name_is_taken_once() {
        let register = |name: &str| {
            let make = |_: Map<String, Value>| Ok(BuiltLayer::new("x", TimeoutLayer::default()));
            register_layer(name, make).map_err(|error| error.to_string())
        };
        for ours in ["Trace", "RateLimit", "Hosts", "Jwt"] {
            assert!(register(ours).unwrap_err().contains("there is one of this name"), "{ours}");
        }
        assert_eq!(register("OfATest"), Ok(()));
        assert!(register("OfATest").unwrap_err().contains("registered already"));
    }
}
