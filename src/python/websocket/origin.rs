//! Whose pages may open a socket.
//!
//! Browsers let the pages of any site open sockets to any other, with the cookies of that, and read what comes: no CORS protects it. What
//! tells is `Origin`, which browsers always send and pages cannot forge. Programs send none, and have no cookies of somebody else.

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use serde::Deserialize;

/// The origins that may open sockets, beside pages of the same host.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) enum Origins {
    Any,
    These(Vec<Origin>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl TryFrom<Vec<String>> for Origins {
    type Error = String;

    fn try_from(given: Vec<String>) -> Result<Self, String> {
        if given.iter().any(|origin| origin == "*") {
            return Ok(Self::Any);
        }
        let read = |text: &String| Origin::parse(text).ok_or_else(|| format!("{text:?} is not an origin"));
        given.iter().map(read).collect::<Result<_, _>>().map(Self::These)
    }
}

impl Origin {
    /// `https://example.org` or `https://example.org:8443`, and nothing behind it.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => 443,
            "http" | "ws" => 80,
            // Of an app that embeds a browser, as `app://main`.
            _ => 0,
        };
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        Some(Self { scheme: scheme.to_ascii_lowercase(), host, port: port.unwrap_or(usual) })
    }
}

/// Host and port of `host[:port]`.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let end_of_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[end_of_host..].find(':') {
        None => Some((authority.to_ascii_lowercase(), None)),
        Some(colon) => {
            let (host, port) = authority.split_at(end_of_host + colon);
            Some((host.to_ascii_lowercase(), Some(port[1..].parse().ok()?)))
        }
    }
}

impl Origins {
    /// Whether whoever sent `parts` may open a socket; if not, who it was.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), String> {
        let Self::These(others) = self else { return Ok(()) };
        let mut given = parts.headers.get_all(ORIGIN).iter();
        let Some(first) = given.next() else { return Ok(()) };
        let text = String::from_utf8_lossy(first.as_bytes()).into_owned();
        let Some(origin) = Origin::parse(&text).filter(|_| given.next().is_none()) else { return Err(text) };
        if others.contains(&origin) || is_own(&origin, parts) { Ok(()) } else { Err(text) }
    }
}

/// Whether a page comes from where the request goes. How that is reached, by TLS or not, a proxy may have changed; so a port is compared
/// only where one is told.
fn is_own(origin: &Origin, parts: &Parts) -> bool {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some((host, port)) = authority.or(host).and_then(split_port) else { return false };
    let is_usual = matches!((&*origin.scheme, origin.port), ("https", 443) | ("http", 80));
    host == origin.host && !host.is_empty() && port.map_or(is_usual, |port| port == origin.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(origins: &[&str], host: &str, origin: &str) -> bool {
        let origins = Origins::try_from(origins.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).unwrap();
        let request = http::Request::get("/").header("host", host).header("origin", origin).body(()).unwrap();
        origins.check(&request.into_parts().0).is_ok()
    }

    #[test]
    fn pages_of_the_same_host_may() {
        for (host, origin) in [
            ("example.org", "https://example.org"),
            ("example.org", "http://example.org"),
            ("Example.org", "https://example.ORG"),
            ("example.org:443", "https://example.org"),
            ("localhost:8000", "http://localhost:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
        ] {
            assert!(checked(&[], host, origin), "{host} {origin}");
        }
        for (host, origin) in [
            ("example.org", "https://evil.org"),
            ("example.org", "https://example.org.evil.org"),
            ("example.org", "https://example.org:8443"),
            ("localhost:8000", "http://localhost:3000"),
            ("localhost:8000", "http://localhost"),
            ("example.org", "null"),
            ("example.org", "https://example.org/"),
            ("example.org", "https://user@example.org"),
            ("example.org", ""),
            ("", "https://"),
        ] {
            assert!(!checked(&[], host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn others_are_named() {
        let others = ["https://app.example", "http://localhost:3000"];
        assert!(checked(&others, "api.example", "https://app.example"));
        assert!(checked(&others, "api.example", "https://app.example:443"));
        assert!(checked(&others, "api.example", "http://localhost:3000"));
        assert!(checked(&others, "api.example", "https://api.example"));
        assert!(!checked(&others, "api.example", "http://app.example"));
        assert!(!checked(&others, "api.example", "https://app.example.evil.org"));
        assert!(checked(&["*"], "api.example", "null"));
        assert!(Origins::try_from(vec!["app.example".to_owned()]).is_err());
        assert!(Origins::try_from(vec!["https://app.example/".to_owned()]).is_err());
    }

    #[test]
    fn who_sends_none_is_no_page_and_two_are_nobody() {
        let origins = Origins::These(Vec::new());
        let none = http::Request::get("/").header("host", "a").body(()).unwrap();
        assert!(origins.check(&none.into_parts().0).is_ok());
        let two =
            http::Request::get("/").header("host", "a").header("origin", "https://a").header("origin", "https://a");
        assert!(origins.check(&two.body(()).unwrap().into_parts().0).is_err());
    }
}
