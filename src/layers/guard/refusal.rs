use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{Extensions, HeaderValue, Response, StatusCode};

use crate::Problem;
use crate::service::{ErrorFormat, Requirement};

/// How callers may say who they are, where none has: what layers further out would have answered. An extension of the request.
#[derive(Clone)]
pub(in crate::layers) struct Challenges(Vec<HeaderValue>);

impl Challenges {
    /// Adds a challenge to those of other layers.
    pub(in crate::layers) fn add(extensions: &mut Extensions, challenge: HeaderValue) {
        match extensions.get_mut::<Self>() {
            Some(Self(others)) => others.push(challenge),
            None => {
                extensions.insert(Self(vec![challenge]));
            }
        }
    }
}

/// Why a guard let nobody through. An extension of the answer, for layers outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody knows who the caller is.
    Unknown,
    /// The caller lacks a scope.
    Scope,
    /// The caller lacks something else that is asked for.
    Requirement,
}

impl Refusal {
    pub(super) fn of(unmet: &Requirement) -> Self {
        if unmet.as_scope().is_some() { Self::Scope } else { Self::Requirement }
    }

    pub(super) fn into_response<B: From<Bytes>>(
        self,
        requirements: &[Requirement],
        challenges: Option<Challenges>,
        errors: ErrorFormat,
    ) -> Response<B> {
        tracing::debug!(refusal = ?self, "a request was refused");
        let problem = match self {
            Self::Unknown => Problem::of(StatusCode::UNAUTHORIZED).detail(match &challenges {
                Some(all) if all.0.iter().any(|challenge| !challenge.as_bytes().starts_with(b"Bearer")) => {
                    "this needs credentials of a caller who is known"
                }
                _ => "this needs a bearer token",
            }),
            Self::Scope => insufficient_scope(requirements),
            Self::Requirement => Problem::forbidden("the caller does not have what is required here"),
        };
        let mut response = errors.response(problem);
        if self == Self::Unknown {
            let all = challenges.map_or_else(|| vec![HeaderValue::from_static("Bearer")], |all| all.0);
            for challenge in all {
                response.headers_mut().append(WWW_AUTHENTICATE, challenge);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// 401 to a request of which nobody knows who sent it.
#[cfg(feature = "axum")]
pub(in crate::layers) fn unknown<B: From<Bytes>>(of: &http::Extensions) -> Response<B> {
    Refusal::Unknown.into_response(&[], of.get().cloned(), ErrorFormat::default())
}

/// 403 with the scopes that are asked for (RFC 6750, 3.1).
pub(in crate::layers) fn insufficient_scope(requirements: &[Requirement]) -> Problem {
    let scopes: Vec<_> = requirements.iter().filter_map(Requirement::as_scope).collect();
    let listed = scopes.join(" ");
    let challenge = HeaderValue::from_str(&format!("Bearer error=\"insufficient_scope\", scope=\"{listed}\""))
        .unwrap_or(HeaderValue::from_static("Bearer error=\"insufficient_scope\""));
    Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", "Not allowed")
        .detail(format!("the caller must have each of these scopes: {listed}"))
        .header(WWW_AUTHENTICATE, challenge)
}
