"""What a TLS connection tells its protocol, and when: each scene is played on asyncio's own loop and on PyLoop, and both must tell
the same."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import subprocess
import warnings
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ziggurat import new_event_loop
from ziggurat._tls import TlsProtocol

Scene = Callable[["Stage"], Coroutine[Any, Any, None]]
Meddle = Callable[["Tells", str], object]
Address = tuple[str, int]
LOOPS = (asyncio.SelectorEventLoop, new_event_loop)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    made += " -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *made.split(), "-keyout", f"{path}.key", "-out", f"{path}.crt"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
    return path


def nothing(*_: object) -> None:
    pass


class Tells(asyncio.Protocol):
    """Notes what it is told. `do` is called after each note, to meddle."""

    def __init__(self, stage: Stage, do: Meddle = nothing) -> None:
        self.stage = stage
        self.do = do
        self.lost = asyncio.get_running_loop().create_future()
        self.received = 0

    def tell(self, what: str, more: object = None) -> None:
        self.stage.told.append((what, more))
        self.do(self, what)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.tell("made")

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        # How much comes at once depends on the kernel.
        if self.stage.told[-1][0] == "data":
            data = self.stage.told.pop()[1] + data
        self.tell("data", data)

    def eof_received(self) -> None:
        self.tell("eof")

    def pause_writing(self) -> None:
        self.tell("pause")

    def resume_writing(self) -> None:
        self.tell("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(None)
        self.tell("lost", type(exc).__name__)


class TellsBuffered(Tells, asyncio.BufferedProtocol):
    """The same with buffers of its own."""

    size = 5000

    def get_buffer(self, hint: int) -> memoryview:
        # Asyncio would read into a copy of a part of a bytearray.
        self.buffer = memoryview(bytearray(self.size))
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.data_received(bytes(self.buffer[:count]))


KINDS = [Tells, TellsBuffered]


class Stage:
    """A server on the loop under test, and peers that block, in threads."""

    def __init__(self, certificate: Path) -> None:
        self.told: list[tuple[str, Any]] = []
        self.protocols: list[Tells] = []
        self.servers: list[asyncio.Server] = []
        self.peers: list[socket.socket] = []
        self.certificate = certificate
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.client = ssl.create_default_context(cafile=str(certificate))

    async def serve(self, kind: type[Tells], do: Meddle = nothing, **options: Any) -> Address:
        """A server whose protocols are in `protocols`."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.failed)

        def make() -> Tells:
            self.protocols.append(kind(self, do))
            return self.protocols[-1]

        server = await loop.create_server(make, "127.0.0.1", 0, ssl=self.context, **options)
        self.servers.append(server)
        return server.sockets[0].getsockname()  # type: ignore[no-any-return]

    async def first(self) -> Tells:
        """The first protocol of the server, once its handshake is done."""
        while ("made", None) not in self.told:
            await asyncio.sleep(0.001)
        return self.protocols[0]

    def failed(self, _: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        self.told.append(("failed", (about["message"], type(about.get("exception")).__name__)))

    def connect(self, address: Address) -> ssl.SSLSocket:
        plain = socket.create_connection(address, timeout=20)
        tls = self.client.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        self.peers.append(tls)
        return tls

    async def end(self) -> None:
        """Nothing is left open: what is, warns, and the test fails."""
        for server in self.servers:
            server.close()
        for peer in self.peers:
            peer.close()
        for protocol in self.protocols:
            if hasattr(protocol, "transport"):
                protocol.transport.abort()
                await protocol.lost
        await asyncio.sleep(0.01)


async def off(function: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


def bared(tls: ssl.SSLSocket) -> socket.socket:
    """The connection below a TLS socket that is no more."""
    plain = socket.socket(fileno=tls.detach())
    plain.settimeout(20)
    return plain


async def play(stage: Stage, scene: Scene) -> None:
    try:
        await scene(stage)
    finally:
        await stage.end()


def played(certificate: Path, scene: Scene) -> list[tuple[str, Any]]:
    """Plays a scene on PyLoop alone."""
    stage = Stage(certificate)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(play(stage, scene), 60))
    return stage.told


def told(certificate: Path, scene: Scene) -> list[tuple[str, Any]]:
    """Plays a scene on both loops."""
    tales = []
    for make in LOOPS:
        stage = Stage(certificate)
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(asyncio.wait_for(play(stage, scene), 60))
        tales.append(stage.told)
    assert tales[1] == tales[0]
    return tales[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("goodbye", [True, False])
def test_the_peer_ends(certificate: Path, kind: type[Tells], goodbye: bool) -> None:
    """With the alert that TLS has for it, or by closing the connection below."""

    async def scene(stage: Stage) -> None:
        address = await stage.serve(kind)

        def peer() -> None:
            tls = stage.connect(address)
            tls.sendall(b"last words")
            if goodbye:
                tls.unwrap().close()
            else:
                with bared(tls) as plain:
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(1 << 16):
                        pass

        await off(peer)
        await stage.protocols[0].lost

    tale = told(certificate, scene)
    assert tale[:2] == [("made", None), ("data", b"last words")]
    assert ("eof", None) in tale if goodbye else tale[-1][0] == "lost"


@pytest.mark.parametrize("kind", KINDS)
def test_a_pause_inside_a_callback_holds(certificate: Path, kind: type[Tells]) -> None:
    async def scene(stage: Stage) -> None:
        sent = bytes(range(256)) * 2000

        def pause(protocol: Tells, what: str) -> None:
            if what == "data" and protocol.received < 100_000:
                protocol.transport.pause_reading()

        address = await stage.serve(kind, pause)

        def peer() -> ssl.SSLSocket:
            tls = stage.connect(address)
            tls.sendall(sent)
            return tls

        task = asyncio.ensure_future(off(peer))
        while not stage.protocols or not stage.protocols[0].received:
            await asyncio.sleep(0.001)
        while stage.protocols[0].received < len(sent):
            before = stage.protocols[0].received
            if not stage.protocols[0].transport.is_reading():
                await asyncio.sleep(0.005)
                assert stage.protocols[0].received == before
                stage.protocols[0].transport.resume_reading()
            await asyncio.sleep(0.001)
        (await task).close()
        await stage.protocols[0].lost

    tale = told(certificate, scene)
    assert tale[1] == ("data", bytes(range(256)) * 2000)


def raises(what: str) -> Meddle:
    def do(_: Tells, happened: str) -> None:
        if happened == what:
            raise ZeroDivisionError(what)

    return do


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["made", "data", "eof", "lost"])
def test_protocols_that_raise(certificate: Path, kind: type[Tells], where: str) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(kind, raises(where))

        def peer() -> None:
            try:
                tls = stage.connect(address)
                tls.sendall(b"a")
                tls.unwrap().close()
            except (OSError, ssl.SSLError):
                pass

        await off(peer)
        await stage.protocols[0].lost
        # The server still serves.
        await off(peer)
        await stage.protocols[1].lost
        # What a protocol raises is reported in a callback of its own.
        await asyncio.sleep(0.01)

    tale = told(certificate, scene)
    assert [about for what, about in tale if what == "failed"], tale


def test_what_a_full_protocol_is_told(certificate: Path) -> None:
    """Limits of the default, of nothing, and of little."""

    async def scene(stage: Stage) -> None:
        for limit in (None, 0, 1, 10_000):
            stage.protocols.clear()

            def write(protocol: Tells, what: str, limit: int | None = limit) -> None:
                if what == "made" and limit is not None:
                    protocol.transport.set_write_buffer_limits(limit)
                if what == "data":
                    for size in (10, 20_000, 9_000_000, 10):
                        protocol.transport.write(bytes(size))

            address = await stage.serve(Tells, write)

            def peer(address: Address = address) -> None:
                tls = stage.connect(address)
                tls.sendall(b"go")
                left = 9_020_020
                while left:
                    left -= len(tls.recv(1 << 16))
                tls.unwrap().close()

            await off(peer)
            await stage.protocols[0].lost
            pauses = [what for what, _ in stage.told if what in ("pause", "resume")]
            assert pauses == ["pause", "resume"] * (len(pauses) // 2) + ["pause"] * (len(pauses) % 2)
            # At next to nothing each arrival has a pause or its end, and how many come depends on the kernel.
            if limit in (0, 1):
                assert pauses[:1] == ["pause"]
                seen.update(pauses)
                stage.told[:] = [told for told in stage.told if told[0] not in ("pause", "resume")]

    seen: set[str] = set()
    told(certificate, scene)
    assert seen == {"pause", "resume"}


def test_what_is_written_is_what_it_was(certificate: Path) -> None:
    """Data that may change is sent as it was, whatever its kind, and nothing that is not bytes is taken."""

    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)
        tls = await off(stage.connect, address)
        transport = (await stage.first()).transport
        for wrong in ("text", None, 5, [b"a"]):
            with pytest.raises(TypeError) as refused:
                transport.write(wrong)
            stage.told.append(("refused", str(refused.value)))
        changing = bytearray(b"a" * 40_000)
        transport.write(changing)
        changing[:] = b"x" * 40_000
        transport.write(memoryview(b"--bb--")[2:4])
        transport.write(b"")
        transport.writelines([b"c", bytearray(b"d"), memoryview(b"e")])
        expected = b"a" * 40_000 + b"bbcde"
        got = bytearray()
        while len(got) < len(expected):
            got += await off(tls.recv, 1 << 16)
        assert got == expected
        assert transport.get_write_buffer_size() == 0
        transport.close()
        with pytest.raises((ssl.SSLError, OSError)):
            await off(tls.recv, 1)
            await off(tls.recv, 1)
            await off(tls.unwrap)
            raise OSError("ended in good order")
        tls.close()
        await stage.protocols[0].lost
        with pytest.raises(NotImplementedError):
            transport.write_eof()

    told(certificate, scene)


def test_writes_on_a_lost_connection_are_counted_and_told(certificate: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)
        tls = await off(stage.connect, address)
        transport = (await stage.first()).transport
        transport.abort()
        await stage.protocols[0].lost
        caplog.clear()
        for _ in range(7):
            transport.write(b"nobody reads this")
        with pytest.raises(TypeError):
            transport.write("text")
        lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        stage.told.append(("logged", lines))
        tls.close()

    assert told(certificate, scene)[-1] == ("logged", ["SSL connection is closed"] * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_record(certificate: Path, kind: type[Tells]) -> None:
    """What came before it is the application's; the connection ends."""

    async def scene(stage: Stage) -> None:
        address = await stage.serve(kind)

        def peer() -> None:
            tls = stage.connect(address)
            tls.sendall(b"whole")
            # Not in one piece with what follows: asyncio would lose it.
            while not stage.protocols or not stage.protocols[0].received:
                pass
            with bared(tls) as plain:
                plain.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)
                while plain.recv(1 << 16):
                    pass

        await off(peer)
        await stage.protocols[0].lost

    tale = told(certificate, scene)
    assert tale[1] == ("data", b"whole")
    assert tale[-1] == ("lost", "SSLError")


def test_what_came_before_a_broken_record_in_the_same_piece_is_not_lost(certificate: Path) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)

        def peer() -> None:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = stage.client.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            plain = socket.create_connection(address)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(1 << 16))
            tls.write(b"whole")
            plain.sendall(outgoing.read() + b"\x17\x03\x03\x00\x20" + b"z" * 32)
            while plain.recv(1 << 16):
                pass
            plain.close()

        await off(peer)
        await stage.protocols[0].lost

    tale = played(certificate, scene)
    assert tale[1] == ("data", b"whole")
    assert tale[-1] == ("lost", "SSLError")


def test_time_outs_of_handshake_and_shutdown(certificate: Path) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(
            Tells,
            ssl_handshake_timeout=0.1,
            ssl_shutdown_timeout=0.1,
        )
        silent = socket.create_connection(address, timeout=20)
        # The server gives up and closes.
        assert await off(silent.recv, 1) == b""
        silent.close()
        tls = await off(stage.connect, address)
        while len(stage.protocols) < 2 or not stage.told:
            await asyncio.sleep(0.001)
        # The peer never answers.
        stage.protocols[1].transport.close()
        await stage.protocols[1].lost
        tls.close()
        for wrong in (0, -1):
            with (
                socket.create_connection(address) as plain,
                pytest.raises(ValueError, match="should be a positive number"),
            ):
                await asyncio.open_connection(
                    sock=plain, ssl=stage.client, server_hostname="127.0.0.1", ssl_handshake_timeout=wrong
                )

    tale = told(certificate, scene)
    assert tale[-1] == ("lost", "TimeoutError")


@pytest.mark.parametrize("how", ["cancel", "close the server", "abort"])
def test_ends_in_the_midst_of_a_handshake(certificate: Path, how: str) -> None:
    """Nothing is left: no descriptor, no protocol, no warning."""

    async def scene(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(stage.failed)
        known: list[weakref.ref[Any]] = []
        with socket.create_server(("127.0.0.1", 0)) as silent:

            def make() -> Tells:
                protocol = Tells(stage)
                known.append(weakref.ref(protocol))
                return protocol

            task = asyncio.ensure_future(
                loop.create_connection(make, *silent.getsockname(), ssl=stage.client, server_hostname="127.0.0.1")
            )
            peer, _ = await off(silent.accept)
            await off(peer.recv, 1)
            if how == "cancel":
                task.cancel()
            elif how == "abort":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.close()
            else:
                peer.shutdown(socket.SHUT_RDWR)
            try:
                await task
            except BaseException as exc:
                stage.told.append(("raised", type(exc).__name__))
            peer.close()
        del task
        await asyncio.sleep(0.01)
        gc.collect()
        assert [ref() for ref in known] == [None]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tale = told(certificate, scene)
    assert [what for what, _ in tale] == ["raised"]


def test_tls_within_tls(certificate: Path) -> None:
    """As behind a proxy that is spoken to by TLS."""

    async def scene(stage: Stage) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            await writer.start_tls(stage.context)
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=stage.context)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=stage.client)
        writer.write(b"inwards\n")
        assert await reader.readline() == b"inwards\n"
        await writer.start_tls(stage.client, server_hostname="127.0.0.1")
        sent = bytes(range(256)) * 1000
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        server.close()

    told(certificate, scene)


def test_a_protocol_is_replaced_in_mid_stream(certificate: Path) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)
        tls = await off(stage.connect, address)
        while not stage.told:
            await asyncio.sleep(0.001)
        transport = stage.protocols[0].transport
        for number, kind in enumerate((TellsBuffered, Tells, TellsBuffered)):
            protocol = kind(stage)
            transport.set_protocol(protocol)
            assert transport.get_protocol() is protocol
            await off(tls.sendall, b"%d" % number * 20_000)
            while protocol.received < 20_000:
                await asyncio.sleep(0.001)
        # The first one is told nothing any more.
        stage.protocols[:] = [protocol]

    tale = told(certificate, scene)
    assert [about for what, about in tale if what == "data"] == [b"0" * 20_000 + b"1" * 20_000 + b"2" * 20_000]


def test_an_ssl_object_of_another_class(certificate: Path) -> None:
    """A context may have one; what it does is done."""

    class Counts(ssl.SSLObject):
        reads = writes = 0

        def read(self, *args: Any) -> Any:
            Counts.reads += 1
            return super().read(*args)

        def write(self, data: Any) -> int:
            Counts.writes += 1
            return super().write(data)

    async def scene(stage: Stage) -> None:
        stage.context.sslobject_class = Counts
        Counts.reads = Counts.writes = 0

        def echo(protocol: Tells, what: str) -> None:
            if what == "data":
                protocol.transport.write(stage.told[-1][1])

        address = await stage.serve(Tells, echo)

        def peer() -> None:
            tls = stage.connect(address)
            tls.sendall(b"counted")
            assert tls.recv(100) == b"counted"
            tls.close()

        await off(peer)
        await stage.protocols[0].lost
        assert Counts.reads > 0
        assert Counts.writes == 1

    told(certificate, scene)


def test_what_is_closed_is_gone_and_what_is_not_says_so(certificate: Path) -> None:
    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: Tells(stage), *address, ssl=stage.client, server_hostname="127.0.0.1"
        )
        known = [weakref.ref(transport), weakref.ref(protocol), weakref.ref(transport._ssl_protocol)]  # type: ignore[attr-defined]
        assert isinstance(transport._ssl_protocol, TlsProtocol)  # type: ignore[attr-defined]
        transport.close()
        await protocol.lost
        await stage.protocols[0].lost
        del transport, protocol
        await asyncio.sleep(0.01)
        gc.collect()
        assert [ref() for ref in known] == [None] * 3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played(certificate, scene)

    async def forget(stage: Stage) -> None:
        address = await stage.serve(Tells)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            lambda: Tells(stage), *address, ssl=stage.client, server_hostname="127.0.0.1"
        )
        transport.pause_reading()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        played(certificate, forget)
        gc.collect()
    assert [about for about in caught if "unclosed transport" in str(about.message)]


def test_a_connection_costs_no_buffer(certificate: Path) -> None:
    """Asyncio has one of 256 KiB for each connection."""

    async def scene(stage: Stage) -> None:
        address = await stage.serve(Tells)
        _, writer = await asyncio.open_connection(*address, ssl=stage.client)
        protocol = writer.transport._ssl_protocol  # type: ignore[attr-defined]
        writer.write(b"x" * 100_000)
        await writer.drain()
        assert len(protocol._ssl_buffer) == 0
        # Who asks for it gets it.
        assert len(protocol.get_buffer(-1)) == 256 * 1024
        writer.transport.abort()  # type: ignore[attr-defined]

    played(certificate, scene)
