"""The end of a loop: what still runs there is cancelled, has a time to end in, and is not waited for any longer."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from asyncio import tasks as _tasks
from collections.abc import Callable
from typing import Any

from ._held import outermost, place_of, tell_of_cancelled, users_frame

__all__ = ["AT_LEAST", "end_tasks"]

logger = logging.getLogger("ziggurat")

AT_LEAST = 1.0
"""Seconds that what is cancelled has to end in, whenever that begins."""
_STEP = 0.1


async def end_tasks(seconds: float, is_hurried: Callable[[], bool]) -> None:
    """Cancels all that still runs on the loop but this task, and lets go of what does not end in so many seconds.

    The interpreter does the same when the loop is closed, and waits as long as anything goes on.
    """
    event_loop = asyncio.get_running_loop()
    end = time.monotonic() + seconds

    def is_time_left() -> bool:
        return time.monotonic() < end and not is_hurried()

    own = asyncio.current_task()
    others = {task for task in asyncio.all_tasks() if task is not own}
    for task in others:
        task.cancel()
    generators = event_loop.create_task(event_loop.shutdown_asyncgens())
    left = {*others, generators}
    while left:
        left = (await asyncio.wait(left, timeout=_STEP))[1]
        if not is_time_left():
            break
    for task in left:
        if task is generators:
            logger.warning("an asynchronous generator did not end within %.0f s after the app, and is left", seconds)
        else:
            tell_of_cancelled(task, f"{seconds:.0f} s ago, as the app ended")
        # Nobody waits for it any longer, and it is no error that it is lost: it was told of.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        _tasks._unregister_task(task)
    for task in others - left:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            event_loop.call_exception_handler(
                {"message": "an exception of a task that was cancelled", "exception": error, "task": task}
            )
    await _end_threads(event_loop, is_time_left)


async def _end_threads(event_loop: Any, is_time_left: Callable[[], bool]) -> None:
    """The same for the loop's own pool of threads, which cannot be cancelled."""
    pool = getattr(event_loop, "_default_executor", None)
    if pool is None:
        return
    pool.shutdown(wait=False)
    threads: list[threading.Thread] = list(getattr(pool, "_threads", ()))
    while (threads := [thread for thread in threads if thread.is_alive()]) and is_time_left():
        await asyncio.sleep(_STEP / 10)
    if not threads:
        return
    event_loop._default_executor = None
    now = sys._current_frames()
    for thread in threads:
        frames = outermost(now.get(thread.ident or 0))
        where = f", at {place_of(users_frame(frames))}" if frames else ""
        logger.warning(
            "what was begun on the thread %s did not end in time%s; the interpreter waits for it before it ends",
            thread.name,
            where,
        )
