use std::collections::BTreeMap;

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::ConfigError;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What leads where. All places to go are written here, and none is taken from a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// Hosts, in small letters, that are reached over TLS only.
    https: Vec<Box<str>>,
    /// Hosts, in small letters, and the one that each leads to.
    hosts: Vec<(Box<str>, Box<str>)>,
    /// Paths, and the place that each leads to.
    paths: BTreeMap<Box<str>, Box<str>>,
}

impl Rules {
    pub(super) fn add_https(&mut self, host: &str) -> Result<(), ConfigError> {
        let host = name(host)?;
        if self.https.contains(&host) {
            return Err(twice(&host));
        }
        self.https.push(host);
        Ok(())
    }

    pub(super) fn add_host(&mut self, from: &str, to: &str) -> Result<(), ConfigError> {
        let (from, to) = (name(from)?, name(to)?);
        if self.hosts.iter().any(|(other, _)| *other == from) {
            return Err(twice(&from));
        }
        let leads_on = from == to || self.hosts.iter().any(|(other, next)| *other == to || *next == from);
        if leads_on {
            return Err(circle(&from, &to));
        }
        self.hosts.push((from, to));
        Ok(())
    }

    pub(super) fn add_path(&mut self, from: &str, to: &str) -> Result<(), ConfigError> {
        if !from.starts_with('/') || from.contains(['?', '#']) || from.parse::<Uri>().is_err() {
            return Err(
                ConfigError::new(format!("Redirect: {from:?} is no path")).cure("begin it with a slash, as /old")
            );
        }
        if !is_place(to) {
            return Err(ConfigError::new(format!("Redirect: {to:?} is no place to go"))
                .cure("write a path that begins with one slash, or a whole address, as https://example.org/new"));
        }
        if self.paths.contains_key(from) {
            return Err(twice(from));
        }
        let path = to.split(['?', '#']).next().unwrap_or(to);
        let leads_on = from == path
            || self.paths.contains_key(path)
            || self.paths.values().any(|next| next.split(['?', '#']).next() == Some(from));
        if leads_on {
            return Err(circle(from, to));
        }
        self.paths.insert(from.into(), to.into());
        Ok(())
    }

    /// Where a request has to go; none where it is in the right place.
    pub(super) fn place(&self, uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
        // `*` and the targets of CONNECT are no places.
        let target = uri.path_and_query().filter(|target| target.path().starts_with('/'))?;
        let moved = self.paths.get(target.path()).map(|to| with_query(to, target.query()));
        if let Some(whole) = moved.as_deref().filter(|to| !to.starts_with('/')) {
            return HeaderValue::from_str(whole).ok();
        }
        let known = (!self.https.is_empty() || !self.hosts.is_empty()).then(|| host(uri, headers)).flatten();
        let asked = known.as_ref().map(|authority| authority.host().strip_suffix('.').unwrap_or(authority.host()));
        let is = |name: &str| asked.is_some_and(|asked| asked.eq_ignore_ascii_case(name));
        let canonical = self.hosts.iter().find(|(from, _)| is(from)).map(|(_, to)| &**to);
        let secured = self
            .https
            .iter()
            .find(|host| canonical.map_or_else(|| is(host), |canonical| *canonical == ***host))
            .filter(|_| !is_secure(uri, headers));
        let place = match (secured, canonical, moved) {
            (None, None, None) => return None,
            (None, None, Some(path)) => path,
            (secured, canonical, moved) => {
                let scheme = if secured.is_some() { "https:" } else { "" };
                let host = secured.map(|host| &**host).or(canonical)?;
                let path = moved.as_deref().unwrap_or(target.as_str());
                // Without a scheme it is the one that was asked by (RFC 3986, 4.2).
                format!("{scheme}//{host}{path}")
            }
        };
        HeaderValue::from_str(&place).ok()
    }
}

fn twice(what: &str) -> ConfigError {
    ConfigError::new(format!("Redirect: {what:?} is named twice")).cure("name each once")
}

fn circle(from: &str, to: &str) -> ConfigError {
    ConfigError::new(format!("Redirect: {from:?} leads to {to:?}, or is led to, by way of another redirect"))
        .cure("let each lead to where it ends")
}

/// A host without scheme, port and path.
fn name(host: &str) -> Result<Box<str>, ConfigError> {
    let read = host.parse::<Authority>().ok().filter(|authority| authority.host() == host && !host.is_empty());
    if read.is_none() || host.contains('*') || host.ends_with('.') {
        return Err(ConfigError::new(format!("Redirect: {host:?} is no host"))
            .cure("write it without scheme, port and path, as example.org"));
    }
    Ok(host.to_ascii_lowercase().into())
}

/// A path of this host, or an address that says its own. What begins with two slashes, or with what browsers take for them,
/// would be neither.
fn is_place(to: &str) -> bool {
    let is_path = to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\");
    let is_address = ["http://", "https://"].iter().any(|scheme| to.starts_with(scheme));
    (is_path || is_address)
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && to.parse::<Uri>().is_ok_and(|uri| is_path || uri.host().is_some_and(|host| !host.is_empty()))
}

/// The query that was asked for goes along where the place has none of its own.
fn with_query(to: &str, query: Option<&str>) -> String {
    match query {
        Some(query) if !to.contains(['?', '#']) => format!("{to}?{query}"),
        _ => to.to_owned(),
    }
}

/// The host that a request is for, where it says one.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    Authority::try_from(headers.get(HOST)?.as_bytes()).ok()
}

/// Whether the client came over TLS: by the nearest proxy, or by the target.
fn is_secure(uri: &Uri, headers: &HeaderMap) -> bool {
    match headers.get_all(FORWARDED_PROTO).iter().next_back() {
        Some(value) => {
            let last = value.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"https")
        }
        None => uri.scheme() == Some(&Scheme::HTTPS),
    }
}
