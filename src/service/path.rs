//! Path templates: `/users/{id}` and `/files/{path:path}`.

use std::sync::Arc;

use crate::ConfigError;

/// A route's path as its author wrote it.
///
/// `{name}` matches one segment, `{name:path}` the rest of the path (at least one character). A literal brace is written
/// twice.
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
                shape.push_str(segment);
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

    pub(super) fn shape(&self) -> &str {
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
        assert_eq!(a.names(), ["id".into(), "post".into()]);
        assert_eq!(PathTemplate::parse("/f/{p:path}")?.shape(), "/f/{*p0}");
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
