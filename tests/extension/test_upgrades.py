"""Sockets that a handler in Rust takes over, behind middleware in Python."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ziggurat import Request, Response, Ziggurat, _ziggurat
from ziggurat.testing import TestClient


def head(key: str) -> bytes:
    return f"GET /capitals HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: capitals\r\nx-key: {key}\r\n\r\n".encode()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    app = Ziggurat()
    app.native("/capitals", _ziggurat.upgrade)  # type: ignore[attr-defined]

    @app.middleware
    async def keys(request: Request, call_next: Any) -> Response:
        if request.headers.get("upgrade") == "capitals" and request.headers["x-key"] != "good":
            return Response(403)
        response: Response = await call_next(request)
        response.headers["x-status"] = str(response.status)
        return response

    with TestClient(app):
        yield app.build().listen("127.0.0.1", 0, "{}")
        app.build().drain()


def answered(connection: socket.socket) -> str:
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(1)
        assert more, got
        got += more
    return got.decode().lower()


def test_a_middleware_sees_an_upgrade_and_lets_it_pass(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head("good"))
        answer = answered(connection)
        assert answer.startswith("http/1.1 101 ")
        assert "upgrade: capitals" in answer and "x-status: 101" in answer
        for text in (b"hello", b"GET / HTTP/1.1"):
            connection.sendall(text)
            assert connection.recv(1024) == text.upper()


def test_a_middleware_refuses_an_upgrade(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head("bad"))
        assert answered(connection).startswith("http/1.1 403 ")
