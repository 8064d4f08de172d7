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
