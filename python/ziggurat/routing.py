"""How an app declares what it serves: routes, CRUD resources and middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._routing_crud import CrudRoutes
from ._routing_handlers import HandlerRoutes
from ._routing_mounts import MountedRoutes
from ._routing_websockets import WebSocketRoutes
from ._routing_wrapping import WrappedRoutes
from ._specs import CORE, PUBLIC, CrudSpec, NativeSpec, Op, RouteOptions, RouteSpec
from ._websocket_routes import WebSocketOptions

__all__ = [
    "CORE",
    "PUBLIC",
    "CrudSpec",
    "NativeSpec",
    "Op",
    "RouteOptions",
    "RouteSpec",
    "Routes",
    "WebSocketOptions",
]


class Routes(HandlerRoutes, WebSocketRoutes, CrudRoutes, MountedRoutes, WrappedRoutes):
    """Collects what an app serves, until the app is built."""


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> Any:
        from ._elsewhere import unknown

        raise unknown(__name__, name)
