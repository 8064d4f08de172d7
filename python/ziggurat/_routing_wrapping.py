"""How what stands around handlers is registered: `@app.middleware` and `@app.exception_handler(KeyError)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from ._layer_python import Middleware
from ._location import user_location
from ._routing_registry import Registry

__all__ = ["WrappedRoutes"]

MiddlewareT = TypeVar("MiddlewareT", bound=Callable[..., Any])
CatchT = TypeVar("CatchT", bound=Callable[[Any, Any], Any])


class WrappedRoutes(Registry):
    """Wraps routes in middleware, and has what their handlers raise answered."""

    @overload
    def middleware(self, function: MiddlewareT, *, paths: Iterable[str] | None = None) -> MiddlewareT: ...
    @overload
    def middleware(
        self, function: None = None, *, paths: Iterable[str] | None = None
    ) -> Callable[[MiddlewareT], MiddlewareT]: ...
    def middleware(
        self, function: MiddlewareT | None = None, *, paths: Iterable[str] | None = None
    ) -> MiddlewareT | Callable[[MiddlewareT], MiddlewareT]:
        """Wraps routes in `async def function(request, call_next) -> Response`.

        It wraps every route, native ones too, unless `paths` names some: `/login` is that path, `/admin/*` is `/admin` and
        everything under it. Middleware registered first is outermost, and all of it stands inside the layers; one that is to stand
        elsewhere is given in `layers=`. Instead of a function it may be an object with `async def __call__(self, request, call_next)`,
        or the class of one that is made without arguments.
        """
        location = user_location()
        self._refuse_when_built("a middleware", location)
        unused = self._awaits("@app.middleware(...) above a function", location)

        def decorator(middleware: MiddlewareT) -> MiddlewareT:
            self._used(unused)
            self._add_middleware(Middleware(middleware, paths=paths))
            return middleware

        return decorator if function is None else decorator(function)

    def _add_middleware(self, middleware: Middleware) -> None:
        """An app's stands inside its layers, a router's around its routes; each says so itself."""
        raise NotImplementedError

    def exception_handler(self, kind: type[Exception] | int) -> Callable[[CatchT], CatchT]:
        """Has the decorated function answer where a handler of these routes raises an exception of this class, and gives it back unchanged.

        It is `async def` or `def`, takes the request and the exception, and answers as a handler of a route does; what is no `Response` gets
        the status of the exception, or 500. The one for the nearest class is asked, and those of a router before those of the app.

        A status, as 404, stands for any `HTTPException` with it. That one, and `HTTPException` itself, are asked for what Rust answers, too: 404 and 405
        where there is no route (of the app's handlers), 422 as `RequestValidationError`, what guards and native routes refuse. A handler of
        `Exception`, or of 500, is asked where nobody expected the exception, which is logged as well.

        It stands inside of all middleware, which sees its answer.
        """
        location = user_location()
        self._refuse_when_built("a handler of exceptions", location)
        # At once, so that it is told of where the parentheses were left out.
        from ._catches import check_kind

        check_kind(kind, location)
        unused = self._awaits("@app.exception_handler(...) above a function", location)

        def decorator(function: CatchT) -> CatchT:
            self._used(unused)
            self._catch(kind, function, location)
            return function

        return decorator

    def _catch(self, kind: object, function: object, location: str) -> None:
        from ._catches import add

        add(self._catches, kind, function, location)
