"""What a handler needs: its signature is read once, at registration, and compiled to a `Plan`.

Rules, in this order:

- a parameter whose name stands in the path template is a path parameter;
- a parameter annotated `Request` is the request; `Response` is what is answered beside what the handler returns, and
  `BackgroundTasks` what runs behind the answer;
- a pydantic model, dataclass or typed dict (or a list of them) is the JSON body;
- any other scalar, and a list of scalars, is a query parameter.

`Annotated[..., Query()]`, `Path()`, `Header()` and `Body()` say it outright. Everything that cannot be filled is refused
with a `ConfigError` that names the parameter, the function and its line.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from ._ziggurat import Request, Response
from .background import BackgroundTasks
from .exceptions import ConfigError

__all__ = ["MISSING", "Body", "BodyParam", "Header", "Param", "Path", "Plan", "Query", "inspect_handler"]

Source = Literal["path", "query", "header"]
Special = Literal["response", "background"]
"""What is filled by its type, and has to do with the answer."""
Kind = Literal["int", "float", "bool", "str", "uuid", "datetime", "date", "enum"]


class _Missing(enum.Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing.MISSING
"""Stands where there is no default or no annotation, since `None` may be either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Marker:
    alias: str | None = None
    description: str | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Path(_Marker):
    """Takes the parameter from the path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query(_Marker):
    """Takes the parameter from the query string."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header(_Marker):
    """Takes the parameter from a header; `user_agent` reads `user-agent` unless `alias` names another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """Takes the parameter from the JSON body."""

    description: str | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """A scalar, or a list of scalars, that is read and checked before Python is entered."""

    name: str
    """As the function calls it."""
    alias: str
    """As it is called on the wire."""
    source: Source
    kind: Kind
    many: bool
    """Whether it is a list; its name may then stand in the query more than once."""
    nullable: bool
    default: object
    """`MISSING` when the parameter is required."""
    annotation: Any
    """The annotation without markers."""
    enum: type[enum.Enum] | None = None
    description: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    """Any of ge, gt, le, lt, min_length, max_length."""

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class BodyParam:
    """The JSON body."""

    name: str
    annotation: Any
    default: object
    validator: Any
    """Has `validate_json(bytes)`."""
    description: str | None = None

    @property
    def required(self) -> bool:
        """Whether a request without a body is refused."""
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known of a handler without calling it."""

    function: Callable[..., object]
    name: str
    location: str
    """`file:line` of the function."""
    is_async: bool
    order: tuple[str, ...]
    """Parameter names in the order in which they are passed; the last `len(keywords)` of them by name."""
    keywords: tuple[str, ...]
    params: tuple[Param, ...]
    body: BodyParam | None
    request: str | None
    """The name of the parameter that is the request."""
    special: Mapping[str, Special]
    """The names of those that are filled by their type otherwise, and with what."""
    returns: Any
    """The return annotation, or `MISSING`."""
    doc: str | None

    def to_native(
        self,
        *,
        status: int = 200,
        auth: list[dict[str, Any]] | None = None,
        catch: int | None = None,
        write: Callable[[Any], bytes] | None = None,
    ) -> tuple[str, list[object]]:
        """The plan as JSON for the native side, and the Python objects that it names by index."""
        objects: list[object] = []

        def keep(value: object) -> int:
            objects.append(value)
            return len(objects) - 1

        def default(value: object) -> int | None:
            return None if value is MISSING else keep(value)

        params = [
            {
                "name": p.name,
                "alias": p.alias,
                "source": p.source,
                "kind": p.kind,
                "many": p.many,
                "default": default(p.default),
                "members": [[str(m.value), keep(m)] for m in p.enum] if p.enum else [],
                **p.constraints,
            }
            for p in self.params
        ]
        body = None
        if self.body is not None:
            body = {
                "validate": keep(self.body.validator.validate_json),
                "default": default(self.body.default),
            }
        index = {p.name: i for i, p in enumerate(self.params)}
        args: list[object] = []
        for name in self.order:
            if name == self.request:
                args.append("request")
            elif name in self.special:
                args.append(self.special[name])
            elif self.body is not None and name == self.body.name:
                args.append("body")
            else:
                args.append({"param": index[name]})
        plan = {
            "name": self.name,
            "location": self.location,
            "async": self.is_async,
            "args": args,
            "keywords": self.keywords,
            "params": params,
            "body": body,
            "status": status,
            "auth": auth,
            "catch": catch,
            "write": None if write is None else keep(write),
        }
        return json.dumps(plan), objects


_SCALARS: dict[Any, Kind] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    UUID: "uuid",
    datetime: "datetime",
    date: "date",
}
_SPECIAL: dict[Any, Special] = {Response: "response", BackgroundTasks: "background"}
_SUPPORTED = "int, float, bool, str, UUID, datetime, date, an Enum, one of them or None, or a list of them"
_NAMES = re.compile(r"\{(\w+)(?::\w+)?\}")


def describe_callable(function: Callable[..., object]) -> tuple[str, str, Callable[..., object]]:
    """Name, `file:line` and the plain function of anything that can be called."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    if not (inspect.isfunction(target) or inspect.ismethod(target)):
        target = type(target).__call__ if not inspect.isclass(target) else target
    plain = inspect.unwrap(target)
    code = getattr(plain, "__code__", None)
    location = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    return name.rpartition("<locals>.")[2], location, target


def path_names(path: str) -> list[str]:
    """The parameters of a path template, from left to right."""
    return _NAMES.findall(path.replace("{{", "").replace("}}", ""))


def inspect_handler(
    function: Callable[..., object],
    path: str,
    *,
    localns: Mapping[str, object] | None = None,
    prefix: str = "",
) -> Plan:
    """Compiles `function`, the handler of `path` behind `prefix`, to a plan. It need not take what the prefix has of parameters.

    Raises `ConfigError` when a parameter cannot be filled.
    """
    if not callable(function):
        raise ConfigError(f"{function!r} is not a handler", cure="give a function")
    name, location, target = describe_callable(function)

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"{name}: {what}", cure=cure, location=location)

    if inspect.isclass(target):
        raise wrong("a class is not a handler", "give a function, or an instance whose class has __call__")
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise wrong(
            "a handler that yields is not supported",
            "return a dict, list, scalar, dataclass, pydantic model, str, bytes or Response",
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise wrong(f"its signature cannot be read ({error})", "wrap it in a function") from None
    try:
        hints = typing.get_type_hints(target, localns=dict(localns or {}), include_extras=True)
    except NameError as error:
        raise wrong(
            f"an annotation names {error.name!r}, which is not defined here",
            "import or define it before the handler, and not only for type checkers",
        ) from error

    in_path = path_names(prefix + path)
    order: list[str] = []
    keywords: list[str] = []
    params: list[Param] = []
    body: BodyParam | None = None
    request: str | None = None
    special: dict[str, Special] = {}
    bound = {k for k in function.keywords} if isinstance(function, functools.partial) else set()

    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise wrong(f"{star}{parameter.name} cannot be filled", "name each parameter")
        annotation = hints.get(parameter.name, MISSING)
        default = MISSING if parameter.default is parameter.empty else parameter.default
        filled = _fill(parameter.name, annotation, default, in_path, wrong)
        if isinstance(filled, BodyParam):
            if body is not None:
                raise wrong(
                    f"{body.name!r} and {filled.name!r} both take the body",
                    "put them into one model",
                )
            body = filled
        elif isinstance(filled, Param):
            params.append(filled)
        elif filled is not None:
            special[parameter.name] = filled
        else:
            if request is not None:
                raise wrong(f"{request!r} and {parameter.name!r} both are the request", "keep one")
            request = parameter.name
        order.append(parameter.name)
        # A partial that binds by name makes what follows keyword-only, which `signature` reflects.
        if parameter.kind is parameter.KEYWORD_ONLY:
            keywords.append(parameter.name)

    taken = {p.alias for p in params if p.source == "path"}
    for missing in path_names(path):
        if missing not in taken:
            raise wrong(
                f"the path {path} has a parameter {missing!r} that the function does not take",
                f"add {missing!r} to the function, or take it out of the path",
            )
    returns = hints.get("return", MISSING)
    return Plan(
        function=function,
        name=name,
        location=location,
        is_async=inspect.iscoroutinefunction(target),
        order=tuple(order),
        keywords=tuple(keywords),
        params=tuple(params),
        body=body,
        request=request,
        special=special,
        returns=returns,
        doc=inspect.getdoc(target) if inspect.isfunction(target) or inspect.ismethod(target) else None,
    )


_Wrong = Callable[[str, str], ConfigError]


def _fill(
    name: str, annotation: Any, default: object, in_path: list[str], wrong: _Wrong
) -> Param | BodyParam | Special | None:
    """What fills the parameter `name`; `None` is the request."""
    if isinstance(default, (_Marker, Body, FieldInfo)):
        raise wrong(
            f"the default of {name!r} is {type(default).__name__}(...)",
            f"write {name}: Annotated[type, {type(default).__name__}(...)] and a plain default",
        )
    if annotation is MISSING:
        if name in in_path:
            annotation = str
        elif name == "request":
            return None
        else:
            raise wrong(
                f"the parameter {name!r} has no annotation",
                f"write {name}: str, or annotate it with Request, a scalar or a model",
            )
    annotation, marker, constraints, description = _unwrap(name, annotation, wrong)
    if annotation is Request:
        return None
    if annotation in _SPECIAL:
        return _SPECIAL[annotation]

    if isinstance(marker, Body) or (marker is None and name not in in_path and _is_body(annotation)):
        return BodyParam(name, annotation, default, _validator(name, annotation, wrong), description)

    source: Source
    if isinstance(marker, Header):
        source, alias = "header", marker.alias or name.replace("_", "-").lower()
    elif isinstance(marker, Path) or (marker is None and name in in_path):
        source, alias = "path", (marker.alias if isinstance(marker, Path) and marker.alias else name)
        if alias not in in_path:
            raise wrong(
                f"{name!r} is a path parameter, but the path has no {{{alias}}}",
                f"add {{{alias}}} to the path",
            )
    else:
        source, alias = "query", (marker.alias if isinstance(marker, Query) and marker.alias else name)

    inner, nullable = _optional(annotation)
    many = False
    if get_origin(inner) is list:
        many = True
        inner, item_nullable = _optional((*get_args(inner), str)[0])
        if item_nullable:
            raise wrong(f"the items of {name!r} cannot be None", "drop None from the list's type")
    elif inner is list:
        many, inner = True, str
    if many and source == "path":
        raise wrong(f"the path parameter {name!r} cannot be a list", "take one value per segment")

    members: type[enum.Enum] | None = None
    kind = _SCALARS.get(inner) if isinstance(inner, type) else None
    if kind is None and isinstance(inner, type) and issubclass(inner, enum.Enum):
        kind, members = "enum", inner
    if kind is None:
        raise wrong(
            f"the parameter {name!r} has the type {_spell(annotation)}, which cannot be read from the {source}",
            f"supported are {_SUPPORTED}; a JSON body is a pydantic model, a dataclass or Annotated[type, Body()]",
        )
    _check_constraints(name, kind, constraints, wrong)
    if default is MISSING and nullable and source != "path":
        default = None
    return Param(
        name=name,
        alias=alias,
        source=source,
        kind=kind,
        many=many,
        nullable=nullable,
        default=default,
        annotation=annotation,
        enum=members,
        description=description,
        constraints=constraints,
    )


_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length")


def _unwrap(
    name: str, annotation: Any, wrong: _Wrong
) -> tuple[Any, _Marker | Body | None, dict[str, float], str | None]:
    """Takes `Annotated` apart; what is not understood is refused, never dropped."""
    marker: _Marker | Body | None = None
    constraints: dict[str, float] = {}
    description: str | None = None
    if get_origin(annotation) is not Annotated:
        return annotation, marker, constraints, description
    annotation, *extras = get_args(annotation)
    while extras:
        extra = extras.pop(0)
        if isinstance(extra, type) and issubclass(extra, (_Marker, Body)):
            extra = extra()
        if isinstance(extra, FieldInfo):
            description = extra.description or description
            extras = [*extra.metadata, *extras]
            continue
        if isinstance(extra, str):
            description = extra
            continue
        if isinstance(extra, (_Marker, Body)):
            if marker is not None:
                raise wrong(f"{name!r} has two markers", "keep one of Path, Query, Header and Body")
            marker = extra
            description = extra.description or description
            if isinstance(extra, Body):
                continue
        found = {key: getattr(extra, key) for key in _LIMITS if getattr(extra, key, None) is not None}
        if not found and not isinstance(extra, _Marker):
            raise wrong(
                f"{name!r} is annotated with {extra!r}, which is not understood",
                "use Path(), Query(), Header() or Body() and the limits ge, gt, le, lt, min_length, max_length",
            )
        constraints.update(found)
    return annotation, marker, constraints, description


def _check_constraints(name: str, kind: Kind, constraints: Mapping[str, float], wrong: _Wrong) -> None:
    for limit, value in constraints.items():
        fits = kind == "str" if limit.endswith("_length") else kind in ("int", "float")
        if not fits or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong(
                f"{name!r} is a {kind}, so the limit {limit}={value!r} cannot be checked",
                "use ge, gt, le and lt with int and float, min_length and max_length with str",
            )


def _optional(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        args = [a for a in get_args(annotation) if a is not types.NoneType]
        if len(args) == 1 and len(args) < len(get_args(annotation)):
            inner = args[0]
            return (get_args(inner)[0] if get_origin(inner) is Annotated else inner), True
    return annotation, False


def _is_body(annotation: Any) -> bool:
    """Whether an annotation without a marker can only be the JSON body."""
    inner, _ = _optional(annotation)
    origin = get_origin(inner)
    if origin in (Union, types.UnionType):
        return all(_is_body(a) for a in get_args(inner) if a is not types.NoneType)
    if origin is list:
        return bool(get_args(inner)) and _is_body(get_args(inner)[0])
    if origin is dict or inner is dict:
        return True
    return is_typeddict(inner) or (
        isinstance(inner, type) and (issubclass(inner, BaseModel) or dataclasses.is_dataclass(inner))
    )


def _validator(name: str, annotation: Any, wrong: _Wrong) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not annotation.__pydantic_complete__ and annotation.model_rebuild(raise_errors=False) is False:
            raise wrong(
                f"the model {annotation.__name__} of {name!r} names types that are not defined",
                f"define them before the handler, or call {annotation.__name__}.model_rebuild()",
            )
        return annotation.__pydantic_validator__
    try:
        return TypeAdapter(annotation).validator
    except Exception as error:  # pydantic has no common base for what it raises here
        raise wrong(f"the body {name!r} cannot be validated: {error}", "use a pydantic model") from error


def _spell(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
