"""What iterators yield, handed to a body that is being sent."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from typing import Any, Protocol

_logger = logging.getLogger("ziggurat")
_END: Any = object()
_IN_A_ROW = 128


class Sink(Protocol):
    """Where chunks go."""

    @property
    def is_quiet(self) -> bool:
        """Whether somebody waits for the first chunk, and is told of an exception before it."""

    def put(self, chunk: object) -> Awaitable[None] | None:
        """Takes a chunk; gives what has to be awaited before the next one."""


async def pump(chunks: Any, sink: Sink) -> None:
    """Iterates over `chunks` until they end, the client goes away, or one is no chunk."""
    source = chunks if hasattr(chunks, "__aiter__") else _from(chunks)
    try:
        in_a_row = 0
        async for chunk in source:
            try:
                room = sink.put(chunk)
            except Exception as error:
                _tell_place(chunks, error, "This is what {} yielded")
                raise
            in_a_row += 1
            if room is not None:
                await room
                in_a_row = 0
            elif in_a_row == _IN_A_ROW:
                # What never waits, and is never waited for, would hold up everything else.
                await asyncio.sleep(0)
                in_a_row = 0
    except Exception:
        # When the answer has begun, the client can only be told by its end.
        if not sink.is_quiet:
            _logger.exception("a body raised an exception while it was sent")
        raise
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception as error:
                _tell_closing(chunks, error)


def _tell_closing(chunks: Any, error: Exception) -> None:
    """How the body has ended is known without it."""
    _tell_place(chunks, error, "{} did not end")
    _logger.error("a body raised an exception when it was closed", exc_info=error)


def _tell_place(chunks: Any, error: Exception, what: str) -> None:
    """Has the traceback say which line it is about; that of an exception inside says so itself."""
    frame = getattr(chunks, "ag_frame", None) or getattr(chunks, "gi_frame", None)
    if frame is not None:
        name = frame.f_code.co_qualname.replace("<locals>.", "")
        error.add_note(f"{what.format(name)}, at {frame.f_code.co_filename}:{frame.f_lineno}")


async def _from(chunks: Iterable[object]) -> AsyncIterator[object]:
    """What a plain iterator yields. It may block, so it runs on a thread, always in the same context."""
    iterator = iter(chunks)
    context = contextvars.copy_context()
    event_loop = asyncio.get_running_loop()
    running: asyncio.Future[object] | None = None
    try:
        while True:
            running = event_loop.run_in_executor(None, context.run, _next, iterator)
            chunk = await asyncio.shield(running)
            if chunk is _END:
                return
            yield chunk
    finally:
        if running is not None and not running.done():
            # A thread cannot be stopped, and the iterator not be closed while it runs.
            await asyncio.wait([running])
        close = getattr(iterator, "close", None)
        if close is not None:
            try:
                await event_loop.run_in_executor(None, context.run, close)
            except Exception as error:
                _tell_closing(iterator, error)


def _next(iterator: Iterator[object]) -> object:
    # StopIteration cannot pass a future.
    return next(iterator, _END)
