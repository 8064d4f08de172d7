use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri};

use crate::{ConfigError, Problem};

/// The hosts that are known.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<[Name]>);

#[derive(Debug)]
enum Name {
    /// In small letters.
    Exact(Box<str>),
    /// With the dot that it begins with: names that end so, and are longer.
    Below(Box<str>),
}

impl Names {
    pub(super) fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let names: Vec<_> = names.into_iter().map(|name| Name::read(name.as_ref())).collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Err(ConfigError::new("Hosts: no host is known, so every request would be refused")
                .cure("name at least one, or leave the layer out"));
        }
        Ok(Self(names.into()))
    }

    /// Whether a request is meant for one of them.
    ///
    /// # Errors
    /// 400 when it does not say one host, 421 when that is not known.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut named = headers.get_all(HOST).iter();
        let host = named.next();
        if named.next().is_some() {
            return Err(Problem::bad_request("there is more than one Host header"));
        }
        if host.is_none() && uri.authority().is_none() {
            return Err(Problem::bad_request(
                "the request does not say for which host it is meant; send a Host header",
            ));
        }
        if let Some(authority) = uri.authority() {
            self.know(authority)?;
        }
        if let Some(host) = host {
            let authority = Authority::try_from(host.as_bytes())
                .map_err(|_| Problem::bad_request("the Host header holds no host"))?;
            self.know(&authority)?;
        }
        Ok(())
    }

    fn know(&self, authority: &Authority) -> Result<(), Problem> {
        // A name and a password belong to no request (RFC 9110, 4.2.4).
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(Problem::bad_request("the Host header holds no host"));
        }
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.0.iter().any(|name| name.is(host)) {
            return Ok(());
        }
        // Not which it was: it may be anything.
        Err(Problem::of(StatusCode::MISDIRECTED_REQUEST)
            .detail("this server does not answer for the host that was asked"))
    }
}

impl Name {
    fn read(text: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            ConfigError::new(format!("Hosts: {text:?} is no host"))
                .cure("write it without scheme, port and path, as example.org, *.example.org, 10.0.0.7 or [::1]")
        };
        let (name, is_below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let authority: Authority = name.parse().map_err(|_| wrong())?;
        let is_bare = authority.host() == name && authority.port().is_none() && !name.ends_with('.');
        if !is_bare || name.is_empty() || name.contains('*') || (is_below && name.starts_with('[')) {
            return Err(wrong());
        }
        let name = name.to_ascii_lowercase();
        Ok(if is_below { Self::Below(format!(".{name}").into()) } else { Self::Exact(name.into()) })
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Below(end) => {
                let (host, end) = (host.as_bytes(), end.as_bytes());
                host.len() > end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
            }
        }
    }
}
