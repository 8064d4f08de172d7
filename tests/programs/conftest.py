"""Programs that people run, on PyLoop and against real servers.

    .venv/bin/python -m pytest tests/programs                  on PyLoop
    .venv/bin/python -m pytest tests/programs --loop asyncio   on asyncio's own loop, to tell whose fault a failure is

A test that is a coroutine function runs on a new loop. It fails when it takes more than a minute, and when anything was reported
to the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import Mongo, Postgres, Process, Redis

import ziggurat

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
FACTORIES: dict[str, LoopFactory] = {"pyloop": ziggurat.new_event_loop, "asyncio": asyncio.new_event_loop}
# What the command lines of servers and child processes of tests are given.
NAMES = {"pyloop": "ziggurat:new_event_loop", "asyncio": "asyncio:new_event_loop"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=sorted(FACTORIES), default="pyloop", help="the loop that the programs run on")


@pytest.fixture(scope="session")
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    return FACTORIES[request.config.getoption("--loop")]


@pytest.fixture(scope="session")
def loop_name(request: pytest.FixtureRequest) -> str:
    """The same as `module:function`."""
    return NAMES[request.config.getoption("--loop")]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or pyfuncitem.get_closest_marker("anyio"):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    reports: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        async with asyncio.timeout(60):
            await pyfuncitem.obj(**arguments)

    with asyncio.Runner(loop_factory=FACTORIES[pyfuncitem.config.getoption("--loop")]) as runner:
        runner.run(main())
        # What was lost without a word is found while the loop can still be told.
        gc.collect()
    assert not reports, reports
    return True


class Tls:
    """A server for 127.0.0.1 and localhost, and a client that trusts who certified it."""

    def __init__(self, authority: trustme.CA) -> None:
        self.certificate = authority.issue_cert("localhost", "127.0.0.1")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture
def tls(authority: trustme.CA) -> Tls:
    return Tls(authority)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def run(server: Process) -> Iterator[Any]:
    try:
        server.start()
        yield server
    finally:
        server.remove()


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing (Debian: apt install {package}); the tests of PyLoop's programs need it")
    return found


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from run(Redis(program("redis-server", "redis-server")))


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis that a test may kill."""
    yield from run(Redis(program("redis-server", "redis-server")))


@pytest.fixture(scope="session")
def postgres(authority: trustme.CA) -> Iterator[Postgres]:
    # Debian keeps the server's programs off PATH.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    programs = folders[-1] if folders else Path(program("postgres", "postgresql")).resolve().parent
    tls = Tls(authority)
    certificate = b"".join(blob.bytes() for blob in tls.certificate.cert_chain_pems)
    yield from run(Postgres(programs, certificate, tls.certificate.private_key_pem.bytes()))


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    given = os.environ.get("ZIGGURAT_MONGO_URI")
    if given:
        yield given
        return
    server = os.environ.get("ZIGGURAT_MONGO_SERVER", "")
    if not Path(server).is_file():
        pytest.fail("no MongoDB server: run `make test-programs`, or set ZIGGURAT_MONGO_URI or ZIGGURAT_MONGO_SERVER")
    for running in run(Mongo(server)):
        yield running.uri
