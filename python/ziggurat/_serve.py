"""Runs an app: on the main thread behind a socket, or on a thread of its own without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

from ._ending import AT_LEAST, end_tasks
from ._held import Watch
from ._info import Started
from ._lifecycle import lifecycle
from ._log import JsonFormatter, logs_json
from ._loop import new_event_loop
from ._settings import MAX_IO_THREADS
from ._terminal import banner, open_writes, say
from ._ziggurat import set_io_threads
from .exceptions import ConfigError

if TYPE_CHECKING:
    from . import _ziggurat
    from .app import Ziggurat

logger = logging.getLogger("ziggurat")

SETTLES = 30.0
"""Seconds for which an app that was started without a socket waits for hooks and background tasks that still run."""

BLOCKED_AFTER = 0.2
"""Seconds after which a loop that has not seen a signal counts as blocked."""


def run(
    app: Ziggurat,
    host: str,
    port: int,
    *,
    io_threads: int | None,
    log_level: str | None,
    settings: Mapping[str, Any],
    on_started: Callable[[Started], None] | None,
    slow_callback_duration: float,
    stuck_timeout: float,
) -> None:
    """Serves `app` until a signal comes. `SystemExit` when it ended since something held the loop."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run() needs the main thread, which gets the signals; elsewhere call start()")
    fused = set_up_threads(io_threads)
    set_up_logging(app, log_level)
    app.build()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        limits = (slow_callback_duration, stuck_timeout)
        has_failed = runner.run(_serve(app, host, port, settings, on_started, fused=fused, limits=limits))
    if has_failed:
        raise SystemExit(1)


async def _serve(
    app: Ziggurat,
    host: str,
    port: int,
    settings: Mapping[str, Any],
    on_started: Callable[[Started], None] | None,
    *,
    fused: bool,
    limits: tuple[float, float],
) -> bool:
    """Gives whether it ended since something held the loop."""
    native = app.build()
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    # Not the loop's own executor: handlers may have filled that one.
    waiting = ThreadPoolExecutor(1, "ziggurat-drain")
    drain = _Drain(native, waiting)
    watch: Watch | None = None
    hurried = False
    unseen_since: float | None = None
    ends_at: float | None = None

    def stop() -> None:
        nonlocal hurried, unseen_since
        unseen_since = None
        if stopping.is_set():
            hurried = True
            native.hurry()
        stopping.set()

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal unseen_since, ends_at
        now = time.monotonic()
        if ends_at is None:
            ends_at = now + settings["drain_timeout"]
        if watch is not None:
            watch.stop_within(settings["drain_timeout"])
        loop.call_soon_threadsafe(stop)
        if watch is not None and watch.ending is not None:
            raise SystemExit(watch.ending)
        if unseen_since is None:
            unseen_since = now
        elif now - unseen_since > BLOCKED_AFTER:
            # The loop has not come round since the last signal: a handler holds it. This ends the handler, not the loop.
            raise SystemExit("stopped by a second signal, since it held the event loop")

    before = {}
    for number in _stop_signals():
        # Beside the loop, not on it: this runs in the midst of a handler that never gives the loop back.
        before[number] = signal.signal(number, on_signal)
        signal.siginterrupt(number, False)
    native.set_loop(loop, fused=fused)
    inner = mounted_apps(app)
    for mounted in inner:
        mounted.set_loop(loop)
    try:
        async with lifecycle(app):
            try:
                address = native.listen(host, port, json.dumps(settings))
                warn_after, end_after = limits
                watch = Watch(
                    app, loop, warn_after=warn_after, end_after=end_after, stop=stopping.set, drain=drain.begin
                )
                started = Started(address[0], address[1], native.store(), app.routes)
                for route in started.natives_entering_python:
                    logger.warning(
                        "%s %s (%s) is native, but enters Python for a middleware",
                        route.method or "*",
                        route.path,
                        route.name,
                    )
                if on_started is None and logs_json(app):
                    on_started = _tell
                if on_started is not None:
                    for route in started.natives_with_hooks:
                        hooks = ", ".join(route.hooks)
                        logger.info("%s %s (%s) enters Python for %s", route.method, route.path, route.name, hooks)
                if on_started is None:
                    say(banner(app, started, sys.stderr), sys.stderr)
                else:
                    if app._open_writes:
                        logger.warning("%s", open_writes(app))
                    on_started(started)
                await stopping.wait()
            finally:
                # It waits for requests in flight, which need this thread.
                await asyncio.wrap_future(drain.begin())
                await _settle((native, *inner), waiting, settings["drain_timeout"], lambda: hurried)
    finally:
        for each in (native, *inner):
            each.set_loop(None)
            await loop.run_in_executor(waiting, each.flush)
            await loop.run_in_executor(waiting, each.close)
        waiting.shutdown()
        left = 0.0 if ends_at is None else ends_at - time.monotonic()
        await end_tasks(max(left, AT_LEAST), lambda: hurried)
        if watch is not None:
            watch.end()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    return watch is not None and watch.has_failed


def _stop_signals() -> list[int]:
    """The signals that end it. A terminal that is closed does not cut requests off, unless somebody has decided otherwise, as `nohup`."""
    stops: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup: int | None = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        stops.append(hangup)
    return stops


class _Drain:
    """Lets requests in flight finish, once: begun by the loop, or by who sees that it is held and does not come to it."""

    def __init__(self, native: _ziggurat.App, threads: ThreadPoolExecutor) -> None:
        self._native = native
        self._threads = threads
        self._lock = threading.Lock()
        self._drained: Future[tuple[int, int]] | None = None

    def begin(self) -> Future[tuple[int, int]]:
        with self._lock:
            if self._drained is None:
                self._drained = self._threads.submit(self._native.drain)
            return self._drained


def mounted_apps(app: Ziggurat) -> list[_ziggurat.App]:
    """The apps that are mounted in it, and in those."""
    from .app import Ziggurat

    inner = [mount.app for mount in app.mount_specs if isinstance(mount.app, Ziggurat)]
    return [native for each in inner for native in (each.build(), *mounted_apps(each))]


async def _settle(
    apps: Sequence[_ziggurat.App], waiting: ThreadPoolExecutor, seconds: float, is_hurried: Callable[[], bool]
) -> None:
    """Waits for the hooks and background tasks of requests that were answered."""
    loop = asyncio.get_running_loop()
    end = time.monotonic() + seconds
    left = 0
    for app in apps:
        still = await loop.run_in_executor(waiting, app.settle, 0.0)
        while still and time.monotonic() < end and not is_hurried():
            still = await loop.run_in_executor(waiting, app.settle, 0.1)
        left += still
    if left:
        logger.warning(
            "%d hooks, background tasks and WebSockets of requests that were answered did not end in time", left
        )


class InProcess:
    """PyLoop on a thread of its own."""

    def __init__(self, app: Ziggurat, *, fused: bool, slow_callback_duration: float) -> None:
        self._app = app
        self._native = app.build()
        self._fused = fused
        self._warn_after = slow_callback_duration
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="ziggurat-loop", daemon=True)

    @classmethod
    def start(cls, app: Ziggurat, io_threads: int | None, slow_callback_duration: float) -> InProcess:
        """Returns once the start-up hooks have run."""
        self = cls(app, fused=set_up_threads(io_threads), slow_callback_duration=slow_callback_duration)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """PyLoop, while it runs."""
        return self._loop

    def stop(self) -> None:
        """Returns once the shutdown hooks have run."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        native = self._native
        native.set_loop(self._loop, fused=self._fused)
        inner = mounted_apps(self._app)
        for mounted in inner:
            mounted.set_loop(self._loop)
        try:
            async with lifecycle(self._app):
                watch = Watch(self._app, loop, warn_after=self._warn_after) if self._warn_after else None
                self._ready.set()
                try:
                    await self._stopping.wait()
                finally:
                    if watch is not None:
                        watch.end()
                    # Not the loop's own executor: handlers may have filled that one.
                    with ThreadPoolExecutor(1, "ziggurat-settle") as waiting:
                        await _settle((native, *inner), waiting, SETTLES, lambda: False)
                        for each in (native, *inner):
                            await loop.run_in_executor(waiting, each.flush)
        finally:
            for each in (native, *inner):
                each.set_loop(None)
            await end_tasks(SETTLES, lambda: False)


def _tell(started: Started) -> None:
    """In place of the banner, where each line of the log is to be an object."""
    logger.info("%s", started)


def set_up_threads(io_threads: int | None) -> bool:
    """Sets the number of I/O threads where one is wanted; gives whether the loop's thread serves."""
    if io_threads is None:
        return False
    if isinstance(io_threads, bool) or not isinstance(io_threads, int) or not 0 <= io_threads <= MAX_IO_THREADS:
        raise ConfigError(
            f"io_threads is {io_threads!r}",
            cure=f"give a number from 0, which serves on the thread of the event loop, to {MAX_IO_THREADS}",
        )
    set_io_threads(io_threads)
    return io_threads == 0


def set_up_logging(app: Ziggurat, level: str | None) -> None:
    """Sends Python's `ziggurat` logger and the native log to standard error, unless the app has set up logging itself."""
    from . import _ziggurat

    as_json = logs_json(app)
    _ziggurat.init_log(level or "info", "json" if as_json else "text")
    if level is not None:
        logger.setLevel(getattr(logging, level.upper(), logging.INFO))
    if not logging.getLogger().handlers and not logger.handlers:
        handler = logging.StreamHandler()
        text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        handler.setFormatter(JsonFormatter() if as_json else text)
        logger.addHandler(handler)
        if level is None:
            logger.setLevel(logging.INFO)
