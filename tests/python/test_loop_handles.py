"""Handles of PyLoop: used again when nobody can tell, and seen by the garbage collector whenever it matters."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ziggurat._loop import PyLoop


@pytest.fixture
def loop() -> Iterator[PyLoop]:
    loop = PyLoop()
    yield loop
    loop.close()


def nothing(*args: object) -> None:
    pass


def in_loop(loop: PyLoop, function: Callable[[], Any]) -> Any:
    """Runs `function` in a running loop, as a task would."""

    async def main() -> Any:
        return function()

    return loop.run_until_complete(main())


class Owner:
    """Holds a handle of its own method: a cycle."""

    handle: asyncio.Handle

    def method(self) -> None:
        pass


def test_a_handle_that_nobody_sees_is_used_again(loop: PyLoop) -> None:
    async def main() -> None:
        for schedule in (lambda: loop.call_soon(nothing), lambda: loop.call_later(0, nothing)):
            seen = []
            for _ in range(5):
                seen.append(id(schedule()))
                await asyncio.sleep(0.001)
            assert len(set(seen)) < 5

    loop.run_until_complete(main())


def test_a_handle_that_is_held_is_not_used_again(loop: PyLoop) -> None:
    async def main() -> None:
        handles: list[asyncio.Handle] = []
        for number in range(50):
            handles.append(loop.call_soon(nothing, number))
            handles.append(loop.call_later(0, nothing, -number))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert len(set(map(id, handles))) == 100
        # As with asyncio, a handle tells what it has called.
        assert [handle._args for handle in handles[::2]] == [(number,) for number in range(50)]
        assert all(handle._callback is nothing for handle in handles)

    loop.run_until_complete(main())


def test_a_handle_with_a_weak_reference_is_not_used_again(loop: PyLoop) -> None:
    async def main() -> None:
        refs = []
        for _ in range(20):
            refs.append(weakref.ref(loop.call_soon(nothing)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert refs[-1]() is None
        loop.call_soon(nothing)
        assert all(ref() is None for ref in refs), "a new handle must not be taken for an old one"

    loop.run_until_complete(main())


def test_a_handle_is_whole_while_its_callback_runs(loop: PyLoop) -> None:
    seen: list[Any] = []
    handles: list[asyncio.Handle] = []
    refs: list[weakref.ref[asyncio.Handle]] = []

    def look() -> None:
        seen.append((handles[0]._callback, handles[0]._args, handles[0].get_context().get(variable)))

    def look_weakly() -> None:
        handle = refs[0]()
        assert handle is not None
        seen.append(handle._callback)

    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    def main() -> None:
        handles.append(loop.call_soon(look))
        refs.append(weakref.ref(loop.call_soon(look_weakly)))
        loop.call_soon(loop.stop)

    loop.call_soon(main)
    loop.run_forever()
    assert seen == [(look, (), 7), look_weakly]


def test_the_handler_of_exceptions_sees_the_call(loop: PyLoop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    def fail(number: int) -> None:
        raise ValueError(number)

    async def main() -> None:
        for number in range(3):
            loop.call_soon(fail, number)
            loop.call_later(0, fail, number + 10)
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    told = sorted((context["handle"]._args, str(context["exception"])) for context in contexts)
    assert told == [((number,), str(number)) for number in (0, 1, 2, 10, 11, 12)]
    assert len({id(context["handle"]) for context in contexts}) == 6


@pytest.mark.parametrize("count", range(7))
def test_arguments_of_any_number(loop: PyLoop, count: int) -> None:
    seen: list[tuple[object, ...]] = []
    args = tuple(range(count))

    def see(*args: object) -> None:
        seen.append(args)

    def main() -> None:
        handles = [
            loop.call_soon(see, *args),
            loop.call_later(0, see, *args),
            loop.call_at(loop.time(), see, *args),
            loop.call_soon_threadsafe(see, *args, context=None),
        ]
        assert all(handle._args == args for handle in handles)

    in_loop(loop, main)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen == [args] * 4


def test_wrong_calls_are_told_what_is_wrong(loop: PyLoop) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'callback'"):
        loop.call_soon()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'contxt'"):
        loop.call_soon(nothing, contxt=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="delay must not be None"):
        loop.call_later(None, nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="when cannot be None"):
        loop.call_at(None, nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="real number"):
        loop.call_later("1", nothing)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        loop.call_later(10**400, nothing)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'callback'"):
        loop.call_later(1)  # type: ignore[call-arg]
    # What is unusual and right goes the long way.
    context = contextvars.copy_context()
    context.run(variable.set, 3)
    seen: list[int] = []
    loop.call_soon(callback=lambda: seen.append(variable.get()), context=context)
    loop.call_later(delay=0, callback=lambda: seen.append(variable.get()), **{"con" + "text": context})
    loop.call_later(True, nothing).cancel()
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen == [3, 3]


def test_the_methods_have_signatures() -> None:
    assert str(inspect.signature(PyLoop.call_soon)) == "(self, /, callback, *args, context=None)"
    assert str(inspect.signature(PyLoop.call_later)) == "(self, /, delay, callback, *args, context=None)"
    assert PyLoop.call_at.__doc__ and PyLoop.call_soon_threadsafe.__doc__


def test_a_cycle_through_a_handle_is_collected(loop: PyLoop) -> None:
    """Whether the handle has run, waits to run, was cancelled, or belongs to a timer."""

    def scheduled(how: Callable[[Owner], asyncio.Handle]) -> weakref.ref[Owner]:
        owner = Owner()
        owner.handle = how(owner)
        return weakref.ref(owner)

    def cancelled(owner: Owner) -> asyncio.Handle:
        context = contextvars.copy_context()
        context.run(variable.set, owner)
        handle = loop.call_soon(nothing, context=context)
        handle.cancel()
        return handle

    variable: contextvars.ContextVar[Owner] = contextvars.ContextVar("variable")

    async def main() -> None:
        refs = [
            scheduled(lambda owner: loop.call_soon(owner.method)),
            scheduled(lambda owner: loop.call_later(0, owner.method)),
            scheduled(cancelled),
        ]
        gc.collect()
        assert all(ref() is not None for ref in refs[:2]), "it waits"
        await asyncio.sleep(0.01)
        gc.collect()
        assert [ref() for ref in refs] == [None] * 3

    loop.run_until_complete(main())


def test_what_waits_in_a_dropped_loop_is_collected() -> None:
    refs: list[weakref.ref[Any]] = []
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")

    def left_in_a_loop(running: bool) -> None:
        loop = PyLoop()

        def schedule() -> None:
            owner = Owner()
            variable.set(loop)
            owner.handle = loop.call_later(60, owner.method)
            loop.call_later(61, nothing, owner)
            loop.call_soon(nothing, owner, loop)
            refs.append(weakref.ref(owner))

        context = contextvars.copy_context()
        if running:
            loop.call_soon(schedule, context=context)
            loop.call_soon(loop.stop)
            loop.run_forever()
        else:
            context.run(schedule)
        refs.append(weakref.ref(loop))

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        left_in_a_loop(running=True)
        gc.collect()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        left_in_a_loop(running=False)
        gc.collect()
    assert [ref() for ref in refs] == [None] * 4


def test_waiting_handles_cost_the_collector_nothing(loop: PyLoop) -> None:
    async def main() -> None:
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(1000):
            loop.call_soon(nothing)
            loop.call_later(60, nothing)
        assert len(gc.get_objects()) - before < 100
        await asyncio.sleep(0)

    gc.disable()
    try:
        loop.run_until_complete(main())
    finally:
        gc.enable()


def test_contexts_survive_collections(loop: PyLoop) -> None:
    variable = contextvars.ContextVar("variable", default=-1)
    seen: list[int] = []

    async def main() -> None:
        for number in range(200):
            variable.set(number)
            loop.call_soon(lambda: seen.append(variable.get()))
            loop.call_later(0.001, lambda: seen.append(variable.get()))
        gc.collect()
        await asyncio.sleep(0.01)
        gc.collect()

    loop.run_until_complete(main())
    assert seen == [*range(200), *range(200)]


def test_timers_of_all_lengths_fire_in_order(loop: PyLoop) -> None:
    """Those that come in the order of their deadlines and those that do not, with some cancelled on the way."""
    rng = random.Random(5)
    fired: list[float] = []
    expected: list[float] = []

    async def main() -> None:
        begun = loop.time()
        steady = 0.0
        for _ in range(3000):
            steady += 1e-6
            offset = steady if rng.random() < 0.5 else rng.random() * 0.02
            handle = loop.call_at(begun + offset, fired.append, offset)
            if rng.random() < 0.6:
                handle.cancel()
            else:
                expected.append(offset)
        await asyncio.sleep(0.04)

    loop.run_until_complete(main())
    assert fired == sorted(expected)


def test_a_timeout_that_is_cancelled_at_once_leaves_nothing(loop: PyLoop) -> None:
    class Marker:
        pass

    async def main() -> None:
        refs = []
        for _ in range(100):
            marker = Marker()
            refs.append(weakref.ref(marker))
            loop.call_later(60, nothing, marker).cancel()
            del marker
        assert all(ref() is None for ref in refs)

    loop.run_until_complete(main())


def test_a_busy_loop_fires_timers_in_time(loop: PyLoop) -> None:
    """However short or long its turns are, though it does not read the clock in each of them."""
    late: list[float] = []

    async def main(work: float) -> None:
        done = False

        def spin() -> None:
            until = time.perf_counter() + work
            while time.perf_counter() < until:
                pass
            if not done:
                loop.call_soon(spin)

        spin()
        for _ in range(20):
            due = loop.time() + 0.003
            event = asyncio.Event()
            loop.call_at(due, event.set)
            await event.wait()
            late.append(loop.time() - due)
        done = True

    for work in (0, 50e-6, 1e-3):
        late.clear()
        loop.run_until_complete(main(work))
        assert min(late) >= 0
        # The best of them, since the machine may be busy with something else.
        assert sorted(late)[len(late) // 4] < work * 2 + 0.002


def test_a_thread_that_floods_the_loop_lets_it_run(loop: PyLoop) -> None:
    """With the interpreter's switch interval alone, the thread would be done before the loop runs once."""
    count = 40_000
    waiting: list[int] = []
    arrived = 0
    sent = 0

    def arrive() -> None:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            loop.stop()

    def flood() -> None:
        nonlocal sent
        for _ in range(count):
            loop.call_soon_threadsafe(arrive)
            sent += 1
            waiting.append(sent - arrived)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(5)
    try:
        thread = threading.Thread(target=flood)
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert arrived == count
    assert max(waiting) < count // 2


def test_the_loop_alone_is_light() -> None:
    """Whoever wants only the loop does not load the rest of the package."""
    script = (
        "import sys, ziggurat; ziggurat.new_event_loop().close();"
        "print([name for name in sys.modules if name.split('.')[0] in ('pydantic', 'msgspec')"
        " or name in ('ziggurat.app', 'ziggurat.models', 'ziggurat.layers')])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_all_public_names_are_there() -> None:
    import ziggurat

    assert all(getattr(ziggurat, name) is not None for name in ziggurat.__all__)
    assert set(ziggurat.__all__) <= set(dir(ziggurat))
    with pytest.raises(AttributeError, match="module 'ziggurat' has no attribute 'nothing'"):
        ziggurat.nothing  # noqa: B018
