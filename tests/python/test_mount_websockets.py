"""WebSockets of applications that are mounted: Starlette's and FastAPI's, and what ASGI says message by message."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import WebSocketException
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteSocket
from starlette.websockets import WebSocketDisconnect as StarletteDisconnect
from test_websockets import closed, refused, until
from test_websockets_wire import HEAD, TEXT, Http2, Raw, frame
from tokens import SECRET, bearer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ziggurat import ConfigError, Request, Response, WebSocket, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@contextlib.contextmanager
def mounted(application: Any, **options: Any) -> Iterator[TestClient]:
    app = Ziggurat(openapi_path=None, **options)
    app.mount("/in", application)
    with TestClient(app) as client:
        yield client


def socket_only(function: Callable[[Message, Receive, Send], Awaitable[None]]) -> Any:
    """An application without a lifespan."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError(scope["type"])
        await function(scope, receive, send)

    return application


# Applications of others


def test_a_route_of_starlette() -> None:
    ends: list[int] = []

    async def echo(ws: StarletteSocket) -> None:
        await ws.accept(subprotocol="b", headers=[(b"x-own", b"1")])
        await ws.send_json(
            [ws.url.path, ws.path_params["room"], ws.query_params["q"], ws.cookies, ws.scope["subprotocols"]]
        )
        try:
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    raise StarletteDisconnect(message["code"])
                text = message["text"]
                await (ws.send_text(text) if text is not None else ws.send_bytes(message["bytes"]))
        except StarletteDisconnect as end:
            ends.append(end.code)

    class Upper(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: StarletteSocket, data: Any) -> None:
            await websocket.send_text(data.upper())

    application = Starlette(routes=[WebSocketRoute("/echo/{room}", echo), WebSocketRoute("/upper", Upper)])
    with mounted(application) as client:
        with client.websocket_connect("/in/echo/red?q=1", ["a", "b"], headers={"cookie": "c=d"}) as ws:
            assert ws.accepted_subprotocol == "b"
            assert ws.headers["x-own"] == "1"
            assert ws.receive_json() == ["/in/echo/red", "red", "1", {"c": "d"}, ["a", "b"]]
            for text in ("", "ünï", "x" * 100_000):
                ws.send_text(text)
                assert ws.receive_text() == text
            ws.send_bytes(b"\0\xff")
            assert ws.receive_bytes() == b"\0\xff"
            ws.close(4001)
        until(lambda: ends == [4001])
        with client.websocket_connect("/in/upper") as ws:
            ws.send_text("loud")
            assert ws.receive_text() == "LOUD"
        assert refused(client, "/in/nowhere").status_code == 403


def test_a_route_of_fastapi(caplog: pytest.LogCaptureFixture) -> None:
    application = fastapi.FastAPI()
    log: list[str] = []

    async def opened() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "opened"
        finally:
            log.append("close")

    dependency = fastapi.Depends(opened)

    @application.websocket("/rooms/{room}")
    async def chat(ws: fastapi.WebSocket, room: int, name: str, opened: str = dependency) -> None:
        await ws.accept()
        await ws.send_json([room, name, opened, ws.state.auth["sub"]])
        async for text in ws.iter_text():
            if text == "close":
                raise WebSocketException(4002, "as asked")
            await ws.send_text(text)

    jwt = layers.Jwt(secret=SECRET, algorithms=["HS256"], required=False)
    with mounted(application, layers=[jwt]) as client:
        with client.websocket_connect("/in/rooms/7?name=ann", headers=bearer(sub="ann")) as ws:
            assert ws.receive_json() == [7, "ann", "opened", "ann"]
            ws.send_text("hello")
            assert ws.receive_text() == "hello"
            ws.send_text("close")
            assert closed(ws) == (4002, "as asked")
        until(lambda: log == ["open", "close"])
        with client.websocket_connect("/in/rooms/7?name=bob", headers=bearer(sub="bob")) as ws:
            ws.receive()
        until(lambda: log == ["open", "close"] * 2)
        assert refused(client, "/in/rooms/x").status_code == 403
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_denial_of_starlette_is_an_answer() -> None:
    async def deny(ws: StarletteSocket) -> None:
        await ws.send_denial_response(JSONResponse({"no": "entry"}, 402, headers={"x-own": "1"}))

    with mounted(Starlette(routes=[WebSocketRoute("/", deny)])) as client:
        answer = refused(client, "/in/")
        assert (answer.status_code, answer.json(), answer.headers["x-own"]) == (402, {"no": "entry"}, "1")


# Message by message


def test_the_scope_and_the_messages_are_those_of_asgi() -> None:
    got: list[Message] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        got.append(scope)
        got.append(await receive())
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "one", "bytes": None})
        await send({"type": "websocket.send", "bytes": bytearray(b"two")})
        got.append(await receive())
        got.append(await receive())
        got.append(await receive())
        got.append(await receive())
        with pytest.raises(OSError, match="the client has gone"):
            await send({"type": "websocket.send", "text": "late"})
        got.append({"end": True})

    with mounted(application) as client, client.websocket_connect("/in/a%20b?c=d", ["x"]) as ws:
        assert (ws.receive(), ws.receive()) == ("one", b"two")
        ws.send_text("three")
        ws.send_bytes(b"four")
        ws.close(4000, "enough")
        until(lambda: got[-1] == {"end": True})
    scope, *messages = got
    assert scope["type"] == "websocket"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert (scope["scheme"], scope["http_version"]) == ("ws", "1.1")
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/in/a b", b"/in/a%20b", "/in")
    assert scope["query_string"] == b"c=d"
    assert scope["subprotocols"] == ["x"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert (b"sec-websocket-protocol", b"x") in scope["headers"]
    assert "method" not in scope
    end = {"type": "websocket.disconnect", "code": 4000, "reason": "enough"}
    assert messages == [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "three", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b"four"},
        end,
        end,
        {"end": True},
    ]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"type": "websocket.close", "code": 1005}, "1005 is no code to close with"),
        ({"type": "websocket.close", "reason": "x" * 124}, "at most 123 bytes"),
    ],
)
def test_codes_and_reasons_are_those_that_can_be_sent(message: Message, told: str) -> None:
    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        with pytest.raises(ValueError, match=told):
            await send(message)

    with mounted(application) as client, client.websocket_connect("/in/") as ws:
        assert closed(ws) == (1000, "")


@pytest.mark.parametrize(
    ("sends", "code", "reason"),
    [
        ([{"type": "websocket.close"}], 1000, ""),
        ([{"type": "websocket.close", "code": 3001, "reason": "bye"}], 3001, "bye"),
        ([{"type": "websocket.close", "code": 3001, "reason": None}], 3001, ""),
        ([], 1000, ""),
    ],
)
def test_an_application_closes_its_socket(sends: list[Message], code: int, reason: str) -> None:
    ends: list[Message] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for message in sends:
            await send(message)
            with pytest.raises(RuntimeError, match="closed by the handler"):
                await send({"type": "websocket.send", "text": "late"})
            ends.append(await receive())

    with mounted(application) as client, client.websocket_connect("/in/") as ws:
        assert closed(ws) == (code, reason)
    assert [end["code"] for end in ends] == [code for _ in sends]


def test_a_handshake_is_refused_or_denied(caplog: pytest.LogCaptureFixture) -> None:
    got: list[Message] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        how = scope["path"]
        if how == "/in/close":
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            await send({"type": "websocket.close", "code": 4000})
            got.append(await waiting)
            got.append(await receive())
            with pytest.raises(RuntimeError, match="closed before it was accepted"):
                await send({"type": "websocket.accept"})
        elif how == "/in/deny":
            with pytest.raises(RuntimeError, match=r"before websocket.http.response.start"):
                await send({"type": "websocket.http.response.body", "body": b"x"})
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"4")]
            await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b"ne"})
            with pytest.raises(RuntimeError, match="answered already"):
                await send({"type": "websocket.http.response.start", "status": 404})
        elif how == "/in/fails":
            raise KeyError("a secret")

    with mounted(application) as client:
        assert refused(client, "/in/close").status_code == 403
        until(lambda: [message.get("code") for message in got] == [1006, 1006])
        answer = refused(client, "/in/deny")
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (404, "none", "text/plain")
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        for how, told in (("fails", "a secret"), ("returns", "returned before it answered the handshake")):
            answer = refused(client, f"/in/{how}")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
            assert record.exc_info and told in str(record.exc_info[1])
            caplog.clear()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({}, "a message has a type"),
        ({"type": "http.response.start", "status": 200}, "no message that is sent over a WebSocket"),
        ({"type": "websocket.send"}, "has either text"),
        ({"type": "websocket.send", "text": "a", "bytes": b"b"}, "has either text"),
        ({"type": "websocket.send", "bytes": 1}, "has either text"),
        ({"type": "websocket.accept", "subprotocol": "y"}, "does not speak the subprotocol"),
        ({"type": "websocket.accept", "headers": [(b"upgrade", b"x")]}, "belongs to the handshake"),
        ({"type": "websocket.accept", "headers": [(b"a b", b"x")]}, "is not the name of a header"),
        ({"type": "websocket.http.response.start", "status": 99}, "not the status of an answer"),
    ],
)
def test_messages_that_are_none_are_told_of(message: Message, told: str) -> None:
    raised: list[str] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await send(message)
        except ValueError as error:
            raised.append(str(error))
        await send({"type": "websocket.accept"})

    with mounted(application) as client, client.websocket_connect("/in/") as ws:
        assert closed(ws) == (1000, "")
    assert len(raised) == 1 and told in raised[0]


def test_a_failure_behind_the_handshake_closes_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        raise StarletteDisconnect(1000) if scope["query_string"] else KeyError("x")

    app = Ziggurat(openapi_path=None)
    seen: list[int] = []

    @app.middleware
    async def around(request: Request, call_next: Any) -> Response:
        if "refuse" in request.query:
            return Response(418)
        response: Response = await call_next(request)
        seen.append(response.status)
        return response

    app.mount("/in", application)
    with TestClient(app) as client, caplog.at_level(logging.ERROR):
        assert refused(client, "/in/?refuse=1").status_code == 418
        with client.websocket_connect("/in/") as ws:
            assert closed(ws) == (1011, "")
        assert seen == [101]
        assert len(caplog.records) == 1


# Real sockets


def test_real_clients_over_http1_and_http2() -> None:
    ends: list[int] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})
        ends.append(message["code"])

    inner = Ziggurat(openapi_path=None)

    @inner.websocket("/own")
    async def own(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text())

    app = Ziggurat(openapi_path=None)
    app.mount("/in", application)
    app.mount("/app", inner)
    with TestClient(app):
        address = app.build().listen("127.0.0.1", 0, "{}")
        for path in ("/in/x", "/app/own"):
            with connect(f"ws://{address[0]}:{address[1]}{path}") as client:
                client.send("hello")
                assert client.recv() == "hello"
            stream = Http2(address, path)
            assert stream.status == 200
            stream.send(frame(TEXT, b"hello"))
            assert stream.exactly(7) == b"\x81\x05hello"
            stream.socket.close()
        for path, protocol, status in (("/in/x", "connect-udp", 501), ("/app/own", "connect-udp", 405)):
            stream = Http2(address, path, protocol)
            assert stream.status == status
            stream.socket.close()
        until(lambda: ends == [1000, 1006])
        # A stop.
        with connect(f"ws://{address[0]}:{address[1]}/in/x") as client:
            app.build().drain()
            with pytest.raises(ConnectionClosed):
                client.recv()
            assert client.close_code == 1012
        until(lambda: ends == [1000, 1006, 1012])


def test_a_client_that_goes_before_it_was_accepted_is_told_of() -> None:
    got: list[Message] = []

    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        got.append({"waiting": True})
        got.append(await receive())
        with pytest.raises(OSError, match="the client has gone"):
            await send({"type": "websocket.accept"})
        got.append({"end": True})

    app = Ziggurat(openapi_path=None)
    app.mount("/in", application)
    with TestClient(app):
        address = app.build().listen("127.0.0.1", 0, "{}")
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEAD.items())
        with socket.create_connection(address) as client:
            client.sendall(f"GET /in/ HTTP/1.1\r\n{lines}\r\n".encode())
            until(lambda: bool(got))
        until(lambda: got[-1] == {"end": True})
        assert got[1]["code"] == 1006
        app.build().drain()


# What is said at the mount


def test_pages_of_other_sites_open_nothing_unless_they_are_named() -> None:
    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    app = Ziggurat(openapi_path=None)
    app.mount("/own", application)
    app.mount("/named", application, origins=["https://app.example"])
    app.mount("/small", application, max_message_bytes=10)
    evil = {"origin": "https://app.example"}
    with TestClient(app) as client:
        assert refused(client, "/own", headers=evil).status_code == 403
        for path, headers in (("/own", {"origin": "http://testserver"}), ("/own", {}), ("/named", evil)):
            with client.websocket_connect(path, headers=headers) as ws:
                assert closed(ws) == (1000, "")
        assert client.get("/own", headers={"upgrade": "websocket"}).status_code == 426


def test_messages_have_a_limit() -> None:
    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    app = Ziggurat(openapi_path=None)
    app.mount("/in", application, max_message_bytes=10)
    with TestClient(app):
        address = app.build().listen("127.0.0.1", 0, "{}")
        with Raw(address, "/in") as client:
            client.send(frame(TEXT, b"x" * 10), frame(TEXT, b"x" * 11))
            assert client.close()[0] == 1009
        app.build().drain()


def test_mistakes_are_told_at_registration() -> None:
    @socket_only
    async def application(scope: Message, receive: Receive, send: Send) -> None: ...

    def wrong(match: str, inner: Any, **options: Any) -> None:
        with pytest.raises(ConfigError, match=match) as raised:
            Ziggurat().mount("/in", inner, **options)
        assert __file__ in str(raised.value)

    wrong("'app.example' is not an origin", application, origins=["app.example"])
    wrong("max_message_bytes is 0; give a number of bytes", application, max_message_bytes=0)
    wrong("origins is of the WebSockets of an ASGI application", Ziggurat(), origins=["https://app.example"])
