//! Which layer has to stand outside of which.
//!
//! A wrong order is a mistake that shows late: a browser whose preflight request is refused for want of a token, an entity
//! tag that is another for each content coding. So layers say where they have to stand, and [`check_order`] refuses a list
//! in which one does not, with the right list.

use std::borrow::Cow;

use super::BuiltLayer;
use crate::ConfigError;

/// That a layer has to stand outside of another, where both are there.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    outer: Cow<'static, str>,
    inner: Cow<'static, str>,
    /// Ends the sentence "X has to stand outside of Y: ".
    why: Cow<'static, str>,
}

impl Rule {
    pub(super) fn new(
        outer: impl Into<Cow<'static, str>>,
        inner: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { outer: outer.into(), inner: inner.into(), why: why.into() }
    }

    /// That it is not kept.
    fn broken(&self) -> ConfigError {
        let Self { outer, inner, why } = self;
        ConfigError::new(format!("{inner} stands outside of {outer}, and has to stand inside of it: {why}"))
    }
}

const PREFLIGHT: &str =
    "a preflight request carries no credentials, and what refuses it hides the answer from the page";
const WHO: &str = "who may not pass it gets nothing that was kept for others";
const CLIENT: &str = "it asks who the client is";
const COUNTED: &str = "what is refused further out is not counted";

/// What is known of the layers of this crate.
const KNOWN: &[(&str, &str, &str)] = &[
    ("Cors", "Jwt", PREFLIGHT),
    ("Cors", "ApiKey", PREFLIGHT),
    ("Cors", "Basic", PREFLIGHT),
    ("Cors", "Csrf", PREFLIGHT),
    ("Cors", "RateLimit", PREFLIGHT),
    ("ClientIp", "Metrics", CLIENT),
    ("ClientIp", "Otel", CLIENT),
    ("ClientIp", "Trace", CLIENT),
    ("ClientIp", "RateLimit", CLIENT),
    ("Metrics", "Hosts", COUNTED),
    ("Metrics", "Timeout", "an answer that comes too late would count as a client that has left"),
    ("Metrics", "LoadShed", COUNTED),
    ("Metrics", "Csrf", COUNTED),
    ("Metrics", "RateLimit", COUNTED),
    ("Metrics", "ApiKey", COUNTED),
    ("Metrics", "Basic", COUNTED),
    ("Metrics", "Jwt", COUNTED),
    ("NormalizePath", "BodyLimit", "limits of single paths go by the path that routes have"),
    ("Static", "NormalizePath", "it tells directories by the slash at the end of their paths"),
    ("Jwt", "Cache", WHO),
    ("ApiKey", "Cache", WHO),
    ("Basic", "Cache", WHO),
    ("Csrf", "Cache", WHO),
    ("Hosts", "Cache", WHO),
    ("RateLimit", "Cache", WHO),
    ("Cors", "Cache", "what is kept is the same for pages of all origins"),
    ("Compression", "Cache", "answers are kept as they are before they are compressed, once for all clients"),
    ("Compression", "Etag", "an entity tag is of the answer as it is before it is compressed"),
];

/// Checks that the layers, outermost first, stand where they have to.
///
/// # Errors
/// When one stands outside of another that has to be outside of it; the error says why, and names the right order.
pub fn check_order(layers: &[&BuiltLayer]) -> Result<(), ConfigError> {
    let rules = rules(layers.iter().copied(), true);
    let mut order: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
    let Some((_, _, first)) = misplaced(&order, &rules) else { return Ok(()) };
    // Each move sets one pair right; rules that contradict each other would go on for ever.
    for _ in 0..order.len() * order.len() {
        let Some((inner, outer, _)) = misplaced(&order, &rules) else { break };
        let moved = order.remove(outer);
        order.insert(inner, moved);
    }
    Err(match misplaced(&order, &rules) {
        None => first.broken().cure(format!("give them in this order: {}", order.join(", "))),
        Some(_) => first.broken().cure(CONTRADICTION),
    })
}

const CONTRADICTION: &str = "leave one of the two out; the layers contradict each other";

/// The same of the layers that a route has inside of those of the app which it passes, each outermost first. What has to do with
/// answers that are kept is asked of routes that `may_be_kept` alone.
///
/// # Errors
/// When one stands outside of another that has to be outside of it. Since no order of its own puts a layer of the route outside of
/// one of the app, the error says which of the app's to skip.
#[cfg(feature = "python")]
pub(crate) fn check_order_around(
    of_app: &[&BuiltLayer],
    of_route: &[BuiltLayer],
    may_be_kept: bool,
) -> Result<(), ConfigError> {
    let rules = rules(of_app.iter().copied().chain(of_route), may_be_kept);
    let mut of_app: Vec<&str> = of_app.iter().map(|layer| layer.name()).collect();
    let mut of_route: Vec<&str> = of_route.iter().map(BuiltLayer::name).collect();
    let Some((_, _, first)) = misplaced(&[&of_app[..], &of_route].concat(), &rules) else { return Ok(()) };
    let mut skipped = Vec::new();
    for _ in 0..(of_app.len() + of_route.len()).pow(2) {
        let Some((inner, outer, _)) = misplaced(&[&of_app[..], &of_route].concat(), &rules) else { break };
        // That of the app was checked by itself.
        let Some(outer) = outer.checked_sub(of_app.len()) else { break };
        match inner.checked_sub(of_app.len()) {
            None => {
                let name = of_app[inner];
                of_app.retain(|other| *other != name);
                skipped.push(name);
                if !of_route.contains(&name) {
                    of_route.insert(outer + 1, name);
                }
            }
            Some(inner) => {
                let moved = of_route.remove(outer);
                of_route.insert(inner, moved);
            }
        }
    }
    let order = of_route.join(", ");
    let cure = if misplaced(&[&of_app[..], &of_route].concat(), &rules).is_some() {
        CONTRADICTION.to_owned()
    } else if skipped.is_empty() {
        format!("give the layers of the route, those of its router first, in this order: {order}")
    } else {
        format!(
            "what a route has stands inside of what the app has: give this route skip_layers={skipped:?} and layers in this order, \
             or without what it skips: {order}"
        )
    };
    Err(first.broken().cure(cure))
}

/// What is asked of these layers.
fn rules<'l>(layers: impl IntoIterator<Item = &'l BuiltLayer>, may_be_kept: bool) -> Vec<Rule> {
    let known = KNOWN.iter().filter(|(_, inner, _)| may_be_kept || *inner != "Cache");
    let known = known.map(|(outer, inner, why)| Rule::new(*outer, *inner, *why));
    known.chain(layers.into_iter().flat_map(|layer| layer.rules.iter().cloned())).collect()
}

/// The places of an inner layer and of the outer one that comes after it.
fn misplaced<'r>(order: &[&str], rules: &'r [Rule]) -> Option<(usize, usize, &'r Rule)> {
    rules.iter().find_map(|rule| {
        let inner = order.iter().position(|name| *name == rule.inner)?;
        let outer = order.iter().skip(inner + 1).position(|name| *name == rule.outer)? + inner + 1;
        // Where it is there twice, the one further out counts.
        let is_outside_too = order[..inner].iter().any(|name| *name == rule.outer);
        (!is_outside_too).then_some((inner, outer, rule))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::LayerSpec;

    fn built(names: &[&str]) -> Vec<BuiltLayer> {
        let spec = |name: &&str| match *name {
            "Cors" => r#"{"type": "Cors", "allow_origins": ["*"]}"#.to_owned(),
            "Jwt" => r#"{"type": "Jwt", "secret": "0123456789abcdef0123456789abcdef"}"#.to_owned(),
            name => format!(r#"{{"type": "{name}"}}"#),
        };
        names.iter().map(|name| LayerSpec::from_json(&spec(name)).unwrap().build().unwrap()).collect()
    }

    fn check(layers: &[BuiltLayer]) -> Result<(), String> {
        check_order(&layers.iter().collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn layers_stand_where_they_have_to() {
        assert_eq!(check(&built(&["Trace", "Cors", "Compression", "Etag", "BodyLimit", "Jwt"])), Ok(()));
        assert_eq!(check(&built(&["Etag", "Trace"])), Ok(()), "of layers that are not there nothing is asked");
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn a_wrong_order_is_refused_with_the_right_one() {
        let error = check(&built(&["Etag", "Jwt", "Trace", "Compression", "Cors"])).unwrap_err();
        assert!(error.contains("Jwt stands outside of Cors"), "{error}");
        assert!(error.contains("a preflight request carries no credentials"), "{error}");
        assert!(error.ends_with("give them in this order: Compression, Etag, Cors, Jwt, Trace"), "{error}");
    }

    #[test]
    fn layers_of_others_say_where_they_stand() {
        let mut layers = built(&["Trace", "Compression"]);
        layers[1] = layers[1].clone().outside_of("Trace", "it may");
        let error = check(&layers).unwrap_err();
        assert!(
            error.contains("Compression has to") || error.contains("Trace stands outside of Compression"),
            "{error}"
        );
        assert!(error.ends_with("give them in this order: Compression, Trace"), "{error}");
        layers[0] = layers[0].clone().outside_of("Compression", "it must");
        assert!(check(&layers).unwrap_err().contains("contradict each other"));
    }

    #[test]
    fn refusals_are_counted() {
        assert_eq!(check(&built(&["CatchPanic", "Metrics", "Timeout", "Jwt"])), Ok(()));
        let error = check(&built(&["Jwt", "Metrics"])).unwrap_err();
        assert!(error.contains("what is refused further out is not counted"), "{error}");
        let error = check(&built(&["Timeout", "Metrics"])).unwrap_err();
        assert!(error.ends_with("give them in this order: Metrics, Timeout"), "{error}");
    }

    #[cfg(feature = "python")]
    #[test]
    fn layers_of_a_route_cannot_stand_outside_of_those_of_the_app() {
        let around = |of_app: &[&str], of_route: &[&str], may_be_kept| {
            let (of_app, of_route) = (built(of_app), built(of_route));
            check_order_around(&of_app.iter().collect::<Vec<_>>(), &of_route, may_be_kept)
                .map_err(|error| error.to_string())
        };
        assert_eq!(around(&["Trace", "Compression"], &["Etag"], true), Ok(()));
        let error = around(&["Trace", "Cache", "Etag"], &["Jwt", "Compression"], true).unwrap_err();
        assert!(error.starts_with("Cache stands outside of Jwt"), "{error}");
        assert!(
            error.contains("give this route skip_layers=[\"Cache\", \"Etag\"] and layers in this order"),
            "{error}"
        );
        assert!(error.ends_with(": Jwt, Compression, Etag, Cache"), "{error}");
        // It can be followed.
        assert_eq!(around(&["Trace"], &["Jwt", "Compression", "Etag", "Cache"], true), Ok(()));
        assert_eq!(around(&["Trace"], &["Jwt", "Compression"], true), Ok(()));
        // Nothing is kept of what a POST is answered.
        assert_eq!(around(&["Cache"], &["Jwt", "Compression"], false), Ok(()));
        let error = around(&["Cache"], &["Etag", "Compression"], false).unwrap_err();
        assert!(error.ends_with("those of its router first, in this order: Compression, Etag"), "{error}");
        // Of two of the app both are skipped.
        let error = around(&["Cache", "Trace", "Cache"], &["Jwt"], true).unwrap_err();
        assert!(error.contains("skip_layers=[\"Cache\"]") && error.ends_with(": Jwt, Cache"), "{error}");
    }

    #[test]
    fn of_two_alike_the_outer_one_counts() {
        let twice = built(&["Compression", "Etag", "Compression"]);
        assert_eq!(check(&twice), Ok(()));
    }
}
