"""`ziggurat token` and `ziggurat api-key`: what callers show, for trying out what asks for it."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
from typing import Any

from .exceptions import ConfigError
from .security import sign_token

__all__ = ["api_key", "token"]


def token(options: argparse.Namespace) -> int:
    """Makes an HS256 token."""
    secret = options.secret or os.environ.get("ZIGGURAT_JWT_SECRET", "")
    if len(secret.encode()) < 32:
        raise ConfigError("the secret has less than 32 bytes", cure="give the one of layers.Jwt with --secret")
    if options.expires_in <= 0:
        raise ConfigError(
            f"a token cannot hold for {options.expires_in} seconds", cure="give more than 0 with --expires-in"
        )
    claims: dict[str, Any] = {"sub": options.sub}
    if options.scope:
        claims["scope"] = " ".join(options.scope.replace(",", " ").split())
    if options.issuer:
        claims["iss"] = options.issuer
    if options.audience:
        claims["aud"] = options.audience
    print(sign_token(claims, secret, expires_in=options.expires_in))
    return 0


def api_key(_options: argparse.Namespace) -> int:
    """Makes a key for `layers.ApiKey`."""
    key = secrets.token_urlsafe(32)
    print(f"key   {key}")
    print(f"hash  sha256:{hashlib.sha256(key.encode()).hexdigest()}")
    return 0
