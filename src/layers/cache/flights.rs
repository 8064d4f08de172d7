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
}

/// Comes with what became of a request, or with an error where that was given up, so that another one has to go in.
pub(super) type Waiting = Shared<oneshot::Receiver<Outcome>>;

/// What is asked for at the moment.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Box<[u8]>, Waiting>>);

pub(super) enum Joined {
    Lead(Lead),
    Wait(Waiting),
}

impl Flights {
    pub(super) fn join(self: &Arc<Self>, key: Box<[u8]>) -> Joined {
        match self.all().entry(key) {
            Entry::Occupied(flight) => Joined::Wait(flight.get().clone()),
            Entry::Vacant(place) => {
                let (sender, receiver) = oneshot::channel();
                let key = place.key().clone();
                place.insert(receiver.shared());
                Joined::Lead(Lead { flights: self.clone(), key, sender: Some(sender) })
            }
        }
    }

    pub(super) fn is_under_way(&self, key: &[u8]) -> bool {
        self.all().contains_key(key)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request that goes in. Where it is dropped, for whatever reason, the next one does.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: Box<[u8]>,
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
        self.flights.all().remove(&self.key);
    }
}
