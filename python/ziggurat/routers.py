"""Routes that are declared together, and included in an app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Never

from ._forms import FormLimits, form_limits
from ._layer import Layer
from ._layer_python import Middleware
from ._location import user_location
from ._openapi_shown import Responses, Shown
from ._param_depends import Dependency
from ._param_depends import checked as dependencies_of
from ._specs import (
    AnyLayer,
    CrudSpec,
    MountSpec,
    NativeSpec,
    Pending,
    RouteSpec,
    SkippedLayer,
    guards_of,
    layer_of,
    layers_of,
    skips_of,
    tags_of,
)
from .exceptions import ConfigError
from .guards import Guard
from .routing import Routes

if TYPE_CHECKING:
    from ._catches import ExceptionHandler, Scope
    from ._routing_registry import Registry

__all__ = ["Router"]


AnySpec = RouteSpec | CrudSpec | NativeSpec | MountSpec


@dataclass(frozen=True)
class Around:
    """What a router, or the place where it is included, adds to its routes."""

    prefix: str = ""
    tags: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    skip_layers: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    forms: FormLimits | None = None
    shown: Shown = field(default_factory=Shown)
    catches: tuple[Scope, ...] = ()

    @classmethod
    def checked(
        cls,
        prefix: str,
        tags: Sequence[str],
        layers: Sequence[AnyLayer],
        skip_layers: Sequence[SkippedLayer],
        guards: Sequence[Guard],
        dependencies: Sequence[Any],
        forms: FormLimits | None,
        shown: Shown,
    ) -> Around:
        """Of what the user gave."""
        location = user_location()
        what = f"the router {prefix}" if prefix else "the router"
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ConfigError(
                f"{what}: a prefix begins with a slash and does not end with one",
                cure=f'write "/{prefix.strip("/")}"' if prefix.strip("/") else "leave it out",
                location=location,
            )
        return cls(
            prefix,
            tags_of(tags, what, location),
            layers_of(layers, what, location),
            skips_of(skip_layers, what, location),
            guards_of(guards, False, what, location),
            dependencies_of(dependencies, what, location),
            form_limits(forms, what, location),
            shown,
        )

    def outside_of(self, inner: Around) -> Around:
        """Both."""
        return Around(
            self.prefix + inner.prefix,
            (*self.tags, *inner.tags),
            (*self.layers, *inner.layers),
            tuple(sorted({*self.skip_layers, *inner.skip_layers})),
            (*self.guards, *inner.guards),
            (*self.dependencies, *inner.dependencies),
            inner.forms or self.forms,
            self.shown.outside_of(inner.shown),
            (*self.catches, *inner.catches),
        )

    def of(self, spec: AnySpec) -> AnySpec:
        """A route with this around it. The path of a handler is that of the whole already."""
        if self == _NOTHING:
            return spec
        added: dict[str, Any] = {
            "layers": (*self.layers, *spec.layers),
            "skip_layers": tuple(sorted({*self.skip_layers, *spec.skip_layers})),
        }
        if isinstance(spec, CrudSpec):
            asked = {op: own if op in spec.public else (*self.guards, *own) for op, own in spec.guards.items()}
            added["guards"] = asked
        else:
            added["guards"] = spec.guards if spec.public else (*self.guards, *spec.guards)
        if isinstance(spec, RouteSpec):
            added["dependencies"] = (*self.dependencies, *spec.dependencies)
            added["forms"] = spec.forms or self.forms
        else:
            added["path"] = self.prefix + spec.path
        # What is mounted answers its own exceptions, and has a document of its own.
        if not isinstance(spec, MountSpec):
            added["tags"] = (*self.tags, *spec.tags)
            added["catches"] = (*self.catches, *spec.catches)
            added["shown"] = self.shown.outside_of(spec.shown)
        return replace(spec, **added)


_NOTHING = Around()


@dataclass(frozen=True)
class Included:
    """A router, at the place where it was included."""

    router: Router
    around: Around


class Router(Routes):
    """Routes that an app includes with what they have in common: `app.include_router(router)`.

    `prefix` comes before each path, and may have parameters as `/teams/{team}`. `tags` are added to those of each route.
    `layers` stand around each, outside of its own and inside of those of the app and all of the app's middleware; `skip_layers`
    names layers of the app that no request to them passes. `guards` ask something of the caller of each that does not say
    `auth=PUBLIC`. `dependencies` are called before each handler in Python, whatever they give. `forms` says how much their forms may hold,
    where no route does, nor a router further inside. `exception_handlers` are those of its
    routes, as `exception_handler` adds them.

    `tags` and three more are for the OpenAPI document alone, and hold for handlers, handlers in Rust and CRUD: with `include_in_schema=False` it shows none
    of its routes; `deprecated` says of all of them that they should be used no more; `responses` are other answers, by status, where no route
    nor a router further inside says something of the same.

    What is registered after it was included is there as well, until the app is built.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        tags: Sequence[str] = (),
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        guards: Sequence[Guard] = (),
        dependencies: Sequence[Any] = (),
        forms: FormLimits | None = None,
        include_in_schema: bool = True,
        deprecated: bool = False,
        responses: Responses | None = None,
        exception_handlers: Mapping[type[Exception] | int, ExceptionHandler] | None = None,
        **others: Never,
    ) -> None:
        if others:
            from ._elsewhere import unexpected

            raise unexpected("a router", type(self), others)
        super().__init__()
        shown = Shown.checked(
            include_in_schema, deprecated, responses, f"the router {prefix}".rstrip(), user_location()
        )
        self._around = Around.checked(prefix, tags, layers, skip_layers, guards, dependencies, forms, shown)
        for kind, function in (exception_handlers or {}).items():
            self._catch(kind, function, user_location())
        self._included_in: list[Registry] = []

    @property
    def prefix(self) -> str:
        """What comes before each path."""
        return self._around.prefix

    def layer(self, layer: AnyLayer) -> None:
        """Adds a layer around its routes, inside those that it has."""
        location = user_location()
        self._refuse_when_built("a layer", location)
        added = layers_of([layer_of(layer, "the router", location)], "the router", location)
        self._around = replace(self._around, layers=(*self._around.layers, *added))

    def _add_middleware(self, middleware: Middleware) -> None:
        self.layer(middleware)

    def _is_built(self) -> bool:
        return any(routes._is_built() for routes in self._included_in)

    def _specs_within(self, outer: Around) -> Iterator[AnySpec]:
        around = replace(self._around, catches=(self._catches,)) if self._catches else self._around
        return specs_of(self, outer.outside_of(around))


def specs_of(routes: Registry, around: Around) -> Iterator[AnySpec]:
    """What was registered, in that order, with what is around it."""
    routes._check_all_used()
    for entry in routes._entries:
        if isinstance(entry, Included):
            yield from entry.router._specs_within(around.outside_of(entry.around))
        elif isinstance(entry, Pending):
            for spec in entry.at(around.prefix):
                yield around.of(spec)
        else:
            yield around.of(entry)


def include(routes: Registry, router: Router, around: Around, location: str) -> Included:
    """Includes it, unless it would be included in itself."""
    if not isinstance(router, Router):
        raise ConfigError(f"{router!r} is no router", cure='make one, as Router(prefix="/users")', location=location)
    if router is routes or _holds(router, routes):
        raise ConfigError("a router is included in itself", cure="include it in another", location=location)
    router._included_in.append(routes)
    return Included(router, around)


def _holds(router: Router, routes: Registry) -> bool:
    inner = [entry.router for entry in router._entries if isinstance(entry, Included)]
    return any(one is routes or _holds(one, routes) for one in inner)
