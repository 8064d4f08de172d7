//! Reads the body of a request as a form.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::collect::Collector;
use super::limits::Limits;
use super::multipart::{Event, Multipart, is_boundary};
use super::{Form, parameters, urlencoded};
use crate::Body;
use crate::service::{Problem, read_body};

const MULTIPART: &str = "multipart/form-data";
const URL_ENCODED: &str = "application/x-www-form-urlencoded";

/// How a form is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::python) enum Kind {
    /// With this boundary.
    Multipart(String),
    UrlEncoded,
    /// There is none, nor any other body.
    Nothing,
}

impl Kind {
    /// What the head of a request says.
    ///
    /// # Errors
    /// 415 when it is no form, 400 when the boundary is missing.
    pub(in crate::python) fn of(headers: &HeaderMap, is_empty: bool) -> Result<Self, Problem> {
        let unsupported = || {
            Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .detail(format!("this route takes {MULTIPART}, {URL_ENCODED}"))
        };
        let Some(given) = headers.get(CONTENT_TYPE) else {
            return if is_empty { Ok(Self::Nothing) } else { Err(unsupported()) };
        };
        let text = given.to_str().map_err(|_| unsupported())?;
        let is = |kind: &str| text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind);
        if is(URL_ENCODED) {
            return Ok(Self::UrlEncoded);
        }
        if !is(MULTIPART) {
            return Err(unsupported());
        }
        let said = parameters::parse(text);
        let boundary = said.as_ref().and_then(|said| parameters::get(said, "boundary"));
        let boundary = boundary.filter(|boundary| is_boundary(boundary)).ok_or_else(|| {
            Problem::bad_request(format!(
                "the Content-Type {MULTIPART} has to have a boundary of 1 to 70 characters; clients make one when they are left to set the header"
            ))
        })?;
        Ok(Self::Multipart(boundary.to_owned()))
    }
}

/// Reads a body of at most `max_body` bytes. Files called as one of `as_bytes` stay in memory.
///
/// # Errors
/// The answer to give: 413 past a limit, 400 when it is malformed, cut off or torn, 408 when the client is too slow.
pub(in crate::python) async fn read(
    mut body: Body,
    kind: &Kind,
    limits: &Limits,
    as_bytes: &[String],
    max_body: usize,
) -> Result<Form, Problem> {
    let Kind::Multipart(boundary) = kind else {
        return of_bytes(&read_body(body, max_body).await?, kind, limits);
    };
    if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > max_body) {
        return Err(Problem::too_large(max_body));
    }
    let (mut parser, mut collector, mut size) = (Multipart::new(boundary), Collector::new(limits, as_bytes), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Problem::unreadable(error.as_ref()))?.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size > max_body {
            return Err(Problem::too_large(max_body));
        }
        parser.push(&data);
        while let Some(event) = parser.next(limits)? {
            if collector.must_spool(matches!(event, Event::PartEnd)) {
                collector.spool().await?;
            }
            collector.take(event)?;
        }
        if collector.must_spool(false) {
            collector.spool().await?;
        }
    }
    parser.finish()?;
    Ok(collector.done())
}

/// The same of a body that is in memory, where its files stay.
pub(super) fn of_bytes(bytes: &Bytes, kind: &Kind, limits: &Limits) -> Result<Form, Problem> {
    let mut collector = Collector::new(limits, &[]);
    match kind {
        Kind::Nothing => {}
        Kind::UrlEncoded => urlencoded::read(bytes, &mut collector)?,
        Kind::Multipart(boundary) => {
            let mut parser = Multipart::new(boundary);
            parser.push(bytes);
            while let Some(event) = parser.next(limits)? {
                collector.take(event)?;
            }
            parser.finish()?;
        }
    }
    Ok(collector.done())
}
