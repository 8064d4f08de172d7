//! What an app says of a problem of its own, in the members that RFC 9457 leaves to it.

use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use super::Problem;

/// What is to stand in a document in place of the framework's words, and beside them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnWords {
    /// `type`, a URI reference (RFC 9457, 3.1.1).
    pub(crate) kind: Option<String>,
    pub(crate) title: Option<String>,
    /// `instance`, a URI reference (RFC 9457, 3.1.5).
    pub(crate) instance: Option<String>,
    /// A `detail` that is no text, as JSON. A problem document has it under another name, since its `detail` is a text (RFC 9457, 3.1.4).
    pub(crate) details: Option<Box<RawValue>>,
    /// Further members, none of which has the name of a standard one.
    pub(crate) members: Vec<(String, Box<RawValue>)>,
}

impl Problem {
    /// The same, as an app tells of it.
    #[must_use]
    pub(crate) fn in_own_words(mut self, mut words: OwnWords) -> Self {
        if let Some(title) = words.title.take() {
            self.0.title = title.into();
        }
        self.0.own = words;
        self
    }
}

impl OwnWords {
    /// Writes what stands behind the members that the framework knows.
    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(instance) = &self.instance {
            map.serialize_entry("instance", instance)?;
        }
        if let Some(details) = &self.details {
            map.serialize_entry("details", details)?;
        }
        self.members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::service::ErrorFormat;

    #[test]
    fn an_app_has_words_of_its_own() {
        let left = RawValue::from_string("[1, 2.50]".to_owned()).unwrap();
        let words = OwnWords {
            kind: Some("/problems/sold-out".to_owned()),
            title: Some("Sold out".to_owned()),
            instance: Some("/orders/7".to_owned()),
            details: None,
            members: vec![("left".to_owned(), left)],
        };
        let problem = Problem::of(StatusCode::CONFLICT).detail("no more").in_own_words(words);
        assert_eq!(
            problem.to_bytes(),
            concat!(
                r#"{"type":"/problems/sold-out","title":"Sold out","status":409,"detail":"no more","#,
                r#""instance":"/orders/7","left":[1, 2.50]}"#
            )
        );
    }

    #[test]
    fn a_detail_that_is_no_text_has_another_name() {
        let details = RawValue::from_string(r#"{"code": 7}"#.to_owned()).unwrap();
        let words = OwnWords { details: Some(details), ..OwnWords::default() };
        let problem = Problem::of(StatusCode::CONFLICT).in_own_words(words);
        let rest = r#""title":"Conflict","status":409,"details":{"code": 7}}"#;
        assert_eq!(problem.to_bytes(), format!(r#"{{"type":"https://ziggurat.dev/e/conflict",{rest}"#));
        let (status, document) = ErrorFormat::FastApi.document(&problem, |_, _| true);
        assert_eq!((status.as_u16(), &document[..]), (409, &br#"{"detail":{"code": 7}}"#[..]));
    }
}
