use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::Coding;
use crate::layers::weights::elements;

/// What the client can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// What to compress with; none means not at all.
    pub(super) coding: Option<Coding>,
    /// The client refuses uncompressed answers, so that even short ones are compressed.
    pub(super) identity_refused: bool,
}

/// Chooses among `offered`, best first, by `Accept-Encoding` (RFC 9110, 12.5.3).
pub(super) fn negotiate(headers: &HeaderMap, offered: &[Coding]) -> Choice {
    // Weights in thousandths by place in `offered`; none where the header does not name the coding.
    let mut named = [None::<u16>; Coding::ALL.len()];
    let (mut any, mut identity) = (None, None);
    for (name, weight) in
        headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(elements)
    {
        if name == "*" {
            any = any.or(Some(weight));
        } else if name.eq_ignore_ascii_case("identity") {
            identity = identity.or(Some(weight));
        } else if let Some(place) = offered.iter().position(|coding| coding.is_called(name)) {
            named[place] = named[place].or(Some(weight));
        }
    }
    let mut best: Option<(Coding, u16)> = None;
    for (coding, named) in offered.iter().zip(named) {
        let weight = named.or(any).unwrap_or(0);
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((*coding, weight));
        }
    }
    // Identity is always acceptable, and least wanted, unless the header says something else.
    let coding =
        best.filter(|(_, weight)| identity.is_none_or(|identity| *weight >= identity)).map(|(coding, _)| coding);
    Choice { coding, identity_refused: identity.or(any) == Some(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(value: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        negotiate(&headers, &Coding::ALL).coding.map(Coding::as_str)
    }

    #[test]
    fn the_highest_weight_wins_and_our_order_breaks_ties() {
        for (header, wanted) in [
            ("gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0.9", Some("gzip")),
            ("GZIP;Q=0.5", Some("gzip")),
            ("x-gzip", Some("gzip")),
            (" zstd ; q=0.001 ,, ", Some("zstd")),
            ("br;q=0, *", Some("zstd")),
            ("br;q=0, zstd;q=0, *;q=0.1", Some("gzip")),
            ("*", Some("br")),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some("gzip")),
            ("identity;q=0, gzip;q=0.1", Some("gzip")),
            ("", None),
            ("compress, bogus", None),
            ("gzip;q=1.1, br;q=x, zstd;q=0.1234, deflate;q=-1", None),
            ("gzip;level", None),
        ] {
            assert_eq!(choose(header), wanted, "{header:?}");
        }
    }

    #[test]
    fn several_headers_are_one_list_and_none_means_uncompressed() {
        let mut headers = HeaderMap::new();
        assert_eq!(negotiate(&headers, &Coding::ALL).coding, None);
        headers.append(ACCEPT_ENCODING, "br;q=0.1".parse().unwrap());
        headers.append(ACCEPT_ENCODING, "deflate".parse().unwrap());
        assert_eq!(negotiate(&headers, &Coding::ALL).coding, Some(Coding::Deflate));
        assert_eq!(negotiate(&headers, &[Coding::Brotli]).coding, Some(Coding::Brotli));
        assert_eq!(negotiate(&headers, &[Coding::Zstd]).coding, None);
    }

    #[test]
    fn refusing_identity_is_noticed() {
        for (header, refused) in
            [("gzip, identity;q=0", true), ("gzip, *;q=0", true), ("gzip", false), ("identity, *;q=0", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, header.parse().unwrap());
            assert_eq!(negotiate(&headers, &Coding::ALL).identity_refused, refused, "{header}");
        }
    }
}
