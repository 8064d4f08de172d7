//! `POST /user/_import`: rows in lines (NDJSON), each for itself, in constant memory.
//!
//! What became of the lines is told at the end, or line by line to clients that read while they send.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;

use super::lines::{Line, Lines};
use super::{body, create, prefer};
use crate::crud::policy::Admission;
use crate::crud::service::Served;
use crate::crud::store::{RowError, StoreError};
use crate::crud::{Collection, Op, Row, Schema, Value, json};
use crate::service::Problem;
use crate::{Body, BoxError, Request, Response};

/// Rows that are written at once, and hooks that run at once.
const AT_ONCE: usize = 32;
/// Refused lines that are told of at the end.
const MOST_TOLD: usize = 1000;
const NDJSON: &str = "application/x-ndjson";

pub(in crate::crud) async fn import<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    body::check_type(&parts.headers, Op::Import)?;
    let admission = served.policy.creation(served.caller(&parts))?;
    let told = if wants_lines(&parts.headers) {
        Told::Lines { minimal: prefer::minimal(&parts.headers) }
    } else {
        Told::AtTheEnd(Vec::new())
    };
    let content_type = match told {
        Told::Lines { .. } => NDJSON,
        Told::AtTheEnd(_) => "application/json",
    };
    let lines = Lines::new(body, served.body_limit);
    let writer = Writer { served, parts, admission };
    let mut import = Import { writer, lines, told, counts: Counts::default(), is_over: false };
    // What is wrong with the whole is told by a status; and a client that waits to be asked for the body is.
    let first = import.step().await;
    if import.counts.lines == 0
        && let Some(problem) = import.counts.broken.take()
    {
        return Err(problem);
    }
    let chunks = stream::unfold((Some(first), import), |(first, mut import)| async move {
        let mut chunk = first.unwrap_or_default();
        while chunk.is_empty() && !import.is_over {
            chunk = import.step().await;
        }
        // An empty chunk would end a chunked body.
        (!chunk.is_empty()).then(|| (Ok::<_, BoxError>(Bytes::from(chunk)), (None, import)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

/// Whether the client says that it takes lines.
fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let essence = range.split(';').next().unwrap_or(range).trim();
        Op::Import.accepts().iter().any(|own| own.eq_ignore_ascii_case(essence))
    })
}

/// How the client learns what became of the lines.
enum Told {
    /// One line for each, or only of those that were refused.
    Lines { minimal: bool },
    /// One object, with the lines that were refused.
    AtTheEnd(Vec<(u64, Problem)>),
}

#[derive(Default)]
struct Counts {
    lines: u64,
    created: u64,
    failed: u64,
    /// Why the lines after these were not read.
    broken: Option<Problem>,
}

/// An import under way.
struct Import<C> {
    writer: Writer<C>,
    lines: Lines,
    told: Told,
    counts: Counts,
    is_over: bool,
}

/// Adds rows for a caller.
struct Writer<C> {
    served: Arc<Served<C>>,
    parts: Parts,
    admission: Admission,
}

/// The id of a row that was made, as JSON.
type Made = Result<Vec<u8>, Problem>;

impl<C: Collection> Writer<C> {
    /// Adds the rows of a batch; what became of each line, in order, and the failure of the store that ends the import.
    async fn write(&self, batch: &[Line]) -> (Vec<Made>, Option<Problem>) {
        let mut made: Vec<Option<Made>> = Vec::with_capacity(batch.len());
        let mut documents = Vec::new();
        let mut broken = None;
        for chunk in batch.chunks(AT_ONCE) {
            let looked_at = join_all(chunk.iter().map(|line| self.read(line))).await;
            for document in looked_at {
                match document {
                    Ok(document) => {
                        documents.push((made.len(), document));
                        made.push(None);
                    }
                    Err(problem) => made.push(Some(Err(problem))),
                }
            }
        }
        for (place, id, row) in self.add(documents).await {
            if let Ok(row) = &row {
                self.served.after(Op::Create, &self.parts, None, Some(row));
            }
            made[place] = Some(row.map(|_| id).map_err(|error| {
                if matches!(error, StoreError::Duplicate { .. } | StoreError::TooLarge { .. }) {
                    return self.served.problem(error);
                }
                // The log learns once of what concerns all of them.
                broken.get_or_insert_with(|| self.served.problem(error)).clone()
            }));
        }
        (made.into_iter().flatten().collect(), broken)
    }

    /// The document of a line, as the hooks want it written.
    async fn read(&self, line: &Line) -> Result<Value<'static>, Problem> {
        match line {
            Line::Text { text, .. } => {
                let document = create::read(&self.served, &self.admission, text)?;
                self.served.before(Op::Create, &self.parts, None, document).await
            }
            Line::TooLong { .. } => Err(Problem::too_large(self.served.body_limit)),
        }
    }

    /// Adds rows: all in one write, or, when one of them is refused, each by itself.
    async fn add(&self, documents: Vec<(usize, Value<'static>)>) -> Vec<(usize, Vec<u8>, Result<Row, StoreError>)> {
        let (places, documents): (Vec<usize>, Vec<Value<'static>>) = documents.into_iter().unzip();
        let ids: Vec<Vec<u8>> =
            documents.iter().map(|document| id(&self.served.schema, document, self.served.id)).collect();
        let mut rows: Vec<Result<Row, StoreError>> = Vec::with_capacity(documents.len());
        if documents.len() > 1 && self.served.collection.has_transactions() {
            match self.served.collection.insert_all(documents.clone()).await {
                Ok(added) => rows.extend(added.into_iter().map(Ok)),
                // Rows before it would do; those after may not.
                Err(RowError { error: StoreError::Duplicate { .. } | StoreError::TooLarge { .. }, .. }) => {}
                Err(RowError { error, .. }) => rows.extend(documents.iter().map(|_| Err(error.again()))),
            }
        }
        let mut left = documents.into_iter().skip(rows.len()).peekable();
        while left.peek().is_some() {
            // The futures are made before they are waited for, so that none holds on to the iterator.
            let chunk: Vec<_> =
                left.by_ref().take(AT_ONCE).map(|document| self.served.collection.insert(document)).collect();
            rows.extend(join_all(chunk).await);
        }
        places.into_iter().zip(ids).zip(rows).map(|((place, id), row)| (place, id, row)).collect()
    }
}

impl<C: Collection> Import<C> {
    /// Writes the next lines; what is to be told of them now, which may be nothing.
    async fn step(&mut self) -> Vec<u8> {
        let batch = match self.lines.next().await {
            Ok(batch) => batch,
            Err(problem) => {
                self.counts.broken = Some(problem);
                Vec::new()
            }
        };
        let mut out = Vec::new();
        if !batch.is_empty() {
            let (made, broken) = self.writer.write(&batch).await;
            self.counts.broken = broken;
            for (line, made) in batch.iter().zip(made) {
                self.tell(&mut out, line.number(), made);
            }
        }
        if batch.is_empty() || self.counts.broken.is_some() {
            self.is_over = true;
            self.tell_end(&mut out);
        }
        out
    }

    fn tell(&mut self, out: &mut Vec<u8>, number: u64, made: Made) {
        self.counts.lines = number;
        match &made {
            Ok(_) => self.counts.created += 1,
            Err(_) => self.counts.failed += 1,
        }
        match (&mut self.told, made) {
            (Told::Lines { minimal: true }, Ok(_)) | (Told::AtTheEnd(_), Ok(_)) => {}
            (Told::Lines { .. }, Ok(id)) => {
                out.extend_from_slice(format!("{{\"line\":{number},\"status\":201,\"id\":").as_bytes());
                out.extend_from_slice(&id);
                out.extend_from_slice(b"}\n");
            }
            (Told::Lines { .. }, Err(problem)) => {
                let (status, document) = self.writer.served.told(&problem);
                let status = status.as_u16();
                out.extend_from_slice(format!("{{\"line\":{number},\"status\":{status},\"problem\":").as_bytes());
                out.extend_from_slice(&document);
                out.extend_from_slice(b"}\n");
            }
            (Told::AtTheEnd(told), Err(problem)) if told.len() < MOST_TOLD => told.push((number, problem)),
            (Told::AtTheEnd(_), Err(_)) => {}
        }
    }

    fn tell_end(&mut self, out: &mut Vec<u8>) {
        let Counts { lines, created, failed, broken } = &self.counts;
        let mut sums = format!("\"lines\":{lines},\"created\":{created},\"failed\":{failed},\"broken\":").into_bytes();
        match broken {
            Some(problem) => sums.extend_from_slice(&self.writer.served.told(problem).1),
            None => sums.extend_from_slice(b"null"),
        }
        match &self.told {
            Told::Lines { .. } => {
                out.extend_from_slice(b"{\"$end\":{");
                out.extend_from_slice(&sums);
                out.extend_from_slice(b"}}\n");
            }
            Told::AtTheEnd(told) => {
                out.push(b'{');
                out.extend_from_slice(&sums);
                out.extend_from_slice(b",\"errors\":[");
                for (index, (number, problem)) in told.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    out.extend_from_slice(format!("{comma}{{\"line\":{number},\"problem\":").as_bytes());
                    out.extend_from_slice(&self.writer.served.told(problem).1);
                    out.push(b'}');
                }
                out.extend_from_slice(b"]}");
            }
        }
    }
}

fn id(schema: &Schema, document: &Value<'static>, index: usize) -> Vec<u8> {
    let mut text = Vec::new();
    if let Value::Object(values) = document
        && let Some(id) = values.get(index)
    {
        json::write_value(&mut text, &schema.fields[index].kind, id);
    }
    text
}
