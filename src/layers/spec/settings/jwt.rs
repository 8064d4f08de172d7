//! `Jwt` as data.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::values::{OneOrMany, Secret};
use super::values::{header_name, seconds};
use crate::ConfigError;
use crate::layers::JwtLayer;
use crate::layers::jwt::{Algorithm, CredentialSource, Issuer, Jwks};
use crate::service::Requirement;

/// Settings of `Jwt`: one of `secret`, `public_key_pem` and `jwks`, or several `issuers`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JwtSpec {
    /// The shared secret of HS256, HS384 or HS512.
    pub secret: Option<Secret>,
    /// The public key of RS256, ES256 or EdDSA.
    pub public_key_pem: Option<String>,
    /// A JWK Set, or where there is one.
    pub jwks: Option<JwksSpec>,
    /// What tokens may be signed with; by the kind of key when it is left out.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Who may have issued tokens.
    pub issuer: Option<OneOrMany>,
    /// Whom tokens are for.
    pub audience: Option<OneOrMany>,
    /// Issuers with keys of their own, in place of all of the above.
    pub issuers: Option<Vec<IssuerSpec>>,
    /// Where tokens are looked for; in `Authorization` when it is left out.
    pub sources: Option<Vec<SourceSpec>>,
    /// What every token must have.
    pub require: Vec<Requirement>,
    /// Longer tokens are refused.
    pub max_token_bytes: Option<usize>,
    /// How many good tokens are remembered; 0 checks each time.
    pub remember: Option<usize>,
    /// By how many seconds clocks may differ.
    pub leeway: f64,
    /// Whether requests without a token are refused.
    pub required: bool,
}

impl Default for JwtSpec {
    fn default() -> Self {
        Self {
            secret: None,
            public_key_pem: None,
            jwks: None,
            algorithms: None,
            issuer: None,
            audience: None,
            issuers: None,
            sources: None,
            require: Vec::new(),
            max_token_bytes: None,
            remember: None,
            leeway: 30.0,
            required: true,
        }
    }
}

/// One of several issuers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IssuerSpec {
    /// What its tokens have in `iss`.
    pub issuer: Option<OneOrMany>,
    /// As [`JwtSpec::secret`].
    pub secret: Option<Secret>,
    /// As [`JwtSpec::public_key_pem`].
    pub public_key_pem: Option<String>,
    /// As [`JwtSpec::jwks`].
    pub jwks: Option<JwksSpec>,
    /// As [`JwtSpec::algorithms`].
    pub algorithms: Option<Vec<Algorithm>>,
    /// As [`JwtSpec::audience`].
    pub audience: Option<OneOrMany>,
}

/// Where a credential is: `{"header": "authorization"}`, `{"cookie": "session"}`, `{"query": "key"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceSpec {
    /// In the header that is called so.
    Header(String),
    /// In the cookie that is called so.
    Cookie(String),
    /// In the query parameter that is called so.
    Query(String),
}

impl JwtSpec {
    pub(in crate::layers::spec) fn layer(self) -> Result<JwtLayer, ConfigError> {
        let own = IssuerSpec {
            issuer: self.issuer,
            secret: self.secret,
            public_key_pem: self.public_key_pem,
            jwks: self.jwks,
            algorithms: self.algorithms,
            audience: self.audience,
        };
        let mut layer = match self.issuers {
            None => JwtLayer::issuers([own.issuer()?])?,
            Some(issuers) if own.is_empty() => {
                let issuers: Result<Vec<_>, _> = issuers.into_iter().map(IssuerSpec::issuer).collect();
                JwtLayer::issuers(issuers?)?
            }
            Some(_) => {
                return Err(ConfigError::new("Jwt: both issuers and settings of a single one are given")
                    .cure("give keys, algorithms, issuer and audience to each of issuers"));
            }
        };
        if let Some(sources) = self.sources {
            let sources: Result<Vec<_>, _> = sources.into_iter().map(|source| source.read("Jwt")).collect();
            layer = layer.sources(sources?)?;
        }
        if let Some(bytes) = self.max_token_bytes {
            layer = layer.max_token_bytes(bytes);
        }
        if let Some(tokens) = self.remember {
            layer = layer.remember(tokens);
        }
        layer = self.require.into_iter().fold(layer, JwtLayer::require);
        Ok(layer.leeway(seconds("Jwt: leeway", self.leeway, 0.0)?).required(self.required))
    }
}

impl IssuerSpec {
    fn is_empty(&self) -> bool {
        let Self { issuer, secret, public_key_pem, jwks, algorithms, audience } = self;
        issuer.is_none()
            && secret.is_none()
            && public_key_pem.is_none()
            && jwks.is_none()
            && algorithms.is_none()
            && audience.is_none()
    }

    fn issuer(self) -> Result<Issuer, ConfigError> {
        let issuer = Issuer::default();
        let mut issuer = match (self.secret, self.public_key_pem, self.jwks) {
            (Some(secret), None, None) => issuer.secret(secret.0)?,
            (None, Some(pem), None) => issuer.public_key_pem(pem)?,
            (None, None, Some(JwksSpec::Given(set))) => issuer.jwk_set(set.0)?,
            (None, None, Some(JwksSpec::Fetched(source))) => source.issuer(self.issuer.is_none())?,
            (None, None, None) => {
                return Err(ConfigError::new("Jwt: no key is given").cure("give secret, public_key_pem or jwks"));
            }
            (Some(_), Some(_), _) => {
                return Err(ConfigError::new("Jwt: both secret and public_key_pem are given")
                    .cure("give the one that belongs to the issuer's algorithm"));
            }
            _ => {
                return Err(ConfigError::new("Jwt: jwks is given beside another key")
                    .cure("give the keys of the issuer in one place"));
            }
        };
        if let Some(algorithms) = self.algorithms {
            issuer = issuer.algorithms(algorithms);
        }
        for name in listed("issuer", self.issuer)? {
            issuer = issuer.name(name);
        }
        for name in listed("audience", self.audience)? {
            issuer = issuer.audience(name);
        }
        Ok(issuer)
    }
}

impl SourceSpec {
    pub(in crate::layers::spec) fn read(self, layer: &str) -> Result<CredentialSource, ConfigError> {
        match self {
            Self::Header(name) => header_name(layer, &name).map(CredentialSource::header),
            Self::Cookie(name) => CredentialSource::cookie(name),
            Self::Query(name) => CredentialSource::query(name),
        }
    }
}

fn listed(field: &str, given: Option<OneOrMany>) -> Result<Vec<String>, ConfigError> {
    let Some(given) = given.map(OneOrMany::into_vec) else { return Ok(Vec::new()) };
    if given.is_empty() {
        return Err(ConfigError::new(format!("Jwt: {field} is an empty list, so no token could be valid"))
            .cure("name at least one, or leave it out"));
    }
    Ok(given)
}

/// Keys of an issuer: a JWK Set as text or as it is, an address of one, or a [`FetchedSpec`].
#[derive(Debug, Clone)]
pub enum JwksSpec {
    /// A set, as text.
    Given(Secret),
    /// Where there is one.
    Fetched(FetchedSpec),
}

/// Where keys are published, and how they are kept. One of `url` and `discover` has to be given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchedSpec {
    /// The address of a JWK Set.
    pub url: Option<String>,
    /// The address of an issuer that says where its set is.
    pub discover: Option<String>,
    /// How many seconds keys hold that do not say it themselves.
    pub refresh: Option<f64>,
    /// The least number of seconds between two fetches.
    pub cooldown: Option<f64>,
    /// How many seconds a fetch may take.
    pub timeout: Option<f64>,
    /// For how many seconds keys serve that are too old, while there are no others.
    pub stale_for: Option<f64>,
    /// Certificates to trust in place of the public ones.
    pub root_pem: Option<String>,
}

impl<'de> Deserialize<'de> for JwksSpec {
    fn deserialize<D: Deserializer<'de>>(given: D) -> Result<Self, D::Error> {
        match Value::deserialize(given)? {
            Value::String(url) if url.starts_with("http") => {
                Ok(Self::Fetched(FetchedSpec { url: Some(url), ..FetchedSpec::default() }))
            }
            Value::String(text) => Ok(Self::Given(Secret(text))),
            set if set.get("keys").is_some() => Ok(Self::Given(Secret(set.to_string()))),
            other => serde_json::from_value(other).map(Self::Fetched).map_err(serde::de::Error::custom),
        }
    }
}

impl FetchedSpec {
    /// The issuer with these keys; it has a name when that is `wanted` and known.
    fn issuer(self, wanted: bool) -> Result<Issuer, ConfigError> {
        let mut issuer = Issuer::default();
        let mut source = match (self.url, self.discover) {
            (Some(url), None) => Jwks::url(&url)?,
            (None, Some(address)) => {
                let source = Jwks::discover(&address)?;
                if wanted {
                    issuer = Issuer::new(address);
                }
                source
            }
            _ => {
                return Err(ConfigError::new("Jwt: jwks is to be fetched from one of url and discover")
                    .cure("give the address of the set, or of the issuer"));
            }
        };
        // Not more often than the provider can bear.
        let time = |field: &str, seconds_of: f64| seconds(&format!("Jwt: jwks {field}"), seconds_of, 0.1);
        if let Some(refresh) = self.refresh {
            source = source.refresh(time("refresh", refresh)?);
        }
        if let Some(cooldown) = self.cooldown {
            source = source.cooldown(time("cooldown", cooldown)?);
        }
        if let Some(timeout) = self.timeout {
            source = source.timeout(time("timeout", timeout)?);
        }
        if let Some(stale_for) = self.stale_for {
            source = source.stale_for(seconds("Jwt: jwks stale_for", stale_for, 0.0)?);
        }
        if let Some(pem) = self.root_pem {
            source = source.root_pem(pem)?;
        }
        Ok(issuer.jwks(source))
    }
}
