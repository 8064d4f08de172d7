//! HTTP services as Tower stacks.
//!
//! Every request path is a [`tower_service::Service`] stack: layers wrap a [`service::Dispatcher`], whose leaves are
//! native CRUD services, any other Tower service, or Python coroutines.

pub mod body;
#[cfg(feature = "crud")]
pub mod crud;
pub mod error;
pub mod layers;
#[cfg(feature = "python")]
pub mod python;
pub mod service;

pub use body::Body;
pub use error::{BodyTooLarge, BoxError, ConfigError};
pub use service::{Problem, Request, Response, Route};
