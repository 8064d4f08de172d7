use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderName;
use http::header;
use serde::Deserialize;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED: HeaderName = header::FORWARDED;

/// The header that the proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, a list of addresses.
    XForwardedFor,
    /// `Forwarded`, a list of elements as `for=192.0.2.1;proto=https` (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    pub(super) fn name(self) -> &'static HeaderName {
        match self {
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::Forwarded => &FORWARDED,
        }
    }

    /// The address that an entry names; none when it names none.
    pub(super) fn address(self, entry: &[u8]) -> Option<IpAddr> {
        let entry = std::str::from_utf8(entry).ok()?;
        match self {
            Self::XForwardedFor => bare(entry),
            Self::Forwarded => node(node_of(entry)?),
        }
    }
}

/// An entry of `X-Forwarded-For`, which no standard describes: some proxies add ports, some brackets.
fn bare(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| node(entry))
}

/// A node of RFC 7239, 6: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let (ip, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            (ip.parse::<Ipv6Addr>().ok()?.into(), if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((ip, port)) => (ip.parse::<Ipv4Addr>().ok()?.into(), Some(port)),
            None => (text.parse::<Ipv4Addr>().ok()?.into(), None),
        },
    };
    port.is_none_or(is_port).then_some(ip)
}

fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(obfuscated) => {
            !obfuscated.is_empty() && obfuscated.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The value of `for` in an element of `Forwarded`; none when there is none, or anything in the element is malformed.
fn node_of(element: &str) -> Option<&str> {
    let mut node = None;
    let mut rest = element;
    loop {
        // RFC 7239, 4: [ forwarded-pair ] *( ";" [ forwarded-pair ] ); some proxies add spaces.
        rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(';') {
            let (name, value, more) = pair(rest)?;
            // Each name once at most.
            if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
                return None;
            }
            rest = more.trim_start_matches([' ', '\t']);
        }
        if rest.is_empty() {
            return node;
        }
        rest = rest.strip_prefix(';')?;
    }
}

/// The name and the value that `text` begins with, and what comes after them.
fn pair(text: &str) -> Option<(&str, &str, &str)> {
    let (name, text) = text.split_once('=')?;
    if !name.bytes().all(is_tchar) || name.is_empty() {
        return None;
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|byte| !is_tchar(byte)).unwrap_or(text.len());
        return (end > 0).then(|| (name, &text[..end], &text[end..]));
    };
    // What is escaped stays so: no address has anything to escape.
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    })?;
    Some((name, &quoted[..end], &quoted[end + 1..]))
}

/// RFC 9110, 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
