"""Small things that several files of tests do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ziggurat import Ziggurat
from ziggurat.testing import TestClient, TestResponse


def cli(cwd: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `ziggurat` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ziggurat", *args],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes up to `end`, which has to come."""
    read = b""
    while end not in read:
        more = connection.recv(65536)
        assert more, f"it ended after {read!r}"
        read += more
    return read


@contextmanager
def listening(app: Ziggurat) -> Iterator[tuple[str, int]]:
    """The address of the app, which serves connections meanwhile."""
    with TestClient(app):
        address = app.build().listen("127.0.0.1", 0, "{}")
        try:
            yield address
        finally:
            app.build().drain()


def answer_of(value: Any) -> TestResponse:
    """What is sent for a handler that returns `value`."""
    app = Ziggurat(openapi_path=None)

    @app.get("/")
    async def handler() -> Any:
        return value

    with TestClient(app) as client:
        return client.get("/")
