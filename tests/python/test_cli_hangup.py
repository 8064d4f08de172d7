"""SIGHUP: of somebody who sends it, and of a terminal that is closed."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import until

APP = """
import asyncio
from ziggurat import Ziggurat, layers

app = Ziggurat(layers=[layers.Trace()])

@app.get("/")
async def root() -> str:
    return "here"

@app.get("/slow")
async def slow() -> str:
    print("asked", flush=True)
    await asyncio.sleep(0.5)
    return "whole"

@app.on_shutdown
async def close() -> None:
    print("closed", flush=True)
"""
EACH = pytest.mark.parametrize(
    "arguments", [("run", "shop"), ("run", "shop", "--workers", "2"), ("dev", "shop")], ids=["one", "workers", "dev"]
)


@pytest.fixture(autouse=True)
def hangups() -> Iterator[None]:
    """Has what is started not ignore them, as it would where the tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def test_one_process_finishes_what_it_has_begun(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop")
    got: list[str] = []
    asking = threading.Thread(target=lambda: got.append(httpx.get(f"{served.url}/slow", timeout=30).text))
    asking.start()
    until(lambda: "asked" in served.output())
    served.process.send_signal(signal.SIGHUP)
    asking.join()
    assert got == ["whole"]
    assert served.process.wait(timeout=30) == 0
    assert "closed" in served.output()


class OnTerminal:
    """A command on a terminal of its own, which is closed."""

    def __init__(self, project: Path, *command: str) -> None:
        self.log = project / "terminal.log"
        self.master, slave = os.openpty()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", "0"],
                cwd=project,
                stdin=slave,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        os.close(slave)
        until(lambda: "address" in self.log.read_text())
        self.url = self.log.read_text().split("address")[1].split()[0]

    def answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=10).text == "here"
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        os.close(self.master)


@EACH
def test_it_ends_with_its_terminal(project: Path, arguments: tuple[str, ...]) -> None:
    running = OnTerminal(project, sys.executable, "-m", "ziggurat", *arguments)
    try:
        assert running.answers()
        running.close()
        assert running.process.wait(timeout=20) == 0
        url = httpx.URL(running.url)
        with pytest.raises(ConnectionRefusedError), socket.create_connection((url.host, url.port or 80)):
            pass
    finally:
        running.process.terminate()
        running.process.wait(timeout=30)


@EACH
def test_under_nohup_it_goes_on_without_its_terminal(project: Path, arguments: tuple[str, ...]) -> None:
    running = OnTerminal(project, "nohup", sys.executable, "-m", "ziggurat", *arguments)
    try:
        running.close()
        assert running.answers()
        assert running.answers()
    finally:
        running.process.terminate()
        assert running.process.wait(timeout=30) == 0
