"""TLS: the interpreter's own protocol with its reads cut to the size of what is there.

`asyncio.sslproto` asks for 256 KiB at each read, though TLS gives at most a record of 16 KiB at once, and reads again until an
exception says that there is no more. Memory of that size is mapped and given back for every message, and the exception costs as
much as decrypting a small one.
"""

from __future__ import annotations

from asyncio import sslproto
from typing import TYPE_CHECKING, Any

__all__ = ["TlsProtocol"]

# What a record carries at most (RFC 8446, 5.1).
RECORD = 16 * 1024


class TlsProtocol(sslproto.SSLProtocol):
    """Between a stream transport and the protocol of an application."""

    if TYPE_CHECKING:
        # Of the base class, whose published types leave them out.
        _sslobj: Any
        _incoming: Any
        _app_protocol: Any
        _app_protocol_buffer_updated: Any
        _app_protocol_get_buffer: Any
        _do_read: Any
        _get_read_buffer_size: Any
        _loop: Any
        _call_eof_received: Any
        _start_shutdown: Any

    def _do_read__copied(self) -> None:
        sslobj, incoming = self._sslobj, self._incoming
        read: list[bytes] = []
        is_end = False
        try:
            while True:
                data = sslobj.read(RECORD)
                if not data:
                    is_end = True
                    break
                read.append(data)
                # With nothing left here and there, to read again would only raise.
                if not incoming.pending and not sslobj.pending():
                    break
        except sslproto.SSLAgainErrors:
            pass
        if read:
            self._app_protocol.data_received(read[0] if len(read) == 1 else b"".join(read))
        if is_end:
            self._call_eof_received()
            self._start_shutdown()

    def _do_read__buffered(self) -> None:
        sslobj, incoming = self._sslobj, self._incoming
        # The base class takes slices of what it is given, and those of a bytearray are copies.
        buffer = memoryview(self._app_protocol_get_buffer(self._get_read_buffer_size())).cast("B")
        if not buffer:
            raise RuntimeError("get_buffer() returned an empty buffer")
        filled = 0
        is_end = False
        try:
            while filled < len(buffer):
                count = sslobj.read(len(buffer) - filled, buffer[filled:])
                if not count:
                    is_end = True
                    break
                filled += count
                if not incoming.pending and not sslobj.pending():
                    break
            else:
                # There may be more.
                self._loop.call_soon(self._do_read)
        except sslproto.SSLAgainErrors:
            pass
        finally:
            # The protocol may change the size of what it gave.
            buffer.release()
        if filled:
            self._app_protocol_buffer_updated(filled)
        if is_end:
            self._call_eof_received()
            self._start_shutdown()
