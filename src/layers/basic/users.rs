use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHashString;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::{Argon2, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::password::MAX_PASSWORD;
use super::user::Cost;
use super::{Claims, Fault, KnownUser};
use crate::ConfigError;
use crate::layers::credential;

/// So many wait for their password to be checked, beside those whose is.
const MAX_WAITING: usize = 64;

/// The users there are, and the checks of their passwords that are under way.
pub(super) struct Users {
    users: HashMap<String, Arc<User>>,
    /// One hash of each cost. A password that is not good is checked against all of these costs, whoever it is said to be of: the time
    /// that one of them takes would tell who is known, and of which cost.
    decoys: Vec<(Cost, PasswordHashString)>,
    /// Of this process alone, so that what is remembered says nothing to others.
    salt: [u8; 32],
    remember: Duration,
    checking: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

struct User {
    cost: Cost,
    hash: PasswordHashString,
    claims: Claims,
    /// The password that was good last, and since when.
    good: Mutex<Option<([u8; 32], Instant)>>,
}

/// What a request comes to.
pub(super) enum Verdict {
    Good(Claims),
    Refused(Fault),
    Checking(JoinHandle<Option<Claims>>),
    /// It has no password.
    Without,
}

impl Users {
    pub(super) fn new(
        given: impl IntoIterator<Item = KnownUser>,
        parallel: usize,
        remember: Duration,
    ) -> Result<Self, ConfigError> {
        let given: Vec<_> = given.into_iter().collect();
        if given.is_empty() {
            return Err(ConfigError::new("Basic: no user is known, so nobody could call").cure("give at least one"));
        }
        let mut decoys: Vec<(Cost, PasswordHashString)> = Vec::new();
        let mut users = HashMap::with_capacity(given.len());
        for known in given {
            let cost = known.cost();
            let KnownUser { hash, caller } = known;
            if !decoys.iter().any(|(known, _)| *known == cost) {
                decoys.push((cost, hash.clone()));
            }
            let name = caller.subject().to_owned();
            let user = User { cost, hash, claims: caller.claims("Basic")?, good: Mutex::default() };
            if users.insert(name.clone(), Arc::new(user)).is_some() {
                return Err(ConfigError::new(format!("Basic: the user {name:?} is there twice"))
                    .cure("give everybody a name of their own"));
            }
        }
        let mut salt = [0; 32];
        OsRng.fill_bytes(&mut salt);
        Ok(Self {
            users,
            decoys,
            salt,
            remember,
            checking: Arc::new(Semaphore::new(parallel)),
            waiting: Arc::new(Semaphore::new(parallel + MAX_WAITING)),
        })
    }

    pub(super) fn judge(self: &Arc<Self>, headers: &HeaderMap) -> Verdict {
        let (name, password) = match named(headers) {
            Ok(Some(found)) => found,
            Ok(None) => return Verdict::Without,
            Err(fault) => return Verdict::Refused(fault),
        };
        let user = self.users.get(&name).cloned();
        let digest: [u8; 32] = Sha256::new().chain_update(self.salt).chain_update(&password).finalize().into();
        if let Some(user) = &user
            && user.was_good(&digest, self.remember)
        {
            return Verdict::Good(user.claims.clone());
        }
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return Verdict::Refused(Fault::Busy) };
        let Ok(runtime) = Handle::try_current() else { return Verdict::Refused(Fault::Busy) };
        let users = self.clone();
        Verdict::Checking(runtime.spawn(async move {
            let permit = users.checking.clone().acquire_owned().await.ok()?;
            let check = move || {
                let is_good = users.check(user.as_deref(), &password);
                // With the work and not with the request, which may be gone.
                drop((permit, place));
                let user = user.filter(|_| is_good)?;
                if !users.remember.is_zero() {
                    *user.good.lock().unwrap_or_else(PoisonError::into_inner) = Some((digest, Instant::now()));
                }
                Some(user.claims.clone())
            };
            tokio::task::spawn_blocking(check).await.ok()?
        }))
    }
}

impl Users {
    /// Whether it is the password of `user`.
    fn check(&self, user: Option<&User>, password: &[u8]) -> bool {
        let is_of =
            |hash: &PasswordHashString| Argon2::default().verify_password(password, &hash.password_hash()).is_ok();
        if user.is_some_and(|user| is_of(&user.hash)) {
            return true;
        }
        for (cost, decoy) in &self.decoys {
            if user.is_none_or(|user| user.cost != *cost) {
                // Whatever comes of it.
                std::hint::black_box(is_of(decoy));
            }
        }
        false
    }
}

impl User {
    fn was_good(&self, digest: &[u8; 32], remember: Duration) -> bool {
        let good = *self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.is_some_and(|(good, since)| since.elapsed() < remember && bool::from(good.ct_eq(digest)))
    }
}

/// The name and password of a request (RFC 7617, 2).
fn named(headers: &HeaderMap) -> Result<Option<(String, Vec<u8>)>, Fault> {
    let Some(encoded) = credential::after(headers, b"basic").map_err(|_| Fault::Malformed)? else { return Ok(None) };
    let decoded = STANDARD.decode(encoded).map_err(|_| Fault::Malformed)?;
    let colon = decoded.iter().position(|&byte| byte == b':').ok_or(Fault::Malformed)?;
    let name = String::from_utf8(decoded[..colon].to_vec()).map_err(|_| Fault::Malformed)?;
    let password = decoded[colon + 1..].to_vec();
    if password.len() > MAX_PASSWORD { Err(Fault::Malformed) } else { Ok(Some((name, password))) }
}
