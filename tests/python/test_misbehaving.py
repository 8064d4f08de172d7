"""Handlers that do what they must not: each is one answer and one line in the log that says where, and the next request is served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from helpers import listening, read_until, until

from ziggurat import (
    BackgroundTask,
    BackgroundTasks,
    Depends,
    HTTPException,
    Request,
    Response,
    ServerSentEvent,
    Ziggurat,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Odd:
    """What nobody can send."""


async def fetched() -> int:
    return 1


def line_of(function: Any) -> str:
    return f"{__file__}:{function.__code__.co_firstlineno}"


Case = Callable[[Ziggurat], tuple[Any, str]]


def unsupported(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def gives_odd() -> Any:
        return Odd()

    return gives_odd, "test_misbehaving.Odd cannot be answered as JSON; make a dict, list"


def unsupported_in_a_thread(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    def gives_odd_inside() -> Any:
        return {"a": [Odd()]}

    return gives_odd_inside, "test_misbehaving.Odd cannot be answered as JSON"


def coroutine(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    def gives_coroutine() -> Any:
        return fetched()

    return (
        gives_coroutine,
        "an awaitable that was not awaited: fetched(...); write `return await ...` in an `async def`",
    )


def coroutine_of_coroutine(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def gives_coroutine_too() -> Any:
        return fetched()

    return gives_coroutine_too, "an awaitable that was not awaited: fetched(...)"


def declared_otherwise(app: Ziggurat) -> tuple[Any, str]:
    from pydantic import BaseModel

    class Item(BaseModel):
        id: int

    @app.get("/", response_model=Item)
    async def gives_text() -> Any:
        return {"id": "x"}

    return gives_text, "which is not the Item that it declares: id: Input should be a valid integer"


def exit_in_a_handler(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def exits() -> Any:
        raise SystemExit(3)

    return exits, "SystemExit: 3"


def stream_sent_twice(app: Ziggurat) -> tuple[Any, str]:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    kept = Response(body=chunks())

    @app.get("/first")
    async def first() -> Response:
        return kept

    @app.get("/")
    async def second() -> Response:
        return kept

    return second, "the body of this response was taken, and a stream is sent once"


def header_with_a_line_break(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def splits() -> Response:
        return Response(200, {"x-name": "a\r\nset-cookie: b=c"})

    return splits, "x-name"


def header_set_later(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def splits_later(response: Response) -> int:
        response.headers["x-name"] = "a\nb"
        return 1

    return splits_later, "x-name"


def status_out_of_range(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def dials() -> Response:
        return Response(999)

    return dials, "999 is not the status of an answer; use 200 to 599"


def an_exception_with_no_status(app: Ziggurat) -> tuple[Any, str]:
    @app.get("/")
    async def raises_nonsense() -> None:
        raise HTTPException(200)

    return raises_nonsense, "200"


def a_broken_exception(app: Ziggurat) -> tuple[Any, str]:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @app.get("/")
    async def raises_broken() -> None:
        raise Broken

    return raises_broken, "Broken"


CASES: list[Case] = [
    unsupported,
    unsupported_in_a_thread,
    coroutine,
    coroutine_of_coroutine,
    declared_otherwise,
    exit_in_a_handler,
    stream_sent_twice,
    header_with_a_line_break,
    header_set_later,
    status_out_of_range,
    an_exception_with_no_status,
    a_broken_exception,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_it_is_a_500_and_one_line_of_the_log(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat(openapi_path=None)
    handler, words = case(app)

    @app.get("/ok")
    async def ok() -> int:
        return 1

    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        if case is stream_sent_twice:
            assert client.get("/first").content == b"x"
        answer = client.get("/")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert words not in answer.text and "Traceback" not in answer.text
        assert client.get("/ok").json() == 1
    assert len(caplog.records) == 1, caplog.text
    assert handler.__name__ in caplog.records[0].getMessage()
    assert words in caplog.text
    # The line of what raised it, or of the handler.
    first = handler.__code__.co_firstlineno
    places = [f'{__file__}", line {line}' for line in range(first, first + 4)] + [line_of(handler)]
    assert any(place in caplog.text for place in places), caplog.text
    gc.collect()


@pytest.mark.parametrize("kind", ["chunks", "lines", "events"])
def test_what_cannot_be_sent_of_a_body_in_pieces_says_where_it_was_yielded(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Ziggurat(openapi_path=None)

    async def pieces() -> AsyncIterator[Any]:
        yield b"begun" if kind == "chunks" else {"a": "begun"}
        await asyncio.sleep(0.05)
        yield 5 if kind == "chunks" else {"a": Odd()}  # this one

    if kind == "chunks":

        @app.get("/")
        async def chunks() -> AsyncIterator[bytes]:
            async for piece in pieces():
                yield piece  # this one

    elif kind == "lines":

        @app.get("/")
        async def lines() -> AsyncIterator[dict[str, Any]]:
            async for piece in pieces():
                yield piece

    else:

        @app.get("/")
        async def events() -> AsyncIterator[ServerSentEvent]:
            async for piece in pieces():
                yield ServerSentEvent(data=piece)

    @app.get("/ok")
    async def ok() -> int:
        return 1

    with listening(app) as address, caplog.at_level(logging.WARNING):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = read_until(connection, b"begun")
            answer += b"".join(iter(lambda: connection.recv(65536), b""))
        assert not answer.endswith(b"0\r\n\r\n")
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" in read_until(connection, b"\r\n\r\n")
    assert len(caplog.records) == 1, caplog.text
    assert f"{kind}" in caplog.text and __file__ in caplog.text
    if kind != "events":
        assert (
            f"This is what test_what_cannot_be_sent_of_a_body_in_pieces_says_where_it_was_yielded.{kind} yielded"
            in caplog.text
        )


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def http2_request(stream: int, path: str) -> bytes:
    # GET and http by their number in the static table, the path and the host as they are.
    fields = b"\x82\x86" + b"\x04" + bytes([len(path)]) + path.encode() + b"\x01\x01x"
    return frame(1, 0x5, stream, fields)


def test_a_body_that_fails_ends_its_stream_and_not_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat(openapi_path=None)

    @app.get("/")
    async def fails() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(0.05)
        raise RuntimeError("spilled")

    @app.get("/ok")
    async def ok() -> str:
        return "well"

    data, headers, reset, ends = 0, 1, 3, 0x1
    with (
        listening(app) as address,
        caplog.at_level(logging.WARNING),
        socket.create_connection(address, timeout=10) as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + http2_request(1, "/"))
        received = connection.makefile("rb")
        seen: list[tuple[int, int, bytes]] = []
        while not any(kind == data and payload == b"well" for kind, _, payload in seen):
            head = received.read(9)
            payload = received.read(int.from_bytes(head[:3], "big"))
            if head[3] in (data, headers, reset):
                seen.append((head[3], head[4] & ends, payload))
            if head[3] == reset:
                connection.sendall(http2_request(3, "/ok"))
    before = [each for each in seen if each[0] == data and each[2] == b"begun"]
    assert before == [(data, 0, b"begun")]
    [(_, _, code)] = [each for each in seen if each[0] == reset]
    assert int.from_bytes(code, "big") == 2, "INTERNAL_ERROR"
    assert len(caplog.records) == 1 and "spilled" in caplog.text


# The interpreter tells of it, too, when the generator is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_async", [True, False])
def test_a_generator_that_ignores_its_end_is_told_of_once(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat(openapi_path=None)

    if is_async:

        @app.get("/")
        async def stubborn() -> AsyncIterator[bytes]:
            while True:
                with contextlib.suppress(GeneratorExit):
                    yield b"x" * 100_000

    else:

        @app.get("/")
        def stubborn() -> Iterator[bytes]:
            while True:
                with contextlib.suppress(GeneratorExit):
                    yield b"x" * 100_000

    @app.get("/ok")
    async def ok() -> int:
        return 1

    def told() -> list[str]:
        # asyncio tells of it, too, when the loop ends.
        return [record.getMessage() for record in caplog.records if record.name == "ziggurat"]

    with listening(app) as address, caplog.at_level(logging.WARNING):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            read_until(connection, b"xxx")
        until(lambda: bool(told()))
        time.sleep(0.1)
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" in read_until(connection, b"\r\n\r\n")
    assert told() == ["a body raised an exception when it was closed"]
    assert "generator ignored GeneratorExit" in caplog.text
    assert f"stubborn did not end, at {__file__}:" in caplog.text
    # Here, and not in the midst of another test.
    caplog.clear()
    del app, stubborn
    gc.collect()


def test_tasks_and_clean_up_that_fail_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat(openapi_path=None)

    async def session() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("the session is gone")

    async def sends() -> None:
        raise RuntimeError("no mail today")

    def exits() -> None:
        raise SystemExit(4)

    async def exits_too() -> None:
        raise SystemExit(5)

    @app.get("/clean-up")
    async def clean_up(value: int = Depends(session)) -> int:
        return value

    @app.get("/task")
    async def task(tasks: BackgroundTasks) -> Response:
        tasks.add_task(exits)
        tasks.add_task(exits_too)
        return Response(content="sent", background=BackgroundTask(sends))

    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        assert client.get("/clean-up").json() == 1
        until(lambda: len(caplog.records) == 1)
        assert "cleaning up after" in caplog.text and "the session is gone" in caplog.text
        caplog.clear()
        assert client.get("/task").text == "sent"
        until(lambda: len(caplog.records) == 3)
        assert "no mail today" in caplog.text and "SystemExit: 4" in caplog.text and "SystemExit: 5" in caplog.text
        assert client.get("/clean-up").json() == 1


def test_a_handler_of_exceptions_that_fails_says_where(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat(openapi_path=None)

    @app.exception_handler(KeyError)
    async def on_key(request: Request, error: KeyError) -> Any:
        return Odd()

    @app.exception_handler(ValueError)
    def on_value(request: Request, error: ValueError) -> Any:
        raise RuntimeError("the handler fails")

    @app.get("/{kind}")
    async def root(kind: str) -> None:
        raise KeyError(kind) if kind == "key" else ValueError(kind)

    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        assert client.get("/key").status_code == 500
        assert len(caplog.records) == 1
        assert f"on_key returned, at {__file__}:" in caplog.text
        caplog.clear()
        assert client.get("/value").status_code == 500
        assert len(caplog.records) == 1 and "the handler fails" in caplog.text
