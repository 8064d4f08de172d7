//! Quotas in a server that speaks the protocol of Redis.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Script};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

use super::shared::QuotaStore;
use super::{Quota, Verdict};
use crate::{BoxError, ConfigError};

/// A connection that takes longer than this to be made is given up. Requests do not wait for it so long.
const CONNECT: Duration = Duration::from_secs(5);

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

/// A server that speaks the protocol of Redis, from version 5 on, which any number of machines share. Clones share a connection.
///
/// Each request is one call of a script there, which counts in whole microseconds by the clock of the server. A key goes when its time has
/// passed. The connection is made by the first request, and again when it was lost. It is one to a single server: the nodes of a cluster
/// would lead elsewhere, and there is no TLS.
#[derive(Clone)]
pub struct RedisQuotas {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    prefix: Box<str>,
    link: Mutex<Link>,
}

/// The connection, which may be on its way.
#[derive(Default)]
struct Link {
    /// How many there were before.
    number: u64,
    connection: Option<Connecting>,
}

type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, Arc<str>>>>;

impl RedisQuotas {
    /// The server at `url`: `redis://user:password@host:6379/0`, of which the host is enough.
    ///
    /// # Errors
    /// When it is no such URL. What is in there is not part of the text.
    pub fn open(url: &str) -> Result<Self, ConfigError> {
        let is_plain = url.starts_with("redis://");
        let client = Some(url).filter(|_| is_plain).and_then(|url| Client::open(url).ok());
        let Some(client) = client else {
            let what =
                if url.starts_with("rediss://") { "cannot be spoken to over TLS" } else { "is no server of quotas" };
            return Err(ConfigError::new(format!("RateLimit: the store {what}"))
                .cure("write redis://host:6379/0, with user:password@ before the host where these are asked for"));
        };
        Ok(Self { inner: Arc::new(Inner { client, prefix: "ziggurat:".into(), link: Mutex::default() }) })
    }

    /// What its keys begin with in the server; `ziggurat:` unless told.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        let client = self.inner.client.clone();
        Self { inner: Arc::new(Inner { client, prefix: prefix.into(), link: Mutex::default() }) }
    }
}

impl Inner {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that there is, else a new one, which is made even if nobody waits for it any more.
    fn connecting(&self) -> Result<(u64, Connecting), BoxError> {
        let mut link = self.link();
        if let Some(connection) = &link.connection {
            return Ok((link.number, connection.clone()));
        }
        let client = self.client.clone();
        let task = Handle::try_current()?.spawn(async move {
            // Requests have limits of their own.
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
            let connected = client.get_multiplexed_async_connection_with_config(&config);
            match tokio::time::timeout(CONNECT, connected).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string().into()),
                Err(_) => Err(Arc::from("it could not be connected to in time")),
            }
        });
        let connecting = async { task.await.unwrap_or_else(|error| Err(error.to_string().into())) };
        let connecting = connecting.boxed().shared();
        link.number += 1;
        link.connection = Some(connecting.clone());
        Ok((link.number, connecting))
    }

    /// Unless another one was made since.
    fn forget(&self, number: u64) {
        let mut link = self.link();
        if link.number == number {
            link.connection = None;
        }
    }

    async fn take(&self, key: [u8; 16], quota: Quota, limit: Duration) -> Result<Verdict, BoxError> {
        let quota = quota.in_micros();
        let [interval, whole] = quota.micros();
        let name = format!("{}{:032x}", self.prefix, u128::from_be_bytes(key));
        let mut call = TAKE.key(name);
        call.arg(interval).arg(whole);
        let mut used = None;
        let outcome = tokio::time::timeout(limit, async {
            // Twice, as a server closes connections that were idle for long, or was begun anew.
            for is_last in [false, true] {
                let (number, connecting) = self.connecting()?;
                let mut connection = connecting.await.map_err(|error| {
                    self.forget(number);
                    BoxError::from(&*error)
                })?;
                used = Some(number);
                match call.invoke_async(&mut connection).await {
                    Ok(taken) => return Ok(taken),
                    Err(error) if error.is_unrecoverable_error() && !is_last => self.forget(number),
                    Err(error) => {
                        self.forget(number);
                        return Err(BoxError::from(error));
                    }
                }
            }
            Err("it closes connections at once".into())
        });
        let outcome = outcome.await;
        let Ok(taken) = outcome else {
            // What it waited for may lead nowhere by now, which nothing else would tell. One that is still on its way may come.
            used.inspect(|number| self.forget(*number));
            return Err(format!("no answer within {} s", limit.as_secs_f64()).into());
        };
        let taken: u64 = taken?;
        // As if the clock stood at the beginning.
        Ok(quota.take(taken.saturating_mul(1000), 0).0)
    }
}

impl QuotaStore for RedisQuotas {
    fn describe(&self) -> String {
        format!("redis {}", self.inner.client.get_connection_info().addr())
    }

    fn take(
        &self,
        key: [u8; 16],
        quota: Quota,
        limit: Duration,
    ) -> impl Future<Output = Result<Verdict, BoxError>> + Send + 'static {
        let inner = self.inner.clone();
        async move { inner.take(key, quota, limit).await }
    }
}

/// Without credentials.
impl fmt::Debug for RedisQuotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisQuotas").field(&self.describe()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_lost_takes_no_newer_one_along() {
        let quotas = RedisQuotas::open("redis://127.0.0.1:1").unwrap();
        let number = || quotas.inner.connecting().unwrap().0;
        let first = number();
        quotas.inner.forget(first);
        let second = number();
        quotas.inner.forget(first);
        assert!(first != second && number() == second);
    }
}
