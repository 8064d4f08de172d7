"""Messages that are compressed: with a client of others, and frame by frame."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from test_websockets_wire import BINARY, HEAD, PING, PONG, TEXT, Raw, Serve, frame, served
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.sync.client import ClientConnection, connect

from ziggurat import ConfigError, WebSocket, Ziggurat

__all__ = ["served"]

pytestmark = pytest.mark.usefixtures("mode")

OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
COMPRESSED = 0b100
LONG = "All that is sent twice is sent once. " * 200


def echo(app: Ziggurat, **options: Any) -> None:
    @app.websocket("/", **options)
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for message in ws:
            await ws.send(message)


def deflated(data: bytes, bits: int = -15) -> bytes:
    compressor = zlib.compressobj(wbits=bits)
    made = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return made.removesuffix(b"\0\0\xff\xff")


def inflated(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(data + b"\0\0\xff\xff")


@contextmanager
def opened(served: Serve, offer: str | None = None) -> Iterator[Raw]:
    head = {**HEAD, **(OFFER if offer is None else {"Sec-WebSocket-Extensions": offer})}
    with Raw(served(), head=head) as client:
        assert client.status == 101
        yield client


def extension(client: Raw) -> str | None:
    lines = client.answer.decode().lower().split("\r\n")
    return next((line.partition(": ")[2] for line in lines if line.startswith("sec-websocket-extensions")), None)


def received(client: Raw) -> tuple[int, int, bytes]:
    """Reserved bits, opcode and payload of a frame."""
    first, size = client.exactly(2)
    if size == 126:
        size = int.from_bytes(client.exactly(2))
    elif size == 127:
        size = int.from_bytes(client.exactly(8))
    return first >> 4 & 0b111, first & 0x0F, client.exactly(size)


# Another client


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("bits", [None, 9, 12, 15])
@pytest.mark.parametrize("forgets", [False, True])
def test_another_client_understands_us(
    app: Ziggurat, served: Serve, context: bool, bits: int | None, forgets: bool
) -> None:
    echo(app, compression=True, compression_context=context, max_message_bytes=4_000_000)
    host, port = served()
    factory = ClientPerMessageDeflateFactory(
        server_max_window_bits=bits,
        client_max_window_bits=True if bits is None else bits,
        server_no_context_takeover=forgets,
        client_no_context_takeover=forgets,
    )
    client: ClientConnection
    with connect(f"ws://{host}:{port}/", compression=None, extensions=[factory], max_size=None) as client:
        [agreed] = client.protocol.extensions
        assert isinstance(agreed, PerMessageDeflate)
        # What the server sends is what is remote there.
        assert agreed.remote_no_context_takeover == (forgets or not context)
        assert agreed.local_no_context_takeover == (forgets or not context)
        assert agreed.remote_max_window_bits == (bits or 15)
        messages = ["", "x", LONG, LONG, "ünïcödé" * 100, "\0" * 3_000_000, b"", b"\xff" * 5000, bytes(range(256)) * 50]
        for message in messages * 2:
            client.send(message)
            assert client.recv() == message
        client.send(["All that ", "is sent ", "in pieces " * 500])
        assert client.recv() == "All that is sent " + "in pieces " * 500


def test_the_usual_offer_of_another_client_is_met(app: Ziggurat, served: Serve) -> None:
    echo(app, compression=True)
    host, port = served()
    with connect(f"ws://{host}:{port}/") as client:
        assert client.response is not None
        assert client.response.headers["sec-websocket-extensions"] == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        )
        client.send(LONG)
        assert client.recv() == LONG


# On the wire


def test_nothing_is_compressed_unless_it_was_asked_for(app: Ziggurat, served: Serve) -> None:
    echo(app)
    with opened(served) as client:
        assert extension(client) is None
        client.send(frame(TEXT, LONG.encode()))
        assert received(client) == (0, TEXT, LONG.encode())
        client.send(frame(TEXT, deflated(b"x"), rsv=COMPRESSED))
        assert client.close()[0] == 1002


def test_long_messages_are_compressed_and_short_ones_are_not(app: Ziggurat, served: Serve) -> None:
    echo(app, compression=True)
    with opened(served) as client:
        assert extension(client) == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        for opcode in (TEXT, BINARY):
            for rsv, sent in ((COMPRESSED, deflated(LONG.encode())), (0, LONG.encode())):
                client.send(frame(opcode, sent, rsv=rsv))
                bits, got, payload = received(client)
                assert (bits, got) == (COMPRESSED, opcode)
                assert len(payload) < len(LONG) / 20
                assert inflated(payload) == LONG.encode()
            client.send(frame(opcode, deflated(b"short"), rsv=COMPRESSED))
            assert received(client) == (0, opcode, b"short")


def test_with_a_context_what_was_sent_before_helps(app: Ziggurat, served: Serve) -> None:
    echo(app, compression=True, compression_context=True)
    text = ",".join(str(n * n) for n in range(300)).encode()
    with opened(served) as client:
        assert extension(client) == "permessage-deflate"
        ours, theirs = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        lengths = []
        for _ in range(3):
            made = (ours.compress(text) + ours.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
            client.send(frame(TEXT, made, rsv=COMPRESSED))
            bits, _, payload = received(client)
            assert bits == COMPRESSED
            assert theirs.decompress(payload + b"\0\0\xff\xff") == text
            lengths.append(len(payload))
        assert lengths[1] < lengths[0] / 5
        assert lengths[2] < lengths[0] / 5


def test_a_window_is_as_small_as_the_client_wants_it(app: Ziggurat, served: Serve) -> None:
    echo(app, compression=True)
    text = bytes(range(256)) * 2 + bytes(2000) + bytes(range(256)) * 2
    with opened(served, "permessage-deflate; server_max_window_bits=9") as client:
        assert "server_max_window_bits=9" in (extension(client) or "")
        client.send(frame(BINARY, text))
        bits, _, payload = received(client)
        assert bits == COMPRESSED
        assert zlib.decompressobj(wbits=-9).decompress(payload + b"\0\0\xff\xff") == text


def test_fragments_and_what_comes_between_them(app: Ziggurat, served: Serve) -> None:
    echo(app, compression=True)
    made = deflated(LONG.encode())
    with opened(served) as client:
        third = len(made) // 3
        client.send(
            frame(TEXT, made[:third], fin=False, rsv=COMPRESSED),
            frame(PING, b"ping"),
            frame(0, made[third : 2 * third], fin=False),
            frame(0, b"", fin=False),
            frame(0, made[2 * third :]),
            frame(BINARY, b"next"),
        )
        assert received(client) == (0, PONG, b"ping")
        bits, opcode, payload = received(client)
        assert (bits, opcode, inflated(payload)) == (COMPRESSED, TEXT, LONG.encode())
        assert received(client) == (0, BINARY, b"next")
    # Byte by byte, so that each head comes in pieces.
    with Raw(app.build().listen("127.0.0.1", 0, "{}"), head={**HEAD, **OFFER}) as client:
        for byte in frame(TEXT, made, rsv=COMPRESSED):
            client.send(bytes([byte]))
        bits, opcode, payload = received(client)
        assert (bits, opcode, inflated(payload)) == (COMPRESSED, TEXT, LONG.encode())


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(PING, b"", rsv=COMPRESSED)], 1002),
        ([frame(TEXT, deflated(b"a"), fin=False, rsv=COMPRESSED), frame(0, b"", rsv=COMPRESSED)], 1002),
        ([frame(TEXT, deflated(b"a"), rsv=0b110)], 1002),
        ([frame(TEXT, deflated(b"a"), rsv=0b001)], 1002),
        ([frame(TEXT, b"\xff\xff\xff", rsv=COMPRESSED)], 1007),
        ([frame(TEXT, deflated(b"\xff\xfe"), rsv=COMPRESSED)], 1007),
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(BINARY, deflated(bytes(20_000_000)), rsv=COMPRESSED)], 1009),
        ([frame(BINARY, deflated(bytes(100_001)), rsv=COMPRESSED)], 1009),
        ([frame(BINARY, bytes(100_001))], 1009),
    ],
)
def test_what_is_wrong_closes_the_socket(app: Ziggurat, served: Serve, frames: list[bytes], code: int) -> None:
    echo(app, compression=True, max_message_bytes=100_000)
    with opened(served) as client:
        client.send(frame(BINARY, deflated(bytes(100_000)), rsv=COMPRESSED))
        assert inflated(received(client)[2]) == bytes(100_000)
        client.send(*frames)
        assert client.close()[0] == code


@pytest.mark.parametrize(
    "offer", ["permessage-deflate; server_max_window_bits=8", "permessage-deflate; what=1", "permessage-bzip2", ";"]
)
def test_offers_that_cannot_be_met_are_passed_over(app: Ziggurat, served: Serve, offer: str) -> None:
    echo(app, compression=True)
    with opened(served, offer) as client:
        assert extension(client) is None
        client.send(frame(TEXT, LONG.encode()))
        assert received(client) == (0, TEXT, LONG.encode())


def wrong(register: Callable[[Ziggurat], object], match: str) -> None:
    with pytest.raises(ConfigError, match=match) as raised:
        register(Ziggurat())
    assert __file__ in str(raised.value)


def test_mistakes_are_told_at_registration() -> None:
    async def good(ws: WebSocket) -> None: ...

    for name in ("compression", "compression_context"):
        wrong(
            lambda app, o={name: "deflate"}: app.websocket("/", **o)(good), f"{name} is 'deflate'; give True or False"
        )  # type: ignore[misc]
    wrong(
        lambda app: app.websocket("/", compression_context=True)(good),
        "compression_context is of messages that are compressed; give compression=True as well",
    )
