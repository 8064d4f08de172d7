"""Calls a handler with its dependencies: one function for each handler, compiled when the app is built.

What depends on what is known by then, so the function is a straight line of calls, and a block where a dependency yields:

    async def drive(run, a0, a1):
        d0 = await f0(a0)
        g1 = f1(d0)
        try:
            d1 = await anext(g1)
        except StopAsyncIteration:
            raise not_begun() from None
        try:
            waiting = run.answer(await handler(a1, d1))
            if waiting is not None:
                await waiting
        except BaseException as e1:
            if not await thrown_async(g1, e1):
                raise
        else:
            try:
                await anext(g1)
            except StopAsyncIteration:
                pass
            else:
                await goes_on_async(g1)

That is `async with asynccontextmanager(f1)(d0) as d1:` without the object, the two coroutines and the calls that it takes. What an exception
does to the generator is left to contextlib. What is cleaned up before the answer stands inside of all else:

            answered = False
            g2 = f2()
            ...
                answer = await handler(a1, d1, d2)
                answered = True
            ...
            if answered:
                waiting = run.answer(answer)
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import types
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ._ziggurat import Run

__all__ = ["Kind", "Mode", "Step", "compiled"]

Kind = Literal["value", "async", "generator", "asyncgen"]
"""What calling a function gives."""
Mode = Literal["call", "run", "answer", "generator"]
"""`call` gives what the handler gives. So does `run`, which is handed what runs functions on threads. `answer` hands the answer to that,
and returns when all is cleaned up. `generator` yields the answer, and cleans up when it is gone on with."""

_NESTED = 15
"""Python takes 20 blocks in each other."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call."""

    function: Callable[..., Any]
    kind: Kind
    thread: bool
    args: tuple[str, ...]
    """Expressions, those of keywords with their names."""
    name: str
    inner: bool = False
    """Whether it is cleaned up before the answer, or needs what is."""


def compiled(
    steps: Sequence[Step], handler: Step, args: Sequence[str], *, answers: bool = True
) -> tuple[Callable[..., Any], Mode, bool]:
    """The function that calls `steps` one after the other, and then `handler`, given `args`; and whether it is for the loop.

    Where the handler does not answer, as one of WebSockets, what yields is cleaned up when it has returned.
    """
    names: dict[str, Any] = {
        "__builtins__": builtins.__dict__,
        "threaded": threaded,
        "OnThread": OnThread,
        "AsyncExitStack": contextlib.AsyncExitStack,
        "ExitStack": contextlib.ExitStack,
        "not_begun": not_begun,
        "thrown": thrown,
        "thrown_async": thrown_async,
        "goes_on": goes_on,
        "goes_on_async": goes_on_async,
    }
    # Calling a generator runs none of it.
    is_generator = handler.kind in ("generator", "asyncgen")
    is_async = is_generator or handler.kind == "async"
    yields = sum(step.kind in ("generator", "asyncgen") for step in steps)
    on_loop = is_async or any(step.kind in ("async", "asyncgen") for step in steps)
    # What is `def` runs on a thread where the handler does.
    threads = on_loop and (not is_async or any(step.thread and step.kind in ("value", "generator") for step in steps))
    hands_over = on_loop and yields > 0 and answers
    uses_run = threads or hands_over
    mode: Mode = "call"
    if uses_run:
        mode = "answer" if hands_over else "run"
    elif yields and not on_loop:
        mode = "generator"
    lines: list[str] = []
    indent = 1

    def say(text: str) -> None:
        lines.append("    " * indent + text)

    flat = yields > _NESTED
    # What is cleaned up before the answer, so that this may still be another one; nobody asks for it where there is none.
    ends_inside = answers and any(step.inner and step.kind in ("generator", "asyncgen") for step in steps)
    before_inside = indent
    # The generators whose blocks are open, each with its indent and whether it is an asynchronous one.
    opened: list[tuple[int, int, bool]] = []
    opened_outside = 0
    # Where an exception was kept quiet, that is None.
    returns = mode in ("call", "run")

    def open_stack() -> None:
        say("with ExitStack() as stack:" if mode == "generator" else "async with AsyncExitStack() as stack:")

    if flat:
        open_stack()
        indent += 1
    # Both in their order: what is outside depends on nothing that is inside.
    ordered = sorted(enumerate(steps), key=lambda numbered: numbered[1].inner)
    outside = sum(not step.inner for step in steps)
    for place, (number, step) in enumerate(ordered):
        if ends_inside and place == outside:
            before_inside, opened_outside = indent, len(opened)
            say("answered = False")
            if flat:
                open_stack()
                indent += 1
        function = f"f{number}"
        names[function] = step.function
        call = f"{function}({', '.join(step.args)})"
        on_thread = on_loop and (step.thread or not is_async)
        if step.kind in ("generator", "asyncgen") and (flat or (step.kind == "generator" and on_thread)):
            names[function] = (
                contextlib.contextmanager if step.kind == "generator" else contextlib.asynccontextmanager
            )(step.function)
            waits = step.kind == "asyncgen" or on_thread
            if step.kind == "generator" and on_thread:
                call = f"OnThread(run, {call})"
            if flat:
                say(
                    f"d{number} = "
                    + (f"await stack.enter_async_context({call})" if waits else f"stack.enter_context({call})")
                )
            else:
                say(f"async with {call} as d{number}:")
                indent += 1
        elif step.kind in ("generator", "asyncgen"):
            is_asyncgen = step.kind == "asyncgen"
            say(f"g{number} = {call}")
            say("try:")
            say(f"    d{number} = " + (f"await anext(g{number})" if is_asyncgen else f"next(g{number})"))
            say(f"except {'StopAsyncIteration' if is_asyncgen else 'StopIteration'}:")
            say("    raise not_begun() from None")
            opened.append((number, indent, is_asyncgen))
            say("try:")
            indent += 1
        elif step.kind == "async":
            say(f"d{number} = await {call}")
        elif on_thread:
            say(f"d{number} = await threaded({', '.join(['run', function, *step.args])})")
        else:
            say(f"d{number} = {call}")

    def close(down_to: int) -> None:
        """Ends the blocks, the innermost first."""
        nonlocal indent
        while len(opened) > down_to:
            number, indent, is_asyncgen = opened.pop()
            end, awaits, kind = ("StopAsyncIteration", "await ", "_async") if is_asyncgen else ("StopIteration", "", "")
            say(f"except BaseException as e{number}:")
            say(f"    if not {awaits}thrown{kind}(g{number}, e{number}):")
            say("        raise")
            if returns:
                say("    answer = None")
            say("else:")
            say("    try:")
            say(f"        {awaits}{'anext' if is_asyncgen else 'next'}(g{number})")
            say(f"    except {end}:")
            say("        pass")
            say("    else:")
            say(f"        {awaits}goes_on{kind}(g{number})")

    names["handler"] = handler.function
    call = f"handler({', '.join(handler.args)})"
    is_coroutine = on_loop and (uses_run or yields > 0 or any(step.kind == "async" for step in steps))
    if is_coroutine and not is_generator:
        call = f"await {call}" if is_async else f"await threaded({', '.join(['run', 'handler', *handler.args])})"
    if ends_inside:
        say(f"answer = {call}")
        say("answered = True")
        close(opened_outside)
        indent = before_inside
        # Else an exception was kept by what is cleaned up, and that there is no answer is told by those who called.
        say("if answered:")
        indent += 1
        call = "answer"
    if mode == "answer":
        say(f"waiting = run.answer({call})")
        say("if waiting is not None:")
        say("    await waiting")
    elif mode == "generator":
        say(f"yield {call}")
    elif opened:
        # Not from within, which would leave out what ends the blocks.
        say(f"answer = {call}")
    else:
        say(f"return {call}")
    if opened:
        close(0)
        if returns:
            indent = 1
            say("return answer")
    head = f"{'async def' if is_coroutine else 'def'} drive({', '.join([*(['run'] if uses_run else []), *args])}):"
    code = _code("\n".join([head, *lines])).replace(co_filename=f"<{handler.name} and what it depends on>")
    return types.FunctionType(code, names, "drive"), mode, on_loop


@functools.lru_cache(512)
def _code(source: str) -> types.CodeType:
    """Of the function; many handlers have the same."""
    return next(
        made for made in compile(source, "<dependencies>", "exec").co_consts if isinstance(made, types.CodeType)
    )


def not_begun() -> RuntimeError:
    """What contextlib raises where a generator ends before it yields."""
    return RuntimeError("generator didn't yield")


_around = contextlib.contextmanager(lambda generator: generator)
_around_async = contextlib.asynccontextmanager(lambda generator: generator)


def thrown(generator: Generator[Any, None, None], error: BaseException) -> bool | None:
    """Raises in a generator what was raised inside of its block; gives whether it is to be kept quiet there, by contextlib's rules."""
    return _around(generator).__exit__(type(error), error, error.__traceback__)


async def thrown_async(generator: AsyncGenerator[Any, None], error: BaseException) -> bool | None:
    """The same of an asynchronous one."""
    return await _around_async(generator).__aexit__(type(error), error, error.__traceback__)


def goes_on(generator: Generator[Any, None, None]) -> None:
    """Ends a generator that yields once more, and raises what contextlib does."""
    try:
        raise RuntimeError("generator didn't stop")
    finally:
        generator.close()


async def goes_on_async(generator: AsyncGenerator[Any, None]) -> None:
    """The same of an asynchronous one."""
    try:
        raise RuntimeError("generator didn't stop")
    finally:
        await generator.aclose()


async def threaded(run: Run, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function on a thread. One that has begun is waited for also by a task that is cancelled: nothing that it uses may be
    cleaned up before."""
    waiting = run.in_thread(functools.partial(function, *args, **kwargs))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        while not waiting.done():
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await asyncio.shield(waiting)
        if not waiting.cancelled():
            waiting.exception()
        raise


class OnThread:
    """A context manager that is entered and left on a thread."""

    __slots__ = ("_manager", "_run")

    def __init__(self, run: Run, manager: contextlib.AbstractContextManager[Any]) -> None:
        self._run = run
        self._manager = manager

    async def __aenter__(self) -> Any:
        entered = []

        def enter() -> Any:
            value = self._manager.__enter__()
            entered.append(value)
            return value

        try:
            return await threaded(self._run, enter)
        except asyncio.CancelledError as error:
            if entered:
                await threaded(self._run, self._manager.__exit__, type(error), error, None)
            raise

    async def __aexit__(self, *raised: Any) -> Any:
        return await threaded(self._run, self._manager.__exit__, *raised)
