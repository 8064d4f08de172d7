"""Handlers that hold the event loop, or go on for ever: they are told of, cost others as little as can be, and hold up no end."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import until

from ziggurat import ConfigError, Ziggurat, layers
from ziggurat.testing import TestClient

PROGRAM = """
import asyncio, os, sys, time
import ziggurat._held
from ziggurat import Ziggurat, layers

ziggurat._held.CANCELLED_AFTER = 0.3
app = Ziggurat(layers=[layers.Timeout(seconds=float(os.environ.get("TIMEOUT", "0.5")))])

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/sleep/{seconds}")
async def sleeps(seconds: float) -> str:
    time.sleep(seconds)  # sleeps
    return "slept"

@app.get("/spin")
async def spin() -> str:
    while True:
        pass  # spins

@app.get("/stubborn")
async def stubborn() -> str:
    while True:
        try:
            while True:
                pass  # is stubborn
        except BaseException:
            pass

@app.get("/ever")
async def ever() -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("ever cancelled", file=sys.stderr, flush=True)
        raise
    return "never"

@app.get("/swallows")
async def swallows() -> str:
    while True:
        try:
            await asyncio.sleep(3600)  # swallows
        except asyncio.CancelledError:
            print("swallowed", file=sys.stderr, flush=True)

@app.get("/thread")
def thread() -> str:
    while True:
        time.sleep(0.01)  # on a thread

@app.get("/pool")
async def pool() -> str:
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, time.sleep, 3)
    return "begun"

@app.on_shutdown
async def shutdown() -> None:
    print("shutdown", file=sys.stderr, flush=True)

if __name__ == "__main__":
    app.run(drain_timeout=float(os.environ.get("DRAIN", "1")))
"""


def line_of(program: str, comment: str) -> str:
    lines = Path(program).read_text().splitlines()
    return f"{program}:{next(number for number, line in enumerate(lines, 1) if line.endswith(f'# {comment}'))}"


def fetch(url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(text: str, served: Any, times: int = 1) -> None:
    deadline = time.monotonic() + 15
    while served.output().count(text) < times:
        assert time.monotonic() < deadline, f"{text!r} did not come:\n{served.output()}"
        time.sleep(0.01)


def test_who_holds_the_loop_is_told_once_for_each_place(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, ZIGGURAT_SLOW_CALLBACK_DURATION="0.1", TIMEOUT="10")
    assert fetch(served.url, "/sleep/0.02") == (200, b"slept")
    assert "has held" not in served.output()
    waiting = threading.Thread(target=fetch, args=(served.url, "/sleep/2"))
    waiting.start()
    # While it does, and not afterwards.
    wait_for("has held the event loop", served)
    assert waiting.is_alive()
    waiting.join()
    assert fetch(served.url, "/sleep/0.4") == (200, b"slept")
    output = served.output()
    assert output.count("has held the event loop") == 1
    [told] = [line for line in output.splitlines() if "has held" in line]
    assert "WARNING" in told and "GET /sleep/{seconds} (sleeps)" in told and line_of(program, "sleeps") in told
    assert "in sleeps\n    time.sleep(seconds)  # sleeps" in output


def test_code_that_keeps_the_interpreter_is_told_of_when_it_is_over(
    app: Ziggurat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ZIGGURAT_SLOW_CALLBACK_DURATION", "0.05")
    text = "a" * 32 + "b"

    @app.get("/")
    async def matches() -> bool:
        # One call into C, which lets nobody in. Nothing of Python's runs after it in this turn.
        return re.match("(a|aa)+$", text) is None

    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        assert client.get("/").json() is True
        # Who waits for the interpreter gets it while that still runs, or, where another thread is faster, when it is over.
        place_seen, not_seen = "GET / (matches) has held the event loop", "so that its place could not be seen"
        until(lambda: place_seen in caplog.text or not_seen in caplog.text)
    # On a busy machine something else may be told of as well.
    assert max(caplog.text.count(place_seen), caplog.text.count(not_seen)) == 1


def test_the_time_is_shorter_while_an_app_is_developed(serve: Callable[..., Any], program: str) -> None:
    developed = serve(program, ZIGGURAT_ENV="development", TIMEOUT="10")
    assert fetch(developed.url, "/sleep/0.5") == (200, b"slept")
    wait_for("has held the event loop", developed)
    served = serve(program, ZIGGURAT_ENV="production", TIMEOUT="10")
    assert fetch(served.url, "/sleep/0.5") == (200, b"slept")
    assert "has held" not in served.output()
    assert fetch(served.url, "/sleep/1.7") == (200, b"slept")
    wait_for("has held the event loop", served)


def test_nothing_is_told_unless_it_is_wanted(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, ZIGGURAT_SLOW_CALLBACK_DURATION="0", TIMEOUT="10")
    assert fetch(served.url, "/sleep/0.5") == (200, b"slept")
    assert "has held" not in served.output()


def test_a_loop_that_is_held_costs_python_alone_and_ends_after_the_grace(
    serve: Callable[..., Any], program: str
) -> None:
    served = serve(program, DRAIN="1.5", ZIGGURAT_LOG_LEVEL="debug")
    # Python makes the document while there is nothing else to do, and nobody has asked for it yet.
    wait_for("the OpenAPI document is made", served)
    assert fetch(served.url, "/spin")[0] == 504
    # It still spins.
    assert fetch(served.url, "/openapi.json")[0] == 200
    assert fetch(served.url, "/pid")[0] == 504
    wait_for("has held the event loop", served)
    begun = time.monotonic()
    os.kill(served.process.pid, signal.SIGTERM)
    parts = urlsplit(served.url)
    # It accepts no longer, although the loop does not come to it.
    until(lambda: refuses(parts.hostname or "", parts.port or 0))
    assert served.process.poll() is None
    assert served.process.wait(10) == 0
    assert 1.0 < time.monotonic() - begun < 6
    output = served.output()
    assert f"while the app was to stop, at {line_of(program, 'spins').rsplit(':', 1)[0]}:" in output
    assert "GET /spin (spin) has held the event loop" in output
    assert "shutdown" in output.splitlines()


def refuses(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return True
    return False


def test_a_second_signal_ends_it_at_once(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, DRAIN="60")
    assert fetch(served.url, "/spin")[0] == 504
    os.kill(served.process.pid, signal.SIGTERM)
    time.sleep(0.5)
    begun = time.monotonic()
    os.kill(served.process.pid, signal.SIGTERM)
    assert served.process.wait(10) == 0
    assert time.monotonic() - begun < 5
    assert "it held the event loop" in served.output()


def test_what_cannot_be_ended_is_killed(tmp_path: Path, program: str) -> None:
    from conftest import Served

    served = Served([sys.executable, program], tmp_path, {"ZIGGURAT_PORT": "0", "DRAIN": "0.5"})
    assert fetch(served.url, "/stubborn")[0] == 504
    served.process.send_signal(signal.SIGTERM)
    try:
        assert served.process.wait(15) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        served.process.kill()
        raise
    assert "the process is killed" in served.output()
    assert "and is ended" in served.output() and "in stubborn" in served.output()


def test_what_awaits_for_ever_is_cancelled_when_its_time_is_up(serve: Callable[..., Any], program: str) -> None:
    served = serve(program)
    assert fetch(served.url, "/ever")[0] == 504
    wait_for("ever cancelled", served)
    assert fetch(served.url, "/pid")[0] == 200
    time.sleep(0.5)
    assert "still runs" not in served.output()


def test_a_handler_that_is_not_ended_by_its_cancellation_is_told_of(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, DRAIN="1")
    for _ in range(3):
        assert fetch(served.url, "/swallows")[0] == 504
    wait_for("swallowed", served, 3)
    wait_for("still runs", served)
    time.sleep(0.5)
    assert served.output().count("swallows was cancelled") == 1
    assert f"still runs, at {line_of(program, 'swallows')}" in served.output()
    begun = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - begun < 5
    assert "Task was destroyed" not in served.output() and "Traceback" not in served.output()
    assert "shutdown" in served.output().splitlines()


def test_a_thread_that_does_not_come_back_is_told_of_and_holds_nothing_up(
    serve: Callable[..., Any], program: str
) -> None:
    served = serve(program)
    for _ in range(2):
        assert fetch(served.url, "/thread")[0] == 504
    assert fetch(served.url, "/pid")[0] == 200
    wait_for("still runs on its thread", served)
    time.sleep(0.7)
    output = served.output()
    assert output.count("still runs on its thread") == 1
    assert re.search(rf"thread still runs on its thread 5 s .*, at {program}:\d+;", output)
    assert "in thread\n" in output
    begun = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - begun < 5


def test_what_runs_in_the_pool_of_the_loop_is_not_waited_for_longer(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, DRAIN="0.5")
    assert fetch(served.url, "/pool") == (200, b"begun")
    served.process.send_signal(signal.SIGTERM)
    wait_for("did not end in time", served)
    assert "asyncio_0" in served.output()
    # The interpreter itself waits for such threads.
    assert served.process.wait(10) == 0


def test_a_worker_whose_loop_is_held_is_replaced(serve: Callable[..., Any], program: str) -> None:
    served = serve("-m", "ziggurat", "run", program, "--workers", "2", "--timeout-worker-healthcheck", "1.5")
    pids = set()
    until(lambda: pids.add(fetch(served.url, "/pid")[1]) or len(pids) == 2)  # type: ignore[func-returns-value]
    assert fetch(served.url, "/spin")[0] == 504
    wait_for("a worker ended with code 1, and is replaced", served)
    assert "which is too long" in served.output() and "GET /spin (spin)" in served.output()
    seen = set()
    until(lambda: seen.add(fetch(served.url, "/pid")[1]) or len(seen) == 2)  # type: ignore[func-returns-value]
    assert len(seen & pids) == 1


def test_tests_may_ask_for_it(app: Ziggurat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ZIGGURAT_SLOW_CALLBACK_DURATION", "0.05")

    @app.middleware
    async def blocks(request: Any, call_next: Any) -> Any:
        time.sleep(0.3)
        return await call_next(request)

    @app.get("/later")
    async def later() -> None:
        asyncio.get_running_loop().call_later(0.01, callback)

    @app.get("/thread", skip_layers=[blocks])
    def thread() -> None:
        time.sleep(0.3)

    def callback() -> None:
        time.sleep(0.3)

    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        client.get("/thread")
        assert not caplog.records
        client.get("/later")
        until(lambda: len(caplog.records) == 2)
    middleware, called = (record.getMessage() for record in caplog.records)
    assert "blocks has held the event loop" in middleware and __file__ in middleware
    assert "callback has held the event loop" in called


def test_without_being_asked_tests_are_told_nothing(app: Ziggurat, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def blocks() -> None:
        time.sleep(1.5)

    with TestClient(app) as client:
        client.get("/")
    assert not caplog.records


@pytest.mark.parametrize("given", [-1, "0.1", True, float("nan")])
def test_a_wrong_duration_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"slow_callback_duration is .*; give a number of seconds"):
        Ziggurat(openapi_path=None, layers=[layers.CatchPanic()]).start(slow_callback_duration=given)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIGGURAT_SLOW_CALLBACK_DURATION", "soon")
    with pytest.raises(ConfigError, match="ZIGGURAT_SLOW_CALLBACK_DURATION is 'soon'; give a number of seconds"):
        Ziggurat(openapi_path=None).start()
