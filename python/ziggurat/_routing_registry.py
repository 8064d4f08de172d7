"""What is registered, until the app is built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ._param_graph import Known
from .exceptions import ConfigError

if TYPE_CHECKING:
    from . import _catches
    from ._specs import CrudSpec, MountSpec, NativeSpec, Pending
    from .routers import Included

__all__ = ["Registry"]


class Registry:
    """Collects what an app serves, until the app is built."""

    def __init__(self) -> None:
        self._entries: list[Pending | CrudSpec | NativeSpec | MountSpec | Included] = []
        self._catches: dict[type[Exception] | int, _catches.Handler] = {}
        self._known = Known()
        self._unused: list[tuple[str, str]] = []
        """Decorators that have decorated nothing yet: what is written above what, and where."""

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> Any:
            from ._elsewhere import missing

            own = getattr(type(self), name, None)
            if isinstance(own, property):
                # It is there, and something within it is not: which is what is told.
                return own.fget(self)
            raise missing(self, name)

    def _awaits(self, written: str, location: str) -> tuple[str, str]:
        """Notes a decorator, until it decorates something: alone it registers nothing, which nobody would be told of."""
        self._unused.append((written, location))
        return self._unused[-1]

    def _used(self, noted: tuple[str, str]) -> None:
        # One may decorate several.
        with contextlib.suppress(ValueError):
            self._unused.remove(noted)

    def _check_all_used(self) -> None:
        for written, location in self._unused:
            raise ConfigError("a decorator decorates nothing", cure=f"write {written}", location=location)

    def _add_handler(self, handler: Pending) -> None:
        self._entries.append(handler)

    def _is_built(self) -> bool:
        """Whether it is too late to register; the application that builds the routes says so."""
        raise NotImplementedError

    def _refuse_when_built(self, what: str, location: str) -> None:
        if self._is_built():
            raise ConfigError(
                f"{what} was registered after the app was built",
                cure="register everything before run(), start(), routes and stack()",
                location=location,
            )
