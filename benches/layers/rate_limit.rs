//! What one check of a quota costs, beside `governor`; README.md says how it is measured.

use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::Criterion;
use governor::middleware::StateInformationMiddleware;
use ziggurat::layers::rate_limit::{InMemory, Quota, Quotas, Verdict};

/// Nothing is ever refused.
const LIMIT: NonZeroU32 = NonZeroU32::new(1_000_000_000).unwrap();
const MANY: u32 = 1_000_000;

/// The address that is asked for in step `n`: each once in so many steps, in no order.
fn address(n: u32, keys: u32) -> IpAddr {
    Ipv4Addr::from_bits((u64::from(n) * 2_654_435_761 % u64::from(keys)) as u32).into()
}

fn ours(keys: u32) -> Result<impl Fn(u32) -> bool + Sync, ziggurat::ConfigError> {
    let quota = Quota::new(LIMIT.get(), Duration::from_secs(1))?;
    let quotas = InMemory::new(MANY as usize)?;
    Ok(move |n| {
        let mut state = quotas.hasher();
        address(n, keys).hash(&mut state);
        matches!(quotas.take(state.finish(), &quota), Verdict::Allowed { .. })
    })
}

fn governors(keys: u32) -> impl Fn(u32) -> bool + Sync {
    let quota = governor::Quota::per_second(LIMIT);
    let limiter = governor::RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
    move |n| limiter.check_key(&address(n, keys)).is_ok_and(|state| black_box(state.remaining_burst_capacity()) > 0)
}

/// How long each of the threads takes for so many checks.
fn timed(check: &(impl Fn(u32) -> bool + Sync), threads: u32, checks: u64) -> Duration {
    let barrier = Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let barrier = &barrier;
            scope.spawn(move || {
                let first = thread * (MANY / 2);
                barrier.wait();
                for n in 0..checks {
                    assert!(check(black_box(first.wrapping_add(n as u32))));
                }
                barrier.wait();
            });
        }
        barrier.wait();
        let begin = Instant::now();
        barrier.wait();
        begin.elapsed()
    })
}

fn measure(criterion: &mut Criterion, name: &str, keys: u32, threads: u32) -> Result<(), ziggurat::ConfigError> {
    let (ours, governors) = (ours(keys)?, governors(keys));
    // All keys are there before it begins.
    assert!((0..keys).all(|n| ours(n) && governors(n)));
    let mut group = criterion.benchmark_group(name);
    group.bench_function("ziggurat", |bench| bench.iter_custom(|checks| timed(&ours, threads, checks)));
    group.bench_function("governor", |bench| bench.iter_custom(|checks| timed(&governors, threads, checks)));
    group.finish();
    Ok(())
}

fn main() -> Result<(), ziggurat::ConfigError> {
    let settings = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    let mut criterion = settings.configure_from_args();
    for (name, keys, threads) in [
        ("one key", 1, 1),
        ("one key, two threads", 1, 2),
        ("a million keys", MANY, 1),
        ("a million keys, two threads", MANY, 2),
    ] {
        measure(&mut criterion, name, keys, threads)?;
    }
    criterion.final_summary();
    Ok(())
}
