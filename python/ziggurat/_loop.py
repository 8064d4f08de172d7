"""PyLoop, an asyncio event loop whose core is Rust and Tokio.

The loop of the standard library is the base class, and the native core comes before it: queue, timers, descriptors,
turns, the flow of bytes through streams, TLS, datagrams and pipes, and single operations on sockets are native, and everything
else (servers, the handshakes of TLS, executors, subprocesses, signal handlers) is the interpreter's own code.

    asyncio.Runner(loop_factory=ziggurat.new_event_loop)
    asyncio.run(main(), loop_factory=ziggurat.new_event_loop)   # Python 3.12 and later
"""

from __future__ import annotations

import asyncio
import functools
import os
import selectors
import signal
import sys
import warnings
import weakref
from asyncio import base_events, unix_events
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ziggurat import _ziggurat
from ziggurat._datagrams import DatagramTransport
from ziggurat._executors import Executors
from ziggurat._names import Names
from ziggurat._pipes import ReadPipeTransport, WritePipeTransport
from ziggurat._sockets import SocketCoroutines
from ziggurat._tls import TlsProtocol
from ziggurat._transports import StreamTransport

if TYPE_CHECKING:
    import socket

    from _typeshed import FileDescriptorLike

__all__ = ["PyLoop", "install", "new_event_loop"]


class _WatchedDescriptors(Mapping["FileDescriptorLike", selectors.SelectorKey]):
    """What `selector.get_map()` shows."""

    def __init__(self, selector: _CoreSelector) -> None:
        self._selector = selector

    def __getitem__(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._selector.get_key(fileobj)

    def __iter__(self) -> Iterator[FileDescriptorLike]:
        return iter(self._selector.watched())

    def __len__(self) -> int:
        return len(self._selector.watched())


class _CoreSelector(selectors.BaseSelector):
    """Stands where the base class expects a selector, and has no descriptors of its own.

    Code of the base class looks into it to tell whether a transport is being polled. The loop registers through
    `_add_reader` and its kin, which are native.
    """

    def __init__(self, loop: PyLoop) -> None:
        self._loop = weakref.ref(loop)

    def watched(self) -> list[int]:
        loop = self._loop()
        return [] if loop is None else loop._watched()

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        loop = self._loop()
        mask = None if loop is None else loop._watch_mask(fileobj)
        if mask is None:
            raise KeyError(f"{fileobj!r} is not registered")
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return selectors.SelectorKey(fileobj, fd, mask, None)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return _WatchedDescriptors(self)

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("use loop.add_reader() and loop.add_writer()")

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        raise RuntimeError("use loop.remove_reader() and loop.remove_writer()")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        raise RuntimeError("the loop waits in its native core")


@functools.cache
def _pidfd_works() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class PyLoop(_ziggurat.LoopCore, SocketCoroutines, Names, Executors, unix_events._UnixSelectorEventLoop):  # type: ignore[misc]
    """An asyncio event loop.

    `inbox_capacity` bounds the jobs that wait for the loop, and `in_flight_limit` the suspended coroutines of jobs, handlers of
    WebSockets aside, which last as long as their clients; what is above is refused. `park_in_tokio` makes the loop wait in its Tokio runtime even while nothing is spawned
    there, which it otherwise need not.
    """

    if TYPE_CHECKING:
        # What the base class stores, and its published types leave out.
        _csock: socket.socket
        _current_handle: asyncio.Handle | None
        _signal_handlers: dict[int, asyncio.Handle]
        _transports: Mapping[int, asyncio.BaseTransport]

    def __init__(
        self,
        *,
        inbox_capacity: int = 1000,
        in_flight_limit: int = 1000,
        park_in_tokio: bool = False,
    ) -> None:
        # The native core took these arguments when it was allocated.
        unix_events._UnixSelectorEventLoop.__init__(self, _CoreSelector(self))

    def set_debug(self, enabled: bool) -> None:
        """Has asyncio, and the native core, look more closely at what is done wrong."""
        self._set_core_debug(bool(enabled))
        super().set_debug(enabled)

    def set_task_factory(self, factory: Any) -> None:
        super().set_task_factory(factory)
        self._set_core_task_factory(factory is not None)

    def remove_signal_handler(self, sig: int) -> bool:
        removed = super().remove_signal_handler(sig)
        if removed and not self._signal_handlers and self.is_running():
            # The base class took the wake-up descriptor away with the last handler; the run still needs it.
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed

    if sys.version_info < (3, 12):
        # From 3.12 on the interpreter itself waits for children by their descriptors where no watcher was chosen; before, in a
        # thread for each.
        _children: unix_events.PidfdChildWatcher | None = None

        def _child_watcher(self) -> unix_events.PidfdChildWatcher | None:
            if type(asyncio.get_child_watcher()) is not unix_events.ThreadedChildWatcher or not _pidfd_works():
                return None
            if self._children is None:
                self._children = unix_events.PidfdChildWatcher()
                self._children.attach_loop(self)
            return self._children

        async def _make_subprocess_transport(
            self,
            protocol: Any,
            args: Any,
            shell: bool,
            stdin: Any,
            stdout: Any,
            stderr: Any,
            bufsize: int,
            extra: Any = None,
            **options: Any,
        ) -> Any:
            watcher = self._child_watcher()
            if watcher is None:
                return await super()._make_subprocess_transport(  # type: ignore[misc]
                    protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **options
                )
            connected = self.create_future()
            transport = unix_events._UnixSubprocessTransport(  # type: ignore[attr-defined]
                self, protocol, args, shell, stdin, stdout, stderr, bufsize, connected, extra, **options
            )
            watcher.add_child_handler(
                transport.get_pid(), lambda pid, returncode: transport._process_exited(returncode)
            )
            try:
                await connected
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException:
                transport.close()
                await transport._wait()
                raise
            return transport

    def close(self) -> None:
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        if sys.version_info < (3, 12) and self._children is not None:
            with warnings.catch_warnings():
                # Children that outlive the loop are nobody's fault.
                warnings.simplefilter("ignore", RuntimeWarning)
                self._children.close()
        super().close()
        self._close_core()

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        self._ensure_fd_no_transport(sock)  # type: ignore[attr-defined]
        return StreamTransport(self, sock, protocol, waiter, extra, server)

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        **timeouts: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)  # type: ignore[attr-defined]
        ssl_protocol = TlsProtocol(self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts)
        StreamTransport(self, rawsock, ssl_protocol, extra=extra, server=server)
        return ssl_protocol._app_transport

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        self._ensure_fd_no_transport(sock)  # type: ignore[attr-defined]
        if not DatagramTransport.can_own(sock):
            return super()._make_datagram_transport(sock, protocol, address, waiter, extra)  # type: ignore[misc]
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)

    def _note_handle(self, handle: asyncio.Handle, took: float) -> None:
        if took >= self.slow_callback_duration:
            name = base_events._format_handle(handle)  # type: ignore[attr-defined]
            base_events.logger.warning("Executing %s took %.3f seconds", name, took)  # type: ignore[attr-defined]

    def _note_io(self, fd: int, took: float) -> None:
        # A protocol that blocks does so in the turn itself, when its transport reads, and not in a handle.
        if took >= self.slow_callback_duration:
            transport = self._transports.get(fd)
            owner = f"descriptor {fd}" if transport is None else repr(transport)
            base_events.logger.warning("Executing the protocol of %s took %.3f seconds", owner, took)  # type: ignore[attr-defined]

    def _note_first_step(self, took: float) -> None:
        # A handler that blocks before it first awaits does so in the step that starts it, not in a handle.
        if took >= self.slow_callback_duration:
            base_events.logger.warning(  # type: ignore[attr-defined]
                "Executing the first step of a job took %.3f seconds", took
            )

    def _note_cancelled(self, task: asyncio.Task[Any]) -> None:
        from ._held import cancelled

        cancelled(self, task)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Makes a PyLoop; to be passed as `loop_factory`."""
    return PyLoop()


def install() -> None:
    """Makes PyLoop the loop that `asyncio.run()` and `asyncio.new_event_loop()` give.

    Policies are on their way out of asyncio. From Python 3.12 on pass `loop_factory=ziggurat.new_event_loop` to
    `asyncio.run()` or `asyncio.Runner` instead.
    """
    if sys.version_info >= (3, 12):
        warnings.warn(
            "ziggurat.install() is deprecated from Python 3.12 on: "
            "use asyncio.run(main(), loop_factory=ziggurat.new_event_loop)",
            DeprecationWarning,
            stacklevel=2,
        )

    class PyLoopPolicy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = PyLoop

    asyncio.set_event_loop_policy(PyLoopPolicy())
