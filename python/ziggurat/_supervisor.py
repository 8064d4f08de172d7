"""Holds the listening socket and looks after the processes that serve on it: several of them, or one that follows the files."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from ._apology import Apology
from ._terminal import paint, say
from ._worker import VARIABLE
from .exceptions import ConfigError

__all__ = ["Supervisor", "listen"]

KILLED_AFTER = 3.0
"""Seconds that a process has beyond those for draining."""
HEALTHY_AFTER = 5.0
"""A process that served so long may be started anew at once."""


def listen(host: str, port: int, backlog: int, fd: int | None) -> socket.socket:
    """The socket that the processes share, which is open as long as this one lives."""
    if fd is not None:
        return _taken_over(fd)
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    for family, kind, protocol, _, address in found:
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(backlog)
            return listener
        except OSError as error:
            listener.close()
            failure = error
    words = failure.strerror if failure else "the host has no address"
    raise OSError(failure.errno if failure else 0, f"cannot listen on {host}:{port}: {words}") from None


def _taken_over(fd: int) -> socket.socket:
    try:
        own = os.dup(fd)
    except OSError as error:
        words = f"cannot be taken over: {error.strerror}"
    else:
        try:
            return socket.socket(fileno=own)
        except OSError:
            os.close(own)
            words = "is no socket"
    raise ConfigError(
        f"the descriptor {fd} {words}",
        cure="hand over a TCP socket that listens, as systemd and circus do, and give its number",
    )


class Process:
    """A process that serves, or waits to be told what."""

    def __init__(self, listener: socket.socket) -> None:
        orders, self._orders = os.pipe()
        self.told, told = os.pipe()
        self._rest = b""
        # It is talked to over two pipes. That for orders stays open as long as this process lives.
        ends = json.dumps({"orders": orders, "told": told})
        # It inherits that Ctrl-C waits, until it says what that does: in the midst of its first imports it would be a traceback.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, *subprocess._args_from_interpreter_flags(), "-m", "ziggurat._worker"],  # type: ignore[attr-defined]
                env={**os.environ, VARIABLE: ends},
                pass_fds=(orders, told, listener.fileno()),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            os.close(orders)
            os.close(told)
        self.started: float | None = None
        self.failed: str | None = None
        self.kill_at: float | None = None

    def order(self, plan: dict[str, Any]) -> None:
        """Tells it what to serve. One that has ended already is seen to have."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._orders, json.dumps(plan).encode() + b"\n")

    def listen_to(self) -> bool:
        """Reads what it has to say; False when it will say nothing more."""
        read = os.read(self.told, 65536)
        self._rest += read
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["is_"] == "started":
                self.started = time.monotonic()
            elif message["is_"] == "failed":
                self.failed = message["report"]
        return bool(read)

    def ask_to_end(self, within: float) -> None:
        """Asks it to finish what it has begun; asked again, it drops that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.kill_at is None:
            self.kill_at = time.monotonic() + within

    def is_over(self) -> bool:
        """Whether it has ended; one that takes too long is made to."""
        if self.process.poll() is not None:
            return True
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.process.kill()
            self.process.wait()
            return True
        return False

    def close(self) -> None:
        """Lets go of what belongs to it."""
        os.close(self._orders)
        os.close(self.told)


class Supervisor:
    """Runs processes until a signal ends it."""

    def __init__(
        self,
        listener: socket.socket,
        plan: dict[str, Any],
        *,
        workers: int = 1,
        reloading: bool = False,
        stream: TextIO | None = sys.stderr,
    ) -> None:
        self._listener = listener
        self._plan = {**plan, "run": {**plan["run"], "fd": listener.fileno()}}
        self._wanted = workers
        self._reloading = reloading
        self._stream = stream
        self._drain: float = plan["drain"]
        self._serving: list[Process] = []
        self._ending: list[Process] = []
        self._spare: Process | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._changed: list[str] = []
        self._began = time.monotonic()
        self._signals: list[int] = []
        self._code: int | None = None
        self._apology: Apology | None = None
        self._first = True
        self._replaced: list[Process] = []
        self._replaced_again = False
        self._again_at: float | None = None
        self._had_terminal = _has_terminal()
        self._ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def changed(self, paths: list[str]) -> None:
        """Files have changed; called on another thread."""
        self._changed += paths
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def run(self, watch: Callable[[], None] | None = None) -> int:
        """Serves; gives the exit code. `watch` begins to watch, once there is something to tell of changes."""
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        wakes_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        handled = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD]
        before = {number: signal.signal(number, self._on_signal) for number in handled}
        try:
            if watch is not None:
                watch()
            while len(self._serving) < self._wanted:
                self._start()
            while self._code is None or self._serving or self._ending:
                self._turn()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakes_before)
            self._end_all()
        return self._code

    def _on_signal(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._signals.append(number)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._time()):
            if key.fd == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._listen_to(key.data)
        while self._signals:
            self._signalled(self._signals.pop(0))
        for process in [each for each in self._ending if each.is_over()]:
            self._ending.remove(process)
            self._let_go(process)
        for process in [each for each in self._serving if each.is_over()]:
            self._lost(process)
        if self._spare is not None and self._spare.is_over():
            self._let_go(self._spare)
            self._spare = None
        if self._code is None:
            if self._changed:
                self._reload()
            if self._again_at is not None and time.monotonic() >= self._again_at:
                self._again_at = None
                while len(self._serving) < self._wanted:
                    self._start()

    def _time(self) -> float | None:
        ends = [process.kill_at for process in self._ending if process.kill_at is not None]
        if self._again_at is not None:
            ends.append(self._again_at)
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _new(self) -> Process:
        process = Process(self._listener)
        self._selector.register(process.told, selectors.EVENT_READ, process)
        return process

    def _start(self) -> Process:
        process, self._spare = self._spare or self._new(), None
        process.order({**self._plan, "reloading": self._reloading, "quiet": not self._first or bool(self._serving)})
        self._serving.append(process)
        return process

    def _listen_to(self, process: Process) -> None:
        was_started = process.started
        if not process.listen_to():
            # It has ended, or is about to.
            self._selector.unregister(process.told)
        if process.started is None or was_started is not None or self._code is not None:
            return
        if self._reloading:
            if not self._first:
                self._say(f"serving again after {process.started - self._began:.2f} s", "green")
            # The next one, with all loaded that does not change.
            if self._spare is None:
                self._spare = self._new()
        self._first = False
        if self._replaced:
            self._replaced.pop(0).ask_to_end(self._drain + KILLED_AFTER)
            self._roll()
            self._roll_again()

    def _lost(self, process: Process) -> None:
        """One that served has ended by itself."""
        # It may have said why.
        with contextlib.suppress(OSError, ValueError):
            os.set_blocking(process.told, False)
            process.listen_to()
        self._serving.remove(process)
        self._let_go(process)
        code = process.process.returncode
        if self._code is not None:
            return
        if self._replaced and process.started is None:
            self._say("the new worker did not start; those that serve go on", "red")
            self._serving += [each for each in self._ending if each.kill_at is None]
            self._ending = [each for each in self._ending if each.kill_at is not None]
            self._replaced = []
            self._roll_again()
            return
        self._replaced = [each for each in self._replaced if each is not process]
        if self._reloading:
            words = "the app did not start" if process.started is None else f"the app ended with {_ended(code)}"
            self._say(f"{words}; it is started again when a file changes", "yellow")
            self._apology = Apology(self._listener, process.failed or words)
            self._first = self._first and process.started is None
            self._spare = self._spare or self._new()
            return
        if process.started is None and self._first:
            # What fails from the beginning does not get better.
            self._code = code if code > 0 else 1
            for other in self._serving:
                other.ask_to_end(self._drain + KILLED_AFTER)
            return
        self._say(f"a worker ended with {_ended(code)}, and is replaced", "yellow")
        lived = 0.0 if process.started is None else time.monotonic() - process.started
        self._again_at = time.monotonic() + (0.0 if lived > HEALTHY_AFTER else 1.0)

    def _reload(self) -> None:
        paths, self._changed = sorted(set(self._changed)), []
        self._began = time.monotonic()
        shown = ", ".join(os.path.relpath(path) for path in paths[:3]) + (" and others" if len(paths) > 3 else "")
        self._say(f"{shown} changed", "blue")
        if self._apology is not None:
            self._apology.stop()
            self._apology = None
        for process in self._serving:
            process.ask_to_end(self._drain + KILLED_AFTER if process.started is not None else 0.2)
        self._ending += self._serving
        self._serving = []
        self._start()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and self._had_terminal and not _has_terminal():
            # It was not sent by somebody who wants a new start: the terminal was closed.
            if self._ignores_hangups:
                return
            number = signal.SIGTERM
        if number == signal.SIGHUP and self._code is None:
            if self._reloading:
                self._changed.append("SIGHUP")
            else:
                self._replaced_again = True
                self._roll_again()
            return
        if number in (signal.SIGINT, signal.SIGTERM):
            self._code = 0
            # Those on the same terminal were sent ^C as well, to which this is the second signal: what is left is dropped.
            for process in [*self._serving, *self._ending]:
                process.ask_to_end(self._drain + KILLED_AFTER)
            self._ending += self._serving
            self._serving = []

    def _roll_again(self) -> None:
        """Begins with the first, where that is wanted and not being done: of those that replace, too, some may have begun too early."""
        if self._replaced_again and not self._replaced:
            self._replaced_again = False
            self._say("workers are replaced one by one", "blue")
            self._replaced = list(self._serving)
            self._roll()

    def _roll(self) -> None:
        """Starts the one that takes the place of the next to be replaced."""
        if self._replaced:
            replaced = self._replaced[0]
            if replaced in self._serving:
                self._serving.remove(replaced)
                self._ending.append(replaced)
            self._start()

    def _let_go(self, process: Process) -> None:
        if process.told in self._selector.get_map():
            self._selector.unregister(process.told)
        process.close()

    def _end_all(self) -> None:
        if self._apology is not None:
            self._apology.stop()
        left = [*self._serving, *self._ending, *([self._spare] if self._spare else [])]
        for process in left:
            if process.process.poll() is None:
                process.process.kill()
        for process in left:
            process.process.wait()
            self._let_go(process)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _say(self, text: str, colour: str) -> None:
        say(f"{paint('ziggurat', colour, self._stream)}: {text}", self._stream)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _ended(code: int) -> str:
    try:
        return f"code {code}" if code >= 0 else signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
