use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::ConfigError;

/// Where an issuer publishes its keys, and how they are kept.
///
/// They are fetched at the first request, and again before they are too old: when three quarters of the `max-age` have passed that
/// they were sent with, or else of [`refresh`](Self::refresh). A token whose `kid` is not among them has them fetched at once,
/// though not more often than once in a [`cooldown`](Self::cooldown); everybody who needs them waits for the same fetch. While they
/// cannot be had, the last ones go on to serve, without an end unless [one is set](Self::stale_for). Where there are none, requests
/// with a token are answered 503 with `Retry-After`.
///
/// Only `https` is spoken, except to this machine itself. A redirection counts when it stays on the host. A document of more than
/// 256 KiB or 64 keys is refused. Secrets, private keys, weak keys and those of unknown kinds are left out, and the log says which.
#[derive(Clone)]
#[must_use]
pub struct Jwks {
    pub(super) place: Place,
    pub(super) refresh: Duration,
    pub(super) cooldown: Duration,
    pub(super) timeout: Duration,
    pub(super) stale_for: Option<Duration>,
    pub(super) roots: Arc<RootCertStore>,
}

#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Of the set itself.
    Set(Uri),
    /// Of a document that says where the set is, and by whom that has to be.
    Discovery { document: Uri, issuer: Box<str> },
}

impl Jwks {
    /// The JWK Set at this address.
    ///
    /// # Errors
    /// When it is no `https` address.
    pub fn url(url: &str) -> Result<Self, ConfigError> {
        address(url).map(|url| Self::at(Place::Set(url)))
    }

    /// The JWK Set that the issuer with this address names in its `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
    ///
    /// # Errors
    /// When it is no `https` address.
    pub fn discover(issuer: &str) -> Result<Self, ConfigError> {
        let document = address(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        Ok(Self::at(Place::Discovery { document, issuer: issuer.into() }))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            refresh: Duration::from_secs(300),
            cooldown: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            stale_for: None,
            roots: Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        }
    }

    /// How old keys may be that came without `Cache-Control: max-age`; 5 minutes by default.
    pub fn refresh(mut self, after: Duration) -> Self {
        self.refresh = after;
        self
    }

    /// The least time between two fetches, whoever asks for keys that are not there; 10 seconds by default.
    pub fn cooldown(mut self, time: Duration) -> Self {
        self.cooldown = time.max(Duration::from_millis(100));
        self
    }

    /// How long a fetch may take in all; 5 seconds by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// For how long keys serve that are too old while new ones cannot be had; without an end by default.
    pub fn stale_for(mut self, time: Duration) -> Self {
        // Longer is for ever, which is said by leaving it out.
        self.stale_for = Some(time.min(Duration::from_secs(366 * 24 * 60 * 60)));
        self
    }

    /// Trusts the certificates in `pem` in place of those of the public authorities, as a company's own.
    ///
    /// # Errors
    /// When there is none in there.
    pub fn root_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_ref()).flatten() {
            // What is none is not counted.
            let _ = roots.add(certificate);
        }
        if roots.is_empty() {
            return Err(ConfigError::new("Jwt: there is no certificate to trust in the PEM of jwks")
                .cure("give those of the authority, which begin with -----BEGIN CERTIFICATE-----"));
        }
        self.roots = Arc::new(roots);
        Ok(self)
    }
}

/// Without the certificates.
impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks")
            .field("place", &self.place)
            .field("refresh", &self.refresh)
            .field("cooldown", &self.cooldown)
            .field("timeout", &self.timeout)
            .field("stale_for", &self.stale_for)
            .finish_non_exhaustive()
    }
}

fn address(text: &str) -> Result<Uri, ConfigError> {
    let wrong = |what| {
        ConfigError::new(format!("Jwt: {text:?} {what}"))
            .cure("give an address that begins with https://, or http:// for this machine itself")
    };
    let url: Uri = text.parse().map_err(|_| wrong("is no address"))?;
    if url.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(wrong("is no address of keys"));
    }
    if is_safe(&url) { Ok(url) } else { Err(wrong("could be changed on its way")) }
}

/// Whether nobody between here and there can change what is sent.
pub(super) fn is_safe(url: &Uri) -> bool {
    match url.scheme_str() {
        Some("https") => true,
        Some("http") => url.host().is_some_and(is_local),
        _ => false,
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
