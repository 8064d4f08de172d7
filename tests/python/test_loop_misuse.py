"""What is wrong is refused with asyncio's exceptions and asyncio's words, and nothing else is touched.

Each misuse is done to asyncio's own loop and to PyLoop, and the two must answer alike.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import resource
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ziggurat._loop import PyLoop

Misuse = Callable[[asyncio.AbstractEventLoop], Any]


def nothing(*args: object) -> None:
    pass


async def coroutine() -> None:
    pass


def plain(text: str) -> str:
    """Without what differs from run to run: the class of the loop, addresses, numbers of descriptors and lines."""
    text = re.sub(r"PyLoop|_UnixSelectorEventLoop", "Loop", text)
    text = re.sub(r"(StreamTransport|_SelectorSocketTransport)", "Transport", text)
    return re.sub(r"0x[0-9a-f]+|fd=\d+|\d+", "N", text)


def answer(misuse: Misuse, loop: asyncio.AbstractEventLoop) -> tuple[str, str]:
    with pytest.raises(BaseException) as raised:
        misuse(loop)
    gc.collect()
    return raised.type.__name__, plain(str(raised.value))


def both(misuse: Misuse, *, closed: bool = False, debug: bool = False) -> list[tuple[str, str]]:
    answers = []
    for make in (asyncio.SelectorEventLoop, PyLoop):
        loop = make()
        loop.set_debug(debug)
        if closed:
            loop.close()
        try:
            answers.append(answer(misuse, loop))
            if not closed:
                # It still works.
                assert loop.run_until_complete(asyncio.sleep(0, "alive")) == "alive"
        finally:
            loop.close()
    return answers


def awaiting(start: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, Any]]) -> Misuse:
    return lambda loop: loop.run_until_complete(start(loop))


def make_task(loop: asyncio.AbstractEventLoop) -> None:
    started = coroutine()
    try:
        loop.create_task(started)
    finally:
        started.close()


def run_one(loop: asyncio.AbstractEventLoop) -> None:
    started = coroutine()
    try:
        loop.run_until_complete(started)
    finally:
        started.close()


CLOSED: dict[str, Misuse] = {
    "call_soon": lambda loop: loop.call_soon(nothing),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(nothing),
    "call_later": lambda loop: loop.call_later(1, nothing),
    "call_at": lambda loop: loop.call_at(1, nothing),
    "create_task": make_task,
    "run_forever": lambda loop: loop.run_forever(),
    "run_until_complete": run_one,
    "run_in_executor": lambda loop: loop.run_in_executor(None, nothing),
    "add_reader": lambda loop: loop.add_reader(0, nothing),
    "add_writer": lambda loop: loop.add_writer(1, nothing),
    "add_signal_handler": lambda loop: loop.add_signal_handler(10, nothing),
}


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_a_closed_loop(name: str) -> None:
    ours, theirs = both(CLOSED[name], closed=True)
    assert ours == theirs


def test_a_closed_loop_can_be_asked() -> None:
    loop = PyLoop()
    loop.close()
    loop.close()
    assert loop.is_closed() and not loop.is_running()
    assert loop.remove_reader(0) is False
    assert loop.remove_writer(0) is False
    loop.stop()


def run_inside(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        loop.run_forever()

    loop.run_until_complete(main())


def run_other_inside(loop: asyncio.AbstractEventLoop) -> None:
    other = type(loop)()

    async def main() -> None:
        try:
            run_one(other)
        finally:
            other.close()

    loop.run_until_complete(main())


def close_inside(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        loop.close()

    loop.run_until_complete(main())


def run_in_two_threads(loop: asyncio.AbstractEventLoop) -> None:
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait(10)
    try:
        loop.run_forever()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def future_of_another_loop(loop: asyncio.AbstractEventLoop) -> None:
    other = type(loop)()

    async def main() -> None:
        await other.create_future()

    try:
        loop.run_until_complete(main())
    finally:
        other.close()


def stop_before_done(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    loop.run_until_complete(future)


OPEN: dict[str, Misuse] = {
    "run_forever inside": run_inside,
    "another loop inside": run_other_inside,
    "close inside": close_inside,
    "run in two threads": run_in_two_threads,
    "future of another loop": future_of_another_loop,
    "stop before done": stop_before_done,
    "run_until_complete of no future": lambda loop: loop.run_until_complete(7),  # type: ignore[arg-type]
    "add_reader of a negative number": lambda loop: loop.add_reader(-1, nothing),
    "add_reader of text": lambda loop: loop.add_reader("text", nothing),  # type: ignore[arg-type]
    "remove_reader of a negative number": lambda loop: loop.remove_reader(-1),
    "set_exception_handler": lambda loop: loop.set_exception_handler(7),  # type: ignore[arg-type]
    "set_task_factory": lambda loop: loop.set_task_factory(7),  # type: ignore[arg-type]
    "set_default_executor": lambda loop: loop.set_default_executor(7),  # type: ignore[arg-type]
    "add_signal_handler of no signal": lambda loop: loop.add_signal_handler(1000, nothing),
    "add_signal_handler of SIGKILL": lambda loop: loop.add_signal_handler(9, nothing),
    "add_signal_handler of a coroutine function": lambda loop: loop.add_signal_handler(10, coroutine),
    "sock_recv of a blocking socket": awaiting(lambda loop: loop.sock_recv(socket.socket(), 1)),
    "create_connection without an address": awaiting(lambda loop: loop.create_connection(asyncio.Protocol)),
    "create_connection of a name that is none": awaiting(
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1)
    ),
    "create_server on a port that is taken": awaiting(lambda loop: server_on_taken_port(loop)),
    "create_unix_connection to nobody": awaiting(
        lambda loop: loop.create_unix_connection(asyncio.Protocol, "/nowhere/at/all")
    ),
    "datagrams without an address": awaiting(lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol)),
    "subprocess of no program": awaiting(lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "/nowhere")),
    "start_tls without a context": awaiting(
        lambda loop: loop.start_tls(None, asyncio.Protocol(), None)  # type: ignore[arg-type]
    ),
}


async def server_on_taken_port(loop: asyncio.AbstractEventLoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        await loop.create_server(asyncio.Protocol, *taken.getsockname())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", sorted(OPEN))
def test_an_open_loop(name: str) -> None:
    ours, theirs = both(OPEN[name])
    assert ours == theirs


def from_another_thread(function: Misuse) -> Misuse:
    def misuse(loop: asyncio.AbstractEventLoop) -> None:
        caught: list[BaseException] = []

        def call() -> None:
            try:
                function(loop)
            except BaseException as error:
                caught.append(error)

        async def main() -> None:
            thread = threading.Thread(target=call)
            thread.start()
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

        loop.run_until_complete(main())
        if caught:
            raise caught[0]

    return misuse


DEBUG: dict[str, Misuse] = {
    "call_soon from another thread": from_another_thread(lambda loop: loop.call_soon(nothing)),
    "call_later from another thread": from_another_thread(lambda loop: loop.call_later(1, nothing)),
    "call_at from another thread": from_another_thread(lambda loop: loop.call_at(1, nothing)),
    "call_soon of a coroutine function": lambda loop: loop.call_soon(coroutine),
    "call_later of a coroutine function": lambda loop: loop.call_later(1, coroutine),
    "call_soon of no function": lambda loop: loop.call_soon(7),  # type: ignore[arg-type]
    "call_soon_threadsafe of no function": lambda loop: loop.call_soon_threadsafe(7),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", sorted(DEBUG))
def test_debug_mode(name: str) -> None:
    ours, theirs = both(DEBUG[name], debug=True)
    assert ours == theirs


def reports_of(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, Any]) -> list[str]:
    seen: list[str] = []
    loop.set_exception_handler(lambda _, about: seen.append(f"{about['message']}: {about.get('exception')!r}"))
    loop.run_until_complete(asyncio.wait_for(main, 20))
    return seen


@pytest.mark.parametrize(
    "where", ["connection_made", "data_received", "eof_received", "connection_lost", "pause_writing"]
)
def test_a_protocol_that_raises(where: str) -> None:
    """The loop tells of it, and other connections go on."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()

        def fail(*args: object) -> None:
            raise ValueError(where)

        raising = type("Raising", (asyncio.Protocol,), {where: fail})
        server = await asyncio.start_server(lambda reader, writer: answer_one(reader, writer), "127.0.0.1", 0)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, _ = await loop.create_connection(raising, sock=ours)
        theirs.send(b"x")
        await asyncio.sleep(0.01)
        if where == "pause_writing":
            transport.write(bytes(8 << 20))
        theirs.close()
        await asyncio.sleep(0.01)
        transport.abort()
        await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"alive\n")
        line = await reader.readline()
        writer.close()
        server.close()
        return line

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    told = []
    for make in (asyncio.SelectorEventLoop, PyLoop):
        loop = make()
        told.append([f"ValueError({where!r})" in report for report in reports_of(loop, main())])
        loop.close()
    assert any(told[1])
    assert any(told[0])


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, PyLoop])
def test_callbacks_that_raise_stop_or_close(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = make()
    reports: list[str] = []
    seen: list[int] = []
    loop.set_exception_handler(lambda _, about: reports.append(repr(about["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(seen.append, 1)
    loop.call_soon(loop.stop)
    loop.call_soon(loop.close)
    loop.call_soon(seen.append, 2)
    loop.run_forever()
    assert reports == ["ZeroDivisionError('division by zero')", "RuntimeError('Cannot close a running event loop')"]
    assert seen == [1, 2]
    loop.close()


def test_cancelled_while_connecting_leaves_nothing() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            # Fills the queue of connections, so that the next ones wait.
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            # What is left of other tests would free descriptors in the midst of this one.
            gc.collect()
            before = descriptors()
            for _ in range(10):
                task = asyncio.ensure_future(asyncio.open_connection(*full.getsockname()))
                await asyncio.sleep(0.002)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert descriptors() == before
            for each in waiting:
                each.close()

    with asyncio.Runner(loop_factory=PyLoop) as runner:
        runner.run(main())


def test_without_free_descriptors_the_server_waits_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: list[Any] = []

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                accepted.append(transport)

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        # What is left of other tests would free descriptors in the midst of this one.
        gc.collect()
        clients = [socket.socket() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held: list[int] = []
        try:
            used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
            while True:
                try:
                    held.append(os.dup(0))
                except OSError as error:
                    assert error.errno == errno.EMFILE
                    break
            for client in clients:
                client.setblocking(False)
                client.connect_ex(address)
            with pytest.raises(OSError, match="Too many open files"):
                await asyncio.open_connection(*address)
            await asyncio.sleep(0.05)
            assert not accepted
        finally:
            for fd in held:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        # asyncio lets a second pass before it accepts again.
        for _ in range(300):
            if len(accepted) == 3:
                break
            await asyncio.sleep(0.01)
        assert len(accepted) == 3
        for transport in accepted:
            transport.abort()
        for client in clients:
            client.close()
        server.close()

    with asyncio.Runner(loop_factory=PyLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, about: None)
        runner.run(main())


def test_peers_that_reset_touch_no_other_connection() -> None:
    """Descriptors are used again at once, and each connection hears of its own peer only."""

    async def main() -> None:
        lost: list[str] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(100):
                    writer.write(data)
            except ConnectionResetError:
                lost.append("reset")
            finally:
                writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        steady_reader, steady = await asyncio.open_connection(*address)
        for number in range(200):
            peer = socket.create_connection(address)
            peer.send(b"x")
            # Closing sends a reset.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            steady.write(b"%d\n" % number)
            peer.close()
            other_reader, other = await asyncio.open_connection(*address)
            other.write(b"other\n")
            assert await steady_reader.readline() == b"%d\n" % number
            assert await other_reader.readline() == b"other\n"
            other.close()
        assert "reset" in lost
        steady.close()
        server.close()

    with asyncio.Runner(loop_factory=PyLoop) as runner:
        runner.run(asyncio.wait_for(main(), 60))
