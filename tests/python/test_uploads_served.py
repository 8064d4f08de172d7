"""Uploads over real connections: in pieces, broken off, too slow, and more than memory should hold."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from test_uploads import HEADERS, open_files, part

pytestmark = pytest.mark.usefixtures("mode")

APP = """
import os
from ziggurat import FormLimits, Request, UploadFile, Ziggurat, layers

app = Ziggurat(
    forms=FormLimits(directory=os.environ["SPOOL"], max_memory=100_000),
    layers=[layers.Timeout(seconds=float(os.environ.get("SECONDS", "60"))), layers.BodyLimit(max_bytes=100_000_000)],
)
calls = []

@app.post("/")
async def handler(file: UploadFile, request: Request) -> list[int]:
    calls.append(1)
    return [file.size, sum([len(chunk) async for chunk in file])]

@app.post("/late")
async def late(request: Request) -> list[int]:
    calls.append(1)
    async with request.form() as form:
        return [form["file"].size, len(form)]

@app.post("/unread")
async def unread(request: Request) -> int:
    return 1

@app.get("/calls")
async def count() -> int:
    return len(calls)
"""


@pytest.fixture
def served(tmp_path: Path, serve: Callable[..., Any]) -> Callable[..., Any]:
    (tmp_path / "uploads.py").write_text(APP)
    (tmp_path / "spool").mkdir()
    return lambda **env: serve("-m", "ziggurat", "run", "uploads", SPOOL=str(tmp_path / "spool"), **env)


def connect(running: Any) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)


def nothing_is_left(running: Any, spool: Path) -> None:
    deadline = time.monotonic() + 10
    while open_files(spool, running.process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert open_files(spool, running.process.pid) == []
    assert list(spool.iterdir()) == []


def test_single_bytes_in_chunks(served: Callable[..., Any]) -> None:
    running = served()
    body = (
        part("file", b"\r\n--b" * 3 + b"x" * 100, "f").replace(b"\r\n--b\r\n--b\r\n--b", b"\r\n--a" * 3) + b"--b--\r\n"
    )
    for path in ("/", "/late"):
        connection = connect(running)
        connection.request("POST", path, (bytes([byte]) for byte in body), HEADERS, encode_chunked=True)
        assert connection.getresponse().read() in (b"[115,115]", b"[115,1]")
        connection.close()


@pytest.mark.parametrize("path", ["/", "/late"])
def test_a_client_that_stops_in_the_middle(served: Callable[..., Any], tmp_path: Path, path: str) -> None:
    running, spool = served(), tmp_path / "spool"
    address = urlsplit(running.url)
    begun = part("file", b"x" * 1_000_000, "f")[:-2]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {HEADERS['content-type']}\r\nContent-Length: 9000000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + begun)
        deadline = time.monotonic() + 10
        while not open_files(spool, running.process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert open_files(spool, running.process.pid), "it is on disk already"
        assert list(spool.iterdir()) == [], "and has no name"
    nothing_is_left(running, spool)
    connection = connect(running)
    connection.request("GET", "/calls")
    assert connection.getresponse().read() == (b"0" if path == "/" else b"1")
    connection.close()


def test_a_client_that_is_too_slow(served: Callable[..., Any], tmp_path: Path) -> None:
    running, spool = served(SECONDS="0.5"), tmp_path / "spool"
    connection = connect(running)

    def slow() -> Iterator[bytes]:
        yield part("file", b"x" * 1_000_000, "f")
        time.sleep(1.0)
        yield b"--b--"

    connection.request("POST", "/", slow(), HEADERS, encode_chunked=True)
    assert connection.getresponse().status == 504
    connection.close()
    nothing_is_left(running, spool)


def test_what_is_broken_off_is_a_400_or_413(served: Callable[..., Any], tmp_path: Path) -> None:
    running, spool = served(), tmp_path / "spool"
    file = part("file", b"x" * 1_000_000, "f")
    for body, status in ((file, 400), (file + part("a", b"x" * 2_000_000) + b"--b--", 413), (file + b"--b--", 200)):
        for path in ("/", "/late"):
            connection = connect(running)
            connection.request("POST", path, body, HEADERS)
            answer = connection.getresponse()
            assert (answer.status, path) == (status, path), answer.read()
            connection.close()
    nothing_is_left(running, spool)


def test_a_form_that_nobody_reads(served: Callable[..., Any], tmp_path: Path) -> None:
    running, spool = served(), tmp_path / "spool"
    for _ in range(2):
        connection = connect(running)
        connection.request("POST", "/unread", part("file", b"x" * 300_000, "f") + b"--b--", HEADERS)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"1")
        connection.close()
    nothing_is_left(running, spool)


@pytest.mark.parametrize("path", ["/", "/late"])
def test_memory_does_not_grow_with_a_file(served: Callable[..., Any], tmp_path: Path, path: str) -> None:
    running, spool = served(), tmp_path / "spool"

    def peak(megabytes: int) -> int:
        """The most memory that there was so far, in kB, when a file of this size has been sent."""
        connection = connect(running)
        pieces = [part("file", b"", "f")[:-2], *[b"x" * 1_000_000] * megabytes, b"\r\n--b--"]
        connection.request("POST", path, iter(pieces), HEADERS, encode_chunked=True)
        assert connection.getresponse().read().startswith(f"[{megabytes * 1_000_000},".encode())
        connection.close()
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{running.process.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    warm = peak(3)
    assert peak(60) - warm < 20_000
    nothing_is_left(running, spool)
