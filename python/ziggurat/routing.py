"""How an app declares what it serves: routes, CRUD resources and middleware."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from ._forms import FormLimits, body_size, form_limits
from ._location import user_location
from ._param_depends import checked
from ._returns import IncEx, Options, check_status, returned_by
from ._specs import (
    CORE,
    METHODS,
    OPS,
    PUBLIC,
    AnyLayer,
    Auth,
    CrudSpec,
    Errors,
    MountSpec,
    NativeSpec,
    Op,
    Pending,
    ReadFrom,
    RouteOptions,
    RouteSpec,
    SkippedLayer,
    errors_of,
    guards_of,
    layers_of,
    listed,
    members,
    path_of,
    scopes_of,
    skips_of,
    status_of,
    tags_of,
)
from ._websocket_routes import WebSocketOptions, plan_of, settings_of, spec_of
from .exceptions import ConfigError
from .guards import Guard
from .layers import Middleware
from .params import MISSING, inspect_handler
from .policy import Policy

if TYPE_CHECKING:
    from . import _catches
    from ._asgi import ASGIApp
    from ._param_graph import Calls
    from ._ziggurat import NativeService
    from .app import Ziggurat
    from .routers import Included, Router

__all__ = ["CORE", "PUBLIC", "CrudSpec", "NativeSpec", "Op", "RouteOptions", "RouteSpec", "Routes"]

Handler = TypeVar("Handler", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)
MiddlewareT = TypeVar("MiddlewareT", bound=Callable[..., Any])
CatchT = TypeVar("CatchT", bound=Callable[[Any, Any], Any])


class Routes:
    """Collects what an app serves, until the app is built."""

    def __init__(self) -> None:
        self._entries: list[Pending | CrudSpec | NativeSpec | MountSpec | Included] = []
        self._catches: dict[type[Exception] | int, _catches.Handler] = {}
        self._calls: Calls = {}
        self._unused: list[tuple[str, str]] = []
        """Decorators that have decorated nothing yet: what is written above what, and where."""

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> Any:
            from ._elsewhere import missing

            own = getattr(type(self), name, None)
            if isinstance(own, property):
                # It is there, and something within it is not: which is what is told.
                return own.fget(self)
            raise missing(self, name)

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
    ) -> Callable[[Handler], Handler]:
        location = user_location()
        # Annotations may name what is local to the function in which the app is made.
        localns = sys._getframe(2).f_locals
        path = path_of(path, next(iter(listed(methods)), "route").lower(), location)
        self._refuse_when_built(f"the route {path}", location)
        verbs = [method.upper() for method in listed(methods)]
        for verb in verbs:
            if verb not in METHODS:
                raise ConfigError(
                    f"{path}: {verb!r} is not a method",
                    cure=f"choose from {', '.join(sorted(METHODS))}",
                    location=location,
                )
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
        _check_responses(responses or {}, path, location)
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
                function, path, localns=localns, prefix=prefix, dependencies=before, calls=self._calls
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
                    deprecated=deprecated,
                    include_in_schema=include_in_schema,
                    layers=around,
                    skip_layers=skipped,
                    dependencies=(),
                    errors=told,
                    forms=holds,
                    max_body=most,
                    location=plan.location or location,
                    returned=returned,
                    responses=responses or {},
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
            plan = plan_of(function, prefix, path, localns, before, location)
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

    def _awaits(self, written: str, location: str) -> tuple[str, str]:
        """Notes a decorator, until it decorates something: alone it registers nothing, which nobody would be told of."""
        self._unused.append((written, location))
        return self._unused[-1]

    def _used(self, noted: tuple[str, str]) -> None:
        # One may decorate several.
        with contextlib.suppress(ValueError):
            self._unused.remove(noted)

    def _check_all_used(self) -> None:
        for written, location in self._unused:
            raise ConfigError("a decorator decorates nothing", cure=f"write {written}", location=location)

    def _add_handler(self, handler: Pending) -> None:
        self._entries.append(handler)

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
    ) -> None:
        """Serves the routes of `router`, here at `prefix` and with what else is given, outside of what it has itself.

        A router may be included several times, and in other routers. `dependencies` are called before each of its handlers in Python.
        """
        from .routers import Around, include

        location = user_location()
        self._refuse_when_built("a router", location)
        around = Around.checked(prefix, tags, layers, skip_layers, guards, dependencies, forms)
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
    ) -> None:
        """Mounts a handler of an extension module that is written in Rust: `app.native("/fast", my.fast)`.

        It answers every method that no other route at the path names, or those of `methods`, and enters Python for none.
        """
        location = user_location()
        self._refuse_when_built(f"the route {path}", location)
        if not hasattr(service, "name") or type(service).__name__ != "NativeService":
            raise ConfigError(
                f"{path}: {service!r} is no handler in Rust",
                cure="give what Extension::service put into an extension module, or decorate a function with @app.get",
                location=location,
            )
        verbs = [None] if methods is None else [*dict.fromkeys(method.upper() for method in listed(methods))]
        for verb in verbs:
            if verb is not None and verb not in METHODS:
                raise ConfigError(
                    f"{path}: {verb!r} is not a method",
                    cure=f"choose from {', '.join(sorted(METHODS))}",
                    location=location,
                )
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
                location=location,
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

    def crud(
        self,
        model: type[Any],
        path: str | None = None,
        *,
        ops: Iterable[Op] = CORE,
        auth: Auth | Mapping[Op, Auth] = False,
        guards: Sequence[Guard] | Mapping[Op, Sequence[Guard]] = (),
        policy: Policy | None = None,
        client_id: bool = False,
        tags: Sequence[str] = (),
        default_limit: int = 50,
        max_limit: int = 1000,
        body_limit: int | None = None,
        import_limit: int = 1024 * 1024 * 1024,
        max_affected: int = 1000,
        gone: bool = False,
        unindexed: Literal["allow", "warn", "deny"] = "allow",
        filterable: Iterable[str] | None = None,
        sortable: Iterable[str] | None = None,
        expandable: bool = True,
        search: Iterable[str] = (),
        shard_key: str | None = None,
        read_from: ReadFrom | Mapping[Op, ReadFrom] | None = None,
        dimensions: Iterable[str] = (),
        measures: Iterable[str] = (),
        offset: bool = True,
        envelope: bool = True,
        cache: str | None = None,
        upsert: bool = False,
        bulk: bool = False,
        idempotency: bool = False,
        concurrency: Literal["optional", "required"] = "optional",
        coerce: Literal["strict", "pydantic"] = "strict",
        errors: Literal["problem", "fastapi"] = "problem",
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
    ) -> Callable[[Class], Class]:
        """Serves the rows of `model` natively, and gives the decorated class back unchanged.

        A model is a `ziggurat.Model`, any other pydantic model, a dataclass, a TypedDict or a `msgspec.Struct`.

        The path is `/` and the model's name in small letters unless it is given. `auth` is one rule for all operations, or a
        rule for each; operations that such a mapping does not name are open. `policy` says which rows a caller may see and write.
        So are `guards`, which ask for more than scopes: see `ziggurat.guards`.

        With `client_id` clients choose the ids of new rows, and with `upsert` PUT makes a row that is not there. With `bulk` POST takes
        arrays of rows, too, which are added all or none; on MongoDB that needs a replica set. `concurrency="required"`
        refuses writes to a row that do not say with If-Match which version they are meant for. `offset=False` takes `?offset=` away
        from lists, `envelope=False` answers them as bare arrays. `cache="public, max-age=30"` is the `Cache-Control` of rows, lists, counts and groups that
        everybody may read; without it caches ask each time.

        With `idempotency` a POST, or a PATCH of a row, that comes again with the same Idempotency-Key within a day is answered as it was, and
        not done again; on MongoDB that needs a replica set, too. Other writes with a key are refused.

        The operations "patch_many" and "delete_many" write all rows that a filter holds for, or none when these are more than
        `max_affected`; on MongoDB that needs a replica set, too.

        A model with a field `deleted_at: DeletedAt` has its rows marked as deleted instead of removed: "deleted" lists them, "restore" brings one
        back, and with `gone` they are answered 410 and not 404.

        `filterable` and `sortable` name the fields that rows may be filtered and sorted by; all that clients see unless they are given. `unindexed`
        says what becomes of a query that would read every row: it is answered, tells the log, or is refused.

        Answers of models that refer to this one show its rows with `?expand=` to whom these routes show them, unless `expandable` is False. Of a
        model that is served several times, in ways that differ in who may read what, one may be so.

        `search` names texts whose words `?q=` looks for, by an index of their words.

        `shard_key` names the field by which a sharded MongoDB spreads the rows: one that is required and `Immutable`, as a tenant, or the id.
        Writes to a row say what it holds, so that one shard is asked. Nothing but it and the id may be unique, and no fields together. On
        SQLite the model is checked in the same way, and nothing else comes of it.

        `read_from` says which members of a MongoDB replica set operations that only read ask: "secondaryPreferred" for all of them, or
        `{"list": "nearest"}`. Others than the primary may not know of the last writes.

        The operation "group" computes over rows: `dimensions` name what they may be grouped by, as `status` or `month(created_at)`, and `measures` the
        fields of which there are sums, means, least and greatest values.

        A body may have `body_limit` bytes, whatever the app's `BodyLimit` says, or 1 MiB where that says no less. The operation "import" adds rows that
        come in lines (NDJSON), each of up to `body_limit` bytes and all together of up to `import_limit`, 1 GiB unless given.

        `coerce="pydantic"` reads bodies as pydantic does in its lax mode, in which `"5"` is an int and `1` a bool; a value is one of its field's type
        otherwise. It is not for a `msgspec.Struct`.

        `errors="fastapi"` tells what was wrong as FastAPI does, `{"detail": ...}`, and not in problem documents.

        `layers` stand around its operations alone, inside the layers and the middleware of the app and of its router, outermost first; `skip_layers` names layers of the
        app that requests to them do not pass.

        Methods of the class are hooks: `async def before_create(self, ctx, doc)` may change the row that is to be written, or raise an
        `HTTPException`; `after_create` is told once it is written, and the client does not wait for it. So are the others of `replace`,
        `patch` and `delete`. Only an operation that has a hook enters Python. `ctx` is a `HookContext`. What they take behind these two is
        filled as the parameters of handlers are: `db: Annotated[Db, Depends(connect)]`, the app's `State`, a header.
        """
        location = user_location()
        ops = tuple(ops)
        self._refuse_when_built(f"the model {model.__name__}", location)
        wanted = tuple(op for op in OPS if op in set(ops))
        for op in ops:
            if op not in OPS:
                raise ConfigError(
                    f"{model.__name__}: {op!r} is not a CRUD operation",
                    cure=f"choose from {', '.join(OPS)}",
                    location=location,
                )
        for name, rules in (("auth", auth), ("guards", guards)):
            for op in rules if isinstance(rules, Mapping) else ():
                if op not in wanted:
                    raise ConfigError(
                        f"{model.__name__}: {name} names {op!r}, which is not served",
                        cure=f"choose from {', '.join(wanted)}",
                        location=location,
                    )
        given: dict[Op, Auth] = {op: auth.get(op, False) if isinstance(auth, Mapping) else auth for op in wanted}
        if policy is not None and not isinstance(policy, Policy):
            raise ConfigError(
                f"{model.__name__}: policy={policy!r} is not a policy",
                cure='write Policy(read=F.owner == Claim("sub"))',
                location=location,
            )
        if coerce == "pydantic":
            from ._schema import is_struct

            if is_struct(model):
                raise ConfigError(
                    f'{model.__name__}: coerce="pydantic" reads as pydantic does, which does not know a msgspec.Struct',
                    cure="leave coerce out, or use a pydantic model, a dataclass or a TypedDict",
                    location=location,
                )
        spec = CrudSpec(
            model=model,
            path=path if path is not None else f"/{model.__name__.lower()}",
            ops=wanted,
            auth={op: scopes_of(rule, model.__name__, location) for op, rule in given.items()},
            guards={
                op: guards_of(
                    guards.get(op, ()) if isinstance(guards, Mapping) else guards, rule, model.__name__, location
                )
                for op, rule in given.items()
            },
            public=tuple(op for op, rule in given.items() if rule is PUBLIC),
            policy=policy,
            tags=tags_of(tags, model.__name__, location) or (model.__name__,),
            client_id=client_id,
            default_limit=default_limit,
            max_limit=max_limit,
            body_limit=body_limit,
            import_limit=import_limit,
            max_affected=max_affected,
            gone=gone,
            unindexed=unindexed,
            filterable=None if filterable is None else tuple(filterable),
            sortable=None if sortable is None else tuple(sortable),
            expandable=expandable,
            read_from=members(read_from, wanted),
            search=(search,) if isinstance(search, str) else tuple(search),
            shard_key=shard_key,
            dimensions=(dimensions,) if isinstance(dimensions, str) else tuple(dimensions),
            measures=(measures,) if isinstance(measures, str) else tuple(measures),
            offset=offset,
            envelope=envelope,
            cache=cache,
            upsert=upsert,
            bulk=bulk,
            idempotency=idempotency,
            concurrency=concurrency,
            coerce=coerce,
            errors=errors,
            layers=layers_of(layers, model.__name__, location),
            skip_layers=skips_of(skip_layers, model.__name__, location),
            hooks=None,
            location=location,
        )

        unused = self._awaits(f"@app.crud({model.__name__}, ...) above a class", location)

        def decorator(routes: Class) -> Class:
            self._used(unused)
            from .hooks import hooks_of

            hooks = hooks_of(
                routes,
                model,
                wanted,
                upsert=upsert,
                location=location,
                localns=sys._getframe(1).f_locals,
                calls=self._calls,
            )
            self._entries.append(replace(spec, hooks=hooks))
            return routes

        return decorator

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

    def _is_built(self) -> bool:
        """Whether it is too late to register; the application that builds the routes says so."""
        raise NotImplementedError

    def _refuse_when_built(self, what: str, location: str) -> None:
        if self._is_built():
            raise ConfigError(
                f"{what} was registered after the app was built",
                cure="register everything before run(), start(), routes and stack()",
                location=location,
            )


def _check_responses(responses: Mapping[int | str, Mapping[str, Any]], path: str, location: str) -> None:
    for status, said in responses.items():
        if str(status) != "default" and not re.fullmatch(r"[1-5](\d\d|XX)", str(status)):
            raise ConfigError(
                f"{path}: responses names {status!r}", cure='write a status, "4XX" or "default"', location=location
            )
        if not isinstance(said, Mapping):
            raise ConfigError(
                f"{path}: responses says {said!r} of {status}",
                cure='write {"description": ..., "model": ...}',
                location=location,
            )
        model = said.get("model")
        if isinstance(model, str | int | Mapping | list | tuple):
            raise ConfigError(
                f"{path}: responses says that {status} has the model {model!r}, which is no type",
                cure="give a model, or a type as list[Item]",
                location=location,
            )
