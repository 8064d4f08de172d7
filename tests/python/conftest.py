"""What several test files use: a MongoDB server, and apps that run in a process of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Mongo

from ziggurat import Ziggurat
from ziggurat.testing import TestClient

ROOT = Path(__file__).parents[2]

# A shell starts background jobs with SIGINT ignored, and then the tests of ^C, and the servers they start, would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """The server that `ZIGGURAT_MONGO_URI` names, else a throw-away one from `ZIGGURAT_MONGO_SERVER`."""
    given = os.environ.get("ZIGGURAT_MONGO_URI")
    if given:
        yield given
        return
    program = os.environ.get("ZIGGURAT_MONGO_SERVER", "")
    if not Path(program).is_file():
        if os.environ.get("ZIGGURAT_MONGO") == "off":
            pytest.skip("left out as ZIGGURAT_MONGO=off asks; without it a missing server is a failure")
        pytest.fail(
            "no MongoDB server: run `make test-python`, or set ZIGGURAT_MONGO_URI, or ZIGGURAT_MONGO_SERVER to "
            "secantusd-py; ZIGGURAT_MONGO=off leaves these tests out"
        )
    server = Mongo(program, sync=True)
    try:
        server.start()
        yield server.uri
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    uri: str = request.getfixturevalue("mongo_uri")
    base, _, options = uri.partition("?")
    # A database of its own for each test.
    name = "zg_" + re.sub(r"\W+", "_", request.node.name)[:30] + f"_{os.getpid()}_{time.monotonic_ns() % 10**9}"
    return f"{base.rstrip('/')}/{name}" + (f"?{options}" if options else "")


class Served:
    """An app in a process of its own."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self._log = cwd / f"served-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=cwd, stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1", **env}
            )
        self.url = self._wait_for_address()

    def output(self) -> str:
        return self._log.read_text()

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"(?:address +|listening on )(http://[^\s\"]+)", self.output())
            if found:
                return found[1]
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output()}"
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"no address within a minute:\n{self.output()}")

    def stop(self) -> int:
        """Asks it to end, and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end on SIGTERM:\n{self.output()}") from None


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts an app with the command line given, on a free port; it is stopped at the end of the test."""
    running: list[Served] = []

    def start(*command: str, **env: str) -> Served:
        served = Served([sys.executable, *command], tmp_path, {"ZIGGURAT_PORT": "0", **env})
        running.append(served)
        return served

    yield start
    for served in running:
        code = served.stop()
        assert code == 0, f"it ended with {code}:\n{served.output()}"


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of a file that holds `PROGRAM` of the test's module."""
    path = tmp_path / "program.py"
    path.write_text(request.module.PROGRAM)
    return str(path)


@pytest.fixture(params=["split", "fused"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Apps of the test, in this process and in others, are served by I/O threads, or on the thread of the loop."""
    monkeypatch.delenv("ZIGGURAT_IO_THREADS", raising=False)
    if request.param == "fused":
        monkeypatch.setenv("ZIGGURAT_IO_THREADS", "0")
    return str(request.param)


@pytest.fixture
def app() -> Ziggurat:
    """An app without routes."""
    return Ziggurat(openapi_path=None)


@pytest.fixture
def client(app: Ziggurat) -> Iterator[Callable[[], TestClient]]:
    """Starts the app once its routes are declared."""
    made: list[TestClient] = []

    def start() -> TestClient:
        made.append(TestClient(app).__enter__())
        return made[-1]

    yield start
    for each in made:
        each.close()
