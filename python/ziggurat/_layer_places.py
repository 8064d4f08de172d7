"""Layers that lead requests to the right place."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal

from ._layer import Layer

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_MOUNT = re.compile(r"/|(?:/[!-.0-~]+)+")
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


@dataclass(frozen=True, kw_only=True)
class Static(Layer):
    """Answers with files of a directory, and leaves what is no file to what stands inside of it.

    It goes before `NormalizePath` in the list, and before what asks who calls where anybody may have the files.
    """

    directory: str | os.PathLike[str]
    """The directory that holds the files; it has to be there when the app starts."""
    path: str = "/static"
    """The path below which the files are served; `/` for all paths, of which the routes answer what is no file."""
    index: str | None = "index.html"
    """The name of the file that directories are answered with; `None` for none."""
    fallback: str | None = None
    """The file, as `index.html`, that stands for pages which neither a file nor a route answers: of an app that has its routes in the browser."""
    precompressed: bool = False
    """Whether `app.js.br`, `app.js.zst` or `app.js.gz` is sent for `app.js`, where it is there and the client accepts it."""
    max_age: int | None = None
    """For how many seconds clients keep files without asking again; they ask each time when it is left out."""
    immutable: bool = False
    """Whether the files never change, as with names that hold a hash of the content; goes with `max_age`."""
    hidden: bool = False
    """Whether names that begin with a dot are served."""
    follow_symlinks: bool = False
    """Whether symbolic links are followed that lead out of the directory."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "directory", os.fspath(self.directory))
        except TypeError:
            raise self._wrong(f"directory is {self.directory!r}", "give a path") from None
        self._check_text("directory", "path", "index", "fallback")
        self._check_int("max_age", 0, 2**32 - 1)
        self._check_bool("precompressed", "immutable", "hidden", "follow_symlinks")
        if not os.path.exists(self.directory):
            raise self._wrong(f"directory {self.directory!r} does not exist", "make it, or name another one")
        if not os.path.isdir(self.directory):
            raise self._wrong(
                f"directory {self.directory!r} is no directory", "name the directory that holds the files"
            )
        if not _MOUNT.fullmatch(self.path) or set(self.path) & set("%?#{}\\"):
            cure = "begin it with a slash and end it without one, as /static"
            raise self._wrong(f"{self.path!r} is no path", cure)
        if self.index is not None and ("/" in self.index or not _is_within(self.index)):
            raise self._wrong(f"index {self.index!r} is no name of a file", "name a file, as index.html")
        if self.fallback is not None:
            cure = "name a file by its path within the directory, as index.html"
            if not _is_within(self.fallback):
                raise self._wrong(f"fallback {self.fallback!r} is no path within the directory", cure)
            if not os.path.isfile(os.path.join(self.directory, self.fallback)):
                raise self._wrong(f"fallback {self.fallback!r} is no file of the directory", cure)
        if self.immutable and self.max_age is None:
            cure = "say for how many seconds files are kept, as max_age=31536000"
            raise self._wrong("immutable is given without max_age", cure)

    def to_spec(self) -> dict[str, Any]:
        """As of every layer; but no index is told, as it is not the default."""
        return super().to_spec() | {"index": self.index}


def _is_within(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
