"""What a handler needs: its signature is read once, at registration, and compiled to a plan.

Rules, in this order:

- a parameter with `Depends` is what the dependency makes;
- a parameter whose name stands in the path template is a path parameter;
- a parameter annotated `Request`, `WebSocket`, `Claims` or `State` is that; `Response` is what is answered beside what the handler returns, and
  `BackgroundTasks` what runs behind the answer;
- a pydantic model, dataclass, typed dict, `msgspec.Struct` or class of attrs (or a list of them) is the JSON body;
- an `UploadFile`, and a list of them, is a file of a form;
- any other scalar, and a list of scalars, is a query parameter, and so is what says no type, as `q=None`: the text that was sent.

`Annotated[..., Query()]`, `Path()`, `Header()`, `Cookie()`, `Form()`, `File()` and `Body()` say it outright. Everything that cannot be filled is refused
with a `ConfigError` that names the parameter, the function and its line.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Self

from ._callables import describe_callable
from ._forms import FormLimits
from ._param_bodies import BodyPlan, plan_of
from ._param_depends import Dependency, Depends
from ._param_driver import Mode, compiled
from ._param_graph import Call, Graph, Known, Role, call_of, dependencies_first
from ._param_markers import MISSING, Body, Cookie, File, Form, Header, Path, Query
from ._param_models import ModelParam
from ._param_scalars import Param
from ._record import record
from ._security_scheme import SecurityScheme
from ._state import State
from .exceptions import ConfigError

__all__ = [
    "MISSING",
    "Body",
    "Compiled",
    "Cookie",
    "Depends",
    "File",
    "Form",
    "Header",
    "Param",
    "Path",
    "Plan",
    "Query",
    "describe_callable",
    "inspect_handler",
]

_NAMES = re.compile(r"\{(\w+)(?::\w+)?\}")


def path_names(path: str) -> list[str]:
    """The parameters of a path template, from left to right."""
    return _NAMES.findall(path.replace("{{", "").replace("}}", ""))


@record
class Compiled:
    """A handler with all that it depends on, as it is called."""

    name: str
    location: str
    function: Callable[..., Any]
    """What the native side calls: the handler, or what calls its dependencies before."""
    mode: Mode
    is_async: bool
    args: tuple[object, ...]
    keywords: tuple[str, ...]
    """The names of the last of `args`."""
    params: tuple[Param, ...]
    models: tuple[ModelParam, ...]
    model_params: tuple[tuple[int, ...], ...]
    """The places of the parameters of each model."""
    body: BodyPlan | None
    objects: tuple[object, ...]
    wants_claims: bool
    """Whether it is only for callers who are known."""
    schemes: tuple[SecurityScheme, ...]
    """The credentials that dependencies read."""

    @classmethod
    def of(
        cls,
        graph: Graph,
        *,
        name: str,
        location: str,
        function: Callable[..., Any],
        mode: Mode,
        is_async: bool,
        args: tuple[object, ...],
        keywords: tuple[str, ...] = (),
        body: BodyPlan | None = None,
    ) -> Self:
        """What is called so, with what `graph` has found that it takes."""
        return cls(
            name=name,
            location=location,
            function=function,
            mode=mode,
            is_async=is_async,
            args=args,
            keywords=keywords,
            params=tuple(graph.params),
            models=tuple(graph.models),
            model_params=tuple(tuple(graph.index_of(param) for _, param in model.fields) for model in graph.models),
            objects=tuple(graph.objects),
            body=body,
            wants_claims=graph.wants_claims,
            schemes=tuple(graph.schemes),
        )

    @property
    def form(self) -> tuple[Param, ...]:
        """What stands in a form."""
        return tuple(param for param in self.params if param.source == "form")

    def to_native(
        self,
        *,
        name: str | None = None,
        status: int = 200,
        auth: list[dict[str, Any]] | None = None,
        asks_for_claims: bool = False,
        errors: str = "problem",
        catch: int | None = None,
        write: Callable[[Any], bytes] | None = None,
        stream: dict[str, str] | None = None,
        forms: FormLimits | None = None,
        max_body: int | None = None,
    ) -> tuple[str, list[object]]:
        """The plan as JSON for the native side, and the Python objects that it names by index."""
        objects = list(self.objects)

        def keep(value: object) -> int:
            objects.append(value)
            return len(objects) - 1

        forbids: dict[str, list[str]] = {}
        for model in self.models:
            if model.forbids:
                forbids[model.source] = [param.alias for param in self.params if param.source == model.source]
        plan = {
            "name": name or self.name,
            "location": self.location,
            "async": self.is_async,
            "mode": self.mode,
            "args": self.args,
            "keywords": self.keywords,
            "params": [param.to_native(keep) for param in self.params],
            "models": [
                model.to_native(keep, places) for model, places in zip(self.models, self.model_params, strict=True)
            ],
            "forbids": list(forbids.items()),
            "body": None if self.body is None else self.body.to_native(keep),
            "form": {"limits": (forms or FormLimits()).to_native()} if self.form or "request" in self.args else None,
            "max_body": max_body,
            "status": status,
            "auth": auth,
            "asks_for_claims": asks_for_claims,
            "takes_claims": self.wants_claims,
            "errors": errors,
            "catch": catch,
            "write": None if write is None else keep(write),
            "stream": stream,
        }
        return json.dumps(plan), objects


@record
class Plan:
    """Everything that is known of a handler without calling it."""

    call: Call
    dependencies: tuple[Dependency, ...]
    """Of the route alone."""
    path: str
    prefix: str
    localns: Mapping[str, object] | None = field(repr=False)
    answers: bool
    """Whether it gives an answer; one of WebSockets speaks on a socket instead."""
    known: Known = field(repr=False)
    """What was read of other handlers."""
    plain: Compiled | None = field(default=None, repr=False)
    """With nothing but what the route itself says, as most are served."""

    @property
    def function(self) -> Callable[..., Any]:
        """The handler."""
        return self.call.function

    @property
    def name(self) -> str:
        """What the function is called."""
        return self.call.name

    @property
    def location(self) -> str:
        """`file:line` of the function."""
        return self.call.location

    @property
    def yields(self) -> bool:
        """Whether it is a generator, whose body is sent while it runs."""
        return self.call.kind in ("generator", "asyncgen")

    @property
    def returns(self) -> Any:
        """The return annotation, or `MISSING`."""
        return self.call.returns

    @property
    def doc(self) -> str | None:
        """The docstring."""
        target = self.call.target
        return inspect.getdoc(target) if inspect.isfunction(target) or inspect.ismethod(target) else None

    def compile(
        self,
        dependencies: Sequence[Dependency] = (),
        overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
        state: State | None = None,
    ) -> Compiled:
        """The handler as it is called, after `dependencies` and those of the route; `overrides` stand in for some.

        Raises `ConfigError` when something cannot be filled.
        """
        as_declared = not dependencies and not overrides
        if self.plain is not None and as_declared and (state is None or not self.plain.objects):
            return self.plain
        role: Role = "handler" if self.answers else "websocket"
        graph = Graph(path_names(self.prefix + self.path), self.localns, overrides or {}, state, role, known=self.known)
        dependencies_first(graph, (*dependencies, *self.dependencies))
        # What it yields is its answer.
        handler = graph.step(self.call, scope="function")
        ended = next((step.name for step in graph.steps if step.inner), None)
        if ended is not None and self.yields:
            raise self.call.wrong(
                f"it runs while its answer is sent, and {ended}, which it depends on, is cleaned up before",
                'leave scope="function" out',
            )
        taken = {param.alias for param in graph.params if param.source == "path"}
        for missing in path_names(self.path):
            if missing not in taken:
                raise self.call.wrong(
                    f"the path {self.path} has a parameter {missing!r} that the function does not take",
                    f"add {missing!r} to the function, or take it out of the path",
                )
        body = plan_of(graph.bodies, self.name, self.call.wrong)
        self._check_form(graph)
        keywords: tuple[str, ...] = ()
        if graph.steps:
            args = [f"a{i}" for i in range(len(graph.args))]
            function, mode, is_async = compiled(graph.steps, handler, args, answers=self.answers)
            order = list(range(len(graph.args)))
        else:
            function, mode, is_async = self.function, "call", self.call.kind != "value"
            keywords = tuple(each.name for each in self.call.arguments if each.by_name)
            order = [int(text.rpartition("=")[2][1:]) for text in handler.args]
        places = [_native(graph.args[place], body) for place in order]
        return Compiled.of(
            graph,
            name=self.name,
            location=self.location,
            function=function,
            mode=mode,
            is_async=is_async,
            args=tuple(places),
            keywords=keywords,
            body=body,
        )

    def _check_form(self, graph: Graph) -> None:
        """A body is one thing."""
        names = [param.name for param in graph.params if param.source == "form"]
        if names and not self.answers:
            raise self.call.wrong(
                f"{names[0]!r} is taken from a form, and a WebSocket begins without one",
                "receive it as a message, or take it from the path, the query, a header or a cookie",
            )
        if names and graph.bodies:
            raise self.call.wrong(
                f"{names[0]!r} is taken from a form, and {graph.bodies[0].name!r} from a JSON body, and a request has one body",
                f"write {graph.bodies[0].name}: Annotated[..., Form()], with the fields of the model in the form",
            )


def _native(arg: object, body: BodyPlan | None) -> object:
    """A whole body is called so."""
    is_field = isinstance(arg, dict) and "field" in arg
    return "body" if is_field and body is not None and not body.embedded else arg


def inspect_handler(
    function: Callable[..., object],
    path: str,
    *,
    localns: Mapping[str, object] | None = None,
    prefix: str = "",
    dependencies: Sequence[Dependency] = (),
    answers: bool = True,
    known: Known | None = None,
) -> Plan:
    """Reads `function`, the handler of `path` behind `prefix`. It need not take what the prefix has of parameters. One that does not
    answer, as a handler of WebSockets, says so. `known` has what was read of other handlers.

    Raises `ConfigError` when a parameter cannot be filled.
    """
    if not callable(function):
        raise ConfigError(f"{function!r} is not a handler", cure="give a function")
    known = known or Known()
    call = call_of(function, path_names(prefix + path), localns, known, is_handler=True)
    plan = Plan(call, tuple(dependencies), path, prefix, localns, answers, known)
    # What its dependencies need is told at once as well.
    return replace(plan, plain=plan.compile())
