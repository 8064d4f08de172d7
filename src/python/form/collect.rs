//! Makes a form of what its parts bring, within its limits.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::task::spawn_blocking;

use super::head::{Head, is_utf8};
use super::limits::{Limits, too_large, too_many};
use super::multipart::Event;
use super::upload::Upload;
use super::{Form, Value, pointer};
use crate::service::{Problem, Violation};

/// How much of a file that is kept on disk is gathered before it is written.
const BATCH: usize = 256 << 10;

/// Names the charset of a form (HTML, "form-data set"; RFC 7578, 4.6).
const CHARSET: &str = "_charset_";

pub(super) struct Collector<'l> {
    limits: &'l Limits,
    /// Files of these names are wanted as bytes, and stay in memory.
    as_bytes: &'l [String],
    form: Form,
    files: usize,
    fields: usize,
    /// What files that are done take of memory.
    held: usize,
    current: Option<Part>,
}

enum Part {
    Text { name: String, content: Vec<u8> },
    File(Incoming),
}

/// A file that comes in.
struct Incoming {
    name: String,
    filename: Option<String>,
    headers: HeaderMap,
    size: u64,
    /// What is not on disk.
    memory: Vec<u8>,
    disk: Option<File>,
    may_spool: bool,
}

impl<'l> Collector<'l> {
    pub(super) fn new(limits: &'l Limits, as_bytes: &'l [String]) -> Self {
        Self { limits, as_bytes, form: Form::default(), files: 0, fields: 0, held: 0, current: None }
    }

    pub(super) fn take(&mut self, event: Event) -> Result<(), Problem> {
        match event {
            Event::Part(head) if head.is_file => self.begin_file(head),
            Event::Part(head) => self.begin_text(head.name),
            Event::Data(data) => self.data(&data),
            Event::PartEnd => self.end(),
        }
    }

    pub(super) fn begin_text(&mut self, name: String) -> Result<(), Problem> {
        self.fields += 1;
        if self.fields > self.limits.max_fields {
            return Err(too_many(self.limits.max_fields, "fields"));
        }
        self.current = Some(Part::Text { name, content: Vec::new() });
        Ok(())
    }

    fn begin_file(&mut self, head: Head) -> Result<(), Problem> {
        self.files += 1;
        if self.files > self.limits.max_files {
            return Err(too_many(self.limits.max_files, "files"));
        }
        let Head { name, filename, headers, .. } = head;
        let may_spool = !self.as_bytes.contains(&name);
        let memory = Vec::new();
        self.current = Some(Part::File(Incoming { name, filename, headers, size: 0, memory, disk: None, may_spool }));
        Ok(())
    }

    pub(super) fn data(&mut self, data: &[u8]) -> Result<(), Problem> {
        match &mut self.current {
            Some(Part::Text { name, content }) => {
                let most = self.limits.max_field_size;
                if content.len() + data.len() > most {
                    return Err(too_large(
                        name,
                        format!("may have at most {most} bytes; send more than that as a file"),
                    ));
                }
                content.extend_from_slice(data);
            }
            Some(Part::File(file)) => {
                file.size += data.len() as u64;
                if let Some(most) = self.limits.max_file_size.filter(|most| file.size > *most) {
                    return Err(too_large(&file.name, format!("may have at most {most} bytes")));
                }
                file.memory.extend_from_slice(data);
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Problem> {
        match self.current.take() {
            Some(Part::Text { name, content }) => match String::from_utf8(content) {
                Ok(text) if name == CHARSET && !text.is_empty() && !is_utf8(&text) => {
                    return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                        .detail("the form is sent in another charset than UTF-8; say accept-charset=\"utf-8\""));
                }
                Ok(text) => self.form.pairs.push((name.into(), Value::Text(text.into()))),
                Err(_) => {
                    let wrong = Violation::new(pointer(&name), "string_unicode", "must be UTF-8");
                    self.form.wrong.push(wrong);
                }
            },
            // So browsers send that none was chosen.
            Some(Part::File(file)) if file.size == 0 && file.filename.is_none() => {}
            Some(Part::File(file)) => {
                let Incoming { name, filename, headers, size, memory, disk, .. } = file;
                let upload = match disk {
                    Some(disk) => Upload::on_disk(filename, headers, size, disk),
                    None => {
                        self.held += memory.len();
                        Upload::in_memory(filename, headers, Bytes::from(memory))
                    }
                };
                self.form.pairs.push((name.into(), Value::File(Arc::new(upload))));
            }
            None => {}
        }
        Ok(())
    }

    /// Whether something is to be written to disk before more is taken; `ends` where the part is over.
    pub(super) fn must_spool(&self, ends: bool) -> bool {
        let Some(Part::File(file)) = &self.current else { return false };
        match file.disk {
            Some(_) => file.memory.len() >= BATCH || (ends && !file.memory.is_empty()),
            None => file.may_spool && self.held + file.memory.len() > self.limits.max_memory,
        }
    }

    /// Writes it, off the worker.
    pub(super) async fn spool(&mut self) -> Result<(), Problem> {
        let Some(Part::File(file)) = &mut self.current else { return Ok(()) };
        let (disk, memory) = (file.disk.take(), std::mem::take(&mut file.memory));
        let directory = self.limits.directory.clone();
        let write = move || -> io::Result<(File, Vec<u8>)> {
            let mut disk = match (disk, directory) {
                (Some(disk), _) => disk,
                // Neither has a name, so that nothing is left of it whatever happens.
                (None, Some(directory)) => tempfile::tempfile_in(directory)?,
                (None, None) => tempfile::tempfile()?,
            };
            let mut memory = memory;
            disk.write_all(&memory)?;
            memory.clear();
            Ok((disk, memory))
        };
        match spawn_blocking(write).await {
            Ok(Ok((disk, memory))) => {
                file.disk = Some(disk);
                file.memory = memory;
                Ok(())
            }
            Ok(Err(error)) => {
                let directory = self.limits.directory.clone().unwrap_or_else(std::env::temp_dir);
                tracing::error!(directory = %directory.display(), %error, "an upload cannot be kept on disk");
                Err(Problem::internal().closing())
            }
            Err(_) => Err(Problem::unavailable("the application is stopping", 5)),
        }
    }

    pub(super) fn done(self) -> Form {
        self.form
    }
}
