//! `Set-Cookie` (RFC 6265, and 6265bis for SameSite, prefixes and what browsers refuse).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// A cookie to be set. Everything in it is checked, so that no value can pose as an attribute or a header.
pub(super) struct Cookie<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) max_age: Option<i64>,
    pub(super) expires: Option<Expires>,
    pub(super) path: Option<&'a str>,
    pub(super) domain: Option<&'a str>,
    pub(super) secure: bool,
    pub(super) httponly: bool,
    pub(super) samesite: Option<&'a str>,
    pub(super) partitioned: bool,
}

/// When a cookie ends.
pub(super) struct Expires(SystemTime);

impl Expires {
    pub(super) const PAST: Self = Self(UNIX_EPOCH);

    /// Of a `datetime` that says its offset, or of seconds from now.
    pub(super) fn of(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = given.py();
        if let Ok(seconds) = given.extract::<i64>() {
            let span = Duration::from_secs(seconds.unsigned_abs());
            let now = SystemTime::now();
            let at = if seconds < 0 { now.checked_sub(span) } else { now.checked_add(span) };
            return Self::within(at);
        }
        let offset = given.call_method0(intern!(py, "utcoffset"));
        let offset = offset.map_err(|_| PyTypeError::new_err("expires is a datetime, or seconds from now"))?;
        if offset.is_none() {
            return Err(PyValueError::new_err(
                "expires says no offset from UTC; write datetime(..., tzinfo=timezone.utc)",
            ));
        }
        let seconds: f64 = given.call_method0(intern!(py, "timestamp"))?.extract()?;
        let span = Duration::try_from_secs_f64(seconds.max(0.0));
        Self::within(span.ok().and_then(|span| UNIX_EPOCH.checked_add(span)))
    }

    /// A date that can be written: its year has four digits, and none is before 1970.
    fn within(at: Option<SystemTime>) -> PyResult<Self> {
        const YEAR_9999: Duration = Duration::from_secs(253_402_300_799);
        let last = UNIX_EPOCH.checked_add(YEAR_9999);
        match at {
            Some(at) if last.is_some_and(|last| at <= last) => Ok(Self(at.max(UNIX_EPOCH))),
            _ => Err(PyValueError::new_err("expires is after the year 9999")),
        }
    }
}

impl Cookie<'_> {
    /// The value of the header.
    pub(super) fn header(&self) -> PyResult<HeaderValue> {
        self.check()?;
        let mut text = format!("{}={}", self.key, self.value);
        if let Some(seconds) = self.max_age {
            text.push_str(&format!("; Max-Age={seconds}"));
        }
        if let Some(Expires(at)) = self.expires {
            text.push_str(&format!("; Expires={}", httpdate::fmt_http_date(at)));
        }
        for (name, value) in [("Domain", self.domain), ("Path", self.path)] {
            if let Some(value) = value {
                text.push_str(&format!("; {name}={value}"));
            }
        }
        for (name, is_set) in [("Secure", self.secure), ("HttpOnly", self.httponly), ("Partitioned", self.partitioned)]
        {
            if is_set {
                text.push_str(&format!("; {name}"));
            }
        }
        if let Some(same_site) = self.samesite.map(same_site).transpose()? {
            text.push_str(&format!("; SameSite={same_site}"));
        }
        HeaderValue::try_from(text).map_err(|_| PyValueError::new_err("the cookie has a character that no header has"))
    }

    fn check(&self) -> PyResult<()> {
        let key = self.key;
        let wrong = |what: String| Err(PyValueError::new_err(what));
        if key.is_empty() || !key.bytes().all(is_token) {
            return wrong(format!("{key:?} is not the name of a cookie; use letters, digits, - and _"));
        }
        if !self.value.bytes().all(is_octet) {
            return wrong(format!(
                "the value of the cookie {key} has a character that no cookie has; encode it, as with urllib.parse.quote"
            ));
        }
        if let Some(path) = self.path
            && (!path.starts_with('/') || !path.bytes().all(is_attribute))
        {
            return wrong(format!(
                "the path of the cookie {key} begins with a slash, and has no ; and no control characters"
            ));
        }
        if let Some(domain) = self.domain
            && (domain.is_empty() || !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))
        {
            return wrong(format!("the domain of the cookie {key} is no name of hosts, as example.com"));
        }
        let none = self.samesite.is_some_and(|same_site| same_site.eq_ignore_ascii_case("none"));
        if (none || self.partitioned) && !self.secure {
            let what = if none { "samesite=\"none\"" } else { "partitioned=True" };
            return wrong(format!("browsers refuse the cookie {key}: {what} needs secure=True"));
        }
        // 6265bis, 4.1.3; browsers compare the prefixes without case.
        let starts = |prefix: &str| key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if starts("__Secure-") && !self.secure {
            return wrong(format!("browsers refuse the cookie {key} without secure=True"));
        }
        if starts("__Host-") && (!self.secure || self.domain.is_some() || self.path != Some("/")) {
            return wrong(format!(
                "browsers refuse the cookie {key} without secure=True and path=\"/\", and with a domain"
            ));
        }
        Ok(())
    }
}

fn same_site(given: &str) -> PyResult<&'static str> {
    for known in ["Lax", "Strict", "None"] {
        if given.eq_ignore_ascii_case(known) {
            return Ok(known);
        }
    }
    Err(PyValueError::new_err(format!("samesite={given:?} is not known; choose \"lax\", \"strict\" or \"none\"")))
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `cookie-octet` (RFC 6265, 4.1.1).
fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

fn is_attribute(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b';'
}
