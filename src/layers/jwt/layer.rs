use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tower_layer::Layer;

use super::memo::Memo;
use super::ring::Ring;
use super::verifier::{Keys, Trusted, Verifier};
use super::{Algorithm, CredentialSource, Issuer, Jwt};
use crate::ConfigError;
use crate::service::Requirement;

/// Longer tokens are not looked at, unless it is asked for.
const MAX_TOKEN: usize = 8 * 1024;

/// Good tokens that are remembered, unless it is asked for more or less.
const REMEMBERED: usize = 1024;

/// Applies [`Jwt`]; see the [module](super) for examples.
#[derive(Clone)]
#[must_use]
pub struct JwtLayer {
    issuers: Vec<Issuer>,
    sources: Vec<CredentialSource>,
    requirements: Vec<Requirement>,
    max_token: usize,
    leeway: Duration,
    required: bool,
    remembered: usize,
    /// What the services share that are made with these settings, in copies of the layer too.
    made: Arc<OnceLock<Arc<Verifier>>>,
}

impl JwtLayer {
    /// Accepts tokens signed with the shared `secret`, by HS256 unless [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When the secret has less than 32 bytes, or is in truth a public key.
    pub fn secret(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Issuer::default().secret(secret).map(|issuer| Self::with(vec![issuer]))
    }

    /// Accepts tokens signed by the private half of this RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA)
    /// key, unless [other algorithms](Self::algorithms) are set.
    ///
    /// # Errors
    /// When `pem` holds no such key, a private key, or an RSA key of less than 2048 bits.
    pub fn public_key_pem(pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Issuer::default().public_key_pem(pem).map(|issuer| Self::with(vec![issuer]))
    }

    /// Accepts tokens signed by the private halves of the keys of this JWK Set; see [`Issuer::jwk_set`].
    ///
    /// # Errors
    /// When `json` is no set, or a key of it is no good.
    pub fn jwk_set(json: impl AsRef<str>) -> Result<Self, ConfigError> {
        Issuer::default().jwk_set(json).map(|issuer| Self::with(vec![issuer]))
    }

    /// Accepts the tokens of each of these issuers. The `iss` of a token says whose keys it is checked with.
    ///
    /// # Errors
    /// When there is none, one has no key or none for an algorithm, or two have a name in common.
    pub fn issuers(issuers: impl IntoIterator<Item = Issuer>) -> Result<Self, ConfigError> {
        let issuers: Vec<_> = issuers.into_iter().collect();
        if issuers.is_empty() {
            return Err(ConfigError::new("Jwt: issuers is empty, so no token could be valid").cure("name at least one"));
        }
        let mut names: Vec<_> = issuers.iter().flat_map(|issuer| &issuer.names).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::new(format!("Jwt: the issuer {:?} is there twice", twice[0]))
                .cure("give all of its keys to one Issuer"));
        }
        if issuers.len() > 1 && issuers.iter().any(|issuer| issuer.names.is_empty()) {
            return Err(ConfigError::new("Jwt: one of several issuers has no name, so no token could be by it")
                .cure("give each the name that its tokens have in iss"));
        }
        issuers.iter().try_for_each(Issuer::check)?;
        Ok(Self::with(issuers))
    }

    fn with(issuers: Vec<Issuer>) -> Self {
        Self {
            issuers,
            sources: vec![CredentialSource::authorization()],
            requirements: Vec::new(),
            max_token: MAX_TOKEN,
            leeway: Duration::from_secs(30),
            required: true,
            remembered: REMEMBERED,
            made: Arc::default(),
        }
    }

    /// What was made with other settings does not serve these.
    fn changed(self) -> Self {
        Self { made: Arc::default(), ..self }
    }

    /// Accepts these algorithms and no others, of every issuer.
    ///
    /// # Errors
    /// When the list is empty, or an algorithm needs another kind of key than there is, or a longer secret.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Result<Self, ConfigError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        for issuer in &mut self.issuers {
            issuer.algorithms = Some(algorithms.clone());
            issuer.check()?;
        }
        Ok(self.changed())
    }

    /// Accepts only tokens by this issuer (`iss`); call it again to accept several names. After
    /// [`issuers`](Self::issuers) it is another name of the last of them.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        if let Some(last) = self.issuers.last_mut() {
            last.names.push(issuer.into());
        }
        self.changed()
    }

    /// Accepts only tokens for this audience (`aud`), of every issuer; call it again to accept several.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        self.issuers.iter_mut().for_each(|issuer| issuer.audiences.push(audience.clone()));
        self.changed()
    }

    /// Looks for the token in these places, and takes the first that is there. `Authorization: Bearer` by default.
    ///
    /// # Errors
    /// When there is none, or it is a query string: logs and the history of browsers show those.
    pub fn sources(mut self, sources: impl IntoIterator<Item = CredentialSource>) -> Result<Self, ConfigError> {
        self.sources = sources.into_iter().collect();
        if self.sources.is_empty() {
            return Err(ConfigError::new("Jwt: sources is empty, so no token could be found")
                .cure("name at least one, or leave it out for the Authorization header"));
        }
        if self.sources.iter().any(CredentialSource::is_query) {
            return Err(ConfigError::new("Jwt: a token in a query string is seen in logs and histories")
                .cure("look for it in a header or in a cookie"));
        }
        Ok(self.changed())
    }

    /// Asks this of every token, and answers 403 to those that do not have it; call it again to ask for more.
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.requirements.push(requirement);
        self.changed()
    }

    /// Longer tokens are refused without looking at them; 8 KiB by default.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token = bytes;
        self.changed()
    }

    /// How far clocks may differ; 30 seconds by default. At most a day counts.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(Duration::from_secs(24 * 60 * 60));
        self.changed()
    }

    /// Remembers about so many good tokens, of at most 2 KiB each, so that their signatures are not checked again; 1024 by default,
    /// and 0 checks each time.
    pub fn remember(mut self, tokens: usize) -> Self {
        self.remembered = tokens;
        self.changed()
    }

    /// Whether requests without a token are refused; they are by default. Otherwise a bad token in a cookie
    /// [counts as none](super#tokens-in-cookies).
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self.changed()
    }
}

impl JwtLayer {
    fn verifier(&self) -> Verifier {
        let trusted = |issuer: &Issuer| Trusted { names: issuer.names.clone(), keys: self.keys(issuer) };
        Verifier {
            trusted: self.issuers.iter().map(trusted).collect(),
            sources: self.sources.clone(),
            max_token: self.max_token,
            requirements: self.requirements.clone(),
            required: self.required,
            leeway: self.leeway,
            memo: Memo::new(self.remembered),
        }
    }

    fn keys(&self, issuer: &Issuer) -> Keys {
        #[cfg(feature = "jwks")]
        if let Some(source) = &issuer.fetched {
            return Keys::Fetched(super::jwks::Cache::new(source.clone(), issuer.clone(), self.leeway));
        }
        Keys::Given(Ring::new(issuer, &issuer.keys, self.leeway))
    }
}

/// Without the keys.
impl fmt::Debug for JwtLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtLayer")
            .field("issuers", &self.issuers)
            .field("sources", &self.sources)
            .field("requirements", &self.requirements)
            .field("max_token", &self.max_token)
            .field("leeway", &self.leeway)
            .field("required", &self.required)
            .field("remembered", &self.remembered)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for JwtLayer {
    type Service = Jwt<S>;

    fn layer(&self, inner: S) -> Jwt<S> {
        Jwt { inner, verifier: self.made.get_or_init(|| Arc::new(self.verifier())).clone() }
    }
}
