"""Whether the app is alive and ready: the settings of `layers.HealthCheck`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from ._layer import Layer

if TYPE_CHECKING:
    from ._ziggurat import LayerHandle

# What was said last is what every app hears last, whichever thread builds it.
_SAYING = Lock()


@dataclass(frozen=True, kw_only=True)
class HealthCheck(Layer):
    """Answers load balancers that ask whether the app is alive, which it is from its start to its stop, and whether it is ready, which it
    is as long as `set_ready` says nothing else.

    Nothing further in sees these requests, neither checks of hosts and tokens nor limits: let it come first in the list.
    """

    paths: Sequence[str] = ("/healthz",)
    """The paths that are answered to GET and HEAD as long as there are answers at all. No route may have one of them."""
    ready_paths: Sequence[str] = ("/readyz",)
    """The paths that are a 200 while the app is ready, and a 503 while it is not. No route may have one of them."""

    def __post_init__(self) -> None:
        self._freeze("paths")
        self._freeze("ready_paths")
        if not self.paths and not self.ready_paths:
            raise self._wrong("there is no path", "name at least one, or leave the layer out")
        for path in (*self.paths, *self.ready_paths):
            if not path.startswith("/") or set(path) & set("?#{}"):
                raise self._wrong(
                    f"{path!r} is no path", "begin it with a slash and write it without parameters, as /healthz"
                )
        for path in self.ready_paths:
            if path in self.paths:
                cure = "leave it out of one: paths tell that the app is alive, ready_paths that requests should come"
                raise self._wrong(f"{path!r} is among paths and ready_paths", cure)

    @property
    def ready(self) -> bool:
        """What `set_ready` said last; an app is ready when it said nothing."""
        return self._said[0]

    def set_ready(self, ready: bool, *, reason: str | None = None) -> None:
        """Says whether requests should come, from any thread and at any time: also before an app is built with this object, which begins so
        then. It is for all apps of this process that are built with it; each process, as those of `workers`, says it for itself.

        `reason` is why not, as `"warming up"`. Everybody who asks is told.
        """
        if not isinstance(ready, bool):
            raise TypeError(f"layers.HealthCheck: ready must be a bool, not {type(ready).__name__}")
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"layers.HealthCheck: reason must be a string, not {type(reason).__name__}")
        if ready and reason is not None:
            raise ValueError("layers.HealthCheck: reason says why the app is not ready; leave it out with True")
        with _SAYING:
            self.__dict__["_readiness"] = ready, reason
            for handle in self._living():
                handle.set_ready(ready, reason)

    @property
    def _said(self) -> tuple[bool, str | None]:
        said: tuple[bool, str | None] = self.__dict__.get("_readiness", (True, None))
        return said

    def _bind(self, handle: LayerHandle) -> None:
        with _SAYING:
            super()._bind(handle)
            handle.set_ready(*self._said)
