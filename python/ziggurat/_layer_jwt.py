"""Tokens: the settings of `layers.Jwt`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ._layer import Layer, Settings
from .guards import Authenticated, Guard

JwtAlgorithm = Literal["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]

_SYMMETRIC = ("HS256", "HS384", "HS512")
_ASYMMETRIC = ("RS256", "ES256", "EdDSA")


@dataclass(frozen=True)
class FromHeader(Settings):
    """A header has it: the one after `Bearer` in `Authorization`, or the whole value of another."""

    header: str
    """What the header is called."""

    def __post_init__(self) -> None:
        self._check_text("header")
        self._check_header("header", [self.header])


@dataclass(frozen=True)
class FromCookie(Settings):
    """A cookie has it.

    Browsers send it along with what other sites have them ask for. Set it with `SameSite=Lax` or `Strict`, `Secure` and
    `HttpOnly`, let nothing be changed by GET, and refuse writes of foreign origins.

    They also send it until it is deleted or too old, whatever became of what is in it. Where no credential is required, one that is
    no good counts as none here; in any other place it is refused.
    """

    cookie: str
    """What the cookie is called."""

    def __post_init__(self) -> None:
        self._check_text("cookie")
        self._check_header("cookie", [self.cookie], "which is not the name of a cookie")


@dataclass(frozen=True, kw_only=True)
class Jwks(Settings):
    """Where an issuer publishes its keys, and how they are kept: `layers.Jwt(jwks=layers.Jwks(discover="https://id.example"))`.

    They are fetched at the first token, again before they are too old, and when a token names one that is not there. The last ones
    serve on while there are no others; where there are none, a request with a token is a 503.
    """

    url: str | None = None
    """The `https` address of a JWK Set."""
    discover: str | None = None
    """The `https` address of an issuer that says in its `/.well-known/openid-configuration` where its set is."""
    refresh: float = 300.0
    """How many seconds keys hold that came without `Cache-Control: max-age`."""
    cooldown: float = 10.0
    """The least number of seconds between two fetches, whoever asks for keys that are not there."""
    timeout: float = 5.0
    """How many seconds a fetch may take in all."""
    stale_for: float | None = None
    """For how many seconds keys serve that are too old, while there are no others; without an end when left out."""
    root_pem: str | None = None
    """Certificates of authorities to trust in place of the public ones, as PEM text."""

    def __post_init__(self) -> None:
        self._check_text("url", "discover", "root_pem")
        if (self.url is None) == (self.discover is None):
            given = "neither" if self.url is None else "both"
            raise self._wrong(f"{given} of url and discover given", "give the address of the set, or of the issuer")
        for name in ("refresh", "cooldown", "timeout"):
            self._check_number(name, 0.1, 86_400)
        if self.stale_for is not None:
            self._check_number("stale_for", 0, 86_400)
        self._check_address(str(self.url or self.discover))

    def _check_address(self, text: str) -> None:
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        host = parts.hostname or ""
        local = host in ("localhost", "::1") or host.startswith("127.")
        if not host or "@" in parts.netloc or parts.scheme not in (("https", "http") if local else ("https",)):
            cure = "give an address that begins with https://, or http:// for this machine itself"
            raise self._wrong(f"{text!r} is no address of keys", cure)


class _Keys(Settings):
    """What the keys of one issuer have to be."""

    secret: str | bytes | None
    public_key_pem: str | None
    jwks: str | Mapping[str, Any] | Jwks | None
    algorithms: Sequence[JwtAlgorithm] | None
    issuer: str | Sequence[str] | None
    audience: str | Sequence[str] | None

    def _check_keys(self) -> None:
        given = [name for name in ("secret", "public_key_pem", "jwks") if getattr(self, name) is not None]
        if not given:
            raise self._wrong("neither of secret and public_key_pem given, and no jwks", "give exactly one of them")
        if len(given) > 1:
            raise self._wrong(f"both of {' and '.join(given)} given", "give exactly one key, or jwks for several")
        self._check_text("public_key_pem")
        for name in ("issuer", "audience"):
            if not isinstance(getattr(self, name), str):
                self._freeze(name, empty=False)
        self._freeze("algorithms", allowed=_SYMMETRIC + _ASYMMETRIC, empty=False)
        if self.secret is not None:
            self._check_secret(self.secret)
        elif self.public_key_pem is not None:
            self._check_public_key(self.public_key_pem)
        else:
            self._check_jwks(self.jwks)

    def _check_secret(self, secret: str | bytes) -> None:
        if not isinstance(secret, (str, bytes)):
            raise self._wrong(f"secret must be a string, not {type(secret).__name__}", "give a string")
        if isinstance(secret, bytes):
            try:
                object.__setattr__(self, "secret", secret.decode())
            except UnicodeDecodeError:
                raise self._wrong("secret is not UTF-8", "give its hexadecimal or base64 text") from None
        if self.algorithms is None:
            object.__setattr__(self, "algorithms", ("HS256",))
        for algorithm in self.algorithms or ():
            if algorithm not in _SYMMETRIC:
                raise self._wrong(f"{algorithm} needs a public key, not a secret", "give public_key_pem=")
            least = int(algorithm[2:]) // 8
            size = len(secret if isinstance(secret, bytes) else secret.encode())
            # RFC 7518, section 3.2: a shorter key is weaker than the hash.
            if size < least:
                raise self._wrong(
                    f"the secret has {size} bytes, {algorithm} needs at least {least}",
                    'make one with: python3 -c "import secrets; print(secrets.token_hex(32))"',
                )

    def _check_public_key(self, pem: str) -> None:
        if "PRIVATE KEY" in pem:
            raise self._wrong("public_key_pem holds a private key", "give the public half only")
        if "-----BEGIN" not in pem:
            raise self._wrong("public_key_pem is not PEM text", "it starts with -----BEGIN PUBLIC KEY-----")
        for algorithm in self.algorithms or ():
            if algorithm not in _ASYMMETRIC:
                # Accepting both would let the public key be used as a shared secret (RFC 8725, section 2.1).
                raise self._wrong(f"{algorithm} takes a secret, not a public key", "give secret= instead")

    def _check_jwks(self, given: Any) -> None:
        if isinstance(given, str) and given.startswith("http"):
            given = Jwks(url=given)
            object.__setattr__(self, "jwks", given)
        if isinstance(given, Jwks):
            for algorithm in self.algorithms or ():
                if algorithm in _SYMMETRIC:
                    raise self._wrong(f"{algorithm} is for secrets, which are not published", "give secret= instead")
            return
        try:
            found = json.loads(given) if isinstance(given, str) else json.loads(json.dumps(given))
        except (TypeError, ValueError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
            cure = 'give the text that the issuer publishes, which is {"keys": [...]}'
            raise self._wrong("jwks is no JWK Set", cure)
        # As text, so that nobody changes it from outside.
        object.__setattr__(self, "jwks", json.dumps(found))


@dataclass(frozen=True, kw_only=True)
class Issuer(_Keys):
    """One of several issuers whose tokens are accepted, with its keys: `layers.Jwt(issuers=[layers.Issuer(...), ...])`."""

    issuer: str | Sequence[str]
    """What its tokens have in `iss`, or may have."""
    secret: str | bytes | None = field(default=None, repr=False)
    """The shared key of HS256, HS384 and HS512."""
    public_key_pem: str | None = field(default=None, repr=False)
    """The public key of RS256, ES256 or EdDSA, as PEM text."""
    jwks: str | Mapping[str, Any] | Jwks | None = field(default=None, repr=False)
    """A JWK Set as text or as a dict, the `https` address of one, or `Jwks(...)`; tokens name a key of it by `kid`."""
    algorithms: Sequence[JwtAlgorithm] | None = None
    """What is accepted; left out, what is usual for each key."""
    audience: str | Sequence[str] | None = None
    """What `aud` has to contain one of."""

    def __post_init__(self) -> None:
        self._check_keys()
        if not self.issuer:
            raise self._wrong("issuer is empty", "give what its tokens have in iss")


@dataclass(frozen=True, kw_only=True)
class Jwt(Layer, _Keys):
    """Checks the bearer token of a request; handlers find its claims in `request.auth`.

    A bad token is a 401 on every route. A missing one is a 401 where `required`, and on routes with `auth=`. Where it is not
    `required`, one from a cookie that does not verify counts as missing.
    `exp` must be there and hold; `nbf`, `iss` and `aud` are checked as set. The algorithm is never taken from the token.
    """

    secret: str | bytes | None = field(default=None, repr=False)
    """The shared key of HS256, HS384 and HS512, at least as long as the hash: 32, 48 or 64 bytes."""
    public_key_pem: str | None = field(default=None, repr=False)
    """The public key of RS256, ES256 or EdDSA, as PEM text."""
    jwks: str | Mapping[str, Any] | Jwks | None = field(default=None, repr=False)
    """A JWK Set (RFC 7517) as text or as a dict, the `https` address of one, or `Jwks(...)`; tokens name a key of it by `kid`."""
    algorithms: Sequence[JwtAlgorithm] | None = None
    """What is accepted; left out, HS256 with `secret`, and the one of its kind of key with `public_key_pem` and `jwks`."""
    issuer: str | Sequence[str] | None = None
    """What `iss` has to be, or those that it may be."""
    audience: str | Sequence[str] | None = None
    """What `aud` has to contain one of. A token with an `aud` is refused when none is set."""
    issuers: Sequence[Issuer] | None = None
    """Issuers with keys of their own, in place of all of the above. The `iss` of a token says whose keys count."""
    sources: Sequence[FromHeader | FromCookie] | None = None
    """Where the token is looked for, the first that is there counts; left out, `FromHeader("authorization")`."""
    require: Sequence[Guard] = ()
    """What every token must have, as `[HasRole("staff")]` of `ziggurat.guards`; it is a 403 where it is missing."""
    max_token_bytes: int = 8192
    """Longer tokens are refused."""
    remember: int = 1024
    """About how many good tokens are remembered, so that their signatures are not checked again; 0 checks each time."""
    leeway: float = 30.0
    """Seconds by which clocks may differ."""
    required: bool = True
    """Whether a request without a token is refused on every route, rather than only on those with `auth=`."""

    def __post_init__(self) -> None:
        self._check_number("leeway", 0, 3600)
        self._check_bool("required")
        self._check_int("max_token_bytes", 1)
        self._check_int("remember", 0, 1_000_000)
        self._freeze_of("sources", FromHeader | FromCookie, 'FromHeader("authorization")', empty=False)
        self._freeze_of("require", Guard, 'HasScope("notes:read")')
        if any(isinstance(guard, Authenticated) for guard in self.require):
            raise self._wrong("require holds Authenticated()", "leave it out: who has a good token is")
        self._freeze_of("issuers", Issuer, "layers.Issuer(issuer=..., jwks=...)", empty=False)
        if self.issuers is None:
            self._check_keys()
        else:
            self._check_issuers(self.issuers)

    def _check_issuers(self, issuers: Iterable[Issuer]) -> None:
        for name in ("secret", "public_key_pem", "jwks", "algorithms", "issuer", "audience"):
            if getattr(self, name) is not None:
                raise self._wrong(f"both issuers and {name} given", f"give {name} to each of issuers")
        names = [
            name
            for issuer in issuers
            for name in ([issuer.issuer] if isinstance(issuer.issuer, str) else issuer.issuer)
        ]
        for name in names:
            if names.count(name) > 1:
                raise self._wrong(f"the issuer {name!r} is there twice", "give all of its keys to one Issuer")
