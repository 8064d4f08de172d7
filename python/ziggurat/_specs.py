"""What is declared of a route, a resource and a middleware, and the checks of what they are given alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast, get_args

from ._forms import FormLimits
from ._layer import Layer
from ._layer_python import Middleware
from ._openapi_shown import Responses, Shown
from ._param_depends import Dependency
from ._record import record
from ._returns import Returned
from .exceptions import ConfigError
from .guards import Guard, checked
from .params import Plan
from .policy import Policy
from .requests import Request
from .responses import Response

if TYPE_CHECKING:
    from ._asgi import ASGIApp
    from ._catches import Scope
    from ._returns import IncEx
    from ._ziggurat import NativeService
    from .app import Ziggurat
    from .hooks import Hooks

AnyLayer = Layer | Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]
"""A layer, or a function that is a middleware."""
SkippedLayer = str | type[Layer] | Callable[..., Any]
"""A layer that is skipped: its class, its name, or the function that is a middleware."""
Op = Literal[
    "list",
    "create",
    "get",
    "replace",
    "patch",
    "delete",
    "count",
    "export",
    "deleted",
    "restore",
    "changes",
    "query",
    "patch_many",
    "delete_many",
    "group",
    "import",
]


class _Public(Enum):
    PUBLIC = "PUBLIC"

    def __repr__(self) -> str:
        return self.value


PUBLIC: Final = _Public.PUBLIC
"""`auth=PUBLIC` lets everyone in, and says that this is meant: neither the start-up warning nor `strict` minds it."""

Auth = bool | str | Sequence[str] | Literal[_Public.PUBLIC]
"""False and PUBLIC let everyone in, True everyone with a valid token, and scopes those whose token has all of them."""

ReadFrom = Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]
"""Which members of a MongoDB replica set are read from, as MongoDB calls them."""

OPS: tuple[Op, ...] = get_args(Op)
READS: frozenset[Op] = frozenset(("list", "get", "count", "group", "export", "deleted", "query"))
if TYPE_CHECKING:

    class Ops(frozenset[Op]):
        """A set of operations, to which others are added."""

        # That of the base class makes texts of all where the others stand in a set that is written out; which are none is told at
        # registration.
        def __or__(self, value: AbstractSet[str]) -> frozenset[Op]: ...  # type: ignore[override]


CORE: Ops = cast("Ops", frozenset(("list", "create", "get", "replace", "patch", "delete")))
"""The operations that `crud` serves unless others are named: `ops=CORE | {"count"}` adds one."""
METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


Errors = Literal["problem", "fastapi"]
"""Problem documents (RFC 9457), or `{"detail": ...}` as FastAPI has it."""


class RouteOptions(TypedDict, total=False):
    """What a route may be given beside its path."""

    auth: Auth
    """Who may call it; everybody unless given."""
    guards: Sequence[Guard]
    """What else is asked of who calls it, as `[HasRole("editor")]`; see `ziggurat.guards`."""
    name: str | None
    """What it is called in logs, lists, documents and by `url_for`; the function's name unless given."""
    tags: Sequence[str]
    """Under which the document lists it, beside those of its routers."""
    summary: str | None
    """For the document; the first paragraph of the docstring unless given."""
    description: str | None
    """For the document; the rest of the docstring unless given."""
    status: int
    """Of answers that are not a `Response`; 200 unless given."""
    status_code: int
    """Another name of `status`."""
    response_model: Any
    """What the handler returns; its return annotation unless given. It is written as this type says: a value of another one is cut to the
    fields that are declared, or is a failure where it lacks some. None writes every value as it is."""
    response_model_include: IncEx | None
    """The only fields of a model that are written; of one in a list `{"__all__": {...}}` says so."""
    response_model_exclude: IncEx | None
    """Fields of a model that are not written."""
    response_model_exclude_unset: bool
    """Whether fields of a pydantic model are left out that were not set."""
    response_model_exclude_defaults: bool
    """Whether fields are left out that hold their default."""
    response_model_exclude_none: bool
    """Whether fields are left out that are None."""
    response_model_by_alias: bool
    """Whether fields are called by their aliases; they are unless told."""
    media_type: str | None
    """Of what a handler yields as chunks or lines."""
    responses: Responses
    """Other answers for the document, by status: `{404: {"description": "No such item", "model": Problem}}`, and whatever OpenAPI
    has of an answer."""
    operation_id: str | None
    """What generated clients call it; made of the function's name unless given."""
    deprecated: bool
    """Whether the document says that it should be used no more."""
    include_in_schema: bool
    """Whether the document shows it; it does unless given."""
    layers: Sequence[AnyLayer]
    """Layers around this route alone, inside the layers and the middleware of the app and of its router, outermost first."""
    skip_layers: Sequence[SkippedLayer]
    """Layers of the app that a request to this route does not pass."""
    dependencies: Sequence[Any]
    """`[Depends(function)]`: called before the handler, whatever they give."""
    errors: Errors | None
    """How clients are told what was wrong; as the app says unless given."""
    forms: FormLimits | None
    """What a form may hold; as its routers say unless given, or the app."""
    max_body: int | None
    """How many bytes a body may have, more or less than `layers.BodyLimit` of the app says of others."""


@record(kw_only=True)
class RouteSpec:
    """A Python handler at a path, as it was declared."""

    method: str
    path: str
    plan: Plan
    auth: list[str] | None
    """None is open, an empty list asks for any valid token."""
    guards: tuple[Guard, ...] = ()
    public: bool
    """Whether it is meant to be open."""
    name: str
    tags: tuple[str, ...] = ()
    summary: str | None = None
    description: str | None = None
    status: int = 200
    operation_id: str | None = None
    layers: tuple[Layer, ...] = ()
    skip_layers: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    """Those of routers; the plan has those of the route."""
    errors: Errors | None = None
    """None is what the app says."""
    forms: FormLimits | None = None
    """None is what the app says."""
    max_body: int | None = None
    """None is what the layers say."""
    location: str
    """`file:line` of the decorator."""
    returned: Returned = field(default_factory=Returned)
    shown: Shown = field(default_factory=Shown)
    catches: tuple[Scope, ...] = ()
    """Handlers of exceptions, those of the app first."""
    websocket: str | None = None
    """What the native side is told of its sockets, where it is a route of WebSockets."""


@dataclass(frozen=True)
class Pending:
    """A handler that is inspected when its whole path is known, since that says which of its arguments come from there."""

    path: str
    made: Callable[[str, str], list[RouteSpec]]
    """Of a prefix and the path."""
    _known: dict[str, list[RouteSpec]] = field(default_factory=dict, repr=False)

    def at(self, prefix: str) -> list[RouteSpec]:
        """The handler of each method."""
        if prefix not in self._known:
            self._known[prefix] = self.made(prefix, self.path)
        return self._known[prefix]


@record
class CrudSpec:
    """A model that is served natively, as it was declared."""

    model: type[Any]
    path: str
    ops: tuple[Op, ...]
    auth: dict[Op, list[str] | None]
    guards: dict[Op, tuple[Guard, ...]]
    public: tuple[Op, ...]
    """The operations that are meant to be open."""
    policy: Policy | None
    tags: tuple[str, ...]
    client_id: bool
    default_limit: int
    max_limit: int
    body_limit: int | None
    """None takes what the app takes, and 1 MiB at most."""
    import_limit: int
    max_affected: int
    gone: bool
    unindexed: Literal["allow", "warn", "deny"]
    filterable: tuple[str, ...] | None
    sortable: tuple[str, ...] | None
    expandable: bool
    search: tuple[str, ...]
    shard_key: str | None
    read_from: dict[Op, ReadFrom]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    offset: bool
    envelope: bool
    cache: str | None
    upsert: bool
    bulk: bool
    idempotency: bool
    concurrency: Literal["optional", "required"]
    coerce: Literal["strict", "pydantic"]
    errors: Literal["problem", "fastapi"]
    layers: tuple[Layer, ...]
    skip_layers: tuple[str, ...]
    hooks: Hooks | None
    location: str
    catches: tuple[Scope, ...] = ()
    """Handlers of exceptions, those of the app first."""
    shown: Shown = field(default_factory=Shown)


@record
class NativeSpec:
    """A handler in Rust at a path, as it was declared."""

    method: str | None
    """None is every method that no other route at the path names."""
    path: str
    service: NativeService
    auth: list[str] | None
    """None is open, an empty list asks for any valid token."""
    guards: tuple[Guard, ...]
    public: bool
    layers: tuple[Layer, ...]
    skip_layers: tuple[str, ...]
    location: str
    catches: tuple[Scope, ...] = ()
    """Handlers of exceptions, those of the app first."""
    tags: tuple[str, ...] = ()
    shown: Shown = field(default_factory=Shown)


@record
class MountSpec:
    """An app, or an application of another framework, at and below a path."""

    path: str
    """Without a slash at its end; empty for the whole."""
    app: Ziggurat | ASGIApp
    name: str
    auth: list[str] | None
    """None is open, an empty list asks for any valid token."""
    guards: tuple[Guard, ...]
    public: bool
    layers: tuple[Layer, ...]
    skip_layers: tuple[str, ...]
    location: str
    state: dict[str, Any]
    """What the lifespan of an ASGI application leaves for its requests."""
    sockets: str
    """What the native side is told of the WebSockets of an ASGI application."""


def listed(methods: Sequence[str]) -> Sequence[str]:
    return [methods] if isinstance(methods, str) else methods


def verbs_of(methods: Sequence[str], path: str, location: str) -> list[str]:
    """The methods, in capitals."""
    verbs = [method.upper() for method in listed(methods)]
    for verb in verbs:
        if verb not in METHODS:
            raise ConfigError(
                f"{path}: {verb!r} is not a method",
                cure=f"choose from {', '.join(sorted(METHODS))}",
                location=location,
            )
    return verbs


def path_of(path: object, what: str, location: str) -> str:
    """The path, or an error where `@app.get` stands without parentheses."""
    if isinstance(path, str):
        return path
    written = getattr(path, "__name__", repr(path))
    raise ConfigError(
        f"{written} was given as a path", cure=f'write @app.{what}("/{written}") above it', location=location
    )


def tags_of(tags: Sequence[str], what: str, location: str) -> tuple[str, ...]:
    """The tags, of which there may be several."""
    if isinstance(tags, str):
        raise ConfigError(f"{what}: tags is one text", cure=f"write tags=[{tags!r}]", location=location)
    # A member of a StrEnum is its text, also where that is written as YAML.
    found = tuple(tag.value if isinstance(tag, Enum) else tag for tag in tags)
    for tag in found:
        if not isinstance(tag, str):
            raise ConfigError(f"{what}: {tag!r} is no tag", cure="give texts, or an Enum of them", location=location)
    return found


def layer_of(layer: object, what: str, location: str) -> Layer:
    """The layer; a plain function becomes a middleware."""
    if isinstance(layer, Layer):
        return layer
    is_layer_class = isinstance(layer, type) and issubclass(layer, Layer)
    if callable(layer) and not is_layer_class:
        return Middleware(layer)
    written = layer.__name__ if isinstance(layer, type) else repr(layer)
    raise ConfigError(
        f"{what}: {written} is not a layer" if what else f"{written} is not a layer",
        cure="give instances from ziggurat.layers, as layers.Trace()",
        location=location,
    )


def layers_of(layers: Sequence[AnyLayer], what: str, location: str) -> tuple[Layer, ...]:
    """The layers of a route or a router."""
    if isinstance(layers, Layer) or callable(layers):
        raise ConfigError(f"{what}: layers is one layer", cure="write a list, as layers=[...]", location=location)
    found = tuple(layer_of(layer, what, location) for layer in layers)
    for layer in found:
        if isinstance(layer, Middleware) and layer.paths is not None:
            raise ConfigError(
                f"{what}: the middleware {layer.name} has paths, and wraps what it is given to",
                cure="leave paths out, or give it to the app",
                location=location,
            )
    return found


def skips_of(layers: Sequence[SkippedLayer], what: str, location: str) -> tuple[str, ...]:
    """The names of the layers."""
    given = [layers] if isinstance(layers, str) or callable(layers) else layers
    return tuple(sorted({_skipped(layer, what, location) for layer in given}))


def _skipped(layer: object, what: str, location: str) -> str:
    if isinstance(layer, str):
        return layer
    if isinstance(layer, Middleware):
        return layer.name
    if isinstance(layer, type) and issubclass(layer, Layer):
        return layer.__name__
    if callable(layer):
        from .params import describe_callable

        return describe_callable(layer)[0]
    raise ConfigError(
        f"{what}: skip_layers holds {layer!r}",
        cure='name layers by their class or its name, as layers.Compression or "Compression"',
        location=location,
    )


def members(read_from: ReadFrom | Mapping[Op, ReadFrom] | None, ops: Iterable[Op]) -> dict[Op, ReadFrom]:
    """Which members each operation reads from, where it was said."""
    if read_from is None:
        return {}
    if isinstance(read_from, str):
        return {op: read_from for op in ops if op in READS}
    return dict(read_from)


def guards_of(guards: object, auth: Auth, what: str, location: str) -> tuple[Guard, ...]:
    found = checked(guards, what, location)
    if found and auth is PUBLIC:
        raise ConfigError(
            f"{what}: auth=PUBLIC lets everybody in, and guards do not", cure="give one of them", location=location
        )
    return found


def errors_of(errors: object, what: str, location: str) -> Errors | None:
    if errors not in (None, "problem", "fastapi"):
        raise ConfigError(
            f"{what}: errors={errors!r} is no way to tell of them",
            cure='write "problem" or "fastapi"',
            location=location,
        )
    return errors


def status_of(status: object, status_code: object, what: str, location: str) -> int:
    """The status, by either of its names."""
    if status is not None and status_code is not None:
        raise ConfigError(
            f"{what}: status and status_code are two names of one thing", cure="give one of them", location=location
        )
    given = status if status is not None else 200 if status_code is None else status_code
    # Those of `http.HTTPStatus` are ints.
    if isinstance(given, bool) or not isinstance(given, int) or not 200 <= given <= 599:
        raise ConfigError(
            f"{what}: {given!r} is not a status of an answer", cure="give a number from 200 to 599", location=location
        )
    return int(given)


def scopes_of(auth: Auth, what: str, location: str) -> list[str] | None:
    if auth is False or auth is None or auth is PUBLIC:
        return None
    if auth is True:
        return []
    scopes = [auth] if isinstance(auth, str) else list(auth)
    if not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ConfigError(
            f"{what}: auth={auth!r} is not understood",
            cure="write True, False, PUBLIC or a list of scopes",
            location=location,
        )
    return scopes
