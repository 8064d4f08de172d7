use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use super::key::Key;
use super::{Algorithm, Claims, Fault, Issuer};

/// A token without `kid` is tried with so many keys: each costs a verification.
const MAX_TRIED: usize = 4;

/// The keys of one issuer, ready to check its tokens.
pub(super) struct Ring {
    /// Another one for each.
    pub(super) generation: u64,
    entries: Vec<Entry>,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(0);

struct Entry {
    id: Option<Box<str>>,
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
    validation: Validation,
}

impl Ring {
    pub(super) fn new(issuer: &Issuer, keys: &[Key], leeway: Duration) -> Self {
        let entry = |key: &Key| {
            let algorithms = key.algorithms(issuer.algorithms.as_deref());
            (!algorithms.is_empty()).then(|| Entry {
                id: key.id.as_deref().map(Into::into),
                key: key.decoding.clone(),
                validation: validation(issuer, &algorithms, leeway),
                algorithms,
            })
        };
        Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            entries: keys.iter().filter_map(entry).collect(),
        }
    }

    /// The claims of a token with this head.
    pub(super) fn verify(&self, token: &[u8], head: &Head) -> Result<Claims, Fault> {
        let named = head.kid.as_deref();
        let is_known = named.is_some_and(|kid| self.entries.iter().any(|entry| entry.id.as_deref() == Some(kid)));
        let answers_to = |entry: &&Entry| match (&entry.id, named) {
            (Some(id), Some(kid)) => **id == *kid,
            (None, Some(_)) => !is_known,
            (_, None) => true,
        };
        let mut fitting = self.entries.iter().filter(answers_to).peekable();
        if fitting.peek().is_none() {
            return Err(Fault::Key);
        }
        let mut fitting = fitting.filter(|entry| entry.algorithms.contains(&head.algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(Fault::Algorithm);
        }
        for entry in fitting.take(MAX_TRIED) {
            match decode::<Box<RawValue>>(token, &entry.key, &entry.validation) {
                Ok(token) => return Claims::parse(token.claims).map_err(|_| Fault::Claim),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(Fault::of(&error)),
            }
        }
        Err(Fault::Signature)
    }
}

fn validation(issuer: &Issuer, algorithms: &[Algorithm], leeway: Duration) -> Validation {
    let mut validation = Validation::new(algorithms.first().map_or_else(Default::default, |first| first.verified_as()));
    validation.algorithms = algorithms.iter().map(|algorithm| algorithm.verified_as()).collect();
    validation.leeway = leeway.as_secs();
    validation.validate_nbf = true;
    let mut required = vec!["exp"];
    if !issuer.names.is_empty() {
        validation.set_issuer(&issuer.names);
        required.push("iss");
    }
    if !issuer.audiences.is_empty() {
        validation.set_audience(&issuer.audiences);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// What the head of a token says of how to check it. The rest, such as `jwk` and `jku`, is not even read.
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl Head {
    pub(super) fn of(token: &[u8]) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Written {
            alg: String,
            kid: Option<String>,
            #[serde(default, deserialize_with = "is_there")]
            crit: bool,
        }
        let head: Written = part(token, 0)?;
        // RFC 7515, 4.1.11: what is critical must be understood, and we understand no extension.
        if head.crit {
            return Err(Fault::Critical);
        }
        let algorithm = Algorithm::named(&head.alg).ok_or(Fault::Algorithm)?;
        Ok(Self { algorithm, kid: head.kid })
    }
}

/// Whom a token says it is by. Nothing vouches for it until the keys of that issuer have.
pub(super) fn issuer_of(token: &[u8]) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Written {
        iss: String,
    }
    part::<Written>(token, 1).map(|written| written.iss).map_err(|_| Fault::Issuer)
}

fn part<T: serde::de::DeserializeOwned>(token: &[u8], index: usize) -> Result<T, Fault> {
    let part = token.split(|&byte| byte == b'.').nth(index).ok_or(Fault::Malformed)?;
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Fault::Malformed)
}

/// Whatever its value, even none.
fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}
