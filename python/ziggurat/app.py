"""The application: routes, CRUD resources, layers and middleware, and how it is run."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _ziggurat
from .exceptions import ConfigError
from .params import Plan, caller_location, describe_callable, inspect_handler
from .requests import Request
from .responses import Response

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["CrudSpec", "MiddlewareSpec", "RouteInfo", "RouteSpec", "StackInfo", "Ziggurat"]

Handler = TypeVar("Handler", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)
CallNext = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, CallNext], Awaitable[Response]]
MiddlewareT = TypeVar("MiddlewareT", bound=Middleware)
Hook = Callable[[], Awaitable[None] | None]
HookT = TypeVar("HookT", bound=Hook)
Lifespan = Callable[["Ziggurat"], AbstractAsyncContextManager[None]]
Op = Literal["list", "create", "get", "replace", "patch", "delete"]
Auth = bool | str | Sequence[str]
"""False lets everyone in, True everyone with a valid token, and scopes those whose token has all of them."""

_OPS: tuple[Op, ...] = ("list", "create", "get", "replace", "patch", "delete")
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A Python handler at a path, as it was declared."""

    method: str
    path: str
    plan: Plan
    auth: list[str] | None
    """None is open, an empty list asks for any valid token."""
    name: str
    tags: tuple[str, ...]
    summary: str | None
    description: str | None
    status: int
    deprecated: bool
    include_in_schema: bool
    location: str
    """`file:line` of the decorator."""


@dataclass(frozen=True, slots=True)
class CrudSpec:
    """A model that is served natively, as it was declared."""

    model: type[BaseModel]
    path: str
    ops: tuple[Op, ...]
    auth: dict[Op, list[str] | None]
    tags: tuple[str, ...]
    client_id: bool
    default_limit: int
    max_limit: int
    body_limit: int
    location: str


@dataclass(frozen=True, slots=True)
class MiddlewareSpec:
    """A Python middleware and the paths that it wraps; None is every path."""

    function: Middleware
    name: str
    paths: tuple[str, ...] | None
    location: str


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """One line of the route table."""

    method: str | None
    path: str
    name: str
    kind: Literal["native", "crud", "python"]
    location: str
    stack: tuple[str, ...]
    """Everything that a request passes, outermost first, the leaf last."""
    enters_python: bool


@dataclass(frozen=True, slots=True)
class StackInfo:
    """What a request passes, outermost first."""

    method: str | None
    passes: tuple[str, ...]
    enters_python: tuple[str, ...]
    """Those of `passes` that are written in Python."""

    def __str__(self) -> str:
        marked = (f"{name} [Python]" if name in self.enters_python else name for name in self.passes)
        return f"{self.method or '*'}: " + " > ".join(marked)


@dataclass(frozen=True, slots=True)
class Started:
    """What is known once an app listens."""

    host: str
    port: int
    store: str | None
    routes: list[RouteInfo] = field(repr=False)

    @property
    def python_routes(self) -> int:
        """How many routes are answered by Python handlers."""
        return sum(route.kind == "python" for route in self.routes)

    @property
    def native_routes(self) -> int:
        """How many routes are answered natively."""
        return len(self.routes) - self.python_routes

    @property
    def natives_entering_python(self) -> list[RouteInfo]:
        """The native routes that a Python middleware wraps."""
        return [route for route in self.routes if route.kind != "python" and route.enters_python]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        store = f", store {self.store}" if self.store else ""
        return (
            f"listening on http://{host}:{self.port} "
            f"({self.native_routes} native and {self.python_routes} Python routes{store})"
        )


class Ziggurat:
    """An HTTP application.

    `layers` are given outermost first. Unless they are given, CatchPanic, RequestId, Timeout(60 s) and BodyLimit(1 MiB) stand
    around them. Middleware registered first is outermost, and stands inside all layers.
    """

    def __init__(
        self,
        *,
        store: str | None = None,
        layers: Iterable[Any] = (),
        title: str = "Ziggurat",
        version: str = "0.1.0",
        description: str | None = None,
        openapi_path: str | None = "/openapi.json",
        lifespan: Lifespan | None = None,
        sync_threads: int | None = None,
    ) -> None:
        self.title = title
        self.version = version
        self.description = description
        self.layers = list(layers)
        self.openapi_path = openapi_path
        self.route_specs: list[RouteSpec] = []
        self.crud_specs: list[CrudSpec] = []
        self.middleware_specs: list[MiddlewareSpec] = []
        self._store = store
        self._sync_threads = sync_threads
        self._lifespan = lifespan
        self._startup: list[Hook] = []
        self._shutdown: list[Hook] = []
        self._native: _ziggurat.App | None = None
        self._openapi: dict[str, Any] = {}
        self._build_lock = threading.RLock()
        self._start_lock = threading.Lock()
        self._location = caller_location()
        self._in_process: Any = None

    # Routes

    def route(
        self,
        path: str,
        *,
        methods: Sequence[str] = ("GET",),
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers the decorated function as the handler of `methods` at `path`, and gives it back unchanged."""
        location = caller_location()
        localns = sys._getframe(1).f_locals
        return self._route(
            path,
            methods,
            location,
            localns,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def _route(
        self,
        path: str,
        methods: Sequence[str],
        location: str,
        localns: Mapping[str, object],
        *,
        auth: Auth,
        name: str | None,
        tags: Sequence[str],
        summary: str | None,
        description: str | None,
        status: int,
        deprecated: bool,
        include_in_schema: bool,
    ) -> Callable[[Handler], Handler]:
        self._refuse_when_built(f"the route {path}", location)
        verbs = [method.upper() for method in ([methods] if isinstance(methods, str) else methods)]
        for verb in verbs:
            if verb not in _METHODS:
                raise ConfigError(
                    f"{path}: {verb!r} is not a method",
                    cure=f"choose from {', '.join(sorted(_METHODS))}",
                    location=location,
                )
        if not verbs:
            raise ConfigError(f"{path}: no methods are given", cure='write methods=["GET"]', location=location)
        if not 200 <= status <= 599:
            raise ConfigError(f"{path}: {status} is not a status of an answer", location=location)
        scopes = _scopes(auth, path, location)

        def decorator(function: Handler) -> Handler:
            plan = inspect_handler(function, path, localns=localns)
            doc = (plan.doc or "").strip()
            head, _, rest = doc.partition("\n\n")
            for verb in verbs:
                self.route_specs.append(
                    RouteSpec(
                        method=verb,
                        path=path,
                        plan=plan,
                        auth=scopes,
                        name=name or plan.name,
                        tags=tuple(tags),
                        summary=summary or " ".join(head.split()) or None,
                        description=description or rest.strip() or None,
                        status=status,
                        deprecated=deprecated,
                        include_in_schema=include_in_schema,
                        location=plan.location or location,
                    )
                )
            return function

        return decorator

    def get(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of GET; see `route`."""
        return self._route(
            path,
            ("GET",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def post(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of POST; see `route`."""
        return self._route(
            path,
            ("POST",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def put(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of PUT; see `route`."""
        return self._route(
            path,
            ("PUT",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def patch(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of PATCH; see `route`."""
        return self._route(
            path,
            ("PATCH",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def delete(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of DELETE; see `route`."""
        return self._route(
            path,
            ("DELETE",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def head(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of HEAD; see `route`."""
        return self._route(
            path,
            ("HEAD",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def options(
        self,
        path: str,
        *,
        auth: Auth = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        summary: str | None = None,
        description: str | None = None,
        status: int = 200,
        deprecated: bool = False,
        include_in_schema: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler of OPTIONS; see `route`."""
        return self._route(
            path,
            ("OPTIONS",),
            caller_location(),
            sys._getframe(1).f_locals,
            auth=auth,
            name=name,
            tags=tags,
            summary=summary,
            description=description,
            status=status,
            deprecated=deprecated,
            include_in_schema=include_in_schema,
        )

    def crud(
        self,
        model: type[BaseModel],
        path: str | None = None,
        *,
        ops: Iterable[Op] = _OPS,
        auth: Auth | Mapping[Op, Auth] = False,
        client_id: bool = False,
        tags: Sequence[str] = (),
        default_limit: int = 50,
        max_limit: int = 1000,
        body_limit: int = 1024 * 1024,
    ) -> Callable[[Class], Class]:
        """Serves the rows of `model` natively, and gives the decorated class back unchanged.

        The path is `/` and the model's name in small letters unless it is given. `auth` is one rule for all operations, or a
        rule for each; operations that such a mapping does not name are open.
        """
        location = caller_location()
        self._refuse_when_built(f"the model {model.__name__}", location)
        wanted = tuple(op for op in _OPS if op in set(ops))
        for op in ops:
            if op not in _OPS:
                raise ConfigError(
                    f"{model.__name__}: {op!r} is not a CRUD operation",
                    cure=f"choose from {', '.join(_OPS)}",
                    location=location,
                )
        rules: dict[Op, list[str] | None] = {}
        for op in wanted:
            rule = auth.get(op, False) if isinstance(auth, Mapping) else auth
            rules[op] = _scopes(rule, model.__name__, location)
        spec = CrudSpec(
            model=model,
            path=path if path is not None else f"/{model.__name__.lower()}",
            ops=wanted,
            auth=rules,
            tags=tuple(tags) or (model.__name__,),
            client_id=client_id,
            default_limit=default_limit,
            max_limit=max_limit,
            body_limit=body_limit,
            location=location,
        )

        def decorator(routes: Class) -> Class:
            own = sorted(key for key in vars(routes) if not key.startswith("__"))
            if own:
                raise ConfigError(
                    f"{routes.__name__}.{own[0]}: hooks of CRUD routes are not supported",
                    cure="leave the class empty, or write a route of your own",
                    location=location,
                )
            self.crud_specs.append(spec)
            return routes

        return decorator

    def middleware(self, function: MiddlewareT | None = None, *, paths: Iterable[str] | None = None) -> Any:
        """Wraps routes in `async def function(request, call_next) -> Response`.

        It wraps every route, native ones too, unless `paths` names some: `/login` is that path, `/admin/*` is `/admin` and
        everything under it. Middleware registered first is outermost.
        """
        location = caller_location()
        self._refuse_when_built("a middleware", location)
        scope = None if paths is None else tuple([paths] if isinstance(paths, str) else paths)
        if scope is not None:
            if not scope:
                raise ConfigError("paths is empty, so the middleware wraps nothing", location=location)
            for path in scope:
                if not path.startswith("/") or "*" in path.removesuffix("/*"):
                    raise ConfigError(
                        f"a middleware cannot be scoped to {path!r}",
                        cure='write a path as "/login", or a prefix as "/admin/*"',
                        location=location,
                    )

        def decorator(middleware: MiddlewareT) -> MiddlewareT:
            name, where, target = describe_callable(middleware)
            from inspect import iscoroutinefunction

            if not iscoroutinefunction(target):
                raise ConfigError(
                    f"the middleware {name} is not an async function",
                    cure=f"write async def {name}(request, call_next)",
                    location=where or location,
                )
            self.middleware_specs.append(MiddlewareSpec(middleware, name, scope, where or location))
            return middleware

        return decorator if function is None else decorator(function)

    def on_startup(self, hook: HookT) -> HookT:
        """Runs `hook` on the loop before the first request."""
        self._refuse_when_built("a start-up hook", caller_location())
        self._startup.append(hook)
        return hook

    def on_shutdown(self, hook: HookT) -> HookT:
        """Runs `hook` on the loop after the last request, the hook that was registered last first."""
        self._refuse_when_built("a shutdown hook", caller_location())
        self._shutdown.append(hook)
        return hook

    def _refuse_when_built(self, what: str, location: str) -> None:
        if self._native is not None:
            raise ConfigError(
                f"{what} was registered after the app was built",
                cure="register everything before run(), start(), routes and stack()",
                location=location,
            )

    def use_store(self, url: str | None) -> None:
        """Replaces the store, as a deployment or a test may want; before the app is built."""
        if url != self._store:
            self._refuse_when_built(f"the store {url}", caller_location())
            self._store = url

    # What was built

    def build(self) -> _ziggurat.App:
        """Freezes the app: checks it, opens the store and puts the stack together. Later calls change nothing."""
        with self._build_lock:
            if self._native is None:
                self._native = self._build()
            return self._native

    def _build(self) -> _ziggurat.App:
        settings: dict[str, object] = {
            "store": self._store,
            "layers": [_layer_spec(layer, self._location) for layer in self.layers],
            "location": self._location,
        }
        if self._sync_threads is not None:
            settings["sync_threads"] = self._sync_threads
        native = _ziggurat.App(json.dumps(settings))
        for route in self.route_specs:
            plan, objects = route.plan.to_native(status=route.status, auth=route.auth)
            native.add_handler(route.method, route.path, plan, route.plan.function, objects)
        if self.crud_specs:
            from . import _schema

            for crud in self.crud_specs:
                options = {
                    "path": crud.path,
                    "ops": crud.ops,
                    "auth": crud.auth,
                    "client_id": crud.client_id,
                    "default_limit": crud.default_limit,
                    "max_limit": crud.max_limit,
                    "body_limit": crud.body_limit,
                    "location": crud.location,
                }
                native.add_crud(_schema.describe(crud.model), json.dumps(options))
        for middleware in self.middleware_specs:
            native.add_middleware(middleware.function, middleware.name, middleware.paths)
        from . import openapi

        self._openapi = openapi.document(self, json.loads(native.crud_openapi()))
        if self.openapi_path is not None:
            text = json.dumps(self._openapi, ensure_ascii=False, separators=(",", ":"))
            native.add_document(self.openapi_path, "application/json", text.encode())
        native.build()
        return native

    @property
    def routes(self) -> list[RouteInfo]:
        """Every route, in the order of registration."""
        return [RouteInfo(**{**entry, "stack": tuple(entry["stack"])}) for entry in json.loads(self.build().routes())]

    def stack(self, path: str) -> list[StackInfo]:
        """What a request to the concrete `path` passes, for each method that is answered there."""
        return [
            StackInfo(entry["method"], tuple(entry["passes"]), tuple(entry["enters_python"]))
            for entry in json.loads(self.build().stack(path))
        ]

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of every route, as it is served at `openapi_path`."""
        self.build()
        return self._openapi

    def attach_counts(self) -> dict[Literal["native", "crud", "python"], int]:
        """How often this process entered the interpreter on behalf of a leaf of each kind."""
        return self.build().attach_counts()

    # Running

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        log_level: str | None = None,
        drain_timeout: float = 30.0,
        on_started: Callable[[Started], None] | None = None,
        **server: Any,
    ) -> None:
        """Serves until SIGINT or SIGTERM, then lets requests in flight finish for up to `drain_timeout` seconds.

        A second signal drops them. It runs PyLoop on this thread, which must be the main thread. `server` takes the settings of the
        native server: `backlog`, `reuse_port`, `keep_alive_timeout`, `max_connections` and so on. `on_started` is told the address;
        without it a banner is written to standard error. What is not given comes from `ZIGGURAT_HOST`, `ZIGGURAT_PORT` and
        `ZIGGURAT_LOG_LEVEL`, else it is 127.0.0.1, 8000 and info. `ZIGGURAT_STORE` replaces the app's store.
        """
        from . import _settings
        from ._serve import run

        self.use_store(_settings.setting("store", None, str, self._store))
        run(
            self,
            _settings.setting("host", host, str, "127.0.0.1"),
            _settings.setting("port", port, _settings.port, 8000),
            log_level=_settings.setting("log_level", log_level, _settings.log_level, None),
            settings={"drain_timeout": drain_timeout, **server},
            on_started=on_started,
        )

    def start(self) -> None:
        """Runs PyLoop on a thread of its own, so that `request` can be called. Does nothing when it runs already."""
        from ._serve import InProcess

        with self._start_lock:
            if self._in_process is None:
                self._in_process = InProcess.start(self)

    def stop(self) -> None:
        """Runs the shutdown hooks and ends what `start` began."""
        with self._start_lock:
            running, self._in_process = self._in_process, None
        if running is not None:
            running.stop()

    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Sends a request through the real stack without a socket, and waits for the whole answer."""
        return self.build().request(method, target, list(headers), body)

    async def _lifecycle(self) -> AsyncIterator[None]:
        """Start-up hooks, a pause while the app serves, and shutdown hooks."""
        from inspect import isawaitable

        context = self._lifespan(self) if self._lifespan is not None else None
        if context is not None:
            await context.__aenter__()
        try:
            for hook in self._startup:
                waiting = hook()
                if isawaitable(waiting):
                    await waiting
            yield
            for hook in reversed(self._shutdown):
                waiting = hook()
                if isawaitable(waiting):
                    await waiting
        finally:
            if context is not None:
                await context.__aexit__(None, None, None)


def _scopes(auth: Auth, what: str, location: str) -> list[str] | None:
    if auth is False or auth is None:
        return None
    if auth is True:
        return []
    scopes = [auth] if isinstance(auth, str) else list(auth)
    if not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ConfigError(
            f"{what}: auth={auth!r} is not understood",
            cure="write True, False or a list of scopes",
            location=location,
        )
    return scopes


def _layer_spec(layer: Any, location: str) -> dict[str, object]:
    to_spec = getattr(layer, "to_spec", None)
    if to_spec is None or isinstance(layer, type):
        written = layer.__name__ if isinstance(layer, type) else repr(layer)
        raise ConfigError(
            f"{written} is not a layer",
            cure="give instances from ziggurat.layers, as layers.Trace()",
            location=location,
        )
    spec: dict[str, object] = to_spec()
    return spec
