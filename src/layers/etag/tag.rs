use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The entity tag of these bytes: half of their SHA-256, so that nobody makes two contents that share one.
pub(super) fn of(bytes: &[u8], weak: bool) -> HeaderValue {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digest = Sha256::digest(bytes);
    let mut text = [b'"'; 36];
    text[..2].copy_from_slice(b"W/");
    for (pair, byte) in text[3..35].chunks_exact_mut(2).zip(digest.iter()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let text = if weak { &text[..] } else { &text[2..] };
    // ASCII without control characters.
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_half_a_digest() {
        assert_eq!(of(b"", false), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_eq!(of(b"", true), "W/\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_ne!(of(b"a", false), of(b"b", false));
    }
}
