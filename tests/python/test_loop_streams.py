"""Stream transports on real sockets: flow of bytes, limits, ends, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop
from ziggurat._transports import StreamTransport

MEGABYTE = 1024 * 1024


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), 30))


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)


@asynccontextmanager
async def pair(
    kind: str, protocol: type[asyncio.BaseProtocol] = Recorder
) -> AsyncIterator[tuple[Any, Any, socket.socket]]:
    """A transport with its protocol, and the blocking socket at the other end."""
    loop = asyncio.get_running_loop()
    if kind == "unix":
        ours, peer = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
    transport, made = await loop.connect_accepted_socket(protocol, ours)
    assert isinstance(transport, StreamTransport)
    try:
        yield transport, made, peer
    finally:
        peer.close()
        transport.abort()
        await asyncio.sleep(0)


kinds = pytest.mark.parametrize("kind", ["tcp", "unix"])


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@kinds
def test_what_is_written_in_a_turn_arrives_in_order(kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (transport, _, peer):
            transport.write(b"one ")
            transport.write(bytearray(b"two "))
            assert transport.get_write_buffer_size() == 4, "the second waits for the end of the turn"
            transport.write(memoryview(b"three "))
            transport.writelines([b"four ", b"", b"five"])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert transport.get_write_buffer_size() == 0
            assert peer.recv(100) == b"one two three four five"

    run(main)


@kinds
def test_a_slow_peer_pauses_the_protocol_and_gets_everything(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with pair(kind) as (transport, protocol, peer):
            sent = bytes(range(256)) * (8 * MEGABYTE // 256)
            transport.write(sent)
            transport.write(b"end")
            assert protocol.events == ["made", "pause"]

            def read() -> bytes:
                got = bytearray()
                while len(got) < len(sent) + 3:
                    got += peer.recv(MEGABYTE)
                return bytes(got)

            assert await loop.run_in_executor(None, read) == sent + b"end"
            await until(lambda: "resume" in protocol.events)
            assert protocol.events == ["made", "pause", "resume"]

    run(main)


@kinds
def test_close_sends_what_is_queued_and_abort_does_not(kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (transport, protocol, peer):
            transport.write(b"a")
            transport.write(b"b")
            transport.close()
            assert transport.is_closing()
            assert await protocol.lost is None
            assert peer.recv(10) == b"ab"
            assert peer.recv(10) == b""
            transport.write(b"nobody hears this")
        async with pair(kind) as (transport, protocol, peer):
            transport.write(b"a")
            transport.write(b"b")
            transport.abort()
            assert await protocol.lost is None
            assert peer.recv(10) == b"a"

    run(main)


@kinds
def test_half_close_in_both_directions(kind: str) -> None:
    class KeepsOpen(Recorder):
        def eof_received(self) -> bool:
            self.events.append("eof")
            return True

    async def main() -> None:
        async with pair(kind, KeepsOpen) as (transport, protocol, peer):
            peer.sendall(b"question")
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: "eof" in protocol.events)
            assert protocol.data == b"question"
            transport.write(b"answer")
            transport.write(b"!")
            transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
                transport.write(b"more")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert peer.recv(100) == b"answer!"
            assert peer.recv(100) == b""
            assert protocol.events == ["made", "eof"]

    run(main)


@kinds
def test_pausing_holds_data_back(kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (transport, protocol, peer):
            transport.pause_reading()
            assert not transport.is_reading()
            peer.sendall(b"later")
            await asyncio.sleep(0.02)
            assert protocol.data == b""
            transport.resume_reading()
            await until(lambda: protocol.data)
            assert protocol.data == b"later"

    run(main)


@kinds
def test_a_protocol_may_give_the_buffer(kind: str) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(7)
            self.data = bytearray()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

    async def main() -> None:
        async with pair(kind, Buffered) as (transport, protocol, peer):
            peer.sendall(b"more than seven bytes")
            await until(lambda: len(protocol.data) == 21)
            assert protocol.data == b"more than seven bytes"
            after = Recorder()
            transport.set_protocol(after)
            peer.sendall(b"and the rest")
            await until(lambda: after.data)
            assert after.data == b"and the rest"

    run(main)


@pytest.mark.parametrize("buffer", [b"", b"read-only", memoryview(bytearray(8))[::2], 7])
def test_a_buffer_that_cannot_be_read_into_ends_the_connection(buffer: object) -> None:
    class Broken(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> Any:
            return buffer

        def connection_lost(self, exc: BaseException | None) -> None:
            self.exc = exc

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with pair("unix", Broken) as (_, protocol, peer):
            peer.sendall(b"x")
            await until(lambda: hasattr(protocol, "exc"))
            assert isinstance(protocol.exc, (RuntimeError, TypeError, BufferError))
            assert reports[0]["message"] == "Fatal error: protocol.get_buffer() call failed."

    run(main)


@kinds
def test_what_a_protocol_raises_ends_its_own_connection_only(kind: str) -> None:
    class Raises(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError("no")

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with pair(kind, Raises) as (bad, protocol, peer), pair(kind) as (_, other, other_peer):
            peer.sendall(b"x")
            other_peer.sendall(b"y")
            assert isinstance(await protocol.lost, ValueError)
            await until(lambda: other.data)
            assert other.data == b"y"
            assert reports[0]["message"] == "Fatal error: protocol.data_received() call failed."
            assert reports[0]["transport"] is bad

    run(main)


@kinds
def test_what_connection_lost_raises_is_reported_and_the_loop_goes_on(kind: str) -> None:
    class Raises(Recorder):
        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            raise ValueError("no")

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with pair(kind, Raises) as (transport, protocol, peer):
            transport.write(b"sent at once, ")
            transport.write(b"sent when the turn ends")
            transport.close()
            assert await protocol.lost is None
            await until(lambda: reports)
            assert str(reports[0]["exception"]) == "no"
            assert peer.recv(100) == b"sent at once, sent when the turn ends"
            assert peer.recv(100) == b""
            assert transport.get_extra_info("socket").fileno() == -1

    run(main)


@kinds
def test_a_fault_of_the_transport_ends_its_connection_and_not_the_loop(kind: str) -> None:
    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with pair(kind) as (transport, protocol, peer):

            def broken(_: object) -> bool:
                raise ValueError("no")

            transport._end_of_stream = broken
            peer.close()
            assert isinstance(await protocol.lost, ValueError)
            assert reports[0]["message"] == "Fatal error on socket transport"

    run(main)


def test_a_cancelled_waiter_and_a_reset_end_the_connection_only() -> None:
    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with pair("tcp") as (transport, protocol, peer):
            transport.pause_reading()
            transport.write(b"x" * (8 * MEGABYTE))
            transport._make_empty_waiter().cancel()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            peer.close()
            assert isinstance(await protocol.lost, (ConnectionResetError, BrokenPipeError))
            assert not reports

    run(main)


def test_nothing_written_does_not_count_on_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with pair("unix") as (transport, protocol, _):
            transport.abort()
            await protocol.lost
            for _ in range(10):
                transport.write(b"")
                transport.writelines([])
            assert not caplog.records
            for _ in range(6):
                transport.write(b"x")
            assert "socket.send() raised exception." in caplog.text

    run(main)


def test_an_interrupt_in_a_protocol_leaves_the_loop_and_loses_nothing() -> None:
    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.abort()
            raise KeyboardInterrupt

    loop = new_event_loop()
    try:
        ours, peer = socket.socketpair()
        other_ours, other_peer = socket.socketpair()

        async def set_up() -> Any:
            await loop.connect_accepted_socket(Interrupted, ours)
            _, other = await loop.connect_accepted_socket(Recorder, other_ours)
            return other

        other = loop.run_until_complete(set_up())
        peer.sendall(b"x")
        other_peer.sendall(b"kept")
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(5))
        loop.run_until_complete(asyncio.sleep(0.05))
        assert other.data == b"kept"
        peer.close()
        other_peer.close()
    finally:
        other.transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_a_reset_is_told_with_its_number() -> None:
    async def main() -> None:
        async with pair("tcp") as (_, protocol, peer):
            linger = socket.SO_LINGER
            peer.setsockopt(socket.SOL_SOCKET, linger, b"\x01\0\0\0\0\0\0\0")
            peer.close()
            exc = await protocol.lost
            assert isinstance(exc, ConnectionResetError)
            assert exc.errno == 104
            assert exc.strerror == "Connection reset by peer"
            assert protocol.events == ["made", "lost"]

    run(main)


@pytest.mark.parametrize("data", ["text", 7, None, [b"x"]])
def test_other_things_than_bytes_are_refused(data: Any) -> None:
    async def main() -> None:
        async with pair("unix") as (transport, _, _peer):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object, not"):
                transport.write(data)

    run(main)


def test_callbacks_run_in_the_context_of_the_connection() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    class Looks(Recorder):
        def data_received(self, data: bytes) -> None:
            self.events.append(variable.get())

    async def main() -> None:
        variable.set("connection")
        async with pair("unix", Looks) as (_, protocol, peer):
            variable.set("later")
            peer.sendall(b"x")
            await until(lambda: len(protocol.events) > 1)
            assert protocol.events[1] == "connection"

    run(main)


def test_a_socket_closed_from_outside_keeps_its_number() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        number = ours.fileno()
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        ours.close()
        others = [socket.socket() for _ in range(20)]
        assert number not in [other.fileno() for other in others], "nobody else gets what the transport reads from"
        peer.sendall(b"still here")
        await until(lambda: protocol.data)
        transport.close()
        await protocol.lost
        assert peer.recv(10) == b""
        for one in (peer, *others):
            one.close()

    run(main)


@kinds
def test_churn_never_mixes_connections(kind: str, tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def main() -> None:
        path = str(tmp_path / "socket")
        if kind == "unix":
            server = await asyncio.start_unix_server(echo, path)
        else:
            server = await asyncio.start_server(echo, "127.0.0.1", 0)

        async def client(number: int) -> None:
            if kind == "unix":
                reader, writer = await asyncio.open_unix_connection(path)
            else:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            word = f"<{number}>".encode() * 50
            for _ in range(3):
                writer.write(word)
                assert await reader.readexactly(len(word)) == word
            if number % 3 == 0:
                writer.transport.abort()
            writer.close()

        for start in range(0, 600, 60):
            await asyncio.gather(*(client(start + number) for number in range(60)))
        server.close()

    run(main)


def test_an_unclosed_transport_is_warned_about_and_closed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        del _, ours
        transport.pause_reading()
        loop.close_later = (transport, peer)  # type: ignore[attr-defined]

    loop = new_event_loop()
    loop.run_until_complete(main())
    transport, peer = loop.close_later  # type: ignore[attr-defined]
    del loop.close_later  # type: ignore[attr-defined]
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        del transport
        gc.collect()
    peer.settimeout(5)
    assert peer.recv(1) == b"", "closed"
    peer.close()


def test_debug_mode_tells_of_a_protocol_that_blocks(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            time.sleep(0.02)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.01
        async with pair("unix", Slow) as (_, protocol, peer):
            peer.sendall(b"x")
            await until(lambda: protocol.data)
            loop.slow_callback_duration = 10

    with caplog.at_level("WARNING", "asyncio"):
        run(main)
    assert any("Executing the protocol of <StreamTransport fd=" in record.getMessage() for record in caplog.records)
