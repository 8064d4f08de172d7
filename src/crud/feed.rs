//! One feed of changes for all who watch a collection.
//!
//! The store is read once, however many watch, and the last changes are held in a ring that all of them read at their own pace.
//! Who falls behind the ring is told to begin anew, so nobody makes it grow; who comes back after a while reads the store until it
//! meets the ring.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;

use super::schema::validate;
use super::store::{Change, Changes, ChangesError, StoreError};
use super::{Collection, Expr, Row, Schema, Value};

/// Changes, and bytes of documents, that the ring holds.
const MOST_CHANGES: usize = 1024;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How long the store is read while nobody watches.
const IDLE: Duration = Duration::from_secs(30);

/// A change as those who watch look at it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) token: String,
    pub(super) before: Option<Image>,
    pub(super) after: Option<Image>,
}

/// A row before or after a change.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) json: Bytes,
    values: Vec<Value<'static>>,
}

impl Image {
    fn read(schema: &Schema, row: Row) -> Result<Self, StoreError> {
        let values = validate::stored(schema, &row.json).map_err(|rejection| {
            StoreError::Internal(format!("a stored row does not fit the model: {rejection}").into())
        })?;
        let values = values.into_iter().map(Value::into_owned).collect();
        Ok(Self { json: row.json, values })
    }

    /// What a field of it holds.
    pub(super) fn value(&self, field: usize) -> Option<&Value<'static>> {
        self.values.get(field)
    }

    /// Whether the row is among those that `filter` holds for.
    pub(super) fn holds(&self, filter: &Expr) -> bool {
        filter.holds(&self.values)
    }
}

impl Seen {
    fn read(schema: &Schema, change: Change) -> Result<Self, StoreError> {
        let image = |row: Option<Row>| row.map(|row| Image::read(schema, row)).transpose();
        Ok(Self { token: change.token, before: image(change.before)?, after: image(change.after)? })
    }

    fn bytes(&self) -> usize {
        [&self.before, &self.after].into_iter().flatten().map(|image| image.json.len()).sum()
    }
}

/// Why a feed has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Changes were missed: whoever watches has to read the rows anew.
    Missed,
    /// The store is closed or cannot be reached.
    Broken,
}

/// The feed of a collection.
#[derive(Debug)]
pub(super) struct Feed<C> {
    schema: Arc<Schema>,
    collection: C,
    /// The one that is being filled, if any.
    ring: tokio::sync::Mutex<Option<Arc<Ring>>>,
}

impl<C: Collection> Feed<C> {
    pub(super) fn new(schema: Arc<Schema>, collection: C) -> Self {
        Self { schema, collection, ring: tokio::sync::Mutex::new(None) }
    }

    /// Watches from the change after `token` on, or from now on.
    pub(super) async fn watch(&self, token: Option<&str>) -> Result<Watch, ChangesError> {
        let ring = self.ring().await?;
        let place = match token {
            None => Place::Ring(ring.end_of()),
            Some(token) => match ring.after(token) {
                Some(at) => Place::Ring(at),
                None => Place::Store(self.collection.changes(Some(token.to_owned())).await?),
            },
        };
        let token = token.map(str::to_owned).or_else(|| ring.last_token());
        Ok(Watch { schema: Arc::clone(&self.schema), ring, place, token })
    }

    /// The ring, which is being filled when this is ready.
    async fn ring(&self) -> Result<Arc<Ring>, ChangesError> {
        let mut slot = self.ring.lock().await;
        if let Some(ring) = slot.as_ref().filter(|ring| ring.is_filling()) {
            return Ok(Arc::clone(ring));
        }
        let changes = self.collection.changes(None).await?;
        let ring = Arc::new(Ring::new(changes.from.clone()));
        tokio::spawn(fill(Arc::clone(&ring), Arc::clone(&self.schema), changes));
        *slot = Some(Arc::clone(&ring));
        Ok(ring)
    }
}

/// Puts changes into the ring as long as anybody watches.
async fn fill(ring: Arc<Ring>, schema: Arc<Schema>, mut changes: Changes) {
    let mut was_idle = false;
    loop {
        match tokio::time::timeout(IDLE, changes.stream.next()).await {
            Ok(Some(Ok(change))) => match Seen::read(&schema, change) {
                Ok(seen) => ring.push(seen),
                Err(error) => {
                    tracing::error!(model = schema.name, %error, "a change cannot be told");
                    return ring.end(End::Missed);
                }
            },
            Ok(Some(Err(ChangesError::Lost))) => return ring.end(End::Missed),
            Ok(Some(Err(ChangesError::Store(error)))) => {
                // Where nobody watches any more it is the store that is closed, as at every end of an app.
                if is_idle(&ring) {
                    tracing::debug!(model = schema.name, %error, "the feed of changes ended");
                } else {
                    tracing::warn!(model = schema.name, %error, "the feed of changes broke off");
                }
                return ring.end(End::Broken);
            }
            Ok(None) => return ring.end(End::Broken),
            Err(_) => {}
        }
        let is_idle = is_idle(&ring);
        if is_idle && was_idle {
            return ring.end(End::Broken);
        }
        was_idle = is_idle;
    }
}

/// Whether nobody watches: the slot of the feed and the task that fills it hold on to it, too.
fn is_idle(ring: &Arc<Ring>) -> bool {
    Arc::strong_count(ring) <= 2
}

/// The last changes.
#[derive(Debug)]
struct Ring {
    held: Mutex<Held>,
    /// Told of each change and of the end.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Held {
    /// The place of the first of `changes`.
    first: u64,
    changes: VecDeque<Arc<Seen>>,
    bytes: usize,
    /// The token before the first of `changes`, if there is one.
    before: Option<String>,
    end: Option<End>,
}

impl Ring {
    fn new(before: Option<String>) -> Self {
        let held = Held { first: 0, changes: VecDeque::new(), bytes: 0, before, end: None };
        Self { held: Mutex::new(held), news: watch::Sender::new(()) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, seen: Seen) {
        let mut held = self.held();
        held.bytes += seen.bytes();
        held.changes.push_back(Arc::new(seen));
        while held.changes.len() > 1 && (held.changes.len() > MOST_CHANGES || held.bytes > MOST_BYTES) {
            let Some(gone) = held.changes.pop_front() else { break };
            held.bytes -= gone.bytes();
            held.first += 1;
            held.before = Some(gone.token.clone());
        }
        drop(held);
        self.news.send_replace(());
    }

    fn end(&self, end: End) {
        self.held().end = Some(end);
        self.news.send_replace(());
    }

    fn is_filling(&self) -> bool {
        self.held().end.is_none()
    }

    /// The place of the next change to come.
    fn end_of(&self) -> u64 {
        let held = self.held();
        held.first + held.changes.len() as u64
    }

    fn last_token(&self) -> Option<String> {
        let held = self.held();
        held.changes.back().map(|seen| seen.token.clone()).or_else(|| held.before.clone())
    }

    /// The place after the change that has this token, if the ring holds all that came after it.
    fn after(&self, token: &str) -> Option<u64> {
        let held = self.held();
        if held.before.as_deref() == Some(token) {
            return Some(held.first);
        }
        let at = held.changes.iter().rposition(|seen| seen.token == token)?;
        Some(held.first + at as u64 + 1)
    }

    /// The change at a place, none when it has not come yet.
    fn at(&self, place: u64) -> Result<Option<Arc<Seen>>, End> {
        let held = self.held();
        let Some(index) = place.checked_sub(held.first) else { return Err(End::Missed) };
        match held.changes.get(usize::try_from(index).unwrap_or(usize::MAX)) {
            Some(seen) => Ok(Some(Arc::clone(seen))),
            None => held.end.map_or(Ok(None), Err),
        }
    }
}

enum Place {
    /// The next change is at this place of the ring.
    Ring(u64),
    /// The ring does not go back so far.
    Store(Changes),
}

/// One who watches.
pub(super) struct Watch {
    schema: Arc<Schema>,
    ring: Arc<Ring>,
    place: Place,
    token: Option<String>,
}

impl Watch {
    /// The token of the last change that was given out, or where the feed began.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The token of the last change that there is.
    pub(super) fn latest(&self) -> Option<String> {
        self.ring.last_token()
    }

    /// The next change, if it is there already.
    pub(super) fn ready(&mut self) -> Result<Option<Arc<Seen>>, End> {
        let Place::Ring(place) = &mut self.place else { return Ok(None) };
        let seen = self.ring.at(*place)?;
        if let Some(seen) = &seen {
            *place += 1;
            self.token = Some(seen.token.clone());
        }
        Ok(seen)
    }

    /// Waits for the next change. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Arc<Seen>, End> {
        loop {
            // Subscribed before it is looked for, so that none comes in between.
            let mut news = self.ring.news.subscribe();
            if let Some(seen) = self.ready()? {
                return Ok(seen);
            }
            let Place::Store(changes) = &mut self.place else {
                // The ring is held on to, so its sender is there.
                let _ = news.changed().await;
                continue;
            };
            let change = match changes.stream.next().await {
                Some(Ok(change)) => change,
                Some(Err(ChangesError::Lost)) => return Err(End::Missed),
                Some(Err(ChangesError::Store(_))) | None => return Err(End::Broken),
            };
            if let Some(at) = self.ring.after(&change.token) {
                self.place = Place::Ring(at);
            }
            self.token = Some(change.token.clone());
            return Seen::read(&self.schema, change).map(Arc::new).map_err(|error| {
                tracing::error!(model = self.schema.name, %error, "a change cannot be told");
                End::Missed
            });
        }
    }
}
