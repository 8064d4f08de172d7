"""Apps within apps: `app.mount("/v2", other)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import _asgi
from ._info import RouteInfo, StackInfo
from ._specs import MountSpec
from ._websocket_routes import settings_of
from .exceptions import ConfigError

if TYPE_CHECKING:
    from ._routing_registry import Registry

__all__ = ["mounted"]


def mounted(
    routes: Registry, path: str, app: Any, name: str | None, sockets: dict[str, Any], location: str
) -> MountSpec:
    """What is to be mounted, once it is known to be something that can be."""
    from .app import Ziggurat

    if path and not path.startswith("/"):
        raise ConfigError(f"an app is mounted at {path!r}", cure=f'write "/{path}"', location=location)
    if "{" in path or "}" in path:
        raise ConfigError(
            f"an app is mounted at {path}, which has parameters",
            cure="mount it at a path without, and read them in the app",
            location=location,
        )
    if isinstance(app, Ziggurat):
        if app is routes or _holds(app, routes):
            raise ConfigError("an app is mounted in itself", cure="mount it in another", location=location)
        if sockets:
            raise ConfigError(
                f"{path}: {next(iter(sockets))} is of the WebSockets of an ASGI application",
                cure="give it to the routes of the app that is mounted, as @app.websocket(...)",
                location=location,
            )
    else:
        _asgi.refuse_others(app, path, location)
    return MountSpec(
        path=path.rstrip("/"),
        app=app,
        name=name or (app.title if isinstance(app, Ziggurat) else _asgi.name_of(app)),
        auth=None,
        guards=(),
        public=False,
        layers=(),
        skip_layers=(),
        location=location,
        state={},
        sockets=settings_of(path or "/", sockets, location),
    )


def _holds(app: Any, routes: Registry) -> bool:
    from .app import Ziggurat

    inner = [mount.app for mount in app.mount_specs if isinstance(mount.app, Ziggurat)]
    return any(one is routes or _holds(one, routes) for one in inner)


def _places(mount: MountSpec) -> tuple[str, ...]:
    """The templates under which the native table has it, that of everything below it last."""
    whole = f"{mount.path}/{{path:path}}"
    return (mount.path, f"{mount.path}/", whole) if mount.path else ("/", whole)


def _is_leaf_of(route: RouteInfo, mount: MountSpec) -> bool:
    return route.method is None and route.path in _places(mount) and route.location == mount.location


def with_mounted(routes: Sequence[RouteInfo], mounts: Sequence[MountSpec]) -> list[RouteInfo]:
    """The routes with those of the apps that are mounted, each application of another framework being one."""
    from .app import Ziggurat

    found: list[RouteInfo] = []
    for route in routes:
        mount = next((mount for mount in mounts if _is_leaf_of(route, mount)), None)
        if mount is None:
            found.append(route)
        elif route.path == _places(mount)[-1]:
            if isinstance(mount.app, Ziggurat):
                found += [_inside(inner, route, mount) for inner in mount.app.routes]
            else:
                found.append(route)
    return found


def _inside(inner: RouteInfo, outer: RouteInfo, mount: MountSpec) -> RouteInfo:
    return replace(
        inner,
        path=mount.path + inner.path,
        stack=(*outer.stack, *inner.stack),
        enters_python=inner.enters_python or outer.enters_python,
        middleware=(*outer.middleware, *inner.middleware),
    )


def stacks_within(stacks: Sequence[StackInfo], mounts: Sequence[MountSpec], path: str) -> list[StackInfo]:
    """The stacks at a concrete path, through the app that is mounted there if there is one."""
    from .app import Ziggurat

    found: list[StackInfo] = []
    for stack in stacks:
        mount = next(
            (
                mount
                for mount in sorted(mounts, key=lambda mount: -len(mount.path))
                if stack.method is None and (path == mount.path or path.startswith(mount.path + "/"))
            ),
            None,
        )
        if mount is None or not isinstance(mount.app, Ziggurat) or stack.passes[-1] != mount.name:
            found.append(stack)
            continue
        for inner in mount.app.stack(path.removeprefix(mount.path) or "/"):
            passes, python = (*stack.passes, *inner.passes), (*stack.enters_python, *inner.enters_python)
            found.append(StackInfo(inner.method, passes, python))
    return found
