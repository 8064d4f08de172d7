"""The handlers of an app with all that they depend on, and what stands in for that in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._param_depends import Dependency
from ._specs import RouteSpec
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
        self.places: list[int | None] = []
        """Where the handlers of exceptions of each handler are."""
        self.hook_places: list[tuple[int, HookPlan]] = []
        """Where what hooks take stands among the handlers."""

    def clear(self) -> None:
        """Forgets what was compiled, and where it stands."""
        self._compiled.clear()
        self.places.clear()
        self.hook_places.clear()

    def compiled(self, route: RouteSpec) -> Compiled:
        """The handler of a route with all that it depends on."""
        how = (id(route.plan), route.dependencies)
        if how not in self._compiled:
            before = (*self._dependencies, *route.dependencies)
            self._compiled[how] = route.plan.compile(before, self._app.dependency_overrides, self._app.state)
        return self._compiled[how]

    def native_plan(self, route: RouteSpec, catch: int | None) -> tuple[str, list[object]]:
        """What the native side is told of the handler of a route, and the objects that are meant; `catch` is the place of its handlers of
        exceptions."""
        app = self._app
        return self.compiled(route).to_native(
            name=route.name,
            status=route.status,
            auth=app.asked(route),
            errors=app.errors_of(route),
            catch=catch,
            write=route.returned.write,
            stream=None if route.returned.stream is None else route.returned.stream.to_spec(),
            forms=route.forms or app.forms,
            max_body=route.max_body,
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
