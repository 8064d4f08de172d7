"""Bodies in pieces: from Python iterators, and through middleware."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from helpers import listening, until

from ziggurat import HTTPException, Model, Request, Response, Ziggurat, layers
from ziggurat._streaming import pump
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

Middleware = Callable[[Request, Any], Any]


@contextmanager
def connected(app: Ziggurat) -> Iterator[socket.socket]:
    """A connection to the app."""
    with listening(app) as address, socket.create_connection(address, timeout=20) as connection:
        yield connection


def test_iterators_of_every_kind_are_sent() -> None:
    app = Ziggurat()

    async def generated() -> AsyncIterator[bytes | str]:
        yield b"one "
        await asyncio.sleep(0)
        yield ""
        yield "zwei "
        yield bytearray(b"three")

    @app.get("/generator")
    async def generator() -> Response:
        return Response(200, {"x-kind": "generator"}, generated(), media_type="text/plain")

    @app.get("/threads")
    def on_threads() -> Response:
        here = threading.get_ident()
        return Response(body=(b"elsewhere" if threading.get_ident() != here else b"here" for _ in range(2)))

    class Countdown:
        def __init__(self) -> None:
            self.left = 3

        def __aiter__(self) -> Countdown:
            return self

        async def __anext__(self) -> memoryview:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return memoryview(str(self.left).encode())

    @app.get("/object", status=203)
    async def of_an_object() -> Response:
        return Response(body=Countdown())

    @app.get("/empty")
    async def empty() -> Response:
        return Response(204, body=generated())

    with TestClient(app) as client:
        answer = client.get("/generator")
        assert (answer.content, answer.headers["x-kind"]) == (b"one zwei three", "generator")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert "content-length" not in answer.headers
        assert client.get("/threads").text == "elsewhereelsewhere"
        assert client.get("/object").text == "210"
        assert client.head("/generator").content == b""
        assert client.get("/empty").content == b""


def test_context_variables_and_the_order_of_chunks(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def chunks() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{variable.get()} {number}\n"

    @app.get("/")
    async def root() -> Response:
        variable.set("handler")
        return Response(body=chunks())

    with TestClient(app) as client:
        assert client.get("/").text.splitlines() == [f"handler {number}" for number in range(1000)]


def test_a_client_that_reads_slowly_holds_the_iterator_up() -> None:
    app = Ziggurat()
    yielded: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yielded.append(1)
            yield bytes(65536)

    @app.get("/")
    async def root() -> Response:
        return Response(body=endless())

    with connected(app) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        until(lambda: bool(yielded))
        before = -1
        while before != len(yielded):
            before = len(yielded)
            time.sleep(0.2)
        # 64 KiB each: what the kernel and the queue take, and no more.
        assert before < 300
        for _ in range(50):
            connection.recv(1 << 20)
        until(lambda: len(yielded) > before)


def test_an_iterator_that_never_waits_leaves_room_for_others() -> None:
    class Roomy:
        """Never full, as when the client is as fast."""

        def put(self, chunk: object) -> None:
            return None

    async def many() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b"x"

    async def main() -> int:
        pumping = asyncio.ensure_future(pump(many(), Roomy()))
        turns = 0
        while not pumping.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(main()) > 50


@pytest.mark.parametrize("waits", [True, False])
def test_the_iterator_is_closed_when_the_client_goes(waits: bool) -> None:
    app = Ziggurat()
    begun = threading.Event()
    closed: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        begun.set()
        try:
            while True:
                if waits:
                    await asyncio.sleep(0.001)
                yield b"x" * 1000
        except asyncio.CancelledError:
            closed.append("cancelled")
            raise
        finally:
            closed.append("closed")

    @app.get("/")
    async def root() -> Response:
        return Response(body=endless())

    with connected(app) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert begun.wait(10)
        connection.close()
        until(lambda: "closed" in closed)
        assert closed in (["closed"], ["cancelled", "closed"])


def test_a_plain_iterator_is_closed_when_the_client_goes() -> None:
    app = Ziggurat()
    begun, closed = threading.Event(), threading.Event()

    def endless() -> Iterator[bytes]:
        begun.set()
        try:
            while True:
                time.sleep(0.01)
                yield b"x" * 1000
        finally:
            closed.set()

    @app.get("/")
    async def root() -> Response:
        return Response(body=endless())

    with connected(app) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert begun.wait(10)
        connection.close()
        assert closed.wait(10)


@pytest.mark.parametrize(
    ("chunk", "told"),
    [
        (ValueError("spilled"), "spilled"),
        (HTTPException(404, "too late"), "too late"),
        (5, "a body was given int as a chunk; yield bytes or str"),
    ],
)
def test_a_failure_ends_the_connection_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, chunk: Any, told: str
) -> None:
    app = Ziggurat()

    async def fails() -> AsyncIterator[bytes]:
        yield b"begun"
        # What fails at once may do so before anything was sent.
        await asyncio.sleep(0.05)
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk

    @app.get("/")
    async def root() -> Response:
        return Response(body=fails())

    with caplog.at_level(logging.ERROR, logger="ziggurat"), connected(app) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"begun" in answer and not answer.endswith(b"0\r\n\r\n")
    assert [record.message for record in caplog.records] == ["a body raised an exception while it was sent"]
    assert told in caplog.text


def test_generators_are_not_answers_by_themselves(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()

    @app.get("/")
    async def root() -> Any:
        return (number for number in range(3))

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert client.get("/").status_code == 500
    assert "which is sent in pieces only as Response(body=...)" in caplog.text


def test_a_middleware_wraps_a_body_chunk_by_chunk() -> None:
    class Row(Model):
        id: int
        text: str

    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Row, client_id=True, ops={"create", "get", "export"})(type("Rows", (), {}))
    seen: list[int] = []

    async def source() -> AsyncIterator[str]:
        for number in range(3):
            yield f"chunk {number};"

    @app.get("/stream")
    async def stream() -> Response:
        return Response(200, {"etag": '"old"'}, source())

    async def upper(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            seen.append(len(chunk))
            yield chunk.upper()

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        if "x-unchanged" in request.headers:
            response.body_iterator = response.body_iterator
        else:
            response.body_iterator = upper(response.body_iterator)
        return response

    @app.middleware
    async def inner(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-inner"] = "yes"
        return response

    with TestClient(app) as client:
        answer = client.get("/stream")
        assert (answer.text, seen) == ("CHUNK 0;CHUNK 1;CHUNK 2;", [8, 8, 8])
        assert answer.headers["x-inner"] == "yes"
        # What was tagged and counted is another body.
        assert "etag" not in answer.headers and "content-length" not in answer.headers
        assert client.get("/stream", headers={"x-unchanged": "1"}).headers["etag"] == '"old"'
        for number in (1, 2):
            assert client.post("/row", json={"id": number, "text": "abc"}).status_code == 201
        assert client.get("/row/1").text == '{"ID":1,"TEXT":"ABC"}'
        assert client.get("/row/_export").text.splitlines() == ['{"ID":1,"TEXT":"ABC"}', '{"ID":2,"TEXT":"ABC"}']
        assert client.get("/row/1", headers={"x-unchanged": "1"}).text == '{"id":1,"text":"abc"}'


def test_the_body_of_an_answer_has_one_owner(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()
    told: list[str] = []

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.01)
        yield b"b"

    @app.get("/")
    async def root() -> Response:
        return Response(body=source())

    @app.middleware
    async def takes(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        with pytest.raises(RuntimeError, match="comes in pieces; iterate over body_iterator"):
            _ = response.body
        chunks = response.body_iterator
        for take in (lambda: response.body_iterator, lambda: response.body):
            with pytest.raises(RuntimeError, match="the body of this response was taken"):
                take()
        if "lost" in request.query:
            return response
        told.append((await anext(chunks)).decode())
        second = anext(chunks)
        with pytest.raises(RuntimeError, match="the next chunk is awaited already"):
            await anext(chunks)
        told.append((await second).decode())
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        with pytest.raises(TypeError, match="body_iterator was set to int"):
            response.body_iterator = 3  # type: ignore[assignment]
        response.body = "instead"
        return response

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert client.get("/").text == "instead"
        assert client.get("/?lost").status_code == 500
    assert told == ["a", "b"]
    assert "the body of this response was taken, and a stream is sent once" in caplog.text


def test_letting_go_of_a_body_closes_what_yields_it() -> None:
    app = Ziggurat()
    closed = threading.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    @app.get("/")
    async def root() -> Response:
        return Response(body=source())

    @app.middleware
    async def early(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        chunks = response.body_iterator
        first = await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        return Response(body=first)

    with TestClient(app) as client:
        assert client.get("/").content == b"x"
        assert closed.wait(10)


def test_a_body_that_is_never_sent_is_let_go_of() -> None:
    app = Ziggurat()
    refs: list[weakref.ref[Any]] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("nobody asked for it")

    @app.get("/")
    async def root() -> Response:
        source = Source()
        refs.append(weakref.ref(source))
        return Response(body=source)

    with TestClient(app) as client:
        for _ in range(5):
            assert client.head("/").status_code == 200

        def is_gone() -> bool:
            gc.collect()
            return all(ref() is None for ref in refs)

        until(is_gone)


def test_compression_flushes_each_chunk() -> None:
    app = Ziggurat(layers=[layers.Compression(algorithms=["gzip"], min_size=0)])
    go_on = threading.Event()

    async def source() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await asyncio.to_thread(go_on.wait, 10)
        yield "data: second\n\n"

    @app.get("/")
    async def root() -> Response:
        return Response(body=source(), media_type="text/event-stream")

    with connected(app) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 20:
            answer += connection.recv(65536)
        assert b"content-encoding: gzip" in answer
        go_on.set()
        while not answer.endswith(b"0\r\n\r\n"):
            answer += connection.recv(65536)
