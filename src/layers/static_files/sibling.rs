use std::path::{Path, PathBuf};

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::layers::weights::elements;

/// A file that holds another one compressed, and has its name with an ending.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) coding: &'static str,
    ending: &'static str,
}

const ALL: [Sibling; 3] = [
    Sibling { coding: "br", ending: ".br" },
    Sibling { coding: "zstd", ending: ".zst" },
    Sibling { coding: "gzip", ending: ".gz" },
];

impl Sibling {
    /// What the client wants at least as much as the file itself, most wanted first (RFC 9110, 12.5.3).
    pub(super) fn wanted(headers: &HeaderMap) -> impl Iterator<Item = &'static Self> {
        let mut named = [None::<u16>; ALL.len()];
        let (mut any, mut identity) = (None, None);
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for (name, weight) in values.flat_map(elements) {
            let place = ALL.iter().position(|sibling| sibling.is_of(name));
            let slot = match place {
                Some(place) => &mut named[place],
                None if name == "*" => &mut any,
                None if name.eq_ignore_ascii_case("identity") => &mut identity,
                None => continue,
            };
            *slot = slot.or(Some(weight));
        }
        let least = identity.unwrap_or(0).max(1);
        let mut weighed = [(0, &ALL[0]), (0, &ALL[1]), (0, &ALL[2])];
        for (slot, named) in weighed.iter_mut().zip(named) {
            slot.0 = named.or(any).unwrap_or(0);
        }
        // Keeps our order where weights are the same.
        weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        weighed.into_iter().filter(move |(weight, _)| *weight >= least).map(|(_, sibling)| sibling)
    }

    fn is_of(&self, coding: &str) -> bool {
        coding.eq_ignore_ascii_case(self.coding) || (self.coding == "gzip" && coding.eq_ignore_ascii_case("x-gzip"))
    }

    /// Where it is of the file at `path`.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        let mut path = path.as_os_str().to_owned();
        path.push(self.ending);
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_comes_first() {
        for (accepted, wanted) in [
            ("gzip, br, zstd", "br zstd gzip"),
            ("gzip;q=0.9, br;q=0.5, zstd;q=0.7", "gzip zstd br"),
            ("br;q=0, gzip", "gzip"),
            ("*", "br zstd gzip"),
            ("*;q=0.5, gzip", "gzip br zstd"),
            ("br;q=0, *;q=0.1", "zstd gzip"),
            ("x-gzip", "gzip"),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("identity;q=0, br;q=0.001", "br"),
            ("gzip;q=0", ""),
            ("*;q=0", ""),
            ("deflate, bogus", ""),
            ("gzip;q=2", ""),
            ("", ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
            let codings: Vec<_> = Sibling::wanted(&headers).map(|sibling| sibling.coding).collect();
            assert_eq!(codings.join(" "), wanted, "{accepted}");
        }
        assert_eq!(Sibling::wanted(&HeaderMap::new()).count(), 0);
    }

    #[test]
    fn its_ending_follows_the_name() {
        assert_eq!(ALL[1].path(Path::new("a/b.tar.js")), Path::new("a/b.tar.js.zst"));
    }
}
