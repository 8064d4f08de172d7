"""What yields is driven as contextlib drives it, whatever it does and whatever is raised inside: both do the same, side by side."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import inspect
import itertools
import sys
import textwrap
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from ziggurat._param_driver import Mode, Step, compiled

Events = list[object]
Body = Callable[[Events, str], Iterator[str]]


class Own(Exception):
    """Raised by what yields."""


class Outermost(BaseException):
    """No `Exception`, as a `SystemExit`."""


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Generators that do not end when they are told to are collected in the midst of that, of which Python tells."""
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    yield
    gc.collect()


# What yields


def cleans_up(events: Events, name: str) -> Iterator[str]:
    events.append(f"{name} begins")
    try:
        yield name
    except BaseException as error:
        events.append((name, type(error), str(error), type(error.__context__), type(error.__cause__)))
        raise
    finally:
        events.append(f"{name} ends")


def does_not_look(events: Events, name: str) -> Iterator[str]:
    yield name
    events.append(f"{name} went on")


def never_yields(events: Events, name: str) -> Iterator[str]:
    events.append(f"{name} begins")
    if not events:
        yield name


def fails_at_once(events: Events, name: str) -> Iterator[str]:
    if events is not None:
        raise Own(name)
    yield name


def fails_afterwards(events: Events, name: str) -> Iterator[str]:
    yield name
    raise Own(name)


def fails_in_any_case(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    finally:
        raise Own(name)


def keeps_quiet(events: Events, name: str) -> Iterator[str]:
    with contextlib.suppress(BaseException):
        yield name
    events.append(f"{name} went on")


def replaces(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    except BaseException as error:
        raise Own(name) from error


def replaces_by_a_runtime_error(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    except BaseException as error:
        raise RuntimeError(name) from error


def hides(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    except BaseException:
        raise Own(name) from None


def stops_by_raising(events: Events, name: str) -> Iterator[str]:
    yield name
    raise StopIteration(name)


def stops_async_by_raising(events: Events, name: str) -> Iterator[str]:
    yield name
    raise StopAsyncIteration(name)


def begins_by_stopping(events: Events, name: str) -> Iterator[str]:
    if events is not None:
        raise StopIteration(name)
    yield name


def answers_by_stopping(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    except BaseException:
        raise StopAsyncIteration(name) from None


def yields_twice(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
        yield name
    except BaseException as error:
        events.append((name, type(error)))
        raise
    finally:
        events.append(f"{name} ends")


def yields_again(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
    except BaseException:
        events.append(f"{name} goes on")
        try:
            yield name
        finally:
            events.append(f"{name} ends")


def fails_to_close(events: Events, name: str) -> Iterator[str]:
    try:
        yield name
        yield name
    finally:
        raise Own(name)


def ignores_its_end(events: Events, name: str) -> Iterator[str]:
    for count in range(3):
        try:
            yield name
        except BaseException as error:
            # The collector ends it last, whenever it comes.
            if count < 2:
                events.append((name, type(error)))


BODIES: list[Body] = [
    cleans_up,
    does_not_look,
    never_yields,
    fails_at_once,
    fails_afterwards,
    fails_in_any_case,
    keeps_quiet,
    replaces,
    replaces_by_a_runtime_error,
    hides,
    stops_by_raising,
    stops_async_by_raising,
    begins_by_stopping,
    answers_by_stopping,
    yields_twice,
    yields_again,
    fails_to_close,
    ignores_its_end,
]
RAISED: list[Callable[[], BaseException] | None] = [
    None,
    lambda: ValueError("raised"),
    lambda: RuntimeError("raised"),
    lambda: StopIteration("raised"),
    lambda: StopAsyncIteration("raised"),
    lambda: asyncio.CancelledError("raised"),
    lambda: GeneratorExit("raised"),
    lambda: KeyboardInterrupt("raised"),
    lambda: Outermost("raised"),
]


def asynchronous(body: Body) -> Callable[[Events, str], AsyncIterator[str]]:
    """The same as an asynchronous generator: written anew, since the two raise differently what stops them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(body)))
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    made = ast.AsyncFunctionDef(**{field: getattr(function, field) for field in function._fields})
    tree.body[0] = ast.copy_location(made, function)
    names = {**globals()}
    exec(compile("from __future__ import annotations\n" + ast.unparse(tree), __file__, "exec"), names)
    return names[body.__name__]  # type: ignore[no-any-return]


ASYNC = {body: asynchronous(body) for body in BODIES}


def told(error: BaseException | None, raised: BaseException | None, depth: int = 0) -> object:
    """What can be seen of an exception: what it is, where in the user's code it was, and what it hangs on."""
    if error is None or depth > 8:
        return None
    own = {body.__name__ for body in BODIES} | {"handler", "waits"}
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if frame.name in own]
    return (
        type(error),
        str(error),
        error is raised,
        frames,
        error.__suppress_context__,
        told(error.__cause__, raised, depth + 1),
        told(error.__context__, raised, depth + 1),
    )


class Run:
    """What the native side hands over."""

    def __init__(self) -> None:
        self.given: list[object] = []

    def answer(self, answer: object) -> None:
        self.given.append(answer)


def finished(awaitable: Awaitable[object], raised: BaseException | None) -> tuple[object, object]:
    """What a coroutine gives, or what it raises, without a loop: nothing here waits."""
    coroutine = awaitable.__await__()
    try:
        next(coroutine)
    except StopIteration as stop:
        return stop.value, None
    except BaseException as error:
        return None, told(error, raised)
    raise AssertionError("something waits")


def step(function: Callable[..., Any], kind: Any, *args: str, inner: bool = False) -> Step:
    return Step(function, kind, False, args, function.__name__, inner)


def compare(bodies: tuple[Body, ...], kinds: tuple[str, ...], make: Callable[[], BaseException] | None) -> None:
    """Calls a handler inside of these, by contextlib and by what is compiled for it."""
    names = [str(number) for number in range(len(bodies))]

    def functions(events: Events) -> list[Callable[[], Any]]:
        def of(body: Body, kind: str, name: str) -> Callable[[], Any]:
            function = ASYNC[body] if kind == "asyncgen" else body
            return lambda: function(events, name)

        return [of(*each) for each in zip(bodies, kinds, names, strict=True)]

    def handles(events: Events, raised: BaseException | None) -> Callable[..., Awaitable[object]]:
        async def handler(*given: object) -> object:
            events.append(("handler", *given))
            if raised is not None:
                raise raised
            return "answer"

        return handler

    def by_contextlib(answers: Callable[[object], object]) -> tuple[object, Events]:
        events: Events = []
        raised = None if make is None else make()
        handler = handles(events, raised)

        async def drive(*given: object) -> object:
            if len(given) == len(bodies):
                return answers(await handler(*given))
            function = functions(events)[len(given)]
            if kinds[len(given)] == "asyncgen":
                async with contextlib.asynccontextmanager(function)() as value:
                    return await drive(*given, value)
            else:
                with contextlib.contextmanager(function)() as value:
                    return await drive(*given, value)
            return None

        return finished(drive(), raised), events

    def by_us(run: Run | None) -> tuple[object, Events]:
        events: Events = []
        raised = None if make is None else make()
        steps = [step(function, kind) for function, kind in zip(functions(events), kinds, strict=True)]
        given = [f"d{number}" for number in range(len(bodies))]
        drive, mode, on_loop = compiled(
            steps, step(handles(events, raised), "async", *given), [], answers=run is not None
        )
        assert mode == ("call" if run is None else "answer") and on_loop
        return finished(drive(*([] if run is None else [run])), raised), events

    assert by_us(None) == by_contextlib(lambda answer: answer)
    ours, theirs = Run(), Run()
    assert by_us(ours) == by_contextlib(theirs.answer)
    assert ours.given == theirs.given


@pytest.mark.usefixtures("misbehaving")
@pytest.mark.parametrize("kind", ["generator", "asyncgen"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_whatever_it_does(body: Body, kind: str) -> None:
    for raised in RAISED:
        compare((body,), (kind,), raised)


@pytest.mark.usefixtures("misbehaving")
@pytest.mark.parametrize("kinds", list(itertools.product(["generator", "asyncgen"], repeat=2)), ids="-".join)
def test_in_each_other(kinds: tuple[str, ...]) -> None:
    for outer, inner in itertools.product(BODIES, repeat=2):
        for raised in RAISED[:4]:
            compare((outer, inner), kinds, raised)


@pytest.mark.usefixtures("misbehaving")
def test_def_handlers_are_driven_by_a_generator() -> None:
    """Which the native side goes on with, raises what it was raised in, or closes."""

    def ended(drive: Iterator[object], how: BaseException | None) -> tuple[object, object]:
        try:
            value = next(drive)
        except BaseException as error:
            return "begins", told(error, how)
        try:
            if how is None:
                next(drive)
            elif isinstance(how, GeneratorExit):
                drive.close()  # type: ignore[attr-defined]
            else:
                drive.throw(how)  # type: ignore[attr-defined]
        except BaseException as error:
            return value, told(error, how)
        return value, "went on"

    def handler(given: str) -> str:
        return f"answer {given}"

    for body in BODIES:
        for raised in RAISED:

            def by_contextlib(events: Events, body: Body = body) -> Iterator[str]:
                with contextlib.contextmanager(body)(events, "0") as value:
                    yield handler(value)

            def by_us(events: Events, body: Body = body) -> Iterator[str]:
                drive, mode, _ = compiled(
                    [step(lambda: body(events, "0"), "generator")], step(handler, "value", "d0"), []
                )
                assert mode == "generator"
                return drive()  # type: ignore[no-any-return]

            seen = []
            for of in (by_contextlib, by_us):
                events: Events = []
                seen.append((ended(of(events), None if raised is None else raised()), events))
            assert seen[0] == seen[1], (body, raised)


def waiting(events: Events) -> tuple[Callable[[], AsyncIterator[str]], Callable[[str], Awaitable[str]]]:
    """Both say when they wait, and go on when their task has been cancelled or gets its turn."""

    async def waits() -> AsyncIterator[str]:
        closed = False
        try:
            events.append("begins")
            await asyncio.sleep(0)
            yield "given"
        except BaseException as error:
            events.append(type(error))
            # Nothing can be awaited then.
            closed = isinstance(error, GeneratorExit)
            if not closed:
                await asyncio.sleep(0)
            raise
        finally:
            events.append("ends")
            if not closed:
                await asyncio.sleep(0)
            events.append("ended")

    async def handler(given: str) -> str:
        events.append("handler")
        await asyncio.sleep(0)
        return given

    return waits, handler


@pytest.mark.parametrize("by", ["cancel", "close"])
@pytest.mark.parametrize("turns", range(7))
def test_what_is_cancelled_or_closed_where_it_waits(turns: int, by: str) -> None:
    def started(events: Events, ours: bool) -> Any:
        waits, handler = waiting(events)
        if ours:
            return compiled([step(waits, "asyncgen")], step(handler, "async", "d0"), [], answers=False)[0]()

        async def drive() -> str:
            async with contextlib.asynccontextmanager(waits)() as given:
                return await handler(given)

        return drive()

    async def cancelled(events: Events, ours: bool) -> object:
        task = asyncio.ensure_future(started(events, ours))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel("enough")
        try:
            return await task
        except asyncio.CancelledError as error:
            events.append(str(error))
        return task.cancelled()

    def closed(events: Events, ours: bool) -> object:
        drive = started(events, ours)
        failed = None
        try:
            for _ in range(turns):
                drive.send(None)
            drive.close()
        except BaseException as error:
            failed = type(error), str(error)
        return failed

    seen = []
    hooks = sys.get_asyncgen_hooks()
    for ours in (False, True):
        events: Events = []
        result = asyncio.run(cancelled(events, ours)) if by == "cancel" else closed(events, ours)
        seen.append((result, events))
    assert sys.get_asyncgen_hooks() == hooks
    assert seen[0] == seen[1]


@pytest.mark.parametrize("raised", [None, ValueError("raised")])
def test_an_answer_stands_behind_what_is_cleaned_up_before_it(raised: Exception | None) -> None:
    """With one that keeps an exception there is none."""
    events: Events = []

    async def handler(*given: object) -> object:
        if raised is not None:
            raise raised
        return given

    steps = [
        step(lambda: ASYNC[cleans_up](events, "outer"), "asyncgen"),
        step(lambda: keeps_quiet(events, "inner"), "generator", inner=True),
    ]
    drive, mode, _ = compiled(steps, step(handler, "async", "d0", "d1"), [])
    assert mode == "answer"
    run = Run()
    run.given = events
    assert finished(drive(run), raised) == (None, None)
    answer: Events = [] if raised else [("outer", "inner")]
    assert events == ["outer begins", "inner went on", *answer, "outer ends"]


def test_what_is_driven_leaves_no_cycle() -> None:
    """An exception that passes is freed with its frames, without the collector."""

    class Kept:
        pass

    async def handler(given: object) -> None:
        kept = Kept()
        seen.append(weakref.ref(kept))
        raise ValueError

    modes: list[Mode] = []
    for function, kind in ((cleans_up, "generator"), (ASYNC[cleans_up], "asyncgen")):
        seen: list[weakref.ref[Kept]] = []
        drive, mode, _ = compiled(
            [step(lambda function=function: function([], "0"), kind)], step(handler, "async", "d0"), [], answers=False
        )
        modes.append(mode)
        gc.disable()
        try:
            with pytest.raises(ValueError):
                drive().send(None)
            assert seen[0]() is None
        finally:
            gc.enable()
    assert modes == ["call", "call"]
