"""Handlers that yield, and responses whose body comes in pieces."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from helpers import listening, read_until, until
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from ziggurat import (
    BackgroundTasks,
    ConfigError,
    Depends,
    EventStream,
    HTTPException,
    Query,
    Request,
    Response,
    ServerSentEvent,
    StreamingResponse,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


class Item(BaseModel):
    name: str


class SecretItem(Item):
    secret: str = "secret"


@contextmanager
def asked(app: Ziggurat, path: str) -> Iterator[socket.socket]:
    """A connection on which `path` was asked for."""
    with listening(app) as address, socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        yield connection


def test_what_is_yielded_is_sent_as_the_annotation_says() -> None:
    app = Ziggurat()

    @app.get("/bytes/{count}")
    async def of_bytes(count: int, end: Annotated[str, Query()] = "!") -> AsyncIterator[bytes]:
        for number in range(count):
            yield str(number).encode()
            await asyncio.sleep(0)
        yield end.encode()

    @app.get("/text")
    def of_text() -> Iterator[str]:
        yield "ä"
        yield threading.current_thread().name

    @app.get("/csv", media_type="text/csv", status=203)
    async def csv() -> AsyncGenerator[str, None]:
        yield "a,b\n"

    @app.get("/models")
    async def models() -> AsyncIterator[Item]:
        yield Item(name="a")
        yield SecretItem(name="b")
        yield {"name": "c", "secret": "secret"}  # type: ignore[misc]

    @app.get("/dicts")
    def dicts() -> Iterator[dict[str, Any]]:
        yield {"a": "x\ny"}
        yield {"b": [1, None]}

    @app.get("/nothing")
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    with TestClient(app) as client:
        answer = client.get("/bytes/3")
        assert (answer.content, answer.headers["content-type"]) == (b"012!", "application/octet-stream")
        assert client.get("/bytes/0?end=x").text == "x"
        answer = client.get("/bytes/many")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "int_parsing")
        answer = client.get("/text")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith("ä") and "loop" not in answer.text
        answer = client.get("/csv")
        assert (answer.status_code, answer.headers["content-type"], answer.text) == (
            203,
            "text/csv; charset=utf-8",
            "a,b\n",
        )
        answer = client.get("/models")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.text == '{"name":"a"}\n{"name":"b"}\n{"name":"c"}\n'
        assert [json.loads(line) for line in client.get("/dicts").text.splitlines()] == [
            {"a": "x\ny"},
            {"b": [1, None]},
        ]
        answer = client.get("/nothing")
        assert (answer.status_code, answer.content) == (200, b"")
        assert (client.head("/models").status_code, client.head("/models").content) == (200, b"")


def test_an_exception_before_the_first_piece_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()

    @app.exception_handler(KeyError)
    async def missing(request: Request, error: KeyError) -> Response:
        return Response(410, content=request.path)

    @app.get("/{kind}")
    async def root(kind: str, request: Request) -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        if kind == "http":
            raise HTTPException(404, "not there")
        if kind == "key":
            raise KeyError
        if kind == "broken":
            raise RuntimeError("told to the log")
        yield b"x"

    @app.get("/lines/none")
    def lines() -> Iterator[dict[str, str]]:
        raise HTTPException(409)
        yield {}

    with caplog.at_level(logging.ERROR, logger="ziggurat"), TestClient(app) as client:
        answer = client.get("/http")
        assert (answer.status_code, answer.json()["detail"]) == (404, "not there")
        assert (client.get("/key").status_code, client.get("/key").text) == (410, "/key")
        assert client.get("/lines/none").status_code == 409
        assert not caplog.records
        assert client.get("/broken").status_code == 500
        assert len(caplog.records) == 1 and "told to the log" in caplog.text
        assert client.get("/fine").text == "x"


def test_an_exception_after_it_ends_the_connection_before_the_body_is_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Ziggurat()

    @app.get("/")
    async def root() -> AsyncIterator[dict[str, int]]:
        yield {"a": 1}
        await asyncio.sleep(0.1)
        raise RuntimeError("in the midst")

    with caplog.at_level(logging.ERROR, logger="ziggurat"), asked(app, "/") as connection:
        read = b""
        while more := connection.recv(65536):
            read += more
    assert b'{"a":1}\n' in read
    assert b"\r\n0\r\n\r\n" not in read
    assert len(caplog.records) == 1 and "in the midst" in caplog.text


def test_what_does_not_fit_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()

    @app.get("/")
    async def root() -> AsyncIterator[Item]:
        yield {"nmae": "a"}  # type: ignore[misc]

    with caplog.at_level(logging.ERROR, logger="ziggurat"), TestClient(app) as client:
        assert client.get("/").status_code == 500
    assert len(caplog.records) == 1 and "name: Field required" in caplog.text


def test_a_slow_client_holds_it_up_and_one_that_goes_closes_it() -> None:
    app = Ziggurat()
    yielded: list[int] = []
    closed = threading.Event()

    @app.get("/")
    async def root() -> AsyncIterator[bytes]:
        try:
            while True:
                yielded.append(1)
                yield b"x" * 65536
        finally:
            closed.set()

    with asked(app, "/") as connection:
        read_until(connection, b"xxxx")
        time.sleep(0.2)
        held = len(yielded)
        time.sleep(0.2)
        assert len(yielded) == held < 400
        assert not closed.is_set()
        connection.close()
        assert closed.wait(10)


def test_a_blocking_generator_does_not_hold_up_the_loop() -> None:
    app = Ziggurat()
    go_on = threading.Event()

    @app.get("/blocks")
    def blocks() -> Iterator[bytes]:
        assert go_on.wait(10)
        yield b"done"

    @app.get("/free")
    async def free() -> str:
        go_on.set()
        return "free"

    with asked(app, "/blocks") as connection:
        time.sleep(0.05)
        status, _, body = app.request("GET", "/free", [("host", "a")])
        assert (status, body) == (200, b"free")
        assert b"done" in read_until(connection, b"0\r\n\r\n")


def test_context_variables_and_background_tasks() -> None:
    app = Ziggurat()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    ran: list[str] = []

    @app.middleware
    async def sets(request: Request, call_next: Any) -> Response:
        variable.set("middleware")
        response: Response = await call_next(request)
        return response

    @app.get("/")
    async def root(background: BackgroundTasks) -> AsyncIterator[str]:
        yield variable.get()
        background.add_task(ran.append, "behind")
        assert ran == []
        yield "!"

    with TestClient(app) as client:
        assert client.get("/").text == "middleware!"
        until(lambda: ran == ["behind"])


def test_it_may_have_dependencies() -> None:
    app = Ziggurat()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    order: list[str] = []

    async def sets() -> str:
        variable.set("set")
        return "value"

    async def opened() -> AsyncIterator[str]:
        order.append("opened")
        yield "resource"
        order.append("closed")

    @app.get("/plain")
    async def plain(value: Annotated[str, Depends(sets)]) -> AsyncIterator[str]:
        yield f"{value} {variable.get()}"

    @app.get("/sync")
    def sync(value: Annotated[str, Depends(lambda: "inline")]) -> Iterator[str]:
        yield value

    @app.get("/cleans-up")
    async def cleans_up(resource: Annotated[str, Depends(opened)]) -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            order.append("piece")
            yield resource

    with TestClient(app) as client:
        assert client.get("/plain").text == "value set"
        assert client.get("/sync").text == "inline"
        assert client.get("/cleans-up").text == "resource" * 3
        until(lambda: len(order) == 5)
    assert order == ["opened", "piece", "piece", "piece", "closed"]


def test_streaming_responses() -> None:
    app = Ziggurat()

    async def chunks() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @app.get("/async")
    async def of_async() -> StreamingResponse:
        return StreamingResponse(chunks(), 201, {"x-a": "b"}, "text/plain")

    @app.get("/list")
    async def of_list() -> StreamingResponse:
        return StreamingResponse([b"c", "d"])

    with TestClient(app) as client:
        answer = client.get("/async")
        assert (answer.status_code, answer.headers["x-a"], answer.headers["content-type"]) == (
            201,
            "b",
            "text/plain; charset=utf-8",
        )
        assert answer.text == "ab"
        assert client.get("/list").content == b"cd"
    for whole in ("text", b"bytes", {"a": 1}):
        with pytest.raises(TypeError, match="is no body in pieces"):
            StreamingResponse(whole)
    with pytest.raises(TypeError):
        StreamingResponse(3)  # type: ignore[arg-type]


def test_lines_are_compressed() -> None:
    app = Ziggurat(layers=[layers.Compression()])

    @app.get("/")
    async def root() -> AsyncIterator[Item]:
        for _ in range(100):
            yield Item(name="the same again and again")

    with TestClient(app) as client:
        assert client.get("/", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"


def test_the_document_shows_it() -> None:
    app = Ziggurat()

    @app.get("/lines")
    async def lines() -> AsyncIterator[Item]:
        yield Item(name="a")

    @app.get("/chunks", media_type="image/png")
    async def chunks() -> AsyncIterator[bytes]:
        yield b""

    @app.get("/events")
    async def events() -> EventStream[Item]:
        yield Item(name="a")

    document = app.openapi()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []

    def content(path: str) -> Any:
        return document["paths"][path]["get"]["responses"]["200"]["content"]

    assert content("/lines") == {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Item"}}}
    assert content("/chunks") == {"image/png": {"schema": {}}}
    assert list(content("/events")) == ["text/event-stream"]


def test_mistakes_are_told_at_registration(app: Ziggurat) -> None:
    def registers(annotation: Any, **options: Any) -> Callable[[], None]:
        async def handler() -> Any:
            yield 1

        if annotation is None:
            del handler.__annotations__["return"]
        else:
            handler.__annotations__["return"] = annotation
        return lambda: app.get("/", **options)(handler) and None

    async def said_beside(response: Response) -> AsyncIterator[bytes]:
        yield b""

    for register, words in [
        (registers(None), "it yields, and does not say what"),
        (registers(bytes), "it yields, and does not say what"),
        (registers(AsyncIterator), "it yields, and does not say what"),
        (registers(AsyncIterator[bytes | Item]), "it yields chunks and other things"),
        (registers(AsyncIterator[ServerSentEvent | Item]), "it yields events and other things"),
        (registers(AsyncIterator[ServerSentEvent], media_type="text/plain"), "what it yields is a text/event-stream"),
        (registers(AsyncIterator[bytes], response_model_exclude_none=True), "but no model"),
        (lambda: app.get("/")(said_beside) and None, "which would come too late"),
    ]:
        with pytest.raises(ConfigError, match=words) as raised:
            register()
        assert raised.value.location is not None and "test_yielding.py" in raised.value.location

    async def plain() -> str:
        return ""

    with pytest.raises(ConfigError, match="media_type is of what a handler yields"):
        app.get("/", media_type="text/csv")(plain)
