"""WebSockets in process: what handlers are given, how sockets open and end, and what is refused at registration."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from tokens import SECRET, bearer

from ziggurat import (
    ConfigError,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Router,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketState,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient, WebSocketDenialResponse

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

Start = Callable[[], TestClient]


def refused(client: TestClient, path: str, **options: Any) -> Any:
    with pytest.raises(WebSocketDenialResponse) as raised, client.websocket_connect(path, **options):
        pass
    return raised.value.response


def closed(socket: Any) -> tuple[int, str]:
    with pytest.raises(WebSocketDisconnect) as raised:
        socket.receive()
    return raised.value.code, raised.value.reason


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


# Messages


def test_messages_of_each_kind_come_and_go(app: Ziggurat, client: Start) -> None:
    @app.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text() + "ü")
        await ws.send_bytes(await ws.receive_bytes() + b"!")
        await ws.send_json(await ws.receive_json())
        await ws.send_json(await ws.receive_json(), mode="binary")
        async for message in ws:
            await ws.send(message)

    with client().websocket_connect("/echo") as ws:
        ws.send_text("hällo")
        assert ws.receive_text() == "hälloü"
        ws.send_bytes(b"\0\xff")
        assert ws.receive_bytes() == b"\0\xff!"
        ws.send_json({"a": [1, None, "ß"]})
        assert ws.receive_text() == '{"a":[1,null,"ß"]}'
        ws.send_json({"b": 1.5}, mode="binary")
        assert ws.receive_bytes() == b'{"b":1.5}'
        for message in ("", b"", "text", b"bytes", "x" * 300_000):
            ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message)
            assert ws.receive() == message


def test_iterators_end_with_the_socket(app: Ziggurat, client: Start) -> None:
    got: list[Any] = []

    @app.websocket("/{kind}")
    async def collect(ws: WebSocket, kind: str) -> None:
        await ws.accept()
        messages = {"text": ws.iter_text, "bytes": ws.iter_bytes, "json": ws.iter_json}[kind]()
        async for message in messages:
            got.append(message)
        got.append(ws.client_state)

    started = client()
    for kind, value in (("text", "one"), ("bytes", b"two"), ("json", {"three": 3})):
        with started.websocket_connect(f"/{kind}") as ws:
            ws.send_json(value) if kind == "json" else ws.send_text(value) if kind == "text" else ws.send_bytes(value)
        until(lambda value=value: got[-2:] == [value, WebSocketState.DISCONNECTED])  # type: ignore[misc]


def test_json_is_what_handlers_return(app: Ziggurat, client: Start) -> None:
    class Item(BaseModel):
        name: str

    @dataclass
    class Point:
        x: int

    @app.websocket("/")
    async def send(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(Item(name="a"))
        await ws.send_json([Point(1)])
        await ws.send(memoryview(b"view"))
        await ws.send_bytes(bytearray(b"array"))

    with client().websocket_connect("/") as ws:
        assert ws.receive_json() == {"name": "a"}
        assert ws.receive_json() == [{"x": 1}]
        assert ws.receive_bytes() == b"view"
        assert ws.receive_bytes() == b"array"
        assert closed(ws) == (1000, "")


def test_messages_that_wait_are_received_without_a_turn_of_the_loop(app: Ziggurat, client: Start) -> None:
    turns: list[int] = []

    @app.websocket("/")
    async def batch(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(0.3)
        turned = 0

        async def count() -> None:
            nonlocal turned
            while True:
                turned += 1
                await asyncio.sleep(0)

        counter = asyncio.create_task(count())
        for number in range(20):
            assert await ws.receive_text() == str(number)
            await ws.send_text(str(number))
        turns.append(turned)
        counter.cancel()

    with client().websocket_connect("/") as ws:
        for number in range(20):
            ws.send_text(str(number))
        assert [ws.receive_text() for _ in range(20)] == [str(number) for number in range(20)]
    assert turns == [0]


# What belongs to the request


def test_parameters_are_those_of_any_handler(app: Ziggurat, client: Start) -> None:
    @app.websocket("/rooms/{room}")
    async def chat(
        socket: WebSocket,
        room: int,
        token: Annotated[str, Query(min_length=3)],
        *,
        user_agent: Annotated[str, Header()] = "none",
    ) -> None:
        await socket.accept()
        await socket.send_json([room, token, user_agent])

    started = client()
    with started.websocket_connect("/rooms/7?token=abc", headers={"user-agent": "me"}) as ws:
        assert ws.receive_json() == [7, "abc", "me"]
    with started.websocket_connect("/rooms/7", params={"token": "abc"}) as ws:
        assert ws.receive_json() == [7, "abc", "testclient"]
    answer = refused(started, "/rooms/x?token=a")
    assert answer.status_code == 422
    assert {error.get("parameter") or error.get("path") for error in answer.json()["errors"]} == {"room", "token"}


def test_the_socket_tells_of_its_request(app: Ziggurat, client: Start) -> None:
    @app.websocket("/a/{b}")
    async def tell(ws: WebSocket, b: str) -> None:
        assert ws.client_state is WebSocketState.CONNECTING
        assert ws.application_state is WebSocketState.CONNECTING
        assert ws.subprotocol is None
        await ws.accept(headers={"x-own": "1", "set-cookie": "a=b"})
        assert ws.client_state is WebSocketState.CONNECTED
        told = {
            "url": ws.url,
            "path": ws.path,
            "query": ws.query["c"],
            "query_string": ws.query_string,
            "header": ws.headers["x-mine"],
            "path_params": ws.path_params,
            "client": ws.client,
            "auth": ws.auth,
            "state": ws.state,
            "request_id": ws.request_id is not None,
            "trace_context": ws.trace_context,
            "subprotocols": ws.subprotocols,
        }
        assert repr(ws).startswith("<WebSocket /a/x")
        await ws.send_json(told)
        await ws.close(4000, "done")
        assert ws.application_state is WebSocketState.DISCONNECTED

    with client().websocket_connect("/a/x?c=1", headers={"x-mine": "yes"}) as ws:
        assert ws.headers["x-own"] == "1"
        assert ws.headers["set-cookie"] == "a=b"
        assert ws.receive_json() == {
            "url": "ws://testserver/a/x?c=1",
            "path": "/a/x",
            "query": "1",
            "query_string": "c=1",
            "header": "yes",
            "path_params": {"b": "x"},
            "client": None,
            "auth": None,
            "state": {},
            "request_id": True,
            "trace_context": {},
            "subprotocols": [],
        }
        assert closed(ws) == (4000, "done")


def test_guards_and_layers_are_those_of_any_route() -> None:
    app = Ziggurat(layers=[layers.Jwt(secret=SECRET, algorithms=["HS256"], required=False)])
    router = Router("/teams/{team}", layers=[layers.RequestId(header="x-trace-me")])

    @router.websocket("/chat", auth=True)
    async def chat(ws: WebSocket, team: str) -> None:
        await ws.accept()
        await ws.send_json([team, (ws.auth or {}).get("sub")])

    app.include_router(router, prefix="/v1")
    with TestClient(app) as started:
        assert refused(started, "/v1/teams/red/chat").status_code == 401
        with started.websocket_connect("/v1/teams/red/chat", headers=bearer(sub="ann")) as ws:
            assert ws.receive_json() == ["red", "ann"]
            assert "x-trace-me" in ws.headers
        [stack] = app.stack("/v1/teams/red/chat")
        assert stack.method == "WEBSOCKET"
        assert stack.passes[-3:] == ("RequestId", "RequireAuth", "chat")


def test_middleware_sees_the_handshake_and_its_answer(app: Ziggurat, client: Start) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[int] = []

    @app.middleware
    async def watch(request: Request, call_next: Any) -> Response:
        if "refuse" in request.query:
            return Response(418)
        variable.set("outside")
        request.state["user"] = "ann"
        response: Response = await call_next(request)
        response.headers["x-seen"] = "yes"
        seen.append(response.status)
        return response

    @app.websocket("/")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        await ws.send_json([variable.get(), ws.state["user"]])

    started = client()
    with started.websocket_connect("/") as ws:
        assert ws.headers["x-seen"] == "yes"
        assert seen == [101]
        ws.send_text("go")
        assert ws.receive_json() == ["outside", "ann"]
        assert closed(ws) == (1000, "")
    assert refused(started, "/?refuse").status_code == 418


def test_subprotocols_are_agreed_on(app: Ziggurat, client: Start) -> None:
    @app.websocket("/agreed", subprotocols=["v2", "v1"])
    async def agreed(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json([ws.subprotocols, ws.subprotocol])

    @app.websocket("/chosen")
    async def chosen(ws: WebSocket) -> None:
        with pytest.raises(ValueError, match=r'does not speak the subprotocol "other".* it offers: a, b'):
            await ws.accept("other")
        await ws.accept(subprotocol="b")
        await ws.send_json([ws.subprotocols, ws.subprotocol])

    started = client()
    with started.websocket_connect("/agreed", ["v1", "v2", "v3"]) as ws:
        assert ws.accepted_subprotocol == "v2"
        assert ws.receive_json() == [["v1", "v2", "v3"], "v2"]
    for offered in ([], ["v9"]):
        with started.websocket_connect("/agreed", offered) as ws:
            assert ws.accepted_subprotocol is None
            assert ws.receive_json() == [offered, None]
    with started.websocket_connect("/chosen", ["a", "b"]) as ws:
        assert ws.accepted_subprotocol == "b"
        assert ws.receive_json() == [["a", "b"], "b"]


@pytest.mark.parametrize(
    ("origin", "path", "status"),
    [
        (None, "/own", 101),
        ("http://testserver", "/own", 101),
        ("https://TESTSERVER", "/own", 101),
        ("http://testserver:81", "/own", 403),
        ("https://evil.example", "/own", 403),
        ("null", "/own", 403),
        ("", "/own", 403),
        ("https://app.example", "/some", 101),
        ("http://testserver", "/some", 101),
        ("http://app.example", "/some", 403),
        ("https://evil.example", "/any", 101),
        ("null", "/any", 101),
    ],
)
def test_pages_of_other_sites_open_nothing(
    app: Ziggurat, client: Start, origin: str | None, path: str, status: int
) -> None:
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("open")

    app.websocket("/own")(socket)
    app.websocket("/some", origins=["https://app.example"])(socket)
    app.websocket("/any", origins=["*"])(socket)
    headers = {} if origin is None else {"origin": origin}
    if status == 403:
        answer = refused(client(), path, headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        with client().websocket_connect(path, headers=headers) as ws:
            assert ws.receive_text() == "open"


# How sockets end


def test_what_is_not_accepted_is_refused(app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture) -> None:
    after: list[str] = []

    @app.websocket("/{how}")
    async def refuse(ws: WebSocket, how: str) -> None:
        if how == "closes":
            await ws.close()
            with pytest.raises(RuntimeError, match="closed before it was accepted"):
                await ws.accept()
            with pytest.raises(RuntimeError, match="closed before it was accepted"):
                await ws.receive()
            await asyncio.sleep(0.05)
            after.append(how)
        elif how == "http":
            raise HTTPException(409, "later", headers={"x-own": "1"})
        elif how == "exception":
            raise WebSocketException(4000, "no")
        elif how == "disconnect":
            raise WebSocketDisconnect(1001)
        elif how == "fails":
            raise KeyError("a secret")

    started = client()
    with caplog.at_level(logging.ERROR):
        for how in ("returns", "closes", "exception", "disconnect"):
            answer = refused(started, f"/{how}")
            assert (answer.status_code, answer.json()["detail"]) == (403, "the socket was not accepted")
        until(lambda: after == ["closes"])
        answer = refused(started, "/http")
        assert (answer.status_code, answer.json()["detail"], answer.headers["x-own"]) == (409, "later", "1")
        assert not caplog.records
        answer = refused(started, "/fails")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    [record] = caplog.records
    assert record.exc_info and "a secret" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("how", "code", "reason", "logged"),
    [
        ("returns", 1000, "", False),
        ("closes", 3001, "bye", False),
        ("exception", 4001, "no more", False),
        ("http", 1008, "", False),
        ("server", 1011, "", False),
        ("disconnect", 1000, "", False),
        ("fails", 1011, "", True),
    ],
)
def test_the_end_of_a_handler_closes_its_socket(
    app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture, how: str, code: int, reason: str, logged: bool
) -> None:
    @app.websocket("/")
    async def end(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("last words")
        if how == "closes":
            await ws.close(3001, "bye")
            with pytest.raises(RuntimeError, match="closed by the handler"):
                await ws.send_text("more")
            with pytest.raises(WebSocketDisconnect) as raised:
                await ws.receive()
            assert (raised.value.code, str(raised.value)) == (3001, "3001: bye")
            await ws.close()
        elif how == "exception":
            raise WebSocketException(4001, "no more")
        elif how == "http":
            raise HTTPException(404)
        elif how == "server":
            raise HTTPException(502)
        elif how == "disconnect":
            raise WebSocketDisconnect(1001)
        elif how == "fails":
            raise KeyError("a secret")

    with caplog.at_level(logging.WARNING), client().websocket_connect("/") as ws:
        assert ws.receive_text() == "last words"
        assert closed(ws) == (code, reason)
        assert closed(ws) == (code, reason)
    assert len(caplog.records) == logged
    if logged:
        assert caplog.records[0].exc_info
        assert "end" in caplog.records[0].getMessage()


@pytest.mark.parametrize("what", ["receive", "send", "both"])
def test_a_client_that_goes_is_told_of(app: Ziggurat, client: Start, what: str) -> None:
    told: list[tuple[int, str]] = []

    @app.websocket("/")
    async def watch(ws: WebSocket) -> None:
        await ws.accept()
        if what != "send":
            with pytest.raises(WebSocketDisconnect) as raised:
                await ws.receive_text()
            told.append((raised.value.code, raised.value.reason))
            assert ws.client_state is WebSocketState.DISCONNECTED
        if what != "receive":
            with pytest.raises(WebSocketDisconnect) as raised:
                while True:
                    await ws.send_text("anybody?")
                    await asyncio.sleep(0.01)
            told.append((raised.value.code, raised.value.reason))

    with client().websocket_connect("/") as ws:
        ws.close(4002, "enough")
    until(lambda: told == [(4002, "enough")] * (2 if what == "both" else 1))


def test_what_came_before_the_end_is_received(app: Ziggurat, client: Start) -> None:
    got: list[Any] = []

    @app.websocket("/")
    async def late(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(0.3)
        got.extend([message async for message in ws])
        got.append("end")

    with client().websocket_connect("/") as ws:
        for number in range(5):
            ws.send_text(str(number))
    until(lambda: got[-1:] == ["end"])
    assert got == ["0", "1", "2", "3", "4", "end"]


@pytest.mark.parametrize(
    ("receives", "sent", "code"),
    [
        ("receive_text", b"bytes", 1003),
        ("receive_bytes", "text", 1003),
        ("receive_json", "{", 1007),
        ("receive_json", b"\xff", 1007),
    ],
)
def test_messages_of_another_kind_end_the_socket(
    app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture, receives: str, sent: str | bytes, code: int
) -> None:
    told: list[int] = []

    @app.websocket("/")
    async def take(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(WebSocketDisconnect) as raised:
            await getattr(ws, receives)()
        told.append(raised.value.code)
        raise raised.value

    with caplog.at_level(logging.WARNING), client().websocket_connect("/") as ws:
        ws.send_text(sent) if isinstance(sent, str) else ws.send_bytes(sent)
        assert closed(ws)[0] == code
    assert told == [code]
    assert not caplog.records


# Tasks


def test_one_task_receives_while_others_send(app: Ziggurat, client: Start) -> None:
    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()

        async def ticks(name: str) -> None:
            for number in range(3):
                await ws.send_text(f"{name}{number}")
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(ws.receive_text())
            group.create_task(ticks("a"))
            group.create_task(ticks("b"))
            group.create_task(ws.send_text("c"))
        await asyncio.gather(ws.send_text(receiving.result()), ws.close())

    with client().websocket_connect("/") as ws:
        got = [ws.receive_text() for _ in range(7)]
        assert sorted(got) == ["a0", "a1", "a2", "b0", "b1", "b2", "c"]
        assert [each for each in got if each[0] == "a"] == ["a0", "a1", "a2"]
        ws.send_text("last")
        assert ws.receive_text() == "last"
        assert closed(ws) == (1000, "")


def test_two_receivers_at_once_are_a_mistake(app: Ziggurat, client: Start) -> None:
    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        first = asyncio.create_task(ws.receive_text())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task receives from this WebSocket already"):
            await ws.receive_text()
        await ws.send_text(await first)
        # And then there is none.
        await ws.send_text(await ws.receive_text())

    with client().websocket_connect("/") as ws:
        for text in ("one", "two"):
            ws.send_text(text)
            assert ws.receive_text() == text


def test_nothing_is_lost_with_a_receiver_that_is_cancelled(app: Ziggurat, client: Start) -> None:
    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.receive_text(), 0.001)
        await ws.send_text("go")
        got: list[str] = []
        while len(got) < 200:
            try:
                got.append(await asyncio.wait_for(ws.receive_text(), 0.0005))
            except TimeoutError:
                continue
        await ws.send_json(got)

    with client().websocket_connect("/") as ws:
        assert ws.receive_text() == "go"
        for number in range(200):
            ws.send_text(str(number))
            if number % 20 == 0:
                time.sleep(0.002)
        assert ws.receive_json() == [str(number) for number in range(200)]


def test_a_message_that_is_not_awaited_is_not_sent(app: Ziggurat, client: Start) -> None:
    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.warns(RuntimeWarning, match=r"coroutine 'WebSocket.send' was never awaited"):
            ws.send_text("forgotten")
            gc.collect()
        sending = ws.send_text("once")
        await sending
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await sending

    with client().websocket_connect("/") as ws:
        assert ws.receive_text() == "once"
        assert closed(ws) == (1000, "")


def test_misuse_is_told(app: Ziggurat, client: Start) -> None:
    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        for early in (ws.receive, lambda: ws.send_text("x")):
            with pytest.raises(RuntimeError, match="not accepted yet; await accept"):
                await early()
        with pytest.raises(ValueError, match="sec-websocket-accept belongs to the handshake"):
            await ws.accept(headers={"Sec-WebSocket-Accept": "x"})
        await ws.accept()
        with pytest.raises(RuntimeError, match="accepted already"):
            await ws.accept()
        with pytest.raises(TypeError, match="takes str or bytes, not dict; for other values there is send_json"):
            await ws.send({})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await ws.send_text(b"x")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="send_bytes takes bytes, not str"):
            await ws.send_bytes("x")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match='mode is "both"'):
            await ws.send_json({}, mode="both")  # type: ignore[arg-type]
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000):
            with pytest.raises(ValueError, match=f"{code} is no code to close with"):
                await ws.close(code)
        with pytest.raises(ValueError, match="a reason has at most 123 bytes, and this one 124"):
            await ws.close(1000, "ü" * 62)
        await ws.close(1000, "ü" * 61)

    with client().websocket_connect("/") as ws:
        assert closed(ws) == (1000, "ü" * 61)
    with pytest.raises(ValueError, match="1005 is no code"):
        WebSocketException(1005)
    with pytest.raises(ValueError, match="at most 123 bytes"):
        WebSocketException(1000, "x" * 124)


# Stopping


def test_a_stop_lets_handlers_clean_up(mode: str) -> None:
    app = Ziggurat()
    told: list[Any] = []

    @app.websocket("/", close_timeout=0.3)
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("open")
        try:
            await ws.receive()
        except WebSocketDisconnect as end:
            await asyncio.sleep(0.2)
            told.append((end.code, "cleaned up"))

    client = TestClient(app)
    ws = client.websocket_connect("/").__enter__()
    assert ws.receive_text() == "open"
    app.stop()
    assert told == [(1012, "cleaned up")]
    assert closed(ws) == (1012, "the server stops")
    client.close()


def test_a_client_that_closes_ends_its_sockets(mode: str) -> None:
    app = Ziggurat()
    told: list[int] = []

    @app.websocket("/")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive()
        except WebSocketDisconnect as end:
            told.append(end.code)

    with TestClient(app) as client:
        ws = client.websocket_connect("/").__enter__()
    assert told == [1001]
    assert closed(ws)[0] == 1001
    with pytest.raises(RuntimeError, match="is not open"):
        client.websocket_connect("/").receive()


def test_open_sockets_leave_room_for_requests(app: Ziggurat, client: Start) -> None:
    @app.websocket("/ws")
    async def chat(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send(await ws.receive())

    @app.get("/limit")
    async def limit() -> int:
        loop: Any = asyncio.get_running_loop()
        loop.in_flight_limit = 1
        await asyncio.sleep(0.01)
        return int(loop.in_flight)

    started = client()
    with (
        started.websocket_connect("/ws") as one,
        started.websocket_connect("/ws") as two,
        started.websocket_connect("/ws"),
    ):
        assert started.get("/limit").json() == 1
        assert started.get("/limit").json() == 1
        for ws in (one, two):
            ws.send_text("hello")
            assert ws.receive_text() == "hello"


# Routes


def test_other_methods_may_stand_at_the_same_path(app: Ziggurat, client: Start) -> None:
    @app.websocket("/both")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("socket")

    @app.get("/both")
    async def page() -> str:
        return "page"

    @app.websocket("/alone/{x}")
    async def alone_at_its_path(ws: WebSocket, x: str) -> None:
        await socket(ws)

    started = client()
    assert started.get("/both").text == "page"
    with started.websocket_connect("/both") as ws:
        assert ws.receive_text() == "socket"
    for answer in (started.get("/alone/1"), started.head("/alone/1")):
        assert answer.status_code == 426
        assert (answer.headers["upgrade"], answer.headers["sec-websocket-version"]) == ("websocket", "13")
        assert answer.headers["connection"] == "Upgrade"
    assert "ws://" in started.get("/alone/1").json()["detail"]
    assert started.post("/alone/1").status_code == 405
    assert refused(started, "/nowhere").status_code == 404
    assert refused(started, "/alone/%ff").status_code == 400
    [alone] = [route for route in app.routes if route.path == "/alone/{x}"]
    assert (alone.method, alone.kind, alone.enters_python) == ("WEBSOCKET", "python", True)
    assert {stack.method for stack in app.stack("/both")} == {"GET", "WEBSOCKET"}
    assert set(app.openapi()["paths"]) == {"/both"}
    assert set(app.openapi()["paths"]["/both"]) == {"get"}


def wrong(register: Callable[[Ziggurat], object], match: str) -> None:
    with pytest.raises(ConfigError, match=match) as raised:
        register(Ziggurat())
    assert __file__ in str(raised.value)


def test_mistakes_are_told_at_registration() -> None:
    async def good(ws: WebSocket) -> None: ...

    async def none(name: str) -> None: ...

    def blocking(ws: WebSocket) -> None: ...

    async def body(ws: WebSocket, item: dict[str, int]) -> None: ...

    async def request(ws: WebSocket, request: Request) -> None: ...

    async def two(ws: WebSocket, other: WebSocket) -> None: ...

    wrong(lambda app: app.websocket("/")(none), "takes no WebSocket; add ws: WebSocket to it")
    wrong(lambda app: app.websocket("/")(blocking), "not `async def`; write async def")
    wrong(lambda app: app.websocket("/")(body), "'item' is a body.*; receive it as a message")
    wrong(lambda app: app.websocket("/")(request), "'request' is the request.*; take it out")
    wrong(lambda app: app.websocket("/")(two), "'ws' and 'other' both are the WebSocket; keep one")
    wrong(
        lambda app: app.get("/")(good),
        "'ws' is a WebSocket, which no request of another kind gets; register the handler with @app.websocket",
    )
    wrong(lambda app: app.websocket("/{x}")(good), "parameter 'x' that the function does not take")
    for origin in ("app.example", "https://app.example/", "https://a:99999", "https://", "null"):
        wrong(lambda app, origin=origin: app.websocket("/", origins=[origin])(good), "is not an origin")  # type: ignore[misc]
    wrong(lambda app: app.websocket("/", subprotocols=["a b"])(good), "'a b' is not a subprotocol")
    for name in ("max_message_bytes", "max_queued_bytes"):
        for value in (0, -1, 1.5, True, None):
            wrong(
                lambda app, o={name: value}: app.websocket("/", **o)(good),  # type: ignore[misc, typeddict-item]
                f"{name} is .*; give a number of bytes",
            )
    for name in ("ping_interval", "ping_timeout", "send_timeout", "close_timeout"):
        for seconds in (0, -1, float("nan"), float("inf"), "1", True, *(() if name == "ping_interval" else (None,))):
            wrong(
                lambda app, o={name: seconds}: app.websocket("/", **o)(good),  # type: ignore[misc, typeddict-item]
                f"{name} is .*; give a number of seconds",
            )
    wrong(lambda app: app.websocket("/", auth=True)(good) and app.build(), "asks who the caller is")
    with pytest.raises(TypeError, match="unexpected keyword argument 'status'"):
        Ziggurat().websocket("/", status=200)  # type: ignore[call-arg]
    app = Ziggurat()
    app.websocket("/same")(good)
    app.websocket("/same")(good)
    with pytest.raises(ConfigError, match="WEBSOCKET /same is registered twice"):
        app.build()
