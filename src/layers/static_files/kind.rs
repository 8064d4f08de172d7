use std::path::Path;

use http::HeaderValue;

/// The `Content-Type` of files with the name that `path` ends with. Texts are UTF-8.
pub(super) fn of(path: &Path) -> HeaderValue {
    const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
    match mime_guess::from_path(path).first_raw() {
        None => BYTES,
        Some(kind) if kind.starts_with("text/") => {
            HeaderValue::try_from(format!("{kind}; charset=utf-8")).unwrap_or(BYTES)
        }
        Some(kind) => HeaderValue::from_static(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        for (name, wanted) in [
            ("a/index.html", "text/html; charset=utf-8"),
            ("APP.JS", "text/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.tar.gz", "application/gzip"),
            ("a.html.unknown", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(of(Path::new(name)), wanted, "{name}");
        }
    }
}
