//! Where the time of a request goes.
//!
//! A layer that wants to know puts a [`Stopwatch`] into the request's extensions; whoever has the request wait for Python or a
//! store says so. Where there is none, nothing is measured. A request is in one place at a time, so the parts add up to the whole.
#![allow(dead_code)] // Each feature alone uses some of it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

tokio::task_local! {
    /// That of the request which this task answers.
    static OWN: Option<Stopwatch>;
}

/// What a request is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All that is not one of the others: layers, routing, reading the body, what a native leaf computes.
    Layers,
    /// It was handed to Python, which has not begun.
    Waiting,
    /// Python has it.
    Python,
    /// A native leaf waits for its store.
    Store,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Layers, Self::Waiting, Self::Python, Self::Store];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Waiting => "waiting",
            Self::Python => "python",
            Self::Store => "store",
        }
    }
}

/// Of one request. A clone is the same one.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    part: Part,
    since: Instant,
    spent: [Duration; Part::ALL.len()],
    /// How many answers of the store are waited for, and the part from which the first was asked.
    asked: u32,
    before: Part,
}

impl State {
    fn turn(&mut self, part: Part) {
        if self.part != part {
            self.settle();
            self.part = part;
        }
    }

    fn settle(&mut self) {
        let now = Instant::now();
        self.spent[self.part as usize] += now.duration_since(self.since);
        self.since = now;
    }
}

impl Stopwatch {
    /// Measures from `begun` on, in [`Part::Layers`].
    pub(crate) fn start(begun: Instant) -> Self {
        let part = Part::Layers;
        let state = State { part, since: begun, spent: Default::default(), asked: 0, before: part };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request is in this part from now on.
    pub(crate) fn turn(this: Option<&Self>, part: Part) {
        if let Some(this) = this {
            this.state().turn(part);
        }
    }

    /// What was spent in each part until now, in the order of [`Part::ALL`].
    pub(crate) fn spent(&self) -> [Duration; Part::ALL.len()] {
        let mut state = self.state();
        state.settle();
        state.spent
    }

    /// Runs `answer` so that what it asks a store for is measured.
    pub(crate) fn within<F: Future>(this: Option<Self>, answer: F) -> impl Future<Output = F::Output> {
        OWN.scope(this, answer)
    }
}

/// Waits for a store on behalf of the request that this task answers, if it answers one that is measured.
pub(crate) async fn in_store<F: Future>(answer: F) -> F::Output {
    let own = OWN.try_with(Clone::clone).ok().flatten();
    let _asking = own.map(Asking::begin);
    answer.await
}

/// An answer of a store is waited for; of several at once the time counts once.
struct Asking(Stopwatch);

impl Asking {
    fn begin(watch: Stopwatch) -> Self {
        let mut state = watch.state();
        if state.asked == 0 {
            state.before = state.part;
            state.turn(Part::Store);
        }
        state.asked += 1;
        drop(state);
        Self(watch)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.asked -= 1;
        // Elsewhere by now when a hook ran meanwhile.
        if state.asked == 0 && state.part == Part::Store {
            let before = state.before;
            state.turn(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let begun = Instant::now();
        let watch = Stopwatch::start(Instant::now());
        for part in [Part::Waiting, Part::Python, Part::Layers, Part::Python] {
            Stopwatch::turn(Some(&watch), part);
            pause(2);
        }
        let spent = watch.spent();
        assert!(spent.iter().sum::<Duration>() <= begun.elapsed());
        assert!(spent[Part::Python as usize] >= Duration::from_millis(4), "{spent:?}");
        assert!(spent[Part::Waiting as usize] >= Duration::from_millis(2), "{spent:?}");
        assert_eq!(spent[Part::Store as usize], Duration::ZERO);
    }

    #[tokio::test]
    async fn two_questions_at_once_count_once_and_one_that_is_dropped_ends() {
        let begun = Instant::now();
        let watch = Stopwatch::start(Instant::now());
        let ask = |milliseconds| in_store(tokio::time::sleep(Duration::from_millis(milliseconds)));
        let answer = async {
            tokio::join!(ask(1), ask(10));
            drop(tokio::time::timeout(Duration::from_millis(1), in_store(std::future::pending::<()>())).await);
        };
        Stopwatch::within(Some(watch.clone()), answer).await;
        let after = begun.elapsed();
        pause(5);
        let store = watch.spent()[Part::Store as usize];
        assert!(store >= Duration::from_millis(10) && store <= after, "{store:?} of {after:?}");
        in_store(async { pause(2) }).await;
        assert_eq!(watch.spent()[Part::Store as usize], store, "another task is another request");
    }
    #[tokio::test]
    async fn what_has_gone_elsewhere_meanwhile_stays_there() {
        let watch = Stopwatch::start(Instant::now());
        let hook = async { Stopwatch::turn(Some(&watch), Part::Python) };
        Stopwatch::within(Some(watch.clone()), in_store(hook)).await;
        pause(2);
        assert!(watch.spent()[Part::Python as usize] >= Duration::from_millis(2));
    }
}
