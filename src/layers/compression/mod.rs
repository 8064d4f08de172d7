//! Compresses answers with br, zstd, gzip or deflate, as the client asks for.
//!
//! # When it applies
//! To answers that name a compressible content type (text, JSON, XML, JavaScript, SVG, WebAssembly …; or your own
//! [predicate](CompressionLayer::compress_when)), and have at least [512 bytes](CompressionLayer::min_size) or an unknown
//! length. Not to 204, 205, 206 and 304, not where `Content-Encoding`, `Content-Range` or a content digest is set, and not
//! with `Cache-Control: no-transform`. `Accept-Encoding` is read with its q-values, `identity` and `*`; between codings
//! that the client likes alike, the order br, zstd, gzip, deflate decides, or the one that was
//! [set](CompressionLayer::codings).
//!
//! - Bodies up to 128 KiB that are in memory are compressed in one go, so they have a `Content-Length`; one that would not
//!   get smaller is left as it is. Others are compressed while they are sent.
//! - Nothing is held back: what was compressed is flushed whenever the inner body has nothing more for now, and after each
//!   chunk of a `text/event-stream`, so events arrive when they were sent.
//! - `Vary: Accept-Encoding` is appended wherever another client might have got another coding.
//! - HEAD is answered with the headers of the compressed answer; without a length where the inner service cut the body off.
//!
//! # Entity tags
//! A compressed answer is another representation, so a strong tag `"v"` becomes `"v.br"` (`.zstd`, `.gzip`, `.deflate`).
//! The layer takes the ending off again where it comes back: in `If-None-Match` for the coding in use, so inner services
//! answer 304 as before, and in `If-Match`, so a tag from a compressed read works for a write. Weak tags stay.
//!
//! # Limits
//! - A secret that is compressed together with text of an attacker's choice can be guessed from lengths (BREACH). Do not
//!   compress pages that mix the two, or mask the secret anew each time.
//! - Requests are not decompressed; the layer `Decompression` does that.
//! - `deflate` is the zlib format, as RFC 9110 says.
//! - Bodies have to be `Unpin`, as all boxed ones are.
//!
//! It differs from `tower_http::compression` in these: it flushes, compresses small bodies in one go, and keeps entity
//! tags true.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::CompressionLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let page = |_: Request| async {
//!     Ok::<_, Infallible>(http::Response::builder().header("content-type", "text/html").body(Body::from("<p>".repeat(500))).unwrap())
//! };
//! let service = ServiceBuilder::new().layer(CompressionLayer::new()).service(service_fn(page));
//! let request = http::Request::get("/").header("accept-encoding", "gzip, br;q=0.5").body(Body::empty()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.headers()["content-encoding"], "gzip");
//! assert_eq!(response.headers()["vary"], "accept-encoding");
//! # }
//! ```
//!
//! # Customized
//! ```
//! # use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Request, Response, layers::compression::{Coding, CompressionLayer}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = CompressionLayer::new()
//!     .codings([Coding::Zstd, Coding::Gzip]).unwrap()
//!     .min_size(64)
//!     .level(3).unwrap()
//!     .compress_when(|parts: &http::response::Parts| parts.headers.contains_key("x-big"));
//! let page = |_: Request| async {
//!     Ok::<_, Infallible>(http::Response::builder().header("x-big", "yes").body(Body::from(vec![7; 100])).unwrap())
//! };
//! let service = ServiceBuilder::new().layer(layer).service(service_fn(page));
//! let request = http::Request::get("/").header("accept-encoding", "br, zstd").body(Body::empty()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().headers()["content-encoding"], "zstd");
//! # }
//! ```

mod body;
mod coding;
mod encoder;
mod etag;
mod future;
mod layer;
mod negotiate;
mod predicate;
mod service;

pub use body::CompressionBody;
pub use coding::Coding;
pub use future::ResponseFuture;
pub use layer::CompressionLayer;
pub use predicate::{CompressWhen, CompressibleType};
pub use service::Compression;
