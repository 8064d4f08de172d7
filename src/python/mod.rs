//! Is answered by Python; the only folder that names `pyo3`.
//!
//! Services here run on the runtime's workers and hand plain Rust data to the loop thread; Python objects are made, used and
//! dropped there.

mod app;
mod asgi;
pub mod attach;
mod background;
mod bridge;
mod catch;
mod context;
mod convert;
mod db;
mod errors;
mod extension;
mod file;
mod form;
mod handler;
mod headers;
mod hooks;
mod interrupt;
mod invalid;
mod layer_handle;
mod log;
mod middleware;
mod mounted;
mod objects;
mod pages;
mod presence;
mod pyloop;
mod query;
mod ready;
mod refusal;
mod release;
mod request;
mod response;
mod rows;
mod security;
mod stream;
mod unfinished;
mod unread;
mod websocket;

use pyo3::prelude::*;

pub use app::embed::{App, LoadError};
pub use bridge::{EventLoop, OnLoop, Raised, current_loop, future_into_py, into_future, into_future_with};
pub use extension::Extension;

/// Fills the native module `ziggurat._ziggurat`.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<app::App>()?;
    module.add_class::<handler::Run>()?;
    module.add_class::<app::Sent>()?;
    module.add_class::<extension::NativeService>()?;
    module.add_class::<form::UploadFile>()?;
    module.add_class::<headers::Headers>()?;
    module.add_class::<layer_handle::LayerHandle>()?;
    module.add_class::<query::QueryParams>()?;
    module.add_class::<request::Request>()?;
    module.add_class::<response::Response>()?;
    module.add_class::<stream::ServerSentEvent>()?;
    module.add_function(wrap_pyfunction!(response::encode_json, module)?)?;
    module.add_class::<rows::Rows>()?;
    module.add_function(wrap_pyfunction!(security::sign_token, module)?)?;
    module.add_function(wrap_pyfunction!(security::hash_password, module)?)?;
    module.add_function(wrap_pyfunction!(security::verify_password, module)?)?;
    module.add_function(wrap_pyfunction!(security::needs_rehash, module)?)?;
    module.add_class::<rows::Walk>()?;
    module.add_function(wrap_pyfunction!(rows::transact, module)?)?;
    module.add_function(wrap_pyfunction!(db::backup_store, module)?)?;
    module.add_function(wrap_pyfunction!(db::copy_store, module)?)?;
    module.add_function(wrap_pyfunction!(db::plan_store, module)?)?;
    module.add_function(wrap_pyfunction!(db::apply_store, module)?)?;
    module.add_function(wrap_pyfunction!(log::init_log, module)?)?;
    module.add_function(wrap_pyfunction!(app::set_io_threads, module)?)?;
    bridge::register(module)?;
    websocket::register(module)?;
    pyloop::register(module)
}
