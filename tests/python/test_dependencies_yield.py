"""Dependencies that yield: what they see, and when they clean up."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import http.client
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pytest

from ziggurat import BackgroundTasks, Depends, HTTPException, Request, Response, Ziggurat
from ziggurat.params import inspect_handler
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Log(list[str]):
    """What happened, for threads to wait for."""

    def wait_for(self, *wanted: str) -> None:
        deadline = time.monotonic() + 10
        while list(self) != list(wanted) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self == list(wanted)
        self.clear()


@pytest.fixture
def log() -> Log:
    return Log()


def kinds(log: Log) -> dict[str, Callable[..., Any]]:
    def plain() -> Iterator[str]:
        log.append("open plain")
        try:
            yield "plain"
        except BaseException as error:
            log.append(f"plain saw {type(error).__name__}")
            raise
        finally:
            log.append("close plain")

    async def waiting() -> AsyncIterator[str]:
        log.append("open async")
        try:
            await asyncio.sleep(0)
            yield "async"
        except BaseException as error:
            log.append(f"async saw {type(error).__name__}")
            raise
        finally:
            await asyncio.sleep(0)
            log.append("close async")

    return {"plain": plain, "async": waiting}


def test_clean_up_is_in_reverse_order_and_sees_exceptions(
    app: Ziggurat, client: Callable[[], TestClient], log: Log
) -> None:
    outer, inner = kinds(log)["plain"], kinds(log)["async"]

    def fails(how: str) -> str:
        if how == "http":
            raise HTTPException(409)
        if how == "bug":
            raise ZeroDivisionError
        return how

    @app.get("/async")
    async def handler(a: Annotated[str, Depends(outer)], b: Annotated[str, Depends(inner)], how: str) -> str:
        log.append("handler")
        return fails(how)

    @app.get("/mixed")
    def mixed(a: Annotated[str, Depends(outer)], b: Annotated[str, Depends(inner)], how: str) -> str:
        log.append("handler")
        return fails(how)

    started = client()
    for path in ("/async", "/mixed"):
        assert started.get(f"{path}?how=fine").text == "fine"
        log.wait_for("open plain", "open async", "handler", "close async", "close plain")
        for how, status, name in (("http", 409, "HTTPException"), ("bug", 500, "ZeroDivisionError")):
            assert started.get(f"{path}?how={how}").status_code == status
            log.wait_for(
                "open plain",
                "open async",
                "handler",
                f"async saw {name}",
                "close async",
                f"plain saw {name}",
                "close plain",
            )


def test_an_exception_that_somebody_keeps_does_not_hold_up_the_end(
    app: Ziggurat, client: Callable[[], TestClient], log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def handler(a: Annotated[str, Depends(kinds(log)["async"])]) -> None:
        raise ZeroDivisionError

    assert client().get("/").status_code == 500
    # Its traceback holds the frames of the call.
    assert any(record.exc_info for record in caplog.records)
    begun = time.monotonic()
    app.stop()
    assert time.monotonic() - begun < 15


def test_def_handlers_clean_up_on_their_thread(app: Ziggurat, client: Callable[[], TestClient], log: Log) -> None:
    threads: list[int] = []

    def session(q: int = 0) -> Iterator[int]:
        threads.append(threading.get_ident())
        log.append("open")
        try:
            yield q
        except ZeroDivisionError:
            log.append("rolled back")
            raise HTTPException(400, "no division") from None
        finally:
            threads.append(threading.get_ident())
            log.append("close")

    @app.get("/")
    def handler(session: Annotated[int, Depends(session)]) -> float:
        threads.append(threading.get_ident())
        return 1 / session

    @app.get("/odd")
    def odd(session: Annotated[int, Depends(session)]) -> Any:
        return object()

    started = client()
    assert started.get("/?q=2").json() == 0.5
    log.wait_for("open", "close")
    assert len(set(threads)) == 1
    answer = started.get("/")
    assert (answer.status_code, answer.json()["detail"]) == (400, "no division")
    log.wait_for("open", "rolled back", "close")
    assert started.get("/odd").status_code == 500
    log.wait_for("open", "close")


def test_a_dependency_may_answer_for_the_handler_but_not_keep_quiet(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    async def translates() -> AsyncIterator[None]:
        try:
            yield
        except KeyError:
            raise HTTPException(404) from None

    async def swallows() -> AsyncIterator[None]:
        with contextlib.suppress(KeyError):
            yield

    def swallows_sync() -> Iterator[None]:
        with contextlib.suppress(KeyError):
            yield

    @app.get("/translated", dependencies=[Depends(translates)])
    async def translated() -> None:
        raise KeyError

    @app.get("/swallowed", dependencies=[Depends(swallows)])
    async def swallowed() -> None:
        raise KeyError

    @app.get("/swallowed-sync", dependencies=[Depends(swallows_sync)])
    def swallowed_sync() -> None:
        raise KeyError

    @app.get("/unsendable", dependencies=[Depends(translates)])
    async def unsendable() -> Any:
        return object()

    started = client()
    assert started.get("/translated").status_code == 404
    assert started.get("/unsendable").status_code == 500
    for path in ("/swallowed", "/swallowed-sync"):
        caplog.clear()
        assert started.get(path).status_code == 500
        assert next(str(record.exc_info[1]) for record in caplog.records if record.exc_info).startswith(
            f"a dependency of {path[1:].replace('-', '_')} kept an exception to itself"
        )


def test_clean_up_that_fails_is_logged_once(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError("in clean-up")

    def fails_sync() -> Iterator[None]:
        yield
        raise ZeroDivisionError("in clean-up")

    @app.get("/async", dependencies=[Depends(fails)])
    async def handler() -> str:
        return "sent"

    @app.get("/sync", dependencies=[Depends(fails_sync)])
    def sync() -> str:
        return "sent"

    started = client()
    for path in ("/async", "/sync"):
        caplog.clear()
        answer = started.get(path)
        assert (answer.status_code, answer.text) == (200, "sent")
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.005)
        (record,) = [record for record in caplog.records if record.exc_info]
        assert "cleaning up after" in record.getMessage()
        assert record.exc_info is not None and record.exc_info[2] is not None
        trace = record.exc_info[2]
        while trace.tb_next is not None:
            trace = trace.tb_next
        assert trace.tb_frame.f_code.co_filename == __file__


def test_clean_up_waits_for_the_end_of_a_stream(app: Ziggurat, client: Callable[[], TestClient], log: Log) -> None:
    async def numbers() -> AsyncIterator[str]:
        for number in range(3):
            log.append(f"sent {number}")
            yield str(number)
            await asyncio.sleep(0)

    @app.get("/async")
    async def handler(a: Annotated[str, Depends(kinds(log)["async"])]) -> Response:
        return Response(body=numbers())

    @app.get("/sync")
    def sync(a: Annotated[str, Depends(kinds(log)["plain"])]) -> Response:
        return Response(body=numbers())

    started = client()
    for path, kind in (("/async", "async"), ("/sync", "plain")):
        assert started.get(path).text == "012"
        log.wait_for(f"open {kind}", "sent 0", "sent 1", "sent 2", f"close {kind}")


def test_with_all_that_stands_around_an_answer(app: Ziggurat, client: Callable[[], TestClient], log: Log) -> None:
    def opened(response: Response) -> Iterator[None]:
        response.headers["x-of"] = "dependency"
        log.append("open")
        yield
        log.append("close")

    @app.exception_handler(KeyError)
    async def missing(request: Request, error: KeyError) -> Response:
        return Response(418)

    @app.middleware
    async def around(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-around"] = str(response.status)
        return response

    def of(how: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(log.append, "behind")
        if how == "raise":
            raise KeyError(how)
        return how

    @app.get("/async", dependencies=[Depends(opened)])
    async def handler(how: str, tasks: BackgroundTasks) -> str:
        return of(how, tasks)

    @app.get("/sync", dependencies=[Depends(opened)])
    def sync(how: str, tasks: BackgroundTasks) -> str:
        return of(how, tasks)

    started = client()
    for path in ("/async", "/sync"):
        answer = started.get(f"{path}?how=fine")
        assert (answer.text, answer.headers["x-of"], answer.headers["x-around"]) == ("fine", "dependency", "200")
        deadline = time.monotonic() + 10
        while len(log) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert sorted(log) == ["behind", "close", "open"]
        log.clear()
        answer = started.get(f"{path}?how=raise")
        assert (answer.status_code, answer.headers["x-around"]) == (418, "418")
        log.wait_for("open")


def test_many_that_yield(app: Ziggurat, client: Callable[[], TestClient], log: Log) -> None:
    def of(number: int) -> Any:
        def opened() -> Iterator[int]:
            yield number
            log.append(f"close {number}")

        async def opened_async() -> AsyncIterator[int]:
            yield number
            log.append(f"close {number}")

        return Depends(opened if number % 2 else opened_async)

    def of_sync(number: int) -> Any:
        def opened() -> Iterator[int]:
            yield number
            log.append(f"close {number}")

        return Depends(opened)

    @app.get("/async", dependencies=[of(number) for number in range(24)])
    async def handler() -> str:
        return "sent"

    @app.get("/sync", dependencies=[of_sync(number) for number in range(24)])
    def sync() -> str:
        return "sent"

    started = client()
    for path in ("/async", "/sync"):
        assert started.get(path).text == "sent"
        log.wait_for(*(f"close {number}" for number in reversed(range(24))))


def test_what_does_not_answer_cleans_up_when_it_returns(log: Log) -> None:
    async def handler(
        a: Annotated[str, Depends(kinds(log)["plain"])], b: Annotated[str, Depends(kinds(log)["async"])]
    ) -> str:
        log.append("handler")
        return a + b

    compiled = inspect_handler(handler, "/", localns=locals(), answers=False).compile()
    assert (compiled.mode, compiled.is_async) == ("call", True)
    assert asyncio.run(compiled.function()) == "plainasync"
    log.wait_for("open plain", "open async", "handler", "close async", "close plain")


def test_threads_enter_and_leave(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    threads: list[int] = []
    done = threading.Event()
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    def opened() -> Iterator[int]:
        threads.append(threading.get_ident())
        yield 1
        threads.append(threading.get_ident())
        done.set()

    @app.get("/")
    async def handler(a: Annotated[int, Depends(opened, thread=True)]) -> int:
        variable.set(1)
        threads.append(threading.get_ident())
        return a

    assert client().get("/").json() == 1
    assert done.wait(10)
    assert threads[1] not in (threads[0], threads[2])


APP = """
import asyncio, os, time
from typing import Annotated
from ziggurat import Depends, Response, Ziggurat

app = Ziggurat()

def note(text):
    with open("log", "a") as log:
        log.write(text + "\\n")

async def opened():
    note("open")
    try:
        yield 1
    except asyncio.CancelledError:
        note("cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        note("close")

async def slow():
    yield 1
    await asyncio.sleep(1)
    note("slow is over")

@app.get("/waits")
async def waits(a: Annotated[int, Depends(opened)]):
    await asyncio.sleep(60)

@app.get("/streams")
async def streams(a: Annotated[int, Depends(opened)]):
    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)
    return Response(body=endless())

@app.get("/thread")
def thread(a: Annotated[int, Depends(opened)]):
    time.sleep(1)
    note("thread is over")

@app.get("/slow")
async def slowly(a: Annotated[int, Depends(slow)]):
    return "sent"
"""


def test_a_client_that_leaves_ends_what_it_asked_for(tmp_path: Path, serve: Callable[..., Any]) -> None:
    (tmp_path / "leaving.py").write_text(APP)
    running = serve("-m", "ziggurat", "run", "leaving")
    log = tmp_path / "log"

    def left(path: str, *wanted: str, read: int = 0) -> None:
        log.write_text("")
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
        connection.request("GET", path)
        if read:
            connection.getresponse().read(read)
        else:
            deadline = time.monotonic() + 10
            while "open" not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.01)
        connection.sock.close()
        connection.close()
        deadline = time.monotonic() + 10
        while log.read_text().split("\n")[:-1] != list(wanted) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert log.read_text().split("\n")[:-1] == list(wanted)

    left("/waits", "open", "cancelled", "close")
    # The answer was given: nothing is cancelled, it only ends.
    left("/streams", "open", "close", read=5000)
    # What runs on a thread is waited for.
    left("/thread", "open", "thread is over", "cancelled", "close")
    assert "Traceback" not in running.output()


def test_an_app_that_stops_waits_for_clean_up(tmp_path: Path, serve: Callable[..., Any]) -> None:
    (tmp_path / "stopping.py").write_text(APP)
    running = serve("-m", "ziggurat", "run", "stopping")
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
    connection.request("GET", "/slow")
    assert connection.getresponse().read() == b"sent"
    connection.close()
    assert running.stop() == 0
    assert (tmp_path / "log").read_text() == "slow is over\n"
