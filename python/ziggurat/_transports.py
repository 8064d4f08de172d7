"""Transports over sockets: the interpreter's own classes with their hot paths in Rust."""

from __future__ import annotations

import socket
import warnings
from asyncio import protocols, selector_events, sslproto
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat
from ziggurat._native import NativeHalf, native
from ziggurat._tls import TlsProtocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["SocketOwner", "StreamTransport"]


class SocketOwner(NativeHalf):
    """What the transports over sockets have in common."""

    if TYPE_CHECKING:
        _sock: Any
        is_reading: Any

    _holds_socket = False

    def _hold_socket(self) -> None:
        # Whoever closes the socket behind our back closes it when we have let go of its number, and not before.
        self._sock._io_refs += 1
        self._holds_socket = True

    def _let_go(self) -> None:
        super()._let_go()
        if self._holds_socket and self._sock is not None:
            self._holds_socket = False
            self._sock._decref_socketios()

    def _add_reader(self, fd: int, callback: Any, *args: Any) -> None:
        if self.is_reading():
            self._core.start_reading()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._sock is not None:
            self._let_go()
        super().__del__(_warn)  # type: ignore[misc]


class StreamTransport(SocketOwner, selector_events._SelectorSocketTransport):  # type: ignore[name-defined,misc]
    """TCP and Unix sockets."""

    _core: _ziggurat.StreamCore

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        self._core = core = _ziggurat.StreamCore(loop, sock.fileno())
        core.open(self)
        super().__init__(loop, sock, protocol, waiter, extra, server)
        self._hold_socket()
        # Never called here, and a bound method would close a cycle: a transport that nobody closed says so at once.
        self._write_ready = None
        # Straight into the native half, past this class.
        self.write = core.write  # type: ignore[method-assign]

    # What both halves look at.

    _conn_lost = native("conn_lost")
    _closing = native("closing")
    _eof = native("eof")
    _empty_waiter = native("empty_waiter")
    # The base class asks whether its buffer is empty, and clears it; what it would put there is the native half itself.
    _buffer = property(lambda self: self._core, lambda self, buffer: None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if type(protocol) is sslproto.SSLProtocol:
            # `start_tls` of the base class made it.
            TlsProtocol.adopt(protocol)
        super().set_protocol(protocol)
        self._read_ready_cb = None
        if isinstance(protocol, TlsProtocol):
            self._core.set_protocol(protocol, False, protocol._core)
        else:
            self._core.set_protocol(protocol, isinstance(protocol, protocols.BufferedProtocol))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._core.write(data)

    def writelines(self, list_of_data: Any) -> None:
        self._core.writelines(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self._core.queued()

    def _end_of_stream(self, protocol: Any) -> bool:
        """Called at the end of what the peer sends; true when the connection stays open to write."""
        if self._loop.get_debug():
            logger.debug("%r received EOF", self)
        try:
            keep_open = protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return False
        if not keep_open:
            self.close()
        return bool(keep_open)
