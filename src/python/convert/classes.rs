//! Classes of the standard library that are told apart when answers are encoded.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Looked up once, kept for the life of the process.
pub(in crate::python) struct Classes {
    pub(super) uuid: Py<PyType>,
    pub(super) decimal: Py<PyType>,
    pub(super) r#enum: Py<PyType>,
    pub(super) dataclass_fields: Py<PyAny>,
    pub(in crate::python) http_exception: Py<PyType>,
    pub(in crate::python) request_validation_error: Py<PyType>,
    pub(in crate::python) config_error: Py<PyType>,
    pub(in crate::python) validation_error: Py<PyType>,
    pub(in crate::python) cancelled: Py<PyType>,
    pub(in crate::python) state: Py<PyType>,
    pub(in crate::python) claims: Py<PyType>,
    pub(in crate::python) logger: Py<PyAny>,
    /// Gives None where no loop runs, instead of raising.
    pub(in crate::python) current_loop: Py<PyAny>,
}

pub(in crate::python) fn classes(py: Python<'_>) -> PyResult<&Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let object = |module: &str, name: &str| PyResult::Ok(py.import(module)?.getattr(name)?.unbind());
        Ok(Classes {
            uuid: class("uuid", "UUID")?,
            decimal: class("decimal", "Decimal")?,
            r#enum: class("enum", "Enum")?,
            dataclass_fields: object("dataclasses", "fields")?,
            http_exception: class("ziggurat.exceptions", "HTTPException")?,
            request_validation_error: class("ziggurat.exceptions", "RequestValidationError")?,
            config_error: class("ziggurat.exceptions", "ConfigError")?,
            validation_error: class("pydantic_core", "ValidationError")?,
            cancelled: class("asyncio", "CancelledError")?,
            state: class("ziggurat._state", "State")?,
            claims: class("ziggurat._state", "Claims")?,
            logger: py.import("logging")?.call_method1("getLogger", ("ziggurat",))?.unbind(),
            current_loop: object("asyncio", "_get_running_loop")?,
        })
    })
}
