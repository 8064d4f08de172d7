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
use crate::python::form::{self, Form, Kind, Limits};
use crate::python::request::BodySource;
use crate::python::unread::Unread;
use crate::service::{Problem, read_body};

/// A body of no more bytes is read before it is asked for, which saves a way to the workers and back.
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
        if plan.leaves_body() && !is_at_hand(parts, &body) && !is_form_of_stream(plan, parts) {
            if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > max_body) {
                return Err(Problem::too_large(max_body));
            }
            return Ok(Self::Unread(Unread::new(body, max_body)));
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

/// Whether it is in memory, or small.
fn is_at_hand(parts: &Parts, body: &Body) -> bool {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    body.is_end_stream() || body.as_bytes().is_some() || length.is_some_and(|length: u64| length <= SMALL)
}

/// Whether files may be in it which are to be kept as long as what the handler yields is sent: they are known before it begins.
fn is_form_of_stream(plan: &Plan, parts: &Parts) -> bool {
    plan.stream.is_some() && matches!(Kind::of(&parts.headers, false), Ok(Kind::Multipart(_)))
}
