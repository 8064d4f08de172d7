//! Hashes of passwords, as [`KnownUser`](super::KnownUser) takes them.

use std::fmt;
use std::sync::OnceLock;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::password_hash::{PasswordHash, PasswordHashString, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// No password is longer, in bytes.
pub(super) const MAX_PASSWORD: usize = 1024;

/// The argon2id hash (RFC 9106) of a password, as a PHC string with a salt of its own: with 19 MiB, two passes and one lane, which
/// OWASP recommends.
///
/// It takes tens of milliseconds on purpose: call it where a thread may block, as in `tokio::task::spawn_blocking`, and not many times at once.
///
/// # Errors
/// When the password has more than 1024 bytes, or the system has no random numbers.
///
/// # Example
/// ```
/// use ziggurat::layers::basic::{hash_password, needs_rehash, verify_password};
///
/// let hash = hash_password("open sesame").unwrap();
/// assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert!(verify_password("open sesame", Some(&hash)).unwrap());
/// assert!(!verify_password("sesame", Some(&hash)).unwrap());
/// assert!(!needs_rehash(&hash));
/// ```
pub fn hash_password(password: impl AsRef<[u8]>) -> Result<String, PasswordError> {
    let password = password.as_ref();
    if password.len() > MAX_PASSWORD {
        return Err(PasswordError::TooLong);
    }
    let mut random = [0; 16];
    OsRng.try_fill_bytes(&mut random).map_err(|_| PasswordError::Failed)?;
    let salt = SaltString::encode_b64(&random).map_err(|_| PasswordError::Failed)?;
    Argon2::default().hash_password(password, &salt).map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

/// Whether `hash` was made of this password. Where there is none, as there is no such user, it is of no password, which takes as long
/// to find out as with what [`hash_password`] makes.
///
/// The time says nothing about how much of the password was right. It blocks as [`hash_password`] does.
///
/// # Errors
/// When `hash` is no PHC string of argon2id.
pub fn verify_password(password: impl AsRef<[u8]>, hash: Option<&str>) -> Result<bool, PasswordError> {
    let hash = hash.map(parse).transpose()?;
    let password = Some(password.as_ref()).filter(|password| password.len() <= MAX_PASSWORD);
    let against = match (&hash, decoy()) {
        (Some(hash), _) => hash,
        (None, Some(decoy)) => decoy,
        (None, None) => return Err(PasswordError::Failed),
    };
    let is_of = Argon2::default().verify_password(password.unwrap_or_default(), &against.password_hash()).is_ok();
    Ok(is_of && hash.is_some() && password.is_some())
}

/// Whether a hash is weaker than what [`hash_password`] makes, or not of argon2id at all: when its password is at hand the next time, as
/// somebody signs in, it should be hashed anew.
pub fn needs_rehash(hash: &str) -> bool {
    let Ok(hash) = parse(hash) else { return true };
    let hash = hash.password_hash();
    let Ok(params) = Params::try_from(&hash) else { return true };
    let work = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
    work(&params) < work(&Params::DEFAULT)
        || hash.version != Some(Version::V0x13.into())
        || hash.hash.is_none_or(|hash| hash.len() < Params::DEFAULT_OUTPUT_LEN)
        // 16 bytes in base64.
        || hash.salt.is_none_or(|salt| salt.as_str().len() < 22)
}

/// A PHC string that passwords can be verified with.
pub(super) fn parse(hash: &str) -> Result<PasswordHashString, PasswordError> {
    let parsed = PasswordHashString::new(hash).map_err(|_| PasswordError::NoPhc)?;
    let PasswordHash { algorithm, salt, hash, .. } = parsed.password_hash();
    if algorithm != Algorithm::Argon2id.ident() {
        return Err(PasswordError::OtherAlgorithm);
    }
    if hash.is_none() || salt.is_none() || Params::try_from(&parsed.password_hash()).is_err() {
        return Err(PasswordError::Incomplete);
    }
    Ok(parsed)
}

/// What is verified in place of the hash of nobody: nobody knows its password.
fn decoy() -> Option<&'static PasswordHashString> {
    static DECOY: OnceLock<Option<PasswordHashString>> = OnceLock::new();
    let made = || {
        let text = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgb3duIHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        parse(text).ok()
    };
    DECOY.get_or_init(made).as_ref()
}

/// Why a password was neither hashed nor verified. It tells nothing of it, nor of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordError {
    /// The password has more than 1024 bytes.
    TooLong,
    /// The hash is no PHC string.
    NoPhc,
    /// The hash was made by something else than argon2id.
    OtherAlgorithm,
    /// The hash lacks salt, hash or good parameters.
    Incomplete,
    /// The system has no random numbers, or no memory.
    Failed,
}

impl PasswordError {
    /// What the hash is or lacks.
    pub(super) const fn of_hash(self) -> &'static str {
        match self {
            Self::NoPhc => "is no PHC string",
            Self::OtherAlgorithm => "is not of argon2id",
            Self::Incomplete | Self::TooLong | Self::Failed => "lacks salt, hash or good parameters",
        }
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("a password has at most 1024 bytes"),
            Self::Failed => f.write_str("the password could not be hashed"),
            of_hash => write!(f, "the hash {}", of_hash.of_hash()),
        }
    }
}

impl std::error::Error for PasswordError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_hash_that_takes_as_long_as_others() {
        let decoy = decoy().unwrap();
        let made = parse(&hash_password("x").unwrap()).unwrap();
        let of = |hash: &PasswordHashString| {
            let hash = hash.password_hash();
            (Params::try_from(&hash).unwrap(), hash.version, hash.hash.unwrap().len())
        };
        assert_eq!(of(decoy), of(&made));
    }
}
