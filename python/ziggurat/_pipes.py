"""Pipe transports: the interpreter's own classes with their hot paths in Rust."""

from __future__ import annotations

import warnings
from asyncio import unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat
from ziggurat._native import NativeHalf, native

if TYPE_CHECKING:
    import asyncio

__all__ = ["ReadPipeTransport", "WritePipeTransport"]


class PipeOwner(NativeHalf):
    """What the transports over pipes have in common."""

    if TYPE_CHECKING:
        _pipe: Any

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        # An end may be followed by another one, such as `abort()`.
        if self._pipe is not None:
            super()._call_connection_lost(exc)

    def __del__(self, _warn: Any = warnings.warn) -> None:
        # Not there when the pipe was refused before there was anything.
        if getattr(self, "_pipe", None) is not None:
            self._let_go()
            super().__del__(_warn)  # type: ignore[misc]


class ReadPipeTransport(PipeOwner, unix_events._UnixReadPipeTransport):  # type: ignore[name-defined,misc]
    """The end of a pipe to read from."""

    _core: _ziggurat.PipeReader
    _paused: bool

    def __init__(
        self,
        loop: Any,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self._core = core = _ziggurat.PipeReader(loop, pipe.fileno())
        # Refuses what is no pipe.
        super().__init__(loop, pipe, protocol, waiter, extra)
        core.open(self)
        core.set_protocol(protocol)

    def _add_reader(self, fd: int, callback: Any) -> None:
        if self.is_reading():
            self._core.start_reading()

    def resume_reading(self) -> None:
        if self._closing or not self._paused:
            return
        self._paused = False
        self._core.start_reading()
        if self._loop.get_debug():
            logger.debug("%r resumes reading", self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        super().set_protocol(protocol)
        self._core.set_protocol(protocol)

    def _end_of_pipe(self) -> None:
        """Called when nobody can write any longer."""
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._closing = True
        self._loop._remove_reader(self._fileno)
        self._loop.call_soon(self._protocol.eof_received)
        self._loop.call_soon(self._call_connection_lost, None)


class WritePipeTransport(PipeOwner, unix_events._UnixWritePipeTransport):  # type: ignore[name-defined,misc]
    """The end of a pipe to write to."""

    _core: _ziggurat.PipeWriter

    def __init__(
        self,
        loop: Any,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self._core = core = _ziggurat.PipeWriter(loop, pipe.fileno())
        # Refuses what is no pipe. In the next turn it watches for the other end to hang up.
        super().__init__(loop, pipe, protocol, waiter, extra)
        core.open(self)
        # Straight into the native half, past this class.
        self.write = core.write  # type: ignore[method-assign]

    # What both halves look at.

    _conn_lost = native("conn_lost")
    _closing = native("closing")
    # The base class asks whether its buffer is empty, and clears it; what it would put there is the native half itself.
    _buffer = property(lambda self: self._core, lambda self, buffer: None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._core.write(data)

    def get_write_buffer_size(self) -> int:
        return self._core.queued()

    def _all_written(self) -> None:
        """Called when the last of what was written is out, after the transport was told to end."""
        self._loop._remove_reader(self._fileno)
        self._loop.call_soon(self._call_connection_lost, None)
