use jsonwebtoken::{Algorithm as Verified, AlgorithmFamily};
use serde::Deserialize;

/// A way to sign tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    HS256,
    /// HMAC with SHA-384 and a shared secret.
    HS384,
    /// HMAC with SHA-512 and a shared secret.
    HS512,
    /// RSA (PKCS#1 v1.5) with SHA-256.
    RS256,
    /// RSA (PKCS#1 v1.5) with SHA-384.
    RS384,
    /// RSA (PKCS#1 v1.5) with SHA-512.
    RS512,
    /// RSA (PSS) with SHA-256.
    PS256,
    /// RSA (PSS) with SHA-384.
    PS384,
    /// RSA (PSS) with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    pub(super) const fn verified_as(self) -> Verified {
        match self {
            Self::HS256 => Verified::HS256,
            Self::HS384 => Verified::HS384,
            Self::HS512 => Verified::HS512,
            Self::RS256 => Verified::RS256,
            Self::RS384 => Verified::RS384,
            Self::RS512 => Verified::RS512,
            Self::PS256 => Verified::PS256,
            Self::PS384 => Verified::PS384,
            Self::PS512 => Verified::PS512,
            Self::ES256 => Verified::ES256,
            Self::ES384 => Verified::ES384,
            Self::EdDSA => Verified::EdDSA,
        }
    }

    /// What a token calls so. There is no `none`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        use serde::de::IntoDeserializer;
        Self::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(name)).ok()
    }

    #[cfg(feature = "jwks")]
    pub(super) fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    pub(super) fn is_for(self, family: AlgorithmFamily) -> bool {
        self.verified_as().family() == family
    }

    /// How many bytes a shared secret needs: as many as the hash has (RFC 7518, 3.2).
    pub(super) const fn least_secret(self) -> usize {
        match self {
            Self::HS512 => 64,
            Self::HS384 => 48,
            _ => 32,
        }
    }
}
