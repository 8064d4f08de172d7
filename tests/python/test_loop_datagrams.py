"""Datagram transports on real sockets: order, addresses, limits, refusals, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop
from ziggurat._datagrams import DatagramTransport

HEADER = 8 if sys.version_info >= (3, 13) else 0


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), 30))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class Recorder(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.events: list[str] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.events.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)


KINDS = ["udp", "udp6", "unix", "abstract"]
kinds = pytest.mark.parametrize("kind", KINDS)


def bound(kind: str, folder: Path, name: str) -> socket.socket:
    """A blocking socket with a name."""
    if kind == "udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
    elif kind == "udp6":
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind(("::1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if kind == "unix":
            sock.bind(str(folder / name))
        else:
            sock.bind(b"\0ziggurat-%d-" % os.getpid() + name.encode() + b"\0with\0zeros")
    sock.settimeout(10)
    return sock


@asynccontextmanager
async def endpoint(
    kind: str,
    folder: Path,
    protocol: Callable[[], asyncio.DatagramProtocol] = Recorder,
    *,
    connected: bool = False,
) -> AsyncIterator[tuple[Any, Any, socket.socket]]:
    """A transport with its protocol, and a blocking socket beside it."""
    loop = asyncio.get_running_loop()
    ours, peer = bound(kind, folder, "ours"), bound(kind, folder, "peer")
    if connected:
        ours.connect(peer.getsockname())
    transport, made = await loop.create_datagram_endpoint(protocol, sock=ours)
    assert isinstance(transport, DatagramTransport)
    assert isinstance(transport, asyncio.DatagramTransport) or sys.version_info < (3, 12)
    try:
        yield transport, made, peer
    finally:
        peer.close()
        transport.abort()
        await asyncio.sleep(0)


@kinds
def test_datagrams_go_both_ways_in_order_with_their_addresses(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint(kind, tmp_path) as (transport, protocol, peer):
            here, there = transport.get_extra_info("sockname"), peer.getsockname()
            count = 5 if kind in ("unix", "abstract") else 100
            for number in range(count):
                peer.sendto(b"in %d" % number, here)
            await until(lambda: len(protocol.got) == count)
            assert protocol.got == [(b"in %d" % number, there) for number in range(count)]
            assert {type(addr) for _, addr in protocol.got} == {type(there)}
            for number in range(count):
                transport.sendto(bytearray(b"out %d" % number), there)
            assert [peer.recvfrom(100) for _ in range(count)] == [(b"out %d" % number, here) for number in range(count)]
            assert protocol.events == ["made"]

    run(main)


@kinds
def test_a_connected_socket_sends_to_its_peer(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint(kind, tmp_path, connected=True) as (transport, protocol, peer):
            transport.sendto(b"one")
            transport.sendto(memoryview(b"two"), ("the address", "is not looked at"))
            assert (peer.recv(10), peer.recv(10)) == (b"one", b"two")
            peer.sendto(b"three", transport.get_extra_info("sockname"))
            await until(lambda: protocol.got)
            assert protocol.got == [(b"three", peer.getsockname())]

    run(main)


def test_the_ends_of_a_socket_pair_need_no_names() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        transport, protocol = await loop.create_datagram_endpoint(Recorder, sock=ours)
        peer.send(b"in")
        await until(lambda: protocol.got)
        assert protocol.got == [(b"in", None)]
        transport.sendto(b"out")
        assert peer.recv(10) == b"out"
        transport.close()
        assert await protocol.lost is None
        peer.close()

    run(main)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_endpoint_that_asyncio_makes(family: int) -> None:
    class Echo(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data.upper(), addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, 0))
        address = server.get_extra_info("sockname")
        client, protocol = await loop.create_datagram_endpoint(Recorder, remote_addr=address[:2])
        client.sendto(b"one")
        client.sendto(b"two", address)
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            client.sendto(b"three", (host, 9))
        await until(lambda: len(protocol.got) == 2)
        assert protocol.got == [(b"ONE", address), (b"TWO", address)]
        client.close()
        server.close()
        await protocol.lost

    run(main)


def test_two_endpoints_may_share_a_port() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, one = await loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0), reuse_port=True)
        address = first.get_extra_info("sockname")
        second, two = await loop.create_datagram_endpoint(Recorder, local_addr=address, reuse_port=True)
        assert second.get_extra_info("sockname") == address
        with pytest.raises(OSError, match="Address already in use"):
            await loop.create_datagram_endpoint(Recorder, local_addr=address)
        # The kernel picks one of the two by the sender.
        for _ in range(32):
            with socket.socket(type=socket.SOCK_DGRAM) as sender:
                sender.sendto(b"x", address)
        await until(lambda: len(one.got) + len(two.got) == 32)
        assert one.got and two.got
        for transport in (first, second):
            transport.close()

    run(main)


def test_broadcast_has_to_be_allowed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        everybody = ("127.255.255.255", 9)
        refused, told = await loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0))
        refused.sendto(b"x", everybody)
        assert [type(error) for error in told.errors] == [PermissionError]
        allowed, told = await loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0), allow_broadcast=True)
        allowed.sendto(b"x", everybody)
        await asyncio.sleep(0.005)
        assert not told.errors
        refused.close()
        allowed.close()

    run(main)


def test_a_fixed_address_of_a_socket_that_is_not_connected() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            # With broadcasts allowed asyncio does not connect.
            transport, protocol = await loop.create_datagram_endpoint(
                Recorder, remote_addr=peer.getsockname(), allow_broadcast=True
            )
            transport.sendto(b"hello")
            assert peer.recv(10) == b"hello"
            transport.close()
            await protocol.lost

    run(main)


def test_addresses_that_only_the_socket_module_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            port = peer.getsockname()[1]
            async with endpoint("udp", Path()) as (transport, protocol, _):
                for host in ["localhost", "127.1", b"127.0.0.1", bytearray(b"127.0.0.1"), ""]:
                    transport.sendto(b"to a name", (host, port))
                    assert peer.recv(20) == b"to a name"
                transport.sendto(b"to a wrong port", ("127.0.0.1", port + 65536))
                assert isinstance(await protocol.lost, OverflowError)

    run(main)


@pytest.mark.parametrize("address", [None, "text", ("127.0.0.1",), ("127.0.0.1", "80"), ("127.0.0.1", 80, 0), 7])
def test_what_is_no_address_ends_the_transport_in_the_words_of_the_socket(address: Any, tmp_path: Path) -> None:
    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with endpoint("udp", tmp_path) as (transport, protocol, peer):
            with pytest.raises(TypeError) as expected:
                peer.sendto(b"x", address)
            transport.sendto(b"x", address)
            exc = await protocol.lost
            assert (type(exc), str(exc)) == (TypeError, str(expected.value))
            assert reports[0]["message"] == "Fatal write error on datagram transport"

    run(main)


def test_an_address_of_version_6_may_have_a_flow_and_a_scope(tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("udp6", tmp_path) as (transport, protocol, peer):
            host, port = peer.getsockname()[:2]
            for more in [(), (0x54321,), (0x54321, 0)]:
                transport.sendto(b"out", (host, port, *more))
                assert peer.recv(10) == b"out"
            transport.sendto(b"no such scope", ("fe80::1", port, 0, 0x7FFFFFFF))
            assert [exc.errno for exc in protocol.errors] in ([19], [22], [99], [101]), protocol.errors
            transport.sendto(b"bad", (host, port, 0x100000))
            assert isinstance(await protocol.lost, OverflowError)

    run(main)


@pytest.mark.parametrize("text", ["plain", "übung", "\udcff"])
def test_paths_are_decoded_as_the_file_system_has_them(text: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("unix", tmp_path) as (transport, protocol, _):
            path = str(tmp_path / text)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                peer.bind(path)
                peer.settimeout(5)
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await until(lambda: protocol.got)
                assert protocol.got == [(b"x", path)]
                transport.sendto(b"y", path)
                transport.sendto(b"z", os.fsencode(path))
                assert (peer.recv(10), peer.recv(10)) == (b"y", b"z")

    run(main)


@kinds
def test_empty_datagrams(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint(kind, tmp_path) as (transport, protocol, peer):
            peer.sendto(b"", transport.get_extra_info("sockname"))
            peer.sendto(b"more", transport.get_extra_info("sockname"))
            await until(lambda: len(protocol.got) == 2)
            assert [data for data, _ in protocol.got] == [b"", b"more"]
            transport.sendto(b"", peer.getsockname())
            transport.sendto(b"more", peer.getsockname())
            # Python 3.13 began to send them.
            assert peer.recv(10) == (b"" if sys.version_info >= (3, 13) else b"more")

    run(main)


def test_large_and_oversized_datagrams(tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("udp", tmp_path) as (transport, protocol, peer):
            here, there = transport.get_extra_info("sockname"), peer.getsockname()
            largest = os.urandom(65507)
            peer.sendto(largest, here)
            await until(lambda: protocol.got)
            assert protocol.got == [(largest, there)]
            transport.sendto(largest, there)
            assert peer.recv(70000) == largest
            transport.sendto(largest + b"x", there)
            assert [type(exc) for exc in protocol.errors] == [OSError]
            assert protocol.errors[0].errno == 90, "message too long"  # type: ignore[attr-defined]
            transport.sendto(b"goes on", there)
            assert peer.recv(10) == b"goes on"

    run(main)


def test_what_is_larger_than_the_limit_is_cut_and_the_limit_may_be_raised(tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("unix", tmp_path) as (transport, protocol, peer):
            assert transport.max_size == 256 * 1024
            here = transport.get_extra_info("sockname")
            transport.max_size = 10
            peer.sendto(b"0123456789abc", here)
            peer.sendto(b"short", here)
            await until(lambda: len(protocol.got) == 2)
            assert [data for data, _ in protocol.got] == [b"0123456789", b"short"]
            transport.max_size = 1024 * 1024
            try:
                peer.setsockopt(socket.SOL_SOCKET, 32, 2 * 1024 * 1024)  # SO_SNDBUFFORCE
            except PermissionError:
                return
            peer.sendto(bytes(300_000), here)
            await until(lambda: len(protocol.got) == 3)
            assert len(protocol.got[2][0]) == 300_000

    run(main)


def test_a_refusal_is_told_and_the_transport_goes_on() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = nobody.getsockname()
        transport, protocol = await loop.create_datagram_endpoint(Recorder, remote_addr=address)
        transport.sendto(b"is anybody there?")
        await until(lambda: protocol.errors)
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        assert (protocol.errors[0].errno, protocol.errors[0].strerror) == (111, "Connection refused")
        assert not transport.is_closing()
        # While it does not read, the next write hears of it.
        transport.pause_reading()
        transport.sendto(b"still nobody?")
        await asyncio.sleep(0.02)
        transport.sendto(b"hello?")
        assert [type(exc) for exc in protocol.errors] == [ConnectionRefusedError] * 2
        transport.close()
        assert await protocol.lost is None

    run(main)


def test_a_full_socket_pauses_the_protocol_and_everything_arrives_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("unix", tmp_path) as (transport, protocol, peer):
            there = peer.getsockname()
            transport.set_write_buffer_limits(high=1000, low=100)
            count = 0
            while transport.get_write_buffer_size() == 0:
                transport.sendto(b"%06d" % count, there)
                count += 1
            assert transport.get_write_buffer_size() == 6 + HEADER
            while "pause" not in protocol.events:
                transport.sendto(b"%06d" % count, there)
                count += 1
            assert 1000 < transport.get_write_buffer_size() <= 1006 + HEADER

            got = []
            while len(got) < count:
                await asyncio.sleep(0)
                peer.setblocking(False)
                try:
                    got.append(peer.recv(10))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            assert got == [b"%06d" % number for number in range(count)]
            await until(lambda: "resume" in protocol.events)
            assert protocol.events == ["made", "pause", "resume"]
            assert transport.get_write_buffer_size() == 0
            assert "write=<idle, bufsize=0>" in repr(transport)

    run(main)


def test_close_sends_what_is_queued_and_abort_does_not(tmp_path: Path) -> None:
    async def fill(transport: Any, there: Any) -> int:
        count = 0
        while transport.get_write_buffer_size() == 0:
            transport.sendto(b"%06d" % count, there)
            count += 1
        return count

    async def drain(peer: socket.socket, protocol: Any) -> list[bytes]:
        got: list[bytes] = []
        peer.setblocking(False)
        while True:
            try:
                got.append(peer.recv(10))
            except BlockingIOError:
                if protocol.lost.done():
                    return got
                await asyncio.sleep(0.001)

    async def main() -> None:
        (tmp_path / "a").mkdir()
        async with endpoint("unix", tmp_path / "a") as (transport, protocol, peer):
            count = await fill(transport, peer.getsockname())
            transport.close()
            assert transport.is_closing()
            assert len(await drain(peer, protocol)) == count
            assert protocol.events == ["made", "lost"]
            assert await protocol.lost is None
        (tmp_path / "b").mkdir()
        async with endpoint("unix", tmp_path / "b") as (transport, protocol, peer):
            count = await fill(transport, peer.getsockname())
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            assert len(await drain(peer, protocol)) == count - 1

    run(main)


def test_a_refusal_in_the_queue_leaves_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("unix", tmp_path) as (transport, protocol, peer):
            there = peer.getsockname()
            while transport.get_write_buffer_size() == 0:
                transport.sendto(b"filler", there)
            transport.sendto(b"to nobody", str(tmp_path / "nobody"))
            transport.sendto(b"end", there)
            peer.setblocking(False)
            got = [b""]
            while got[-1] != b"end":
                try:
                    got.append(peer.recv(10))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            assert [type(exc) for exc in protocol.errors] == [FileNotFoundError]

    run(main)


def test_pausing_holds_datagrams_back_also_from_inside(tmp_path: Path) -> None:
    class OneAtATime(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    async def main() -> None:
        async with endpoint("udp", tmp_path, OneAtATime) as (transport, protocol, peer):
            for number in range(3):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            for number in range(1, 4):
                await until(lambda number=number: len(protocol.got) == number)
                assert not transport.is_reading()
                await asyncio.sleep(0.01)
                assert len(protocol.got) == number
                transport.resume_reading()

    run(main)


def test_close_in_a_callback_is_the_last_that_it_hears(tmp_path: Path) -> None:
    class ClosesAtOnce(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.close()

    async def main() -> None:
        async with endpoint("udp", tmp_path, ClosesAtOnce) as (transport, protocol, peer):
            for number in range(3):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            assert await protocol.lost is None
            assert [data for data, _ in protocol.got] == [b"0"]
            assert transport.get_extra_info("socket").fileno() == -1

    run(main)


def test_what_a_protocol_raises_is_reported_and_the_transport_goes_on(tmp_path: Path) -> None:
    class Raises(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            raise ValueError(data)

        def error_received(self, exc: Exception) -> None:
            raise exc

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with endpoint("udp", tmp_path, Raises) as (transport, protocol, peer):
            for number in range(2):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            await until(lambda: len(protocol.got) == 2)
            assert [str(report["exception"]) for report in reports] == ["b'0'", "b'1'"]
            assert reports[0]["message"] == "Exception in callback DatagramTransport._read_ready()"
            assert reports[0]["transport"] is transport
            # What it raises in the call of the user is the user's.
            with pytest.raises(OSError, match="Message too long"):
                transport.sendto(bytes(65508), peer.getsockname())
            assert not transport.is_closing()

    run(main)


def test_an_interrupt_in_a_protocol_leaves_the_loop_and_loses_nothing(tmp_path: Path) -> None:
    class Interrupted(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if data == b"1":
                raise KeyboardInterrupt

    loop = new_event_loop()
    ours, peer = bound("udp", tmp_path, ""), bound("udp", tmp_path, "")

    async def set_up() -> Any:
        return await loop.create_datagram_endpoint(Interrupted, sock=ours)

    transport, protocol = loop.run_until_complete(set_up())
    for number in range(3):
        peer.sendto(b"%d" % number, ours.getsockname())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(asyncio.sleep(5))
    loop.run_until_complete(asyncio.sleep(0.01))
    assert [data for data, _ in protocol.got] == [b"0", b"1", b"2"]
    transport.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    peer.close()


def test_nothing_is_sent_after_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with endpoint("udp", tmp_path, connected=True) as (transport, protocol, peer):
            transport.close()
            await protocol.lost
            # Somebody else has the number now.
            others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
            for _ in range(6):
                transport.sendto(b"late", peer.getsockname())
            assert "socket.send() raised exception." in caplog.text
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(10)
            for other in others:
                other.close()

    run(main)


@pytest.mark.parametrize("data", ["text", 7, None, [b"x"]])
def test_other_things_than_bytes_are_refused(data: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with endpoint("udp", tmp_path) as (transport, _, peer):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object, not"):
                transport.sendto(data, peer.getsockname())

    run(main)


def test_callbacks_run_in_the_context_of_the_transport(tmp_path: Path) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    class Looks(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.events.append(variable.get())

    async def main() -> None:
        variable.set("transport")
        async with endpoint("udp", tmp_path, Looks) as (transport, protocol, peer):
            variable.set("later")
            peer.sendto(b"x", transport.get_extra_info("sockname"))
            await until(lambda: len(protocol.events) > 1)
            assert protocol.events[1] == "transport"

    run(main)


def test_a_socket_closed_from_outside_keeps_its_number(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = bound("udp", tmp_path, ""), bound("udp", tmp_path, "")
        number, address = ours.fileno(), ours.getsockname()
        transport, protocol = await loop.create_datagram_endpoint(Recorder, sock=ours)
        ours.close()
        others = [socket.socket() for _ in range(20)]
        assert number not in [other.fileno() for other in others]
        peer.sendto(b"still here", address)
        await until(lambda: protocol.got)
        transport.close()
        await protocol.lost
        for one in (peer, *others):
            one.close()

    run(main)


def test_a_busy_socket_lets_the_others_in(tmp_path: Path) -> None:
    class FeedsItself(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.sendto(data, addr)

    async def main() -> None:
        async with endpoint("udp", tmp_path, FeedsItself) as (transport, protocol, _):
            here = transport.get_extra_info("sockname")
            transport.sendto(b"round and round", here)
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert len(protocol.got) > 20

    run(main)


def test_number_reuse_never_mixes_transports(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with bound("udp", tmp_path, "") as peer:
            for number in range(200):
                transport, protocol = await loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0))
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                if number % 2:
                    await until(lambda protocol=protocol: protocol.got)
                    assert [data for data, _ in protocol.got] == [b"%d" % number]
                transport.close()
                await protocol.lost
                assert len(protocol.got) <= 1

    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_sockets_that_are_not_plain_are_left_to_the_base_class(tmp_path: Path) -> None:
    class Wrapped(socket.socket):
        def sendto(self, *args: Any) -> int:  # type: ignore[override]
            sent.append(args)
            return super().sendto(*args)

    sent: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours = Wrapped(socket.AF_INET, socket.SOCK_DGRAM)
        ours.bind(("127.0.0.1", 0))
        transport, protocol = await loop.create_datagram_endpoint(Recorder, sock=ours)
        assert not isinstance(transport, DatagramTransport)
        transport.sendto(b"x", ours.getsockname())
        await until(lambda: protocol.got)
        assert sent == [(b"x", ours.getsockname())]
        transport.close()
        await protocol.lost

    run(main)


def test_an_unclosed_transport_is_warned_about_and_closed(tmp_path: Path) -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=bound("udp", tmp_path, ""))
        return transport

    loop = new_event_loop()
    transport = loop.run_until_complete(main())
    number = transport.get_extra_info("socket").fileno()
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport <DatagramTransport fd="):
        del transport
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(number)
