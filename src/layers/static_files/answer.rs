//! The answer with a file, as the request asks for it.

use std::fs::{File, Metadata};
use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    VARY,
};
use http::{HeaderValue, Response, StatusCode};

use super::asked::Asked;
use super::chunks::Chunks;
use super::disk::{Disk, would_wait};
use super::piece::Piece;
use super::range::Extent;
use super::validators::{Kept, Validators, Verdict};
use crate::Problem;

/// Sent in one piece up to this length, and in pieces of it beyond, in bytes: smaller ones cost more, as each may be read on another thread.
pub(super) const CHUNK: usize = 256 * 1024;

/// What is sent of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// Read already.
    Bytes(Bytes),
    /// Read while it is sent.
    Chunks(Chunks),
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// What all answers of a directory say.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) vary: Option<HeaderValue>,
}

/// What is sent, opened.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    /// What its bytes are coded with.
    pub(super) coding: Option<&'static str>,
    pub(super) content_type: HeaderValue,
}

impl Source {
    /// Reads what is short.
    pub(super) fn answer(self, manner: &Manner, asked: &Asked, disk: Disk) -> io::Result<Response<Content>> {
        let length = self.metadata.len();
        let known = Validators::new(Kept::of(&self.metadata), self.coding, SystemTime::now());
        let mut response = match known.check(&asked.headers) {
            Verdict::Failed => {
                return Ok(Problem::of(StatusCode::PRECONDITION_FAILED)
                    .detail("the file is not in the state that the request asks for")
                    .into_response());
            }
            Verdict::NotModified => {
                let mut response = Response::new(Bytes::new().into());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            Verdict::Send => {
                // Ranges are of GET only (RFC 9110, 14.2).
                let may_be_part = !asked.head && known.is_same(&asked.headers);
                let extent = if may_be_part { Extent::of(&asked.headers, length) } else { Extent::Whole };
                if extent == Extent::Beyond {
                    return Ok(Problem::of(StatusCode::RANGE_NOT_SATISFIABLE)
                        .detail("the file is shorter than the range that the request asks for")
                        .header(CONTENT_RANGE, value(format!("bytes */{length}")))
                        .into_response());
                }
                self.send(extent, &known, asked.head, disk)?
            }
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, known.tag);
        for (name, value) in [(CACHE_CONTROL, &manner.cache_control), (VARY, &manner.vary)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        Ok(response)
    }

    fn send(self, extent: Extent, known: &Validators, head: bool, disk: Disk) -> io::Result<Response<Content>> {
        let length = self.metadata.len();
        let (first, sent) = extent.span(length);
        let content = if head { Bytes::new().into() } else { content(self.file, first, sent, disk)? };
        let mut response = Response::new(content);
        if let Extent::Part { first, last } = extent {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, value(format!("bytes {first}-{last}/{length}")));
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(CONTENT_LENGTH, sent.into());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(coding) = self.coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        if let Some(modified) = known.modified {
            headers.insert(LAST_MODIFIED, value(httpdate::fmt_http_date(modified)));
        }
        Ok(response)
    }
}

fn content(mut file: File, first: u64, length: u64, disk: Disk) -> io::Result<Content> {
    if length > CHUNK as u64 {
        return Ok(Content::Chunks(Chunks::new(file, first, length)));
    }
    let mut piece = Piece::new(first, length);
    if !piece.read_cached(&file) {
        match disk {
            Disk::MayWait => piece.read(&mut file)?,
            Disk::InMemory => return Err(would_wait()),
        }
    }
    Ok(Content::Bytes(piece.into_bytes()))
}

/// Of text that is ASCII without control characters.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
