//! Problem documents in place of the empty answers that hyper gives to what it cannot parse.
//!
//! hyper has no hook for them: they never reach a service. So they are known by their bytes, as they are written.

use http::StatusCode;

use crate::service::Problem;

/// The longest of them.
const LONGEST: usize = 160;

/// The answer to send instead of `written`, if that is one of hyper's own.
pub(super) fn document_for(written: &[u8]) -> Option<Vec<u8>> {
    if written.len() > LONGEST || !written.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let (line, fields) = std::str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let bare = fields
        .split("\r\n")
        .all(|field| field == "connection: close" || field == "content-length: 0" || field.starts_with("date: "));
    if !bare {
        return None;
    }
    let problem = match line.get(9..12)? {
        "400" => Problem::bad_request("the request is not HTTP as this server reads it"),
        "414" => Problem::of(StatusCode::URI_TOO_LONG).detail("the request target is longer than any server reads"),
        "431" => Problem::of(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            .detail("the request head has too many bytes or fields"),
        _ => return None,
    };
    let body = problem.to_bytes();
    let date = fields.split("\r\n").find(|field| field.starts_with("date: "));
    let date = date.map(|field| format!("{field}\r\n")).unwrap_or_default();
    let head = format!(
        "{line}\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\n{date}\r\n",
        body.len()
    );
    Some([head.as_bytes(), &body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_without_anything_are_replaced() {
        let own = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let text = String::from_utf8(document_for(own.as_bytes()).unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n") && text.contains("date: now\r\n"), "{text}");
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx: y\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nhi",
        ] {
            assert!(document_for(other.as_bytes()).is_none(), "{other}");
        }
    }
}
