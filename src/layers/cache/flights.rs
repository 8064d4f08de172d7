//! One request goes in, and those that ask for the same meanwhile wait for its answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

use super::stored::Stored;

/// What those that wait are told.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The answer, which is for all of them.
    Kept(Arc<Stored>),
    /// That it was for one: each has to ask for itself.
    NotShared,
    /// It failed, or was overtaken by a write: another one has to go in.
    Unusable,
}

/// Comes with what became of a request, or with an error where its client has left, so that another one has to go in.
pub(super) type Waiting = Shared<oneshot::Receiver<Outcome>>;

/// Which requests wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) key: Arc<[u8]>,
    /// The last write to their path when they came: those that came after another one need not wait for what is of before.
    pub(super) written: u64,
}

/// What is asked for at the moment.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Flight, Waiting>>);

pub(super) enum Joined {
    Lead(Lead),
    Wait(Waiting),
}

impl Flights {
    pub(super) fn join(self: &Arc<Self>, flight: Flight) -> Joined {
        match self.all().entry(flight) {
            Entry::Occupied(flight) => Joined::Wait(flight.get().clone()),
            Entry::Vacant(place) => {
                let (sender, receiver) = oneshot::channel();
                let flight = place.key().clone();
                place.insert(receiver.shared());
                Joined::Lead(Lead { flights: self.clone(), flight, sender: Some(sender) })
            }
        }
    }

    pub(super) fn is_under_way(&self, flight: &Flight) -> bool {
        self.all().contains_key(flight)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Flight, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request that goes in. Where it is dropped, for whatever reason, the next one does.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    flight: Flight,
    sender: Option<oneshot::Sender<Outcome>>,
}

impl Lead {
    pub(super) fn end(mut self, outcome: Outcome) {
        let sender = self.sender.take();
        // Gone before it is told, so that nobody waits for what is over.
        drop(self);
        // Nobody may be waiting.
        let _ = sender.map(|sender| sender.send(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.all().remove(&self.flight);
    }
}
