//! What changes in a collection, as MongoDB's change streams tell it, with the documents before and after each change.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::{Document, RawDocumentBuf, doc};
use futures_util::{StreamExt, stream};
use mongodb::Database;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken, UpdateDescription};
use mongodb::options::{FullDocumentBeforeChangeType, FullDocumentType};
use serde::{Deserialize, Serialize};

use super::collection::row;
use super::{MongoStore, closed, error};
use crate::ConfigError;
use crate::crud::Schema;
use crate::crud::store::{Change, Changes, ChangesError, OpenError, Row, StoreError};

type Event = ChangeStreamEvent<RawDocumentBuf>;

/// Has the server keep documents as they were before each change.
pub(super) async fn keep(database: &Database, name: &str, schema: &Schema) -> Result<(), OpenError> {
    let images = doc! { "enabled": true };
    let asked = database.run_command(doc! { "collMod": name, "changeStreamPreAndPostImages": &images }).await;
    let done = match asked {
        // There is no such collection yet.
        Err(error) if error::code(&error).is_some_and(|(code, _)| code == 26) => {
            database.run_command(doc! { "create": name, "changeStreamPreAndPostImages": images }).await
        }
        done => done,
    };
    match done {
        Ok(_) => Ok(()),
        Err(error) if error::code(&error).is_some() => Err(ConfigError::new(format!(
            "{}: this server does not keep what rows were before a change: {error}",
            schema.name
        ))
        .cure("use MongoDB 6.0 or later, or leave changes out")
        .into()),
        Err(error) => Err(error::of(error, schema).into()),
    }
}

/// The changes after a token, or from now on.
pub(super) async fn changes(
    store: &MongoStore,
    rows: &mongodb::Collection<RawDocumentBuf>,
    schema: &Arc<Schema>,
    after: Option<String>,
) -> Result<Changes, ChangesError> {
    let after = after.map(|text| token(&text).ok_or(ChangesError::Lost)).transpose()?;
    let (rows, named) = (rows.clone(), Arc::clone(schema));
    let opened = store
        .run(async move {
            let mut watch = rows
                .watch()
                .full_document(FullDocumentType::WhenAvailable)
                .full_document_before_change(FullDocumentBeforeChangeType::Required);
            if let Some(token) = after {
                watch = watch.resume_after(token);
            }
            Ok(watch.await.map(ChangeStream::with_type::<Event>).map_err(|error| failed(error, &named)))
        })
        .await?;
    let events = opened?;
    let from = events.resume_token().as_ref().and_then(text);
    let feed = Feed { store: store.clone(), schema: Arc::clone(schema), events };
    let stream = stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Ok(change) => Some((Ok(change), Some(feed))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Changes { from, stream: Box::pin(stream) })
}

struct Feed {
    store: MongoStore,
    schema: Arc<Schema>,
    events: ChangeStream<Event>,
}

impl Feed {
    async fn next(&mut self) -> Result<Change, ChangesError> {
        loop {
            let event = {
                let mut closing = std::pin::pin!(self.store.inner.closing.notified());
                // It is listened to before it is looked at, so that it cannot come in between.
                closing.as_mut().enable();
                if self.store.inner.closed.load(Ordering::Acquire) {
                    return Err(closed().into());
                }
                tokio::select! {
                    event = self.events.next() => event,
                    () = closing => None,
                }
            };
            let event = event.ok_or_else(closed)?.map_err(|error| failed(error, &self.schema))?;
            if let Some(change) = self.change(event)? {
                return Ok(change);
            }
        }
    }

    /// What an event tells; none when it is not about rows.
    fn change(&self, event: Event) -> Result<Option<Change>, ChangesError> {
        let image = |document: Option<RawDocumentBuf>| -> Result<Option<Row>, StoreError> {
            document.map(|document| row(&self.schema, &document)).transpose()
        };
        let (before, after) = match event.operation_type {
            OperationType::Insert => (None, image(event.full_document)?),
            OperationType::Update | OperationType::Replace => {
                let before = event.full_document_before_change;
                let after = event.full_document.or_else(|| changed(before.as_ref()?, &event.update_description?));
                // Without it nobody can say for whom the row is still there.
                (image(before)?, Some(image(after)?.ok_or(ChangesError::Lost)?))
            }
            OperationType::Delete => (image(event.full_document_before_change)?, None),
            // The collection was dropped or renamed.
            OperationType::Drop | OperationType::Rename | OperationType::DropDatabase | OperationType::Invalidate => {
                return Err(ChangesError::Lost);
            }
            _ => return Ok(None),
        };
        let token = text(&event.id).ok_or_else(|| StoreError::Internal("a change without a token".into()))?;
        Ok(Some(Change { token, before, after }))
    }
}

/// A document after a change that the server does not keep it of: what it was, with the fields that were set. None where the
/// change went deeper.
fn changed(before: &RawDocumentBuf, update: &UpdateDescription) -> Option<RawDocumentBuf> {
    let UpdateDescription { updated_fields, removed_fields, truncated_arrays, .. } = update;
    let mut names = updated_fields.keys().chain(removed_fields);
    if names.any(|name| name.contains('.')) || truncated_arrays.as_ref().is_some_and(|arrays| !arrays.is_empty()) {
        return None;
    }
    let mut document = Document::try_from(before).ok()?;
    document.extend(updated_fields.clone());
    removed_fields.iter().for_each(|name| drop(document.remove(name)));
    RawDocumentBuf::try_from(&document).ok()
}

/// What a token is written as.
#[derive(Serialize, Deserialize)]
struct Token {
    t: ResumeToken,
}

/// A token as text.
fn text(token: &ResumeToken) -> Option<String> {
    let bytes = bson::serialize_to_vec(&Token { t: token.clone() }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn token(text: &str) -> Option<ResumeToken> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    bson::deserialize_from_slice(&bytes).ok().map(|Token { t }| t)
}

/// What the failure of a change stream means.
fn failed(error: mongodb::error::Error, schema: &Schema) -> ChangesError {
    match error::code(&error) {
        // A token that is none, an image or a history that is not kept any more, an event that is too large, a stream that
        // cannot go on.
        Some((9 | 47 | 50811 | 260 | 280 | 286 | 10334, _)) => ChangesError::Lost,
        _ => ChangesError::Store(error::of(error, schema)),
    }
}
