//! How much a form may hold, and where what is great of it is kept.

use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Deserializer};

use super::pointer;
use crate::service::{Problem, Violation};

/// As `ziggurat.FormLimits` says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::python) struct Limits {
    pub(super) max_files: usize,
    pub(super) max_fields: usize,
    /// Bytes of a field that is a text.
    pub(super) max_field_size: usize,
    /// Bytes of a file; none leaves it to the limit of the body.
    pub(super) max_file_size: Option<u64>,
    pub(super) max_part_headers: usize,
    pub(super) max_part_header_size: usize,
    pub(super) max_filename_length: usize,
    /// Bytes of all files of a form that are held in memory.
    pub(super) max_memory: usize,
    /// Where files are kept that are greater; none is the system's place for such files.
    pub(super) directory: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_files: 1000,
            max_fields: 1000,
            max_field_size: 1 << 20,
            max_file_size: None,
            max_part_headers: 16,
            max_part_header_size: 8 << 10,
            max_filename_length: 255,
            max_memory: 1 << 20,
            directory: None,
        }
    }
}

impl Limits {
    /// The same with what one call asks for.
    pub(in crate::python) fn with(
        &self,
        max_files: Option<usize>,
        max_fields: Option<usize>,
        max_field_size: Option<usize>,
    ) -> Self {
        Self {
            max_files: max_files.unwrap_or(self.max_files),
            max_fields: max_fields.unwrap_or(self.max_fields),
            max_field_size: max_field_size.unwrap_or(self.max_field_size),
            ..self.clone()
        }
    }
}

/// Reads limits that several share.
pub(in crate::python) fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Limits>, D::Error> {
    Limits::deserialize(deserializer).map(Arc::new)
}

/// 413: a part is too large, or has too much of something.
pub(super) fn too_large(name: &str, detail: String) -> Problem {
    let violation = Violation::new(pointer(name), "too_large", detail.clone());
    Problem::of(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("{name:?} {detail}")).errors(vec![violation])
}

/// 413: there are more parts than a form may have.
pub(super) fn too_many(most: usize, what: &str) -> Problem {
    Problem::of(StatusCode::PAYLOAD_TOO_LARGE)
        .detail(format!("the form may have at most {most} {what}; send fewer of them at once"))
}
