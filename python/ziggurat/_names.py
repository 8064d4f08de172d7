"""Looking up names: what is no name is answered at once."""

from __future__ import annotations

import socket
from asyncio import base_events
from typing import TYPE_CHECKING, Any

__all__ = ["Names"]

_getaddrinfo, _getnameinfo = socket.getaddrinfo, socket.getnameinfo
_PLAIN_FLAGS = socket.AI_PASSIVE | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def _is_number(port: Any) -> bool:
    return port is None or type(port) is int or (type(port) is str and port.isascii() and port.isdigit())


def _is_address(host: Any, family: int) -> bool:
    """Whether there is nothing to look up."""
    if host is None:
        return True
    if type(host) is not str:
        return False
    for candidate in (socket.AF_INET, socket.AF_INET6):
        if family in (socket.AF_UNSPEC, candidate):
            try:
                socket.inet_pton(candidate, host)
            except (OSError, ValueError):
                continue
            return True
    return False


class Names(base_events.BaseEventLoop):
    """To come before the base class, which asks in a thread, since a server far away may have to answer.

    For an address the C library need not ask anybody, so a thread would only cost. A function that somebody else has put
    into the `socket` module may do more than that, and goes to the thread.
    """

    if TYPE_CHECKING:
        _debug: bool

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        if (
            not self._debug
            and not flags & ~_PLAIN_FLAGS
            and _is_number(port)
            and _is_address(host, family)
            and socket.getaddrinfo is _getaddrinfo
        ):
            self._check_closed()  # type: ignore[attr-defined]
            return socket.getaddrinfo(host, port, family, type, proto, flags)
        return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        # The address of a name is not looked up here anyway.
        if flags & _NUMERIC == _NUMERIC and not self._debug and socket.getnameinfo is _getnameinfo:
            self._check_closed()  # type: ignore[attr-defined]
            return socket.getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)
