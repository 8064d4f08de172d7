"""asyncio's own streams and protocols: TLS, datagrams, Unix sockets, files through sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler, path: Path | None = None, **options: Any) -> AsyncIterator[Any]:
    """A server that is left when its handlers have ended; gives its address."""
    async with asyncio.TaskGroup() as handlers:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handlers.create_task(handler(reader, writer))

        if path is None:
            server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
        else:
            server = await asyncio.start_unix_server(accept, path, **options)
        async with server:
            yield server.sockets[0].getsockname()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    data = os.urandom(size)

    async def send() -> None:
        for begin in range(0, size, 100_000):
            writer.write(data[begin : begin + 100_000])
            await writer.drain()

    _, got = await asyncio.gather(send(), reader.readexactly(size))
    assert got == data
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_carries_large_data_both_ways(version: ssl.TLSVersion, tls: Any) -> None:
    tls.server.maximum_version = version
    async with served(echo, ssl=tls.server) as address, asyncio.TaskGroup() as group:
        for _ in range(5):
            streams = await asyncio.open_connection(*address, ssl=tls.client, server_hostname="localhost")
            assert streams[1].get_extra_info("ssl_object").version() == version.name.replace("v1_", "v1.")
            group.create_task(talk(*streams, 2_000_000))


async def test_a_connection_turns_to_tls_in_the_middle(tls: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.drain()
        await writer.start_tls(tls.server)
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with served(serve) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(tls.client, server_hostname="localhost")
        writer.write(b"in secret\n")
        assert await reader.readline() == b"in secret\n"
        assert writer.get_extra_info("cipher")
        writer.close()
        await writer.wait_closed()


async def test_a_certificate_of_another_name_is_refused(tls: Any) -> None:
    async with served(echo, ssl=tls.server) as address:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(*address, ssl=tls.client, server_hostname="example.org")


async def test_unix_sockets_echo_for_many_clients(tmp_path: Path) -> None:
    async with served(echo, tmp_path / "socket") as path, asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(talk(*await asyncio.open_unix_connection(path), 500_000))


class Answer(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data[::-1], address)


class Collect(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.got.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.put_nowait(exc)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_keep_their_borders(host: str) -> None:
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Answer, local_addr=(host, 0))
    port = server.get_extra_info("sockname")[1]
    client, collected = await loop.create_datagram_endpoint(Collect, remote_addr=(host, port))
    for size in (1, 2, 500, 1400, 9000, 60_000):
        data = os.urandom(size)
        client.sendto(data)
        assert await asyncio.wait_for(collected.got.get(), 10) == data[::-1]
    server.close()
    await asyncio.sleep(0)
    client.sendto(b"nobody is there")
    assert isinstance(await asyncio.wait_for(collected.errors.get(), 10), ConnectionRefusedError)
    client.close()


async def test_a_file_is_sent_by_the_kernel(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    data = os.urandom(5_000_000)
    (tmp_path / "file").write_bytes(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (tmp_path / "file").open("rb") as file:
            await loop.sendfile(writer.transport, file)
        writer.close()

    async with served(serve) as address:
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == data
        writer.close()
        await writer.wait_closed()


async def test_bare_sockets() -> None:
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.socket()
    listener.setblocking(False)
    client.setblocking(False)
    with listener, client:
        (peer, _), _ = await asyncio.gather(
            loop.sock_accept(listener), loop.sock_connect(client, listener.getsockname())
        )
        with peer:
            data, got = os.urandom(3_000_000), bytearray()

            async def receive() -> None:
                while piece := await loop.sock_recv(peer, 100_000):
                    got.extend(piece)

            async def send() -> None:
                await loop.sock_sendall(client, data)
                client.shutdown(socket.SHUT_WR)

            await asyncio.gather(send(), receive())
            assert got == data


async def test_names_are_resolved() -> None:
    loop = asyncio.get_running_loop()
    found = await asyncio.gather(*(loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM) for _ in range(20)))
    assert all({info[4][0] for info in infos} & {"127.0.0.1", "::1"} for infos in found)
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo("no-such-host.invalid", 80)
