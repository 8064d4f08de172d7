"""Applications that are mounted: what ASGI says a server does, and other apps of our own."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from ziggurat import PUBLIC, ConfigError, HasScope, Request, Response, Router, Ziggurat, layers
from ziggurat.testing import TestClient

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def mounted(application: Any, path: str = "/in", **settings: Any) -> Ziggurat:
    app = Ziggurat(openapi_path=None, **settings)
    app.mount(path, only_http(application))
    return app


def only_http(application: Any) -> Any:
    """One without a lifespan, if it is a plain function."""
    if not inspect.isfunction(application) or not inspect.iscoroutinefunction(application):
        return application

    @functools.wraps(application)
    async def called(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        await application(scope, receive, send)

    called.__qualname__ = application.__name__
    return called


async def answer(send: Send, body: bytes = b"", status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Served:
    """An app behind a real socket, in this process."""

    def __init__(self, app: Ziggurat) -> None:
        self.app = app

    def __enter__(self) -> Served:
        self.app.start()
        self.address = self.app.build().listen("127.0.0.1", 0, "{}")
        self.url = f"http://{self.address[0]}:{self.address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.app.build().drain()
        self.app.stop()

    def connect(self, text: bytes) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=20)
        connection.sendall(text)
        return connection


def until(told: list[Any], count: int = 1) -> None:
    """Waits until so much was told."""
    waits = threading.Event()
    for _ in range(2000):
        if len(told) >= count:
            return
        waits.wait(0.005)
    raise AssertionError(f"only {told} was told")


def test_the_scope(mode: str) -> None:
    scopes: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await answer(send)

    with Served(mounted(application, "/café")) as served:
        with served.connect(
            b"GET /caf%C3%A9/a%20b/%2Fc?q=%20&x HTTP/1.1\r\nHost: h:1\r\nX-B: 1\r\nx-b: 2\r\nX-Latin: \xe9\r\n\r\n"
        ) as connection:
            connection.recv(1000)
            client = connection.getsockname()
        with served.connect(b"PATCH /caf%C3%A9 HTTP/1.0\r\n\r\n") as connection:
            connection.recv(1000)
    first, second = scopes
    told = [pair for pair in first.pop("headers") if pair[0] != b"x-request-id"]
    assert told == [(b"host", b"h:1"), (b"x-b", b"1"), (b"x-b", b"2"), (b"x-latin", b"\xe9")]
    assert first == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café/a b//c",
        "raw_path": b"/caf%C3%A9/a%20b/%2Fc",
        "query_string": b"q=%20&x",
        "root_path": "/café",
        "client": client,
        "server": served.address,
        "state": {},
    }
    assert (second["method"], second["http_version"], second["path"]) == ("PATCH", "1.0", "/café")
    assert (second["query_string"], second["root_path"]) == (b"", "/café")


def test_bodies_are_received_in_pieces_as_they_are_asked_for(mode: str) -> None:
    received: list[dict[str, Any]] = []
    asked = threading.Event()

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        while True:
            received.append(await receive())
            asked.set()
            if not received[-1]["more_body"]:
                break
        await answer(send, b"%d" % sum(len(part["body"]) for part in received))

    with Served(mounted(application)) as served:
        with served.connect(b"POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc") as connection:
            assert asked.wait(20)
            assert received == [{"type": "http.request", "body": b"abc", "more_body": True}]
            connection.sendall(b"def")
            assert b"\r\n\r\n6" in connection.recv(1000)
        assert received[1]["body"] == b"def"
        received.clear()
        assert httpx.post(f"{served.url}/in").text == "0"
        assert received == [{"type": "http.request", "body": b"", "more_body": False}]


def test_a_body_is_read_no_further_than_it_is_received() -> None:
    """The client is held up by TCP when the application does not go on."""
    go_on = threading.Event()
    total = 64 * 1024 * 1024

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        got = len((await receive())["body"])
        await asyncio.to_thread(go_on.wait)
        while True:
            message = await receive()
            got += len(message["body"])
            if not message["more_body"]:
                break
        await answer(send, str(got).encode())

    app = mounted(application, layers=[layers.BodyLimit(max_bytes=total)])
    with (
        Served(app) as served,
        served.connect(b"POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % total) as sender,
    ):
        sender.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += sender.send(b"x" * 65536)
        assert sent < total // 2
        go_on.set()
        sender.settimeout(20)
        while sent < total:
            sent += sender.send(b"x" * min(65536, total - sent))
        assert sender.recv(1000).endswith(b"\r\n\r\n%d" % total)


def test_answers_are_sent_as_they_come_and_no_faster_than_they_are_taken(mode: str) -> None:
    sent: list[int] = []
    piece = b"x" * 65536

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(2000):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    with Served(mounted(application)) as served, served.connect(b"GET /in HTTP/1.1\r\nHost: h\r\n\r\n") as connection:
        until(sent)
        threading.Event().wait(0.5)
        assert len(sent) < 1900
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            chunk = connection.recv(1 << 20)
            assert chunk, "it broke off"
            got = got[-10:] + chunk
    assert len(sent) == 2000


def test_the_end_of_the_answer_is_a_disconnect() -> None:
    received: list[Any] = []

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        received.append(await receive())
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        await answer(send, b"done")
        received.append(await waiting)
        received.append(await receive())
        with pytest.raises(RuntimeError, match="after the last of it"):
            await send({"type": "http.response.body"})
        received.append("end")

    with TestClient(mounted(application)) as client:
        assert client.get("/in").text == "done"
        until(received, 4)
    assert [each if each == "end" else each["type"] for each in received] == [
        "http.request",
        "http.disconnect",
        "http.disconnect",
        "end",
    ]


def test_a_client_that_leaves_is_told_of(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        told.append("begun")
        told.append((await receive())["type"])
        with pytest.raises(OSError, match="the client has gone"):
            await answer(send)
        # It is not cancelled: it may have things to put in order.
        await asyncio.sleep(0.01)
        told.append("end")
        raise OSError("of the client")

    with Served(mounted(application)) as served:
        with served.connect(b"GET /in HTTP/1.1\r\nHost: h\r\n\r\n"):
            until(told)
        until(told, 3)
    assert told == ["begun", "http.disconnect", "end"]
    assert caplog.text == ""


def test_a_client_that_leaves_in_the_midst_of_an_answer(mode: str) -> None:
    told: list[Any] = []

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0)
        except OSError:
            told.append("gone")

    with Served(mounted(application)) as served:
        with served.connect(b"GET /in HTTP/1.1\r\nHost: h\r\n\r\n") as connection:
            assert connection.recv(100)
        until(told)


def test_an_exception_before_the_answer_is_a_500_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("what went wrong")

    with TestClient(mounted(application)) as client:
        failed = client.get("/in")
    assert (failed.status_code, failed.headers["content-type"]) == (500, "application/problem+json")
    assert "what went wrong" not in failed.text
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "application raised an exception"
    assert record.exc_info is not None and "what went wrong" in str(record.exc_info[1])


def test_an_exception_in_the_answer_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise ValueError("what went wrong")

    with TestClient(mounted(application)) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/in")
    assert caplog.text.count("ValueError: what went wrong") == 1


@pytest.mark.parametrize("begins", [False, True])
def test_an_application_that_returns_too_early_is_told_of(begins: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})

    with TestClient(mounted(application)) as client:
        if begins:
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/in")
        else:
            assert client.get("/in").status_code == 500
    assert "returned before its answer was whole" in caplog.text


START = {"type": "http.response.start", "status": 200}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"type": "http.response.body"}], "before http.response.start"),
        ([START, START], "sent already"),
        ([{"type": "http.response.start"}], "has no status"),
        ([{"type": "http.response.start", "status": 99}], "not the status"),
        ([{**START, "headers": [(b"a b", b"")]}], "not the name of a header"),
        ([{**START, "headers": [(b"a", b"b\r\nc: d")]}], "control character"),
        ([{**START, "headers": [(b"content-length", b"x")]}], "not a number"),
        ([{"type": "websocket.accept"}], "no message that is sent over HTTP"),
        ([{}], "has a type"),
        ([{**START, "headers": [(b"content-length", b"2")]}, {"type": "http.response.body", "body": b"abc"}], "longer"),
        (
            [{**START, "headers": [(b"content-length", b"4")]}, {"type": "http.response.body", "body": b"abc"}],
            "shorter",
        ),
    ],
)
def test_wrong_messages_are_refused(
    messages: list[dict[str, Any]], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    with TestClient(mounted(application)) as client:
        assert client.get("/in").status_code == 500
    assert words in caplog.text


def test_head_and_answers_without_a_body() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        status = int(scope["query_string"] or b"200")
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})
        await send({"type": "http.response.trailers", "headers": []})

    with Served(mounted(application)) as served, httpx.Client(base_url=served.url) as client:
        assert client.get("/in").text == "abcdef"
        head = client.head("/in")
        assert (head.content, head.headers["content-length"]) == (b"", "6")
        assert client.get("/in?304").content == b""
        # The connection is still in order.
        assert client.get("/in").headers["content-length"] == "6"


def test_layers_stand_around_an_application() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        if message["type"] == "http.disconnect":
            raise OSError("as the client has gone")
        text = repr(scope["state"].get("auth", {}).get("sub")) + " " * 1000
        await answer(send, text.encode(), headers=[(b"content-type", b"text/plain")])

    secret = "0123456789abcdef0123456789abcdef"
    app = Ziggurat(
        openapi_path=None, layers=[layers.Jwt(secret=secret, required=False), layers.BodyLimit(max_bytes=10)]
    )
    app.mount("/in", only_http(application), layers=[layers.Compression()])
    app.mount("/closed", only_http(application), guards=[HasScope("inner")])
    import jwt

    token = jwt.encode({"sub": "ada", "exp": 4102444800, "scope": "inner"}, secret, "HS256")
    with TestClient(app) as client:
        sent = client.get("/in", headers={"accept-encoding": "gzip"})
        assert (sent.headers["content-encoding"], sent.text.strip()) == ("gzip", "None")
        # What the body limit says is answered, whatever the application makes of the end of the body.
        assert client.post("/in", content=iter([b"x" * 20])).status_code == 413
        assert client.get("/closed/x").status_code == 401
        known = {"authorization": f"Bearer {token}"}
        assert client.get("/closed/x", headers=known).text.strip() == "'ada'"


def test_slashes_may_be_taken_off_outside_of_it() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, scope["path"].encode())

    with TestClient(mounted(application, layers=[layers.NormalizePath()])) as client:
        assert client.get("/in/a").text == "/in/a"
        assert client.get("/in/").status_code in (200, 308)


def test_middleware_sees_it_and_is_seen() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/raises"):
            raise KeyError("of the application")
        await answer(send, repr(scope["state"]).encode())

    app = mounted(application)

    @app.middleware
    async def around(request: Request, call_next: Any) -> Response:
        request.state["user"] = "ada"
        try:
            response: Response = await call_next(request)
        except KeyError as error:
            return Response(418, body=str(error))
        response.headers["x-seen"] = request.path
        return response

    with TestClient(app) as client:
        sent = client.get("/in/x")
        assert (sent.text, sent.headers["x-seen"]) == ("{'user': 'ada'}", "/in/x")
        assert client.get("/in/raises").status_code == 418


def test_own_routes_come_first_and_the_rest_is_handed_on() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, f"{scope['method']} {scope['root_path']}|{scope['path']}".encode())

    app = mounted(application, "/")

    @app.get("/own")
    async def own() -> str:
        return "own"

    with TestClient(app) as client:
        assert client.get("/own").text == "own"
        assert client.post("/own").status_code == 405
        assert client.get("/").text == "GET |/"
        assert client.delete("/other/place/").text == "DELETE |/other/place/"
    [other] = app.stack("/other")
    assert other.passes[-1] == "application" and other.enters_python == ("application",)
    assert [(route.method, route.path, route.kind) for route in app.routes] == [
        ("GET", "/own", "python"),
        (None, "/{path:path}", "python"),
    ]


# Lifespan


class Lived:
    """An application with a lifespan."""

    def __init__(self, fails: str = "") -> None:
        self.told: list[str] = []
        self.fails = fails

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["pool"] = "opened"
            while True:
                kind = (await receive())["type"].removeprefix("lifespan.")
                self.told.append(kind)
                if kind == self.fails:
                    await send({"type": f"lifespan.{kind}.failed", "message": "no database"})
                    return
                await send({"type": f"lifespan.{kind}.complete"})
                if kind == "shutdown":
                    return
        scope["state"]["mine"] = scope["state"].get("mine", 0) + 1
        await answer(send, repr(scope["state"]).encode())


def test_the_lifespan_is_that_of_the_app() -> None:
    lived = Lived()
    app = mounted(lived)
    app.on_startup(lambda: lived.told.append("app starts"))
    app.on_shutdown(lambda: lived.told.append("app stops"))
    with TestClient(app) as client:
        assert lived.told == ["app starts", "startup"]
        # Each request has a copy of its own.
        assert [client.get("/in").text for _ in range(2)] == ["{'pool': 'opened', 'mine': 1}"] * 2
    assert lived.told == ["app starts", "startup", "shutdown", "app stops"]


def test_a_lifespan_that_fails_to_start_is_the_apps_failure() -> None:
    with pytest.raises(RuntimeError, match="Lived failed to start: no database"), TestClient(mounted(Lived("startup"))):
        raise AssertionError("it must not start")


def test_a_lifespan_that_fails_to_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(mounted(Lived("shutdown"))):
        pass
    assert "Lived failed to shut down: no database" in caplog.text


# What cannot be mounted


@pytest.mark.parametrize(
    ("application", "words"),
    [
        (lambda environ, start_response: [], "a2wsgi.WSGIMiddleware"),
        (lambda scope: None, "guarantee_single_callable"),
        (Lived, "is no application"),
        ("shop:app", "is no application"),
        (lambda: None, "cannot be called with scope, receive and send"),
    ],
)
def test_other_things_are_refused(application: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        mounted(application)
    assert raised.value.location is not None and "test_mount.py" in raised.value.location


def test_places_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r'write "/in"'):
        mounted(Lived(), "in")
    with pytest.raises(ConfigError, match="has parameters"):
        mounted(Lived(), "/{team}")
    app = Ziggurat()
    with pytest.raises(ConfigError, match="mounted in itself"):
        app.mount("/v2", app)
    other = Ziggurat()
    other.mount("/app", app)
    with pytest.raises(ConfigError, match="mounted in itself"):
        app.mount("/other", other)
    router = Router("/teams/{team}")
    router.mount("/in", Lived())
    with_router = Ziggurat()
    with_router.include_router(router)
    with pytest.raises(ConfigError, match="has parameters"):
        with_router.build()


# Apps of our own


def inner_app(told: list[str]) -> Ziggurat:
    inner = Ziggurat(title="Inner", layers=[layers.SecurityHeaders()])
    inner.on_startup(lambda: told.append("inner starts"))
    inner.on_shutdown(lambda: told.append("inner stops"))

    @inner.get("/users/{name}")
    async def user(name: str, request: Request) -> dict[str, str]:
        found = {"name": name, "path": request.path, "root": request.root_path, "url": request.url}
        return {**found, **request.path_params}

    @inner.get("/fails")
    async def fails() -> None:
        raise ValueError("inside")

    @inner.middleware
    async def inside(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-inside"] = request.path
        return response

    return inner


def test_an_app_within_an_app(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    app = Ziggurat(title="Outer", layers=[layers.Compression()])
    app.mount("/v2", inner_app(told))

    @app.get("/users/{name}")
    async def user(name: str) -> str:
        return f"of the outer app: {name}"

    @app.middleware
    async def outside(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-outside"] = request.path
        return response

    with TestClient(app) as client:
        assert told == ["inner starts"]
        sent = client.get("/v2/users/ada?q=1")
        assert sent.json() == {
            "name": "ada",
            "path": "/users/ada",
            "root": "/v2",
            "url": "http://testserver/v2/users/ada?q=1",
        }
        assert (sent.headers["x-inside"], sent.headers["x-outside"]) == ("/users/ada", "/v2/users/ada")
        assert sent.headers["x-content-type-options"] == "nosniff"
        assert client.get("/users/ada").text == "of the outer app: ada"
        assert client.get("/v2/nothing").status_code == client.get("/v2").status_code == 404
        assert client.post("/v2/users/ada").headers["allow"] == "GET, HEAD, OPTIONS"
        assert client.get("/v2/fails").status_code == 500
        assert caplog.text.count("ValueError: inside") == 1
        assert client.get("/v2/openapi.json").json()["info"]["title"] == "Inner"
        assert list(client.get("/openapi.json").json()["paths"]) == ["/users/{name}"]
    assert told == ["inner starts", "inner stops"]


def test_the_routes_of_an_app_within_an_app_are_listed() -> None:
    app = Ziggurat(openapi_path=None, layers=[layers.Compression()])
    app.mount("/v2", inner_app([]), layers=[layers.Etag()])
    [user] = [route for route in app.routes if route.name == "user"]
    assert (user.path, user.kind, user.enters_python) == ("/v2/users/{name}", "python", True)
    own = {"/v2/openapi.json", "/v2/docs", "/v2/docs/{file}"}
    assert {route.path for route in app.routes} == {"/v2/users/{name}", "/v2/fails"} | own
    [stack] = app.stack("/v2/users/ada")
    assert stack.passes == user.stack
    assert stack.passes.index("Compression") < stack.passes.index("Etag") < stack.passes.index("Inner")
    assert stack.passes.index("Inner") < stack.passes.index("SecurityHeaders") < stack.passes.index("user")
    assert stack.enters_python == ("inside", "user")


def test_apps_are_mounted_in_apps_that_are_mounted() -> None:
    middle = Ziggurat(openapi_path=None)
    middle.mount("/b", inner_app([]))

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, f"{scope['root_path']}|{scope['path']}|{scope['raw_path'].decode()}".encode())

    middle.mount("/asgi", only_http(application))
    app = Ziggurat(openapi_path=None)
    router = Router("/of")
    router.mount("/a", middle)
    app.include_router(router)
    with TestClient(app) as client:
        assert client.get("/of/a/b/users/ada").json()["root"] == "/of/a/b"
        assert client.get("/of/a/asgi/x%20y").text == "/of/a/asgi|/of/a/asgi/x y|/of/a/asgi/x%20y"


def test_what_runs_on_behind_an_answer_is_waited_for() -> None:
    told: list[str] = []

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send)
        await asyncio.sleep(0.2)
        told.append("done")

    with TestClient(mounted(application)) as client:
        assert client.get("/in").status_code == 200
    assert told == ["done"]


def test_a_strict_app_asks_for_the_callers_of_what_is_mounted() -> None:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send)

    def strict(inside: Any, **settings: Any) -> Ziggurat:
        jwt = layers.Jwt(secret="a secret of at least 32 characters", required=False)
        app = Ziggurat(openapi_path=None, strict=True, layers=[jwt])
        app.mount("/in", inside, **settings)
        return app

    with pytest.raises(ConfigError, match=r"the app is strict, and everybody may write through \* /in;"):
        strict(application).build()
    strict(application, auth=PUBLIC).build()
    strict(application, guards=[HasScope("in")]).build()
    # An app of ours tells for itself.
    with pytest.raises(ConfigError, match=r"everybody may write through \* /in;"):
        strict(Ziggurat(openapi_path=None)).build()
    strict(Ziggurat(openapi_path=None, strict=True)).build()
