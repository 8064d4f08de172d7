//! The paths that a middleware wraps.

/// Every path, or some.
#[derive(Debug, Clone)]
pub(in crate::python) enum Scope {
    All,
    Some(Vec<Part>),
}

#[derive(Debug, Clone)]
pub(in crate::python) enum Part {
    Exact(String),
    /// The path itself and everything a slash further down; kept without the slash.
    Below(String),
}

impl Scope {
    /// `/login` is that path, `/admin/*` is `/admin` and everything under it.
    pub(in crate::python) fn new(paths: Option<Vec<String>>) -> Self {
        let Some(paths) = paths else { return Self::All };
        let part = |path: String| match path.strip_suffix("/*") {
            Some(prefix) => Part::Below(prefix.to_owned()),
            None => Part::Exact(path),
        };
        Self::Some(paths.into_iter().map(part).collect())
    }

    pub(in crate::python) fn holds(&self, path: &str) -> bool {
        let Self::Some(parts) = self else { return true };
        parts.iter().any(|part| match part {
            Part::Exact(exact) => path == exact,
            Part::Below(prefix) => {
                path.strip_prefix(&**prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        })
    }

    /// Whether it may hold for a path that fits `template`: when it cannot be excluded, it does.
    pub(in crate::python) fn may_hold(&self, template: &str) -> bool {
        let Self::Some(parts) = self else { return true };
        let fits = |pattern: &str, open: bool| {
            let mut wanted = pattern.split('/');
            let mut given = template.split('/');
            loop {
                match (wanted.next(), given.next()) {
                    (None, None) => return true,
                    (None, Some(_)) => return open,
                    (Some(_), Some(segment)) if segment.starts_with('{') && segment.ends_with(":path}") => return true,
                    (Some(a), Some(b)) if a == b || (b.starts_with('{') && b.ends_with('}')) => {}
                    _ => return false,
                }
            }
        };
        parts.iter().any(|part| match part {
            Part::Exact(exact) => fits(exact, false),
            Part::Below(prefix) => fits(prefix, true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_a_slash() {
        let scope = Scope::new(Some(vec!["/admin/*".into(), "/login".into()]));
        for (path, inside) in [
            ("/admin", true),
            ("/admin/", true),
            ("/admin/users/1", true),
            ("/administrator", false),
            ("/login", true),
            ("/login/x", false),
            ("/", false),
        ] {
            assert_eq!(scope.holds(path), inside, "{path}");
        }
        assert!(Scope::new(Some(vec!["/*".into()])).holds("/anything"));
        assert!(Scope::new(None).holds("/"));
    }

    #[test]
    fn templates_that_may_fit_are_told() {
        let scope = Scope::new(Some(vec!["/users/me".into(), "/admin/*".into()]));
        for (template, inside) in [
            ("/users/{id}", true),
            ("/users", false),
            ("/admin/{x}/y", true),
            ("/files/{rest:path}", false),
            ("/{rest:path}", true),
            ("/{a}/{b}", true),
        ] {
            assert_eq!(scope.may_hold(template), inside, "{template}");
        }
    }
}
