"""WebSockets on the wire: what other clients make of us, and what we make of broken ones."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ziggurat import WebSocket, WebSocketDisconnect, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

Address = tuple[str, int]
Serve = Callable[..., Address]

KEY = base64.b64encode(b"0123456789abcdef").decode()
HEAD = {
    "Host": "t",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture
def served(app: Ziggurat) -> Iterator[Serve]:
    """Serves the app once its routes are declared."""
    stack = contextlib.ExitStack()

    def start() -> Address:
        stack.enter_context(TestClient(app))
        address = app.build().listen("127.0.0.1", 0, "{}")
        stack.callback(app.build().drain)
        return address

    with stack:
        yield start


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A frame as a client sends it."""
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([(masked << 7) | size])
    elif size < 1 << 16:
        head += bytes([(masked << 7) | 126]) + struct.pack("!H", size)
    else:
        head += bytes([(masked << 7) | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Raw:
    """A client that sends what it is told to, byte by byte."""

    def __init__(self, address: Address, path: str = "/", head: dict[str, str] | None = None) -> None:
        self.socket = socket.create_connection(address, timeout=20)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (HEAD if head is None else head).items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        self.answer = b""
        while b"\r\n\r\n" not in self.answer:
            more = self.socket.recv(1)
            assert more, self.answer
            self.answer += more
        self.status = int(self.answer.split()[1])

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError(got)
            got += more
        return got

    def frame(self) -> tuple[int, bytes]:
        first, size = self.exactly(2)
        assert first & 0xF0 == 0x80 and size < 128, "a server sends whole frames without a mask"
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        return first & 0x0F, self.exactly(size)

    def close(self) -> tuple[int, str]:
        """The close frame that comes next, and nothing after it."""
        opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        self.ended()
        return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")

    def ended(self) -> None:
        assert self.socket.recv(1) == b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def echo(app: Ziggurat, path: str = "/", **options: Any) -> list[tuple[int, str]]:
    """A route that sends back what comes; gives how its sockets ended."""
    ends: list[tuple[int, str]] = []

    @app.websocket(path, **options)
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send(await ws.receive())
        except WebSocketDisconnect as end:
            ends.append((end.code, end.reason))

    return ends


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


# The handshake


def test_the_handshake_is_that_of_the_standard(app: Ziggurat, served: Serve) -> None:
    echo(app)
    with Raw(served()) as client:
        assert client.status == 101
        fields = dict(line.split(": ", 1) for line in client.answer.decode().lower().split("\r\n")[1:-2])
        proof = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        assert client.answer.lower().count(b"sec-websocket") == 1
        assert (fields["upgrade"], fields["connection"]) == ("websocket", "upgrade")
        assert fields["sec-websocket-accept"] == proof.decode().lower()
        client.send(frame(TEXT, b"hello"))
        assert client.frame() == (TEXT, b"hello")


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"Upgrade": None}, 426, "connect to it by ws://"),
        ({"Upgrade": "h2c"}, 426, "connect to it by ws://"),
        ({"Connection": "keep-alive"}, 400, '"header":"connection"'),
        ({"Sec-WebSocket-Version": None}, 426, "speaks version 13"),
        ({"Sec-WebSocket-Version": "8"}, 426, "speaks version 13"),
        ({"Sec-WebSocket-Key": None}, 400, '"header":"sec-websocket-key"'),
        ({"Sec-WebSocket-Key": "short"}, 400, '"header":"sec-websocket-key"'),
        ({"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()}, 400, '"header":"sec-websocket-key"'),
        ({"Sec-WebSocket-Key": None, "Connection": "close"}, 400, '"header":"connection"'),
        ({"Origin": "https://evil.example"}, 403, "pages of this origin"),
    ],
)
def test_what_is_no_handshake_is_answered(
    app: Ziggurat, served: Serve, change: dict[str, str | None], status: int, told: str
) -> None:
    echo(app)
    address = served()
    head = {name: value for name, value in {**HEAD, **change}.items() if value is not None}
    with Raw(address, head={**head, "Connection": f"{head['Connection']}"}) as client:
        assert client.status == status
        length = int(client.answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert told in client.exactly(length).decode()
        if status == 426:
            assert b"sec-websocket-version: 13\r\n" in client.answer.lower()


def test_a_refusal_leaves_the_connection_to_http(app: Ziggurat, served: Serve) -> None:
    echo(app)
    with Raw(served(), "/nowhere") as client:
        assert client.status == 404
        length = int(client.answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        client.exactly(length)
        client.socket.sendall(b"GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.exactly(12) == b"HTTP/1.1 404"


# Frames


def test_another_client_talks_to_it(app: Ziggurat, served: Serve) -> None:
    ends = echo(app, subprotocols=["b", "a"])
    address = served()
    with connect(f"ws://{address[0]}:{address[1]}/", subprotocols=["a", "b"], max_size=None) as client:  # type: ignore[list-item]
        assert client.subprotocol == "b"
        for size in (0, 1, 125, 126, 65535, 65536, 1024 * 1024):
            client.send("x" * size)
            assert client.recv() == "x" * size
            client.send(b"y" * size)
            assert client.recv() == b"y" * size
        client.send(["he", "ll", "o ", "ü"])
        assert client.recv() == "hello ü"
        assert client.ping(b"payload").wait(10)
        client.close(4321, "enough")
    until(lambda: ends == [(4321, "enough")])
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address[0]}:{address[1]}/nowhere")
    assert refused.value.response.status_code == 404


def test_control_frames_stand_between_fragments(app: Ziggurat, served: Serve) -> None:
    echo(app)
    with Raw(served()) as client:
        euro = "€".encode()
        client.send(frame(TEXT, b"a" + euro[:1], fin=False), frame(PING, b"p" * 125))
        assert client.frame() == (PONG, b"p" * 125)
        client.send(
            frame(0, euro[1:2], fin=False), frame(PONG, b"unasked"), frame(0, b"", fin=False), frame(0, euro[2:])
        )
        assert client.frame() == (TEXT, "a€".encode())
        for byte in frame(BINARY, bytes(range(256)) * 2):
            client.send(bytes([byte]))
        assert client.frame() == (BINARY, bytes(range(256)) * 2)
        client.send(frame(CLOSE))
        assert client.close() == (1005, "")


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param([frame(TEXT, b"x", rsv=4)], 1002, id="rsv1"),
        pytest.param([frame(TEXT, b"x", rsv=2)], 1002, id="rsv2"),
        pytest.param([frame(PING, b"x", rsv=1)], 1002, id="rsv3"),
        pytest.param([frame(TEXT, b"x", masked=False)], 1002, id="unmasked"),
        pytest.param([frame(CLOSE, masked=False)], 1002, id="unmasked-close"),
        pytest.param([frame(3, b"x")], 1002, id="reserved-opcode"),
        pytest.param([frame(11, b"x")], 1002, id="reserved-control"),
        pytest.param([frame(PING, b"x", fin=False)], 1002, id="fragmented-control"),
        pytest.param([frame(PING, b"x" * 126)], 1002, id="long-control"),
        pytest.param([frame(CLOSE, b"\x03\xe8" + b"x" * 124)], 1002, id="long-close"),
        pytest.param([frame(0, b"x")], 1002, id="continuation-of-nothing"),
        pytest.param([frame(TEXT, b"x", fin=False), frame(TEXT, b"y")], 1002, id="text-in-text"),
        pytest.param([frame(TEXT, b"\xff")], 1007, id="no-utf8"),
        pytest.param([frame(TEXT, b"\xed\xa0\x80")], 1007, id="surrogate"),
        pytest.param([frame(TEXT, b"\xe2\x82")], 1007, id="cut-utf8"),
        pytest.param([frame(TEXT, b"\xe2", fin=False), frame(0, b"\x28\xa1")], 1007, id="split-no-utf8"),
        pytest.param([frame(TEXT, b"\xe2\x82", fin=False), frame(0, b"")], 1007, id="split-cut-utf8"),
        pytest.param([frame(BINARY, b"x" * 1001)], 1009, id="long"),
        pytest.param([bytes([0x82, 0xFF]) + struct.pack("!Q", 1 << 62)], 1009, id="endless"),
        pytest.param([frame(BINARY, b"x" * 500, fin=False), frame(0, b"x" * 501)], 1009, id="long-in-parts"),
        pytest.param(
            [frame(TEXT, b"x" * 10, fin=False)] + [frame(0, b"x" * 10, fin=False)] * 200, 1009, id="many-parts"
        ),
        pytest.param([frame(CLOSE, b"x")], 1002, id="half-a-code"),
        pytest.param([closing(1000, b"\xff")], 1007, id="reason-no-utf8"),
        *(
            pytest.param([closing(bad)], 1002, id=str(bad))
            for bad in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)
        ),
    ],
)
def test_mistakes_of_clients_close_the_socket(
    app: Ziggurat, served: Serve, caplog: pytest.LogCaptureFixture, sent: list[bytes], code: int
) -> None:
    ends = echo(app, max_message_bytes=1000)
    with caplog.at_level(logging.WARNING), Raw(served()) as client:
        client.send(frame(TEXT, b"good"))
        assert client.frame() == (TEXT, b"good")
        client.send(*sent)
        # What a client had on its way does not keep it from learning why.
        with contextlib.suppress(OSError):
            client.send(frame(TEXT, b"more"))
        assert client.close()[0] == code
        until(lambda: [end[0] for end in ends] == [code])
    assert not caplog.records


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1013, 3000, 4999])
def test_codes_of_clients_are_handed_on(app: Ziggurat, served: Serve, code: int) -> None:
    ends = echo(app)
    with Raw(served()) as client:
        client.send(closing(code, "ü".encode()), frame(TEXT, b"too late"))
        assert client.close() == (code, "ü")
        until(lambda: ends == [(code, "ü")])


@pytest.mark.parametrize("how", ["half", "closed", "reset"])
def test_connections_that_break_are_told_of(app: Ziggurat, served: Serve, how: str) -> None:
    ends = echo(app)
    with Raw(served()) as client:
        client.send(frame(TEXT, b"x", fin=False))
        if how == "half":
            client.socket.shutdown(socket.SHUT_WR)
            client.ended()
        elif how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
        else:
            client.socket.close()
        until(lambda: [end[0] for end in ends] == [1006])


def test_a_client_that_closes_while_it_is_sent_to_has_said_so(app: Ziggurat, served: Serve) -> None:
    codes: list[int] = []

    @app.websocket("/")
    async def talk(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text("x" * 1000)
                await asyncio.sleep(0)
        except WebSocketDisconnect as end:
            codes.append(end.code)

    address = served()
    for count in range(1, 6):
        with Raw(address) as client:
            client.frame()
            client.send(closing(1001))
            client.socket.shutdown(socket.SHUT_RDWR)
            until(lambda count=count: len(codes) == count)  # type: ignore[misc]
    assert set(codes) == {1001}


# Times


def test_silent_clients_are_asked_and_let_go(app: Ziggurat, served: Serve) -> None:
    ends = echo(app, ping_interval=0.1, ping_timeout=0.2)
    address = served()
    with connect(f"ws://{address[0]}:{address[1]}/") as there, Raw(address) as gone:
        assert gone.frame() == (PING, b"")
        begun = time.monotonic()
        gone.ended()
        assert time.monotonic() - begun < 5
        until(lambda: ends == [(1006, "the client did not answer a ping")])
        time.sleep(0.5)
        there.send("still here")
        assert there.recv() == "still here"
    with Raw(address) as talks:
        # Whatever comes shows that somebody is there.
        for _ in range(8):
            talks.send(frame(TEXT, b"x"))
            time.sleep(0.08)
    until(lambda: len(ends) == 3)
    assert ends[-1] == (1006, "the connection broke")


def test_a_handler_that_is_behind_is_no_silent_client(app: Ziggurat, served: Serve) -> None:
    got: list[str] = []

    @app.websocket("/", ping_interval=0.1, ping_timeout=0.1)
    async def late(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(0.8)
        got.extend([message async for message in ws.iter_text()])

    address = served()
    with connect(f"ws://{address[0]}:{address[1]}/") as client:
        for number in range(500):
            client.send(str(number))
    until(lambda: len(got) == 500)
    assert got == [str(number) for number in range(500)]


def test_a_close_that_is_not_answered_ends_in_time(app: Ziggurat, served: Serve) -> None:
    @app.websocket("/", close_timeout=0.2)
    async def bye(ws: WebSocket) -> None:
        await ws.accept()

    with Raw(served()) as client:
        begun = time.monotonic()
        assert client.close() == (1000, "")
        assert 0.1 < time.monotonic() - begun < 5


def test_a_close_that_is_answered_keeps_nobody_waiting(app: Ziggurat, served: Serve) -> None:
    @app.websocket("/", close_timeout=60)
    async def bye(ws: WebSocket) -> None:
        await ws.accept()

    with Raw(served()) as client:
        assert client.frame() == (CLOSE, b"\x03\xe8")
        client.send(frame(TEXT, b"still talking"), closing(1000))
        client.ended()


def test_a_slow_client_holds_the_sender_up_and_is_let_go(app: Ziggurat, served: Serve) -> None:
    sent: list[int] = []
    ends: list[tuple[int, str]] = []

    @app.websocket("/", max_queued_bytes=100_000, send_timeout=3.0)
    async def flood(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_bytes(b"x" * 10_000)
                sent.append(10_000)
        except WebSocketDisconnect as end:
            ends.append((end.code, end.reason))

    with Raw(served()) as client:
        client.frame()
        until(lambda: len(sent) > 10)
        time.sleep(0.4)
        held_up = len(sent)
        time.sleep(0.2)
        assert len(sent) == held_up
        # What the system keeps, and what the route lets wait.
        assert sum(sent) < 20_000_000
        for _ in range(held_up):
            client.frame()
        until(lambda: len(sent) > held_up + 20)
        until(lambda: ends == [(1008, "the client does not read")])


def test_a_slow_handler_holds_the_client_up(app: Ziggurat, served: Serve) -> None:
    go = threading.Event()
    got: list[int] = []

    @app.websocket("/")
    async def slow(ws: WebSocket) -> None:
        await ws.accept()
        while not go.is_set():
            await asyncio.sleep(0.01)
        async for message in ws.iter_bytes():
            got.append(len(message))

    with Raw(served()) as client:
        client.socket.settimeout(0.5)
        message = frame(BINARY, b"x" * 100_000)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1000:
                client.socket.sendall(message)
                sent += 1
        assert sent < 200
        go.set()
        until(lambda: len(got) >= sent)


# Stopping


def test_a_drain_counts_each_socket() -> None:
    # One that is closed at once was in flight, too.
    for _ in range(20):
        app = Ziggurat()
        echo(app)
        with TestClient(app), contextlib.ExitStack() as stack:
            host, port = app.build().listen("127.0.0.1", 0, "{}")
            clients = [stack.enter_context(connect(f"ws://{host}:{port}/")) for _ in range(10)]
            for client in clients:
                client.send("x")
                assert client.recv() == "x"
            assert app.build().drain() == (10, 0)


def test_a_drain_closes_with_1012(app: Ziggurat, served: Serve) -> None:
    ends = echo(app)
    address = served()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(f"ws://{address[0]}:{address[1]}/")) for _ in range(5)]
        for client in clients:
            client.send("x")
            assert client.recv() == "x"
        assert app.build().drain() == (5, 0)
        for client in clients:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "the server stops")
    until(lambda: len(ends) == 5)
    assert set(ends) == {(1012, "the server stops")}


PROGRAM = """
import asyncio
from ziggurat import WebSocket, WebSocketDisconnect, Ziggurat

app = Ziggurat()

@app.websocket("/{kind}")
async def handler(ws: WebSocket, kind: str) -> None:
    await ws.accept()
    await ws.send_text("open")
    try:
        await ws.receive()
    except WebSocketDisconnect as end:
        print("told", end.code, flush=True)
        try:
            await asyncio.sleep(0.2 if kind == "good" else 600)
            print("cleaned up", flush=True)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise

app.run(drain_timeout=1.0)
"""


@pytest.mark.parametrize(("kind", "word"), [("good", "cleaned up"), ("stubborn", "cancelled")])
def test_a_run_that_stops_gives_time_to_clean_up(
    tmp_path: Path, serve: Callable[..., Any], kind: str, word: str
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    running = serve("program.py")
    address = urlsplit(running.url)
    with connect(f"ws://{address.netloc}/{kind}") as client:
        assert client.recv() == "open"
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.close_code == 1012
    # A second signal would end what is given time.
    assert running.process.wait(timeout=40) == 0
    output = running.output()
    assert "told 1012" in output and word in output
    assert ("did not end in time" in output) == (kind == "stubborn")


# The rest of the server


def test_requests_of_a_stack_with_all_that_touches_bodies(served: Serve, mode: str) -> None:
    app = Ziggurat(
        layers=[
            layers.Trace(),
            layers.Timeout(seconds=2, total=0.3),
            layers.Compression(),
            layers.Etag(),
            layers.Cache(),
            layers.SecurityHeaders(),
        ]
    )
    echo(app)

    @app.get("/")
    async def page() -> str:
        return "page"

    with TestClient(app) as http:
        assert http.get("/").text == "page"
        address = app.build().listen("127.0.0.1", 0, "{}")
        with connect(f"ws://{address[0]}:{address[1]}/") as client:
            time.sleep(0.6)
            client.send("x" * 5000)
            assert client.recv() == "x" * 5000
        app.build().drain()


def test_sockets_count_as_connections(app: Ziggurat, served: Serve) -> None:
    echo(app)
    served()
    address = app.build().listen("127.0.0.1", 0, '{"max_connections": 1}')
    with connect(f"ws://{address[0]}:{address[1]}/") as client:
        with Raw(address) as second:
            assert second.status == 503
        client.send("first")
        assert client.recv() == "first"


class Http2:
    """A WebSocket over a stream of HTTP/2 (RFC 8441)."""

    def __init__(self, address: Address, path: str, protocol: str = "websocket", **headers: str) -> None:
        self.socket = socket.create_connection(address, timeout=20)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.data = b""
        self.ended = False
        self.status: int | None = None
        self.flush()
        settings = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
        self.wait(lambda: self.connection.remote_settings.get(settings) == 1)
        fields = [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", "http"),
            (":authority", "t"),
            (":path", path),
            ("sec-websocket-version", "13"),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        self.stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(self.stream, fields)
        self.flush()
        self.wait(lambda: self.status is not None)

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            got = self.socket.recv(65536)
            assert got, "the connection ended"
            for event in self.connection.receive_data(got):
                if isinstance(event, h2.events.ResponseReceived):
                    self.fields = dict(event.headers)
                    self.status = int(self.fields[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    self.data += event.data
                    self.connection.acknowledge_received_data(event.flow_controlled_length, self.stream)
                elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    self.ended = True
            self.flush()

    def send(self, data: bytes) -> None:
        self.connection.send_data(self.stream, data)
        self.flush()

    def exactly(self, count: int) -> bytes:
        self.wait(lambda: len(self.data) >= count)
        got, self.data = self.data[:count], self.data[count:]
        return got


def test_a_stream_of_http2_is_a_socket(app: Ziggurat, served: Serve) -> None:
    ends = echo(app, subprotocols=["chat"])
    address = served()
    client = Http2(address, "/", sec_websocket_protocol="chat")
    assert client.status == 200
    assert client.fields["sec-websocket-protocol"] == "chat"
    assert not {"upgrade", "connection", "sec-websocket-accept"} & set(client.fields)
    client.send(frame(TEXT, b"hello"))
    assert client.exactly(7) == b"\x81\x05hello"
    client.send(closing(1000))
    assert client.exactly(4) == b"\x88\x02\x03\xe8"
    client.wait(lambda: client.ended)
    until(lambda: ends == [(1000, "")])
    client.socket.close()


def test_streams_of_http2_are_refused_too(app: Ziggurat, served: Serve) -> None:
    echo(app)
    address = served()
    for path, protocol, headers, status in (
        ("/nowhere", "websocket", {}, 404),
        ("/", "connect-udp", {}, 405),
        ("/", "websocket", {"origin": "https://evil.example"}, 403),
    ):
        client = Http2(address, path, protocol, **headers)
        assert client.status == status
        client.socket.close()
