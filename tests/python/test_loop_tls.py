"""TLS on real sockets: sizes, both kinds of protocols, ends, `start_tls`, and what goes wrong."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import subprocess
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop
from ziggurat._tls import TlsProtocol

MEGABYTE = 1024 * 1024
SIZES = [1, 100, 16 * 1024, 16 * 1024 + 1, 100_000, MEGABYTE]


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), 60))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    made += " -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *made.split(), "-keyout", str(path) + ".key", "-out", str(path) + ".crt"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def contexts(request: pytest.FixtureRequest, certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server and for the client."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate))
    server.minimum_version = server.maximum_version = request.param
    return server, client


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 17):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def test_everything_arrives_whatever_its_size(contexts: Contexts) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=contexts[0])
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=contexts[1])
        assert isinstance(writer.transport._ssl_protocol, TlsProtocol)  # type: ignore[attr-defined]
        for size in SIZES:
            data = bytes(number % 251 for number in range(size))
            writer.write(data)
            assert await reader.readexactly(size) == data
        # Many small ones come as many records, in one read or in several.
        for number in range(1000):
            writer.write(b"%d\n" % number)
        assert [await reader.readline() for _ in range(1000)] == [b"%d\n" % number for number in range(1000)]
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main)


class Collects(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.buffer = bytearray(7000)
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, hint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.data += self.buffer[:count]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


def test_a_buffered_protocol(contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=contexts[0])
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Collects, *address, ssl=contexts[1])
        sent = bytes(range(256)) * 1000
        transport.write(sent)
        while len(protocol.data) < len(sent):
            await asyncio.sleep(0.001)
        assert protocol.data == sent
        transport.close()
        assert await protocol.lost is None
        server.close()

    run(main)


def test_a_client_that_does_not_read_pauses_the_server(contexts: Contexts) -> None:
    async def main() -> None:
        drained = asyncio.Event()

        async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(64):
                writer.write(bytes(MEGABYTE // 2))
                await writer.drain()
            drained.set()
            writer.close()

        server = await asyncio.start_server(flood, "127.0.0.1", 0, ssl=contexts[0])
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=contexts[1])
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.2)
        assert not drained.is_set()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await reader.read()) == 32 * MEGABYTE
        assert drained.is_set()
        writer.close()
        server.close()

    run(main)


def test_start_tls_on_both_sides(contexts: Contexts) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"start\n"
            writer.write(b"go\n")
            await writer.start_tls(contexts[0])
            await echo(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"start\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(contexts[1], server_hostname="127.0.0.1")
        assert isinstance(writer.transport._ssl_protocol, TlsProtocol)  # type: ignore[attr-defined]
        for size in SIZES:
            writer.write(bytes(size))
            assert await reader.readexactly(size) == bytes(size)
        writer.close()
        server.close()

    run(main)


def test_the_peer_says_goodbye(contexts: Contexts) -> None:
    async def main() -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * 50_000)
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=contexts[0])
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=contexts[1])
        assert await reader.read() == b"x" * 50_000
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main)


def test_failures(certificate: Path) -> None:
    """A certificate that nobody knows, a peer that resets in the midst of the handshake, one that talks no TLS."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        made: list[weakref.ref[Any]] = []

        class Notes(asyncio.Protocol):
            def __init__(self) -> None:
                made.append(weakref.ref(self))

        server = await loop.create_server(Notes, "127.0.0.1", 0, ssl=context)
        address = server.sockets[0].getsockname()
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
            await asyncio.open_connection(*address, ssl=ssl.create_default_context())
        for first in (b"", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\n\r\n"):
            for _ in range(5):
                peer = socket.create_connection(address)
                if first:
                    peer.send(first)
                await asyncio.sleep(0.005)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
        with socket.create_server(("127.0.0.1", 0)) as plain:
            task = asyncio.ensure_future(
                asyncio.open_connection(*plain.getsockname(), ssl=ssl.create_default_context())
            )
            await asyncio.sleep(0.01)
            peer, _ = plain.accept()
            peer.send(b"no TLS here\r\n")
            with pytest.raises(ssl.SSLError):
                await task
            peer.close()
        await asyncio.sleep(0.05)
        # Those that failed are gone, and it still serves.
        gc.collect()
        assert len(made) == 16
        assert [ref() for ref in made] == [None] * len(made)
        client = ssl.create_default_context(cafile=str(certificate))
        _, writer = await asyncio.open_connection(*address, ssl=client)
        writer.transport.abort()  # type: ignore[attr-defined]
        server.close()

    run(main)
