"""The Rust layers that stand around every route, as settings.

Give them outermost first: `Ziggurat(layers=[layers.Trace(), layers.Compression(), layers.Jwt(secret=...)])`. Each runs in Rust
for native and Python routes alike. `CatchPanic`, `RequestId`, `Timeout` and `BodyLimit` are always there, outermost and
in this order, with `ClientIp`, `Trace`, `SecurityHeaders` and `HealthCheck` among them where your list begins with these, and `BodyLimit` inside of a
`NormalizePath`; name one yourself to choose its settings and its place.

A setting that cannot be meant is refused here, when the object is made, with the line of your code.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from . import _settings
from ._layer import Layer
from ._layer_auth import ApiKey, Basic, FromQuery, Key, User
from ._layer_jwt import FromCookie, FromHeader, Issuer, Jwks, Jwt

__all__ = [
    "ApiKey",
    "Basic",
    "BodyLimit",
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
    "NormalizePath",
    "RateLimit",
    "Redirect",
    "RequestId",
    "SecurityHeaders",
    "SensitiveHeaders",
    "Timeout",
    "Trace",
    "User",
]

Coding = Literal["br", "zstd", "gzip", "deflate"]
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
Level = Literal["trace", "debug", "info", "warning", "error", "off"]

_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(/(0|[1-9][0-9]{0,2}))?")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_ORIGIN = re.compile(r"(https?)://(?:\[[0-9a-f:.]+\]|[0-9a-z_-]+(?:\.[0-9a-z_-]+)*)(?::([1-9][0-9]{0,4}))?")
_PLACE = re.compile(r"(?:/(?![/\\])|https?://[0-9A-Za-z_\[])[!-\[\]-~]*")
_FORWARDED = ("x-forwarded-for", "forwarded")
_POLICY = re.compile(r"[0-9A-Za-z_.-]{1,64}")
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
class Etag(Layer):
    """Gives answers to GET an entity tag, and answers 304 without a body to clients that have them already.

    It goes after `Compression` in the list. What is saved is what would be sent: handlers are called as before.
    """

    weak: bool = False
    """Whether tags are weak, for programs on the way that change bytes and drop strong tags then."""
    max_bytes: int = 1024 * 1024
    """Longer bodies get no tag."""

    def __post_init__(self) -> None:
        self._check_bool("weak")
        self._check_int("max_bytes", 0)


@dataclass(frozen=True, kw_only=True)
class Decompression(Layer):
    """Decompresses request bodies, and answers 413 to those that grow too much, 415 to other codings.

    A `BodyLimit` outside of it counts what is sent, one inside what came out; in both places the smaller limit counts.
    """

    algorithms: Sequence[Coding] = ("br", "zstd", "gzip", "deflate")
    """Codings that clients may send."""
    max_bytes: int = 1024 * 1024
    """The most bytes that a body may have, before and after it is decompressed."""
    max_ratio: int = 200
    """How many times the bytes that were sent a body may have, where these are more than 64 KiB."""

    def __post_init__(self) -> None:
        self._freeze("algorithms", allowed=_CODINGS, empty=False)
        self._check_int("max_bytes", 1)
        self._check_int("max_ratio", 1, 2**32 - 1)


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
class ClientIp(Layer):
    """Finds the address of the client behind proxies, for `request.client`, the access log and `RateLimit`.

    Put it before `Trace`. Without `trusted` and `hops` nobody is believed: the client is the other end of the connection,
    whatever the headers say.
    """

    trusted: Sequence[str] | None = None
    """Addresses and networks of your proxies, as `10.0.0.7` or `10.0.0.0/8`; left out, what `ZIGGURAT_TRUSTED_PROXIES` lists
    between commas. The client is the first address in the header, from the right, that is not among them."""
    hops: int = 0
    """How many proxies stand before this server, where they have no fixed addresses. Who comes past them can name any address."""
    header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    """The header that the proxies write; `forwarded` is that of RFC 7239. The other one is not looked at."""

    def __post_init__(self) -> None:
        source = "ZIGGURAT_TRUSTED_PROXIES" if self.trusted is None else "trusted"
        trusted = _settings.setting("trusted_proxies", self.trusted, _settings.addresses, ())
        object.__setattr__(self, "trusted", trusted)
        self._freeze("trusted")
        self._check_int("hops", 0, 32)
        self._check_choice("header", _FORWARDED)
        for text in self.trusted or ():
            self._check_network(source, text)

    def _check_network(self, source: str, text: str) -> None:
        holds = f"{source} holds {text!r}"
        try:
            network = ipaddress.ip_network(text if _NETWORK.fullmatch(text) else "", strict=False)
        except ValueError:
            cure = "write an address as 10.0.0.7 or ::1, or a network as 10.0.0.0/8 or 2001:db8::/32"
            raise self._wrong(f"{holds}, which is no network", cure) from None
        address = text.partition("/")[0]
        if network.network_address != ipaddress.ip_address(address):
            cure = f"write {network} for the network, {address} for the one address"
            raise self._wrong(f"{holds}, which has bits beyond its prefix", cure)
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if network.prefixlen == 0 or (mapped is not None and network.prefixlen == 96):
            cure = "name the networks of your proxies, or say with hops how many there are"
            raise self._wrong(f"{holds}, so clients could name any address themselves", cure)


@dataclass(frozen=True, kw_only=True)
class Timeout(Layer):
    """Answers 504 when what is further in takes longer, and cancels it."""

    seconds: float = 60.0
    """How long it may take until the head of the answer is there."""

    def __post_init__(self) -> None:
        self._check_number("seconds", 0.001, 86_400)


@dataclass(frozen=True, kw_only=True)
class LoadShed(Layer):
    """Answers 503 with `Retry-After` while too many requests are under way, each until its answer has been sent.

    Event streams count as long as they last. Each worker process counts for itself.
    """

    max_concurrent: int
    """How many requests may be under way at a time."""
    queue: int = 0
    """How many more may wait for their turn."""
    wait: float = 1.0
    """For how many seconds these wait at most."""

    def __post_init__(self) -> None:
        self._check_int("max_concurrent", 1, 1_000_000)
        self._check_int("queue", 0, 1_000_000)
        self._check_number("wait", 0.001, 86_400)


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
class HealthCheck(Layer):
    """Answers load balancers that ask whether the app is alive, which it is from its start to its stop.

    Nothing further in sees these requests, neither checks of hosts and tokens nor limits: let it come first in the list.
    """

    paths: Sequence[str] = ("/healthz", "/readyz")
    """The paths that are answered to GET and HEAD. No route may have one of them."""

    def __post_init__(self) -> None:
        self._freeze("paths", empty=False)
        for path in self.paths:
            if not path.startswith("/") or set(path) & set("?#{}"):
                raise self._wrong(
                    f"{path!r} is no path", "begin it with a slash and write it without parameters, as /healthz"
                )


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
class NormalizePath(Layer):
    """Answers `/users/` as `/users`, or sends clients there. No route may end with a slash then."""

    redirect: bool = False
    """Whether clients are sent to the path without the slash by a 308, so that there is one address only."""

    def __post_init__(self) -> None:
        self._check_bool("redirect")


@dataclass(frozen=True, kw_only=True)
class Redirect(Layer):
    """Sends clients to where they should have asked. Only hosts that are named here are led to."""

    https: Sequence[str] = ()
    """Hosts that are reached over TLS only. A proxy that ends TLS has to tell of it in `X-Forwarded-Proto`."""
    hosts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Hosts and the one that each leads to, as `{"www.example.org": "example.org"}`."""
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Paths and where each leads to, as `{"/old": "/new", "/blog": "https://blog.example.org/"}`."""
    status: Literal[301, 302, 307, 308] = 308
    """308 and 301 are kept by clients, 307 and 302 are not; 308 and 307 keep the method."""

    def __post_init__(self) -> None:
        self._freeze("https")
        for field in ("hosts", "paths"):
            pairs = getattr(self, field)
            if not isinstance(pairs, Mapping) or not all(
                isinstance(text, str) for pair in pairs.items() for text in pair
            ):
                raise self._wrong(f"{field} must be a dict of strings", 'write it as {"from": "to"}')
            object.__setattr__(self, field, MappingProxyType(dict(pairs)))
        if not (self.https or self.hosts or self.paths):
            raise self._wrong("nothing is redirected", "give https, hosts or paths")
        if self.status not in (301, 302, 307, 308) or isinstance(self.status, bool):
            raise self._wrong(f"status is {self.status!r}", "give 308 or 307, or 301 or 302 for old clients")
        for host in (*self.https, *self.hosts, *self.hosts.values()):
            if host.startswith("*") or not _HOST.fullmatch(host):
                raise self._wrong(f"{host!r} is no host", "write it without scheme, port and path, as example.org")
        for path, place in self.paths.items():
            if not path.startswith("/") or set(path) & set("?#"):
                raise self._wrong(f"{path!r} is no path", "begin it with a slash, as /old")
            if not _PLACE.fullmatch(place):
                cure = "write a path that begins with one slash, or a whole address, as https://example.org/new"
                raise self._wrong(f"{place!r} is no place to go", cure)


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
class RateLimit(Layer):
    """Answers 429, with `Retry-After`, to a client whose quota of requests is used up.

    Clients are told apart by their address: behind a proxy put `ClientIp` before it. Requests come back one by one, not all
    at once when a period ends. Quotas are kept in the memory of a process.
    """

    limit: int
    """How many requests are answered in each period."""
    period: float = 60.0
    """How many seconds that is."""
    burst: int | None = None
    """How many are answered at once; left out, as many as `limit`."""
    by_header: str | None = None
    """Counts by the value of this header instead of the address. Who can write what it likes there has as many quotas as it likes."""
    by_claim: str | None = None
    """Counts by this claim of the token that a `Jwt` before this layer has checked, as `"sub"` or `"realm.tenant"`; requests
    without it by their address."""
    by_route: bool = False
    """Whether there is a quota for each route; what no route answers has one together."""
    ipv6_prefix: int = 64
    """How many bits of an IPv6 address count: a site has at least the rest to choose from."""
    without_key: Literal["share", "allow"] = "share"
    """What becomes of requests without the header, or whose address is not known: they share one quota, or are not counted."""
    max_keys: int = 100_000
    """About how many clients are remembered at once, at 32 bytes each; then those make way who have taken least."""
    headers: bool = True
    """Whether answers tell of the quota in `RateLimit` and `RateLimit-Policy`."""
    policy: str = "default"
    """What it is called there, so that several quotas can be told apart."""

    def __post_init__(self) -> None:
        self._check_int("limit", 1, 2**32 - 1)
        self._check_number("period", 0.001, 86_400)
        self._check_int("burst", 1, 2**32 - 1)
        self._check_text("by_header", "by_claim", "policy")
        self._check_bool("by_route", "headers")
        self._check_int("ipv6_prefix", 1, 128)
        self._check_choice("without_key", ("share", "allow"))
        self._check_int("max_keys", 1, 100_000_000)
        if self.by_header is not None:
            self._check_header("by_header", [self.by_header])
            if self.by_claim is not None:
                raise self._wrong("both by_header and by_claim are given", "give one, or two layers with a policy each")
        if self.limit > self.period * 1e9:
            cure = "give a nanosecond for each request at least, and 366 days at most"
            raise self._wrong(f"period is {self.period}, for {self.limit} requests", cure)
        if self.burst is not None and self.burst * self.period / self.limit > 366 * 86_400:
            what = f"burst is {self.burst}, which takes more than 366 days to come back"
            raise self._wrong(what, "give a smaller burst, or a higher limit")
        if not _POLICY.fullmatch(self.policy):
            raise self._wrong(f"policy {self.policy!r} is no name", "use 1 to 64 letters, digits, '-', '_' and '.'")


@dataclass(frozen=True, kw_only=True)
class SensitiveHeaders(Layer):
    """Keeps the values of these headers out of logs."""

    headers: Sequence[str] = ("authorization", "cookie", "set-cookie", "proxy-authorization")
    """Header names."""

    def __post_init__(self) -> None:
        self._freeze("headers", empty=False)
        self._check_header("headers", self.headers)
