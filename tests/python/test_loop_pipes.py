"""Pipe transports on real pipes, FIFOs, sockets and terminals: flow of bytes, limits, ends, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import pty
import socket
import sys
import time
import tty
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop
from ziggurat._pipes import ReadPipeTransport, WritePipeTransport

MEGABYTE = 1024 * 1024


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), 30))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.events.append("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)


KINDS = ["pipe", "fifo", "socket", "terminal"]
kinds = pytest.mark.parametrize("kind", KINDS)


def ends(kind: str, folder: Path) -> tuple[Any, Any]:
    """An object to read from and one to write to."""
    if kind == "socket":
        return socket.socketpair()
    if kind == "terminal":
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        return open(ours, "rb", 0), open(theirs, "wb", 0)
    if kind == "fifo":
        path = folder / "fifo"
        os.mkfifo(path)
        read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return open(read, "rb", 0), open(path, "wb", 0)
    read, write = os.pipe()
    return open(read, "rb", 0), open(write, "wb", 0)


async def reader(pipe: Any, protocol: type[asyncio.BaseProtocol] = Recorder) -> tuple[Any, Any]:
    transport, made = await asyncio.get_running_loop().connect_read_pipe(protocol, pipe)
    assert isinstance(transport, ReadPipeTransport)
    return transport, made


async def writer(pipe: Any, protocol: type[asyncio.BaseProtocol] = Recorder) -> tuple[Any, Any]:
    transport, made = await asyncio.get_running_loop().connect_write_pipe(protocol, pipe)
    assert isinstance(transport, WritePipeTransport)
    return transport, made


@kinds
def test_what_is_written_arrives_and_the_end_follows(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        read_end, write_end = ends(kind, tmp_path)
        source, received = await reader(read_end)
        sink, sent = await writer(write_end)
        sink.write(b"one ")
        sink.write(bytearray(b"two "))
        assert sink.get_write_buffer_size() == 4, "the second waits for the end of the turn"
        sink.write(memoryview(b"three "))
        sink.write(b"")
        sink.writelines([b"four ", b"five"])
        await until(lambda: len(received.data) == 23)
        assert received.data == b"one two three four five"
        assert sink.get_write_buffer_size() == 0
        sink.write_eof()
        assert await sent.lost is None
        exc = await received.lost
        # A terminal has no end to read: it is an error that is told to nobody.
        assert exc is None or (kind == "terminal" and isinstance(exc, OSError) and exc.errno == 5)
        assert sent.events == ["made", "lost"]
        assert received.events == (["made", "lost"] if kind == "terminal" else ["made", "eof", "lost"])
        assert read_end.fileno() == -1 if kind == "socket" else read_end.closed
        assert write_end.fileno() == -1 if kind == "socket" else write_end.closed
        assert source.is_closing() and sink.is_closing()

    run(main)


@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
def test_a_slow_reader_pauses_the_protocol_and_gets_everything(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        read_end, write_end = ends(kind, tmp_path)
        sink, sent = await writer(write_end)
        everything = bytes(range(256)) * (4 * MEGABYTE // 256)
        sink.write(everything)
        sink.write(b"end")
        assert sent.events == ["made", "pause"]
        assert sink.get_write_buffer_size() > MEGABYTE
        sink.close()
        assert sink.is_closing()
        _, received = await reader(read_end)
        assert await received.lost is None
        assert received.data == everything + b"end"
        assert await sent.lost is None
        assert sent.events == ["made", "pause", "resume", "lost"]

    run(main)


@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
def test_the_writer_notices_that_nobody_reads(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "idle").mkdir()
        read_end, write_end = ends(kind, tmp_path / "idle")
        _, sent = await writer(write_end)
        await asyncio.sleep(0)
        read_end.close()
        assert await sent.lost is None, "nothing was lost"

        (tmp_path / "queued").mkdir()
        read_end, write_end = ends(kind, tmp_path / "queued")
        sink, sent = await writer(write_end)
        sink.write(bytes(MEGABYTE))
        await asyncio.sleep(0.01)
        read_end.close()
        assert isinstance(await sent.lost, (BrokenPipeError, ConnectionResetError))
        assert sink.get_write_buffer_size() == 0

    run(main)


def test_a_write_into_a_broken_pipe_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        read_end, write_end = ends("pipe", Path())
        sink, sent = await writer(write_end)
        read_end.close()
        sink.write(b"x")
        exc = await sent.lost
        assert isinstance(exc, BrokenPipeError)
        assert (exc.errno, exc.strerror) == (32, "Broken pipe")
        for _ in range(6):
            sink.write(b"nobody hears this")
        assert "pipe closed by peer or os.write(pipe, data) raised exception." in caplog.text
        assert sent.events == ["made", "lost"]
        assert not reports

    run(main)


def test_while_the_loop_stands_still_each_write_leaves_at_once() -> None:
    loop = new_event_loop()
    read_end, write_end = ends("pipe", Path())

    async def set_up() -> Any:
        return await writer(write_end)

    sink, sent = loop.run_until_complete(set_up())
    sink.write(b"one ")
    sink.write(b"two")
    assert read_end.read(100) == b"one two"
    sink.close()
    loop.run_until_complete(sent.lost)
    loop.close()
    read_end.close()


def test_abort_forgets_what_is_queued() -> None:
    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        sink, sent = await writer(write_end)
        sink.write(b"at once")
        sink.write(b"at the end of the turn")
        sink.abort()
        sink.abort()
        assert await sent.lost is None
        assert sent.events == ["made", "lost"]
        assert read_end.read(100) == b"at once"
        assert read_end.read(100) == b""
        read_end.close()

    run(main)


def test_what_is_queued_when_it_is_closed_is_written() -> None:
    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        sink, sent = await writer(write_end)
        sink.write(b"at once, ")
        sink.write(b"at the end of the turn")
        sink.close()
        sink.write(b"too late")
        assert await sent.lost is None
        assert read_end.read(100) == b"at once, at the end of the turn"
        assert read_end.read(100) == b""
        read_end.close()

    run(main)


def test_pausing_holds_data_back_also_from_inside() -> None:
    class OneAtATime(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        source, received = await reader(read_end, OneAtATime)
        write_end.write(b"a")
        await until(lambda: received.data)
        assert not source.is_reading()
        write_end.write(b"b")
        await asyncio.sleep(0.01)
        assert received.data == b"a"
        source.resume_reading()
        assert "polling" in repr(source)
        await until(lambda: len(received.data) == 2)
        source.close()
        source.close()
        assert await received.lost is None
        assert received.events == ["made", "lost"]
        write_end.close()

    run(main)


def test_a_protocol_may_be_replaced() -> None:
    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        source, first = await reader(read_end)
        second = Recorder()
        source.set_protocol(second)
        assert source.get_protocol() is second
        write_end.write(b"x")
        write_end.close()
        assert await second.lost is None
        assert (first.data, second.data) == (b"", b"x")

    run(main)


def test_close_in_a_callback_is_the_last_that_it_hears() -> None:
    class ClosesAtOnce(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.close()

    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        _, received = await reader(read_end, ClosesAtOnce)
        write_end.write(bytes(60000))
        assert await received.lost is None
        assert received.events == ["made", "lost"]
        write_end.close()

    run(main)


def test_what_a_protocol_raises_is_reported_and_the_transport_goes_on() -> None:
    class Raises(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise ValueError(data)

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        read_end, write_end = ends("pipe", Path())
        source, received = await reader(read_end, Raises)
        write_end.write(b"a")
        await until(lambda: reports)
        write_end.write(b"b")
        write_end.close()
        assert await received.lost is None
        assert received.data == b"ab"
        assert [str(report["exception"]) for report in reports] == ["b'a'", "b'b'"]
        assert reports[0]["message"] == "Exception in callback ReadPipeTransport._read_ready()"
        assert reports[0]["transport"] is source

    run(main)


def test_an_interrupt_in_a_protocol_leaves_the_loop_and_loses_nothing() -> None:
    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.data == b"a":
                raise KeyboardInterrupt

    loop = new_event_loop()
    read_end, write_end = ends("pipe", Path())

    async def set_up() -> Any:
        return await reader(read_end, Interrupted)

    source, received = loop.run_until_complete(set_up())
    write_end.write(b"a")
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(asyncio.sleep(5))
    write_end.write(b"b")
    loop.run_until_complete(asyncio.sleep(0.01))
    assert received.data == b"ab"
    source.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    write_end.close()


@pytest.mark.parametrize("data", ["text", 7, None, [b"x"]])
def test_other_things_than_bytes_are_refused(data: Any) -> None:
    async def main() -> None:
        read_end, write_end = ends("pipe", Path())
        sink, sent = await writer(write_end)
        with pytest.raises(AssertionError) as refused:
            sink.write(data)
        assert str(refused.value) == repr(data)
        sink.close()
        await sent.lost
        read_end.close()

    run(main)


def test_a_file_is_no_pipe(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with open(tmp_path / "file", "wb+", 0) as file:
            with pytest.raises(ValueError, match=r"Pipe transport is for pipes/sockets only\."):
                await loop.connect_read_pipe(Recorder, file)
            with pytest.raises(ValueError, match="Pipe transport is only for pipes, sockets and character devices"):
                await loop.connect_write_pipe(Recorder, file)
            gc.collect()
            assert not file.closed

    run(main)


def test_callbacks_run_in_the_context_of_the_transport() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    class Looks(Recorder):
        def data_received(self, data: bytes) -> None:
            self.events.append(variable.get())

    async def main() -> None:
        variable.set("transport")
        read_end, write_end = ends("pipe", Path())
        source, received = await reader(read_end, Looks)
        variable.set("later")
        write_end.write(b"x")
        await until(lambda: len(received.events) > 1)
        assert received.events[1] == "transport"
        source.close()
        write_end.close()
        await received.lost

    run(main)


def test_reads_are_bounded_per_turn() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        # /dev/zero cannot be waited for; a socket pair that is always full comes close.
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)

        def refill() -> None:
            try:
                while True:
                    theirs.send(bytes(65536))
            except BlockingIOError:
                pass

        class Refills(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                refill()

        refill()
        source, received = await reader(ours, Refills)
        begun = time.monotonic()
        for _ in range(10):
            await asyncio.sleep(0)
        assert time.monotonic() - begun < 5
        source.close()
        await received.lost
        theirs.close()
        assert loop.is_running()

    run(main)


def test_number_reuse_never_mixes_pipes_and_leaks_nothing() -> None:
    async def main() -> None:
        for number in range(200):
            read_end, write_end = ends("pipe", Path())
            source, received = await reader(read_end)
            sink, sent = await writer(write_end)
            sink.write(b"%d" % number)
            if number % 3 == 0:
                source.close()
                sink.abort()
            elif number % 3 == 1:
                sink.close()
            else:
                await until(lambda received=received: received.data)
                sink.close()
            await received.lost
            await sent.lost
            assert received.data in (b"%d" % number, b"" if number % 3 == 0 else b"%d" % number)

    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("connect", [reader, writer])
def test_an_unclosed_transport_is_warned_about_and_closed(connect: Any) -> None:
    read_end, write_end = ends("pipe", Path())
    ours, other = (read_end, write_end) if connect is reader else (write_end, read_end)

    async def main() -> Any:
        transport, _ = await connect(ours, asyncio.Protocol)
        return transport

    loop = new_event_loop()
    transport = loop.run_until_complete(main())
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport <.*PipeTransport fd="):
        del transport
        gc.collect()
    assert ours.closed
    other.close()


def test_a_subprocess_is_fed_and_read() -> None:
    async def main() -> None:
        program = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert isinstance(process._transport.get_pipe_transport(0), WritePipeTransport)  # type: ignore[attr-defined]
        assert isinstance(process._transport.get_pipe_transport(1), ReadPipeTransport)  # type: ignore[attr-defined]
        sent = os.urandom(3 * MEGABYTE)
        got, _ = await process.communicate(sent)
        assert got == sent
        assert process.returncode == 0

    run(main)
