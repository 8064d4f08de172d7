//! Quotas that several processes share: what is the same wherever they are kept.

use std::future::Future;
use std::hash::Hasher;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::Either;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{OnFailure, Quota, Quotas, Verdict};
use crate::{BoxError, ConfigError};

/// How long a store is left alone when it has failed.
const REST: Duration = Duration::from_secs(1);

/// Where processes keep the quotas that they share.
pub trait QuotaStore: Clone + Send + Sync + 'static {
    /// What it is called in the log.
    fn describe(&self) -> String;

    /// Takes one request out of the quota of `key`, in one step that nobody else comes between.
    ///
    /// # Errors
    /// When that cannot be done within `limit`, which is for the store to see to.
    fn take(
        &self,
        key: [u8; 16],
        quota: Quota,
        limit: Duration,
    ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static;
}

/// Quotas in a store that several processes share. Clones share what is known of the store.
///
/// A key in the store is the first half of a SHA-256 over the namespace, the quota and what tells clients apart: nobody finds a
/// value that has the key of another, and layers of different quotas never count together.
#[derive(Debug, Clone)]
#[must_use]
pub struct Shared<S> {
    store: S,
    namespace: Sha256,
    limit: Duration,
    on_failure: OnFailure,
    health: Arc<Health>,
}

impl<S: QuotaStore> Shared<S> {
    /// How long a store may take for one request unless told.
    pub const LIMIT: Duration = Duration::from_millis(250);

    /// Quotas in `store`.
    pub fn new(store: S) -> Self {
        let health = Health { begin: Instant::now(), until: AtomicU64::new(0), is_ill: AtomicBool::new(false) };
        let namespace = beginning("ziggurat");
        Self { store, namespace, limit: Self::LIMIT, on_failure: OnFailure::Allow, health: Arc::new(health) }
    }

    /// Layers count together when their namespaces in one store are the same, and their quotas; `ziggurat` unless told.
    ///
    /// # Errors
    /// When it is not 1 to 128 letters, digits, `-`, `_`, `.` and `:`.
    pub fn namespace(mut self, name: &str) -> Result<Self, ConfigError> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if !(1..=128).contains(&name.len()) || !name.bytes().all(is_fine) {
            return Err(ConfigError::new(format!("RateLimit: namespace {name:?} is no name"))
                .cure("use 1 to 128 letters, digits, '-', '_', '.' and ':'"));
        }
        self.namespace = beginning(name);
        Ok(self)
    }

    /// Apart from other policies in the same namespace.
    #[cfg(feature = "layers")]
    pub(in crate::layers) fn of_policy(mut self, name: &str) -> Self {
        self.namespace.update(":");
        self.namespace.update(name);
        self
    }

    /// What becomes of requests while the store does not answer.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// How long the store may take for one request; a quarter of a second unless told.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The verdict while the store does not answer.
    fn unknown(&self) -> Verdict {
        match self.on_failure {
            OnFailure::Allow => Verdict::Uncounted,
            OnFailure::Refuse => Verdict::Unavailable,
        }
    }

    fn judged(&self, outcome: Result<Verdict, BoxError>) -> Verdict {
        match outcome {
            Ok(verdict) => {
                if self.health.recovers() {
                    tracing::info!(store = self.store.describe(), "the quotas of requests can be counted again");
                }
                verdict
            }
            Err(error) => {
                if self.health.fails() {
                    let meanwhile = match self.on_failure {
                        OnFailure::Allow => "requests are allowed meanwhile",
                        OnFailure::Refuse => "requests are answered 503 meanwhile",
                    };
                    let store = self.store.describe();
                    tracing::warn!(store, %error, "the quotas of requests cannot be counted; {meanwhile}");
                }
                self.unknown()
            }
        }
    }
}

impl<S: QuotaStore> Quotas for Shared<S> {
    type Hasher = KeyHasher;
    type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

    fn hasher(&self) -> KeyHasher {
        KeyHasher(self.namespace.clone())
    }

    fn take(&self, key: KeyHasher, quota: &Quota) -> Either<Verdict, Self::Later> {
        if self.health.rests() {
            return Either::Left(self.unknown());
        }
        let outcome = self.store.take(key.of(quota), *quota, self.limit);
        let this = self.clone();
        Either::Right(Box::pin(async move { this.judged(outcome.await) }))
    }
}

fn beginning(namespace: &str) -> Sha256 {
    Sha256::new().chain_update((namespace.len() as u64).to_be_bytes()).chain_update(namespace)
}

/// Makes a key that is the same in every process.
#[derive(Debug, Clone)]
pub struct KeyHasher(Sha256);

impl KeyHasher {
    fn of(mut self, quota: &Quota) -> [u8; 16] {
        for number in quota.numbers() {
            self.write(&number.to_be_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&self.0.finalize()[..16]);
        key
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// A part of it.
    fn finish(&self) -> u64 {
        let mut part = [0; 8];
        part.copy_from_slice(&self.0.clone().finalize()[..8]);
        u64::from_be_bytes(part)
    }
}

/// Whether the store answers. It is left alone for a while when it has not: or every request would wait for it in vain.
#[derive(Debug)]
struct Health {
    begin: Instant,
    /// In milliseconds since then.
    until: AtomicU64,
    is_ill: AtomicBool,
}

impl Health {
    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rests(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && self.now() < until
    }

    /// Whether this is the first failure since it rested last, and is to be told.
    fn fails(&self) -> bool {
        self.is_ill.store(true, Ordering::Relaxed);
        let now = self.now();
        let until = now.saturating_add(REST.as_millis() as u64);
        self.until.fetch_max(until, Ordering::Relaxed) <= now
    }

    /// Whether it had failed before.
    fn recovers(&self) -> bool {
        // Read first: nearly always it has not, and a write would be one to what all threads share.
        self.is_ill.load(Ordering::Relaxed) && !self.rests() && self.is_ill.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use super::*;

    fn key(namespace: &str, value: impl Hash, limit: u32) -> [u8; 16] {
        let mut key = KeyHasher(beginning(namespace));
        value.hash(&mut key);
        key.of(&Quota::new(limit, Duration::from_secs(1)).unwrap())
    }

    #[test]
    fn a_key_is_the_same_in_every_process_and_of_one_client() {
        // As other processes have it, which may have been built long ago, and as another implementation of SHA-256 has it.
        let known = [0xc3, 0x48, 0x9c, 0xb8, 0x37, 0xe8, 0x7d, 0xfa, 0xc5, 0x1c, 0xc1, 0xe7, 0x8d, 0x30, 0x8a, 0xbd];
        assert_eq!(key("a", 1_u8, 1), known);
        let values: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"a", b"a\xff", b"\xff\xfe\r\n", b"{a}:*"];
        let mut keys: Vec<_> = values.map(|value| key("a", value, 1)).into();
        keys.extend([key("b", values[3], 1), key("a", values[3], 2), key("aa", b"", 1)]);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn namespaces_are_names() {
        let shared = Shared::new(Never);
        for name in ["", "a b", "a\n", "\u{e9}", "{a}", &"x".repeat(129)] {
            let error = shared.clone().namespace(name).unwrap_err().to_string();
            assert!(error.contains("is no name; use"), "{error}");
        }
        assert!(shared.namespace("shop.v2:api-1_x").is_ok());
    }

    /// A store that never answers.
    #[derive(Debug, Clone)]
    struct Never;

    impl QuotaStore for Never {
        fn describe(&self) -> String {
            "never".to_owned()
        }

        fn take(
            &self,
            _: [u8; 16],
            _: Quota,
            _: Duration,
        ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static {
            std::future::pending()
        }
    }
}
