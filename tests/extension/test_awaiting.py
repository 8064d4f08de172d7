"""Python awaitables awaited from Rust."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

import pytest
import ziggurat_extension as rust

import ziggurat

Run = Callable[[Any], Any]


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():
            await asyncio.sleep(0.001)


async def give(value: Any, seconds: float = 0.0) -> Any:
    await asyncio.sleep(seconds)
    return value


class Awaitable:
    def __await__(self) -> Generator[Any, None, int]:
        yield from asyncio.sleep(0).__await__()
        return 11


def test_results_come_back(run: Run) -> None:
    async def main() -> None:
        thing = object()
        assert await rust.via_rust(give(thing, 0.01)) is thing
        assert await rust.one_more(give(1)) == 2
        assert await rust.one_more(asyncio.ensure_future(give(2))) == 3
        assert await rust.one_more(Awaitable()) == 12
        assert await rust.one_more(rust.pause(0.001, 5)) == 6
        assert await asyncio.gather(*(rust.one_more(give(n)) for n in range(1000))) == list(range(1, 1001))

    run(main())


def test_exceptions_come_back(run: Run) -> None:
    async def fail(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    async def main() -> None:
        error = KeyError("x")
        with pytest.raises(KeyError) as raised:
            await rust.via_rust(fail(error))
        assert raised.value is error
        with pytest.raises(TypeError):
            await rust.one_more(give("no number"))
        with pytest.raises(TypeError):
            await rust.via_rust(5)
        assert await rust.shown(fail(ValueError("no"))) == ("ValueError: no", False)
        assert await rust.shown(fail(ValueError())) == ("ValueError", False)
        assert await rust.shown(fail(asyncio.CancelledError())) == ("CancelledError", True)
        assert await rust.shown(give(object())) == ("value", False)

    run(main())


def test_a_cancelled_awaitable_cancels_what_awaits_it(run: Run) -> None:
    async def main() -> None:
        inner = asyncio.ensure_future(give(1, 60))
        outer = rust.via_rust(inner)
        await asyncio.sleep(0.01)
        inner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert outer.cancelled()

    run(main())


def test_dropping_the_rust_future_cancels_the_task(run: Run) -> None:
    async def main() -> None:
        ends: list[str] = []

        async def wait() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        assert await rust.at_most(wait(), 0.02) is False
        await until(lambda: ends == ["cancelled"])
        assert await rust.at_most(give(1), 5) is True
        # Through both bridges: the Python future goes, the Rust future with it, and the task with that.
        future = rust.via_rust(wait())
        await asyncio.sleep(0.01)
        future.cancel()
        await until(lambda: ends == ["cancelled"] * 2)

    run(main())


def test_what_was_dropped_before_it_began_never_begins(run: Run) -> None:
    async def main() -> None:
        begun: list[int] = []

        async def note() -> None:
            begun.append(1)

        coroutine = note()
        future = rust.via_rust(coroutine)
        future.cancel()
        await asyncio.sleep(0.02)
        if not begun:
            coroutine.close()

    run(main())


def test_context_variables_are_carried(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def read_and_set() -> int:
        await asyncio.sleep(0)
        before = len(variable.get())
        variable.set("inside, and only there")
        return before

    async def main() -> None:
        variable.set("four")
        assert await rust.one_more(read_and_set()) == 5
        assert await rust.ask(read_and_set, True) == 4
        assert await rust.ask(lambda: len(variable.get()), False) == 4
        assert variable.get() == "four"

    run(main())


def test_calls_from_a_worker(run: Run) -> None:
    import threading

    async def main() -> None:
        here = threading.get_ident()
        assert await rust.ask(threading.get_ident, False) == here

        async def where() -> int:
            assert asyncio.current_task() is not None
            return threading.get_ident()

        assert await rust.ask(where, True) == here

        def fail() -> None:
            raise ValueError("no")

        for awaits in (False, True):
            with pytest.raises(ValueError, match=r"^no$"):
                await rust.ask(fail, awaits)
        with pytest.raises(TypeError):
            await rust.ask(lambda: None, True)

    run(main())


def test_an_interrupt_in_an_awaitable_leaves_the_loop() -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        rust.detached(interrupt())
        await asyncio.sleep(5)

    with (
        pytest.raises(KeyboardInterrupt),
        asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner,
    ):
        runner.run(main())


def test_a_closed_loop_is_an_error() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    loop = ziggurat.new_event_loop()
    tasks: set[asyncio.Task[Any]] = set()

    async def wait(thing: Thing) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await asyncio.get_running_loop().create_future()

    async def main() -> list[Any]:
        pending = [rust.detached(wait(thing)), rust.detached(wait(thing))]  # noqa: F821
        await asyncio.sleep(0.01)
        return pending

    async def late() -> Any:
        return rust.detached(wait(thing))  # noqa: F821

    pending = loop.run_until_complete(main())
    pending.append(loop.run_until_complete(late()))
    loop.run_until_complete(asyncio.sleep(0.01))
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    deadline = time.monotonic() + 5
    while None in [learned.get() for learned in pending] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [learned.get() for learned in pending] == ["RuntimeError: Event loop is closed"] * 3
    tasks.clear()
    del task, thing
    gc.collect()
    assert reference() is None


def test_the_end_of_a_run_cancels_it() -> None:
    async def main() -> Any:
        learned = rust.detached(give(1, 60))
        await asyncio.sleep(0.01)
        return learned

    with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
        learned = runner.run(main())
    deadline = time.monotonic() + 5
    while learned.get() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert learned.get() == "CancelledError"


def test_without_a_pyloop() -> None:
    async def main() -> None:
        coroutine = give(1)
        with pytest.raises(RuntimeError, match="needs a running PyLoop"):
            rust.detached(coroutine)
        coroutine.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
