//! Path templates: `/users/{id}` and `/files/{path:path}`.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::ConfigError;

/// What clients percent-encode in a path (WHATWG URL, path percent-encode set), as far as it can stand in a template.
const ENCODED: &AsciiSet = &CONTROLS.add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'}');

/// A route's path as its author wrote it.
///
/// `{name}` matches one segment, `{name:path}` the rest of the path (at least one character). A literal brace is written
/// twice. Other text is matched as clients send it, that is with what is not ASCII percent-encoded.
#[derive(Debug, Clone)]
pub struct PathTemplate {
    text: Arc<str>,
    /// The template with its parameters named by position, so that `/a/{x}` and `/a/{y}` are one path.
    shape: String,
    names: Vec<Arc<str>>,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When the path does not begin with `/`, a brace is left open, a parameter has no name or a name used before, is not
    /// alone in its segment, or a `{name:path}` is not the last segment.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |what: String| Err(ConfigError::new(format!("path {text:?}: {what}")));
        if !text.starts_with('/') {
            return wrong(format!("a path begins with a slash; write \"/{text}\""));
        }
        if let Some(bad) = text.chars().find(|c| matches!(c, '?' | '#') || c.is_whitespace()) {
            return wrong(format!("{bad:?} cannot stand in a path"));
        }
        let mut shape = String::with_capacity(text.len());
        let mut names: Vec<Arc<str>> = Vec::new();
        let segments: Vec<&str> = text[1..].split('/').collect();
        for (index, segment) in segments.iter().enumerate() {
            shape.push('/');
            let literal = segment.replace("{{", "").replace("}}", "");
            if !literal.contains(['{', '}']) {
                let literal = segment.replace("{{", "{").replace("}}", "}");
                shape.extend(utf8_percent_encode(&literal, ENCODED));
                continue;
            }
            let Some(inner) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
                return wrong(format!(
                    "{segment:?} mixes text and a parameter; give the parameter a segment of its own"
                ));
            };
            let (name, rest) = match inner.split_once(':') {
                Some((name, "path")) => (name, true),
                Some((name, kind)) => {
                    return wrong(format!(
                        "{{{name}:{kind}}} names a converter that does not exist; \
                         write {{{name}}} and annotate the handler's parameter"
                    ));
                }
                None => (inner, false),
            };
            let valid = |c: char| c.is_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(valid) || name.starts_with(|c: char| c.is_numeric()) {
                return wrong(format!("{segment:?} is not a parameter; write {{name}}"));
            }
            if names.iter().any(|other| **other == *name) {
                return wrong(format!("the parameter {name:?} stands there twice"));
            }
            if rest && index + 1 != segments.len() {
                return wrong(format!("{{{name}:path}} takes the rest, so it must come last"));
            }
            let star = if rest { "*" } else { "" };
            shape.push_str(&format!("{{{star}p{}}}", names.len()));
            names.push(name.into());
        }
        Ok(Self { text: text.into(), shape, names })
    }

    /// The template as it was written.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The names of its parameters from left to right.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Whether a request could match this template as well as `other`, with neither being the more precise one.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let kind = |segment: &str| (segment.starts_with("{p"), segment.starts_with("{*"));
        for (a, b) in self.shape.split('/').zip(other.shape.split('/')) {
            match (kind(a), kind(b)) {
                ((true, _), (_, true)) | ((_, true), (true, _)) => return true,
                _ if a != b => return false,
                _ => {}
            }
        }
        self.shape == other.shape
    }

    /// As it is matched, with its parameters named by position.
    pub(crate) fn shape(&self) -> &str {
        &self.shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &str) -> String {
        PathTemplate::parse(path).map(|_| String::new()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn names_do_not_change_the_shape() -> Result<(), ConfigError> {
        let a = PathTemplate::parse("/users/{id}/posts/{post}")?;
        let b = PathTemplate::parse("/users/{user_id}/posts/{n}")?;
        assert_eq!(a.shape(), b.shape());
        assert_eq!(a.names(), ["id", "post"].map(Arc::<str>::from));
        assert_eq!(PathTemplate::parse("/f/{p:path}")?.shape(), "/f/{*p0}");
        Ok(())
    }

    #[test]
    fn literals_are_kept_as_clients_send_them() -> Result<(), ConfigError> {
        assert_eq!(PathTemplate::parse("/café/{{x}}")?.shape(), "/caf%C3%A9/%7Bx%7D");
        assert_eq!(PathTemplate::parse("/a%20b/v1.0~(x)")?.shape(), "/a%20b/v1.0~(x)");
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("users").contains("begins with a slash"));
        assert!(error("/a/{id").contains("mixes text") || error("/a/{id").contains("not a parameter"));
        assert!(error("/a/{id:int}").contains("annotate the handler"));
        assert!(error("/a/{x}/{x}").contains("twice"));
        assert!(error("/a/{p:path}/b").contains("must come last"));
        assert!(error("/a/{}").contains("not a parameter"));
        assert!(error("/a/v{x}").contains("segment of its own"));
        assert!(error("/a?b").contains("cannot stand"));
    }
}
