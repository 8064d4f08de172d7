//! Decides what is done with requests and answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LOCATION, LOCATION};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Uri};
use tokio::time::Instant;

use super::asked::{Read, Rules};
use super::flights::{Flight, Flights, Joined, Lead, Outcome, Waiting};
use super::lifetime::{Default, Lifetime};
use super::shelf::{Found, Shelf};
use super::status::{self, Told, Why};
use super::stored::Stored;
use super::writes::Begun;
use crate::Problem;
use crate::layers::tags;

/// How many times a request waits for others before it goes in by itself.
const MOST_WAITS: u8 = 3;

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) rules: Rules,
    pub(super) shelf: Shelf,
    flights: Arc<Flights>,
}

/// What is done with a request next.
pub(super) enum Step {
    Answer(Response<Bytes>),
    Ask(Box<Asking>),
    Wait(Waiting, Read),
}

impl Core {
    pub(super) fn new(rules: Rules) -> Self {
        Self { shelf: Shelf::new(rules.max_bytes), rules, flights: Arc::default() }
    }

    /// `waits` counts how many times the request has waited already.
    pub(super) fn step(self: &Arc<Self>, mut read: Read, uri: &Uri, request: &HeaderMap, waits: u8) -> Step {
        let found = match self.find_fresh(&read, request) {
            Ok(answer) => return Step::Answer(answer),
            Err(found) => found,
        };
        let counter = self.shelf.writes.counter(uri.path());
        let flight = flight_of(&read, &found, request, self.shelf.writes.last(counter));
        let mut stale = None;
        match found {
            Found::For(stored) => {
                let age = stored.age();
                // One request fetches another one, and nobody else waits for that.
                if stored.suits(&read.asks, age)
                    && stored.is_within(age, stored.lifetime.stale_while_revalidate)
                    && self.flights.is_under_way(&flight)
                {
                    return Step::Answer(stored.answer(&read, age, Told::Hit(stored.left(age))));
                }
                read.why = if stored.fresh(age).is_some() { Why::Request } else { Why::Stale };
                stale = Some(stored);
            }
            Found::Other(_) => read.why = Why::VaryMiss,
            Found::Nothing => read.why = Why::UriMiss,
        }
        if read.asks.only_if_cached {
            let mut response =
                Problem::of(StatusCode::GATEWAY_TIMEOUT).detail("nothing is kept that may answer this").into_response();
            status::append(response.headers_mut(), Told::OnlyIfCached);
            return Step::Answer(response);
        }
        // The answer to one client is seldom for others, and may take its time; unless there was one that is for all.
        let is_own = read.has_credentials && stale.is_none();
        // Who asks for a fresh answer gets one of its own; so do those that have waited in vain.
        let is_alone = read.head
            || is_own
            || read.asks.no_cache
            || read.why == Why::Request
            || waits >= MOST_WAITS
            || self.shelf.is_passed(&flight.key);
        let lead = match is_alone {
            true => None,
            false => match self.flights.join(flight.clone()) {
                Joined::Wait(waiting) => return Step::Wait(waiting, read),
                Joined::Lead(lead) => match self.find_fresh(&read, request) {
                    // It has come since it was looked for.
                    Ok(answer) => return Step::Answer(answer),
                    Err(_) => Some(lead),
                },
            },
        };
        let (core, request, begun) = (self.clone(), request.clone(), self.shelf.writes.now(counter));
        Step::Ask(Box::new(Asking { core, read, request, flight: flight.key, begun, stale, lead }))
    }

    /// The answer by what is kept and fresh, or what else is kept.
    fn find_fresh(&self, read: &Read, request: &HeaderMap) -> Result<Response<Bytes>, Found> {
        match self.shelf.find(&read.key, request) {
            // Where a client is known what is kept may be of another one, unless it says that it is for all.
            Found::For(stored) if read.has_credentials && !stored.lifetime.public => Err(Found::Nothing),
            Found::For(stored) => {
                let age = stored.age();
                match stored.fresh(age).is_some() && stored.suits(&read.asks, age) {
                    true => Ok(stored.answer(read, age, Told::Hit(stored.left(age)))),
                    false => Err(Found::For(stored)),
                }
            }
            found => Err(found),
        }
    }

    /// What is done with a request that has waited, and how many times that counts.
    pub(super) fn resume(
        self: &Arc<Self>,
        read: Read,
        uri: &Uri,
        request: &HeaderMap,
        waits: u8,
        outcome: Option<Outcome>,
    ) -> (Step, u8) {
        let waits = match outcome {
            Some(Outcome::Kept(stored)) => {
                let age = stored.age();
                // There may have been a write since it was told of.
                let is_for_it = stored.is_for(request)
                    && (!read.has_credentials || stored.lifetime.public)
                    && stored.suits(&read.asks, age)
                    && self.shelf.writes.is_current(stored.begun);
                if is_for_it {
                    let told = Told::Collapsed(read.why, stored.left(age));
                    return (Step::Answer(stored.answer(&read, age, told)), waits);
                }
                waits + 1
            }
            Some(Outcome::NotShared) => MOST_WAITS,
            // Else all would wait for one failure after the other.
            Some(Outcome::Unusable) => waits + 1,
            // Its client has left. There is always one of those that wait which goes in, so this does not count.
            None => waits,
        };
        (self.step(read, uri, request, waits), waits)
    }

    /// Has what is kept for a path asked for again.
    pub(super) fn invalidate(&self, path: &str) {
        self.shelf.writes.write(self.shelf.writes.counter(path));
    }

    /// Has all asked for again that a write may have changed: its own path, and those that its answer names (RFC 9111, 4.4).
    pub(super) fn written(&self, path: &str, answer: &HeaderMap) {
        self.invalidate(path);
        for name in [LOCATION, CONTENT_LOCATION] {
            let place = answer.get(name).and_then(|value| value.to_str().ok()?.parse::<Uri>().ok());
            // No host may have that of another one forgotten.
            if let Some(place) = place.filter(|place| place.authority().is_none()) {
                self.invalidate(place.path());
            }
        }
    }
}

/// Requests with the same one wait for each other.
fn flight_of(read: &Read, found: &Found, request: &HeaderMap, written: u64) -> Flight {
    let mut key = Vec::with_capacity(read.key.len() + 1);
    key.extend_from_slice(&read.key);
    // What is fetched without credentials may not be for those with them.
    key.push(read.has_credentials.into());
    if let Found::For(stored) | Found::Other(stored) = found {
        stored.select(request, &mut key);
    }
    Flight { key: key.into(), written }
}

/// A request that was handed on.
#[derive(Debug)]
pub(super) struct Asking {
    core: Arc<Core>,
    read: Read,
    /// What the request said, for answers that vary by it.
    request: HeaderMap,
    /// The key of its flight.
    flight: Arc<[u8]>,
    begun: Begun,
    stale: Option<Arc<Stored>>,
    lead: Option<Lead>,
}

impl Asking {
    /// Changes the request so that its answer is whole.
    pub(super) fn prepare(&self, headers: &mut HeaderMap) {
        if !self.read.head {
            Read::ask_whole(headers);
        }
    }

    /// What is sent in the place of a failure, which had this status if it was an answer.
    pub(super) fn instead_of_failure(&mut self, status: Option<StatusCode>) -> Option<Response<Bytes>> {
        let stale = self.stale.clone()?;
        let age = stale.age();
        let may_be_sent = stale.is_within(age, stale.lifetime.stale_if_error)
            && !stale.lifetime.stale_if_error.is_zero()
            && self.core.shelf.writes.is_current(stale.begun);
        if !may_be_sent {
            return None;
        }
        if let Some(lead) = self.lead.take() {
            lead.end(Outcome::Kept(stale.clone()));
        }
        let told = Told::InsteadOfFailure(self.read.why, status, stale.left(age));
        Some(stale.answer(&self.read, age, told))
    }

    /// How long an answer with this head is kept, if its body is not too long.
    pub(super) fn lifetime(&self, parts: &Parts, length: &http_body::SizeHint) -> Option<Lifetime> {
        if self.read.head || length.lower() > self.most() as u64 {
            return None;
        }
        let default = Default { ttl: self.core.rules.ttl, has_length: length.exact().is_some() };
        Lifetime::of(parts, self.read.has_credentials, default)
    }

    pub(super) fn most(&self) -> usize {
        self.core.rules.max_body_bytes
    }

    /// Hands an answer on that is not kept; true where the client has what it holds.
    pub(super) fn hand_on(&mut self, parts: &mut Parts) -> bool {
        if let Some(lead) = self.lead.take() {
            // What fails now may be for all when it does not.
            if !parts.status.is_server_error() {
                self.core.shelf.pass(&self.flight);
            }
            lead.end(Outcome::NotShared);
        }
        status::append(&mut parts.headers, Told::HandedOn(self.read.why));
        self.shorten(parts)
    }

    /// There is no answer. Those that wait for it ask again, one of them first.
    pub(super) fn fail(&mut self) {
        if let Some(lead) = self.lead.take() {
            lead.end(Outcome::Unusable);
        }
    }

    /// Hands an answer on whose body broke off, which is as good as none to others.
    pub(super) fn give_up(&mut self, parts: &mut Parts) {
        self.fail();
        status::append(&mut parts.headers, Told::HandedOn(self.read.why));
    }

    /// Makes it a 304 where the client has what it holds, and says so.
    fn shorten(&self, parts: &mut Parts) -> bool {
        let has = !self.read.head && parts.status == StatusCode::OK && self.read.has(&parts.headers);
        if has {
            parts.status = StatusCode::NOT_MODIFIED;
            tags::without_metadata(&mut parts.headers);
        }
        has
    }

    /// Keeps an answer whose head came then, and answers all that wait for it.
    pub(super) fn keep(mut self, mut parts: Parts, body: Bytes, lifetime: Lifetime, came: Instant) -> Response<Bytes> {
        let stored = Arc::new(Stored::new(&parts, &body, &self.request, lifetime, came, self.begun));
        let Core { shelf, .. } = &*self.core;
        // What was asked for before a write is no answer to those that came after it.
        let is_current = shelf.writes.is_current(self.begun);
        if is_current {
            shelf.keep(&self.read.key, &self.request, &stored);
        }
        match self.lead.take() {
            Some(lead) => lead.end(if is_current { Outcome::Kept(stored.clone()) } else { Outcome::Unusable }),
            None => shelf.unpass(&self.flight),
        }
        let why = self.read.why;
        let told = if is_current { Told::Kept(why, stored.left(stored.age())) } else { Told::HandedOn(why) };
        status::append(&mut parts.headers, told);
        let body = if self.shorten(&mut parts) { Bytes::new() } else { body };
        Response::from_parts(parts, body)
    }
}
