use http::HeaderMap;

use super::ring::{Head, Ring, issuer_of};
use super::{Claims, Fault, TokenSource};
use crate::service::Requirement;

/// What is trusted, and what tokens have to say.
pub(super) struct Verifier {
    pub(super) trusted: Vec<Trusted>,
    pub(super) sources: Vec<TokenSource>,
    pub(super) max_token: usize,
    pub(super) requirements: Vec<Requirement>,
    pub(super) required: bool,
}

/// One issuer.
pub(super) struct Trusted {
    pub(super) names: Vec<String>,
    pub(super) keys: Ring,
}

impl Verifier {
    /// The claims of the request's token; none when it has no token and needs none.
    pub(super) fn verify(&self, headers: &HeaderMap) -> Result<Option<Claims>, Fault> {
        for source in &self.sources {
            if let Some(token) = source.find(headers)? {
                return self.check(token).map(Some);
            }
        }
        if self.required { Err(Fault::Missing) } else { Ok(None) }
    }

    fn check(&self, token: &[u8]) -> Result<Claims, Fault> {
        if token.len() > self.max_token {
            return Err(Fault::TooLong);
        }
        let head = Head::of(token)?;
        let trusted = match &self.trusted[..] {
            [only] => only,
            several => {
                let name = issuer_of(token)?;
                several.iter().find(|trusted| trusted.names.contains(&name)).ok_or(Fault::Issuer)?
            }
        };
        let claims = trusted.keys.verify(token, &head)?;
        self.judge(&claims)?;
        Ok(claims)
    }

    fn judge(&self, claims: &Claims) -> Result<(), Fault> {
        match self.requirements.iter().find(|requirement| !requirement.is_met(claims)) {
            None => Ok(()),
            Some(unmet) if unmet.as_scope().is_some() => Err(Fault::Scope),
            Some(_) => Err(Fault::Requirement),
        }
    }

    /// All scopes that are asked for.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().filter_map(Requirement::as_scope)
    }
}
