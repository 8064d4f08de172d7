"""Tokens that `layers.Jwt` verifies, and hashes of passwords that `layers.Basic` knows: for apps that sign their users in themselves. And
dependencies that read a credential which only the app can check.

See the guide, *Signing users in*.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from . import _ziggurat
from ._layer_jwt import JwtAlgorithm
from ._security_schemes import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
)
from .exceptions import ConfigError

__all__ = [
    "APIKeyCookie",
    "APIKeyHeader",
    "APIKeyQuery",
    "HTTPAuthorizationCredentials",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "OAuth2PasswordBearer",
    "OAuth2PasswordRequestForm",
    "hash_password",
    "needs_rehash",
    "sign_token",
    "verify_password",
]

_TIMES = ("exp", "nbf", "iat")


def sign_token(
    claims: Mapping[str, Any],
    key: str | bytes,
    *,
    expires_in: float | timedelta | None = None,
    algorithm: JwtAlgorithm | None = None,
    kid: str | None = None,
) -> str:
    """A JSON Web Token (RFC 7519) that says `claims`, as `layers.Jwt` verifies them.

    - `key` is the secret of `layers.Jwt(secret=...)`, or the private half of its `public_key_pem=`, or of a key of its `jwks=`, as PEM text
      (PKCS#8). A key is made by `openssl genpkey -algorithm ed25519`, and its public half is what `openssl pkey -pubout` prints of it.
    - `expires_in` is for how long the token holds, in seconds or as a `timedelta`: `iat` and `exp` say so. Left out, `exp` must be among
      the claims, since no token holds for ever.
    - `algorithm` is that of the kind of key unless given: HS256, RS256, ES256 or EdDSA.
    - `kid` names the key, for a `jwks=` with several.
    - Of the claims `exp`, `nbf` and `iat` may be a `datetime`, which has a time zone. Other values are what handlers return: UUIDs, dates, models.
      Nothing is encrypted: whoever has the token reads them.

    Raises `ConfigError` where the key cannot be used, and `TypeError` or `ValueError` where claims are none that would be accepted.
    """
    if not isinstance(claims, Mapping):
        raise TypeError(f"claims are a dict, not {type(claims).__name__}")
    if not isinstance(key, (str, bytes)):
        raise TypeError(f"a key is a secret or PEM text, not {type(key).__name__}")
    if algorithm is not None and algorithm not in get_args(JwtAlgorithm):
        # `none` among them.
        raise ConfigError(
            f"no token is signed by {algorithm!r}",
            cure=f"choose among {', '.join(get_args(JwtAlgorithm))}, or leave it out",
        )
    seconds = _seconds(expires_in)
    if seconds is not None and "exp" in claims:
        raise ValueError("both exp and expires_in given; give one of them")
    said = {name: _time(name, value) if name in _TIMES else value for name, value in claims.items()}
    text = key.encode() if isinstance(key, str) else key
    return _ziggurat.sign_token(_ziggurat.encode_json(said), text, algorithm, seconds, kid)


async def hash_password(password: str) -> str:
    """What is kept of a password: its argon2id hash as a PHC string, with a salt of its own, 19 MiB and two passes, as OWASP recommends.

    It takes tens of milliseconds on purpose, on a thread of the runtime and not on the loop; as many at a time as there are processors, eight at most,
    and others wait for their turn. `layers.User(hash=...)` takes what comes of it.

    Raises `ValueError` for one of more than 1024 bytes, which are those of UTF-8.
    """
    _check_text("a password", password)
    return await _ziggurat.hash_password(password)


async def verify_password(password: str, hashed: str | None) -> bool:
    """Whether `hashed` was made of this password, as `hash_password` does or another library that makes argon2id hashes.

    Without a hash, as there is no such user, it is `False` after as long a time, so that nobody finds out who has an account: look for the
    user, and verify in any case.

    Raises `ValueError` where `hashed` is no argon2id hash.
    """
    _check_text("a password", password)
    if hashed is not None:
        _check_text("a hash", hashed)
    return await _ziggurat.verify_password(password, hashed)


def needs_rehash(hashed: str) -> bool:
    """Whether a hash is weaker than what `hash_password` makes, or made by something else than argon2id. Once its password was verified,
    keep a new hash of it.
    """
    _check_text("a hash", hashed)
    return _ziggurat.needs_rehash(hashed)


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        # Not the value, which may be a password.
        raise TypeError(f"{what} is a string, not {type(value).__name__}")


def _seconds(expires_in: float | timedelta | None) -> float | None:
    if expires_in is None:
        return None
    seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"expires_in is a number of seconds or a timedelta, not {type(expires_in).__name__}")
    # A hundred years; what is no number is not less.
    if not 0 < seconds < 3_155_760_000:
        raise ValueError(f"expires_in must be more than 0 seconds and less than a hundred years, not {expires_in}")
    return float(seconds)


def _time(name: str, value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"the claim {name} has no time zone; write datetime.now(UTC)")
    return int(value.timestamp())


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> Any:
        from ._elsewhere import unknown

        raise unknown(__name__, name)
