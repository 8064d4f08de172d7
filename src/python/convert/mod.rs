//! Between Rust data and Python objects.

mod classes;
mod json;
mod scalar;

pub(super) use classes::classes;
pub(super) use json::to_json;
pub(super) use scalar::to_python;
