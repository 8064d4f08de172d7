"""Layers that tell of requests, and of who sent them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from . import _settings
from ._layer import Layer

Level = Literal["trace", "debug", "info", "warning", "error", "off"]
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(/(0|[1-9][0-9]{0,2}))?")
_COLLECTOR = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+)(?::[0-9]{1,5})?(?:/[!-\"$->@-~]*)?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORWARDED = ("x-forwarded-for", "forwarded")
_LEVELS = ("trace", "debug", "info", "warning", "error", "off")


@dataclass(frozen=True, kw_only=True)
class Trace(Layer):
    """Writes one log line for each answered request: method, matched path, status, latency, bytes, request id."""

    format: Literal["text", "json"] = "text"
    """`text` for people, `json` for one JSON object a line, the app's own lines among them."""
    level: Level = "info"
    """The least level that the program's log shows; requests are logged at `info`, 5xx answers at `error`."""

    def __post_init__(self) -> None:
        self._check_choice("format", ("text", "json"))
        self._check_choice("level", _LEVELS)


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


class _OfNetworks(Layer):
    """Layers that tell addresses apart."""

    def _check_network(self, source: str, text: str, of_all: str, instead: str) -> None:
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
            raise self._wrong(f"{holds}, {of_all}", instead)


@dataclass(frozen=True, kw_only=True)
class ClientIp(_OfNetworks):
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
            cure = "name the networks of your proxies, or say with hops how many there are"
            self._check_network(source, text, "so clients could name any address themselves", cure)


@dataclass(frozen=True, kw_only=True)
class Metrics(_OfNetworks):
    """Counts requests, and how long they take and where, and answers `GET /metrics` in the text format of Prometheus.

    Give it before what refuses requests, so that refusals are counted too. Each process counts for itself.
    """

    path: str | None = "/metrics"
    """The path that is answered. No route may have it. With `None` no path is, and a route of yours answers with what `render()` gives."""
    allow: Sequence[str] | None = None
    """Addresses and networks of those who are answered, as `10.0.0.7` or `10.0.0.0/8`, or `["*"]` for everybody; left out, this machine
    and private networks. Others are answered as if the layer were not there, and so is what a proxy has forwarded, unless a `ClientIp`
    before this layer trusts that."""
    buckets: Sequence[float] | None = None
    """The seconds at which buckets of durations end; left out, from half a millisecond to ten seconds."""

    def __post_init__(self) -> None:
        self._check_text("path")
        if self.path is not None and (not self.path.startswith("/") or set(self.path) & set("?#{}")):
            cure = "begin it with a slash and write it without parameters, as /metrics"
            raise self._wrong(f"{self.path!r} is no path", cure)
        self._freeze("allow", empty=False)
        if self.path is None and self.allow is not None:
            raise self._wrong(
                "allow is given, but there is no path", "leave allow out, and guard the route that answers"
            )
        if self.allow is not None and "*" in self.allow:
            if len(self.allow) > 1:
                raise self._wrong('allow holds "*" and others', "write it alone, or the others")
        else:
            for text in self.allow or ():
                self._check_network("allow", text, "so everybody could read them", 'write "*" for everybody')
        if self.buckets is not None:
            self._check_buckets(self.buckets)

    def to_spec(self) -> dict[str, Any]:
        # No path is not the same as none given.
        return super().to_spec() | {"path": self.path}

    def render(self) -> str:
        """What this process has counted so far, in the text format of Prometheus: `text/plain; version=0.0.4; charset=utf-8`.

        Each app counts for itself, so this object has to be that of one alone.
        """
        handles = self._built()
        if len(handles) > 1:
            raise RuntimeError(
                f"layers.Metrics: {len(handles)} layers were built of this object, and each counts for itself; give each app one of its own"
            )
        return handles[0].render()

    def _check_buckets(self, buckets: Sequence[float]) -> None:
        cure = "give seconds that grow, as 0.01, 0.1, 1"
        if isinstance(buckets, str) or not isinstance(buckets, Iterable):
            raise self._wrong(f"buckets must be a list of numbers, not {buckets!r}", cure)
        ends = tuple(buckets)
        if not 1 <= len(ends) <= 100:
            raise self._wrong(f"there are {len(ends)} buckets, and may be 1 to 100", cure)
        for end in ends:
            if isinstance(end, bool) or not isinstance(end, (int, float)) or not 1e-9 <= end <= 86_400:
                raise self._wrong(f"a bucket ends at {end!r}, which is not from a nanosecond to a day", cure)
        for before, after in pairwise(ends):
            if before >= after:
                raise self._wrong(f"the bucket {after} comes after {before}", cure)
        object.__setattr__(self, "buckets", ends)


@dataclass(frozen=True, kw_only=True)
class Otel(Layer):
    """Makes a span of each request and exports it to a collector over OTLP/HTTP, within the trace that the client names.

    `request.trace_context` has the headers that make requests of your own, and spans, a part of it. What is left out here is asked of
    OpenTelemetry's variables of the environment, as `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME`.
    """

    endpoint: str | None = None
    """The address of the collector, to which `/v1/traces` is added; left out and not in the environment, `http://localhost:4318`."""
    service_name: str | None = None
    """What this service is called."""
    sample: float = 1.0
    """Which share of the traces that begin here is exported, from 0 to 1. Those that others began are where these say so."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers that the collector asks for, as `{"x-api-key": "..."}`."""
    timeout: float = 10.0
    """For how many seconds an export waits for the collector. Requests wait for none."""
    trust_incoming: bool = True
    """Whether traces that clients name are gone on with, and exported where these say so. For apps that anybody may call, `False` begins
    new ones that link to them."""

    def __post_init__(self) -> None:
        self._check_text("endpoint", "service_name")
        if self.endpoint is not None and not _COLLECTOR.fullmatch(self.endpoint):
            cure = "write it as http://localhost:4318, without a query and the name of a user"
            # Not what may hold a key or a password.
            what = "the endpoint" if set(self.endpoint) & set("@?") else repr(self.endpoint)
            raise self._wrong(f"{what} is no address of a collector", cure)
        if self.service_name == "":
            raise self._wrong("the name of the service is empty", "name it, or leave it out")
        if isinstance(self.sample, bool) or not isinstance(self.sample, (int, float)) or not 0 <= self.sample <= 1:
            raise self._wrong(f"sample is {self.sample!r}", "give a share from 0 to 1, as 0.1")
        self._check_number("timeout", 0.001, 86_400)
        self._check_bool("trust_incoming")
        if not isinstance(self.headers, Mapping):
            raise self._wrong("headers must be a dict of strings", 'write it as {"x-api-key": "..."}')
        for name, value in self.headers.items():
            is_text = isinstance(name, str) and isinstance(value, str)
            if not is_text or not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
                raise self._wrong(f"{name!r} cannot be sent as a header", "correct its name and value")
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))
