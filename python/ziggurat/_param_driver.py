"""Calls a handler with its dependencies: one function for each handler, made when it is registered."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import types
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from ._param_driver_code import Kind, Mode, Shape, driver
from ._record import record

if TYPE_CHECKING:
    from ._ziggurat import Run

__all__ = ["Kind", "Mode", "Step", "compiled"]


@record
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

    @property
    def shape(self) -> Shape:
        """What its code is made of."""
        return Shape(self.kind, self.thread, self.args, self.inner)


def compiled(
    steps: Sequence[Step], handler: Step, args: Sequence[str], *, answers: bool = True
) -> tuple[Callable[..., Any], Mode, bool]:
    """The function that calls `steps` one after the other, and then `handler`, given `args`; and whether it is for the loop."""
    made = driver(tuple(step.shape for step in steps), handler.shape, tuple(args), answers)
    names: dict[str, Any] = {f"f{number}": step.function for number, step in enumerate(steps)}
    for number in made.managers:
        is_async = steps[number].kind == "asyncgen"
        manager = contextlib.asynccontextmanager if is_async else contextlib.contextmanager
        names[f"f{number}"] = manager(steps[number].function)
    names["handler"] = handler.function
    names["__builtins__"] = builtins.__dict__
    names.update((name, _NAMES[name]) for name in made.code.co_names if name in _NAMES)
    code = made.code.replace(co_filename=f"<{handler.name} and what it depends on>")
    return types.FunctionType(code, names, "drive"), made.mode, made.is_async


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


_NAMES: dict[str, Any] = {
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
"""What the code calls."""
