"""How handlers in Python are registered: `@app.get("/users")`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never, TypeVar, Unpack

from ._forms import FormLimits, body_size, form_limits
from ._location import user_location
from ._openapi_shown import Shown
from ._param_depends import checked
from ._returns import IncEx, Options, check_status, returned_by
from ._routing_registry import Registry
from ._specs import (
    PUBLIC,
    AnyLayer,
    Auth,
    Errors,
    Pending,
    RouteOptions,
    RouteSpec,
    SkippedLayer,
    errors_of,
    guards_of,
    layers_of,
    listed,
    path_of,
    scopes_of,
    skips_of,
    status_of,
    tags_of,
    verbs_of,
)
from .exceptions import ConfigError
from .guards import Guard
from .params import MISSING, inspect_handler

__all__ = ["HandlerRoutes"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


class HandlerRoutes(Registry):
    """Registers functions as the handlers of methods and paths."""

    def route(
        self, path: str, *, methods: Sequence[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[Handler], Handler]:
        """Registers the decorated function as the handler of `methods` at `path`, and gives it back unchanged."""
        return self._route(path, methods, **options)

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of GET; see `route`."""
        return self._route(path, ("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of POST; see `route`."""
        return self._route(path, ("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of PUT; see `route`."""
        return self._route(path, ("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of PATCH; see `route`."""
        return self._route(path, ("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of DELETE; see `route`."""
        return self._route(path, ("DELETE",), **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of HEAD; see `route`."""
        return self._route(path, ("HEAD",), **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        """Registers a handler of OPTIONS; see `route`."""
        return self._route(path, ("OPTIONS",), **options)

    def _route(
        self,
        path: str,
        methods: Sequence[str],
        *,
        auth: Auth = False,
        guards: Sequence[Guard] = (),
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int | None = None,
        status_code: int | None = None,
        response_model: Any = MISSING,
        response_model_include: IncEx | None = None,
        response_model_exclude: IncEx | None = None,
        response_model_exclude_unset: bool = False,
        response_model_exclude_defaults: bool = False,
        response_model_exclude_none: bool = False,
        response_model_by_alias: bool = True,
        media_type: str | None = None,
        responses: Mapping[int | str, Mapping[str, Any]] | None = None,
        operation_id: str | None = None,
        deprecated: bool = False,
        include_in_schema: bool = True,
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        dependencies: Sequence[Any] = (),
        errors: Errors | None = None,
        forms: FormLimits | None = None,
        max_body: int | None = None,
        **others: Never,
    ) -> Callable[[Handler], Handler]:
        if others:
            from ._elsewhere import unexpected

            raise unexpected("a route", self._route, others)
        location = user_location()
        # Annotations may name what is local to the function in which the app is made.
        localns = sys._getframe(2).f_locals
        path = path_of(path, next(iter(listed(methods)), "route").lower(), location)
        self._refuse_when_built(f"the route {path}", location)
        verbs = verbs_of(methods, path, location)
        if not verbs:
            raise ConfigError(f"{path}: no methods are given", cure='write methods=["GET"]', location=location)
        status = status_of(status, status_code, path, location)
        options = Options(
            response_model_include,
            response_model_exclude,
            response_model_exclude_unset,
            response_model_exclude_defaults,
            response_model_exclude_none,
            response_model_by_alias,
        )
        shown = Shown.checked(include_in_schema, deprecated, responses, path, location)
        if operation_id is not None and len(verbs) > 1:
            raise ConfigError(
                f"{path}: operation_id={operation_id!r} would be that of {' and '.join(verbs)}",
                cure="register each method by itself, or leave it out",
                location=location,
            )
        scopes = scopes_of(auth, path, location)
        labels = tags_of(tags, path, location)
        around = layers_of(layers, path, location)
        skipped = skips_of(skip_layers, path, location)
        asks = guards_of(guards, auth, path, location)
        before = checked(dependencies, path, location)
        told = errors_of(errors, path, location)
        holds = form_limits(forms, path, location)
        most = body_size(max_body, path, location)

        def specs(function: Callable[..., Any], prefix: str, path: str) -> list[RouteSpec]:
            plan = inspect_handler(
                function, path, localns=localns, prefix=prefix, dependencies=before, known=self._known
            )
            returned = returned_by(plan, response_model, options, media_type)
            check_status(plan, response_model, status)
            doc = (plan.doc or "").strip()
            head, _, rest = doc.partition("\n\n")
            return [
                RouteSpec(
                    method=verb,
                    path=prefix + path,
                    plan=plan,
                    auth=scopes,
                    guards=asks,
                    public=auth is PUBLIC,
                    name=name or plan.name,
                    tags=labels,
                    summary=summary or " ".join(head.split()) or None,
                    description=description or rest.strip() or None,
                    status=status,
                    operation_id=operation_id,
                    layers=around,
                    skip_layers=skipped,
                    dependencies=(),
                    errors=told,
                    forms=holds,
                    max_body=most,
                    location=plan.location or location,
                    returned=returned,
                    shown=shown,
                )
                for verb in verbs
            ]

        unused = self._awaits(
            f"@app.{verbs[0].lower() if len(verbs) == 1 else 'route'}({path!r}) above a function", location
        )

        def decorator(function: Handler) -> Handler:
            self._used(unused)
            self._add_handler(Pending(path, lambda *whole: specs(function, *whole)))
            return function

        return decorator
