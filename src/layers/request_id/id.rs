use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use uuid::{Builder, Uuid};

/// The id of a request, an extension of the request and of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Longer ids than this are not taken over.
const MAX_LEN: usize = 128;

impl RequestId {
    /// A fresh UUIDv7.
    pub fn generate() -> Self {
        let millis =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
        let id = Builder::from_unix_timestamp_millis(millis, &random()).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = id.hyphenated().encode_lower(&mut text);
        // Hexadecimal digits and hyphens are always a header value.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-")))
    }

    /// Takes over `value` when it is well-formed; see the [module](super).
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        ((1..=MAX_LEN).contains(&bytes.len()) && bytes.iter().all(fine)).then(|| Self(value.clone()))
    }

    /// The id as a header value.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Both ways to make an id allow only visible ASCII.
        self.0.to_str().unwrap_or_default()
    }
}

/// Ten bytes from a generator per thread.
///
/// The system's generator costs a system call per id. Ids need to be distinct, not secret, so it only gives the seed.
fn random() -> [u8; 10] {
    thread_local!(static STATE: Cell<(u64, u64)> = Cell::new(Uuid::new_v4().as_u64_pair()));
    let (a, b) = STATE.get();
    // Two splitmix64 generators, seeded apart.
    let next = (a.wrapping_add(0x9e37_79b9_7f4a_7c15), b.wrapping_add(0x9e37_79b9_7f4a_7c15));
    STATE.set(next);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&mix(next.0).to_le_bytes());
    bytes[8..].copy_from_slice(&mix(next.1).to_le_bytes()[..2]);
    bytes
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_version_7_uuids() {
        let ids: HashSet<String> = (0..10_000).map(|_| RequestId::generate().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| Uuid::parse_str(id).unwrap().get_version_num() == 7));
    }

    #[test]
    fn only_short_plain_ids_are_taken_over() {
        let take = |text: &str| RequestId::from_header(&HeaderValue::from_bytes(text.as_bytes()).unwrap()).is_some();
        assert!(take("a") && take(&"x".repeat(128)) && take("01H-x_y.z:1/2+3=@"));
        for bad in ["", &"x".repeat(129), "a b", "a\"b", "a\tb", "a;b", "caf\u{e9}"] {
            assert!(!take(bad), "{bad:?}");
        }
    }
}
