"""What a handler and its dependencies are called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ._callables import Parameter, Wrong, describe_callable, parameters_of, spell
from ._elsewhere import is_elsewhere, written_here
from ._param_bodies import BodyParam, body, is_body
from ._param_depends import Dependency, Depends, Scope
from ._param_driver import Kind, Step
from ._param_forms import form, is_form
from ._param_markers import MISSING, Body, File, Marker, Path
from ._param_models import ModelParam, is_model, model
from ._param_scalars import Param, alias_of, source_of
from ._param_texts import value
from ._param_unwrap import Unwrapped, optional, unwrap
from ._record import record
from ._security_scheme import SecurityScheme
from ._state import Claims, State
from ._ziggurat import Request, Response, WebSocket
from .background import BackgroundTasks
from .exceptions import ConfigError

__all__ = ["Argument", "Call", "Graph", "Known", "Role", "Special", "Wanted", "call_of"]

Role = Literal["handler", "websocket", "hook"]
"""What is called: what gives an answer, what speaks on a WebSocket, or what a native write passes through."""


@record
class Special:
    """What is given by its type."""

    kind: str
    """What the native side calls it."""
    required: bool = True


@record
class Wanted:
    """What a dependency makes."""

    dependency: Dependency
    function: Callable[..., Any]


@record
class StateOf:
    """The state of the app."""

    cls: type[State]


Filled = Param | ModelParam | BodyParam | Special | Wanted | StateOf

SPECIAL: dict[Any, str] = {
    Request: "request",
    WebSocket: "websocket",
    Claims: "claims",
    Response: "response",
    BackgroundTasks: "background",
}
"""What is given to a parameter that is annotated so."""

_NAMED = {
    "request": "Request",
    "websocket": "WebSocket",
    "ws": "WebSocket",
    "response": "Response",
}
"""Names that are meant as something else than what a client sends."""

_ONCE = {"request": "the request", "websocket": "the WebSocket"}
"""What a function is given once, and what it is called."""


@record
class Argument:
    """What fills a parameter."""

    name: str
    by_name: bool
    filled: Filled

    def is_special(self, kind: str) -> bool:
        """Whether it is given by its type, as this."""
        return isinstance(self.filled, Special) and self.filled.kind == kind


@record
class Call:
    """A handler or a dependency, and what it is called with."""

    function: Callable[..., Any]
    target: Any
    name: str
    location: str
    """`file:line` of the function."""
    kind: Kind
    arguments: tuple[Argument, ...]
    returns: Any
    """The return annotation, or `MISSING`."""

    def wrong(self, what: str, cure: str) -> ConfigError:
        """An error of it."""
        return ConfigError(f"{self.name}: {what}", cure=cure, location=self.location)


class Known:
    """What was read already, of which other handlers have the same. What a key has the id of stands beside the value, so that it stays its own."""

    def __init__(self) -> None:
        self.calls: dict[tuple[object, ...], tuple[Call, Mapping[str, object] | None]] = {}
        """Dependencies."""
        self.parameters: dict[tuple[object, ...], tuple[Filled, Parameter]] = {}
        """What fills a parameter."""


def call_of(
    function: Callable[..., Any],
    in_path: list[str],
    localns: Mapping[str, object] | None,
    known: Known,
    *,
    is_handler: bool,
    given: int = 0,
) -> Call:
    """Finds out what fills each parameter of `function`, but the first, of which so many are given by who calls it."""
    name, location, target = describe_callable(function)

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"{name}: {what}", cure=cure, location=location)

    kind: Kind = "value"
    if inspect.isasyncgenfunction(target):
        kind = "asyncgen"
    elif inspect.isgeneratorfunction(target):
        kind = "generator"
    elif inspect.iscoroutinefunction(target):
        kind = "async"
    if is_handler and inspect.isclass(target):
        raise wrong("a class is not a handler", "give a function, or an instance whose class has __call__")
    parameters, returns = parameters_of(function, target, localns, wrong)
    arguments: list[Argument] = []
    for parameter in parameters[given:]:
        key = (parameter.name, id(parameter.annotation), id(parameter.default), *in_path)
        if key not in known.parameters:
            known.parameters[key] = (
                _fill(parameter.name, parameter.annotation, parameter.default, in_path, wrong),
                parameter,
            )
        filled = known.parameters[key][0]
        if isinstance(filled, Special) and filled.kind in _ONCE:
            taken = next((each.name for each in arguments if each.is_special(filled.kind)), None)
            if taken is not None:
                raise wrong(f"{taken!r} and {parameter.name!r} both are {_ONCE[filled.kind]}", "keep one")
        arguments.append(Argument(parameter.name, parameter.by_name, filled))
    return Call(function, target, name, location, kind, tuple(arguments), returns)


def _fill(name: str, annotation: Any, default: object, in_path: list[str], wrong: Wrong) -> Filled:
    """What fills the parameter `name`."""
    _check_said(name, annotation, default, wrong)
    dependency = _dependency(name, annotation, default, wrong)
    if dependency is not None:
        return dependency
    if isinstance(default, Marker | FieldInfo):
        raise wrong(
            f"the default of {name!r} is {type(default).__name__}(...)",
            f"write {name}: Annotated[type, {type(default).__name__}(...)] and a plain default",
        )
    if annotation is MISSING:
        if name in in_path:
            annotation = str
        elif name == "request":
            return Special("request")
        else:
            if name == "self":
                raise wrong(
                    "it is a method, and nobody says of what",
                    "register that of an object, as app.get(path)(Views().show)",
                )
            if default is MISSING:
                raise wrong(
                    f"the parameter {name!r} has no annotation",
                    f"write {name}: str, or annotate it with Request, a scalar or a model",
                )
            if default is not None and not isinstance(default, str):
                raise wrong(
                    f"the parameter {name!r} has no annotation, and its default is not the text that is read then",
                    f"write {name}: {spell(type(default))} = {default!r}",
                )
            annotation = Any
    given = unwrap(name, annotation, wrong)
    _check_type(name, given.annotation, wrong)
    inner, nullable = optional(given.annotation)
    if inner is Any and not isinstance(given.marker, Body | File):
        if given.marker is None and name in _NAMED and name not in in_path:
            raise wrong(
                f"{name!r} says no type, and would be read from the query",
                f"write {name}: {_NAMED[name]}, or Annotated[str, Query()]",
            )
        # Nothing is made of it, so it is the text that was sent.
        given.annotation = str | None if nullable or default is None else str
    if isinstance(inner, type) and inner in SPECIAL:
        if nullable and inner is not Claims:
            raise wrong(f"{name!r} is never None", f"write {name}: {spell(inner)}")
        return Special(SPECIAL[inner], not nullable)
    if isinstance(inner, type) and issubclass(inner, State):
        return StateOf(inner)
    return _from_request(name, given, default, in_path, wrong)


def _check_said(name: str, annotation: Any, default: object, wrong: Wrong) -> None:
    """Refuses what an import of another framework left behind: `Depends` of one would be the default of a parameter, and nobody would be asked."""
    if default is not MISSING and is_elsewhere(type(default)):
        told, cure = written_here(type(default))
        raise wrong(f"the default of {name!r} is {told}", cure)
    while get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        for extra in extras:
            kind = extra if isinstance(extra, type) else type(extra)
            if is_elsewhere(kind):
                told, cure = written_here(kind)
                raise wrong(f"{name!r} is annotated with {told}", cure)


def _check_type(name: str, annotation: Any, wrong: Wrong) -> None:
    """The same of a type that nobody makes, as `UploadFile` of one, which pydantic would make of a text."""
    if isinstance(annotation, type) and is_elsewhere(annotation) and not is_model(annotation):
        told, cure = written_here(annotation)
        raise wrong(f"{name!r} is annotated with {told}", cure)
    for each in get_args(annotation):
        _check_type(name, each, wrong)


def _from_request(
    name: str, given: Unwrapped, default: object, in_path: list[str], wrong: Wrong
) -> Param | ModelParam | BodyParam:
    marker = given.marker
    if is_form(marker, given.annotation):
        return form(name, given, default, in_path, wrong)
    if isinstance(marker, Body) or (marker is None and name not in in_path and is_body(given.annotation)):
        return body(name, given, default, wrong)
    if marker is not None and is_model(optional(given.annotation)[0]):
        return model(name, given, marker, default, in_path, wrong)
    if isinstance(marker, Path) or (marker is None and name in in_path):
        alias = given.alias or name
        if alias not in in_path:
            raise wrong(
                f"{name!r} is a path parameter, but the path has no {{{alias}}}",
                f"add {{{alias}}} to the path",
            )
        # The same function may serve a path that has it and one that has not, so only what says that it is there is refused.
        if given.default_factory is not None or (default is not MISSING and marker is not None):
            raise wrong(f"{name!r} is a path parameter, which is always there", "take its default away")
        return value(name, given, "path", alias, MISSING, wrong)
    return value(name, given, source_of(marker), alias_of(name, given, marker), default, wrong)


def _dependency(name: str, annotation: Any, default: object, wrong: Wrong) -> Wanted | None:
    found: Dependency | None = default if isinstance(default, Dependency) else None
    given = annotation
    if isinstance(given, Dependency):
        raise wrong(f"{name!r} is annotated with Depends(...) alone", f"write {name}: Annotated[type, Depends(...)]")
    while get_origin(given) is Annotated:
        given, *extras = get_args(given)
        for extra in extras:
            if extra is Depends:
                raise wrong(f"{name!r} is annotated with Depends", "write Depends(function)")
            if isinstance(extra, Dependency):
                if found is not None:
                    raise wrong(f"{name!r} has two Depends(...)", "keep one")
                if default is not MISSING:
                    raise wrong(f"{name!r} is made by a dependency, and has a default", "take the default away")
                found = extra
    if found is None:
        return None
    function = found.dependency
    if function is None:
        if not isinstance(given, type):
            raise wrong(f"{name!r} says Depends(), and its type makes nothing", "write Depends(function)")
        function = given
    if not callable(function):
        raise wrong(f"{name!r} depends on {function!r}, which cannot be called", "give a function or a class")
    kind = function if isinstance(function, type) else type(function)
    if is_elsewhere(kind):
        told, cure = written_here(kind)
        raise wrong(f"{name!r} depends on {told}", cure)
    return Wanted(found, function)


@dataclass(slots=True)
class Graph:
    """What all calls of a request need together."""

    in_path: list[str]
    localns: Mapping[str, object] | None
    overrides: Mapping[Callable[..., Any], Callable[..., Any]]
    state: State | None
    role: Role = "handler"
    params: list[Param] = field(default_factory=list)
    models: list[ModelParam] = field(default_factory=list)
    bodies: list[BodyParam] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    args: list[object] = field(default_factory=list)
    """What the native side gives, in the order of `a0`, `a1` and so on."""
    objects: list[object] = field(default_factory=list)
    wants_claims: bool = False
    schemes: list[SecurityScheme] = field(default_factory=list)
    """The credentials that dependencies read, for the document."""
    known: Known = field(default_factory=Known)
    _places: dict[Any, int] = field(default_factory=dict)
    _made: dict[Any, str] = field(default_factory=dict)
    _open: list[tuple[Any, str]] = field(default_factory=list)

    def step(self, call: Call, *, thread: bool = False, scope: Scope = "request") -> Step:
        """How `call` is made, after all that it needs."""
        values = [self._expression(call, each) for each in call.arguments]
        args = tuple(
            f"{each.name}={value}" if each.by_name else value
            for each, value in zip(call.arguments, values, strict=True)
        )
        within = next((step for step in map(self._step_of, values) if step is not None and step.inner), None)
        yields = call.kind in ("generator", "asyncgen")
        if within is not None and yields and scope == "request":
            raise call.wrong(
                f"it goes on after the answer, and {within.name}, which it depends on, is cleaned up before",
                'say Depends(..., scope="function") of it, too',
            )
        return Step(
            call.function, call.kind, thread, args, call.name, within is not None or (yields and scope == "function")
        )

    def _step_of(self, value: str) -> Step | None:
        """What has made a value, if a dependency has."""
        return self.steps[int(value[1:])] if value.startswith("d") else None

    def want(self, wanted: Wanted, of: Call | None) -> str:
        """The name under which the value of a dependency is known."""
        function = self._override(wanted.function)
        how = (id(function), wanted.dependency.thread, wanted.dependency.scope)
        if wanted.dependency.use_cache and how in self._made:
            return self._made[how]
        if any(function is open_ for open_, _ in self._open):
            names = " -> ".join([*(name for _, name in self._open), describe_callable(function)[0]])
            raise (of.wrong if of is not None else ConfigError)(
                f"dependencies go round in a circle: {names}", cure="break it up"
            )
        if isinstance(function, SecurityScheme):
            self.schemes.append(function)
        call = self._call(function)
        self._open.append((function, call.name))
        step = self.step(call, thread=wanted.dependency.thread, scope=wanted.dependency.scope)
        self._open.pop()
        self.steps.append(step)
        name = f"d{len(self.steps) - 1}"
        if wanted.dependency.use_cache:
            self._made[how] = name
        return name

    def _call(self, function: Callable[..., Any]) -> Call:
        """What many handlers depend on is read once, where the same names mean the same."""
        # One that stands in a module knows nothing of where a handler is registered.
        localns = self.localns if "<locals>" in getattr(function, "__qualname__", "<locals>") else None
        key = (id(function), id(localns), *self.in_path)
        if key not in self.known.calls:
            call = call_of(function, self.in_path, localns, self.known, is_handler=False)
            self.known.calls[key] = call, localns
        return self.known.calls[key][0]

    def _override(self, function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return self.overrides.get(function, function)
        except TypeError:
            # One that has no hash cannot be overridden.
            return function

    def _expression(self, call: Call, argument: Argument) -> str:
        filled = argument.filled
        if isinstance(filled, Wanted):
            return self.want(filled, call)
        if isinstance(filled, Param):
            return self._arg({"param": self._param(filled)})
        if isinstance(filled, ModelParam):
            for _, param in filled.fields:
                self._param(param)
            self.models.append(filled)
            return self._arg({"model": len(self.models) - 1})
        if isinstance(filled, BodyParam):
            if self.role == "websocket":
                raise call.wrong(
                    f"{argument.name!r} is a body, and a WebSocket begins without one",
                    "receive it as a message, or take it from the path, the query, a header or a cookie",
                )
            if self.role == "hook":
                raise call.wrong(
                    f"{argument.name!r} is a body, and that of the request was read for the row",
                    "use the row, or take it from the query, a header or a cookie",
                )
            return self._arg({"field": self._body(filled, call)})
        if isinstance(filled, StateOf):
            if self.state is not None and not isinstance(self.state, filled.cls):
                raise call.wrong(
                    f"{argument.name!r} is {filled.cls.__name__}, and the app has {type(self.state).__name__}",
                    f"make it so, as Ziggurat(state={filled.cls.__name__}())",
                )
            self.objects.append(self.state)
            return self._arg({"object": len(self.objects) - 1})
        if filled.kind == "websocket" and self.role != "websocket":
            raise call.wrong(
                f"{argument.name!r} is a WebSocket, which no request of another kind gets",
                "register the handler with @app.websocket(...)",
            )
        if filled.kind in ("response", "background") and self.role == "websocket":
            raise call.wrong(f"{argument.name!r} belongs to an answer, and a WebSocket has none", "take it out")
        if filled.kind in ("response", "background") and self.role == "hook":
            raise call.wrong(
                f"{argument.name!r} belongs to an answer, and a hook gives none",
                "raise an HTTPException, or do what is to run behind the answer in an after_ hook",
            )
        if filled.kind == "claims" and filled.required:
            self.wants_claims = True
        return self._arg(filled.kind)

    def _arg(self, arg: object) -> str:
        if arg not in self.args:
            self.args.append(arg)
        return f"a{self.args.index(arg)}"

    def _param(self, param: Param) -> int:
        """The place of a parameter; those that are read alike are read once."""
        default = (type(param.default), param.default)
        if not isinstance(param.default, str | int | float | bool | None):
            default = (type(param.default), id(param.default))
        how = (
            param.source,
            param.alias,
            param.kind,
            param.collection,
            default,
            id(param.default_factory),
            param.omitted,
            param.media_types,
            repr(param.members),
            repr(sorted(param.constraints.items())) if param.constraints else "",
            repr(sorted(param.items.items())) if param.items else "",
        )
        if how not in self._places:
            self._places[how] = len(self.params)
            self.params.append(param)
        return self._places[how]

    def index_of(self, param: Param) -> int:
        """Its place."""
        return self._param(param)

    def _body(self, given: BodyParam, call: Call) -> int:
        for place, other in enumerate(self.bodies):
            if other.alias == given.alias:
                if (other.annotation, other.default, other.embed) != (given.annotation, given.default, given.embed):
                    raise call.wrong(
                        f"{given.alias!r} is taken from the body as {spell(given.annotation)} and as {spell(other.annotation)}",
                        "give one of them another name",
                    )
                return place
        self.bodies.append(given)
        return len(self.bodies) - 1


def dependencies_first(graph: Graph, dependencies: Sequence[Dependency]) -> None:
    """Has those called whose values nobody wants."""
    for each in dependencies:
        assert each.dependency is not None
        graph.want(Wanted(each, each.dependency), None)
