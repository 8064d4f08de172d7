"""`ziggurat token`, `ziggurat api-key` and `ziggurat hash-password`: what callers show, and what is kept of it."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import hashlib
import os
import secrets
import sys
from typing import Any

from ._loop import new_event_loop
from .exceptions import ConfigError
from .security import hash_password, sign_token

__all__ = ["api_key", "hashed_password", "token"]


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


def hashed_password(_options: argparse.Namespace) -> int:
    """Makes what is kept of a password, as `layers.Basic` and `verify_password` take it."""
    password = _asked() if sys.stdin.isatty() else _piped()
    if not password:
        raise ConfigError("the password is empty", cure="type one, or give it to standard input")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(runner.run(hash_password(password)))
    return 0


def _asked() -> str:
    """What somebody types, who does not see it. The questions go to the terminal, so that the hash alone is standard output."""
    password = getpass.getpass("Password: ")
    if password and getpass.getpass("Once more: ") != password:
        raise ConfigError("the two passwords differ", cure="type the same one twice")
    return password


def _piped() -> str:
    """What standard input holds, without the end of its line."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise ConfigError("the password is no UTF-8", cure="give standard input as UTF-8") from None
    password = text.removesuffix("\n").removesuffix("\r")
    if "\n" in password or "\r" in password:
        raise ConfigError("standard input has several lines", cure="give it one password")
    return password
