"""aiohttp, both sides: requests, streams in both directions, websockets, TLS, a graceful stop."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

MEGABYTE = 1 << 20


async def sums(request: web.Request) -> web.Response:
    numbers = (await request.json())["numbers"]
    return web.json_response({"sum": sum(numbers), "agent": request.headers["user-agent"]})


async def digest(request: web.Request) -> web.Response:
    """Reads an upload piece by piece."""
    seen, size = hashlib.sha256(), 0
    async for piece in request.content.iter_chunked(65536):
        seen.update(piece)
        size += len(piece)
    return web.json_response({"size": size, "sha256": seen.hexdigest()})


async def pieces(request: web.Request) -> web.StreamResponse:
    """Answers with as many pieces as asked for, each at once."""
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(int(request.query["count"])):
        await response.write(number.to_bytes(4) * 4096)
    await response.write_eof()
    return response


async def shout(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=5)
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        else:
            await socket.send_bytes(message.data[::-1])
    return socket


async def hang(request: web.Request) -> web.Response:
    started, cancelled = request.app["started"], request.app["cancelled"]
    started.set()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.set()
        raise
    return web.Response()


@asynccontextmanager
async def served(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, Any]]:
    app: Any = web.Application(client_max_size=64 * MEGABYTE)
    app._state.update(started=asyncio.Event(), cancelled=asyncio.Event())
    app.add_routes([web.post("/sums", sums), web.post("/digest", digest), web.get("/pieces", pieces)])
    app.add_routes([web.get("/shout", shout), web.get("/hang", hang)])
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{'https' if context else 'http'}://{host}:{port}", app
    finally:
        await runner.cleanup()


@pytest.fixture(params=["http", "https"])
def contexts(request: pytest.FixtureRequest, tls: Any) -> tuple[ssl.SSLContext | None, Any]:
    return (None, True) if request.param == "http" else (tls.server, tls.client)


async def test_many_requests_at_once_over_few_connections(contexts: Any) -> None:
    server, client = contexts
    async with served(server) as (url, _), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session:

        async def ask(size: int) -> int:
            body = {"numbers": list(range(size))}
            async with session.post(f"{url}/sums", json=body, ssl=client, headers={"user-agent": f"a{size}"}) as answer:
                assert answer.status == 200
                found = await answer.json()
                assert found["agent"] == f"a{size}"
                return int(found["sum"])

        assert await asyncio.gather(*map(ask, range(300))) == [size * (size - 1) // 2 for size in range(300)]


async def test_a_large_upload_arrives_whole(contexts: Any) -> None:
    server, client = contexts
    block = bytes(range(256)) * 256

    async def body() -> AsyncIterator[bytes]:
        for _ in range(320):
            yield block

    async with (
        served(server) as (url, _),
        aiohttp.ClientSession() as session,
        session.post(f"{url}/digest", data=body(), ssl=client) as answer,
    ):
        found = await answer.json()
    assert found == {"size": 20 * MEGABYTE, "sha256": hashlib.sha256(block * 320).hexdigest()}


async def test_a_slow_reader_gets_every_piece_in_order(contexts: Any) -> None:
    server, client = contexts
    async with (
        served(server) as (url, _),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/pieces?count=1000", ssl=client) as answer,
    ):
        for number in range(1000):
            if number % 250 == 0:
                # Long enough for the server to fill every buffer on the way.
                await asyncio.sleep(0.05)
            assert await answer.content.readexactly(16384) == number.to_bytes(4) * 4096
        assert await answer.content.read() == b""


async def test_websockets_answer_texts_and_bytes(contexts: Any) -> None:
    server, client = contexts
    async with served(server) as (url, _), aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(f"{url}/shout", ssl=client) for _ in range(20)]
        for round in range(20):
            for number, socket in enumerate(sockets):
                await socket.send_str(f"hello {number} {round}")
                await socket.send_bytes(bytes([1, 2, number, round]) * 1000)
        for round in range(20):
            for number, socket in enumerate(sockets):
                assert await socket.receive_str() == f"HELLO {number} {round}"
                assert await socket.receive_bytes() == bytes([round, number, 2, 1]) * 1000
        for socket in sockets:
            assert await socket.close()
            assert socket.close_code == 1000


async def test_a_client_that_gives_up_cancels_its_handler() -> None:
    async with served() as (url, app), aiohttp.ClientSession() as session:
        with pytest.raises(asyncio.TimeoutError):
            await session.get(f"{url}/hang", timeout=aiohttp.ClientTimeout(total=0.2))
        await asyncio.wait_for(app._state["cancelled"].wait(), 5)


async def test_a_stop_ends_what_hangs() -> None:
    async with aiohttp.ClientSession() as session:
        async with served() as (url, app):
            request = asyncio.ensure_future(session.get(f"{url}/hang"))
            await app._state["started"].wait()
        with pytest.raises(aiohttp.ClientError):
            await request
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/pieces?count=1")
