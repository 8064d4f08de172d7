"""The websockets library, both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_many_clients_get_back_what_they_sent(scheme: str, tls: Any) -> None:
    server_side, client_side = (tls.server, tls.client) if scheme == "wss" else (None, None)
    async with serve(echo, "127.0.0.1", 0, ssl=server_side, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]

        async def talk(number: int) -> None:
            uri = f"{scheme}://127.0.0.1:{port}"
            async with connect(uri, ssl=client_side, max_size=None) as socket:
                for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                    message = bytes([number]) * size
                    await socket.send(message)
                    assert await socket.recv() == message
                await socket.send("text ü")
                assert await socket.recv() == "text ü"
                assert await (await socket.ping()) >= 0

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(talk(number))


async def test_a_broadcast_reaches_all_that_still_listen() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        sockets = [await connect(f"ws://127.0.0.1:{port}") for _ in range(50)]
        for socket in sockets[::5]:
            await socket.close()
        while len(server.connections) > 40:
            await asyncio.sleep(0.01)
        for number in range(100):
            broadcast(server.connections, f"news {number}")
        for socket in sockets:
            if socket in sockets[::5]:
                with pytest.raises(ConnectionClosedOK):
                    await socket.recv()
                continue
            assert [await socket.recv() for _ in range(100)] == [f"news {number}" for number in range(100)]
            await socket.close()


async def test_a_fragmented_message_comes_in_its_pieces() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as socket:
            await socket.send(f"{number} " for number in range(1000))
            assert await socket.recv() == "".join(f"{number} " for number in range(1000))


async def test_a_server_that_fails_closes_with_1011_and_a_peer_that_vanishes_with_1006() -> None:
    async def fail(socket: ServerConnection) -> None:
        if await socket.recv() == "vanish":
            socket.transport.abort()
            return
        raise ZeroDivisionError

    import logging

    logger = logging.getLogger("quiet")
    logger.disabled = True
    async with serve(fail, "127.0.0.1", 0, logger=logger) as server:
        port = server.sockets[0].getsockname()[1]
        for word, code in (("fail", 1011), ("vanish", None)):
            async with connect(f"ws://127.0.0.1:{port}") as socket:
                await socket.send(word)
                with pytest.raises(ConnectionClosedError) as closed:
                    await socket.recv()
                assert (closed.value.rcvd.code if closed.value.rcvd else None) == code


async def test_a_client_that_does_not_answer_pings_is_dropped() -> None:
    dropped: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def wait(socket: ServerConnection) -> None:
        await socket.wait_closed()
        dropped.set_result(socket.close_code)

    async with serve(wait, "127.0.0.1", 0, ping_interval=0.1, ping_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        # Its pings are read and never answered.
        writer.close()
        assert await asyncio.wait_for(dropped, 30) in (1006, 1011)
