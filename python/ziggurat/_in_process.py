"""Transports of httpx that hand requests to an app of this process: through its whole stack, without a socket."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import httpx

from ._serve import mounted_apps

if TYPE_CHECKING:
    from ._ziggurat import Sent
    from .app import Ziggurat

__all__ = ["AsyncTransport", "TestResponse", "Transport", "given"]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("ziggurat")

SHOWN = 2000
"""So many bytes of an answer are told of with a failure."""
THREADS = 512
"""So many answers may be awaited at once by one asynchronous client."""


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
    """Starts the app and sends to it."""

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
                _STARTED.add(self)

    def stop(self) -> None:
        """Runs the app's shutdown hooks, if it was started here."""
        with self._lock:
            started, self.started = self.started, False
        if started:
            _STARTED.discard(self)
            self.app.stop()

    def settle(self, seconds: float) -> None:
        """Waits until nothing runs behind the answers."""
        running = self.app._in_process
        if running is None:
            return
        if asyncio._get_running_loop() is running.loop:
            raise RuntimeError("what runs on the app's event loop cannot wait for it; call settle() in the test")
        end = time.monotonic() + seconds
        apps = (self.app.build(), *mounted_apps(self.app))
        left = sum(each.settle(max(0.0, end - time.monotonic()), stop=False) for each in apps)
        if left:
            what = "1 task or WebSocket still runs" if left == 1 else f"{left} tasks or WebSockets still run"
            raise TimeoutError(f"{what} after {seconds:g} seconds")

    def submit(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Future[tuple[T | None, BaseException | None]]:
        """Has a function run on the app's loop; gives what it gave, or what it raised.

        That is handed over as a value, as a `SystemExit`, or a failure of pytest's, would end the loop.
        """
        if not callable(function):
            if asyncio.iscoroutine(function):
                function.close()
            raise TypeError(f"run() takes an async function and its arguments, run(load, 1), and not {function!r}")
        running = self.app._in_process
        home = None if running is None else running.loop
        if home is None:
            raise RuntimeError(
                "the app does not run, and its event loop with it; run() is for within `with TestClient(app) as client:`"
            )
        if asyncio._get_running_loop() is home:
            raise RuntimeError("this runs on the app's event loop already; await the function instead")

        async def outcome() -> tuple[T | None, BaseException | None]:
            try:
                waiting = function(*args, **kwargs)
                if not inspect.isawaitable(waiting):
                    raise TypeError(
                        f"run() takes an async function, and {getattr(function, '__qualname__', function)} gave "
                        f"{type(waiting).__name__}; call it without run(), or from an async function"
                    )
                return await waiting, None
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                return None, error

        return asyncio.run_coroutine_threadsafe(outcome(), home)

    def begin(self, request: httpx.Request, body: Any) -> Sent:
        """Sends a request; nothing is waited for."""
        running = self.app._in_process
        if running is not None and asyncio._get_running_loop() is running.loop:
            raise RuntimeError("a handler cannot wait for its own app's event loop; send the request from elsewhere")
        # As httpcore has it, for targets that httpx would mend.
        target: bytes = request.extensions.get("target", request.url.raw_path)
        return self.app.build().send(
            request.method,
            target.decode("ascii"),
            request.headers.raw,
            body,
            raising=self.raising,
            client=self.client,
        )


_STARTED: set[_Transport] = set()
"""Those whose app runs, and is to be stopped at the end of the interpreter."""


def _stop_all() -> None:
    for transport in list(_STARTED):
        try:
            transport.stop()
        except BaseException as error:
            _logger.error("an app did not end as it should", exc_info=error)


# What `atexit` calls comes too late: by then no thread takes work any more, and neither shutdown hooks nor the app can wait for any.
# These are called in the reverse order of their registration, and so before that of `concurrent.futures`, which is imported above.
threading._register_atexit(_stop_all)  # type: ignore[attr-defined]


def given(outcome: tuple[T | None, BaseException | None]) -> T:
    """What a function that was submitted gave; raises what it raised, with its traceback."""
    value, error = outcome
    try:
        if error is not None:
            raise error
    finally:
        # The frames of the traceback hold this one.
        del error, outcome
    return value  # type: ignore[return-value]


@contextmanager
def _failures(request: httpx.Request, seconds: float | None) -> Iterator[None]:
    """Raises what httpx raises."""
    try:
        yield
    except TimeoutError:
        raise httpx.ReadTimeout(f"nothing came within {seconds} seconds", request=request) from None
    except RuntimeError as error:
        if "broke off" not in str(error) and "was stopped" not in str(error):
            raise
        raise httpx.RemoteProtocolError(str(error), request=request) from None


def _made(request: httpx.Request, head: tuple[int, Any, bytes | None], stream: Any) -> TestResponse:
    status, fields, body = head
    made = stream if body is None else httpx.ByteStream(body)
    return TestResponse(status, headers=fields, stream=made, request=request, extensions={"http_version": b"HTTP/1.1"})


def _time(request: httpx.Request) -> float | None:
    """How long an answer, or the next piece of it, may take."""
    found: float | None = request.extensions.get("timeout", {}).get("read")
    return found


# On a thread that waits


class Transport(_Transport, httpx.BaseTransport):
    """For `httpx.Client`."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.start()
        stream = request.stream
        assert isinstance(stream, httpx.SyncByteStream)
        # What comes in pieces is read on a thread beside the loop, as it may block.
        sent = self.begin(request, b"".join(stream) if isinstance(stream, httpx.ByteStream) else iter(stream))
        seconds = _time(request)
        with _failures(request, seconds):
            head = sent.head(seconds)
        return _made(request, head, _Chunks(sent, request))


class _Chunks(httpx.SyncByteStream):
    def __init__(self, sent: Sent, request: httpx.Request) -> None:
        self._sent, self._request = sent, request

    def __iter__(self) -> Iterator[bytes]:
        seconds = _time(self._request)
        while True:
            with _failures(self._request, seconds):
                chunk = self._sent.next(seconds)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        self._sent.abort()


# On an event loop


class AsyncTransport(_Transport, httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`, on any asyncio loop but the app's own. What waits does so on a thread beside."""

    def __init__(self, app: Ziggurat, raising: bool, client: tuple[str, int] | None) -> None:
        super().__init__(app, raising, client)
        self._threads = ThreadPoolExecutor(THREADS, "ziggurat-test-client")

    def stop(self) -> None:
        super().stop()
        self._threads.shutdown(wait=False)
        self._threads = ThreadPoolExecutor(THREADS, "ziggurat-test-client")

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
        sent = self.begin(request, body)
        seconds = _time(request)
        with _failures(request, seconds):
            head = await self.wait(sent, lambda: sent.head(seconds))
        return _made(request, head, _AsyncChunks(self, sent, request))

    async def wait(self, sent: Sent, ends: Callable[[], T]) -> T:
        """What `ends` gives. Cancelling what awaits this gives the request up."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ends)
        except asyncio.CancelledError:
            sent.abort()
            raise


async def _from(home: asyncio.AbstractEventLoop, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What is iterated over on another loop, which is where the test made it."""

    async def following() -> bytes | None:
        try:
            return await anext(chunks)
        except StopAsyncIteration:
            return None

    while (chunk := await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(following(), home))) is not None:
        yield chunk


class _AsyncChunks(httpx.AsyncByteStream):
    def __init__(self, transport: AsyncTransport, sent: Sent, request: httpx.Request) -> None:
        self._transport, self._sent, self._request = transport, sent, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seconds = _time(self._request)
        while True:
            with _failures(self._request, seconds):
                chunk = await self._transport.wait(self._sent, lambda: self._sent.next(seconds))
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        self._sent.abort()
