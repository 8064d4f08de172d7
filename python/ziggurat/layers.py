"""The Rust layers that stand around every route, as settings.

Give them outermost first: `Ziggurat(layers=[layers.Trace(), layers.Compression(), layers.Jwt(secret=...)])`. Each runs in Rust
for native and Python routes alike. `CatchPanic`, `RequestId`, `Timeout` and `BodyLimit` are always there, outermost and
in this order, with a `Trace` that comes first in your list among them; name one yourself to choose its settings and its
place.

A setting that cannot be meant is refused here, when the object is made, with the line of your code.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ._layer import Layer
from ._layer_auth import ApiKey, Basic, FromQuery, Key, User
from ._layer_jwt import FromCookie, FromHeader, Issuer, Jwks, Jwt

__all__ = [
    "ApiKey",
    "Basic",
    "BodyLimit",
    "CatchPanic",
    "Compression",
    "Cors",
    "FromCookie",
    "FromHeader",
    "FromQuery",
    "Hosts",
    "Issuer",
    "Jwks",
    "Jwt",
    "Key",
    "Layer",
    "RequestId",
    "SensitiveHeaders",
    "Timeout",
    "Trace",
    "User",
]

Coding = Literal["br", "zstd", "gzip", "deflate"]
Level = Literal["trace", "debug", "info", "warning", "error", "off"]

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_CODINGS = ("br", "zstd", "gzip", "deflate")
_LEVELS = ("trace", "debug", "info", "warning", "error", "off")


@dataclass(frozen=True, kw_only=True)
class Trace(Layer):
    """Writes one log line for each answered request: method, matched path, status, latency, bytes, request id."""

    format: Literal["text", "json"] = "text"
    """`text` for people, `json` for one JSON object a line."""
    level: Level = "info"
    """The least level that the program's log shows; requests are logged at `info`, 5xx answers at `error`."""

    def __post_init__(self) -> None:
        self._check_choice("format", ("text", "json"))
        self._check_choice("level", _LEVELS)


@dataclass(frozen=True, kw_only=True)
class Compression(Layer):
    """Compresses answers for clients that accept it, and flushes each chunk of an event stream.

    Lengths tell: do not compress answers that hold a secret beside text of an attacker's choice (BREACH).
    """

    algorithms: Sequence[Coding] = ("br", "zstd", "gzip", "deflate")
    """Codings on offer, the preferred first."""
    min_size: int = 512
    """Bodies known to be smaller than this many bytes are left alone."""
    level: int | None = None
    """From 1, fastest, to 9, smallest; each coding's own default for serving when left out."""

    def __post_init__(self) -> None:
        self._freeze("algorithms", allowed=_CODINGS, empty=False)
        self._check_int("min_size", 0)
        self._check_int("level", 1, 9)


@dataclass(frozen=True, kw_only=True)
class CatchPanic(Layer):
    """Turns a panic further in into a 500 problem document."""


@dataclass(frozen=True, kw_only=True)
class RequestId(Layer):
    """Gives each request an id, seen in the log, in `request.request_id` and in the answer."""

    header: str = "x-request-id"
    """The header that carries it."""
    trust_incoming: bool = False
    """Whether an id sent by the client is kept; for services behind a proxy that sets it."""

    def __post_init__(self) -> None:
        self._check_text("header")
        self._check_header("header", [self.header])
        self._check_bool("trust_incoming")


@dataclass(frozen=True, kw_only=True)
class Timeout(Layer):
    """Answers 504 when what is further in takes longer, and cancels it."""

    seconds: float = 60.0
    """How long it may take until the head of the answer is there."""

    def __post_init__(self) -> None:
        self._check_number("seconds", 0.001, 86_400)


@dataclass(frozen=True, kw_only=True)
class Cors(Layer):
    """Lets pages of other origins call the service. The arguments are Starlette's."""

    allow_origins: Sequence[str] = ()
    """Origins as `https://example.org`, or `["*"]`."""
    allow_methods: Sequence[str] = ("GET",)
    """Methods, or `["*"]`."""
    allow_headers: Sequence[str] = ()
    """Request headers, or `["*"]`."""
    allow_credentials: bool = False
    """Whether cookies and `Authorization` may be sent."""
    allow_origin_regex: str | None = None
    """A pattern that the whole origin has to match."""
    expose_headers: Sequence[str] = ()
    """Answer headers that the page may read."""
    max_age: int = 600
    """Seconds for which a browser keeps a preflight answer."""

    def __post_init__(self) -> None:
        for field in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
            self._freeze(field)
        self._check_bool("allow_credentials")
        self._check_text("allow_origin_regex")
        self._check_int("max_age", 0)
        if not self.allow_origins and self.allow_origin_regex is None:
            raise self._wrong("no origin is allowed", "give allow_origins= or allow_origin_regex=")
        for origin in self.allow_origins:
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", origin):
                raise self._wrong(f"{origin!r} is not an origin", "write scheme and host, as https://example.org")
        self._check_header("allow_headers", (h for h in self.allow_headers if h != "*"))
        self._check_header("expose_headers", (h for h in self.expose_headers if h != "*"))
        self._check_header("allow_methods", (m for m in self.allow_methods if m != "*"))
        for field in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
            value = getattr(self, field)
            if "*" in value and len(value) > 1:
                raise self._wrong(f'{field} names "*" and others', 'write ["*"] or the others')
            if self.allow_credentials and "*" in value:
                # A browser ignores the wildcard for requests with credentials (Fetch standard).
                raise self._wrong(f'{field}=["*"] cannot go with allow_credentials', "name them one by one")


@dataclass(frozen=True, kw_only=True)
class Hosts(Layer):
    """Answers 421 to a request that is meant for another host than these, and 400 to one that does not say one host."""

    names: Sequence[str]
    """Hosts without scheme, port and path: `example.org`, `*.example.org` for all below it, `10.0.0.7`, `[::1]`."""

    def __post_init__(self) -> None:
        self._freeze("names", empty=False)
        for name in self.names:
            if not _HOST.fullmatch(name):
                cure = "write it without scheme, port and path, as example.org, *.example.org, 10.0.0.7 or [::1]"
                raise self._wrong(f"names holds {name!r}, which is no host", cure)


@dataclass(frozen=True, kw_only=True)
class BodyLimit(Layer):
    """Answers 413 to a request whose body is larger."""

    max_bytes: int = 1024 * 1024
    """The most bytes a body may have."""
    at: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """The most bytes at these paths, as `{"/files/{id}": 50_000_000}`."""

    def __post_init__(self) -> None:
        self._check_int("max_bytes", 1)
        for path, most in self.at.items():
            if isinstance(most, bool) or not isinstance(most, int) or most < 1:
                raise self._wrong(f"at {path!r} is {most!r}", "give a whole number of bytes from 1")
            if not path.startswith("/"):
                raise self._wrong(f"at {path!r} is no path", "begin it with a slash")
        object.__setattr__(self, "at", MappingProxyType(dict(self.at)))


@dataclass(frozen=True, kw_only=True)
class SensitiveHeaders(Layer):
    """Keeps the values of these headers out of logs."""

    headers: Sequence[str] = ("authorization", "cookie", "set-cookie", "proxy-authorization")
    """Header names."""

    def __post_init__(self) -> None:
        self._freeze("headers", empty=False)
        self._check_header("headers", self.headers)
