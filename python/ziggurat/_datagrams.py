"""The datagram transport: the interpreter's own class with its hot paths in Rust."""

from __future__ import annotations

import _socket
import socket
from asyncio import selector_events
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat
from ziggurat._native import native
from ziggurat._transports import SocketOwner

if TYPE_CHECKING:
    import asyncio

__all__ = ["DatagramTransport"]


class DatagramTransport(SocketOwner, selector_events._SelectorDatagramTransport):  # type: ignore[name-defined,misc]
    """UDP and Unix sockets."""

    _core: _ziggurat.DatagramCore

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        # The base class takes an empty address for none.
        self._core = core = _ziggurat.DatagramCore(loop, sock.fileno(), sock.family, address or None)
        super().__init__(loop, sock, protocol, address, waiter, extra)
        core.open(self, self._extra["peername"])
        self._hold_socket()
        # Straight into the native half, past this class.
        self.sendto = core.sendto  # type: ignore[method-assign]

    @staticmethod
    def can_own(sock: socket.socket) -> bool:
        """Whether the native half does what this socket would do."""
        kind = type(sock)
        return (
            sock.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
            # A proxy, or what a test puts there.
            and getattr(kind, "recvfrom", None) is _socket.socket.recvfrom
            and getattr(kind, "sendto", None) is _socket.socket.sendto
            and getattr(kind, "send", None) is _socket.socket.send
        )

    # What both halves look at.

    max_size = native("max_size")
    _conn_lost = native("conn_lost")
    _closing = native("closing")
    _buffer = property(lambda self: self._core, lambda self, buffer: None)
    _buffer_size = property(lambda self: self._core.queued(), lambda self, size: None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        super().set_protocol(protocol)
        self._core.set_protocol(protocol)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        self._core.sendto(data, addr)
