use std::fmt;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use jsonwebtoken::errors::ErrorKind;

use crate::Problem;
use crate::layers::guard::insufficient_scope;
use crate::service::Requirement;

/// By then it has been tried again.
const RETRY_AFTER: u32 = 10;

/// What is answered to a request without a token.
pub(super) const NO_TOKEN: HeaderValue = HeaderValue::from_static("Bearer");

/// What is answered to one whose token is no good.
pub(super) const BAD_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Why a request was refused. An extension of the answer, for layers outside; clients are not told. Where the token of a cookie
/// [counts as none](super#tokens-in-cookies) it is an extension of the request, for services inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no token.
    Missing,
    /// What should have the token was sent more than once, or holds no well-formed token.
    Malformed,
    /// The token is longer than [allowed](super::JwtLayer::max_token_bytes).
    TooLong,
    /// `alg` is not allowed.
    Algorithm,
    /// The token has `crit`.
    Critical,
    /// The token is by nobody who is trusted, or has no `iss` where that chooses the keys.
    Issuer,
    /// There is no key of the token's `kid`.
    Key,
    /// The keys of the issuer could not be fetched, and there are none of before.
    Unavailable,
    /// The signature is not by our key.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` lies ahead.
    NotYetValid,
    /// Another claim is missing, ill-typed or not what was asked for.
    Claim,
    /// The token lacks a scope.
    Scope,
    /// The token lacks something else that is [required](super::JwtLayer::require).
    Requirement,
}

impl Fault {
    pub(super) fn of(error: &jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
                Self::Algorithm
            }
            ErrorKind::InvalidAudience
            | ErrorKind::InvalidIssuer
            | ErrorKind::InvalidSubject
            | ErrorKind::InvalidClaimFormat(_)
            | ErrorKind::MissingRequiredClaim(_) => Self::Claim,
            _ => Self::Malformed,
        }
    }

    /// Whether the token itself is no good. Otherwise there is none, it cannot be checked now, or it is good and not enough.
    pub(super) fn is_of_a_bad_token(self) -> bool {
        !matches!(self, Self::Missing | Self::Unavailable | Self::Scope | Self::Requirement)
    }

    /// The refusal: 401 alike for every fault of a token, 403 for a missing scope (RFC 6750, 3.1) or another requirement.
    pub(super) fn into_response<B: From<Bytes>>(self, requirements: &[Requirement]) -> Response<B> {
        tracing::debug!(fault = %self, "a request was refused");
        let problem = match self {
            Self::Missing => unauthorized("this needs a bearer token", NO_TOKEN),
            Self::Unavailable => Problem::unavailable(
                "the keys that tokens are checked with cannot be had; try again later",
                RETRY_AFTER,
            ),
            Self::Requirement => Problem::forbidden("the token does not have what is required here"),
            Self::Scope => insufficient_scope(requirements),
            _ => unauthorized("the bearer token is not valid", BAD_TOKEN),
        };
        let mut response = problem.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn unauthorized(detail: &'static str, challenge: HeaderValue) -> Problem {
    Problem::of(StatusCode::UNAUTHORIZED).detail(detail).header(WWW_AUTHENTICATE, challenge)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no bearer token",
            Self::Malformed => "malformed token or header",
            Self::TooLong => "token too long",
            Self::Algorithm => "algorithm not allowed",
            Self::Critical => "critical header extensions",
            Self::Issuer => "not a trusted issuer",
            Self::Key => "no key of that id",
            Self::Unavailable => "no keys",
            Self::Signature => "wrong signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::Claim => "a claim is missing or wrong",
            Self::Scope => "a scope is missing",
            Self::Requirement => "what is required is missing",
        })
    }
}
