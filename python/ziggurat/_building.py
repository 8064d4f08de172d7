"""How an app is put together, once: what it declares is checked and handed to the native side, which freezes it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _ziggurat
from ._layer import Layer
from ._layer_python import Middleware
from ._specs import CrudSpec, MountSpec, NativeSpec, RouteSpec
from ._websocket_routes import WEBSOCKET
from .exceptions import ConfigError

if TYPE_CHECKING:
    from ._catches import Scope
    from ._specs import Op
    from .app import Ziggurat
    from .hooks import Hooks

__all__ = ["Building"]

_WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE", WEBSOCKET))


class Building:
    """One app on its way to the native side."""

    def __init__(self, app: Ziggurat) -> None:
        self.app = app
        settings: dict[str, object] = {
            "store": app._store,
            "migrate": app.migrate,
            "target": app._target,
            "location": app._location,
            "debug": app._debug,
            "forms": app.forms.to_native(),
        }
        if app._sync_threads is not None:
            settings["sync_threads"] = app._sync_threads
        self.native = _ziggurat.App(json.dumps(settings))
        self._made: dict[int, tuple[int, Layer]] = {}
        self._catchers: dict[tuple[int, ...], int | None] = {}

    def build(self) -> _ziggurat.App:
        """Checks all of it, opens the store and puts the stack together."""
        app, native = self.app, self.native
        layers = [*app.layers, *app._middleware]
        if layers:
            _warn_of_cache(layers)
            _check_body_limits(layers, app.route_specs)
        around_all = [
            self.made(layer, app._location) if isinstance(layer, Middleware) else layer.to_spec() for layer in layers
        ]
        native.use_layers(json.dumps(around_all))
        app._handlers.clear()
        for route in app.route_specs:
            self._add_handler(route)
        for native_route in app.native_specs:
            declared = self._declared(native_route) | {"catch": self._caught(native_route.catches)}
            native.add_native(native_route.method, native_route.path, native_route.service, json.dumps(declared))
        for mount in app.mount_specs:
            self._mount(mount)
        for crud in app.crud_specs:
            self._add_crud(crud)
        refusals = self._caught((app._catches,))
        if refusals is not None:
            native.catch_refusals(refusals)
        for model, kept in app._kept.items():
            native.keep(app._describe(model, shard_key=kept.shard_key), kept.location)
        app._open_writes = self._find_open_writes()
        _check_operations(app, native)
        app._pages.add(self)
        native.build(app)
        of_app, of_routes = native.handles()
        made = [layer for _, layer in self._made.values()]
        for layer, handle in zip([*layers, *made], [*of_app, *of_routes], strict=True):
            if handle is not None:
                app._handles.append(handle)
                layer._bind(handle)
        for model in app.models():
            rows = native.rows(model.__name__)
            if rows is not None:
                from .models import bind

                bind(model, rows)
        return native

    def _add_handler(self, route: RouteSpec) -> None:
        app = self.app
        catch = self._caught(route.catches)
        app._handlers.places.append(catch)
        plan, objects = app._handlers.native_plan(route, catch)
        around = [self.made(layer, route.location) for layer in route.layers]
        function, skips = app.compiled(route).function, list(route.skip_layers)
        if route.websocket is None:
            self.native.add_handler(route.method, route.path, plan, function, objects, around, skips)
        else:
            self.native.add_websocket(route.path, plan, function, objects, route.websocket, around, skips)

    def _mount(self, mount: MountSpec) -> None:
        from .app import Ziggurat

        declared = json.dumps(self._declared(mount))
        if isinstance(mount.app, Ziggurat):
            self.native.add_app(mount.path, mount.name, mount.app.build(), declared)
        else:
            self.native.add_asgi(mount.path, mount.name, mount.app, mount.state, declared, mount.sockets)

    def _declared(self, route: NativeSpec | MountSpec) -> dict[str, Any]:
        return {
            "auth": self.app.asked(route),
            "layers": [self.made(layer, route.location) for layer in route.layers],
            "skip_layers": route.skip_layers,
            "location": route.location,
        }

    def _add_crud(self, crud: CrudSpec) -> None:
        app = self.app
        options = {
            "path": crud.path,
            "ops": crud.ops,
            "auth": {op: app.asked_of(crud, op) for op in crud.ops},
            "public": crud.public,
            "policy": None if crud.policy is None else crud.policy.to_spec(),
            "client_id": crud.client_id,
            "default_limit": crud.default_limit,
            "max_limit": crud.max_limit,
            "body_limit": crud.body_limit,
            "import_limit": crud.import_limit,
            "max_affected": crud.max_affected,
            "gone": crud.gone,
            "unindexed": crud.unindexed,
            "filterable": crud.filterable,
            "sortable": crud.sortable,
            "expandable": crud.expandable,
            "dimensions": crud.dimensions,
            "read_from": crud.read_from,
            "measures": crud.measures,
            "offset": crud.offset,
            "envelope": crud.envelope,
            "cache": crud.cache,
            "upsert": crud.upsert,
            "bulk": crud.bulk,
            "idempotency": crud.idempotency,
            "concurrency": crud.concurrency,
            "coerce": crud.coerce,
            "errors": crud.errors,
            "location": crud.location,
            "layers": [self.made(layer, crud.location) for layer in crud.layers],
            "skip_layers": crud.skip_layers,
            "closed": asks_everybody(self.app, crud),
            "hooks_of": "" if crud.hooks is None else crud.hooks.name,
            "hooks": [] if crud.hooks is None else crud.hooks.names,
            "hook_plans": {} if crud.hooks is None else self._hook_plans(crud, crud.hooks),
            "catch": self._caught(crud.catches),
        }
        lax = crud.coerce == "pydantic"
        description = app._describe(crud.model, lax=lax, search=crud.search, shard_key=crud.shard_key)
        self.native.add_crud(description, json.dumps(options), crud.hooks)

    def _hook_plans(self, crud: CrudSpec, hooks: Hooks) -> dict[str, int]:
        """The places of what hooks take beside the context and the row, for those that take more."""
        app = self.app
        places: dict[str, int] = {}
        for name, plan in hooks.plans.items():
            made = plan.compile(app.dependency_overrides, app.state)
            if made.wants_claims:
                from ._hook_plans import callers

                self._ask_who_calls(crud, plan.name, callers(name, crud.ops, upsert=crud.upsert))
            places[name] = self.native.add_hook(*made.to_native(), made.function)
            app._handlers.hook_places.append((places[name], plan))
        return places

    def _ask_who_calls(self, crud: CrudSpec, hook: str, ops: list[Op]) -> None:
        """Refuses that a hook takes the claims of a caller who need not be known."""
        for op in ops:
            if self.app.asked_of(crud, op) is None and not asks_everybody(self.app, crud):
                raise ConfigError(
                    f"{hook} takes Claims, which are of a caller who is known, and {op} of {crud.model.__name__} asks for nobody",
                    cure=f'write Claims | None, or auth={{"{op}": True}}',
                    location=crud.location,
                )

    def made(self, layer: Layer, location: str) -> int:
        """The place of a layer of routes; those that have the same object share what it keeps."""
        if id(layer) not in self._made and isinstance(layer, Middleware):
            paths = None if layer.paths is None else list(layer.paths)
            place = self.native.add_middleware(layer.function, layer.name, paths, layer.location)
            self._made[id(layer)] = place, layer
        elif id(layer) not in self._made:
            self._made[id(layer)] = self.native.add_layer(json.dumps(layer.to_spec()), location), layer
        return self._made[id(layer)][0]

    def _caught(self, scopes: tuple[Scope, ...]) -> int | None:
        """The place of these handlers of exceptions; routes that have the same share it."""
        key = tuple(id(scope) for scope in scopes if scope)
        if key and key not in self._catchers:
            from ._catches import Catcher

            catcher = Catcher(scopes)
            self._catchers[key] = self.native.add_catcher(catcher, catcher.statuses)
        return self._catchers.get(key)

    def _find_open_writes(self) -> list[str]:
        """The native writes that ask for nobody; with `strict`, handlers and what is mounted count too and none may be left."""
        app = self.app
        found = [f"{method} {path}" for method, path in self.native.open_writes()]
        if app._strict:
            declared: list[RouteSpec | NativeSpec] = [*app.route_specs, *app.native_specs]
            found += [f"{route.method or '*'} {route.path}" for route in declared if self._is_open(route)]
            # An app that is strict itself has been asked already.
            mounts = [mount for mount in app.mount_specs if not getattr(mount.app, "_strict", False)]
            found += [f"* {mount.path or '/'}" for mount in mounts if self._is_open(mount)]
            if found:
                raise ConfigError(
                    f"the app is strict, and everybody may write through {', '.join(found)}",
                    cure="give them auth=True, scopes, or auth=PUBLIC where it is meant",
                    location=app._location,
                )
        return found

    def _is_open(self, route: RouteSpec | NativeSpec | MountSpec) -> bool:
        """Whether it asks for nobody, does not say that this is meant, and may write."""
        if route.public or self.app.asked(route) is not None or asks_everybody(self.app, route):
            return False
        return isinstance(route, MountSpec) or route.method is None or route.method in _WRITES


def asks_everybody(app: Ziggurat, route: RouteSpec | CrudSpec | NativeSpec | MountSpec) -> bool:
    """Whether a layer refuses requests to a route that carry no token."""
    around = [layer for layer in app.layers if type(layer).__name__ not in route.skip_layers]
    around += route.layers
    if not around:
        return False
    # An app that has no layers of its own loads none.
    from .layers import ApiKey, Basic, Jwt

    return any(isinstance(layer, ApiKey | Basic | Jwt) and layer.required for layer in around)


def _check_body_limits(layers: Sequence[Layer], routes: Sequence[RouteSpec]) -> None:
    """What the app says of a path, and what a route says itself."""
    from .layers import BodyLimit

    at = {path for layer in layers if isinstance(layer, BodyLimit) for path in layer.at}
    for route in routes:
        if route.max_body is not None and route.path in at:
            raise ConfigError(
                f"{route.method} {route.path}: max_body is given, and BodyLimit says something of {route.path} as well",
                cure="keep one of them",
                location=route.location,
            )


def _warn_of_cache(layers: Sequence[Layer]) -> None:
    """A middleware that checks callers does not, where an answer is kept outside of it."""
    from .layers import Cache

    first = next((place for place, layer in enumerate(layers) if isinstance(layer, Cache)), len(layers))
    inside = [layer for layer in layers[first:] if isinstance(layer, Middleware)]
    if inside:
        logging.getLogger("ziggurat").warning(
            "%s stands inside of Cache, and is not asked where an answer was kept (%s); if it decides who gets what, give it in layers= "
            "before Cache, or Cache to single routes",
            ", ".join(layer.name for layer in inside),
            inside[0].location,
        )


def _check_operations(app: Ziggurat, native: _ziggurat.App) -> None:
    """Has the names that were given to operations told apart at once; what else the document says is made when it is asked for."""
    if any(route.operation_id is not None and route.shown.include_in_schema for route in app.route_specs):
        from . import openapi

        openapi.check_operations(app, native)
