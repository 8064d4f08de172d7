//! Forms and the files in them, read in Rust while they come in.
//!
//! [`read()`] runs on the workers: parts are told apart, limited and decoded there, and what is great goes to disk. Only
//! [`file`] and [`request`] know of Python.

mod collect;
mod file;
mod head;
mod kept;
mod limits;
mod multipart;
mod parameters;
mod read;
mod request;
mod upload;
mod urlencoded;

use std::sync::Arc;

pub(in crate::python) use file::UploadFile;
pub(in crate::python) use kept::Kept;
pub(in crate::python) use limits::{Limits, shared};
pub(in crate::python) use read::{Kind, read};
pub(in crate::python) use request::{READ_AS_FORM, data_of, of_body, of_bytes, opened};
pub(in crate::python) use upload::Upload;

use crate::service::{Location, Violation, push_token};

/// What was sent, in that order.
#[derive(Debug, Default)]
pub(in crate::python) struct Form {
    pub(in crate::python) pairs: Vec<(Box<str>, Value)>,
    /// Fields that cannot be read as texts.
    pub(in crate::python) wrong: Vec<Violation>,
}

/// What a field holds.
#[derive(Debug)]
pub(in crate::python) enum Value {
    Text(Box<str>),
    File(Arc<Upload>),
}

impl Form {
    /// Closes its files.
    pub(in crate::python) fn close(&self) {
        for (_, value) in &self.pairs {
            if let Value::File(file) = value {
                file.close();
            }
        }
    }

    /// Whether it has files.
    fn has_files(&self) -> bool {
        self.pairs.iter().any(|(_, value)| matches!(value, Value::File(_)))
    }
}

/// The place of a field.
pub(in crate::python) fn pointer(name: &str) -> Location {
    let mut pointer = String::new();
    push_token(&mut pointer, name);
    Location::Pointer(pointer)
}
