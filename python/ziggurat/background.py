"""Work that begins once a request was answered."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, Protocol

__all__ = ["BackgroundTask", "BackgroundTasks"]

_P = ParamSpec("_P")
_logger = logging.getLogger("ziggurat")


class BackgroundTask:
    """A call that begins once the answer was handed over: `Response(..., background=BackgroundTask(send, "a@b.c"))`.

    `async def` functions run on the event loop, others on a thread. They see the context variables that were set when this was
    made.
    """

    __slots__ = ("_args", "_context", "_function", "_kwargs")

    def __init__(self, func: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        if not callable(func):
            raise TypeError(f"a background task is a function, not {func!r}")
        self._function = func
        self._args = args
        self._kwargs = kwargs
        self._context = contextvars.copy_context()

    async def _run(self) -> None:
        call = functools.partial(self._function, *self._args, **self._kwargs)
        event_loop = asyncio.get_running_loop()
        if _is_async(self._function):
            await event_loop.create_task(_contained(call()), context=self._context)
        else:
            await event_loop.run_in_executor(None, self._context.run, call)

    def __repr__(self) -> str:
        return f"BackgroundTask({_name(self._function)})"


class BackgroundTasks:
    """Calls that begin once the answer was handed over, one after the other.

    A parameter of this type is filled with one that is empty. Its tasks run even when the client has gone meanwhile; an app that
    stops waits for them as long as for requests. An exception of one is logged, and the next one runs all the same. When the handler
    itself raises an exception, none of them runs.
    """

    def __init__(self, tasks: Sequence[BackgroundTask] = ()) -> None:
        self.tasks = list(tasks)

    def add_task(self, func: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Adds a call of `func`, which is `async def`, or `def` and then runs on a thread."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    def __len__(self) -> int:
        return len(self.tasks)


class _Running(Protocol):
    def end(self) -> None: ...


_tasks: set[asyncio.Task[None]] = set()
"""What keeps them from being collected while they run."""


def _begin(tasks: BackgroundTask | BackgroundTasks, running: _Running) -> None:
    """Has them run on the loop, which this is called on."""
    task = asyncio.get_running_loop().create_task(_run_all(tasks, running))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _run_all(tasks: BackgroundTask | BackgroundTasks, running: _Running) -> None:
    try:
        for task in [tasks] if isinstance(tasks, BackgroundTask) else tasks.tasks:
            try:
                await task._run()
            except (Exception, SystemExit):
                _logger.exception("the background task %s raised an exception", _name(task._function))
    finally:
        running.end()


async def _contained(running: Coroutine[Any, Any, object]) -> None:
    """`SystemExit` ends the task and not the loop: what one request left to do must not end the rest."""
    try:
        await running
    except SystemExit as error:
        raise RuntimeError(f"it would end the program with {error.code!r}") from error


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__
