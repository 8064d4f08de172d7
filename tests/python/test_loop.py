"""PyLoop runs what asyncio runs: tasks, timers, threads, contexts, errors."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest

from ziggurat._loop import PyLoop, install, new_event_loop

T = TypeVar("T")
Factory = Callable[[], PyLoop]


@pytest.fixture(params=[False, True], ids=["epoll", "tokio"])
def factory(request: pytest.FixtureRequest) -> Factory:
    return partial(PyLoop, park_in_tokio=request.param)


@pytest.fixture
def loop(factory: Factory) -> Iterator[PyLoop]:
    loop = factory()
    yield loop
    loop.close()


def run(factory: Factory, main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
        return runner.run(main)


def run_soon(loop: PyLoop) -> None:
    """Runs what is scheduled now, and one round of what that schedules."""
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()


def test_sleep_is_never_short(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (0, 0.0004, 0.001, 0.0123, 0.05):
            begun = loop.time()
            await asyncio.sleep(delay)
            assert loop.time() - begun >= delay
            assert loop.time() - begun < delay + 0.5

    run(factory, main())


def test_the_clock_is_the_monotonic_clock(loop: PyLoop) -> None:
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()


def test_gather_and_task_groups(factory: Factory) -> None:
    async def square(number: int) -> int:
        await asyncio.sleep(0.001 * (10 - number))
        return number * number

    async def main() -> None:
        assert await asyncio.gather(*map(square, range(10))) == [n * n for n in range(10)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(square(n)) for n in range(3)]
        assert [task.result() for task in tasks] == [0, 1, 4]
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(10))
                group.create_task(square("x"))  # type: ignore[arg-type]
        assert isinstance(raised.value.exceptions[0], TypeError)

    run(factory, main())


def test_timeouts_and_cancellation(factory: Factory) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 0.01)
        task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    run(factory, main())


def test_call_soon_keeps_order_and_lets_others_in(loop: PyLoop) -> None:
    seen: list[str] = []
    loop.call_soon(seen.append, "a")
    loop.call_soon(lambda: (seen.append("b"), loop.call_soon(seen.append, "d")))
    loop.call_soon_threadsafe(seen.append, "c")
    cancelled = loop.call_soon(seen.append, "never")
    cancelled.cancel()
    assert cancelled.cancelled()
    run_soon(loop)
    assert seen == ["a", "b", "c", "d"]


def test_a_chain_of_call_soon_does_not_starve_timers(loop: PyLoop) -> None:
    rounds = 0

    def again() -> None:
        nonlocal rounds
        rounds += 1
        loop.call_soon(again)

    again()
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert rounds > 10


def test_timers_run_in_order_of_deadline_then_of_arrival(loop: PyLoop) -> None:
    seen: list[object] = []
    at = loop.time() + 0.01
    loop.call_at(at + 0.005, seen.append, "later")
    for number in range(50):
        loop.call_at(at, seen.append, number)
    loop.call_at(at - 100, seen.append, "overdue")
    loop.call_at(at + 0.006, loop.stop)
    loop.run_forever()
    assert seen == ["overdue", *range(50), "later"]


def test_timer_handles(loop: PyLoop) -> None:
    at = loop.time() + 60
    timer, same, later = loop.call_at(at, print, 1), loop.call_at(at, print, 1), loop.call_at(at + 1, print, 1)
    assert timer.when() == at
    assert timer == same and hash(timer) == hash(same) and timer <= same and timer < later and later >= same
    assert timer != object()
    assert "when=" in repr(timer) and "print" in repr(timer)
    timer.cancel()
    timer.cancel()
    assert timer.cancelled() and timer != same
    assert "cancelled" in repr(timer)
    assert type(loop.call_later(0, print)) is type(timer)
    with pytest.raises(TypeError, match="delay must not be None"):
        loop.call_later(None, print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="when cannot be None"):
        loop.call_at(None, print)  # type: ignore[arg-type]


def test_cancelled_timers_are_let_go(loop: PyLoop) -> None:
    class Load:
        pass

    def nothing(load: Load) -> None:
        pass

    loads = [Load() for _ in range(1000)]
    gone = [weakref.ref(load) for load in loads]
    timers = [loop.call_later(3600, nothing, load) for load in loads]
    watched = [weakref.ref(timer) for timer in timers]
    for timer in timers[:900]:
        timer.cancel()
    loads.clear()
    assert sum(load() is None for load in gone) == 900
    del timers, timer
    assert sum(timer() is None for timer in watched) > 400
    survivors = [timer for timer in (ref() for ref in watched) if timer is not None]
    assert sum(not timer.cancelled() for timer in survivors) == 100


def test_cancelling_inside_a_finalizer_does_not_lock_up(loop: PyLoop) -> None:
    class Meddler:
        def __init__(self) -> None:
            self.other = loop.call_later(3600, print)

        def __call__(self) -> None:
            pass

        def __del__(self) -> None:
            self.other.cancel()
            loop.call_later(3600, print)

    for timer in [loop.call_later(3600, Meddler()) for _ in range(300)]:
        timer.cancel()
    loop.call_soon(Meddler())
    run_soon(loop)


def test_threads_can_schedule(factory: Factory) -> None:
    each, threads = 500, 8

    async def main() -> None:
        loop = asyncio.get_running_loop()
        counts = [0] * threads
        orders: list[list[int]] = [[] for _ in range(threads)]
        done = asyncio.Event()

        def note(thread: int, number: int) -> None:
            orders[thread].append(number)
            counts[thread] += 1
            if sum(counts) == each * threads:
                done.set()

        def work(thread: int) -> None:
            for number in range(each):
                loop.call_soon_threadsafe(note, thread, number)
                if number % 50 == 0:
                    time.sleep(0.0005)

        workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        await asyncio.wait_for(done.wait(), 20)
        for worker in workers:
            worker.join()
        assert all(order == list(range(each)) for order in orders)

    run(factory, main())


def test_a_thread_wakes_a_parked_loop(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            future = loop.create_future()
            threading.Timer(0.003, loop.call_soon_threadsafe, (future.set_result, None)).start()
            await asyncio.wait_for(future, 10)

    run(factory, main())


def test_executors(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, sum, range(10)) == 45
        with ThreadPoolExecutor(2) as pool:
            assert await asyncio.gather(*(loop.run_in_executor(pool, abs, -n) for n in range(20))) == list(range(20))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    run(factory, main())


def test_contexts(loop: PyLoop) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    inside = contextvars.copy_context()
    inside.run(variable.set, "inside")
    handle = loop.call_soon(lambda: seen.append(variable.get()), context=inside)
    assert handle.get_context() is inside
    variable.set("outside")
    loop.call_soon(lambda: (seen.append(variable.get()), variable.set("changed")))
    loop.call_later(0, lambda: seen.append(variable.get()), context=inside)
    run_soon(loop)
    run_soon(loop)
    assert seen == ["inside", "outside", "inside"]
    assert variable.get() == "outside"


def test_exceptions_go_to_the_handler(loop: PyLoop, caplog: pytest.LogCaptureFixture) -> None:
    caught: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, about: caught.append(about))
    handle = loop.call_soon(lambda: 1 / 0)
    run_soon(loop)
    assert isinstance(caught[0]["exception"], ZeroDivisionError)
    assert caught[0]["handle"] is handle
    assert caught[0]["message"].startswith("Exception in callback test_exceptions_go_to_the_handler")
    loop.set_exception_handler(None)
    loop.call_soon(lambda: 1 / 0)
    run_soon(loop)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_must_leave_the_loop_leaves_it(loop: PyLoop, error: type[BaseException]) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise error

    loop.call_soon(seen.append, "before")
    loop.call_soon(fail)
    loop.call_soon(seen.append, "after")
    with pytest.raises(error):
        loop.run_forever()
    assert seen == ["before"]
    assert not loop.is_running()
    run_soon(loop)
    assert seen == ["before", "after"]


def test_stop_and_run_again(loop: PyLoop) -> None:
    seen: list[int] = []
    loop.stop()
    loop.call_soon(seen.append, 1)
    loop.run_forever()
    assert seen == [1]
    for number in (2, 3):
        assert loop.run_until_complete(asyncio.sleep(0, number)) == number
    pending = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(pending)


def test_a_closed_loop_refuses(factory: Factory) -> None:
    loop = factory()
    loop.call_later(60, print)
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.add_reader(0, print),
        loop.run_forever,
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_a_running_loop_cannot_be_closed_or_run(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()

    run(factory, main())


def test_loops_in_several_threads(factory: Factory) -> None:
    async def main(number: int) -> int:
        queue: asyncio.Queue[int] = asyncio.Queue()
        for n in range(20):
            asyncio.get_running_loop().call_later(0.001, queue.put_nowait, n)
        return number + sum([await queue.get() for _ in range(20)])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: run(factory, main(n)), range(8)))
    assert results == [190 + n for n in range(8)]


def test_debug_mode_names_slow_callbacks(factory: Factory, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert loop.get_debug()
        loop.slow_callback_duration = 0.01
        loop.call_soon(time.sleep, 0.02)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(factory, main(), debug=True)
    assert "Executing <Handle" in caplog.text and "seconds" in caplog.text
    assert "test_loop.py" in caplog.text, "the handle knows where it was made"


def test_debug_mode_checks_threads_and_callbacks(factory: Factory) -> None:
    async def nothing() -> None: ...

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            await asyncio.to_thread(loop.call_soon, print)
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            await asyncio.to_thread(loop.call_later, 1, print)
        with pytest.raises(TypeError, match="coroutines cannot be used with call_soon"):
            loop.call_soon(nothing)
        with pytest.raises(TypeError, match="a callable object was expected by call_at"):
            loop.call_at(0, "nonsense")  # type: ignore[arg-type]

    run(factory, main(), debug=True)


def test_async_generators_are_closed(factory: Factory) -> None:
    closed: list[str] = []

    async def numbers() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    async def main() -> None:
        async for _ in numbers():
            break

    run(factory, main())
    gc.collect()
    assert closed == ["closed"]


def test_a_loop_that_is_dropped_is_collected(factory: Factory) -> None:
    class Load:
        pass

    def make() -> weakref.ref[Load]:
        loop, load = factory(), Load()
        load.loop = loop  # type: ignore[attr-defined]
        loop.call_soon(print, load)
        loop.call_later(60, print, load)
        loop.close()
        return weakref.ref(load)

    ref = make()
    gc.collect()
    assert ref() is None


def test_finished_work_is_let_go(factory: Factory) -> None:
    class Load:
        pass

    refs: list[weakref.ref[Load]] = []

    async def step(load: Load) -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        for _ in range(100):
            load = Load()
            refs.append(weakref.ref(load))
            await asyncio.create_task(step(load))
            asyncio.get_running_loop().call_soon(id, load)
            del load
        await asyncio.sleep(0)
        gc.collect()
        assert sum(ref() is not None for ref in refs) == 0

    run(factory, main())


def test_new_event_loop_and_install() -> None:
    loop = new_event_loop()
    assert isinstance(loop, PyLoop) and isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()
    if sys.version_info >= (3, 12):
        return
    install()
    try:

        async def main() -> str:
            return type(asyncio.get_running_loop()).__name__

        assert asyncio.run(main()) == "PyLoop"
    finally:
        asyncio.set_event_loop_policy(None)


def test_attributes_can_be_added(loop: PyLoop) -> None:
    # Instrumentation and libraries hang things on loops.
    loop.mark = 5  # type: ignore[attr-defined]
    assert loop.mark == 5  # type: ignore[attr-defined]
    assert weakref.ref(loop)() is loop
    assert "PyLoop" in repr(loop)


def test_tasks_take_what_asyncio_lets_them_take() -> None:
    loop = new_event_loop()
    try:

        async def work() -> str:
            task = asyncio.current_task()
            assert task is not None
            return task.get_name()

        assert loop.run_until_complete(loop.create_task(work(), name="named")) == "named"
        coroutine = work()
        with pytest.raises(TypeError, match="nonsense"):
            loop.create_task(coroutine, nonsense=1)
        coroutine.close()
        made = []

        def factory(loop: Any, coro: Any, **options: Any) -> Any:
            made.append(options)
            return asyncio.Task(coro, loop=loop, **options)

        loop.set_task_factory(factory)
        loop.run_until_complete(work())
        assert len(made) == 1
    finally:
        loop.close()
    coroutine = work()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()
