//! Answers with files of a directory.
//!
//! GET and HEAD of addresses below a path are answered with the files below a directory, as RFC 9110 says: a part where a part is
//! asked for (14), 304 and 412 by conditions in their order (13.2.2), by entity tags and dates. All else, and what is no file,
//! is for the inner service.
//!
//! - A directory is answered with its `index.html`, and its address ends with a slash: 308 to there from the one without it.
//! - `app.js.br`, `app.js.zst` and `app.js.gz` are sent for `app.js` to those who accept them, where
//!   [`precompressed`](StaticLayer::precompressed) says so. They have to be made anew with it: nobody compares what is in them.
//! - Types go by the names of files; texts are UTF-8.
//! - An entity tag is made of the time of the last change and the length, so that all machines that serve the same files agree. It is
//!   weak for two seconds after a change, as another one may not show until then, and there is no `Last-Modified` so long. A time
//!   before 1990 is one that a build has given to all files: the tag then is of the time at which the system noted a change, which is
//!   another on each machine, and there is no date.
//! - Clients ask each time whether a file has changed (`Cache-Control: no-cache`), unless there is a [`max_age`](StaticLayer::max_age).
//! - [`fallback`](StaticLayer::fallback) is the page of an app that has its routes in the browser: it stands for pages that are not
//!   there, and for nothing else.
//! - [`ServeFile`] answers with one file.
//! - Layers outside, as metrics and logs, know files by the path that they are below: `/static/*`.
//!
//! # What is not served
//! - Names that begin with a dot, unless [`hidden`](StaticLayer::hidden) says so, and whatever is below such a directory.
//! - What is no file: pipes and devices are not opened, so nobody waits for them.
//! - What symbolic links lead to out of the directory, or by an absolute path, unless [`follow_symlinks`](StaticLayer::follow_symlinks)
//!   says so. On Linux the kernel itself keeps each step below the directory (`openat2`).
//! - Paths with `..`, with nothing between two slashes, with an encoded slash, a backslash, a NUL or the letter of a drive, and such
//!   as are not percent-encoded UTF-8. A path is split first and decoded once.
//!
//! # Limits
//! - Several ranges in one request are answered with the whole file.
//! - Two states of a file have one tag where they have the same length and time: a build that gives files a time of its own has to
//!   give them another one with each release, as `SOURCE_DATE_EPOCH` of the last commit does, or one before 1990.
//! - A file that is written to in place while it is sent is sent in parts of both. One that becomes shorter ends the connection.
//!   Put new files in the place of old ones by renaming them.
//! - What stands inside is asked before the fallback: where it refuses those who do not say who they are, they get no page.
//! - It has to stand outside of what takes slashes off paths, as [`NormalizePathLayer`](crate::layers) does.
//!
//! How it differs from tower-http's `ServeDir`: that follows symbolic links anywhere, waits for pipes, serves names with dots, knows
//! nothing of `If-Range`, says no charset, and answers without a body where nothing is there.
//!
//! # Example
//! ```
//! use tower::ServiceExt;
//! use ziggurat::{Body, layers::StaticLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let files = StaticLayer::new("/static", "examples").unwrap().into_service();
//! let request = |path: &str| http::Request::get(path).body(Body::empty()).unwrap();
//! let response = files.clone().oneshot(request("/static/compose.rs")).await.unwrap();
//! assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"text/x-rust; charset=utf-8".parse().unwrap()));
//! assert_eq!(files.oneshot(request("/static/../Cargo.toml")).await.unwrap().status(), 404);
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! # use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::StaticLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let dist = StaticLayer::new("/", "src").unwrap().fallback("lib.rs").unwrap();
//! let hashed = StaticLayer::new("/assets", "src/service").unwrap().max_age(Duration::from_secs(31_536_000), true).precompressed(true);
//! let mut service = ServiceBuilder::new().layer(hashed).layer(dist).service(service_fn(|_: Request| async {
//!     Ok::<Response, Infallible>(http::Response::builder().status(404).body(Body::empty()).unwrap())
//! }));
//! let request = |path: &str, accept: &str| http::Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
//! let page = service.ready().await.unwrap().call(request("/users/7", "text/html, */*")).await.unwrap();
//! assert_eq!((page.status().as_u16(), &page.headers()["cache-control"]), (200, &"no-cache".parse().unwrap()));
//! assert_eq!(service.ready().await.unwrap().call(request("/users/7", "application/json")).await.unwrap().status(), 404);
//! let asset = service.ready().await.unwrap().call(request("/assets/mod.rs", "*/*")).await.unwrap();
//! assert_eq!(asset.headers()["cache-control"], "max-age=31536000, immutable");
//!
//! let error = StaticLayer::new("/static", "no/such/place").unwrap_err();
//! assert!(error.to_string().contains("does not exist"));
//! # }
//! ```

mod answer;
mod asked;
mod body;
mod buffers;
mod chunks;
mod directory;
mod disk;
mod future;
mod job;
mod kind;
mod layer;
mod piece;
mod place;
mod range;
mod root;
mod serve_file;
mod service;
mod sibling;
mod validators;

pub use body::FileBody;
pub use future::ResponseFuture;
pub use layer::StaticLayer;
pub use serve_file::ServeFile;
pub use service::{Nothing, Static};

/// Files alone: made by [`StaticLayer::into_service`].
pub type StaticFiles = Static<Nothing>;
