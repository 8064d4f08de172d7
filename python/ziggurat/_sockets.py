"""The coroutines for sockets that a program drives itself: `sock_recv` and its kin, with their inner steps in Rust."""

from __future__ import annotations

import socket
from asyncio import selector_events
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat

__all__ = ["SocketCoroutines"]


class SocketCoroutines(selector_events.BaseSelectorEventLoop):
    """To come before the base class, which does what is not usual: debug mode, and sockets of other classes."""

    if TYPE_CHECKING:
        _debug: bool

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv(sock, n)
        result = _ziggurat.sock_recv(self, sock, n)
        return result if type(result) is bytes else await result

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv_into(sock, buf)
        result = _ziggurat.sock_recv_into(self, sock, buf)
        return result if type(result) is int else await result

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recvfrom(sock, bufsize)
        result = _ziggurat.sock_recvfrom(self, sock, bufsize)
        return result if type(result) is tuple else await result

    async def sock_recvfrom_into(self, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recvfrom_into(sock, buf, nbytes)
        result = _ziggurat.sock_recvfrom_into(self, sock, buf, nbytes or len(buf))
        return result if type(result) is tuple else await result

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_sendall(sock, data)
        result = _ziggurat.sock_sendall(self, sock, data)
        if result is not None:
            await result
        return None

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_sendto(sock, data, address)
        result = _ziggurat.sock_sendto(self, sock, data, address)
        return result if type(result) is int else await result
