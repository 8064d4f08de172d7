"""`ziggurat token` and `ziggurat api-key`: what callers show, for trying out what asks for it."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from typing import Any

from .exceptions import ConfigError

__all__ = ["api_key", "token"]


def token(options: argparse.Namespace) -> int:
    """Makes an HS256 token."""
    secret = options.secret or os.environ.get("ZIGGURAT_JWT_SECRET", "")
    if len(secret.encode()) < 32:
        raise ConfigError("the secret has less than 32 bytes", cure="give the one of layers.Jwt with --secret")
    now = int(time.time())
    claims: dict[str, Any] = {"sub": options.sub, "iat": now, "exp": now + options.expires_in}
    if options.scope:
        claims["scope"] = " ".join(options.scope.replace(",", " ").split())
    if options.issuer:
        claims["iss"] = options.issuer
    if options.audience:
        claims["aud"] = options.audience

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
    print(f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}")
    return 0


def api_key(_options: argparse.Namespace) -> int:
    """Makes a key for `layers.ApiKey`."""
    key = secrets.token_urlsafe(32)
    print(f"key   {key}")
    print(f"hash  sha256:{hashlib.sha256(key.encode()).hexdigest()}")
    return 0
