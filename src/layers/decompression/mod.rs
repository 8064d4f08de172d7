//! Decompresses request bodies that came with `Content-Encoding`, and refuses those that grow too much.
//!
//! A body in br, zstd, gzip or deflate reaches the inner service as it was before, without `Content-Encoding` and
//! `Content-Length`. Another coding, or one over another, is a 415 that tells in `Accept-Encoding` what is known (RFC 9110,
//! 15.5.16).
//!
//! - A body is decoded piece by piece while it is read, so one that nobody reads costs nothing.
//! - Few bytes can stand for very many. Decoding ends with [`BodyTooLarge`](crate::BodyTooLarge) past
//!   [`max_bytes`](DecompressionLayer::max_bytes), and with [`DecodeError::Ratio`](crate::DecodeError) where more than 64 KiB
//!   came of less than a [200th](DecompressionLayer::max_ratio) of them, as Apache's mod_deflate has it: 413 both.
//! - A stream that is broken, cut off or followed by something else fails with
//!   [`DecodeError::Malformed`](crate::DecodeError), a 400.
//! - [`Problem::unreadable`](crate::Problem::unreadable) makes these answers. One of a service that does not know the failure
//!   is replaced by them, where it is a 400 or a server error.
//!
//! # Beside `BodyLimit`
//! A [`BodyLimitLayer`](crate::layers::BodyLimitLayer) further out counts what is sent, and can refuse by the announced
//! length. One further in counts what came out, and by the path. In both places the smaller limit counts: with a limit of 1 MiB further
//! out and nothing further in, as [`foundation`](crate::layers) has it, [`max_bytes`](DecompressionLayer::max_bytes) alone bounds what
//! came out, at 1 MiB unless told. A path that may be sent more needs a higher number in both.
//!
//! # Limits
//! - Windows of Zstandard may have 8 MiB (RFC 9659).
//! - A layer that checks a signature or `Content-Digest` of what was sent has to stand further out.
//! - Bodies have to be `Unpin`, as all boxed ones are.
//!
//! It differs from `tower_http::decompression` in that it bounds what comes out, and answers with problem documents.
//!
//! # Example
//! ```
//! # use std::convert::Infallible;
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat::{Body, Problem, Request, Response, layers::{DecompressionLayer, decompression::DecompressedBody}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # use std::io::Write;
//! # let gzip = |text: &[u8]| {
//! #     let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
//! #     encoder.write_all(text).unwrap();
//! #     encoder.finish().unwrap()
//! # };
//! let echo = |request: Request<DecompressedBody<Body>>| async {
//!     Ok::<Response, Infallible>(match request.into_body().collect().await {
//!         Ok(body) => Response::new(body.to_bytes().into()),
//!         Err(error) => Problem::unreadable(&*error).into_response(),
//!     })
//! };
//! let service = ServiceBuilder::new().layer(DecompressionLayer::new()).service(service_fn(echo));
//! let send = |coding: &str, body: Vec<u8>| {
//!     let request = http::Request::post("/").header("content-encoding", coding).body(Body::from(body)).unwrap();
//!     service.clone().oneshot(request)
//! };
//! let response = send("gzip", gzip(b"hello")).await.unwrap();
//! assert_eq!(response.body().as_bytes().unwrap(), "hello");
//!
//! let bomb = gzip(&[0; 2 << 20]); // 2 KiB that stand for 2 MiB
//! assert_eq!(send("gzip", bomb).await.unwrap().status(), 413);
//! assert_eq!(send("gzip", b"no gzip".into()).await.unwrap().status(), 400);
//!
//! let unknown = send("compress", b"x".into()).await.unwrap();
//! assert_eq!((unknown.status().as_u16(), &unknown.headers()["accept-encoding"]), (415, &"br, zstd, gzip, deflate".parse().unwrap()));
//! # }
//! ```
//!
//! # Customized
//! ```
//! use tower::ServiceBuilder;
//! use ziggurat::layers::{BodyLimitLayer, DecompressionLayer, compression::Coding};
//!
//! // 1 MiB may be sent, and 8 MiB may come out of it.
//! let decompression = DecompressionLayer::new()
//!     .codings([Coding::Zstd, Coding::Gzip]).unwrap()
//!     .max_bytes(8 << 20)
//!     .max_ratio(50).unwrap();
//! let stack = ServiceBuilder::new().layer(BodyLimitLayer::default()).layer(decompression);
//!
//! let error = DecompressionLayer::new().max_ratio(0).unwrap_err();
//! assert_eq!(error.to_string(), "Decompression: max_ratio is 0; give a whole number from 1, as 200");
//! # let _ = stack;
//! ```

mod body;
mod decoder;
mod future;
mod layer;
mod reader;
mod service;

pub use body::DecompressedBody;
pub use future::ResponseFuture;
pub use layer::DecompressionLayer;
pub use service::Decompression;
