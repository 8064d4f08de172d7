//! Requests that may come again without being done again (draft-ietf-httpapi-idempotency-key-header).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::request::Parts;

use super::rewrite::contended;
use crate::Response;
use crate::crud::service::Served;
use crate::crud::store::{Key, Once, Refusal, Write, WriteError};
use crate::crud::{Collection, Outcome, Row, Value, etag};
use crate::service::{Claims, Location, Problem, Violation};

/// Claims of a token that say nothing of the caller.
const OF_THE_TOKEN: [&str; 4] = ["exp", "iat", "jti", "nbf"];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of a key.
const LONGEST: usize = 255;

/// The names of the keys whose requests are being answered here. Of those that other processes answer the store knows.
#[derive(Debug, Default)]
pub(in crate::crud) struct Running(Mutex<HashSet<String>>);

impl Running {
    /// Whether no other request has it.
    fn take(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned())
    }

    fn release(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// A key, which no other request has as long as this lives.
pub(super) struct Taken<'s> {
    key: Key,
    running: &'s Running,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.running.release(&self.key.name);
    }
}

/// What is known of a request before it is done.
pub(super) enum Begun<'s> {
    /// It is the first with its key, or has none.
    First(Option<Taken<'s>>),
    /// It has come before, and this is what it wrote.
    Again(Row),
}

/// What was written: now, or when the request came before.
pub(super) enum Written<T> {
    Now(T),
    Before(Row),
}

impl Written<Row> {
    pub(super) fn into_row(self) -> Row {
        match self {
            Self::Now(row) | Self::Before(row) => row,
        }
    }
}

/// Looks at the key of a request; done before anything else that may refuse it or call hooks.
///
/// # Errors
/// When the key is none, is that of another request, or the same request is being answered.
pub(super) async fn begin<'s, C: Collection>(
    served: &'s Served<C>,
    parts: &Parts,
    body: &[u8],
) -> Result<Begun<'s>, Problem> {
    let Some(text) = sent(served, &parts.headers)? else { return Ok(Begun::First(None)) };
    let caller = caller(served, parts.extensions.get::<Claims>());
    let name = format!("{} {}{caller} {text}", parts.method, parts.uri.path());
    let key = Key { name, fingerprint: etag::digest(body).cast_signed() };
    // Before the store is asked: what another has kept is there when it lets go.
    let taken = served.running.take(&key.name).then(|| Taken { key: key.clone(), running: &served.running });
    match served.done(served.collection.recall(key).await)? {
        None => taken.map(|taken| Begun::First(Some(taken))).ok_or_else(running),
        Some(Once::Before(row)) => Ok(Begun::Again(row)),
        Some(Once::Other) => Err(reused()),
        Some(Once::Done(_) | Once::Running) => Err(running()),
    }
}

/// By what a caller differs from others.
fn caller<C: Collection>(served: &Served<C>, claims: Option<&Claims>) -> String {
    // JSON, so that none can be taken for two.
    let told = |name: &String| claims.and_then(|claims| claims.get(name)).map(ToString::to_string).unwrap_or_default();
    let known = served.caller_claims.iter().flatten();
    let mut caller: String = known.map(|name| format!(" {}", told(name))).collect();
    // A hook, or a predicate of the policy, may ask for any other, but for those that each token has of its own.
    if served.hooks.has(served.op) || served.caller_claims.is_none() {
        let all: Option<BTreeMap<String, serde_json::Value>> = claims.and_then(|claims| claims.to().ok());
        let told = all.unwrap_or_default().into_iter().filter(|(name, _)| !OF_THE_TOKEN.contains(&&**name));
        // As a digest: no key in a store is as long as tokens are.
        let told = serde_json::Value::Object(told.collect()).to_string();
        caller.push_str(&format!(" {:016x}", etag::digest(told.as_bytes())));
    }
    caller
}

impl Taken<'_> {
    /// Does one write, after which there is a row.
    pub(super) async fn write<C: Collection>(
        &self,
        served: &Served<C>,
        write: Write,
    ) -> Result<Outcome<Written<Row>>, Problem> {
        match self.once(served, vec![write]).await? {
            Ok(Written::Now(rows)) => match rows.into_iter().next() {
                Some(row) => Ok(Outcome::Done(Written::Now(row))),
                None => Err(served.internal(&"a row that was written is not there")),
            },
            Ok(Written::Before(row)) => Ok(Outcome::Done(Written::Before(row))),
            Err(WriteError { why: Refusal::NotFound, .. }) => Ok(Outcome::NotFound),
            Err(WriteError { why: Refusal::Changed, .. }) => Ok(Outcome::Changed),
            Err(WriteError { why: Refusal::Store(error), .. }) => Err(served.problem(error)),
        }
    }

    /// Adds all rows or none.
    pub(super) async fn insert_all<C: Collection>(
        &self,
        served: &Served<C>,
        documents: Vec<Value<'static>>,
    ) -> Result<Written<Vec<Row>>, Problem> {
        let count = documents.len();
        self.once(served, documents.into_iter().map(Write::Insert).collect()).await?.map_err(|refused| {
            let problem = match refused.why {
                Refusal::Store(error) => served.problem(error),
                Refusal::NotFound | Refusal::Changed => contended(),
            };
            if refused.index < count { problem.of_item(refused.index) } else { problem }
        })
    }

    async fn once<C: Collection>(
        &self,
        served: &Served<C>,
        writes: Vec<Write>,
    ) -> Result<Result<Written<Vec<Row>>, WriteError>, Problem> {
        match served.collection.once(writes, self.key.clone()).await {
            Ok(Once::Done(rows)) => Ok(Ok(Written::Now(rows))),
            Ok(Once::Before(row)) => Ok(Ok(Written::Before(row))),
            Ok(Once::Other) => Err(reused()),
            Ok(Once::Running) => Err(running()),
            Err(refused) => Ok(Err(refused)),
        }
    }
}

/// The answer that was given before, as such.
pub(super) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// That a request of this operation may have a key, or has none.
///
/// # Errors
/// When it has one and would be done again all the same.
pub(in crate::crud) fn check<C: Collection>(served: &Served<C>, headers: &HeaderMap) -> Result<(), Problem> {
    let op = served.op;
    if !served.idempotency || !op.is_write() || op.takes_key() || !headers.contains_key(IDEMPOTENCY_KEY) {
        return Ok(());
    }
    Err(not_here(if op.is_on_item() {
        "a key is for POST and PATCH of rows; send If-Match instead, with which a write is not done twice"
    } else {
        "a key is for POST and PATCH of rows; leave it out"
    }))
}

/// That a request whose rows are written one by one has no key.
///
/// # Errors
/// When it has one, as it cannot be kept together with all of the rows.
pub(super) fn check_each<C: Collection>(served: &Served<C>, headers: &HeaderMap) -> Result<(), Problem> {
    match sent(served, headers)? {
        Some(_) => Err(not_here("a key is for rows that are all written or none; leave it out, or handling=lenient")),
        None => Ok(()),
    }
}

/// The key as the client calls it.
///
/// # Errors
/// When it is empty, too long, or there are several.
fn sent<'h, C: Collection>(served: &Served<C>, headers: &'h HeaderMap) -> Result<Option<&'h str>, Problem> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = sent.next().filter(|_| served.idempotency) else { return Ok(None) };
    // A string of RFC 8941, and what clients send instead of one.
    let text = first.to_str().ok().map(str::trim);
    let text = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    match text {
        Some(text) if !text.is_empty() && text.len() <= LONGEST && sent.next().is_none() => Ok(Some(text)),
        _ => Err(wrong(StatusCode::BAD_REQUEST, "one key of 1 to 255 visible characters is expected", "header")),
    }
}

/// 422: the key is that of another request.
fn reused() -> Problem {
    wrong(StatusCode::UNPROCESSABLE_ENTITY, "this key was sent with another body before; take a new one", "key_reused")
}

/// 409: what becomes of the request is not known yet.
fn running() -> Problem {
    let detail = "a request with this key is being answered, or its row is being written; send it again a little later";
    wrong(StatusCode::CONFLICT, detail, "key_in_use").header(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// 400: the key would not keep the request from being done again.
fn not_here(detail: &'static str) -> Problem {
    wrong(StatusCode::BAD_REQUEST, detail, "not_allowed")
}

fn wrong(status: StatusCode, detail: &'static str, code: &'static str) -> Problem {
    let at = Location::Header(IDEMPOTENCY_KEY.to_string());
    Problem::of(status).detail(detail).errors(vec![Violation::new(at, code, detail)])
}
