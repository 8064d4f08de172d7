"""Layers that change what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._layer import Layer

Coding = Literal["br", "zstd", "gzip", "deflate"]
_CODINGS = ("br", "zstd", "gzip", "deflate")


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
class Decompression(Layer):
    """Decompresses request bodies, and answers 413 to those that grow too much, 415 to other codings.

    A `BodyLimit` outside of it, as that which every app has, counts what is sent; `max_bytes` and a `BodyLimit` inside of it count what
    came out. The smaller limit counts, so where more may come, as by `BodyLimit(at=...)`, both have to be raised.
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
class Cache(Layer):
    """Answers by what was answered before, and asks once where many ask for the same. The memory is that of one process.

    Kept is what says so in `Cache-Control`. It goes after what compresses, and after what refuses requests, in the list; `layers=[layers.Cache(ttl=5)]` of a route
    is for that route. Answers to requests with cookies, `Authorization` or a known caller are kept, and sent, only where they say `public` or `s-maxage`.
    Python middleware inside of it is not asked for what was kept; a header by which that knows callers has to be in `vary`.
    A write has what is kept for its own path asked for again, and not what lists it: `PATCH /note/7` leaves `/note` as it is.
    """

    ttl: float | None = None
    """For how many seconds good answers are kept that say nothing of it themselves; they are not when it is left out."""
    max_bytes: int = 64 * 1024 * 1024
    """How many bytes all answers may take."""
    max_body_bytes: int = 1024 * 1024
    """How many bytes the body of an answer may have that is kept."""
    vary: Sequence[str] = ()
    """Headers of requests that tell answers apart, as `x-forwarded-host`: all that handlers look at and do not name in `Vary`."""
    client_control: bool = True
    """Whether clients may ask for what is fresh by `Cache-Control`, and so have each of their requests handed on."""

    def __post_init__(self) -> None:
        if self.ttl is not None:
            self._check_number("ttl", 0.001, 86400)
        self._check_int("max_body_bytes", 1)
        self._check_int("max_bytes", 1, 2**64 - 1)
        if self.max_bytes < self.max_body_bytes:
            cure = "give max_bytes several times max_body_bytes"
            raise self._wrong(f"max_bytes is {self.max_bytes}, and one body may have {self.max_body_bytes}", cure)
        self._freeze("vary")
        self._check_header("vary", self.vary)
        self._check_bool("client_control")

    def invalidate(self, path: str) -> None:
        """Has what is kept for `path` asked for again, with any query and of any host: what was written there by other ways than a request
        through this layer. What was asked for before and is still under way is not kept. It is for all apps of this process that were built
        with this object; other processes, as those of `workers`, keep what they have.
        """
        if not isinstance(path, str) or not path.startswith("/") or set(path) & set("?#"):
            raise ValueError(f"layers.Cache: {path!r} is no path; begin it with a slash, and leave a query out")
        for handle in self._built():
            handle.invalidate(path)

    def clear(self) -> None:
        """Forgets everything, as `invalidate` does for one path."""
        for handle in self._built():
            handle.clear()
