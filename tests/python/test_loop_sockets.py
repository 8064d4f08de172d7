"""The coroutines for sockets that a program drives itself, name lookup, and what happens without descriptors."""

from __future__ import annotations

import array
import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import ssl
import struct
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop

MEGABYTE = 1024 * 1024


def run(main: Callable[[], Coroutine[Any, Any, Any]], debug: bool = False) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop, debug=debug) as runner:
        return runner.run(asyncio.wait_for(main(), 30))


def pair(kind: int = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(type=kind)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def bound(family: int, folder: Path, name: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    if family == socket.AF_UNIX:
        sock.bind(str(folder / name))
    else:
        sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


def watched() -> list[int]:
    """What the loop watches beside its own socket pair."""
    loop = asyncio.get_running_loop()
    return [fd for fd in loop._watched() if fd != loop._ssock.fileno()]  # type: ignore[attr-defined]


async def later(awaitable: Awaitable[Any], then: Callable[[], object]) -> Any:
    """Lets it wait before `then` makes it ready."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0.005)
    assert not task.done()
    assert watched()
    then()
    result = await task
    assert not watched()
    return result


def test_receiving_at_once_and_later() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        theirs.send(b"at once")
        assert await loop.sock_recv(ours, 100) == b"at once"
        data = await later(loop.sock_recv(ours, 3), lambda: theirs.send(b"later"))
        assert (data, type(data)) == (b"lat", bytes)
        assert await loop.sock_recv(ours, 100) == b"er"
        # More than fits into the buffer of the loop.
        data = await later(loop.sock_recv(ours, 2 * MEGABYTE), lambda: theirs.send(b"much"))
        assert data == b"much"
        assert await later(loop.sock_recv(ours, 100), theirs.close) == b""
        ours.close()

    run(main)


def test_receiving_into_buffers_at_once_and_later() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        for make in (lambda: bytearray(4), lambda: memoryview(bytearray(4)), lambda: array.array("i", [0])):
            theirs.send(b"abcd")
            buffer = make()
            assert await loop.sock_recv_into(ours, buffer) == 4
            assert bytes(buffer) == b"abcd"
            buffer = make()
            assert await later(loop.sock_recv_into(ours, buffer), lambda: theirs.send(b"xy")) == 2
            assert bytes(buffer) == b"xy\0\0"
        theirs.send(b"left")
        assert await loop.sock_recv_into(ours, bytearray()) == 0
        with pytest.raises(TypeError, match="read-write bytes-like object"):
            await loop.sock_recv_into(ours, b"read only")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="read-write bytes-like object, not memoryview"):
            await loop.sock_recv_into(ours, memoryview(bytearray(8))[::2])
        assert await loop.sock_recv(ours, 100) == b"left"
        ours.close()
        theirs.close()

    run(main)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_datagrams_at_once_and_later(family: int, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = bound(family, tmp_path, "ours"), bound(family, tmp_path, "theirs")
        sender = theirs.getsockname()
        assert await loop.sock_sendto(theirs, b"at once", ours.getsockname()) == 7
        assert await loop.sock_recvfrom(ours, 100) == (b"at once", sender)
        got = await later(loop.sock_recvfrom(ours, 3), lambda: theirs.sendto(b"later", ours.getsockname()))
        assert got == (b"lat", sender), "what does not fit is cut off"
        got = await later(loop.sock_recvfrom(ours, MEGABYTE), lambda: theirs.sendto(b"", ours.getsockname()))
        assert got == (b"", sender)

        buffer = bytearray(10)
        theirs.sendto(b"at once", ours.getsockname())
        assert await loop.sock_recvfrom_into(ours, buffer) == (7, sender)
        got = await later(loop.sock_recvfrom_into(ours, buffer, 2), lambda: theirs.sendto(b"xyz", ours.getsockname()))
        assert (got, bytes(buffer)) == ((2, sender), b"xy once\0\0\0")
        ours.close()
        theirs.close()

    run(main)


def test_a_sender_without_a_name_and_a_stream() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            ours, theirs = pair(kind)
            theirs.send(b"x")
            theirs.send(b"x")
            expected = ours.recvfrom(1)
            assert await loop.sock_recvfrom(ours, 1) == expected
            ours.close()
            theirs.close()

    run(main)


def test_a_datagram_waits_for_room() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            theirs.bind(f"\0ziggurat-{os.getpid()}")
            ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.setblocking(False)
            count = 0
            try:
                while True:
                    ours.sendto(b"fill", theirs.getsockname())
                    count += 1
            except BlockingIOError:
                pass

            def drain() -> None:
                for _ in range(count):
                    theirs.recv(10)

            assert await later(loop.sock_sendto(ours, b"last", theirs.getsockname()), drain) == 4
            assert theirs.recv(10) == b"last"
            ours.close()

    run(main)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: array.array("i", data)])
def test_everything_is_sent_to_a_slow_reader(make: Callable[[bytes], Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        everything = os.urandom(4 * MEGABYTE)
        task = loop.create_task(loop.sock_sendall(ours, make(everything)))
        await asyncio.sleep(0.005)
        assert not task.done()
        got = bytearray()
        while len(got) < len(everything):
            got += await loop.sock_recv(theirs, 100_000)
        assert await task is None
        assert got == everything
        assert await loop.sock_sendall(ours, make(b"1234")) is None
        assert await loop.sock_recv(theirs, 100) == b"1234"
        assert await loop.sock_sendall(ours, b"") is None
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


def test_what_is_being_sent_cannot_be_resized() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        data = bytearray(4 * MEGABYTE)
        task = loop.create_task(loop.sock_sendall(ours, data))
        await asyncio.sleep(0.005)
        with pytest.raises(BufferError):
            data.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not watched()
        data.clear()
        ours.close()
        theirs.close()

    run(main)


def test_both_directions_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        sending = loop.create_task(loop.sock_sendall(ours, bytes(2 * MEGABYTE)))
        receiving = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0.005)
        theirs.send(b"meanwhile")
        assert await receiving == b"meanwhile"
        assert not sending.done()
        left = 2 * MEGABYTE
        while left:
            left -= len(await loop.sock_recv(theirs, MEGABYTE))
        await sending
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


OPERATIONS: dict[str, Callable[[Any, socket.socket], Awaitable[Any]]] = {
    "recv": lambda loop, sock: loop.sock_recv(sock, 100),
    "recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(100)),
    "recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 100),
    "recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(100)),
    "sendall": lambda loop, sock: loop.sock_sendall(sock, bytes(4 * MEGABYTE)),
}
operations = pytest.mark.parametrize("name", OPERATIONS)


@operations
def test_cancelling_leaves_no_watch_and_loses_nothing(name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        task = asyncio.ensure_future(OPERATIONS[name](loop, ours))
        await asyncio.sleep(0.005)
        assert watched() == [ours.fileno()]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not watched()
        theirs.send(b"kept")
        await asyncio.sleep(0.005)
        assert await loop.sock_recv(ours, 100) == b"kept"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(OPERATIONS[name](loop, ours), 0.005)
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


def test_cancelled_in_the_turn_in_which_data_comes() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        task = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0.005)
        theirs.send(b"kept")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await loop.sock_recv(ours, 100) == b"kept"
        ours.close()
        theirs.close()

    run(main)


@operations
def test_a_closed_socket_is_refused(name: str) -> None:
    async def main() -> None:
        ours, theirs = pair()
        ours.close()
        with pytest.raises(OSError, match="Bad file descriptor") as refused:
            await OPERATIONS[name](asyncio.get_running_loop(), ours)
        assert refused.value.errno == errno.EBADF
        theirs.close()

    run(main)


@operations
def test_what_a_transport_owns_is_refused(name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        with pytest.raises(RuntimeError, match=rf"File descriptor {ours.fileno()} is used by transport <.*>"):
            await OPERATIONS[name](loop, ours)
        transport.close()
        theirs.close()

    run(main)


@operations
def test_a_reset_is_raised(name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = tcp()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        task = asyncio.ensure_future(OPERATIONS[name](loop, ours))
        await asyncio.sleep(0.005)
        theirs.close()
        with pytest.raises(ConnectionResetError, match="Connection reset by peer"):
            await task
        assert not watched()
        ours.close()

    run(main)


def test_a_broken_pipe_is_raised_and_no_signal_comes() -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:

        async def main() -> None:
            ours, theirs = pair()
            theirs.close()
            with pytest.raises(BrokenPipeError, match="Broken pipe"):
                await asyncio.get_running_loop().sock_sendall(ours, b"x")
            ours.close()

        run(main)
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_mistakes_in_the_words_of_the_socket() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        with pytest.raises(ValueError, match="negative buffersize in recv"):
            await loop.sock_recv(ours, -1)
        with pytest.raises(ValueError, match="negative buffersize in recvfrom"):
            await loop.sock_recvfrom(ours, -1)
        with pytest.raises(TypeError, match="'str' object cannot be interpreted as an integer"):
            await loop.sock_recv(ours, "1")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a bytes-like object is required, not 'str'"):
            await loop.sock_sendall(ours, "text")  # type: ignore[arg-type]
        with pytest.raises(BufferError, match="not C-contiguous"):
            await loop.sock_sendall(ours, memoryview(b"abcd")[::2])
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


@operations
@pytest.mark.parametrize("debug", [False, True])
def test_tls_sockets_and_in_debug_mode_blocking_ones_are_refused(name: str, debug: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        wrapped = context.wrap_socket(ours, do_handshake_on_connect=False)
        with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
            await OPERATIONS[name](loop, wrapped)
        wrapped.close()
        if debug:
            theirs.setblocking(True)
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await OPERATIONS[name](loop, theirs)
        theirs.close()

    run(main, debug)


def test_a_blocking_socket_does_not_block_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        ours.setblocking(True)
        assert await later(loop.sock_recv(ours, 100), lambda: theirs.send(b"x")) == b"x"
        thread = threading.Timer(0.01, theirs.send, [b"y"])
        thread.start()
        assert await loop.sock_recv(ours, 100) == b"y"
        thread.join()
        ours.close()
        theirs.close()

    run(main)


def test_a_subclass_of_socket_has_its_methods_called() -> None:
    class Shouts(socket.socket):
        def recv(self, *args: Any) -> bytes:
            return super().recv(*args).upper()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        plain, theirs = pair()
        ours = Shouts(fileno=plain.detach())
        ours.setblocking(False)
        assert await later(loop.sock_recv(ours, 100), lambda: theirs.send(b"quiet")) == b"QUIET"
        ours.close()
        theirs.close()

    run(main)


def test_a_second_operation_takes_the_place_of_the_first() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        first = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0)
        second = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0.005)
        first.cancel()
        await asyncio.sleep(0)
        theirs.send(b"for the second")
        assert await second == b"for the second"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


def test_the_end_of_an_operation_does_not_touch_who_has_its_number_now() -> None:
    class Keeps(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        number = ours.fileno()
        task = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0.005)
        ours.close()
        theirs.close()
        fresh, other = pair()
        if fresh.fileno() != number:
            os.dup2(fresh.fileno(), number)
            fresh.close()
            fresh = socket.socket(fileno=number)
            fresh.setblocking(False)
        transport, protocol = await loop.create_connection(Keeps, sock=fresh)
        other.send(b"one ")
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other.send(b"two")
        await asyncio.sleep(0.005)
        assert protocol.data == b"one two"
        transport.close()
        other.close()

    run(main)


def test_a_loop_that_is_closed_lets_go_of_what_waited() -> None:
    loop = new_event_loop()
    ours, theirs = pair()
    task = loop.create_task(loop.sock_recv(ours, 100))  # type: ignore[arg-type]
    loop.run_until_complete(asyncio.sleep(0.005))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    gone = weakref.ref(ours)
    ours.close()
    theirs.close()
    del ours, task, loop
    gc.collect()
    assert gone() is None


def test_what_waited_is_collected_with_its_future() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        gone = weakref.ref(ours)
        task = loop.create_task(loop.sock_recv(ours, 100))
        await asyncio.sleep(0.005)
        theirs.send(b"x")
        await task
        ours.close()
        theirs.close()
        del task, ours
        assert gone() is None, "there is no cycle left"

    run(main)


def test_connecting_and_accepting() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(listener))
            await asyncio.sleep(0.005)
            with socket.socket() as peer:
                peer.setblocking(False)
                await loop.sock_connect(peer, ("localhost", listener.getsockname()[1]))
                accepted, address = await accepting
                assert address == peer.getsockname()
                assert accepted.gettimeout() == 0
                accepted.close()
            accepting = loop.create_task(loop.sock_accept(listener))
            await asyncio.sleep(0)
            accepting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await accepting
            assert not watched()
            port = listener.getsockname()[1]
        with socket.socket() as peer:
            peer.setblocking(False)
            with pytest.raises(ConnectionRefusedError, match=rf"Connect call failed \('127.0.0.1', {port}\)"):
                await loop.sock_connect(peer, ("127.0.0.1", port))
        assert not watched()

    run(main)


def test_number_reuse_never_mixes_operations() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(300):
            ours, theirs = pair()
            text = b"%d" % number
            task = loop.create_task(loop.sock_recv(ours, 100))
            await asyncio.sleep(0)
            if number % 3 == 0:
                theirs.send(text)
                assert await task == text
            elif number % 3 == 1:
                # Closed while it waits: its task is never done, and is cancelled when others have its number.
                loop.call_later(0.01, task.cancel)
            else:
                task.cancel()
            ours.close()
            theirs.close()
        await asyncio.sleep(0.05)
        assert not watched()

    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) <= before


@contextmanager
def no_descriptors() -> Iterator[None]:
    """As if all were in use."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_without_descriptors_things_fail_in_order_and_work_again() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        peer = socket.create_connection(listener.getsockname())
        peer.setblocking(False)
        ends = [os.fdopen(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True)]

        async def fails(awaitable: Awaitable[Any]) -> None:
            with pytest.raises(OSError, match="Too many open files") as failed:
                await awaitable
            assert failed.value.errno == errno.EMFILE

        program = [sys.executable, "-c", "pass"]
        # What they import on first use is not the point.
        assert await (await asyncio.create_subprocess_exec(*program)).wait() == 0
        before = set(os.listdir("/proc/self/fd"))
        with no_descriptors():
            await fails(loop.sock_accept(listener))
            await fails(loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)))
            await fails(loop.create_connection(asyncio.Protocol, "127.0.0.1", listener.getsockname()[1]))
            await fails(asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE))
            # These make none.
            source, _ = await loop.connect_read_pipe(asyncio.Protocol, ends[0])
            sink, _ = await loop.connect_write_pipe(asyncio.Protocol, ends[1])
        assert set(os.listdir("/proc/self/fd")) <= before
        accepted, _ = await loop.sock_accept(listener)
        accepted.setblocking(False)
        await loop.sock_sendall(peer, b"well again")
        assert await loop.sock_recv(accepted, 100) == b"well again"
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        for closed in (accepted, peer, listener, transport, source, sink):
            closed.close()
        await asyncio.sleep(0)

    run(main)


def test_a_file_is_sent_to_a_slow_reader(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        everything = os.urandom(4 * MEGABYTE)
        (tmp_path / "file").write_bytes(everything)
        ours, theirs = tcp()
        with open(tmp_path / "file", "rb") as file:
            task = loop.create_task(loop.sock_sendfile(ours, file, 10, 3 * MEGABYTE))
            got = bytearray()
            while len(got) < 3 * MEGABYTE:
                got += await loop.sock_recv(theirs, 200_000)
            assert await task == 3 * MEGABYTE
            assert got == everything[10 : 10 + 3 * MEGABYTE]
            assert file.tell() == 10 + 3 * MEGABYTE
            task = loop.create_task(loop.sock_sendfile(ours, file))
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not watched()
        ours.close()
        theirs.close()

    run(main)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:1.2.3.4", None])
@pytest.mark.parametrize("port", [80, "80", None, 0])
def test_addresses_are_answered_without_a_thread(host: str | None, port: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for options in ({}, {"type": socket.SOCK_STREAM}, {"flags": socket.AI_PASSIVE}, {"proto": socket.IPPROTO_UDP}):
            try:
                expected: Any = socket.getaddrinfo(host, port, **options)
            except socket.gaierror as error:
                with pytest.raises(socket.gaierror) as failed:
                    await loop.getaddrinfo(host, port, **options)
                assert str(failed.value) == str(error)
            else:
                assert await loop.getaddrinfo(host, port, **options) == expected
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await loop.getnameinfo(("127.0.0.1", 80), numeric) == ("127.0.0.1", "80")
        with pytest.raises(socket.gaierror):
            await loop.getnameinfo(("localhost.invalid", 80), numeric)
        server = await loop.create_server(asyncio.Protocol, None, 0, family=socket.AF_INET)
        server.close()
        assert loop._default_executor is None  # type: ignore[attr-defined]

    run(main)


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("localhost", 80, {}),
        ("127.0.0.1", "http", {}),
        ("127.0.0.1", 80, {"flags": socket.AI_CANONNAME}),
        ("127.0.0.1", 80, {"family": socket.AF_INET6}),
        (b"127.0.0.1", 80, {}),
        ("127.1", 80, {}),
        ("a\0b", 80, {}),
    ],
)
def test_what_may_have_to_be_looked_up_goes_to_a_thread(host: Any, port: Any, options: dict[str, Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        try:
            expected: Any = socket.getaddrinfo(host, port, **options)
        except (OSError, ValueError, TypeError) as error:
            with pytest.raises(type(error)) as failed:
                await loop.getaddrinfo(host, port, **options)
            assert str(failed.value) == str(error)
        else:
            assert await loop.getaddrinfo(host, port, **options) == expected
        assert loop._default_executor is not None  # type: ignore[attr-defined]

    run(main)


def test_a_replaced_lookup_is_called_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def lookup(*args: Any) -> list[Any]:
        threads.append(threading.get_ident())
        return [args]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.getaddrinfo("127.0.0.1", 80) == [("127.0.0.1", 80, 0, 0, 0, 0)]  # type: ignore[comparison-overlap]
        assert threads[0] != threading.get_ident()

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    run(main)


def test_a_closed_loop_looks_nothing_up() -> None:
    loop = new_event_loop()
    loop.close()
    for lookup in (loop.getaddrinfo("127.0.0.1", 80), loop.getnameinfo(("127.0.0.1", 80), 3)):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            lookup.send(None)  # type: ignore[attr-defined]
