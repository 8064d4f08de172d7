"""TLS: the interpreter's own state machine with the way of a message in Rust.

`asyncio.sslproto` does handshakes, shutdowns, time-outs, limits and failures. What arrives on an open connection and what is written to
it goes through the native half, without a frame of Python between the socket and the application.
"""

from __future__ import annotations

import ssl
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat
from ziggurat._native import native

__all__ = ["TlsProtocol"]


class TlsProtocol(sslproto.SSLProtocol):
    """Between a stream transport and the protocol of an application."""

    if TYPE_CHECKING:
        # Of the base class, whose published types leave them out.
        _app_protocol: Any
        _app_protocol_buffer_updated: Any
        _app_protocol_get_buffer: Any
        _app_protocol_is_buffer: bool
        _call_eof_received: Any
        _do_read: Any
        _get_read_buffer_size: Any
        _incoming: Any
        _incoming_high_water: int
        _loop: Any
        _outgoing: Any
        _outgoing_high_water: int
        _sslobj: Any
        _start_shutdown: Any
        _write_backlog: Any

    _core: _ziggurat.TlsCore

    def __init__(self, *args: Any, **options: Any) -> None:
        self._core = _ziggurat.TlsCore(self)
        # The base class makes a buffer of this size, which stays empty: the transport below gives what arrives to the native half.
        # For one that asks for the buffer it is made then.
        self.max_size = 0  # type: ignore[misc]
        super().__init__(*args, **options)
        del self.max_size

    @classmethod
    def adopt(cls, protocol: Any) -> None:
        """Makes one of ours of a protocol that the base class has made just now and nobody has used."""
        protocol.__class__ = cls
        protocol._core = _ziggurat.TlsCore(protocol)
        protocol._set_app_protocol(protocol._app_protocol)
        protocol._get_app_transport()

    # What both halves look at.

    _app_reading_paused = native("app_reading_paused")
    _app_writing_paused = native("app_writing_paused")
    _ssl_reading_paused = native("ssl_reading_paused")
    _ssl_writing_paused = native("ssl_writing_paused")

    def _set_state(self, new_state: sslproto.SSLProtocolState) -> None:
        super()._set_state(new_state)  # type: ignore[misc]
        self._core.wrapped = new_state is sslproto.SSLProtocolState.WRAPPED

    def _set_app_protocol(self, app_protocol: Any) -> None:
        super()._set_app_protocol(app_protocol)
        self._core.set_app(app_protocol, self._app_protocol_is_buffer)

    def _set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_read_buffer_limits(high, low)  # type: ignore[misc]
        self._core.reading_limit_is_zero = not self._incoming_high_water

    def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_write_buffer_limits(high, low)  # type: ignore[misc]
        self._core.writing_limit_is_zero = not self._outgoing_high_water

    def _get_app_transport(self) -> Any:
        transport = super()._get_app_transport()  # type: ignore[misc]
        # Straight into the native half, past the class.
        transport.write = self._core.write
        return transport

    def connection_made(self, transport: Any) -> None:
        # The class that Python shows only passes on what its C half does; a context may have another one.
        ssl_object = self._sslobj._sslobj if type(self._sslobj) is ssl.SSLObject else self._sslobj  # type: ignore[attr-defined]
        self._core.begin(self._incoming, self._outgoing, ssl_object, self._write_backlog, transport.write)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._core.end()

    def _do_read__copied(self) -> None:
        self._core.deliver()

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
                # With nothing left here and there, to read again would only raise.
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
