//! The one Tokio runtime of the process.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::ConfigError;

/// With the process that made it.
static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();
static BEFORE_PARK: OnceLock<fn()> = OnceLock::new();
/// Guards the making of the runtime, and holds the wanted number of workers.
static THREADS: Mutex<Option<NonZeroUsize>> = Mutex::new(None);

/// The global runtime, made on first use.
///
/// Its workers are called `ziggurat-io-0` and so on, and its threads for blocking work `ziggurat-blocking-0` and so on,
/// so that a thread can tell which of them it is. It lives until the process ends: it is never dropped, and so nothing ever
/// waits for its threads while holding a lock that they want.
///
/// # Errors
/// When the system gives no threads or descriptors, and in a child of the process that made the runtime: its threads do not
/// survive a fork, and Tokio forbids to use what is left.
pub fn runtime() -> io::Result<&'static Runtime> {
    if let Some(made) = RUNTIME.get() {
        return of_this_process(made);
    }
    let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = RUNTIME.get() {
        return of_this_process(made);
    }
    let runtime = build(threads.unwrap_or_else(default_threads))?;
    Ok(&RUNTIME.get_or_init(|| (process::id(), runtime)).1)
}

fn of_this_process((process, runtime): &'static (u32, Runtime)) -> io::Result<&'static Runtime> {
    if *process == process::id() {
        return Ok(runtime);
    }
    Err(io::Error::other(
        "the runtime was started before a fork and has no threads in the child process: \
         fork before anything starts it, or start the child anew (in Python: multiprocessing's \"spawn\" or \"forkserver\")",
    ))
}

/// Sets the number of workers; to be called before the first use of [`runtime`].
///
/// # Errors
/// When the runtime is already running with another number of workers.
pub fn set_io_threads(count: NonZeroUsize) -> Result<(), ConfigError> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let running = RUNTIME.get().map(|(_, runtime)| runtime.metrics().num_workers());
    match running {
        Some(running) if running != count.get() => {
            Err(ConfigError::new(format!("{count} I/O threads are wanted, but {running} are running already"))
                .cure("set the number before anything starts the runtime"))
        }
        _ => {
            *threads = Some(count);
            Ok(())
        }
    }
}

/// The number of workers the runtime has, or will have.
pub fn io_threads() -> usize {
    match RUNTIME.get() {
        Some((_, runtime)) => runtime.metrics().num_workers(),
        None => THREADS.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(default_threads).get(),
    }
}

/// Has each worker call `hook` when it has run out of tasks, before it waits for events. The first hook stays.
#[cfg(feature = "python")]
pub(crate) fn before_park(hook: fn()) {
    let _ = BEFORE_PARK.set(hook);
}

fn default_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn build(workers: NonZeroUsize) -> io::Result<Runtime> {
    let started = AtomicUsize::new(0);
    let idle = Arc::new(IdleWorkers::default());
    let seen = idle.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers.get())
        .thread_name_fn(move || {
            // The workers are the first threads that a runtime starts; what comes later is for blocking work.
            let number = started.fetch_add(1, Ordering::Relaxed);
            match number.checked_sub(workers.get()) {
                None => format!("ziggurat-io-{number}"),
                Some(number) => format!("ziggurat-blocking-{number}"),
            }
        })
        .on_thread_park(move || {
            seen.parks();
            if let Some(hook) = BEFORE_PARK.get() {
                hook();
            }
        })
        .enable_all()
        .build()?;
    // Until each of the first threads is a worker, one of them could take blocking work, and a later one its place.
    idle.wait_for(workers.get());
    Ok(runtime)
}

/// How many threads have waited for events, which only workers do.
#[derive(Default)]
struct IdleWorkers {
    count: Mutex<usize>,
    more: Condvar,
}

impl IdleWorkers {
    fn parks(&self) {
        thread_local!(static SEEN: Cell<bool> = const { Cell::new(false) });
        if !SEEN.replace(true) {
            *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.more.notify_one();
        }
    }

    fn wait_for(&self, workers: usize) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker has nothing to do yet, so this takes no longer than starting the threads.
        let waited = self.more.wait_timeout_while(count, START_WITHIN, |count| *count < workers);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            tracing::warn!("the workers of the runtime are slow to start");
        }
    }
}

const START_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn thread_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[test]
    fn threads_are_named_for_what_they_do() -> io::Result<()> {
        let runtime = build(NonZeroUsize::MIN)?;
        let (worker, blocking) = runtime.block_on(async {
            let worker = tokio::spawn(async { thread_name() }).await;
            (worker, tokio::task::spawn_blocking(thread_name).await)
        });
        assert_eq!(worker?, "ziggurat-io-0");
        assert_eq!(blocking?, "ziggurat-blocking-0");
        Ok(())
    }

    #[test]
    fn blocking_work_that_comes_at_once_is_not_taken_by_a_worker() -> io::Result<()> {
        for _ in 0..50 {
            let runtime = build(NonZeroUsize::new(4).unwrap())?;
            let names = [(); 8].map(|()| runtime.spawn_blocking(thread_name));
            for name in names {
                assert!(runtime.block_on(name)?.starts_with("ziggurat-blocking-"));
            }
        }
        Ok(())
    }

    #[test]
    fn a_running_runtime_keeps_its_threads() -> io::Result<()> {
        let running = runtime()?.metrics().num_workers();
        assert_eq!(io_threads(), running);
        assert!(NonZeroUsize::new(running).is_some_and(|n| set_io_threads(n).is_ok()));
        let other = NonZeroUsize::new(running + 1).unwrap();
        assert!(set_io_threads(other).unwrap_err().to_string().contains("running already"));
        Ok(())
    }
}
