use std::time::Duration;

use http::{HeaderMap, Request, Uri};
use tokio::sync::futures::OwnedNotified;

use super::fault::{BAD_TOKEN, NO_TOKEN};
use super::memo::{Known, Memo};
use super::ring::{Head, Ring, issuer_of};
use super::{Claims, CredentialSource, Fault};
use crate::layers::credential::Malformed;
use crate::layers::guard::Challenges;
use crate::service::Requirement;

/// What is trusted, and what tokens have to say.
pub(super) struct Verifier {
    pub(super) trusted: Vec<Trusted>,
    pub(super) sources: Vec<CredentialSource>,
    pub(super) max_token: usize,
    pub(super) requirements: Vec<Requirement>,
    pub(super) required: bool,
    pub(super) leeway: Duration,
    /// Good tokens.
    pub(super) memo: Option<Memo>,
}

/// One issuer.
pub(super) struct Trusted {
    pub(super) names: Vec<String>,
    pub(super) keys: Keys,
}

pub(super) enum Keys {
    Given(Ring),
    #[cfg(feature = "jwks")]
    Fetched(std::sync::Arc<super::jwks::Cache>),
}

/// Why a request does not go on.
pub(super) enum Stop {
    Refused(Fault),
    /// Keys are being fetched; when that is over, it is to be asked again.
    #[cfg_attr(not(feature = "jwks"), allow(dead_code))]
    Waiting(OwnedNotified),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

/// Who sent a request.
enum Caller {
    Known(Claims),
    /// There is no token, or one in a cookie that counts as none.
    Unknown(Option<Fault>),
}

impl Verifier {
    /// Puts the claims of the request's token into it, if it has one or needs one. Only who may wait is told to.
    pub(super) fn admit<B>(&self, request: &mut Request<B>, may_wait: bool) -> Result<(), Stop> {
        let caller = self.verify(request.uri(), request.headers(), may_wait)?;
        let extensions = request.extensions_mut();
        match caller {
            Caller::Known(claims) => drop(extensions.insert(claims)),
            Caller::Unknown(None) => Challenges::add(extensions, NO_TOKEN),
            Caller::Unknown(Some(fault)) => {
                extensions.insert(fault);
                Challenges::add(extensions, BAD_TOKEN);
            }
        }
        Ok(())
    }

    fn verify(&self, uri: &Uri, headers: &HeaderMap, may_wait: bool) -> Result<Caller, Stop> {
        let mut passed_over = None;
        for source in &self.sources {
            let checked = match source.find(uri, headers) {
                Ok(None) => continue,
                Ok(Some(token)) => self.check(&token, may_wait),
                Err(Malformed) => Err(Fault::Malformed.into()),
            };
            match checked {
                Ok(claims) => return Ok(Caller::Known(claims)),
                Err(Stop::Refused(fault)) if !self.required && source.is_cookie() && fault.is_of_a_bad_token() => {
                    tracing::debug!(%fault, "a token in a cookie counts as none");
                    passed_over = passed_over.or(Some(fault));
                }
                Err(stop) => return Err(stop),
            }
        }
        if self.required { Err(Fault::Missing.into()) } else { Ok(Caller::Unknown(passed_over)) }
    }

    fn check(&self, token: &[u8], may_wait: bool) -> Result<Claims, Stop> {
        if token.len() > self.max_token {
            return Err(Fault::TooLong.into());
        }
        let known = self.memo.as_ref().and_then(|memo| memo.find(token));
        let known = known.filter(|known| self.trusted[known.issuer].keys.generation() == Some(known.generation));
        let claims = match known {
            Some(known) => known.claims,
            None => self.check_anew(token, may_wait)?,
        };
        self.judge(&claims)?;
        Ok(claims)
    }

    fn check_anew(&self, token: &[u8], may_wait: bool) -> Result<Claims, Stop> {
        let head = Head::of(token)?;
        let issuer = match &self.trusted[..] {
            [_] => 0,
            several => {
                let name = issuer_of(token)?;
                several.iter().position(|trusted| trusted.names.contains(&name)).ok_or(Fault::Issuer)?
            }
        };
        let (claims, generation) = self.trusted[issuer].keys.verify(token, &head, may_wait)?;
        if let Some(memo) = &self.memo
            && let Some(known) = Known::new(&claims, issuer, generation, self.leeway)
        {
            memo.keep(token, known);
        }
        Ok(claims)
    }

    fn judge(&self, claims: &Claims) -> Result<(), Fault> {
        match self.requirements.iter().find(|requirement| !requirement.is_met(claims)) {
            None => Ok(()),
            Some(unmet) if unmet.as_scope().is_some() => Err(Fault::Scope),
            Some(_) => Err(Fault::Requirement),
        }
    }
}

impl Keys {
    /// Which keys there are now; none when there are none.
    fn generation(&self) -> Option<u64> {
        match self {
            Self::Given(ring) => Some(ring.generation),
            #[cfg(feature = "jwks")]
            Self::Fetched(cache) => cache.ring().map(|ring| ring.generation),
        }
    }

    #[cfg_attr(not(feature = "jwks"), allow(unused_variables))]
    fn verify(&self, token: &[u8], head: &Head, may_wait: bool) -> Result<(Claims, u64), Stop> {
        match self {
            Self::Given(ring) => Ok((ring.verify(token, head)?, ring.generation)),
            #[cfg(feature = "jwks")]
            Self::Fetched(cache) => {
                let fault = match cache.ring() {
                    None => Fault::Unavailable,
                    Some(ring) => match ring.verify(token, head) {
                        // A new key may have come since.
                        Err(Fault::Key) if !head.algorithm.is_symmetric() => Fault::Key,
                        Err(Fault::Signature) if head.kid.is_none() => Fault::Signature,
                        verified => return Ok((verified?, ring.generation)),
                    },
                };
                let wait = if may_wait { cache.want() } else { None };
                Err(wait.map_or(Stop::Refused(fault), Stop::Waiting))
            }
        }
    }
}
