"""How what is made elsewhere is registered: a router, a handler in Rust, another app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._forms import FormLimits
from ._location import user_location
from ._openapi_shown import Responses, Shown
from ._routing_registry import Registry
from ._specs import (
    PUBLIC,
    AnyLayer,
    Auth,
    NativeSpec,
    SkippedLayer,
    guards_of,
    layers_of,
    scopes_of,
    skips_of,
    tags_of,
    verbs_of,
)
from .exceptions import ConfigError
from .guards import Guard

if TYPE_CHECKING:
    from ._asgi import ASGIApp
    from ._ziggurat import NativeService
    from .app import Ziggurat
    from .routers import Router

__all__ = ["MountedRoutes"]


class MountedRoutes(Registry):
    """Takes in routers, handlers in Rust and other apps."""

    def include_router(
        self,
        router: Router,
        *,
        prefix: str = "",
        tags: Sequence[str] = (),
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        guards: Sequence[Guard] = (),
        dependencies: Sequence[Any] = (),
        forms: FormLimits | None = None,
        include_in_schema: bool = True,
        deprecated: bool = False,
        responses: Responses | None = None,
    ) -> None:
        """Serves the routes of `router`, here at `prefix` and with what else is given, outside of what it has itself.

        A router may be included several times, and in other routers. `dependencies` are called before each of its handlers in Python.
        `include_in_schema`, `deprecated` and `responses` are those of `Router`.
        """
        from .routers import Around, include

        location = user_location()
        self._refuse_when_built("a router", location)
        shown = Shown.checked(include_in_schema, deprecated, responses, "the router", location)
        around = Around.checked(prefix, tags, layers, skip_layers, guards, dependencies, forms, shown)
        self._entries.append(include(self, router, around, location))

    def native(
        self,
        path: str,
        service: NativeService,
        *,
        methods: Sequence[str] | None = None,
        auth: Auth = False,
        guards: Sequence[Guard] = (),
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        tags: Sequence[str] = (),
        include_in_schema: bool = True,
        deprecated: bool = False,
        responses: Responses | None = None,
    ) -> None:
        """Mounts a handler of an extension module that is written in Rust: `app.native("/fast", my.fast)`.

        It answers every method that no other route at the path names, or those of `methods`, and enters Python for none. The document shows the
        methods that are named, with `tags`, `deprecated` and `responses` as for other routes, unless `include_in_schema` is False.
        """
        location = user_location()
        self._refuse_when_built(f"the route {path}", location)
        if not hasattr(service, "name") or type(service).__name__ != "NativeService":
            raise ConfigError(
                f"{path}: {service!r} is no handler in Rust",
                cure="give what Extension::service put into an extension module, or decorate a function with @app.get",
                location=location,
            )
        verbs = [None] if methods is None else [*dict.fromkeys(verbs_of(methods, path, location))]
        for verb in verbs:
            spec = NativeSpec(
                method=verb,
                path=path,
                service=service,
                auth=scopes_of(auth, path, location),
                guards=guards_of(guards, auth, path, location),
                public=auth is PUBLIC,
                layers=layers_of(layers, path, location),
                skip_layers=skips_of(skip_layers, path, location),
                tags=tags_of(tags, path, location),
                location=location,
                shown=Shown.checked(include_in_schema, deprecated, responses, path, location),
            )
            self._entries.append(spec)

    def mount(
        self,
        path: str,
        app: Ziggurat | ASGIApp,
        *,
        name: str | None = None,
        auth: Auth = False,
        guards: Sequence[Guard] = (),
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        origins: Sequence[str] | None = None,
        max_message_bytes: int | None = None,
    ) -> None:
        """Hands `path` and everything below it to another app: a `Ziggurat`, or any ASGI 3 application, as of FastAPI or Django.

        It answers every method there that no route of this app answers at the same path, inside the layers of this one, and starts and
        stops with it. `name` is what it is called in logs and lists.

        For the WebSockets of an ASGI application `origins` are the sites whose pages may open them, beside those of its own host, and
        `max_message_bytes` is how long a message may be, 1 MiB unless given; as for `websocket`.
        """
        from .mounting import mounted

        location = user_location()
        self._refuse_when_built(f"the app at {path}", location)
        sockets = {"origins": origins, "max_message_bytes": max_message_bytes}
        told = {name: value for name, value in sockets.items() if value is not None}
        spec = mounted(self, path, app, name, told, location)
        self._entries.append(
            replace(
                spec,
                auth=scopes_of(auth, path, location),
                guards=guards_of(guards, auth, path, location),
                public=auth is PUBLIC,
                layers=layers_of(layers, path, location),
                skip_layers=skips_of(skip_layers, path, location),
            )
        )
