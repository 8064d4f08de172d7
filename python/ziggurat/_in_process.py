"""Transports of httpx that hand requests to an app of this process: through its whole stack, without a socket."""

from __future__ import annotations

import asyncio
import atexit
import ipaddress
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

if TYPE_CHECKING:
    from .app import Ziggurat

__all__ = ["AsyncTransport", "TestResponse", "Transport"]

T = TypeVar("T")
Fields = list[tuple[bytes, bytes]]
Answer = tuple[int, Fields, Any]
"""Status, headers, and bytes or what iterates over the body."""

SHOWN = 2000
"""So many bytes of an answer are told of with a failure."""


class TestResponse(httpx.Response):
    """An answer: httpx's, which tells with `raise_for_status()` what the server said."""

    __test__ = False  # pytest takes classes of this name for tests

    def raise_for_status(self) -> TestResponse:
        """Raises `httpx.HTTPStatusError`, with the body as a note, unless the status is 2xx."""
        try:
            super().raise_for_status()
        except httpx.HTTPStatusError as error:
            if self.is_closed and self.is_stream_consumed and (body := self.content):
                error.add_note(body[:SHOWN].decode(errors="replace"))
            raise
        return self


class _Transport:
    """Starts the app and knows the loop that it runs on."""

    def __init__(self, app: Ziggurat, raising: bool, client: tuple[str, int] | None) -> None:
        self.app = app
        self.raising = raising
        self.client = None if client is None else (ipaddress.ip_address(client[0]), client[1])
        self.started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Runs the app's start-up hooks, unless it was started already; then it is not ours to stop."""
        with self._lock:
            if not self.started and self.app._in_process is None:
                self.app.start()
                self.started = True
                atexit.register(self.stop)

    def stop(self) -> None:
        """Runs the app's shutdown hooks, if it was started here."""
        with self._lock:
            started, self.started = self.started, False
        if started:
            atexit.unregister(self.stop)
            self.app.stop()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """PyLoop, on its own thread."""
        running = self.app._in_process
        loop: asyncio.AbstractEventLoop | None = None if running is None else running.loop
        if loop is None:
            raise RuntimeError("the app does not run; use the client in a with statement")
        return loop

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begins something on the app's loop, from another thread."""
        try:
            loop = self.loop
            if asyncio._get_running_loop() is loop:
                raise RuntimeError(
                    "a handler cannot wait for its own app's event loop; send the request from elsewhere"
                )
        except RuntimeError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    async def send(self, request: httpx.Request, body: Any) -> Answer:
        # As httpcore has it, for targets that httpx would mend.
        raw: bytes = request.extensions.get("target", request.url.raw_path)
        target = raw.decode("ascii")
        native = self.app.build()
        fields = request.headers.raw
        answer: Answer = await native.send(
            request.method, target, fields, body, raising=self.raising, client=self.client
        )
        return answer


async def _next(chunks: Any) -> bytes | None:
    try:
        chunk: bytes = await chunks.__anext__()
    except StopAsyncIteration:
        return None
    except RuntimeError as error:
        raise httpx.RemoteProtocolError(str(error)) from None
    return chunk


async def _close(chunks: Any) -> None:
    await chunks.aclose()


def _made(request: httpx.Request, answer: Answer, stream: Callable[[Any], Any]) -> TestResponse:
    status, fields, body = answer
    made = httpx.ByteStream(body) if isinstance(body, bytes) else stream(body)
    return TestResponse(status, headers=fields, stream=made, request=request, extensions={"http_version": b"HTTP/1.1"})


def _time(request: httpx.Request) -> float | None:
    """How long an answer, or the next piece of it, may take."""
    found: float | None = request.extensions.get("timeout", {}).get("read")
    return found


# From a thread that waits


class Transport(_Transport, httpx.BaseTransport):
    """For `httpx.Client`."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.start()
        stream = request.stream
        assert isinstance(stream, httpx.SyncByteStream)
        # What comes in pieces is read on a thread beside the loop, as it may block.
        body: Any = b"".join(stream) if isinstance(stream, httpx.ByteStream) else iter(stream)
        time = _time(request)
        answer = _wait(self.run(self.send(request, body)), time, request)
        return _made(request, answer, lambda chunks: _Chunks(self, chunks, time, request))


def _wait(future: Future[T], time: float | None, request: httpx.Request) -> T:
    try:
        return future.result(time)
    except TimeoutError:
        if future.done():
            raise
        future.cancel()
        raise httpx.ReadTimeout(f"nothing came within {time} seconds", request=request) from None
    except CancelledError:
        raise httpx.RemoteProtocolError("the app was stopped before it answered", request=request) from None
    except BaseException:
        future.cancel()
        raise


class _Chunks(httpx.SyncByteStream):
    def __init__(self, transport: Transport, chunks: Any, time: float | None, request: httpx.Request) -> None:
        self._transport, self._chunks, self._time, self._request = transport, chunks, time, request

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := _wait(self._transport.run(_next(self._chunks)), self._time, self._request)) is not None:
            yield chunk

    def close(self) -> None:
        if self._transport.app._in_process is not None:
            self._transport.run(_close(self._chunks)).result()


# From another event loop


class AsyncTransport(_Transport, httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`, on any asyncio loop but the app's own."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.started:
            await asyncio.to_thread(self.start)
        stream = request.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        body: Any
        if isinstance(stream, httpx.ByteStream):
            body = b"".join(stream)
        else:
            body = _from(asyncio.get_running_loop(), aiter(stream))
        time = _time(request)
        answer = await _await(self.run(self.send(request, body)), time, request)
        return _made(request, answer, lambda chunks: _AsyncChunks(self, chunks, time, request))


async def _from(home: asyncio.AbstractEventLoop, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What is iterated over on another loop, which is where the test made it."""
    while True:
        taken = asyncio.run_coroutine_threadsafe(_next(chunks), home)
        if (chunk := await asyncio.wrap_future(taken)) is None:
            return
        yield chunk


async def _await(future: Future[T], time: float | None, request: httpx.Request) -> T:
    # Cancelling what awaits this cancels the request.
    waiting = asyncio.wrap_future(future)
    try:
        async with asyncio.timeout(time) as limit:
            return await waiting
    except TimeoutError:
        if not limit.expired():
            raise
        raise httpx.ReadTimeout(f"nothing came within {time} seconds", request=request) from None


class _AsyncChunks(httpx.AsyncByteStream):
    def __init__(self, transport: AsyncTransport, chunks: Any, time: float | None, request: httpx.Request) -> None:
        self._transport, self._chunks, self._time, self._request = transport, chunks, time, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await _await(self._transport.run(_next(self._chunks)), self._time, self._request)) is not None:
            yield chunk

    async def aclose(self) -> None:
        if self._transport.app._in_process is not None:
            await asyncio.wrap_future(self._transport.run(_close(self._chunks)))
