"""The client's side of WebSockets in tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import httpx

from ._in_process import TestResponse
from .exceptions import WebSocketDisconnect

if TYPE_CHECKING:
    from ._ziggurat import TestSocket

__all__ = ["AsyncWebSocketTestSession", "WebSocketDenialResponse", "WebSocketTestSession"]

CLOSES = 20.0
"""Seconds within which the app has to answer a close."""


class WebSocketDenialResponse(WebSocketDisconnect):
    """The handshake was refused, with this answer."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(1006, f"the handshake was refused: {response.status_code} {response.text}")
        self.response = response
        self.status_code = response.status_code


class _Session:
    """What both kinds of clients have of a WebSocket."""

    __test__ = False

    def __init__(self, connect: Callable[[], TestSocket | TestResponse]) -> None:
        self._connect = connect
        self._socket: TestSocket | None = None
        self.headers = httpx.Headers()
        """Of the answer to the handshake."""

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol that the app chose."""
        found: str | None = self.headers.get("sec-websocket-protocol")
        return found

    def _begin(self) -> None:
        opened = self._connect()
        if isinstance(opened, TestResponse):
            raise WebSocketDenialResponse(opened)
        self._socket = opened

    def _open(self) -> TestSocket:
        if self._socket is None:
            raise RuntimeError("the WebSocket is not open; use it in `with client.websocket_connect(...) as ws:`")
        return self._socket


def _received(socket: TestSocket, message: str | bytes | None) -> str | bytes:
    if message is None:
        raise WebSocketDisconnect(*(socket.closed or (1006, "")))
    return message


def _text(message: str | bytes) -> str:
    if not isinstance(message, str):
        raise AssertionError(f"the app sent bytes: {message!r}")
    return message


def _bytes(message: str | bytes) -> bytes:
    if not isinstance(message, bytes):
        raise AssertionError(f"the app sent a text: {message!r}")
    return message


def _json(data: Any, mode: Literal["text", "binary"]) -> str | bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text if mode == "text" else text.encode()


class WebSocketTestSession(_Session):
    """A WebSocket to the app, in this process; a context manager.

    What receives raises `WebSocketDisconnect` once the app has closed it, and `TimeoutError` when nothing comes for `timeout` seconds.
    """

    def __enter__(self) -> WebSocketTestSession:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send_text(self, data: str) -> None:
        """Sends a text."""
        self._open().send(data)

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes."""
        self._open().send(data)

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Sends a value as JSON."""
        self._open().send(_json(data, mode))

    def receive(self, timeout: float | None = 20.0) -> str | bytes:
        """The next message, as the app sent it."""
        socket = self._open()
        return _received(socket, socket.receive(timeout))

    def receive_text(self, timeout: float | None = 20.0) -> str:
        """The next message, which has to be a text."""
        return _text(self.receive(timeout))

    def receive_bytes(self, timeout: float | None = 20.0) -> bytes:
        """The next message, which has to be bytes."""
        return _bytes(self.receive(timeout))

    def receive_json(self, timeout: float | None = 20.0) -> Any:
        """The next message, parsed."""
        return json.loads(self.receive(timeout))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes it, and waits until the app has, too. What it still sends is thrown away."""
        if self._socket is not None and self._socket.closed is None:
            self._socket.close(code, reason, CLOSES)


class AsyncWebSocketTestSession(_Session):
    """The same for tests that are coroutines: `async with client.websocket_connect("/chat") as ws:`, and `await` before each method.

    One task may receive while another sends. A `receive` that is cancelled, or has waited for `timeout` seconds, loses nothing.
    """

    def __init__(self, connect: Callable[[], TestSocket | TestResponse]) -> None:
        super().__init__(connect)
        # What waits does so on threads of its own, each of which does one thing after the other.
        self._receives = ThreadPoolExecutor(1, "ziggurat-test-receives")
        self._sends = ThreadPoolExecutor(1, "ziggurat-test-sends")
        self._reading: asyncio.Future[str | bytes | None] | None = None

    async def __aenter__(self) -> AsyncWebSocketTestSession:
        await asyncio.to_thread(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send_text(self, data: str) -> None:
        """Sends a text."""
        await self._send(data)

    async def send_bytes(self, data: bytes) -> None:
        """Sends bytes."""
        await self._send(data)

    async def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Sends a value as JSON."""
        await self._send(_json(data, mode))

    async def _send(self, data: str | bytes) -> None:
        socket = self._open()
        if socket.closed is None:
            await asyncio.get_running_loop().run_in_executor(self._sends, socket.send, data)

    async def receive(self, timeout: float | None = 20.0) -> str | bytes:
        """The next message, as the app sent it."""
        socket = self._open()
        if self._reading is None:
            if socket.closed is not None:
                return _received(socket, None)
            self._reading = asyncio.get_running_loop().run_in_executor(self._receives, socket.receive, None)
        done, _ = await asyncio.wait({self._reading}, timeout=timeout)
        if not done:
            raise TimeoutError("nothing came over the WebSocket in time")
        reading, self._reading = self._reading, None
        return _received(socket, reading.result())

    async def receive_text(self, timeout: float | None = 20.0) -> str:
        """The next message, which has to be a text."""
        return _text(await self.receive(timeout))

    async def receive_bytes(self, timeout: float | None = 20.0) -> bytes:
        """The next message, which has to be bytes."""
        return _bytes(await self.receive(timeout))

    async def receive_json(self, timeout: float | None = 20.0) -> Any:
        """The next message, parsed."""
        return json.loads(await self.receive(timeout))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes it, and waits until the app has, too. What it still sends is thrown away."""
        if self._socket is not None and self._socket.closed is None:
            await asyncio.to_thread(self._socket.close, code, reason, CLOSES)
        self._receives.shutdown(wait=False)
        self._sends.shutdown(wait=False)
