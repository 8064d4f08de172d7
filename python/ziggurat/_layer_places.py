"""Layers that lead requests to the right place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ._layer import Layer

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_PLACE = re.compile(r"(?:/(?![/\\])|https?://[0-9A-Za-z_\[])[!-\[\]-~]*")


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
