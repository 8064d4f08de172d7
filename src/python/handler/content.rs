//! What is made of the body of a request before Python is entered.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::Body as _;

use super::plan::Plan;
use super::scalar::Scalar;
use super::service::BOUNDED_OUTSIDE;
use crate::Body;
use crate::python::form::{self, Form, Kind, Limits, Unread};
use crate::python::request::BodySource;
use crate::service::{Problem, read_body};

/// A form of no more bytes is read before it is asked for, which saves a way to the workers and back.
const SMALL: u64 = 64 << 10;

pub(super) enum Content {
    /// As it came.
    Bytes(Bytes),
    Form(Arc<Form>),
    /// To be read when the handler asks for it.
    Unread(Arc<Unread>),
}

impl Content {
    pub(super) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// Reads `body` as the plan wants it, and what stands there of parameters.
    pub(super) async fn read(plan: &Plan, parts: &Parts, body: Body, scalars: &mut [Scalar]) -> Result<Self, Problem> {
        let max_body = plan.max_body.unwrap_or(BOUNDED_OUTSIDE);
        if let Some(form) = plan.form.as_ref().filter(|_| plan.reads_form) {
            let kind = Kind::of(&parts.headers, body.is_end_stream())?;
            let read = form::read(body, &kind, &form.limits, &form.as_bytes, max_body).await?;
            plan.read_form(&read, scalars)?;
            return Ok(Self::Form(Arc::new(read)));
        }
        if plan.body.is_none()
            && plan.stream.is_none()
            && let Ok(kind @ Kind::Multipart(_)) = Kind::of(&parts.headers, false)
            && !is_small(parts)
        {
            return Ok(Self::Unread(Unread::new(body, kind, max_body)));
        }
        let bytes = read_body(body, max_body).await?;
        if let Some(plan) = &plan.body {
            plan.check(&parts.headers, &bytes)?;
        }
        Ok(Self::Bytes(bytes))
    }

    /// The bytes that are decoded.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Form(_) | Self::Unread(_) => Bytes::new(),
        }
    }

    /// What a request makes of it.
    pub(super) fn source(&self, limits: Option<&Arc<Limits>>) -> BodySource {
        match self {
            Self::Bytes(bytes) => BodySource::Read(bytes.clone(), limits.cloned().unwrap_or_default()),
            Self::Form(form) => BodySource::Form(form.clone()),
            Self::Unread(unread) => BodySource::Unread(unread.clone(), limits.cloned().unwrap_or_default()),
        }
    }
}

fn is_small(parts: &Parts) -> bool {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length: u64| length <= SMALL)
}
