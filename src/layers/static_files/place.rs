//! From the path of a request to a path within the directory.

use std::path::PathBuf;
use std::sync::Arc;

use crate::ConfigError;
use crate::service::percent_decode;

/// The path below which files are served; empty for all paths.
#[derive(Debug, Clone)]
pub(super) struct Mount(Arc<str>);

impl Mount {
    pub(super) fn new(path: &str) -> Result<Self, ConfigError> {
        if path == "/" {
            return Ok(Self("".into()));
        }
        let is_plain = |segment: &str| {
            !segment.is_empty()
                && !segment.bytes().any(|byte| byte <= b' ' || byte > b'~' || b"%?#{}\\".contains(&byte))
        };
        let mut segments = path.split('/');
        if segments.next() == Some("") && path.len() > 1 && segments.all(is_plain) {
            return Ok(Self(path.into()));
        }
        Err(ConfigError::new(format!("Static: {path:?} is no path"))
            .cure("begin it with a slash and end it without one, as /static"))
    }

    /// What stands for all paths below it, as a route's template does.
    pub(super) fn template(&self) -> String {
        format!("{}/*", self.0)
    }

    /// What follows it in `path`: nothing, or a path that begins with a slash.
    pub(super) fn within<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&*self.0).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Where in the directory an answer is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Relative, of plain names only; empty for the directory itself.
    pub(super) within: PathBuf,
    /// Whether the request ended with a slash, and so can mean a directory only.
    pub(super) slash: bool,
}

impl Place {
    /// Of the part of a path that follows the mount; none where no file may be meant.
    ///
    /// The path is split before it is decoded, and decoded once, so that no encoding makes two names of one.
    pub(super) fn of(rest: &str, hidden: bool) -> Option<Self> {
        let mut within = PathBuf::new();
        let Some(rest) = rest.strip_prefix('/') else { return Some(Self { within, slash: false }) };
        let slash = rest.is_empty() || rest.ends_with('/');
        for segment in rest.strip_suffix('/').unwrap_or(rest).split('/') {
            if segment.is_empty() && rest.is_empty() {
                break;
            }
            let name = percent_decode(segment)?;
            if !is_plain(&name) || (name.starts_with('.') && !hidden) {
                return None;
            }
            within.push(&*name);
        }
        Some(Self { within, slash })
    }
}

/// Whether it is a name, and nothing that any system understands as a way to somewhere else.
fn is_plain(name: &str) -> bool {
    let begins_drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    // Streams of NTFS, and names that it takes for others.
    let is_other_name = cfg!(windows) && (name.contains(':') || name.ends_with(['.', ' ']));
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0']) && !begins_drive && !is_other_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        for (rest, within, slash) in [
            ("", "", false),
            ("/", "", true),
            ("/a", "a", false),
            ("/a/b.txt", "a/b.txt", false),
            ("/a/", "a", true),
            ("/a%20b/%C3%A9", "a b/é", false),
            ("/%2541", "%41", false),
            ("/a..b/c...", "a..b/c...", false),
            ("/10:30.txt", "10:30.txt", false),
        ] {
            assert_eq!(Place::of(rest, false), Some(Place { within: within.into(), slash }), "{rest}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_no_place() {
        for rest in [
            "/..",
            "/../a",
            "/a/..",
            "/a/../../b",
            "/./a",
            "/%2e%2e/a",
            "/%2E./a",
            "/.%2e/a",
            "/a%2f..%2fb",
            "/%2fetc/passwd",
            "//etc/passwd",
            "/a//b",
            "/a//",
            "//",
            "/..%5ca",
            "/a\\b",
            "/%5c%5chost%5cshare",
            "/C:/windows",
            "/c%3a/windows",
            "/C:",
            "/a%00.txt",
            "/%00",
            "/%c0%ae%c0%ae/a",
            "/%ff",
            "/%",
            "/%2",
            "/%zz",
        ] {
            for hidden in [false, true] {
                assert_eq!(Place::of(rest, hidden), None, "{rest}");
            }
        }
        for rest in ["/.env", "/a/.git/config", "/%2eenv", "/..."] {
            assert_eq!(Place::of(rest, false), None, "{rest}");
            assert!(Place::of(rest, true).is_some(), "{rest}");
        }
    }

    #[test]
    fn a_mount_ends_where_a_segment_ends() {
        let mount = Mount::new("/static").unwrap();
        for (path, rest) in [
            ("/static", Some("")),
            ("/static/", Some("/")),
            ("/static/a", Some("/a")),
            ("/statics", None),
            ("/", None),
            ("/Static/a", None),
            ("/%73tatic/a", None),
        ] {
            assert_eq!(mount.within(path), rest, "{path}");
        }
        assert_eq!(Mount::new("/").unwrap().within("/a"), Some("/a"));
        for wrong in ["", "static", "/a/", "//", "/a//b", "/a?b", "/{a}", "/a%20b", "/a b", "/\\a", "*"] {
            let error = Mount::new(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("Static: {wrong:?} is no path; ")), "{error}");
        }
    }
}
