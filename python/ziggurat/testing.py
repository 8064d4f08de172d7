"""Tests of an app without a socket: requests go through the real Rust stack, in this process.

The clients are httpx's, so that what is known of those holds here: `pip install "ziggurat[testing]"`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

try:
    import httpx
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        'ziggurat.testing needs httpx; install it with: pip install "ziggurat[testing]"', name=missing.name
    ) from None

from ._in_process import AsyncTransport, TestResponse, Transport, given
from ._testing_websockets import AsyncWebSocketTestSession, WebSocketDenialResponse, WebSocketTestSession

if TYPE_CHECKING:
    from ._ziggurat import TestSocket
    from .app import Ziggurat

__all__ = [
    "AsyncTestClient",
    "AsyncWebSocketTestSession",
    "TestClient",
    "TestResponse",
    "WebSocketDenialResponse",
    "WebSocketTestSession",
]

P = ParamSpec("P")
T = TypeVar("T")

AGENT = "testclient"


class TestClient(httpx.Client):
    """Sends requests to `app`: an `httpx.Client` that needs no server.

    `with TestClient(app) as client:` runs the start-up hooks on entry and the shutdown hooks on exit. Without `with`, the app
    is started by the first request, and stopped by `close()` or when the interpreter ends.

    Cookies are kept as a browser does. Answers come as the app sent them: no redirect is followed unless `follow_redirects` says so, and
    none is compressed unless `accept-encoding` asks for it. Answers and the bodies of requests may come in pieces: `client.stream("GET",
    "/events")` gives each as it is sent.

    `raise_server_exceptions` raises what a handler raised, and nothing caught, where the request was sent; it is a 500 otherwise, and in
    the log. `client` is the address that requests come from; from none unless it is given. What else is given goes to httpx, as `headers`, `cookies`, `params`, `auth` and `timeout`.
    """

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(
        self,
        app: Ziggurat,
        base_url: httpx.URL | str = "http://testserver",
        *,
        raise_server_exceptions: bool = False,
        client: tuple[str, int] | None = None,
        follow_redirects: bool = False,
        timeout: float | httpx.Timeout | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        self._app = Transport(app, raise_server_exceptions, client)
        self._sockets: weakref.WeakSet[WebSocketTestSession] = weakref.WeakSet()
        super().__init__(
            transport=self._app,
            base_url=base_url,
            follow_redirects=follow_redirects,
            timeout=timeout,
            **{**options, "headers": _headers(options.get("headers"))},
        )
        _plain(self.headers, options.get("headers"))

    def __enter__(self) -> TestClient:
        self._start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._app.start()

    def close(self) -> None:
        """Stops the app. The client may be used again, which starts it anew."""
        for socket in list(self._sockets):
            socket.close(1001)
        self._app.stop()

    def send(self, request: httpx.Request, **options: Any) -> TestResponse:
        """Sends a request that was built before."""
        self._start()
        answer = super().send(request, **options)
        assert isinstance(answer, TestResponse)
        return answer

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls an async function on the app's own event loop, and waits for what it gives: `client.run(fill, "books.json")`.

        It finds there what the app's code has: its state, models, connections and tasks. What it raises is raised here, and it is cancelled
        when this is interrupted. The app has to run, as it does inside of `with`.
        """
        running = self._app.submit(function, *args, **kwargs)
        try:
            outcome = running.result()
        except BaseException:
            running.cancel()
            raise
        return given(outcome)

    def settle(self, seconds: float = 20.0) -> None:
        """Waits until what runs behind the answers is over: background tasks, `after_` hooks, and what follows the `yield` of a dependency.

        A WebSocket that is open is such a thing as well: close it before. Raises `TimeoutError` for what still runs after so many seconds.
        """
        self._app.settle(seconds)

    def websocket_connect(
        self, url: httpx.URL | str, subprotocols: Sequence[str] = (), **parts: Any
    ) -> WebSocketTestSession:
        """A WebSocket to the app: `with client.websocket_connect("/chat") as ws:` opens it, and closes it at the end.

        Entering raises `WebSocketDenialResponse` where the handshake is refused. `parts` are `params`, `headers` and `cookies`.
        """
        session = WebSocketTestSession(lambda: _connect(self, session, request))
        request = _handshake(self.build_request("GET", url, **parts), subprotocols)
        self._sockets.add(session)
        return session

    def build_request(self, method: str, url: httpx.URL | str, **parts: Any) -> httpx.Request:
        """Builds a request, of `json`, `content`, and `data` with `files`, one at most."""
        return super().build_request(method, _with_query(url, parts), **parts)


class AsyncTestClient(httpx.AsyncClient):
    """As `TestClient`, for tests that are coroutines: `async with AsyncTestClient(app) as client:`.

    They run on a loop of their own, as those of pytest-asyncio and of anyio's plugin do, while the app's runs on a thread beside.
    """

    __test__ = False

    def __init__(
        self,
        app: Ziggurat,
        base_url: httpx.URL | str = "http://testserver",
        *,
        raise_server_exceptions: bool = False,
        client: tuple[str, int] | None = None,
        follow_redirects: bool = False,
        timeout: float | httpx.Timeout | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        self._app = AsyncTransport(app, raise_server_exceptions, client)
        self._sockets: weakref.WeakSet[AsyncWebSocketTestSession] = weakref.WeakSet()
        super().__init__(
            transport=self._app,
            base_url=base_url,
            follow_redirects=follow_redirects,
            timeout=timeout,
            **{**options, "headers": _headers(options.get("headers"))},
        )
        _plain(self.headers, options.get("headers"))

    async def __aenter__(self) -> AsyncTestClient:
        await asyncio.to_thread(self._app.start)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stops the app. The client may be used again, which starts it anew."""
        for socket in list(self._sockets):
            await socket.close(1001)
        await asyncio.to_thread(self._app.stop)

    async def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `TestClient.run`: calls an async function on the app's own event loop, which is not that of the test."""
        return given(await asyncio.wrap_future(self._app.submit(function, *args, **kwargs)))

    async def settle(self, seconds: float = 20.0) -> None:
        """As `TestClient.settle`: waits until what runs behind the answers is over."""
        await asyncio.to_thread(self._app.settle, seconds)

    async def send(self, request: httpx.Request, **options: Any) -> TestResponse:
        """Sends a request that was built before."""
        answer = await super().send(request, **options)
        assert isinstance(answer, TestResponse)
        return answer

    def websocket_connect(
        self, url: httpx.URL | str, subprotocols: Sequence[str] = (), **parts: Any
    ) -> AsyncWebSocketTestSession:
        """A WebSocket to the app: `async with client.websocket_connect("/chat") as ws:` opens it, and closes it at the end.

        Entering raises `WebSocketDenialResponse` where the handshake is refused. `parts` are `params`, `headers` and `cookies`.
        """
        session = AsyncWebSocketTestSession(lambda: _connect(self, session, request))
        request = _handshake(self.build_request("GET", url, **parts), subprotocols)
        self._sockets.add(session)
        return session

    def build_request(self, method: str, url: httpx.URL | str, **parts: Any) -> httpx.Request:
        """Builds a request, of `json`, `content`, and `data` with `files`, one at most."""
        return super().build_request(method, _with_query(url, parts), **parts)


def _handshake(request: httpx.Request, subprotocols: Sequence[str]) -> httpx.Request:
    if subprotocols:
        request.headers["sec-websocket-protocol"] = ", ".join(subprotocols)
    return request


def _connect(
    client: TestClient | AsyncTestClient,
    session: WebSocketTestSession | AsyncWebSocketTestSession,
    request: httpx.Request,
) -> TestSocket | TestResponse:
    """The app's end of what was opened, or its answer where it refused; on a thread that has no loop."""
    client._app.start()
    sent = request.headers.multi_items()
    (status, fields, body), socket = client.app.connect(
        request.url.raw_path.decode("ascii"), sent, client=client._app.client
    )
    answer = TestResponse(status, headers=fields, content=body, request=request)
    client.cookies.extract_cookies(answer)
    if socket is None:
        return answer
    session.headers = answer.headers
    return socket


def _headers(given: Any) -> httpx.Headers:
    headers = httpx.Headers({"user-agent": AGENT})
    headers.update(given)
    return headers


def _plain(headers: httpx.Headers, given: Any) -> None:
    """Takes away what httpx asks for by itself: answers are looked at as they are."""
    asked = httpx.Headers(given)
    for name in ("accept-encoding", "connection"):
        if name not in asked:
            del headers[name]


def _with_query(url: httpx.URL | str, parts: dict[str, Any]) -> httpx.URL | str:
    """The URL; what it has of a query is kept beside `params`, in place of which httpx would take them."""
    _one_body(parts)
    params = parts.get("params")
    whole = httpx.URL(url)
    if params is None or not whole.query:
        return url
    parts["params"] = None
    asked = httpx.QueryParams(params).multi_items()
    return whole.copy_with(query=str(httpx.QueryParams([*whole.params.multi_items(), *asked])).encode())


def _one_body(parts: dict[str, Any]) -> None:
    given = [name for name in ("json", "content", "data") if parts.get(name) is not None]
    if parts.get("files") is not None and "data" not in given:
        given.append("files")
    if len(given) > 1:
        raise TypeError(f"a request has one body; give one of {' and '.join(given)}")
