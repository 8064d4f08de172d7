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

#![allow(dead_code, unused_imports, unused_macros)] // Each feature alone uses some of it.

use std::any::type_name;
use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::{Body, Problem};

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

/// What a layer leaves in each request; it is a mistake of the program if that is not around the handler.
fn left_by<T: Clone + Send + Sync + 'static>(parts: &Parts, layer: &str) -> Result<T, Problem> {
    parts.extensions.get().cloned().ok_or_else(|| {
        tracing::error!(
            extractor = type_name::<T>(),
            layer,
            "a handler asks for what no layer left; put the layer around its route"
        );
        Problem::internal()
    })
}

/// Writes the extractor of what a layer leaves in each request.
macro_rules! extractor {
    ($type:ty, $layer:literal) => {
        #[doc = concat!("What ", $layer, " left; 500 where it is not around the handler.")]
        impl<S: Send + Sync> FromRequestParts<S> for $type {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                left_by(parts, $layer)
            }
        }

        #[doc = concat!("What ", $layer, " left, where it is around the handler.")]
        impl<S: Send + Sync> OptionalFromRequestParts<S> for $type {
            type Rejection = Infallible;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
                Ok(parts.extensions.get().cloned())
            }
        }
    };
}

#[cfg(feature = "request-id")]
extractor!(super::RequestId, "RequestIdLayer");
#[cfg(feature = "client-ip")]
extractor!(super::ClientIp, "ClientIpLayer");
#[cfg(feature = "otel")]
extractor!(super::TraceContext, "OtelLayer");

/// Who calls; 401 where no layer has found that out.
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
impl<S: Send + Sync> FromRequestParts<S> for super::Claims {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get().cloned().ok_or_else(|| {
            let response: crate::Response = super::guard::unknown(&parts.extensions);
            response.map(axum_core::body::Body::new)
        })
    }
}

/// Who calls, where a layer has found that out.
#[cfg(any(feature = "api-key", feature = "basic", feature = "jwt"))]
impl<S: Send + Sync> OptionalFromRequestParts<S> for super::Claims {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}
