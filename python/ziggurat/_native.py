"""What the classes with a native half have in common.

Each is a class of the interpreter whose hot paths are in Rust. What the base class keeps in attributes and both halves need is kept in the
native half, and shown under the names that the base class uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["NativeHalf", "native"]


def native(name: str) -> Any:
    """An attribute of the base class that lives in the native half."""
    return property(lambda self: getattr(self._core, name), lambda self, value: setattr(self._core, name, value))


class NativeHalf:
    """What all transports with a native half have in common, to come before their base classes."""

    if TYPE_CHECKING:
        # Of the base classes.
        _core: Any
        _fatal_error: Any
        _loop: Any
        _protocol: Any

    def _let_go(self) -> None:
        self._core.release()

    def _fatal_native_error(self, exc: BaseException, message: str) -> None:
        # The base class logs the exception that is being handled.
        try:
            raise exc
        except BaseException:
            self._fatal_error(exc, message)

    def _report_callback_error(self, exc: BaseException) -> None:
        # The protocol is called in the turn itself; the base class does so in a handle, which would tell it in these words.
        self._loop.call_exception_handler(
            {
                "message": f"Exception in callback {type(self).__name__}._read_ready()",
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        # The base class tells the protocol and closes the descriptor.
        self._let_go()
        super()._call_connection_lost(exc)  # type: ignore[misc]
