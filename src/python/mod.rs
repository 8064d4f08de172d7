//! Is answered by Python; the only folder that names `pyo3`.

pub mod attach;
mod pyloop;

use pyo3::prelude::*;

/// Fills the native module `ziggurat._ziggurat`.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    pyloop::register(module)?;
    Ok(())
}
