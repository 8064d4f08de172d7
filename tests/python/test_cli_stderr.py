"""What is written to standard error: who serves goes on when nobody reads it, and its colours are for terminals."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers import cli

APP = """
import os
from ziggurat import Ziggurat, layers

app = Ziggurat(layers=[layers.Trace()])

@app.get("/pid")
async def pid() -> int:
    return os.getpid()
"""
WORKERS = pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one", "workers"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that is handed over, so that nothing has to be read to learn the port."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@contextlib.contextmanager
def running(
    project: Path, listener: socket.socket, *arguments: str, before: tuple[str, ...] = (), stderr: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    number = listener.fileno()
    command = [*before, sys.executable, "-m", "ziggurat", "run", "shop", "--fd", str(number), *arguments]
    process = subprocess.Popen(command, cwd=project, stderr=stderr, pass_fds=[number], env={**os.environ})
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(timeout=40) == 0


def pid(listener: socket.socket) -> int:
    # A new connection each time, which any of the workers may take.
    answer = httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/pid", timeout=30)
    assert answer.status_code == 200
    found: int = answer.json()
    return found


@WORKERS
def test_it_starts_and_serves_into_a_pipe_without_a_reader(
    project: Path, listener: socket.socket, arguments: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with running(project, listener, *arguments, stderr=writer) as process:
        os.close(writer)
        assert pid(listener)
        assert pid(listener)
        assert process.poll() is None


@WORKERS
def test_it_starts_and_serves_with_standard_error_closed(
    project: Path, listener: socket.socket, arguments: tuple[str, ...]
) -> None:
    closed = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    with running(project, listener, *arguments, before=closed) as process:
        assert pid(listener)
        assert process.poll() is None


def test_a_worker_is_replaced_though_nobody_reads_of_it(project: Path, listener: socket.socket) -> None:
    reader, writer = os.pipe()
    with running(project, listener, "--workers", "2", stderr=writer) as process:
        os.close(writer)
        first = pid(listener)
        os.close(reader)
        known = {first}
        end = time.monotonic() + 30
        while len(known) < 2:
            assert time.monotonic() < end
            known.add(pid(listener))
        os.kill(first, signal.SIGKILL)
        with contextlib.suppress(httpx.HTTPError):
            while pid(listener) in known:
                assert time.monotonic() < end
        assert process.poll() is None
        assert pid(listener) != first


def test_a_broken_connection_of_the_app_is_no_reader_that_has_gone(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        APP + "\n@app.on_startup\nasync def connect() -> None:\n    raise BrokenPipeError(32, 'database')\n"
    )
    done = cli(tmp_path, "run", "shop", "--port", "0")
    assert done.returncode == 1
    assert "BrokenPipeError: [Errno 32] database" in done.stderr


@pytest.mark.parametrize("value", ["1", ""], ids=["no", "empty"])
def test_no_color_is_for_the_log_as_well(project: Path, value: str) -> None:
    """The native log goes to the terminal, where each request is a line."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ziggurat", "run", "shop", "--port", "0"],
        cwd=project,
        stderr=slave,
        env={**os.environ, "NO_COLOR": value},
    )
    os.close(slave)
    shown = ""
    try:
        while "docs" not in shown:
            shown += os.read(master, 4096).decode()
        url = shown.split("address")[1].split()[0].removeprefix("\x1b[32m").removesuffix("\x1b[0m")
        assert httpx.get(f"{url}/pid", timeout=30).status_code == 200
        while "latency_ms" not in shown:
            shown += os.read(master, 4096).decode()
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        os.close(master)
    assert ("\x1b[" not in shown) is bool(value)
