use http::uri::Authority;

/// Whether a browser would send this as `Origin` (Fetch, 3.2; WHATWG HTML, 7.1.1): what is compared byte by byte must not be
/// spelled otherwise.
pub(super) fn is_sent(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    let is_canonical = match authority.port_u16() {
        None => authority == host,
        Some(port) => port != own_port && authority == format!("{host}:{port}").as_str(),
    };
    is_canonical
        && !host.is_empty()
        && !host.contains('*')
        && !host.ends_with('.')
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::is_sent;

    #[test]
    fn origins_are_told_from_other_texts() {
        for good in ["https://example.org", "http://a-b.example:8080", "http://127.0.0.1:1", "https://[::1]:8000"] {
            assert!(is_sent(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "example.org",
            "https://",
            "https://example.org/",
            "https://example.org/a",
            "https://example.org?a",
            "https://example.org#a",
            "https://Example.org",
            "HTTPS://example.org",
            "https://example.org:443",
            "http://example.org:80",
            "https://example.org:",
            "https://example.org:08000",
            "https://example.org:99999",
            "https://user@example.org",
            "https://*.example.org",
            "https://exämple.org",
            "https://a b",
            "ftp://example.org",
            "file:///a",
        ] {
            assert!(!is_sent(bad), "{bad}");
        }
    }
}
