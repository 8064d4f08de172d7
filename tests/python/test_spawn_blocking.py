"""`ziggurat.spawn_blocking`: functions that may block, on the runtime's threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import multiprocessing
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import ziggurat


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main(), 30))


def test_it_gives_the_result_of_the_function() -> None:
    def add(one: int, *, two: int) -> tuple[int, str]:
        return one + two, threading.current_thread().name

    async def main() -> None:
        assert (await ziggurat.spawn_blocking(add, 1, two=2))[0] == 3
        future = ziggurat.spawn_blocking(add, 1, two=2)
        assert asyncio.isfuture(future)
        assert await asyncio.gather(*(ziggurat.spawn_blocking(abs, -number) for number in range(50))) == [*range(50)]

    run(main)


def test_the_loop_goes_on_meanwhile() -> None:
    async def main() -> None:
        release = threading.Event()
        blocked = [ziggurat.spawn_blocking(release.wait, 20) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not any(future.done() for future in blocked)
        release.set()
        assert await asyncio.gather(*blocked) == [True] * 20

    run(main)


def test_context_variables_are_carried() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    def look() -> str:
        seen = variable.get()
        variable.set("inside")
        return seen

    async def main() -> None:
        variable.set("caller")
        assert await ziggurat.spawn_blocking(look) == "caller"
        assert variable.get() == "caller"

    run(main)


def test_what_it_raises_is_raised() -> None:
    class Failure(Exception):
        pass

    def fail(error: BaseException) -> None:
        raise error

    async def main() -> None:
        with pytest.raises(Failure, match="words") as raised:
            await ziggurat.spawn_blocking(fail, Failure("words"))
        assert "fail" in [entry.name for entry in raised.traceback]
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await ziggurat.spawn_blocking(fail, StopIteration(1))
        with pytest.raises(TypeError, match="not callable"):
            await ziggurat.spawn_blocking(7)  # type: ignore[arg-type]

    run(main)


def test_a_call_that_runs_is_not_ended_by_cancelling() -> None:
    async def main() -> None:
        begun, release, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            release.wait(20)
            ended.set()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ziggurat.spawn_blocking(work)
        assert begun.is_set() and not ended.is_set()
        release.set()
        assert await ziggurat.spawn_blocking(ended.wait, 20)

    run(main)


def test_nothing_is_kept() -> None:
    class Thing:
        pass

    async def main() -> None:
        thing, release = Thing(), threading.Event()
        reference = weakref.ref(thing)
        assert await ziggurat.spawn_blocking(lambda thing: 1, thing) == 1
        # The result of a call that was cancelled holds it too.
        future = ziggurat.spawn_blocking(lambda thing: (release.wait(20), thing), thing)
        await asyncio.sleep(0.01)
        future.cancel()
        release.set()
        del thing, future
        for _ in range(500):
            gc.collect()
            if reference() is None:
                break
            await asyncio.sleep(0.01)
        assert reference() is None

    run(main)


def test_it_needs_a_running_pyloop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        ziggurat.spawn_blocking(abs, 1)

    async def main() -> None:
        with pytest.raises(
            RuntimeError, match="this needs a running PyLoop, and the running loop is a _UnixSelectorEvent"
        ):
            ziggurat.spawn_blocking(abs, 1)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_the_program_waits_for_calls_that_run() -> None:
    program = """
import asyncio, time, ziggurat
def work():
    print("begun", flush=True)
    time.sleep(0.3)
    print("ended", flush=True)
async def main():
    ziggurat.spawn_blocking(work)
    time.sleep(0.1)
loop = ziggurat.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\nended\n", "")


def in_child(answers: Any) -> None:
    async def main() -> str:
        try:
            await ziggurat.spawn_blocking(abs, 1)
        except RuntimeError as error:
            return str(error)
        return "it worked"

    with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
        answers.put(runner.run(main()))


def test_a_forked_child_is_told() -> None:
    async def main() -> None:
        await ziggurat.spawn_blocking(time.sleep, 0)

    run(main)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=in_child, args=(answers,))
    child.start()
    assert answers.get().startswith("Rust futures do not run in a forked child process")
    child.join(20)
    assert child.exitcode == 0


def nothing() -> None:
    pass


def test_a_child_that_is_forked_during_a_call_ends() -> None:
    async def main() -> None:
        release = threading.Event()
        call = ziggurat.spawn_blocking(release.wait, 60)
        await asyncio.sleep(0.01)
        child = multiprocessing.get_context("fork").Process(target=nothing)
        child.start()
        child.join(20)
        assert child.exitcode == 0
        release.set()
        assert await call

    run(main)
