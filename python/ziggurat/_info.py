"""What is known of an app once it is built, and once it listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["RouteInfo", "StackInfo", "Started"]


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """One line of the route table."""

    method: str | None
    path: str
    name: str
    kind: Literal["native", "crud", "python"]
    location: str
    stack: tuple[str, ...]
    """Everything that a request passes, outermost first, the leaf last."""
    enters_python: bool
    middleware: tuple[str, ...]
    """The Python middleware that may wrap it."""
    hooks: tuple[str, ...]
    """The hooks that it calls."""


@dataclass(frozen=True, slots=True)
class StackInfo:
    """What a request passes, outermost first."""

    method: str | None
    passes: tuple[str, ...]
    enters_python: tuple[str, ...]
    """Those of `passes` that are written in Python."""

    def __str__(self) -> str:
        marked = (f"{name} [Python]" if name in self.enters_python else name for name in self.passes)
        return f"{self.method or '*'}: " + " > ".join(marked)


@dataclass(frozen=True, slots=True)
class Started:
    """What is known once an app listens."""

    host: str
    port: int
    store: str | None
    routes: list[RouteInfo] = field(repr=False)

    @property
    def python_routes(self) -> int:
        """How many routes are answered by Python handlers."""
        return sum(route.kind == "python" for route in self.routes)

    @property
    def native_routes(self) -> int:
        """How many routes are answered natively."""
        return len(self.routes) - self.python_routes

    @property
    def natives_entering_python(self) -> list[RouteInfo]:
        """The native routes that a Python middleware wraps."""
        return [route for route in self.routes if route.kind != "python" and route.middleware]

    @property
    def natives_with_hooks(self) -> list[RouteInfo]:
        """The native routes that call hooks in Python."""
        return [route for route in self.routes if route.hooks]

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __str__(self) -> str:
        store = f", store {self.store}" if self.store else ""
        return f"listening on {self.url} ({self.native_routes} native and {self.python_routes} Python routes{store})"
