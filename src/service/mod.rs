//! Lets requests in and dispatches them.
//!
//! A request enters through the server, passes the layers of a [`Stack`], and the [`Dispatcher`] hands it to the leaf
//! that its path and method name.

mod claims;
mod dispatcher;
#[cfg(any(feature = "client-ip", feature = "server"))]
mod networks;
mod params;
mod path;
mod percent;
mod problem;
#[cfg(feature = "crud")]
mod read;
mod requirement;
mod route;
mod stack;
#[cfg(any(feature = "crud", feature = "metrics"))]
pub(crate) mod stopwatch;
mod table;

#[cfg(feature = "server")]
pub mod server;

pub use claims::Claims;
pub use dispatcher::Dispatcher;
#[cfg(feature = "python")]
pub(crate) use dispatcher::is_handshake;
#[cfg(feature = "metrics")]
pub(crate) use networks::narrow_network;
#[cfg(any(feature = "client-ip", feature = "server"))]
pub(crate) use networks::network;
pub use params::PathParams;
pub use path::PathTemplate;
#[cfg(feature = "static")]
pub(crate) use percent::decode as percent_decode;
#[cfg(feature = "crud")]
pub(crate) use percent::query_pairs;
#[cfg(feature = "python")]
pub(crate) use problem::IsProblem;
#[cfg(feature = "python")]
pub(crate) use problem::OwnWords;
pub use problem::{ErrorFormat, Limit, Location, Problem, Violation};
#[cfg(feature = "crud")]
pub(crate) use problem::{position, push_token};
#[cfg(feature = "crud")]
pub(crate) use read::read_body;
pub use requirement::Requirement;
pub use route::{ResponseFuture, Route};
pub use stack::{Stack, StackBuilder};
pub use table::{Leaf, LeafInfo, LeafKind, RouteTable, RouteTableBuilder};

/// A request as leaves receive it.
pub type Request<B = crate::Body> = http::Request<B>;
/// A response as leaves give it.
pub type Response<B = crate::Body> = http::Response<B>;
