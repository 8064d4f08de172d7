"""`request.is_disconnected()`: who learns that nobody waits for the answer any longer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from helpers import listening, read_until, until
from pydantic import Field

from ziggurat import BackgroundTasks, HookContext, Model, Request, Response, StreamingResponse, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Note(Model):
    id: UUID = Field(default_factory=uuid4)
    text: str


def test_a_handler_learns_that_its_client_has_gone(app: Ziggurat) -> None:
    seen: list[object] = []
    tasks: list[asyncio.Task[None]] = []

    @app.get("/")
    async def handler(request: Request) -> None:
        async def watch() -> None:
            while not await request.is_disconnected():
                await asyncio.sleep(0.005)
            seen.append("the task")

        seen.append(await request.is_disconnected())
        tasks.append(asyncio.create_task(watch()))
        try:
            await asyncio.shield(tasks[0])
        except asyncio.CancelledError:
            seen.append(await request.is_disconnected())
            raise

    with listening(app) as address:
        with socket.create_connection(address) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: seen == [False])
            time.sleep(0.05)
            assert seen == [False]
        until(lambda: len(seen) == 3)
    assert sorted(map(str, seen)) == ["False", "True", "the task"]


def test_who_streams_an_answer_learns_it(app: Ziggurat) -> None:
    seen: list[object] = []

    async def pieces(request: Request) -> AsyncIterator[bytes]:
        try:
            while True:
                seen.append(await request.is_disconnected())
                yield b"more"
                await asyncio.sleep(0.005)
        finally:
            seen.append("ended")
            seen.append(await request.is_disconnected())

    @app.get("/yielded")
    async def yielded(request: Request) -> AsyncIterator[bytes]:
        async for piece in pieces(request):
            yield piece

    @app.get("/returned")
    async def returned(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces(request))

    @app.middleware
    async def outside(request: Request, call_next: Any) -> Response:
        if request.path != "/wrapped":
            answer: Response = await call_next(request)
            assert not await request.is_disconnected()
            return answer
        return StreamingResponse(pieces(request))

    with listening(app) as address:
        for path in ("/yielded", "/returned", "/wrapped"):
            seen.clear()
            with socket.create_connection(address) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                read_until(connection, b"more\r\n4\r\nmore")
            until(lambda: len(seen) > 1 and seen[-2] == "ended")
            assert (set(seen[:-2]), seen[-1]) == ({False}, True), path


def test_hooks_learn_it_as_well() -> None:
    app = Ziggurat(openapi_path=None, store="sqlite:///:memory:")
    seen: list[object] = []

    @app.exception_handler(LookupError)
    async def failed(request: Request, error: LookupError) -> Response:
        seen.append(await request.is_disconnected())
        return Response(418)

    @app.crud(Note)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            seen.append(await ctx.request.is_disconnected())
            if doc.text == "fails":
                raise LookupError

        async def after_create(self, ctx: HookContext[Note], doc: Note) -> None:
            seen.append(await ctx.request.is_disconnected())

    with TestClient(app) as client:
        assert client.post("/note", json={"text": "x"}).status_code == 201
        until(lambda: len(seen) == 2)
        assert seen == [False, True]
        seen.clear()
        assert client.post("/note", json={"text": "fails"}).status_code == 418
        assert seen == [False, False]


def test_a_hook_is_cancelled_with_its_client_and_finds_it_gone() -> None:
    app = Ziggurat(openapi_path=None, store="sqlite:///:memory:")
    seen: list[object] = []

    @app.crud(Note)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            seen.append("begun")
            try:
                await asyncio.Event().wait()
            finally:
                seen.append(await ctx.request.is_disconnected())

    with listening(app) as address:
        with socket.create_connection(address) as connection:
            head = b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
            connection.sendall(head + b'{"text":"x"}')
            until(lambda: seen == ["begun"])
        until(lambda: len(seen) == 2)
    assert seen == ["begun", True]


def test_who_runs_behind_an_answer_finds_nobody(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    seen: list[object] = []

    class Failure(Exception):
        pass

    @app.exception_handler(Failure)
    async def failed(request: Request, error: Failure) -> Response:
        seen.append(await request.is_disconnected())
        return Response(418)

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        seen.append(await request.is_disconnected())
        return Response(404)

    @app.get("/")
    async def handler(request: Request, tasks: BackgroundTasks) -> None:
        async def behind() -> None:
            seen.append(await request.is_disconnected())

        seen.append(await request.is_disconnected())
        tasks.add_task(behind)

    @app.get("/fails")
    async def fails(request: Request) -> None:
        raise Failure

    started = client()
    assert started.get("/").status_code == 200
    until(lambda: len(seen) == 2)
    assert seen == [False, True]
    seen.clear()
    assert started.get("/fails").status_code == 418
    assert started.get("/nowhere").status_code == 404
    assert seen == [False, False]
