"""Layers written in Python."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._layer import Layer
from ._location import user_location

if TYPE_CHECKING:
    from .requests import Request
    from .responses import Response

    CallNext = Callable[[Request], Awaitable[Response]]
    MiddlewareFunction = Callable[[Request, CallNext], Awaitable[Response]]

_WRITE = "write async def audit(request, call_next)"


@dataclass(frozen=True)
class Middleware(Layer):
    """Wraps what is further in in `async def function(request, call_next) -> Response`.

    It stands in `layers=` of an app, a router or a route, at its place among the others; a plain function there is one as well. Each
    request that it wraps enters Python, also for native routes.
    """

    function: MiddlewareFunction
    """An async function, an object whose class has `async def __call__(self, request, call_next)`, or such a class, of which
    one object is made."""
    paths: Iterable[str] | None = field(default=None, kw_only=True)
    """The paths that it wraps, every one unless given: `/login` is that path, `/admin/*` is `/admin` and everything under it. For layers of
    an app."""
    location: str = field(default="", init=False, repr=False, compare=False)
    """Its `file:line`."""

    def __post_init__(self) -> None:
        from .params import describe_callable

        self._check_ours()
        if inspect.isclass(self.function):
            object.__setattr__(self, "function", self._made_of(self.function))
        if not callable(self.function):
            cure = "write @app.middleware without it" if isinstance(self.function, str) else _WRITE
            raise self._wrong(f"{self.function!r} is no function", cure)
        name, where, target = describe_callable(self.function)
        object.__setattr__(self, "location", where or user_location())
        object.__setattr__(self, "_name", name)
        if not inspect.iscoroutinefunction(target):
            of_class = "" if inspect.isroutine(self.function) else "of "
            cure = f"write async def {'__call__(self, ' if of_class else name + '('}request, call_next)"
            raise self._wrong(f"the middleware {name} is not an async function", cure)
        if self.paths is not None:
            object.__setattr__(self, "paths", self._checked(self.paths))

    def _check_ours(self) -> None:
        """Refuses what is made for ASGI or for another framework, which would be called with other arguments than it takes."""
        from ._elsewhere import is_elsewhere, written_here

        given: Any = self.function
        is_class = inspect.isclass(given)
        kind = given if is_class else type(given)
        if is_elsewhere(kind):
            told, cure = written_here(kind)
            raise self._wrong(f"the middleware {kind.__name__} is {told}", cure)
        if not callable(given):
            return
        name = getattr(given, "__qualname__", kind.__qualname__).rpartition("<locals>.")[2]
        called, args = (given.__call__, [None, None, None]) if is_class else (given, [None, None])
        try:
            signature = inspect.signature(called)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*args)
        except TypeError:
            raise self._wrong(
                f"the middleware {name} takes {signature}, and is given a request and call_next", _WRITE
            ) from None

    def _made_of(self, made: Any) -> Any:
        try:
            inspect.signature(made).bind()
        except TypeError as error:
            cure = f"make it yourself, as {made.__name__}(...), and give that"
            raise self._wrong(
                f"the middleware {made.__name__} cannot be made without arguments: {error}", cure
            ) from None
        return made()

    def _checked(self, paths: Iterable[str]) -> tuple[str, ...]:
        scope = (paths,) if isinstance(paths, str) else tuple(paths)
        if not scope:
            raise self._wrong("paths is empty, so the middleware wraps nothing", "leave it out, or name a path")
        for path in scope:
            if not path.startswith("/") or "*" in path.removesuffix("/*"):
                cure = 'write a path as "/login", or a prefix as "/admin/*"'
                raise self._wrong(f"a middleware cannot be scoped to {path!r}", cure)
        return scope

    @property
    def name(self) -> str:
        """As it stands in a printed stack: that of the function or of the class."""
        return str(self.__dict__["_name"])

    def to_spec(self) -> dict[str, Any]:
        """Nothing that could be written down: it is handed over as it is."""
        raise self._wrong("it is a function, which no description holds", "give it to an app")
