"""The client's side of WebSockets in tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import httpx

from ._in_process import TestResponse
from .exceptions import WebSocketDisconnect

if TYPE_CHECKING:
    from ._ziggurat import TestSocket

__all__ = ["WebSocketDenialResponse", "WebSocketTestSession"]

CLOSES = 20.0
"""Seconds within which the app has to answer a close."""


class WebSocketDenialResponse(WebSocketDisconnect):
    """The handshake was refused, with this answer."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(1006, f"the handshake was refused: {response.status_code} {response.text}")
        self.response = response
        self.status_code = response.status_code


class WebSocketTestSession:
    """A WebSocket to the app, in this process; a context manager.

    What receives raises `WebSocketDisconnect` once the app has closed it, and `TimeoutError` when nothing comes for `timeout` seconds.
    """

    __test__ = False

    def __init__(self, connect: Callable[[], TestSocket | TestResponse]) -> None:
        self._connect = connect
        self._socket: TestSocket | None = None
        self.headers = httpx.Headers()
        """Of the answer to the handshake."""

    def __enter__(self) -> WebSocketTestSession:
        opened = self._connect()
        if isinstance(opened, TestResponse):
            raise WebSocketDenialResponse(opened)
        self._socket = opened
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol that the app chose."""
        found: str | None = self.headers.get("sec-websocket-protocol")
        return found

    def _open(self) -> TestSocket:
        if self._socket is None:
            raise RuntimeError("the WebSocket is not open; use it in `with client.websocket_connect(...) as ws:`")
        return self._socket

    def send_text(self, data: str) -> None:
        """Sends a text."""
        self._open().send(data)

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes."""
        self._open().send(data)

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Sends a value as JSON."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        self._open().send(text if mode == "text" else text.encode())

    def receive(self, timeout: float | None = 20.0) -> str | bytes:
        """The next message, as the app sent it."""
        socket = self._open()
        message = socket.receive(timeout)
        if message is None:
            raise WebSocketDisconnect(*(socket.closed or (1006, "")))
        return message

    def receive_text(self, timeout: float | None = 20.0) -> str:
        """The next message, which has to be a text."""
        message = self.receive(timeout)
        if not isinstance(message, str):
            raise AssertionError(f"the app sent bytes: {message!r}")
        return message

    def receive_bytes(self, timeout: float | None = 20.0) -> bytes:
        """The next message, which has to be bytes."""
        message = self.receive(timeout)
        if not isinstance(message, bytes):
            raise AssertionError(f"the app sent a text: {message!r}")
        return message

    def receive_json(self, timeout: float | None = 20.0) -> Any:
        """The next message, parsed."""
        return json.loads(self.receive(timeout))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes it, and waits until the app has, too. What it still sends is thrown away."""
        if self._socket is not None and self._socket.closed is None:
            self._socket.close(code, reason, CLOSES)
