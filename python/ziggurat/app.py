"""The application: what it serves, how it is built, and how it is run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar

from . import _openapi_info, _ziggurat
from ._app_handlers import AppHandlers
from ._declared import Declared
from ._forms import FormLimits, form_limits
from ._info import RouteInfo, StackInfo, Started
from ._lifecycle import Hook, Lifespan, checked_lifespan
from ._location import user_location
from ._openapi_info import Contact, License, Server, Tag
from ._pages import DOCS_PATH, LIVE_PATH, Page, Pages, is_debug
from ._param_depends import DependencyOverrides
from ._param_depends import checked as dependencies_of
from ._specs import AnyLayer, Errors, MountSpec, errors_of
from ._state import State
from .exceptions import ConfigError
from .guards import Guard, asked, checked
from .params import Compiled
from .routing import CrudSpec, NativeSpec, Op, RouteSpec

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from ._catches import ExceptionHandler
    from ._paths import Paths

__all__ = ["CrudSpec", "RouteInfo", "RouteSpec", "StackInfo", "Started", "Ziggurat"]

HookT = TypeVar("HookT", bound=Hook)


class Ziggurat(Declared):
    """An HTTP application.

    `layers` are given outermost first. Unless they are given, CatchPanic, RequestId, Timeout(60 s) and BodyLimit(1 MiB) stand
    around them. Middleware registered first is outermost, and stands inside all layers.

    `guards` ask something of the caller of every route of the app that does not say `auth=PUBLIC`, other than the document at
    `openapi_path`: see `ziggurat.guards`.

    With `strict` the app is not built while anybody may change something without a token: every mount, and every POST, PUT, PATCH and DELETE route
    says what it asks for with `auth=`, or that it is open with `auth=PUBLIC`; a `policy=` that asks who the caller is will do, too.

    A store whose rows were written by other models is brought in line with those of the app when that is built, where nothing is lost
    by it. With `migrate="never"` it is refused instead, and `ziggurat db apply` does it; a store that holds nothing yet is made in any
    case. Where it is not given, `ZIGGURAT_MIGRATE` decides.

    With `int64="string"` the ints of models stand in strings in JSON unless their bounds keep them within 2**53 - 1, since JavaScript
    holds no greater one exactly; bodies may have them as numbers, too.

    `exception_handlers` answer for exceptions by class or status, as those that `exception_handler` adds.

    A datetime of a model has to say its offset from UTC. With `naive="utc"` one that does not is taken for a time in UTC, in bodies, in
    filters and in what code gives; answers say `Z` as ever.

    `dependencies` are called before each handler in Python, whatever they give: `[Depends(function)]`. `state` is room for what the app's
    code keeps; a class of yours says what that is.

    With `errors="fastapi"` handlers in Python tell of what was wrong as FastAPI does, `{"detail": [{"type": ..., "loc": ...}]}`, unless
    a route says otherwise; without it they answer problem documents.

    `forms` says how much a form may hold, and where great files of one are kept, where no route does: see `FormLimits`.

    `title`, `version`, `description`, `summary`, `terms_of_service`, `contact` and `license_info` are told in the OpenAPI document, as
    are `servers` and what `openapi_tags` say of tags; see `ziggurat.openapi` for their members.

    The document is at `openapi_path`, a page that shows it and sends requests at `docs_path`; None leaves one out, and a `Page` says
    what stands before it. What stands before the document stands before the other, too, unless that is a `Page` of its own.

    With `debug`, which where it is not given is what `ZIGGURAT_ENV=development` says, an exception that nobody expected is answered with
    its traceback, and `live_path` shows the app at work: both to this machine alone. In production neither is there, unless `live_path`
    is a `Page` with guards.
    """

    def __init__(
        self,
        *,
        store: str | None = None,
        migrate: Literal["auto", "never"] | None = None,
        layers: Iterable[AnyLayer] = (),
        guards: Sequence[Guard] = (),
        title: str = "Ziggurat",
        version: str = "0.1.0",
        description: str | None = None,
        summary: str | None = None,
        terms_of_service: str | None = None,
        contact: Contact | None = None,
        license_info: License | None = None,
        servers: Sequence[Server] = (),
        openapi_tags: Sequence[Tag] = (),
        openapi_path: str | Page | None = "/openapi.json",
        docs_path: str | Page | None = DOCS_PATH,
        live_path: str | Page | None = LIVE_PATH,
        debug: bool | None = None,
        lifespan: Lifespan | None = None,
        sync_threads: int | None = None,
        strict: bool = False,
        int64: Literal["number", "string"] = "number",
        naive: Literal["refuse", "utc"] = "refuse",
        exception_handlers: Mapping[type[Exception] | int, ExceptionHandler] | None = None,
        dependencies: Sequence[Any] = (),
        state: State | None = None,
        errors: Errors = "problem",
        forms: FormLimits | None = None,
        **others: Never,
    ) -> None:
        if others:
            from ._elsewhere import unexpected

            raise unexpected("an app", type(self), others)
        super().__init__(layers=layers, store=store, migrate=migrate, int64=int64, naive=naive)
        for kind, function in (exception_handlers or {}).items():
            self._catch(kind, function, user_location())
        self.title = title
        self.version = version
        self.description = description
        self.openapi_info = _openapi_info.info(
            user_location(),
            title=title,
            version=version,
            summary=summary,
            description=description,
            terms_of_service=terms_of_service,
            contact=contact,
            license_info=license_info,
        )
        self.servers = _openapi_info.servers(servers, user_location())
        self.openapi_tags = _openapi_info.tags(openapi_tags, user_location())
        self.guards = checked(guards, "the app", user_location())
        if state is not None and not isinstance(state, State):
            raise ConfigError(
                f"state={state!r} is no State",
                cure="derive a class from ziggurat.State, and give one of it",
                location=user_location(),
            )
        self.state = State() if state is None else state
        """What the app's code keeps, as attributes."""
        self._handlers = AppHandlers(self, dependencies_of(dependencies, "the app", user_location()))
        self._errors: Errors = errors_of(errors, "the app", user_location()) or "problem"
        self.forms = form_limits(forms, "the app", user_location()) or FormLimits()
        """What forms may hold, where no route says otherwise."""
        self._overrides = DependencyOverrides(self._handlers.override)
        self._debug = is_debug(debug)
        self._pages = Pages(openapi_path=openapi_path, docs_path=docs_path, live_path=live_path, debug=self._debug)
        self._target: str | None = None
        self._sync_threads = sync_threads
        self._strict = strict
        self._lifespan = None if lifespan is None else checked_lifespan(lifespan, user_location())
        self._lifespan_state: Mapping[str, Any] | None = None
        """What it gave, with which `request.state` begins."""
        self._startup: list[Hook] = []
        self._shutdown: list[Hook] = []
        self._native: _ziggurat.App | None = None
        self._handles: list[_ziggurat.LayerHandle] = []
        self._openapi: dict[str, Any] | None = None
        self._known_paths: Paths | None = None
        self._open_writes: list[str] = []
        self._build_lock = threading.RLock()
        self._start_lock = threading.Lock()
        self._location = user_location()
        self._in_process: Any = None

    def on_startup(self, hook: HookT) -> HookT:
        """Runs `hook` on the loop before the first request."""
        self._refuse_when_built("a start-up hook", user_location())
        self._startup.append(hook)
        return hook

    def on_shutdown(self, hook: HookT) -> HookT:
        """Runs `hook` on the loop after the last request, the hook that was registered last first."""
        self._refuse_when_built("a shutdown hook", user_location())
        self._shutdown.append(hook)
        return hook

    def _is_built(self) -> bool:
        return self._native is not None

    @property
    def dependency_overrides(self) -> DependencyOverrides:
        """What stands in for dependencies, as `app.dependency_overrides[get_db] = get_test_db` in tests; `app.dependency_overrides = {}` ends it."""
        return self._overrides

    @dependency_overrides.setter
    def dependency_overrides(self, others: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        self._overrides.replace(others)

    @property
    def debug(self) -> bool:
        """Whether the app is being developed."""
        return self._debug

    @property
    def openapi_path(self) -> str | None:
        """Where the OpenAPI document is."""
        return None if self._pages.document is None else self._pages.document.path

    @property
    def docs_path(self) -> str | None:
        """Where the page is that shows the document."""
        return None if self._pages.docs is None else self._pages.docs.path

    @property
    def live_path(self) -> str | None:
        """Where the page is that shows the app at work, if there is one."""
        return None if self._pages.live is None else self._pages.live.path

    # What was built

    def build(self) -> _ziggurat.App:
        """Freezes the app: checks it, opens the store and puts the stack together. Later calls change nothing."""
        # Without the lock, which is held while the document is made.
        native = self._native
        if native is None:
            with self._build_lock:
                if self._native is None:
                    from ._building import Building

                    self._listed = tuple(self._specs())
                    try:
                        self._native = Building(self).build()
                    finally:
                        if self._native is None:
                            self._listed = None
                native = self._native
        return native

    def compiled(self, route: RouteSpec) -> Compiled:
        """The handler of a route with all that it depends on."""
        return self._handlers.compiled(route)

    def errors_of(self, route: RouteSpec) -> Errors:
        """How a route tells of what was wrong."""
        return route.errors or self._errors

    def asked(self, route: RouteSpec | NativeSpec | MountSpec) -> list[dict[str, Any]] | None:
        """What a route asks of its caller, with what the app does; None is nothing at all."""
        scopes = route.auth
        if scopes is None and isinstance(route, RouteSpec) and self._handlers.declared(route).wants_claims:
            if route.public:
                raise ConfigError(
                    f"{route.name}: auth=PUBLIC lets everybody in, and Claims are of a caller who is known",
                    cure="write Claims | None",
                    location=route.location,
                )
            scopes = []
        return asked(scopes, route.guards if route.public else (*self.guards, *route.guards))

    def asked_of(self, crud: CrudSpec, op: Op) -> list[dict[str, Any]] | None:
        """What an operation asks of its caller, with what the app does; None is nothing at all."""
        guards = crud.guards[op]
        return asked(crud.auth[op], guards if op in crud.public else (*self.guards, *guards))

    @property
    def routes(self) -> list[RouteInfo]:
        """Every route, in the order of registration."""

        def lists_as_tuples(entry: dict[str, Any]) -> dict[str, Any]:
            return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}

        found = [RouteInfo(**lists_as_tuples(entry)) for entry in json.loads(self.build().routes())]
        mounts = self.mount_specs
        if mounts:
            from .mounting import with_mounted

            return with_mounted(found, mounts)
        return found

    def stack(self, path: str) -> list[StackInfo]:
        """What a request to the concrete `path` passes, for each method that is answered there."""
        found = [
            StackInfo(entry["method"], tuple(entry["passes"]), tuple(entry["enters_python"]))
            for entry in json.loads(self.build().stack(path))
        ]
        mounts = self.mount_specs
        if mounts:
            from .mounting import stacks_within

            return stacks_within(found, mounts, path)
        return found

    def url_path_for(self, name: str, /, **params: object) -> str:
        """The path of the route that is called `name`, with `params` in it: `app.url_path_for("user", id=7)` is `/users/7`.

        A handler is called as its function is, unless the route has a `name=`; operations of `@app.crud(User)` are `User.list`, `User.get` and so
        on. Values are written as they are read, and percent-encoded. `LookupError` when no route is called so and takes these parameters.
        """
        return self._paths().path(name, params)[0]

    def _url_for(self, origin: str, name: str, params: Mapping[str, object]) -> str:
        """The same as a URL, for a request to `origin`, which ends with where the app is mounted."""
        path, is_socket = self._paths().path(name, params)
        return f"ws{origin.removeprefix('http')}{path}" if is_socket else f"{origin}{path}"

    def _paths(self) -> Paths:
        from ._paths import Paths

        if not self._is_built():
            return Paths(self)
        if self._known_paths is None:
            self._known_paths = Paths(self)
        return self._known_paths

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of every route, as it is served at `openapi_path`."""
        self.build()
        with self._build_lock:
            if self._openapi is None:
                from . import openapi

                self._openapi = openapi.document(self)
            return self._openapi

    def attach_counts(self) -> dict[Literal["native", "crud", "python"], int]:
        """How often this process entered the interpreter on behalf of a leaf of each kind."""
        return self.build().attach_counts()

    # Running

    if not TYPE_CHECKING:  # which knows that it is none

        def __call__(self, *args: Any, **kwargs: Any) -> None:
            """Tells servers and clients of ASGI what to do in their place."""
            raise TypeError(
                "an app is served by Rust, and is no ASGI application; serve it with `ziggurat run module:app` or app.run(), "
                "and test it with TestClient or AsyncTestClient of ziggurat.testing"
            )

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        io_threads: int | None = None,
        log_level: str | None = None,
        drain_timeout: float = 30.0,
        slow_callback_duration: float | None = None,
        stuck_timeout: float | None = None,
        on_started: Callable[[Started], None] | None = None,
        **server: Any,
    ) -> None:
        """Serves until SIGINT, SIGTERM or SIGHUP, then lets requests in flight finish for up to `drain_timeout` seconds.

        A second signal drops them. It runs PyLoop on this thread, which must be the main thread.

        What holds the event loop for `slow_callback_duration` seconds is logged with its stack while it does, once for each place: 0.1
        while the app is developed, otherwise 1, and 0 logs nothing. What holds it for `stuck_timeout` seconds is ended, and the app with
        it, by `SystemExit(1)`, for a supervisor to start it anew; 0, which it is unless given, waits for ever.

        `io_threads` is the number of threads that serve connections and native routes beside the loop, one for each processor
        unless told. With 0 the loop's own thread serves them too (fused mode): no request is handed from thread to thread, which costs
        least where nearly every route is Python; but then a handler that computes holds up native routes as well.

        `server` takes the settings of the native server: `backlog`, `reuse_port`, `keep_alive_timeout`, `max_connections` and so on.
        `proxy_protocol=["10.0.0.0/8"]` names the proxies that begin each connection with a PROXY header, which says whose it is.
        `on_started` is told the address; without it a banner is written to standard error. What is not given comes from
        `ZIGGURAT_HOST`, `ZIGGURAT_PORT`, `ZIGGURAT_IO_THREADS` and `ZIGGURAT_LOG_LEVEL`, else it is 127.0.0.1, 8000, one for each
        processor, and info; so do `ZIGGURAT_SLOW_CALLBACK_DURATION` and `ZIGGURAT_STUCK_TIMEOUT`. `ZIGGURAT_STORE` replaces the app's
        store.
        """
        from . import _settings
        from ._serve import run

        self.use_store(_settings.setting("store", None, str, self._store))
        run(
            self,
            _settings.setting("host", host, str, "127.0.0.1"),
            _settings.setting("port", port, _settings.port, 8000),
            io_threads=_settings.setting("io_threads", io_threads, _settings.io_threads, None),
            log_level=_settings.setting("log_level", log_level, _settings.log_level, None),
            settings={"drain_timeout": drain_timeout, **server},
            on_started=on_started,
            slow_callback_duration=_settings.duration(
                "slow_callback_duration", slow_callback_duration, 0.1 if self._debug else 1.0
            ),
            stuck_timeout=_settings.duration("stuck_timeout", stuck_timeout, 0.0),
        )

    def start(self, *, io_threads: int | None = None, slow_callback_duration: float | None = None) -> None:
        """Runs PyLoop on a thread of its own, so that `request` can be called. Does nothing when it runs already.

        `io_threads` is what `run` takes: with 0, which `ZIGGURAT_IO_THREADS` can say too, requests are answered on PyLoop's thread.
        `slow_callback_duration` is that of `run`, but that nothing is logged unless it, or its variable, is given.
        """
        from . import _settings
        from ._serve import InProcess

        with self._start_lock:
            if self._in_process is None:
                threads = _settings.setting("io_threads", io_threads, _settings.io_threads, None)
                slow = _settings.duration("slow_callback_duration", slow_callback_duration, 0.0)
                self._in_process = InProcess.start(self, threads, slow)

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

    def connect(
        self,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        client: tuple[IPv4Address | IPv6Address, int] | None = None,
    ) -> tuple[tuple[int, list[tuple[str, str]], bytes], _ziggurat.TestSocket | None]:
        """Opens a WebSocket through the real stack without a socket of the system; gives the answer, and the client's end if it was
        accepted. `client` is where it comes from. `ziggurat.testing` makes it comfortable."""
        return self.build().connect(target, list(headers), client=client)
