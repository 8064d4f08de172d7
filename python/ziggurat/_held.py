"""Who holds the event loop, or a thread, or goes on although it was cancelled: told once for each place in the code.

A native thread sees that a turn of the loop does not end, and calls `tell` on a thread of its own while it still lasts.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import sys
import threading
import traceback
from asyncio import base_events
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import _ziggurat

if TYPE_CHECKING:
    from .app import Ziggurat

__all__ = ["Watch", "cancelled", "outermost", "place_of", "tell", "tell_of_cancelled", "thread_kept", "users_frame"]

logger = logging.getLogger("ziggurat")

CANCELLED_AFTER = 5.0
"""Seconds that a coroutine has to end in once it was cancelled, before that is told of."""

_MOST_PLACES = 1000
_MOST_FRAMES = 40
_RUN_FOREVER = base_events.BaseEventLoop.run_forever.__code__
_DEBUGGERS = frozenset(("pdb", "bdb", "IPython.core.debugger", "pydevd"))
_keys = itertools.count(1)
_watched: dict[int, Watch] = {}


class _Once:
    """Which places were told of."""

    def __init__(self) -> None:
        self._places: set[object] = set()

    def is_new(self, place: object) -> bool:
        if place in self._places or len(self._places) >= _MOST_PLACES:
            return False
        self._places.add(place)
        return True


_cancelled = _Once()
_threads = _Once()


class Watch:
    """Looks after the loop of this thread, from another one.

    Who holds it for `warn_after` seconds is told of. Who does so for `end_after` seconds, or for the whole grace of an app that is to
    stop, is ended by a signal, which needs the main thread; `stop` then ends the app, and `drain` stops accepting.
    """

    def __init__(
        self,
        app: Ziggurat,
        event_loop: asyncio.AbstractEventLoop,
        *,
        warn_after: float | None,
        end_after: float | None = None,
        stop: Callable[[], None] | None = None,
        drain: Callable[[], object] | None = None,
    ) -> None:
        self._app = app
        self._loop = event_loop
        self._thread = threading.get_ident()
        self._told = _Once()
        self._stop = stop
        self._drain = drain
        self.ending: str | None = None
        """Why what holds the loop is to end now, once it is."""
        self.has_failed = False
        """Whether the app was ended since something held the loop."""
        self._is_stopping = False
        self._key = next(_keys)
        _watched[self._key] = self
        self._native = _ziggurat.Watchdog(
            event_loop,  # type: ignore[arg-type] # an app runs on PyLoop
            self._key,
            warn_after=warn_after or None,
            end_after=end_after or None,
        )

    def stop_within(self, seconds: float) -> None:
        """The app is to stop, and what holds the loop has so long."""
        self._is_stopping = True
        self._native.stop_within(seconds)

    def end(self) -> None:
        """The loop is left to itself."""
        self._native.end()
        _watched.pop(self._key, None)

    def frames(self) -> list[FrameType]:
        """What runs inside of the loop now, the innermost first; nothing while the loop itself does."""
        frame = sys._current_frames().get(self._thread)
        found = []
        while frame is not None and frame.f_code is not _RUN_FOREVER:
            found.append(frame)
            frame = frame.f_back
        return found if frame is not None else []

    def tell(self, what: str, seconds: float, is_over: bool) -> None:
        if what == "drain":
            if self._drain is not None:
                self._drain()
            return
        frames = [] if is_over else self.frames()
        if what == "end":
            self._end(frames, seconds)
        elif is_over:
            if self._told.is_new(None):
                logger.warning(
                    "something has held the event loop for %.2f s, and the interpreter's lock with it, so that its place could not be "
                    "seen: native code that computes should let go of the lock, or run in a process of its own",
                    seconds,
                )
        elif frames and not any(frame.f_globals.get("__name__") in _DEBUGGERS for frame in frames):
            users = users_frame(frames)
            if self._told.is_new(users.f_code):
                logger.warning(
                    "%s has held the event loop for %.2f s, at %s, and nothing else runs meanwhile; await what takes long, or have it run on "
                    'a thread, as a handler with "def" does\n%s',
                    self._whose(frames),
                    seconds,
                    place_of(users),
                    _listed(frames),
                )

    def _end(self, frames: list[FrameType], seconds: float) -> None:
        if not frames:
            return
        why = "while the app was to stop" if self._is_stopping else "which is too long"
        place = place_of(users_frame(frames))
        logger.error(
            "%s has held the event loop for %.1f s, %s, at %s, and is ended\n%s",
            self._whose(frames),
            seconds,
            why,
            place,
            _listed(frames),
        )
        self.ending = f"stopped at {place}, since it held the event loop for {seconds:.1f} s"
        if not self._is_stopping:
            self.has_failed = True
            if self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop)
        # Its handler raises what ends it, in the midst of what runs there.
        signal.pthread_kill(self._thread, signal.SIGTERM)

    def _whose(self, frames: Sequence[FrameType]) -> str:
        """The route, or what else it is called."""
        routes = {route.location: f"{route.method} {route.path} ({route.name})" for route in self._app.route_specs}
        for frame in frames:
            if _defined_at(frame) in routes:
                return routes[_defined_at(frame)]
        return _outermost_users(frames).f_code.co_qualname


def tell(key: int, what: str, seconds: float, is_over: bool) -> None:
    """Called where a turn lasts too long; `is_over` when it has ended before this thread got the interpreter's lock, after a long wait."""
    watch = _watched.get(key)
    if watch is not None:
        watch.tell(what, seconds, is_over)


def thread_kept(name: str, location: str, seconds: float) -> None:
    """Called where a `def` handler still runs so long after its client was answered, or has gone."""
    if not _threads.is_new((name, location)):
        return
    stacks = map(outermost, sys._current_frames().values())
    stack = next((frames for frames in stacks if any(_defined_at(frame) == location for frame in frames)), [])
    logger.warning(
        "%s still runs on its thread %.0f s after its client was answered or has gone%s; that thread is not there for others: give what it "
        "waits for a time limit\n%s",
        name,
        seconds,
        f", at {place_of(users_frame(stack))}" if stack else "",
        _listed(stack),
    )


def cancelled(event_loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Called when the task of a job was cancelled: it should end soon."""
    import weakref

    # Not kept by a timer.
    event_loop.call_later(CANCELLED_AFTER, _look_at_cancelled, weakref.ref(task))


def _look_at_cancelled(reference: Callable[[], asyncio.Task[Any] | None]) -> None:
    task = reference()
    if task is not None and not task.done():
        tell_of_cancelled(task, f"{CANCELLED_AFTER:.0f} s ago")


def tell_of_cancelled(task: asyncio.Task[Any], when: str) -> None:
    """Tells of a task that goes on although it was cancelled."""
    frames = awaiting(task)
    users = users_frame(frames) if frames else None
    if _cancelled.is_new(users.f_code if users is not None else task.get_name()):
        logger.warning(
            "%s was cancelled %s, and still runs%s: a handler is cancelled when its client goes or its time is up, and lets "
            "asyncio.CancelledError pass, or raises it again\n%s",
            _outermost_users(frames).f_code.co_qualname if frames else task.get_name(),
            when,
            f", at {place_of(users)}" if users is not None else "",
            _listed(frames),
        )


def awaiting(task: asyncio.Task[Any]) -> list[FrameType]:
    """Where a task stands, the innermost frame first."""
    found: list[FrameType] = []
    inner: Any = task.get_coro()
    while inner is not None and len(found) < _MOST_FRAMES:
        for kind in ("cr", "ag", "gi"):
            if hasattr(inner, f"{kind}_frame"):
                frame = getattr(inner, f"{kind}_frame")
                if frame is not None:
                    found.insert(0, frame)
                inner = getattr(inner, f"{kind}_await" if kind != "gi" else "gi_yieldfrom")
                break
        else:
            break
    return found


def outermost(frame: FrameType | None) -> list[FrameType]:
    """The frames of a thread, the innermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def place_of(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def users_frame(frames: Sequence[FrameType]) -> FrameType:
    """The innermost that is the user's, or that of all."""
    return next((frame for frame in frames if _is_users(frame)), frames[0])


def _outermost_users(frames: Sequence[FrameType]) -> FrameType:
    return next((frame for frame in reversed(frames) if _is_users(frame)), frames[-1])


def _is_users(frame: FrameType) -> bool:
    from ._failures import is_users

    return is_users(frame.f_code.co_filename)


def _defined_at(frame: FrameType) -> str:
    """As a route knows its function."""
    return f"{frame.f_code.co_filename}:{frame.f_code.co_firstlineno}"


def _listed(frames: Sequence[FrameType]) -> str:
    """As in a traceback: the innermost last."""
    shown = [(frame, frame.f_lineno) for frame in reversed(frames[:_MOST_FRAMES])]
    return "".join(traceback.StackSummary.extract(iter(shown)).format()).rstrip()
