use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};

use super::Readiness;
use crate::{ConfigError, Problem};

const PASSED: &[u8] = b"ok\n";

/// The paths that are answered.
#[derive(Debug, Clone)]
pub(super) struct Checks(Arc<Vec<Check>>);

#[derive(Debug, Clone)]
struct Check {
    path: Box<str>,
    /// None where being answered is all that is asked.
    readiness: Option<Readiness>,
}

impl Checks {
    pub(super) fn none() -> Self {
        Self(Arc::default())
    }

    pub(super) fn healthz() -> Self {
        Self(Arc::new(vec![Check { path: "/healthz".into(), readiness: None }]))
    }

    pub(super) fn add(&mut self, path: &str, readiness: Option<Readiness>) -> Result<(), ConfigError> {
        if !path.starts_with('/') || path.contains(['?', '#', '{', '}']) {
            return Err(ConfigError::new(format!("HealthCheck: {path:?} is no path"))
                .cure("begin it with a slash and write it without parameters, as /healthz"));
        }
        let checks = Arc::make_mut(&mut self.0);
        if checks.iter().any(|check| *check.path == *path) {
            return Err(ConfigError::new(format!("HealthCheck: {path:?} is named twice")).cure("name each once"));
        }
        checks.push(Check { path: path.into(), readiness });
        Ok(())
    }

    /// The answer to a check; none for other requests.
    pub(super) fn answer<B: From<Bytes>>(&self, method: &Method, path: &str) -> Option<Response<B>> {
        let check = self.0.iter().find(|check| *check.path == *path)?;
        let head = match *method {
            Method::GET => false,
            Method::HEAD => true,
            _ => return None,
        };
        let mut response = match check.readiness.as_ref().and_then(Readiness::refusal) {
            None => {
                let mut response = Response::new(Bytes::from_static(PASSED));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                response
            }
            Some(None) => Problem::unavailable("the service is not ready", 1).into_response(),
            Some(Some(reason)) => {
                Problem::unavailable(format!("the service is not ready: {reason}"), 1).into_response()
            }
        };
        // It is about now.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if head {
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            response.body_mut().clear();
        }
        Some(response.map(B::from))
    }
}
