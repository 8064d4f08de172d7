use std::time::Duration;

use crate::ConfigError;

/// A full burst comes back within this: the times of a key stay far from the ends of their numbers.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How many requests are answered in which time.
///
/// It is measured by the generic cell rate algorithm (ITU-T I.371, annex A, as virtual scheduling). A key has one number, its
/// theoretical arrival time: when all that it has taken will have come back. Each request moves it by one interval, `period`
/// by `limit`, and is refused when it would lie further ahead than `burst` intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    limit: u32,
    period: Duration,
    burst: u32,
    /// Nanoseconds in which one request comes back, and all of the burst.
    interval: u64,
    whole: u64,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is handed inward.
    Allowed {
        /// How many more would be at once.
        remaining: u32,
        /// How long until all of the quota has come back; when nothing remains, until the next request is allowed.
        reset: Duration,
    },
    /// It is a 429.
    Refused {
        /// How long until one is allowed.
        retry_after: Duration,
    },
    /// What was taken cannot be told, and it is handed inward.
    Uncounted,
    /// What was taken cannot be told, and it is a 503.
    Unavailable,
}

impl Quota {
    /// So many requests in each `period`, all of them at once if they come so.
    ///
    /// # Errors
    /// When either is nothing, or there are more requests than nanoseconds, or the period is longer than 366 days.
    pub fn new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::with(limit, period, limit)
    }

    /// So many at once, and no more: a smaller burst spreads requests over the period, a larger one lets those who were away
    /// catch up.
    ///
    /// # Errors
    /// When it is nothing, or takes longer than 366 days to come back.
    pub fn burst(self, burst: u32) -> Result<Self, ConfigError> {
        Self::with(self.limit, self.period, burst)
    }

    fn with(limit: u32, period: Duration, burst: u32) -> Result<Self, ConfigError> {
        if limit == 0 || burst == 0 {
            let field = if limit == 0 { "limit" } else { "burst" };
            return Err(ConfigError::new(format!("RateLimit: {field} is 0, so every request would be refused"))
                .cure("give a whole number from 1"));
        }
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        if nanos < u64::from(limit) || period > LONGEST {
            return Err(ConfigError::new(format!("RateLimit: period is {period:?}, for {limit} requests"))
                .cure("give a nanosecond for each request at least, and 366 days at most"));
        }
        // Rounded up: never more than the limit.
        let interval = nanos.div_ceil(limit.into());
        let whole = interval.checked_mul(burst.into()).filter(|whole| Duration::from_nanos(*whole) <= LONGEST);
        let Some(whole) = whole else {
            return Err(ConfigError::new(format!(
                "RateLimit: burst is {burst}, which takes more than 366 days to come back"
            ))
            .cure("give a smaller burst, or a higher limit"));
        };
        Ok(Self { limit, period, burst, interval, whole })
    }

    /// Takes one request at `now` for a key whose theoretical arrival time is `arrival`, or 0 where it has taken none yet, and
    /// gives that which it has from now on. Both are nanoseconds of one clock, whichever that is.
    pub fn take(&self, arrival: u64, now: u64) -> (Verdict, u64) {
        // What lies further ahead than a burst was of another clock, or another quota.
        let taken = arrival.saturating_sub(now).min(self.whole);
        let left = self.whole - taken;
        if left < self.interval {
            return (Verdict::Refused { retry_after: Duration::from_nanos(self.interval - left) }, now + taken);
        }
        let (left, taken) = (left - self.interval, taken + self.interval);
        let remaining = u32::try_from(left / self.interval).unwrap_or(u32::MAX);
        let reset = if remaining == 0 { self.interval - left } else { taken };
        (Verdict::Allowed { remaining, reset: Duration::from_nanos(reset) }, now + taken)
    }

    /// What the algorithm goes by; quotas are the same where these are.
    #[cfg(any(feature = "sqlite", feature = "redis"))]
    pub(super) fn numbers(&self) -> [u64; 2] {
        [self.interval, self.whole]
    }

    /// The same in whole microseconds, rounded up: never more than the limit.
    #[cfg(feature = "redis")]
    pub(super) fn in_micros(self) -> Self {
        let interval = self.interval.next_multiple_of(1000);
        // A thousandth of what was checked to be far from the ends, at most.
        Self { interval, whole: interval.saturating_mul(self.burst.into()), ..self }
    }

    #[cfg(feature = "redis")]
    pub(super) fn micros(&self) -> [u64; 2] {
        [self.interval / 1000, self.whole / 1000]
    }

    /// How many are allowed at once.
    pub(super) fn at_once(&self) -> u32 {
        self.burst
    }

    /// How long a burst takes to come back.
    pub(super) fn window(&self) -> Duration {
        // Not of the interval, which was rounded.
        let nanos = self.period.as_nanos() * u128::from(self.burst) / u128::from(self.limit);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(limit: u32, period: u64, burst: u32) -> Quota {
        Quota::new(limit, Duration::from_nanos(period)).unwrap().burst(burst).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        let quota = quota(2, 10 * SECOND, 3);
        let (mut arrival, mut verdicts) = (0, Vec::new());
        for now in [100, 100, 100, 100, 104, 105, 105, 115, 115, 115] {
            let (verdict, then) = quota.take(arrival, now * SECOND);
            arrival = then;
            verdicts.push(match verdict {
                Verdict::Allowed { remaining, reset } => (true, remaining, reset.as_secs()),
                Verdict::Refused { retry_after } => (false, 0, retry_after.as_secs()),
                unknown => panic!("{unknown:?}"),
            });
        }
        let wanted = [
            (true, 2, 5),
            (true, 1, 10),
            (true, 0, 5),
            (false, 0, 5),
            (false, 0, 1),
            (true, 0, 5),
            (false, 0, 5),
            (true, 1, 10),
            (true, 0, 5),
            (false, 0, 5),
        ];
        assert_eq!(verdicts, wanted);
    }

    #[test]
    fn another_clock_holds_nobody_for_ever() {
        let quota = quota(1, SECOND, 2);
        let (verdict, arrival) = quota.take(u64::MAX, 5 * SECOND);
        assert_eq!(verdict, Verdict::Refused { retry_after: Duration::from_secs(1) });
        assert_eq!(arrival, 7 * SECOND);
        assert!(matches!(quota.take(arrival, 6 * SECOND).0, Verdict::Allowed { remaining: 0, .. }));
    }

    proptest! {
        /// Beside a token bucket that is counted in fractions.
        #[test]
        fn it_allows_what_a_token_bucket_does(
            limit in 1_u32..50, period in 1_u64..100, burst in 1_u32..60, steps in prop::collection::vec(0_u64..3000, 1..200)
        ) {
            let interval = period * 1_000_000;
            let quota = quota(limit, interval * u64::from(limit), burst);
            let (mut arrival, mut now, mut tokens) = (0, 7, u64::from(burst) * interval);
            for step in steps {
                let step = step * 10_000;
                now += step;
                tokens = (tokens + step).min(u64::from(burst) * interval);
                let (verdict, then) = quota.take(arrival, now);
                arrival = then;
                match verdict {
                    Verdict::Allowed { remaining, reset } => {
                        prop_assert!(tokens >= interval);
                        tokens -= interval;
                        prop_assert_eq!(u64::from(remaining), tokens / interval);
                        let whole = if remaining == 0 { interval } else { u64::from(burst) * interval };
                        prop_assert_eq!(reset, Duration::from_nanos(whole - tokens));
                    }
                    Verdict::Refused { retry_after } => {
                        prop_assert!(tokens < interval);
                        prop_assert_eq!(retry_after, Duration::from_nanos(interval - tokens));
                    }
                    unknown => prop_assert!(false, "{:?}", unknown),
                }
            }
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn in_microseconds_it_is_never_more() {
        // A third of ten, and more.
        assert_eq!(quota(3, 10_000, 2).in_micros().micros(), [4, 8]);
        assert_eq!(quota(5, 10_000, 2).in_micros().micros(), [2, 4]);
        assert_eq!(quota(1000, 1000, 1000).in_micros().micros(), [1, 1000]);
    }
}
