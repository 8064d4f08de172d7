"""Descriptors, sockets, pipes and names on PyLoop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ziggurat._loop import PyLoop

Factory = Callable[[], PyLoop]


@pytest.fixture(params=[False, True], ids=["epoll", "tokio"])
def factory(request: pytest.FixtureRequest) -> Factory:
    return partial(PyLoop, park_in_tokio=request.param)


def run(factory: Factory, main: Coroutine[Any, Any, Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(30):
            return await main

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(limited())


def open_descriptors() -> int:
    """How many are open in this process. Only growth is a leak: what was open before a test may be closed meanwhile."""
    # What other tests left to the collector must not go in between.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    assert await reader.read() == data
    await sending
    writer.close()
    await writer.wait_closed()


def test_tcp_echo(factory: Factory) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()

        async def client(size: int) -> None:
            await exchange(*await asyncio.open_connection(host, port), os.urandom(size))

        async with server:
            await asyncio.gather(*(client(size) for size in (1, 100, 1024, 65536, 3_000_000) for _ in range(5)))

    run(factory, main())


def test_unix_echo(factory: Factory, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        async with await asyncio.start_unix_server(echo, path):
            for _ in range(5):
                await exchange(*await asyncio.open_unix_connection(path), os.urandom(200_000))

    run(factory, main())


def test_datagrams(factory: Factory) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data[::-1], addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            await loop.sock_sendto(client, b"abc", transport.get_extra_info("sockname"))
            assert (await loop.sock_recvfrom(client, 100))[0] == b"cba"
        transport.close()

    run(factory, main())


def test_raw_sockets(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            peer, _ = await accepting
            with peer:
                data = os.urandom(1_000_000)
                sending = asyncio.create_task(loop.sock_sendall(client, data))
                got = bytearray()
                while len(got) < len(data):
                    got += await loop.sock_recv(peer, 65536)
                await sending
                assert got == data

    run(factory, main())


def test_a_reader_is_called_again_for_what_it_left(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            there.send(b"abcdef")
            got: list[bytes] = []
            done = asyncio.Event()

            def read() -> None:
                got.append(here.recv(2))
                if len(got) == 3:
                    done.set()

            loop.add_reader(here, read)
            await asyncio.wait_for(done.wait(), 10)
            assert got == [b"ab", b"cd", b"ef"]
            assert loop.remove_reader(here) is True
            assert loop.remove_reader(here) is False

    run(factory, main())


def test_reader_and_writer_of_one_descriptor(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            seen: list[str] = []
            loop.add_reader(here.fileno(), seen.append, "old reader")
            loop.add_reader(here.fileno(), seen.append, "read")
            loop.add_writer(here.fileno(), seen.append, "write")
            await asyncio.sleep(0.01)
            assert set(seen) == {"write"}
            assert loop.remove_writer(here.fileno()) is True
            seen.clear()
            there.send(b"x")
            await asyncio.sleep(0.01)
            assert set(seen) == {"read"}
            # A hang-up concerns the reader, with the byte still there or not.
            here.recv(1)
            await asyncio.sleep(0)
            seen.clear()
            there.close()
            await asyncio.sleep(0.01)
            assert set(seen) == {"read"}
            loop.remove_reader(here.fileno())

    run(factory, main())


def test_a_socket_closed_while_watched(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        seen: list[str] = []
        loop.add_reader(here, seen.append, "old")
        number = here.fileno()
        here.close()
        assert loop.remove_reader(here) is True, "the object still names what it was watched as"
        there.close()

        # The same number, closed without being removed, now of somebody else.
        here, there = socket.socketpair()
        loop.add_reader(here.fileno(), seen.append, "forgotten")
        number = here.fileno()
        here.close()
        again, other = socket.socketpair()
        with there, again, other:
            if again.fileno() == number:
                loop.add_reader(number, seen.append, "new")
                other.send(b"x")
                await asyncio.sleep(0.01)
                assert set(seen) == {"new"}
                loop.remove_reader(number)

    run(factory, main())


def test_bad_descriptors(factory: Factory, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for nonsense in (-1, "x", object()):
            with pytest.raises(ValueError, match="Invalid file"):
                loop.add_reader(nonsense, print)  # type: ignore[arg-type]
        with pytest.raises(OSError):
            loop.add_reader(9999, print)
        with (tmp_path / "file").open("w") as file, pytest.raises(PermissionError):
            loop.add_writer(file, print)

    run(factory, main())


def test_names_are_looked_up(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert any(address[4][0] in ("127.0.0.1", "::1") for address in found)
        assert (await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST))[0] == "127.0.0.1"

    run(factory, main())


def test_subprocess(factory: Factory) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; data = sys.stdin.read(); print(data.upper()); sys.exit(3)",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(b"hello")
        assert out == b"HELLO\n"
        assert process.returncode == 3
        sleeper = await asyncio.create_subprocess_exec("sleep", "60")
        sleeper.terminate()
        assert await sleeper.wait() == -15

    run(factory, main())


def test_pipes(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", 0)
        )
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write_fd, "wb", 0))
        data = os.urandom(500_000)
        writer.write(data)
        writer.close()
        assert await reader.read() == data
        transport.close()

    run(factory, main())


def test_tls(factory: Factory) -> None:
    folder = Path(ssl.__file__).parent / "test"
    found = [path for path in (folder / "certdata" / "keycert3.pem", folder / "keycert3.pem") if path.exists()]
    if not found:
        pytest.skip("the interpreter came without the certificates of its tests")

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(found[0])
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(300_000))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=client)
            data = os.urandom(300_000)
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.close()
            await writer.wait_closed()

    run(factory, main())


def test_a_hundred_runs_leave_no_descriptor(factory: Factory) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await exchange(reader, writer, b"x")
        server.close()
        await asyncio.sleep(0)

    run(factory, main())
    before = open_descriptors()
    for _ in range(100):
        run(factory, main())
    assert open_descriptors() <= before


def test_a_loop_that_never_ran_leaves_no_descriptor(factory: Factory) -> None:
    before = open_descriptors()
    for _ in range(10):
        factory().close()
    assert open_descriptors() <= before


def test_what_the_base_class_sees_of_the_selector(factory: Factory) -> None:
    loop = factory()
    here, there = socket.socketpair()
    with here, there:
        own = len(loop._selector.get_map())
        loop.add_reader(here, print)
        loop.add_writer(here, print)
        key = loop._selector.get_key(here)
        assert (key.fd, key.events) == (here.fileno(), 3)
        assert len(loop._selector.get_map()) == own + 1
        with pytest.raises(KeyError):
            loop._selector.get_key(there)
        loop.remove_reader(here)
        loop.remove_writer(here)
        assert len(loop._selector.get_map()) == own
    loop.close()


def test_what_was_ready_before_runs_before_what_arrives() -> None:
    """As with asyncio: a protocol is told after the callbacks that were queued when the loop looked at its descriptors."""
    order: list[str] = []
    loop = PyLoop()

    class Notes(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            order.append(data.decode())

    ours, theirs = socket.socketpair()
    transport, _ = loop.run_until_complete(loop.create_connection(Notes, sock=ours))
    theirs.send(b"data")
    loop.call_soon(order.append, "queued")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0.01))
    assert order == ["queued", "data"]
    transport.close()
    loop.run_until_complete(asyncio.sleep(0))
    theirs.close()
    loop.close()
