use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

/// The path without the slashes at its end; none where there is nothing to change.
pub(super) fn trimmed_path(path: &str) -> Option<&str> {
    // Begun by two slashes, or by one and what browsers take for one, it names a host wherever it is used as a reference
    // (RFC 3986, 4.2; WHATWG URL, 4.4): nothing is made of such a path.
    if path.len() < 2 || !path.ends_with('/') || path.starts_with("//") || path.starts_with("/\\") {
        return None;
    }
    Some(path.trim_end_matches('/'))
}

/// The path and query of `uri` without the slashes at the end of the path; none where there is nothing to change.
pub(super) fn trimmed(uri: &Uri) -> Option<String> {
    let path = trimmed_path(uri.path())?;
    Some(match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

/// `uri` with another path and query.
pub(super) fn replaced(uri: &Uri, target: String) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()?);
    Uri::from_parts(parts).ok()
}

/// A reference to this host alone: it begins with one slash.
pub(super) fn location(target: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(target).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_go() {
        for (target, wanted) in [
            ("/users/", Some("/users")),
            ("/users///?a=/", Some("/users?a=/")),
            ("/a//b/", Some("/a//b")),
            ("/users/?", Some("/users?")),
            ("http://example.org/users/", Some("/users")),
            ("/", None),
            ("/?a=/", None),
            ("/users", None),
            ("/users?a/", None),
            ("/users%2F", None),
            ("*", None),
            ("http://example.org", None),
            ("//", None),
            ("//evil.example/", None),
            ("///evil.example//", None),
            ("/\\evil.example/", None),
            ("/\\/evil.example/", None),
        ] {
            assert_eq!(trimmed(&target.parse().unwrap()).as_deref(), wanted, "{target}");
        }
    }

    #[test]
    fn the_rest_of_a_target_stays() {
        let uri = "http://a@example.org:1/users/?x=1".parse().unwrap();
        assert_eq!(replaced(&uri, trimmed(&uri).unwrap()).unwrap(), "http://a@example.org:1/users?x=1");
    }
}
