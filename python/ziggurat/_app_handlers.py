"""The handlers of an app with all that they depend on, and what stands in for that in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._param_depends import Dependency
from ._specs import RouteSpec
from .exceptions import ConfigError
from .params import Compiled

if TYPE_CHECKING:
    from ._hook_plans import HookPlan
    from .app import Ziggurat

__all__ = ["AppHandlers"]


class AppHandlers:
    """Compiles the handlers of one app, and again once something stands in for what they depend on."""

    def __init__(self, app: Ziggurat, dependencies: tuple[Dependency, ...]) -> None:
        self._app = app
        self._dependencies = dependencies
        """What is called before each handler."""
        self._compiled: dict[tuple[int, tuple[Dependency, ...]], Compiled] = {}
        self._declared: dict[tuple[int, tuple[Dependency, ...]], Compiled] = {}
        """What nothing stands in for."""
        self.places: list[int | None] = []
        """Where the handlers of exceptions of each handler are."""
        self.hook_places: list[tuple[int, HookPlan]] = []
        """Where what hooks take stands among the handlers."""

    def clear(self) -> None:
        """Forgets what was compiled, and where it stands."""
        self._compiled.clear()
        self._declared.clear()
        self.places.clear()
        self.hook_places.clear()

    def compiled(self, route: RouteSpec) -> Compiled:
        """The handler of a route with all that it depends on."""
        how = (id(route.plan), route.dependencies)
        if how not in self._compiled:
            before = (*self._dependencies, *route.dependencies)
            self._compiled[how] = route.plan.compile(before, self._app.dependency_overrides, self._app.state)
        return self._compiled[how]

    def declared(self, route: RouteSpec) -> Compiled:
        """The same with nothing that stands in: what a route asks of its caller is settled when the app is built."""
        if not self._app.dependency_overrides:
            return self.compiled(route)
        how = (id(route.plan), route.dependencies)
        if how not in self._declared:
            self._declared[how] = route.plan.compile((*self._dependencies, *route.dependencies), {}, self._app.state)
        return self._declared[how]

    def native_plan(self, route: RouteSpec, catch: int | None) -> tuple[str, list[object]]:
        """What the native side is told of the handler of a route, and the objects that are meant; `catch` is the place of its handlers of
        exceptions."""
        app = self._app
        made, asked = self.compiled(route), app.asked(route)
        if made.wants_claims and asked is None:
            self._check_caller_is_known(route)
        guards = route.guards if route.public else (*app.guards, *route.guards)
        return made.to_native(
            name=route.name,
            status=route.status,
            auth=asked,
            asks_for_claims=route.auth is None and not guards,
            errors=app.errors_of(route),
            catch=catch,
            write=route.returned.write,
            stream=None if route.returned.stream is None else route.returned.stream.to_spec(),
            forms=route.forms or app.forms,
            max_body=route.max_body,
        )

    def _check_caller_is_known(self, route: RouteSpec) -> None:
        """Refuses that what stands in takes the claims of a caller who need not be known."""
        from ._building import asks_everybody

        if not asks_everybody(self._app, route):
            raise ConfigError(
                f"{route.name}: what stands in for a dependency takes Claims, which are of a caller who is known, and the route asks for nobody",
                cure="write Claims | None there, or auth=True of the route",
                location=route.location,
            )

    def override(self) -> None:
        """Something stands in for other dependencies now: handlers of an app that is built are compiled again."""
        app = self._app
        native = app._native
        if native is None:
            return
        with app._build_lock:
            before, self._compiled = self._compiled, {}
            try:
                specs = zip(app.route_specs, self.places, strict=True)
                plans = [(route, *self.native_plan(route, catch)) for route, catch in specs]
                hooks = [(place, plan.compile(app.dependency_overrides, app.state)) for place, plan in self.hook_places]
            except BaseException:
                self._compiled = before
                raise
            for place, hook in hooks:
                plan, objects = hook.to_native()
                native.replace_handler(place, "/", plan, hook.function, objects)
            for index, (route, plan, objects) in enumerate(plans):
                native.replace_handler(index, route.path, plan, self.compiled(route).function, objects)
