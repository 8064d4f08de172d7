use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::value::RawValue;

use super::{Claims, Fault};

/// Longer tokens are not looked at.
const MAX_TOKEN: usize = 8 * 1024;

/// One key, and what tokens signed with it have to say.
pub(super) struct Verifier {
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
    pub(super) required: bool,
}

impl Verifier {
    /// The claims of the request's token; none when it has no token and needs none.
    pub(super) fn verify(&self, headers: &HeaderMap) -> Result<Option<Claims>, Fault> {
        match bearer(headers)? {
            Some(token) => self.check(token).map(Some),
            None if self.required => Err(Fault::Missing),
            None => Ok(None),
        }
    }

    fn check(&self, token: &[u8]) -> Result<Claims, Fault> {
        if token.len() > MAX_TOKEN {
            return Err(Fault::TooLong);
        }
        let token = decode::<Box<RawValue>>(token, &self.key, &self.validation).map_err(|error| Fault::of(&error))?;
        // RFC 7515, 4.1.11: what is critical must be understood, and we understand no extension.
        if token.header.crit.is_some() {
            return Err(Fault::Critical);
        }
        Claims::parse(token.claims).map_err(|_| Fault::Claim)
    }
}

/// The token of the only `Authorization` header; none when there is no such header, or it has another scheme.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Fault> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = sent.next() else { return Ok(None) };
    if sent.next().is_some() {
        return Err(Fault::Malformed);
    }
    let value = value.as_bytes();
    let (scheme, rest) = match value.iter().position(|&byte| byte == b' ') {
        Some(space) => (&value[..space], &value[space..]),
        None => (value, &value[value.len()..]),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = rest.trim_ascii();
    if token.is_empty() { Err(Fault::Malformed) } else { Ok(Some(token)) }
}
