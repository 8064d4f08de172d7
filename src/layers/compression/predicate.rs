use http::header::CONTENT_TYPE;
use http::response::Parts;

/// Says which answers are worth compressing. What cannot be compressed at all is sorted out before.
pub trait CompressWhen {
    /// Whether an answer with this head is.
    fn compress_when(&self, response: &Parts) -> bool;
}

impl<F> CompressWhen for F
where
    F: Fn(&Parts) -> bool,
{
    fn compress_when(&self, response: &Parts) -> bool {
        self(response)
    }
}

/// Those whose `Content-Type` is known to shrink: text, and formats made of text or plain numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompressibleType;

impl CompressWhen for CompressibleType {
    fn compress_when(&self, response: &Parts) -> bool {
        let value = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| shrinks(value.split(';').next().unwrap_or_default().trim()))
    }
}

fn shrinks(media_type: &str) -> bool {
    const LISTED: [&str; 22] = [
        "application/javascript",
        "application/json",
        "application/jsonl",
        "application/ndjson",
        "application/toml",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-www-form-urlencoded",
        "application/x-yaml",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
        "application/graphql",
        "application/sql",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/x-icon",
        "image/vnd.microsoft.icon",
    ];
    let starts = |with: &str| media_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let ends = |with: &str| {
        let from = media_type.len().saturating_sub(with.len());
        media_type.get(from..).is_some_and(|end| end.eq_ignore_ascii_case(with))
    };
    // gRPC frames and compresses its messages itself.
    !starts("application/grpc")
        && (starts("text/")
            || ["+json", "+xml", "+text", "+yaml"].into_iter().any(ends)
            || LISTED.iter().any(|listed| media_type.eq_ignore_ascii_case(listed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shrinks_and_packed_formats_do_not() {
        for yes in [
            "text/html",
            "TEXT/CSS",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
            "application/wasm",
        ] {
            assert!(shrinks(yes), "{yes}");
        }
        for no in [
            "image/png",
            "application/zip",
            "video/mp4",
            "application/octet-stream",
            "font/woff2",
            "application/grpc+json",
            "",
            "\u{e9}",
        ] {
            assert!(!shrinks(no), "{no}");
        }
    }
}
