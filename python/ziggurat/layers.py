"""The Rust layers that stand around every route, as settings.

Give them outermost first: `Ziggurat(layers=[layers.Trace(), layers.Compression(), layers.Jwt(secret=...)])`. Each runs in Rust
for native and Python routes alike. `CatchPanic`, `RequestId`, `Timeout` and `BodyLimit` are always there, outermost and
in this order, with `ClientIp`, `HealthCheck`, `Metrics`, `Otel`, `Trace` and `SecurityHeaders` among them where your list begins with these, and `BodyLimit` inside of a
`NormalizePath`; name one yourself to choose its settings and its place.

A setting that cannot be meant is refused here, when the object is made, with the line of your code.
"""

from __future__ import annotations

from ._layer import Layer
from ._layer_auth import ApiKey, Basic, FromQuery, Key, User
from ._layer_bodies import Cache, Compression, Decompression, Etag
from ._layer_browsers import Cors, Csrf, SecurityHeaders, SensitiveHeaders
from ._layer_health import HealthCheck
from ._layer_jwt import FromCookie, FromHeader, Issuer, Jwks, Jwt
from ._layer_limits import BodyLimit, CatchPanic, LoadShed, RateLimit, Timeout
from ._layer_places import Hosts, NormalizePath, Redirect, Static
from ._layer_python import Middleware
from ._layer_seen import ClientIp, Metrics, Otel, RequestId, Trace

__all__ = [
    "ApiKey",
    "Basic",
    "BodyLimit",
    "Cache",
    "CatchPanic",
    "ClientIp",
    "Compression",
    "Cors",
    "Csrf",
    "Decompression",
    "Etag",
    "FromCookie",
    "FromHeader",
    "FromQuery",
    "HealthCheck",
    "Hosts",
    "Issuer",
    "Jwks",
    "Jwt",
    "Key",
    "Layer",
    "LoadShed",
    "Metrics",
    "Middleware",
    "NormalizePath",
    "Otel",
    "RateLimit",
    "Redirect",
    "RequestId",
    "SecurityHeaders",
    "SensitiveHeaders",
    "Static",
    "Timeout",
    "Trace",
    "User",
]
