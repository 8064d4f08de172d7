//! What layers leave in each request.

use std::any::type_name;
use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::Problem;

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
extractor!(crate::layers::RequestId, "RequestIdLayer");
#[cfg(feature = "client-ip")]
extractor!(crate::layers::ClientIp, "ClientIpLayer");
#[cfg(feature = "otel")]
extractor!(crate::layers::TraceContext, "OtelLayer");
