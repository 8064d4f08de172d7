"""`request.stream()`: bodies that are read a piece at a time."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import pytest
from helpers import listening, read_until, until

from ziggurat import (
    Depends,
    HTTPException,
    Request,
    Response,
    StreamingResponse,
    UploadFile,
    Ziggurat,
    layers,
)
from ziggurat.testing import AsyncTestClient, TestClient

pytestmark = pytest.mark.usefixtures("mode")

LARGE = bytes(range(256)) * 1000
"""256 kB, which is not read before the handler is called."""


def begin(address: tuple[str, int], head: str = "Transfer-Encoding: chunked", path: str = "/") -> socket.socket:
    """A request that is sent up to its body."""
    connection = socket.create_connection(address, timeout=30)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
    return connection


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_pieces_come_as_they_are_sent(app: Ziggurat) -> None:
    got: list[bytes] = []

    @app.post("/")
    async def handler(request: Request) -> int:
        async for piece in request.stream():
            assert isinstance(piece, bytes) and piece
            got.append(piece)
        return len(got)

    with listening(app) as address, begin(address) as connection:
        for count, piece in enumerate((b"one", b"two", b"three"), 1):
            connection.sendall(chunk(piece))
            until(lambda count=count: len(got) == count)
        connection.sendall(chunk(b""))
        assert read_until(connection, b"\r\n\r\n3").startswith(b"HTTP/1.1 200")
    assert got == [b"one", b"two", b"three"]


def test_pieces_come_over_http_2(app: Ziggurat) -> None:
    got: list[bytes] = []

    @app.post("/")
    async def handler(request: Request) -> int:
        async for piece in request.stream():
            got.append(piece)
        return sum(map(len, got))

    with listening(app) as address, socket.create_connection(address, timeout=30) as connection:
        client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        client.initiate_connection()
        head = [(":method", "POST"), (":path", "/"), (":authority", "x"), (":scheme", "http")]
        client.send_headers(1, head)
        for count, piece in enumerate((b"one", b"two"), 1):
            client.send_data(1, piece)
            connection.sendall(client.data_to_send())
            until(lambda count=count: len(got) == count)
        client.send_data(1, b"", end_stream=True)
        connection.sendall(client.data_to_send())
        body, ended = b"", False
        while not ended:
            for event in client.receive_data(connection.recv(65536)):
                body += event.data if isinstance(event, h2.events.DataReceived) else b""
                ended = ended or isinstance(event, h2.events.StreamEnded)
    assert (got, body) == ([b"one", b"two"], b"6")


def test_an_answer_may_be_made_of_what_comes(app: Ziggurat) -> None:
    @app.post("/yielded")
    async def yielded(request: Request) -> AsyncIterator[bytes]:
        async for piece in request.stream():
            yield piece.upper()

    @app.post("/returned")
    async def returned(request: Request) -> StreamingResponse:
        async def upper() -> AsyncIterator[bytes]:
            async for piece in request.stream():
                yield piece.upper()

        return StreamingResponse(upper())

    with listening(app) as address:
        for path in ("/yielded", "/returned"):
            with begin(address, path=path) as connection:
                for piece in (b"one", b"two", b"three"):
                    connection.sendall(chunk(piece))
                    assert read_until(connection, piece.upper())
                connection.sendall(chunk(b""))
                assert read_until(connection, b"0\r\n\r\n")


APP = """
import asyncio
from ziggurat import Request, Ziggurat, layers

app = Ziggurat(openapi_path=None, layers=[layers.BodyLimit(max_bytes=10_000_000_000)])
go = asyncio.Event()

@app.post("/")
async def handler(request: Request) -> int:
    return sum([len(piece) async for piece in request.stream()])

@app.post("/waits")
async def waits(request: Request) -> int:
    pieces = request.stream()
    size = len(await anext(pieces))
    await go.wait()
    async for piece in pieces:
        size += len(piece)
    return size

@app.post("/go")
async def may_go() -> None:
    go.set()
"""


@pytest.fixture
def served(tmp_path: Path, serve: Callable[..., Any]) -> Any:
    (tmp_path / "streams.py").write_text(APP)
    return serve("-m", "ziggurat", "run", "streams")


def test_memory_does_not_grow_with_a_body(served: Any) -> None:
    def peak(megabytes: int) -> int:
        """The most memory that there was so far, in kB, when a body of this size has been sent."""
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
        connection.request("POST", "/", iter([b"x" * 1_000_000] * megabytes), encode_chunked=True)
        assert connection.getresponse().read() == str(megabytes * 1_000_000).encode()
        connection.close()
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{served.process.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    warm = peak(3)
    assert peak(100) - warm < 20_000


def test_a_client_waits_for_who_reads(served: Any) -> None:
    address = urlsplit(served.url)
    total, sent = 100_000_000, 0
    assert address.hostname is not None and address.port is not None
    with begin((address.hostname, address.port), f"Content-Length: {total}", "/waits") as connection:
        connection.settimeout(1)
        # What the system keeps of a connection is full, and then nothing more is taken.
        with pytest.raises(TimeoutError):
            while sent < total:
                sent += connection.send(bytes(100_000))
        assert sent < total / 2
        connection.settimeout(30)
        other = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
        other.request("POST", "/go")
        assert other.getresponse().read() == b"null"
        other.close()
        connection.sendall(bytes(total - sent))
        assert read_until(connection, str(total).encode())


def test_a_reader_that_gives_up_waiting_goes_on_later(app: Ziggurat) -> None:
    waited = threading.Event()

    @app.post("/")
    async def handler(request: Request) -> list[str]:
        pieces = aiter(request.stream())
        got = [(await anext(pieces)).decode()]
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(pieces)
        waited.set()
        return got + [piece.decode() async for piece in pieces]

    with listening(app) as address, begin(address) as connection:
        connection.sendall(chunk(b"one"))
        assert waited.wait(10)
        connection.sendall(chunk(b"two") + chunk(b"three") + chunk(b""))
        answer = read_until(connection, b"]")
        assert b'["one"' in answer and b"".join(re.findall(rb'"(\w+)"', answer)) == b"onetwothree"


def test_limits_of_bodies_hold() -> None:
    app = Ziggurat(openapi_path=None, layers=[layers.BodyLimit(max_bytes=300_000)])
    got: dict[str, int] = {}

    async def read(request: Request) -> int:
        got["size"] = 0
        async for piece in request.stream():
            got["size"] += len(piece)
        return got["size"]

    app.post("/")(read)
    app.post("/less", max_body=200_000)(read)
    app.post("/more", max_body=1_000_000)(read)

    def pieces(count: int) -> Iterator[bytes]:
        yield from [bytes(50_000)] * count

    with listening(app) as address:
        for path, count, status in (
            ("/", 6, 200),
            ("/", 7, 413),
            ("/less", 4, 200),
            ("/less", 5, 413),
            ("/more", 20, 200),
            ("/more", 21, 413),
        ):
            for length in (None, count * 50_000):
                got.clear()
                connection = http.client.HTTPConnection(*address, timeout=60)
                headers = {} if length is None else {"content-length": str(length)}
                connection.request("POST", path, pieces(count), headers, encode_chunked=length is None)
                answer = connection.getresponse()
                told = answer.read()
                assert (answer.status, path, count) == (status, path, count), told
                if status == 413:
                    assert answer.getheader("content-type") == "application/problem+json"
                    # One whose length is told is not begun with.
                    assert (got == {}) == (length is not None)
                connection.close()


def test_a_body_that_is_torn_or_stands_still(app: Ziggurat) -> None:
    got: list[object] = []

    async def handler(request: Request) -> None:
        try:
            async for piece in request.stream():
                got.append(piece)
        except BaseException as error:
            got.append(getattr(error, "status", type(error)))
            raise

    app.post("/")(handler)
    app.post("/still", skip_layers=[layers.Timeout], layers=[layers.Timeout(body_idle=0.3)])(handler)

    with listening(app) as address:
        with begin(address, path="/still") as connection:
            connection.sendall(chunk(b"one"))
            assert b" 408 " in read_until(connection, b"\r\n\r\n")
        assert got == [b"one", 408]
        got.clear()
        with begin(address) as connection:
            connection.sendall(chunk(b"one") + b"no chunk\r\n")
            assert b" 400 " in read_until(connection, b"\r\n\r\n")
        assert got == [b"one", 400]
        got.clear()
        with begin(address) as connection:
            connection.sendall(chunk(b"one"))
            until(lambda: got == [b"one"])
        # Its connection goes with the client, and that ends the handler as well: whichever is first.
        until(lambda: len(got) == 2)
        assert got[1] in (400, asyncio.CancelledError)


def test_what_was_compressed_comes_as_it_was() -> None:
    app = Ziggurat(openapi_path=None, layers=[layers.Decompression()])

    @app.post("/")
    async def handler(request: Request) -> int:
        whole = b"".join([piece async for piece in request.stream()])
        assert whole == LARGE
        return len(whole)

    with TestClient(app) as client:
        sent = client.post("/", content=gzip.compress(LARGE), headers={"content-encoding": "gzip"})
        assert (sent.status_code, sent.json()) == (200, len(LARGE))


STREAMED = r"request\.stream\(\) was given the body; .* await request\.body\(\) in its place"


@pytest.mark.parametrize("size", [5, len(LARGE)])
def test_a_body_is_streamed_once_and_not_kept(app: Ziggurat, client: Callable[[], TestClient], size: int) -> None:
    @app.post("/streamed")
    async def streamed(request: Request) -> bool:
        pieces = request.stream()
        for method in (request.stream, request.body, request.json, request.form):
            with pytest.raises(RuntimeError, match=STREAMED):
                method()
        body = b"".join([piece async for piece in pieces])
        assert [piece async for piece in pieces] == []
        with pytest.raises(RuntimeError, match=STREAMED):
            await request.body()
        return body == LARGE[:size]

    @app.post("/whole")
    async def whole(request: Request) -> bool:
        body = await request.body()
        for _ in range(2):
            assert [piece async for piece in request.stream()] == [body]
        return await request.body() == LARGE[:size]

    @app.post("/closed")
    async def closed(request: Request) -> bool:
        async with aclosing(request.stream()) as pieces:
            got = await anext(pieces)
        assert [piece async for piece in pieces] == []
        return LARGE.startswith(got)

    started = client()
    for path in ("/streamed", "/whole", "/closed"):
        for content in (LARGE[:size], iter([LARGE[: size // 2], LARGE[size // 2 : size]])):
            answer = started.post(path, content=content)
            assert (answer.status_code, answer.text) == (200, "true"), (path, answer.text)


def test_other_ways_to_read_a_body_stand_beside_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    as_form = r"read as a form; await request\.form\(\)"

    @app.post("/upload")
    async def upload(file: UploadFile, request: Request) -> None:
        with pytest.raises(RuntimeError, match=as_form):
            request.stream()

    @app.post("/form")
    async def form(request: Request) -> None:
        await request.form()
        with pytest.raises(RuntimeError, match=as_form):
            request.stream()

    @app.post("/fields")
    async def fields(request: Request) -> dict[str, str]:
        with pytest.raises(HTTPException) as refused:
            Request.form(request)
        assert refused.value.status == 415
        return {"size": str(len(await request.body()))}

    @app.post("/json")
    async def json(request: Request) -> int:
        parsed: list[int] = await request.json()
        assert len([piece async for piece in request.stream()]) == 1
        return len(parsed)

    async def size(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    @app.post("/depends")
    async def depends(size: Annotated[int, Depends(size)]) -> int:
        return size

    @app.get("/nothing")
    async def nothing(request: Request) -> list[str]:
        return [piece.decode() async for piece in request.stream()]

    started = client()
    for path in ("/upload", "/form"):
        assert started.post(path, files={"file": LARGE}).status_code == 200
    assert started.post("/fields", content=LARGE).json() == {"size": str(len(LARGE))}
    assert started.post("/json", json=[1] * 100_000).json() == 100_000
    assert started.post("/depends", content=LARGE).json() == len(LARGE)
    assert started.get("/nothing").json() == []


def test_a_urlencoded_form_that_is_large_is_read_when_it_is_asked_for(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    @app.post("/")
    async def handler(request: Request) -> int:
        async with request.form() as form:
            return len(form["text"])

    assert client().post("/", data={"text": "x" * 200_000}).json() == 200_000


def test_a_reader_that_outlives_its_request(app: Ziggurat) -> None:
    raised: list[str] = []
    tasks: list[asyncio.Task[None]] = []
    answered = threading.Event()

    @app.post("/")
    async def handler(request: Request) -> str:
        pieces = request.stream()
        assert await anext(pieces) == b"one"

        async def later() -> None:
            while not answered.is_set():
                await asyncio.sleep(0.005)
            with pytest.raises(RuntimeError) as failure:
                await anext(pieces)
            raised.append(str(failure.value))

        tasks.append(asyncio.create_task(later()))
        return "answered"

    with listening(app) as address, begin(address) as connection:
        connection.sendall(chunk(b"one"))
        assert read_until(connection, b"answered")
        answered.set()
        until(lambda: bool(raised))
    assert raised == ["the body is not there any longer: its request was answered"]


@pytest.mark.parametrize("size", [5, len(LARGE)])
def test_a_middleware_reads_it_and_answers(app: Ziggurat, client: Callable[[], TestClient], size: int) -> None:
    @app.middleware
    async def reading(request: Request, call_next: Any) -> Response:
        if request.path == "/kept":
            body = await request.body()
            assert [piece async for piece in request.stream()] == [body]
            answer: Response = await call_next(request)
            with pytest.raises(RuntimeError, match="call_next has the body"):
                request.stream()
            return answer
        pieces = [piece async for piece in request.stream()]
        for method in (request.stream, request.body):
            with pytest.raises(RuntimeError, match=STREAMED):
                method()
        with pytest.raises(RuntimeError, match=r"call_next has none to hand on; await request\.body\(\)"):
            await call_next(request)
        return Response(200, content=str(sum(map(len, pieces))))

    @app.post("/kept")
    async def kept(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    started = client()
    for path in ("/kept", "/streamed"):
        for content in (LARGE[:size], iter([LARGE[:size]])):
            assert started.post(path, content=content).text == str(size)


def test_an_asynchronous_client_streams_a_body(app: Ziggurat) -> None:
    @app.post("/")
    async def handler(request: Request) -> list[str]:
        return [piece.decode() async for piece in request.stream()]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two"):
            yield piece

    async def test() -> None:
        async with AsyncTestClient(app) as client:
            assert (await client.post("/", content=pieces())).json() == ["one", "two"]

    asyncio.run(test())
