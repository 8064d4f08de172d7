//! What both sides agree on (RFC 7692, 7.1).

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

const NAME: &str = "permessage-deflate";

/// How messages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::python::websocket) struct Agreed {
    /// Whether messages of the server go on with what was sent before them.
    pub(super) server_context: bool,
    pub(super) client_context: bool,
    /// The window of the server.
    pub(super) server_bits: u8,
    /// The client asked for it.
    pub(super) tells_bits: bool,
}

impl Agreed {
    /// What is made of the first offer that can be met; `context` is whether the route keeps one.
    pub(in crate::python::websocket) fn of(headers: &HeaderMap, context: bool) -> Option<Self> {
        let values = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).find_map(|offer| Self::of_offer(offer, context))
    }

    fn of_offer(offer: &str, context: bool) -> Option<Self> {
        let mut parts = offer.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut agreed = Self { server_context: context, client_context: context, server_bits: 15, tells_bits: false };
        let mut seen = Vec::new();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (part, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover", None) => agreed.server_context = false,
                ("client_no_context_takeover", None) => agreed.client_context = false,
                ("server_max_window_bits", Some(bits)) => {
                    // The smallest, 8, is not what zlib can do.
                    agreed.server_bits = window(bits).filter(|bits| *bits > 8)?;
                    agreed.tells_bits = true;
                }
                // Any window of the client's is good.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => drop(window(bits)?),
                _ => return None,
            }
        }
        Some(agreed)
    }

    /// The header that says so.
    pub(in crate::python::websocket) fn header(self) -> Option<HeaderValue> {
        let mut text = NAME.to_owned();
        if !self.server_context {
            text.push_str("; server_no_context_takeover");
        }
        if !self.client_context {
            text.push_str("; client_no_context_takeover");
        }
        if self.tells_bits {
            text.push_str(&format!("; server_max_window_bits={}", self.server_bits));
        }
        HeaderValue::try_from(text).ok()
    }
}

fn window(bits: &str) -> Option<u8> {
    // No signs, and no zeros in front.
    let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && !bits.starts_with('0');
    bits.parse().ok().filter(|bits| is_plain && (8..=15).contains(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(offers: &[&str], context: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(offer).unwrap());
        }
        Some(Agreed::of(&headers, context)?.header()?.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_taken() {
        let none = "; server_no_context_takeover; client_no_context_takeover";
        for (offers, kept, forgotten) in [
            (&["permessage-deflate"][..], "", none),
            (&["Permessage-Deflate; client_max_window_bits"], "", none),
            (&["permessage-deflate;client_max_window_bits=\"10\""], "", none),
            (&["x-other, permessage-deflate;server_no_context_takeover"], "; server_no_context_takeover", none),
            (&["permessage-deflate; client_no_context_takeover"], "; client_no_context_takeover", none),
            (
                &["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"],
                "; server_max_window_bits=12",
                "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
            ),
            (&["permessage-deflate; server_max_window_bits=8", "permessage-deflate"], "", none),
        ] {
            assert_eq!(answer(offers, true), Some(format!("permessage-deflate{kept}")), "{offers:?}");
            assert_eq!(answer(offers, false), Some(format!("permessage-deflate{forgotten}")), "{offers:?}");
        }
        for offers in [
            &[][..],
            &[""],
            &["x-webkit-deflate-frame"],
            &["permessage-deflate; other"],
            &["permessage-deflate; server_max_window_bits"],
            &["permessage-deflate; server_max_window_bits=16"],
            &["permessage-deflate; server_max_window_bits=09"],
            &["permessage-deflate; server_max_window_bits=8"],
            &["permessage-deflate; client_max_window_bits=7"],
            &["permessage-deflate; client_max_window_bits=+9"],
            &["permessage-deflate; server_no_context_takeover=1"],
            &["permessage-deflate; client_no_context_takeover; client_no_context_takeover"],
        ] {
            assert_eq!(answer(offers, true), None, "{offers:?}");
        }
    }
}
