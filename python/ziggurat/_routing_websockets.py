"""How handlers of WebSockets are registered: `@app.websocket("/chat")`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from ._location import user_location
from ._param_depends import checked
from ._routing_registry import Registry
from ._specs import PUBLIC, Pending, RouteSpec, guards_of, layers_of, path_of, scopes_of, skips_of
from ._websocket_routes import WebSocketOptions, plan_of, settings_of, spec_of

__all__ = ["WebSocketRoutes"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


class WebSocketRoutes(Registry):
    """Registers functions as the handlers of WebSockets."""

    def websocket(self, path: str, **options: Unpack[WebSocketOptions]) -> Callable[[Handler], Handler]:
        """Registers the decorated coroutine function as the handler of WebSockets at `path`, and gives it back unchanged.

        It takes the socket by a parameter annotated `WebSocket`, and others as any handler does: from path, query, headers and
        cookies, and from dependencies. Routes of other methods may stand at the same path. See `WebSocketOptions` for what else may be given.
        """
        location = user_location()
        localns = sys._getframe(1).f_locals
        path = path_of(path, "websocket", location)
        self._refuse_when_built(f"the route {path}", location)
        given: dict[str, Any] = dict(options)
        auth = given.pop("auth", False)
        scopes = scopes_of(auth, path, location)
        around = layers_of(given.pop("layers", ()), path, location)
        skipped = skips_of(given.pop("skip_layers", ()), path, location)
        asks = guards_of(given.pop("guards", ()), auth, path, location)
        before = checked(given.pop("dependencies", ()), path, location)
        name = given.pop("name", None)
        settings = settings_of(path, given, location)

        def specs(function: Callable[..., Any], prefix: str, path: str) -> list[RouteSpec]:
            plan = plan_of(function, prefix, path, localns, before, self._known, location)
            return [
                spec_of(
                    plan,
                    prefix + path,
                    settings,
                    auth=scopes,
                    guards=asks,
                    public=auth is PUBLIC,
                    name=name,
                    layers=around,
                    skip_layers=skipped,
                    location=location,
                )
            ]

        unused = self._awaits(f"@app.websocket({path!r}) above a function", location)

        def decorator(function: Handler) -> Handler:
            self._used(unused)
            self._add_handler(Pending(path, lambda *whole: specs(function, *whole)))
            return function

        return decorator
