"""Layers that bound what a request may take."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ._layer import Layer

_POLICY = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_NAMESPACE = re.compile(r"[0-9A-Za-z_.:-]{1,128}")


@dataclass(frozen=True, kw_only=True)
class CatchPanic(Layer):
    """Turns a panic further in into a 500 problem document."""


@dataclass(frozen=True, kw_only=True)
class Timeout(Layer):
    """Answers 504 when what is further in takes longer, and cancels it; ends bodies that stand still.

    Bodies have no limits unless they are given: an event stream is silent as long as nothing happens, and a download lasts as long as
    its client takes. Give them around the routes for which they are right.
    """

    seconds: float = 60.0
    """How long it may take until the head of the answer is there."""
    body_idle: float | None = None
    """For how many seconds nothing may come of a body that is asked for: of the request, else it is a 408; of the answer, else its
    connection is closed. A client that is slow to read does not count."""
    total: float | None = None
    """How many seconds it may be from the head of the request to the end of the answer: 504, or the connection is closed."""

    def __post_init__(self) -> None:
        self._check_number("seconds", 0.001, 86_400)
        for field in ("body_idle", "total"):
            if getattr(self, field) is not None:
                self._check_number(field, 0.001, 86_400)


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
    at once when a period ends. Quotas are kept in the memory of a process, or in a `store` that several share.
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
    max_keys: int | None = None
    """About how many clients are remembered at once, at 32 bytes each; then those make way who have taken least. 100 000 when it is
    left out; a Redis server has its own limit of memory."""
    store: str | None = dataclasses.field(default=None, repr=False)
    """Where processes share their quotas: `"sqlite:///quotas.db"`, a file for those of one machine, or `"redis://host:6379/0"`, any server
    that speaks the protocol of Redis."""
    namespace: str | None = None
    """What tells apps apart that share a store; `"ziggurat"` when it is left out. Layers of one app count together when their policies
    and quotas are the same."""
    on_failure: Literal["allow", "refuse"] | None = None
    """What becomes of requests while the store does not answer: they are answered and not counted, which is the default, or are a 503."""
    store_timeout: float | None = None
    """How many seconds the store may take for a request; 0.25 when it is left out. One that took longer is left alone for a second."""
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
        self._check_store()
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

    def _check_store(self) -> None:
        self._check_text("store", "namespace")
        self._check_choice("on_failure", ("allow", "refuse"))
        if self.store_timeout is not None:
            self._check_number("store_timeout", 0.001, 86_400)
        if self.namespace is not None and not _NAMESPACE.fullmatch(self.namespace):
            what = f"namespace {self.namespace!r} is no name"
            raise self._wrong(what, "use 1 to 128 letters, digits, '-', '_', '.' and ':'")
        if self.store is None:
            for field in ("namespace", "on_failure", "store_timeout"):
                if getattr(self, field) is not None:
                    what = f"{field} is given without store"
                    raise self._wrong(what, "give the store that it is about, or leave it out")
        elif self.store.startswith("redis://"):
            if self.max_keys is not None:
                cure = "leave it out: a key goes when its time has passed; bound the memory there by maxmemory"
                raise self._wrong("max_keys is given, and store is a Redis server", cure)
        elif self.store.startswith("rediss://"):
            cure = "write redis://host:6379/0, with user:password@ before the host where these are asked for"
            raise self._wrong("the store cannot be spoken to over TLS", cure)
        elif not self.store.startswith("sqlite:///") or self.store == "sqlite:///":
            # Not what was given: there may be a password in it.
            raise self._wrong("store is no store of quotas", "write sqlite:///quotas.db, or redis://host:6379/0")
