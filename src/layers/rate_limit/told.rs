use std::fmt::Write;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Quota, Verdict};
use crate::Problem;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What clients are told of a quota.
#[derive(Debug)]
pub(super) struct Told {
    name: Box<str>,
    policy: HeaderValue,
}

impl Told {
    /// `name` needs no escaping.
    pub(super) fn new(name: &str, quota: &Quota) -> Self {
        let policy = format!("\"{name}\";q={};w={}", quota.at_once(), seconds(quota.window()));
        // Of such a name and numbers it is always a header value.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"default\""));
        Self { name: name.into(), policy }
    }

    /// Adds `RateLimit` and `RateLimit-Policy`, beside those of other quotas: both are lists.
    pub(super) fn tell(&self, verdict: Verdict, headers: &mut HeaderMap) {
        let (remaining, reset) = match verdict {
            Verdict::Allowed { remaining, reset } => (remaining, reset),
            Verdict::Refused { retry_after } => (0, retry_after),
            Verdict::Uncounted | Verdict::Unavailable => return,
        };
        let mut limit = String::with_capacity(self.name.len() + 32);
        // To memory, which does not fail.
        let _ = write!(limit, "\"{}\";r={remaining};t={}", self.name, seconds(reset));
        if let Ok(limit) = HeaderValue::try_from(limit) {
            headers.append(RATE_LIMIT, limit);
        }
        headers.append(RATE_LIMIT_POLICY, self.policy.clone());
    }
}

/// The refusal.
pub(super) fn refusal(retry_after: Duration) -> Problem {
    tracing::debug!(?retry_after, "a request was refused: its quota is used up");
    let seconds = seconds(retry_after).max(1);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    Problem::of(StatusCode::TOO_MANY_REQUESTS)
        .detail(format!("the quota of requests is used up; the next one is answered in {seconds} {unit}"))
        .header(RETRY_AFTER, HeaderValue::from(seconds))
}

/// The refusal where a quota cannot be told.
pub(super) fn unavailable() -> Problem {
    Problem::unavailable("what was taken of the quota of requests cannot be told; try again", 1)
}

/// Rounded up: who waits so long is not refused again for having been too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
