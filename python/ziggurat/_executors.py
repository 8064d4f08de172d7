"""Calls in threads: `run_in_executor` without a second future."""

from __future__ import annotations

import sys
from asyncio import Future, base_events
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor, thread
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from ziggurat import _ziggurat

__all__ = ["Executors"]

Answer = TypeVar("Answer")
Args = TypeVarTuple("Args")

_submit = ThreadPoolExecutor.__dict__["submit"]
# From 3.14 on the threads of an executor call their work with a context of their own.
_KNOWN = sys.version_info < (3, 14) and type(_submit) is FunctionType and _submit.__globals__ is vars(thread)


def _is_usual(pool: Any) -> bool:
    """Whether nobody has made `submit` do more than it does."""
    return (
        _KNOWN
        and type(pool) is ThreadPoolExecutor
        and ThreadPoolExecutor.submit is _submit
        and "submit" not in pool.__dict__
    )


class Executors(base_events.BaseEventLoop):
    """To come before the base class, which makes a future for the thread and one for the loop, and joins them by callbacks.

    For the interpreter's own pool of threads the loop's future alone will do: the work goes into the queue of the pool, and a thread
    settles the future.
    """

    if TYPE_CHECKING:
        _closed: bool
        _debug: bool
        _default_executor: Any
        _executor_shutdown_called: bool

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], Answer], *args: *Args
    ) -> Future[Answer]:
        pool: Any = self._default_executor if executor is None else executor
        if _is_usual(pool) and not (
            self._debug or self._closed or (executor is None and self._executor_shutdown_called)
        ):
            future: Future[Answer] = self.create_future()
            work = _ziggurat.Work(self, future, func, args)
            with pool._shutdown_lock, thread._global_shutdown_lock:
                if not (pool._broken or pool._shutdown or thread._shutdown):
                    pool._work_queue.put(work)
                    pool._adjust_thread_count()
                    return future
        return super().run_in_executor(executor, func, *args)
