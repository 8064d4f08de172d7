"""Server-sent events."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from helpers import listening, read_until, until
from pydantic import BaseModel

from ziggurat import EventSourceResponse, EventStream, Request, ServerSentEvent, Ziggurat, layers
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


class Item(BaseModel):
    name: str


class SecretItem(Item):
    secret: str = "secret"


def ask(address: tuple[str, int], path: str, *headers: str) -> socket.socket:
    connection = socket.create_connection(address, timeout=20)
    lines = [f"GET {path} HTTP/1.1", "host: a", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def parsed(text: str) -> list[dict[str, str]]:
    """As the HTML standard has it (9.2.6)."""
    events: list[dict[str, str]] = []
    data: list[str] = []
    event: dict[str, str] = {}
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                events.append({**event, "data": "\n".join(data)})
            data, event = [], {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name:
            event[name] = value
    return events


def test_events_of_every_kind() -> None:
    app = Ziggurat()

    @app.get("/events")
    async def events(request: Request) -> AsyncIterator[ServerSentEvent]:
        assert request.headers.get("last-event-id") == "41"
        yield ServerSentEvent("plain")
        yield ServerSentEvent("two\nlines\r\nand\rmore\n", event="text", id="42", retry=1500)
        yield ServerSentEvent({"a": "x\ny"}, comment="for\npeople")
        yield ServerSentEvent(id="43")
        yield ServerSentEvent("")

    @app.get("/data")
    async def data() -> EventStream[Item]:
        yield Item(name="a")
        yield SecretItem(name="b")
        yield ServerSentEvent("end", event="end")  # type: ignore[misc]

    @app.get("/sync")
    def sync() -> Iterator[ServerSentEvent]:
        yield ServerSentEvent("from a thread")

    @app.get("/response")
    async def response() -> EventSourceResponse:
        async def generate() -> AsyncIterator[Any]:
            yield "text"
            yield {"a": 1}
            yield ServerSentEvent(3, event="number")

        return EventSourceResponse(generate(), headers={"x-a": "b"})

    with TestClient(app) as client:
        answer = client.get("/events", headers={"last-event-id": "41"})
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert parsed(answer.text) == [
            {"data": "plain"},
            {"data": "two\nlines\nand\nmore\n", "event": "text", "id": "42", "retry": "1500"},
            {"data": '{"a":"x\\ny"}'},
            {"data": ""},
        ]
        assert ": for\n: people\n" in answer.text
        assert "id: 43\n\n" in answer.text
        assert parsed(client.get("/data").text) == [
            {"data": '{"name":"a"}'},
            {"data": '{"name":"b"}'},
            {"event": "end", "data": "end"},
        ]
        assert parsed(client.get("/sync").text) == [{"data": "from a thread"}]
        answer = client.get("/response")
        assert (answer.headers["x-a"], answer.headers["cache-control"]) == ("b", "no-store")
        assert parsed(answer.text) == [{"data": "text"}, {"data": '{"a":1}'}, {"event": "number", "data": "3"}]


def test_an_event_cannot_say_more_than_it_says() -> None:
    for wrong in [
        {"event": "a\nb"},
        {"event": "a\rb"},
        {"id": "a\nb"},
        {"id": "a\r"},
        {"id": "a\x00"},
    ]:
        with pytest.raises(ValueError, match="has a line break or NUL"):
            ServerSentEvent("x", **wrong)
    for retry in (-1, 1.5, "3"):
        with pytest.raises((OverflowError, TypeError)):
            ServerSentEvent("x", retry=retry)  # type: ignore[arg-type]
    event = ServerSentEvent("x", event="a", id="1", retry=3, comment="c")
    assert (event.data, event.event, event.id, event.retry, event.comment) == ("x", "a", "1", 3, "c")
    for keep_alive in (0, -1.0):
        with pytest.raises(ValueError, match="keep_alive"):
            EventSourceResponse(iter(()), keep_alive=keep_alive)


def test_the_head_is_sent_at_once_and_silence_is_filled() -> None:
    app = Ziggurat()
    go_on = threading.Event()

    @app.get("/")
    async def root() -> EventSourceResponse:
        async def generate() -> AsyncIterator[str]:
            await asyncio.to_thread(go_on.wait, 10)
            yield "at last"

        return EventSourceResponse(generate(), keep_alive=0.05)

    with listening(app) as address, ask(address, "/") as connection:
        read = read_until(connection, b":\n\n")
        assert read.startswith(b"HTTP/1.1 200")
        before = app.attach_counts()
        for _ in range(3):
            read_until(connection, b":\n\n")
        # Comments are Rust's own.
        assert app.attach_counts() == before
        go_on.set()
        assert b"data: at last\n\n" in read_until(connection, b"0\r\n\r\n")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "identity"])
def test_events_arrive_one_by_one_through_every_layer(coding: str) -> None:
    app = Ziggurat(
        layers=[
            layers.CatchPanic(),
            layers.RequestId(),
            layers.Timeout(seconds=60),
            layers.Compression(),
            layers.Etag(),
            layers.BodyLimit(),
        ]
    )
    taken: asyncio.Queue[None] = asyncio.Queue()
    loops: list[asyncio.AbstractEventLoop] = []

    @app.get("/")
    async def root() -> AsyncIterator[ServerSentEvent]:
        loops.append(asyncio.get_running_loop())
        for number in range(3):
            yield ServerSentEvent(f"event {number}")
            await taken.get()

    with listening(app) as address, ask(address, "/", f"accept-encoding: {coding}") as connection:
        read = read_until(connection, b"\r\n\r\n")
        if coding == "identity":
            for number in range(3):
                while f"event {number}".encode() not in read:
                    read += connection.recv(65536)
                loops[0].call_soon_threadsafe(taken.put_nowait, None)
        else:
            assert f"content-encoding: {coding}".encode() in read
            _, _, body = read.partition(b"\r\n\r\n")
            for _ in range(3):
                # Each is sent before the next one is made.
                while not body:
                    body = connection.recv(65536)
                assert body
                body = b""
                loops[0].call_soon_threadsafe(taken.put_nowait, None)


def test_gzip_gives_each_event_by_itself() -> None:
    app = Ziggurat(layers=[layers.Compression()])

    @app.get("/")
    async def root() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent("first")
        await asyncio.sleep(0.2)
        yield ServerSentEvent("second")

    with listening(app) as address, ask(address, "/", "accept-encoding: gzip", "connection: close") as connection:
        read = read_until(connection, b"\r\n\r\n")
        body = read.partition(b"\r\n\r\n")[2]
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        text = b""
        while b"first" not in text:
            while b"\r\n" not in body or len(body.split(b"\r\n", 1)[1]) < int(body.split(b"\r\n", 1)[0], 16) + 2:
                body += connection.recv(65536)
            size, _, rest = body.partition(b"\r\n")
            text += decoder.decompress(rest[: int(size, 16)])
            body = rest[int(size, 16) + 2 :]
        assert b"second" not in text


def test_an_exception_ends_the_connection_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()

    @app.get("/")
    async def root() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent("first")
        await asyncio.sleep(0.1)
        raise RuntimeError("in the midst")

    with caplog.at_level(logging.ERROR, logger="ziggurat"), listening(app) as address, ask(address, "/") as connection:
        read = b""
        while more := connection.recv(65536):
            read += more
    assert b"first" in read and not read.endswith(b"0\r\n\r\n")
    assert len(caplog.records) == 1 and "in the midst" in caplog.text


def test_clients_that_go_close_their_generators_and_many_cost_no_threads() -> None:
    app = Ziggurat()
    running: set[int] = set()

    @app.get("/{number}")
    async def root(number: int) -> AsyncIterator[ServerSentEvent]:
        running.add(number)
        try:
            yield ServerSentEvent("hello")
            await asyncio.Event().wait()
        finally:
            running.discard(number)

    with listening(app) as address, ExitStack() as clients:
        with ask(address, "/0") as first:
            read_until(first, b"hello")
        until(lambda: not running)
        threads = len(os.listdir("/proc/self/task"))
        connections = [clients.enter_context(ask(address, f"/{number}")) for number in range(300)]
        for connection in connections:
            read_until(connection, b"hello")
        assert len(running) == 300
        # Those of the runtime come and go.
        assert len(os.listdir("/proc/self/task")) < threads + 10
        clients.close()
        until(lambda: not running)


def test_they_end_when_the_app_stops() -> None:
    app = Ziggurat()
    ended: list[str] = []

    @app.get("/")
    async def root() -> AsyncIterator[ServerSentEvent]:
        try:
            yield ServerSentEvent("hello")
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    with TestClient(app):
        for _ in range(2):
            # The app may serve again.
            address = app.build().listen("127.0.0.1", 0, "{}")
            with ask(address, "/") as connection:
                read_until(connection, b"hello")
                begun = time.monotonic()
                app.build().drain()
                assert time.monotonic() - begun < 5
                assert connection.recv(65536).endswith(b"0\r\n\r\n")
            app.stop()
            app.start()
    assert ended == ["closed", "closed"]
