//! Reads by id that come while others are under way, asked for together.
//!
//! A round trip to a server costs far more than one document more in its answer. So only a few reads of a collection are
//! under way at once, the lanes; what comes meanwhile waits for the first lane that is free, which then asks for all that
//! waits with one `$in`. The farther the server, the more lanes there are, so that a read waits for half a millisecond or
//! so and no longer. A read that finds a free lane waits for nothing.
//!
//! It is the idea of DataLoader, without a window of time: a batch is what the last round trip let pile up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::crud::Value;
use crate::crud::store::{Row, StoreError};

/// So many ids are asked for at once at most.
const MOST: usize = 128;
const FEWEST_LANES: usize = 2;
const MOST_LANES: usize = 64;
/// A lane more for each of these in a round trip.
const LANE_PER: Duration = Duration::from_micros(500);

/// The answer to one read.
pub(super) type Found = Result<Option<Row>, StoreError>;

/// The reads of one collection.
#[derive(Debug, Default)]
pub(super) struct Gather(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Asked>,
    lanes: usize,
    /// A moving average.
    round_trip: Duration,
}

/// A read that waits.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: Value<'static>,
    reply: oneshot::Sender<Found>,
}

impl Asked {
    /// Answers; nobody listens when the client is gone.
    pub(super) fn answer(self, found: Found) {
        let _ = self.reply.send(found);
    }
}

impl Gather {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a read into the line; with it comes a lane when one is free, and then the caller has to run it.
    pub(super) fn ask(self: &Arc<Self>, id: Value<'static>) -> (oneshot::Receiver<Found>, Option<Lane>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state();
        state.waiting.push_back(Asked { id, reply });
        let allowed = lanes(state.round_trip);
        let lane = (state.lanes < allowed).then(|| {
            state.lanes += 1;
            Lane { gather: Some(Arc::clone(self)) }
        });
        (answer, lane)
    }
}

/// How many reads may be under way at once.
fn lanes(round_trip: Duration) -> usize {
    let lanes = round_trip.as_micros() / LANE_PER.as_micros();
    usize::try_from(lanes).unwrap_or(MOST_LANES).clamp(FEWEST_LANES, MOST_LANES)
}

/// The right to have one read under way.
#[derive(Debug)]
pub(super) struct Lane {
    /// None when the right was given back.
    gather: Option<Arc<Gather>>,
}

impl Lane {
    /// What waits, to be asked for together. When nothing does, the lane is given back in the same step: what comes after
    /// finds it free.
    pub(super) fn take(&mut self) -> Vec<Asked> {
        let mut batch = Vec::new();
        let Some(gather) = self.gather.take() else { return batch };
        let mut state = gather.state();
        while batch.len() < MOST
            && let Some(asked) = state.waiting.pop_front()
        {
            if !asked.reply.is_closed() {
                batch.push(asked);
            }
        }
        if batch.is_empty() {
            state.lanes -= 1;
        } else {
            drop(state);
            self.gather = Some(gather);
        }
        batch
    }

    /// Learns how long a round trip took.
    pub(super) fn took(&self, round_trip: Duration) {
        let Some(gather) = &self.gather else { return };
        let mut state = gather.state();
        state.round_trip = (state.round_trip * 7 + round_trip) / 8;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Given back already, unless something went wrong on the way.
        let Some(gather) = self.gather.take() else { return };
        let mut state = gather.state();
        state.lanes -= 1;
        if state.lanes == 0 {
            // Nobody would take up what waits: those who wait learn so.
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(gather: &Arc<Gather>, id: i64) -> (oneshot::Receiver<Found>, Option<Lane>) {
        gather.ask(Value::Int(id))
    }

    #[test]
    fn what_comes_while_all_lanes_are_busy_is_taken_together() {
        let gather = Arc::<Gather>::default();
        let (_first, one) = ask(&gather, 1);
        let mut one = one.unwrap();
        assert_eq!(one.take().len(), 1);
        let (_second, two) = ask(&gather, 2);
        let mut two = two.unwrap();
        assert_eq!(two.take().len(), 1);
        let others: Vec<_> = (3..10).map(|id| ask(&gather, id)).collect();
        assert!(others.iter().all(|(_, lane)| lane.is_none()));
        assert_eq!(one.take().len(), others.len());
        assert!(two.take().is_empty());
        let (_tenth, lane) = ask(&gather, 10);
        assert!(lane.is_some(), "a lane that found nothing to do is free at once");
        let (_eleventh, none) = ask(&gather, 11);
        assert!(none.is_none());
        assert_eq!(one.take().len(), 2);
    }

    #[test]
    fn a_read_whose_caller_is_gone_is_not_asked_for() {
        let gather = Arc::<Gather>::default();
        let (answer, lane) = ask(&gather, 1);
        drop(answer);
        assert!(lane.unwrap().take().is_empty());
    }

    #[test]
    fn a_batch_is_bounded() {
        let gather = Arc::<Gather>::default();
        let (_kept, lane) = ask(&gather, 0);
        let mut lane = lane.unwrap();
        let _others: Vec<_> = (1..=MOST as i64).map(|id| ask(&gather, id)).collect();
        assert_eq!(lane.take().len(), MOST);
        assert_eq!(lane.take().len(), 1);
    }

    #[test]
    fn farther_servers_get_more_lanes() {
        assert_eq!(lanes(Duration::ZERO), FEWEST_LANES);
        assert_eq!(lanes(Duration::from_millis(5)), 10);
        assert_eq!(lanes(Duration::from_secs(1)), MOST_LANES);
    }

    #[test]
    fn a_lane_that_ends_early_leaves_nobody_waiting() {
        let gather = Arc::<Gather>::default();
        let (mut answer, lane) = ask(&gather, 1);
        drop(lane);
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }
}
