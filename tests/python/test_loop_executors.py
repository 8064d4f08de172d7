"""Calls in threads, on asyncio's own loop and on PyLoop: both must do the same."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from ziggurat import _executors, new_event_loop

Main = Callable[[], Coroutine[Any, Any, Any]]
Run = Callable[[Main], Any]


@pytest.fixture(params=[asyncio.SelectorEventLoop, new_event_loop], ids=["asyncio", "pyloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(main: Main) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(main(), 30))

    return run


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """One thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def raising(exc: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise exc

    return function


def in_pool(pool: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
    return asyncio.get_running_loop().run_in_executor(pool, function, *args)


def test_the_usual_call_is_native() -> None:
    """The tests below would pass without the native way."""
    with mock.patch.object(_executors._ziggurat, "Work", wraps=_executors._ziggurat.Work) as work:

        async def main() -> None:
            for _ in range(3):
                assert await in_pool(None, abs, -2) == 2
            await asyncio.to_thread(abs, -2)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
    # The first call makes the pool.
    assert work.call_count == 3


def test_what_it_gives_is_given_and_what_it_raises_is_raised(run: Run) -> None:
    class Own(Exception):
        pass

    async def main() -> None:
        names = set()
        for _ in range(3):
            assert await in_pool(None, lambda *args: args, 1, "two", None) == (1, "two", None)
            assert await in_pool(None, lambda: None) is None
            names.add(await in_pool(None, lambda: threading.current_thread().name))
            raised = Own("words")
            with pytest.raises(Own) as caught:
                await in_pool(None, raising(raised))
            assert caught.value is raised
            assert caught.traceback[-1].name == "function"
        assert all(name.startswith("asyncio_") for name in names)

    run(main)


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (concurrent.futures.CancelledError("a"), asyncio.CancelledError),
        (concurrent.futures.InvalidStateError("a"), asyncio.InvalidStateError),
        (concurrent.futures.TimeoutError("a"), TimeoutError),
        (asyncio.CancelledError("a"), asyncio.CancelledError),
    ],
)
def test_exceptions_that_mean_something_to_a_loop(run: Run, raised: BaseException, seen: type[BaseException]) -> None:
    async def main() -> tuple[type[BaseException], tuple[Any, ...]]:
        await in_pool(None, abs, 1)
        try:
            await in_pool(None, raising(raised))
        except BaseException as exc:
            return type(exc), exc.args
        raise AssertionError

    assert run(main) == (seen, ("a",))


@pytest.mark.parametrize("exc", [SystemExit(3), KeyboardInterrupt()])
def test_exceptions_that_end_a_loop(run: Run, exc: BaseException) -> None:
    async def main() -> None:
        await in_pool(None, abs, 1)
        await in_pool(None, raising(exc))

    with pytest.raises(type(exc)):
        run(main)


def test_stop_iteration_does_not_hang() -> None:
    """It does on asyncio before Python 3.12."""

    async def main() -> None:
        await in_pool(None, abs, 1)
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await in_pool(None, raising(StopIteration(1)))
        assert isinstance(caught.value.__cause__, StopIteration)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_what_is_cancelled_before_it_begins_is_not_called(run: Run, pool: ThreadPoolExecutor) -> None:
    async def main() -> None:
        go, called = threading.Event(), []
        first = in_pool(pool, go.wait)
        second = in_pool(pool, called.append, 2)
        third = in_pool(pool, called.append, 3)
        second.cancel("reason")
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, third)
        with pytest.raises(asyncio.CancelledError):
            await second
        assert called == [3]

    run(main)


def test_what_is_cancelled_while_it_runs_is_run_to_its_end(run: Run, pool: ThreadPoolExecutor) -> None:
    async def main() -> None:
        go, begun, done = threading.Event(), threading.Event(), []

        def work() -> None:
            begun.set()
            go.wait()
            done.append(True)

        future = in_pool(pool, work)
        await in_pool(None, begun.wait)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        go.set()
        await in_pool(pool, abs, 1)
        assert done

    run(main)


def test_a_pool_that_is_shut_down(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor(1)
        go = threading.Event()
        running = in_pool(pool, go.wait)
        waiting = [in_pool(pool, abs, number) for number in range(3)]
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
        assert await running
        for future in waiting:
            with pytest.raises(asyncio.CancelledError):
                await future
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            in_pool(pool, abs, 1)
        loop = asyncio.get_running_loop()
        await in_pool(None, abs, 1)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            in_pool(None, abs, 1)

    run(main)


def test_a_pool_whose_threads_cannot_begin(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        go = threading.Event()

        def initializer() -> None:
            go.wait()
            raise ZeroDivisionError

        pool = ThreadPoolExecutor(1, initializer=initializer)
        waiting = [in_pool(pool, abs, number) for number in range(3)]
        go.set()
        for future in waiting:
            with pytest.raises(concurrent.futures.thread.BrokenThreadPool):
                await future
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool):
            in_pool(pool, abs, 1)

    run(main)


def test_pools_that_do_more(run: Run) -> None:
    """Of another class, or with a `submit` that somebody has put there, as tracers do."""

    class Own(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("class")
            return super().submit(*args, **kwargs)

    seen: list[str] = []

    async def main() -> None:
        with Own(1) as pool:
            assert await in_pool(pool, abs, -1) == 1
        assert seen == ["class"]
        with ThreadPoolExecutor(1) as pool:
            with mock.patch.object(
                ThreadPoolExecutor, "submit", autospec=True, side_effect=ThreadPoolExecutor.submit
            ) as submit:
                assert await in_pool(pool, abs, -1) == 1
            assert submit.call_count == 1
            assert await in_pool(pool, abs, -1) == 1
            with mock.patch.object(pool, "submit", side_effect=pool.submit) as submit:
                assert await in_pool(pool, abs, -1) == 1
            assert submit.call_count == 1

    run(main)


def test_many_at_once(run: Run) -> None:
    async def main() -> None:
        counted = await asyncio.gather(*(in_pool(None, abs, -number) for number in range(3000)))
        assert counted == list(range(3000))

    run(main)


def test_nothing_is_kept(run: Run) -> None:
    class Thing:
        def method(self, other: Any) -> Any:
            return other

    async def main() -> None:
        thing, other = Thing(), Thing()
        known = [weakref.ref(thing), weakref.ref(other)]
        assert await in_pool(None, thing.method, other) is other
        assert await in_pool(None, thing.method, other) is other
        del thing, other
        # The thread lets go of its work after it has told the loop.
        for _ in range(1000):
            if [ref() for ref in known] == [None, None]:
                return
            await asyncio.sleep(0.001)
            gc.collect()
        raise AssertionError

    run(main)


def test_a_loop_that_is_closed_meanwhile() -> None:
    """Nobody waits any more: the thread goes on, and nothing is said."""
    go, done = threading.Event(), threading.Event()
    loop = new_event_loop()
    pool = ThreadPoolExecutor(1)

    async def main() -> None:
        in_pool(pool, lambda: go.wait() and None)
        in_pool(pool, raising(ZeroDivisionError()))

    loop.run_until_complete(main())
    loop.close()
    go.set()
    pool.submit(done.set)
    assert done.wait(20)
    pool.shutdown()


def test_a_program_that_ends_while_a_thread_works() -> None:
    program = """
import asyncio, time, ziggurat

async def main():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, abs, 1)
    loop.run_in_executor(None, lambda: (time.sleep(0.2), print("done")))

ziggurat.new_event_loop().run_until_complete(main())
raise SystemExit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "done\n", "")
