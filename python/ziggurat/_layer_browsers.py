"""Layers that protect users of browsers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ._layer import Layer

FrameOptions = Literal["DENY", "SAMEORIGIN"]
ReferrerPolicy = Literal[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
]
OpenerPolicy = Literal["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"]
ResourcePolicy = Literal["same-origin", "same-site", "cross-origin"]
_ORIGIN = re.compile(r"(https?)://(?:\[[0-9a-f:.]+\]|[0-9a-z_-]+(?:\.[0-9a-z_-]+)*)(?::([1-9][0-9]{0,4}))?")


@dataclass(frozen=True, kw_only=True)
class Cors(Layer):
    """Lets pages of other origins call the service. The arguments are Starlette's."""

    allow_origins: Sequence[str] = ()
    """Origins as `https://example.org`, or `["*"]`."""
    allow_methods: Sequence[str] = ("GET",)
    """Methods, or `["*"]` for all that there are."""
    allow_headers: Sequence[str] = ()
    """Request headers, or `["*"]` for all that a page asks for."""
    allow_credentials: bool = False
    """Whether cookies and `Authorization` may be sent. Origins are named then, since every page could act as the user otherwise."""
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
            # Methods and headers are told by their names in any case.
            if self.allow_credentials and "*" in value and field in ("allow_origins", "expose_headers"):
                # A browser ignores the wildcard for requests with credentials (Fetch standard).
                raise self._wrong(f'{field}=["*"] cannot go with allow_credentials', "name them one by one")


@dataclass(frozen=True, kw_only=True)
class Csrf(Layer):
    """Answers 403 to requests other than GET, HEAD and OPTIONS that a browser sends for a page of another origin.

    By `Sec-Fetch-Site`, and by `Origin` where a browser does not send that; the rules are those of Go's
    `net/http.CrossOriginProtection`. There is no need of tokens in forms.
    """

    trusted_origins: Sequence[str] = ()
    """Origins whose pages may send anything, as `https://app.example.org`. `Cors` is asked besides."""
    exempt: Sequence[str] = ()
    """Paths where nothing is checked, as `/hooks/{name}`, for what others call without cookies."""

    def __post_init__(self) -> None:
        self._freeze("trusted_origins")
        self._freeze("exempt")
        for origin in self.trusted_origins:
            read = _ORIGIN.fullmatch(origin)
            if not read or read.groups() in (("http", "80"), ("https", "443")):
                raise self._wrong(
                    f"{origin!r} is not an origin as browsers send it",
                    "write scheme and host in small letters, and a port only where it is not the scheme's own,"
                    " as https://example.org",
                )
        for path in self.exempt:
            if not path.startswith("/"):
                raise self._wrong(
                    f"an exempt path {path!r}: it begins without a slash", 'write a path as "/hooks/{name}"'
                )


@dataclass(frozen=True, kw_only=True)
class SecurityHeaders(Layer):
    """Sets the headers by which browsers protect their users, on every answer that does not have them.

    The values are those of the OWASP Secure Headers Project, where they ask nothing of the application. None leaves one out.
    """

    hsts_seconds: int | None = None
    """For how many seconds browsers come over TLS only (RFC 6797), as 63072000. Only for what clients reach over TLS."""
    hsts_include_subdomains: bool = False
    """Whether that holds for all hosts below this one, too."""
    hsts_preload: bool = False
    """Whether browsers may keep the host in the lists that they come with. It is hard to get out of these again."""
    content_type_options: bool = True
    """Whether `X-Content-Type-Options: nosniff` is sent: data is never run as a script, because it looks like one."""
    frame_options: FrameOptions | None = "DENY"
    """`X-Frame-Options`: who may show a page in a frame."""
    referrer_policy: ReferrerPolicy | None = "no-referrer"
    """`Referrer-Policy`: what other sites are told of the page that led to them."""
    content_security_policy: str | None = None
    """`Content-Security-Policy`. For a service without pages: `default-src 'none'; frame-ancestors 'none'`."""
    permissions_policy: str | None = None
    """`Permissions-Policy`, as `camera=(), geolocation=(self)`."""
    cross_origin_opener_policy: OpenerPolicy | None = "same-origin"
    """`Cross-Origin-Opener-Policy`: which windows may reach into a page."""
    cross_origin_resource_policy: ResourcePolicy | None = "same-origin"
    """`Cross-Origin-Resource-Policy`: which pages may embed an answer. `Cors` allows more for itself."""

    def __post_init__(self) -> None:
        self._check_int("hsts_seconds", 0)
        self._check_bool("hsts_include_subdomains", "hsts_preload", "content_type_options")
        self._check_choice("frame_options", get_args(FrameOptions))
        self._check_choice("referrer_policy", get_args(ReferrerPolicy))
        self._check_choice("cross_origin_opener_policy", get_args(OpenerPolicy))
        self._check_choice("cross_origin_resource_policy", get_args(ResourcePolicy))
        self._check_text("content_security_policy", "permissions_policy")
        for field in ("hsts_include_subdomains", "hsts_preload"):
            if self.hsts_seconds is None and getattr(self, field):
                raise self._wrong(
                    f"{field} is given without hsts_seconds", "give hsts_seconds, as 63072000 for two years"
                )
        if self.hsts_preload and (not self.hsts_include_subdomains or (self.hsts_seconds or 0) < 31_536_000):
            raise self._wrong(
                "preload is for hosts with all below them, for a year at least",
                "include the subdomains and give a max-age from 31536000 seconds, or leave preload out",
            )
        for field, header in (
            ("content_security_policy", "Content-Security-Policy"),
            ("permissions_policy", "Permissions-Policy"),
        ):
            value = getattr(self, field)
            if value is not None and not (value.strip(" ") and re.fullmatch(r"[ -~]+", value)):
                raise self._wrong(
                    f"{value!r} cannot be sent as {header}", "write it in one line of ASCII, or leave the header out"
                )

    def to_spec(self) -> dict[str, Any]:
        """As of every layer; but what is None is told, as it is not the default."""
        return {"type": self.name} | {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclass(frozen=True, kw_only=True)
class SensitiveHeaders(Layer):
    """Keeps the values of these headers out of logs."""

    headers: Sequence[str] = ("authorization", "cookie", "set-cookie", "proxy-authorization")
    """Header names."""

    def __post_init__(self) -> None:
        self._freeze("headers", empty=False)
        self._check_header("headers", self.headers)
