//! What layers leave in a request, as extractors of Axum (feature `axum`).
//!
//! A handler in an Axum router takes them as arguments. [`Problem`] and [`Body`] are answers there as well.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "layers"))]
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use axum::{Router, body::Body, routing::get};
//! use tower::ServiceExt;
//! use ziggurat::Problem;
//! use ziggurat::layers::{Claims, RequestId, RequestIdLayer};
//!
//! async fn whoami(id: RequestId, claims: Option<Claims>) -> Result<String, Problem> {
//!     match claims {
//!         Some(claims) => Ok(format!("{} asked {}", claims.subject().unwrap_or("somebody"), id.as_str())),
//!         None => Err(Problem::forbidden("nobody asks here")),
//!     }
//! }
//!
//! let app: Router = Router::new().route("/", get(whoami)).layer(RequestIdLayer::new());
//! let response = app.oneshot(http::Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(response.status(), 403);
//! assert_eq!(response.headers()["content-type"], "application/problem+json");
//! # }
//! # #[cfg(not(all(feature = "axum", feature = "layers")))] fn main() {}
//! ```

use axum_core::response::{IntoResponse, Response};

use crate::{Body, Problem};

#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
mod caller;
#[cfg(any(feature = "client-ip", feature = "otel", feature = "request-id"))]
mod left;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Problem::into_response::<Body>(self).map(axum_core::body::Body::new)
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(axum_core::body::Body::new(self))
    }
}
