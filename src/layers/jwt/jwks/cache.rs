//! The keys that were fetched last, and who fetches them again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::Jwks;
use super::fetch::{Fetched, fetch};
use crate::layers::jwt::Issuer;
use crate::layers::jwt::ring::Ring;

/// No answer is kept for longer, whatever it says of itself.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys of one issuer.
///
/// One task fetches them, begun by the first request. It ends with the cache.
pub(in crate::layers::jwt) struct Cache {
    source: Arc<Jwks>,
    issuer: Issuer,
    leeway: Duration,
    loaded: RwLock<Option<Loaded>>,
    pace: Mutex<Pace>,
    /// Wakes the task before its time.
    wanted: Arc<Notify>,
    /// Wakes those who wait for the end of a fetch.
    fetched: Arc<Notify>,
}

#[derive(Clone)]
struct Loaded {
    ring: Arc<Ring>,
    /// When they should have been fetched anew.
    due: Instant,
    /// When they are not used any more.
    until: Option<Instant>,
}

enum Pace {
    /// Nobody has asked yet.
    Unbegun,
    Fetching(AbortHandle),
    Waiting {
        task: AbortHandle,
        since: Instant,
    },
}

impl Cache {
    pub(in crate::layers::jwt) fn new(source: Jwks, issuer: Issuer, leeway: Duration) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::new(source),
            issuer,
            leeway,
            loaded: RwLock::new(None),
            pace: Mutex::new(Pace::Unbegun),
            wanted: Arc::default(),
            fetched: Arc::default(),
        })
    }

    /// The keys, when there are some.
    pub(in crate::layers::jwt) fn ring(self: &Arc<Self>) -> Option<Arc<Ring>> {
        let Loaded { ring, due, until } = self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let now = Instant::now();
        if now > due {
            // Who should have done it went down with another runtime, or has no luck.
            self.want();
        }
        until.is_none_or(|until| now < until).then_some(ring)
    }

    fn has_some(&self) -> bool {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref().is_some_and(|loaded| loaded.until.is_none_or(|until| Instant::now() < until))
    }

    /// Has the keys fetched, unless they were just now. Gives what to wait for.
    pub(in crate::layers::jwt) fn want(self: &Arc<Self>) -> Option<OwnedNotified> {
        let mut pace = self.pace();
        let fetched = self.fetched.clone().notified_owned();
        match &*pace {
            // It ends before the cache when the runtime does.
            Pace::Fetching(task) | Pace::Waiting { task, .. } if task.is_finished() => *pace = self.begin()?,
            Pace::Unbegun => *pace = self.begin()?,
            Pace::Fetching(_) => {}
            Pace::Waiting { task, since } if since.elapsed() >= self.source.cooldown => {
                *pace = Pace::Fetching(task.clone());
                self.wanted.notify_one();
            }
            Pace::Waiting { .. } => return None,
        }
        Some(fetched)
    }

    fn begin(self: &Arc<Self>) -> Option<Pace> {
        let ends = Ends(self.fetched.clone());
        let task = keep(Arc::downgrade(self), self.source.clone(), self.wanted.clone(), ends);
        Some(Pace::Fetching(Handle::try_current().ok()?.spawn(task).abort_handle()))
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetches(&self) {
        let mut pace = self.pace();
        if let Pace::Waiting { task, .. } = &*pace {
            *pace = Pace::Fetching(task.clone());
        }
        // Who asked at the moment when it was time anyway has been heard.
        let _ = self.wanted.notified().now_or_never();
    }

    /// Keeps what came; tells how long nothing has to be done.
    fn takes(&self, outcome: Result<Fetched, crate::BoxError>, failures: &mut u32) -> Duration {
        let place = &self.source.place;
        let pause = match outcome {
            Ok(Fetched { keys, max_age }) => {
                let age = max_age
                    .unwrap_or(self.source.refresh)
                    .clamp(self.source.cooldown, MAX_AGE.max(self.source.cooldown));
                let due = Instant::now() + age;
                let until = self.source.stale_for.map(|stale| due + stale);
                let ring = Arc::new(Ring::new(&self.issuer, &keys, self.leeway));
                if *failures > 0 {
                    tracing::info!(?place, keys = keys.len(), "the keys of tokens can be had again");
                } else {
                    tracing::debug!(?place, keys = keys.len(), "the keys of tokens were fetched");
                }
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Loaded { ring, due, until });
                *failures = 0;
                (age * 3 / 4).max(self.source.cooldown)
            }
            Err(error) => {
                let serving = if self.has_some() { "the last ones serve on" } else { "tokens are answered 503" };
                tracing::warn!(?place, %error, "the keys of tokens cannot be had; {serving}");
                *failures += 1;
                self.source.cooldown * 2_u32.pow((*failures - 1).min(4))
            }
        };
        let mut pace = self.pace();
        if let Pace::Fetching(task) = &*pace {
            *pace = Pace::Waiting { task: task.clone(), since: Instant::now() };
        }
        drop(pace);
        self.fetched.notify_waiters();
        pause
    }
}

/// The task. It does not keep the cache alive.
async fn keep(cache: Weak<Cache>, source: Arc<Jwks>, wanted: Arc<Notify>, _ends: Ends) {
    let mut failures = 0;
    loop {
        let outcome = fetch(&source).await;
        let Some(kept) = cache.upgrade() else { return };
        let next = Instant::now() + kept.takes(outcome, &mut failures);
        drop(kept);
        tokio::select! {
            () = sleep_until(next) => {}
            () = wanted.notified() => {}
        }
        let Some(kept) = cache.upgrade() else { return };
        kept.fetches();
    }
}

/// Lets go of those who wait when the task ends in the middle of a fetch.
struct Ends(Arc<Notify>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// The last layer and service with these keys is gone.
impl Drop for Cache {
    fn drop(&mut self) {
        if let Pace::Fetching(task) | Pace::Waiting { task, .. } = &*self.pace() {
            task.abort();
        }
    }
}
