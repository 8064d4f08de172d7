"""The WebSockets of tests that are coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ziggurat import HTTPException, WebSocket, WebSocketDisconnect, Ziggurat
from ziggurat.testing import AsyncTestClient, WebSocketDenialResponse

pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
def ends() -> list[int]:
    return []


@pytest.fixture
def app(app: Ziggurat, ends: list[int]) -> Ziggurat:
    @app.websocket("/echo", subprotocols=["v1"], max_message_bytes=16 * 1024 * 1024)
    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send(await ws.receive())
        except WebSocketDisconnect as end:
            ends.append(end.code)

    @app.websocket("/refuses")
    async def refuses(ws: WebSocket) -> None:
        raise HTTPException(402)

    @app.websocket("/closes")
    async def closes(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json({"a": 1})
        await ws.close(4001, "enough")

    return app


def run(app: Ziggurat, test: Callable[[AsyncTestClient], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with AsyncTestClient(app) as client:
            await asyncio.wait_for(test(client), 60)

    asyncio.run(whole())


def test_messages_go_both_ways(app: Ziggurat, ends: list[int]) -> None:
    async def test(client: AsyncTestClient) -> None:
        async with client.websocket_connect("/echo", ["v1"]) as ws:
            assert ws.accepted_subprotocol == "v1"
            await ws.send_text("ü")
            assert await ws.receive_text() == "ü"
            await ws.send_bytes(b"\xff")
            assert await ws.receive_bytes() == b"\xff"
            await ws.send_json([1])
            assert await ws.receive_json() == [1]
            await ws.send_text("x")
            with pytest.raises(AssertionError, match="the app sent a text"):
                await ws.receive_bytes()
            await ws.close(4000)
            with pytest.raises(WebSocketDisconnect):
                await ws.receive()

    run(app, test)
    assert ends == [4000]


def test_one_task_receives_while_another_sends(app: Ziggurat) -> None:
    async def test(client: AsyncTestClient) -> None:
        async with client.websocket_connect("/echo") as ws:
            waiting = asyncio.create_task(ws.receive_text())
            await asyncio.sleep(0)
            await ws.send_text("a")
            assert await waiting == "a"
            # More than the pipe and the app hold: it goes through as it is received meanwhile.
            great = b"x" * (8 * 1024 * 1024)
            waits = asyncio.create_task(ws.receive_bytes())
            await ws.send_bytes(great)
            assert await waits == great

    run(app, test)


def test_what_is_given_up_loses_nothing(app: Ziggurat) -> None:
    async def test(client: AsyncTestClient) -> None:
        async with client.websocket_connect("/echo") as ws:
            with pytest.raises(TimeoutError, match="nothing came over the WebSocket in time"):
                await ws.receive(timeout=0.01)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ws.receive()
            await ws.send_text("a")
            assert await ws.receive_text() == "a"
            waiting = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            await ws.close()
            with pytest.raises(WebSocketDisconnect):
                await waiting

    run(app, test)


def test_ends_and_refusals(app: Ziggurat) -> None:
    async def test(client: AsyncTestClient) -> None:
        async with client.websocket_connect("/closes") as ws:
            assert await ws.receive_json() == {"a": 1}
            with pytest.raises(WebSocketDisconnect) as end:
                await ws.receive()
            assert (end.value.code, end.value.reason) == (4001, "enough")
        with pytest.raises(WebSocketDenialResponse) as denied:
            async with client.websocket_connect("/refuses"):
                pass
        assert denied.value.status_code == 402
        with pytest.raises(RuntimeError, match="is not open"):
            await client.websocket_connect("/echo").send_text("a")

    run(app, test)


def test_the_end_of_the_client_is_that_of_its_sockets(app: Ziggurat, ends: list[int]) -> None:
    async def test(client: AsyncTestClient) -> None:
        kept.append(await client.websocket_connect("/echo").__aenter__())

    kept: list[object] = []
    run(app, test)
    assert ends == [1001]
