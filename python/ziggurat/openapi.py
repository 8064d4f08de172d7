"""The OpenAPI 3.1 document: made once, from the same plans that serve the requests."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from ._openapi_answers import of_msgspec, other, success
from ._openapi_info import Contact, ExternalDocs, License, Server, ServerVariable, Tag
from ._openapi_models import tell_of_model
from ._openapi_numbers import without_what_json_lacks
from ._openapi_params import FASTAPI_ERRORS, form_body, parameters, request_body
from ._openapi_refs import REF, ref_to, renamed
from ._openapi_security import Security, add_problems, as_fastapi, problem
from ._openapi_written import as_written
from ._returns import is_of_msgspec
from .exceptions import ConfigError
from .params import MISSING, Compiled, path_names
from .routing import CrudSpec, NativeSpec

if TYPE_CHECKING:
    from . import _ziggurat
    from ._openapi_shown import Shown
    from .app import Ziggurat
    from .hooks import Hooks
    from .routing import Op, RouteSpec

__all__ = ["Contact", "ExternalDocs", "License", "Server", "ServerVariable", "Tag", "document", "text"]

Json = dict[str, Any]

_SWITCH = 0.0005
"""Seconds after which the interpreter is left to others while the text is made, which takes long in an app of many routes."""
_MAKING = threading.Lock()
_OPERATIONS: dict[Op, tuple[str, str]] = {
    "list": ("get", ""),
    "create": ("post", ""),
    "get": ("get", "/{id}"),
    "replace": ("put", "/{id}"),
    "patch": ("patch", "/{id}"),
    "delete": ("delete", "/{id}"),
    "count": ("get", "/_count"),
    "group": ("get", "/_group"),
    "import": ("post", "/_import"),
    "export": ("get", "/_export"),
    "deleted": ("get", "/_deleted"),
    "restore": ("post", "/{id}/_restore"),
    "changes": ("get", "/_changes"),
    "query": ("x-query", ""),
    "patch_many": ("patch", ""),
    "delete_many": ("delete", ""),
}
"""Method of each CRUD operation, and what its path has after that of the collection."""


def document(app: Ziggurat) -> Json:
    """The document of `app`, which is built."""
    crud = _of_resources(app, app.build())
    security = Security(app)
    paths: dict[str, Json] = {path: dict(item) for path, item in crud.get("paths", {}).items()}
    taken = dict(crud.get("components", {}).get("schemas", {}))
    resources = app.crud_specs
    for spec in resources:
        with _named(spec):
            _secure_resource(app, spec, paths, security)
            if spec.hooks is not None and spec.hooks.plans:
                _tell_of_hooks(app, spec, spec.hooks, paths)
            tell_of_model(spec.model, taken)

    routes = [route for route in app.route_specs if route.shown.include_in_schema]
    others: list[CrudSpec | NativeSpec] = [
        *(spec for spec in resources if spec.shown.include_in_schema),
        *(spec for spec in app.native_specs if spec.shown.include_in_schema and spec.method is not None),
    ]
    schemas = _Schemas([(route, app.compiled(route)) for route in routes], others, taken)
    used = _named_once(resources, paths)
    ids = _operation_ids(routes, used)
    for route in routes:
        compiled = app.compiled(route)
        with _named(route):
            operation = _operation(route, compiled, schemas, ids[id(route)])
            security.add(operation, app.asked(route), route)
            security.add_schemes(operation, compiled.schemes)
        if app.errors_of(route) == "fastapi":
            as_fastapi(operation)
            taken = {**FASTAPI_ERRORS, **taken}
        paths.setdefault(_template(route.path), {})[route.method.lower()] = operation
    for each in others:
        if isinstance(each, NativeSpec):
            operation = _native_operation(each, used)
            security.add(operation, app.asked(each), each)
            paths.setdefault(_template(each.path), {})[_method_of(each)] = operation
        for operation in _operations_of(each, paths):
            _tell(operation, each.shown, id(each), schemas)

    components: Json = {key: dict(value) for key, value in crud.get("components", {}).items()}
    components["schemas"] = {"Problem": _PROBLEM, "Violation": _VIOLATION, **taken, **schemas.definitions}
    if security.schemes:
        components["securitySchemes"] = security.schemes
    made: Json = {"openapi": "3.1.0", "info": app.openapi_info, "paths": paths, "components": components}
    if app.servers:
        made["servers"] = app.servers
    tags = {tag["name"]: tag for tag in app.openapi_tags}
    for operation in _operations(paths):
        for tag in operation.get("tags", ()):
            tags.setdefault(tag, {"name": tag})
    if tags:
        made["tags"] = list(tags.values())
    return without_what_json_lacks(made)


def _of_resources(app: Ziggurat, native: _ziggurat.App) -> Json:
    """The `paths` and `components` of the models that are served. They are made each time: kept they would take more than all else."""
    hidden = [place for place, crud in enumerate(app.crud_specs) if not crud.shown.include_in_schema]
    made: Json = json.loads(native.crud_openapi(hidden))
    return made


def text(app: Ziggurat) -> bytes:
    """The document of an app that is built, as it is served. What else runs has its turns meanwhile.

    Nothing else of it is kept: `app.openapi()` has dicts of many times its size.
    """
    # One after the other, so that each finds the interval as it was.
    with _MAKING, app._build_lock:
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(_SWITCH, before))
        try:
            made = app.openapi() if _is_changed(app) else document(app)
            try:
                return _written(made)
            except (TypeError, ValueError) as error:
                raise _unwritable(app, made, error) from error
        finally:
            sys.setswitchinterval(before)


def _is_changed(app: Ziggurat) -> bool:
    """Whether the app makes its document in a way of its own: by a method of its class, or by a function that was set in place of that."""
    from .app import Ziggurat

    return getattr(app.openapi, "__func__", None) is not Ziggurat.openapi


def _written(made: Json) -> bytes:
    return json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _unwritable(app: Ziggurat, made: Json, error: Exception) -> ConfigError:
    """Says of which part of the document there is no JSON."""

    def fails(part: Json) -> bool:
        try:
            _written(part)
        except (TypeError, ValueError):
            return True
        return False

    cure = "give examples, defaults and what else is shown as JSON has it, as strings, numbers, lists and dicts"
    for route in app.route_specs:
        if fails(made.get("paths", {}).get(_template(route.path), {}).get(route.method.lower(), {})):
            what = f"{route.method} {route.path}: the OpenAPI document cannot show what is said of it: {error}"
            return ConfigError(what, cure=cure, location=route.location)
    schemas = made.get("components", {}).get("schemas", {})
    whose = next((f"the model {name}" for name, schema in schemas.items() if fails(schema)), "the app")
    return ConfigError(
        f"the OpenAPI document cannot show what is said of {whose}: {error}", cure=cure, location=app._location
    )


@contextmanager
def _named(spec: RouteSpec | CrudSpec | NativeSpec) -> Iterator[None]:
    """Has what is raised by code of the user's, as by a model that describes itself, say of which route that was."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        whose = spec.path if isinstance(spec, CrudSpec) else f"{spec.method} {spec.path}"
        raise ConfigError(
            f"{whose}: the OpenAPI document cannot tell of it: {type(error).__name__}: {error}", location=spec.location
        ) from error


def check_operations(app: Ziggurat, native: _ziggurat.App) -> None:
    """Raises `ConfigError` where two operations are given the same name."""
    crud = _of_resources(app, native)
    used = {op["operationId"] for op in _operations(crud.get("paths", {})) if "operationId" in op}
    _operation_ids([route for route in app.route_specs if route.shown.include_in_schema], used)


def _operation(route: RouteSpec, compiled: Compiled, schemas: _Schemas, operation_id: str) -> Json:
    made: Json = {"operationId": operation_id}
    if route.tags:
        made["tags"] = list(route.tags)
    if route.summary:
        made["summary"] = route.summary
    if route.description:
        made["description"] = route.description
    shown = parameters(compiled.params)
    if shown:
        made["parameters"] = shown

    problems: set[str] = set()
    if compiled.body is not None:
        made["requestBody"] = request_body(compiled.body, schemas.body(compiled))
        problems |= {"400", "413", "415", "422"}
    sources = {param.source for param in compiled.params}
    if compiled.form:
        made["requestBody"] = form_body(compiled.form, re.sub(r"\W+", "_", route.name))
        problems |= {"400", "413", "415", "422"}
    if sources & {"path", "query"}:
        problems.add("400")
    if "path" in sources:
        problems.add("404")
    if compiled.params:
        problems.add("422")
    made["responses"] = {str(route.status): success(route, schemas.returned(route))}
    add_problems(made, problems)
    # Whatever a handler raises by itself, and what any route may answer: 500, 503, 504.
    made["responses"]["default"] = problem("Any other failure")
    _tell(made, route.shown, id(route.plan), schemas)
    return made


def _tell(operation: Json, shown: Shown, whose: int, schemas: _Schemas) -> None:
    """What the app says of it beside."""
    if shown.deprecated:
        operation["deprecated"] = True
    answers = operation.setdefault("responses", {})
    for status, said in shown.responses.items():
        answers[str(status)] = other(status, said, answers.get(str(status)), schemas.said(whose, status))


def _operations_of(spec: CrudSpec | NativeSpec, paths: dict[str, Json]) -> list[Json]:
    """Those of a resource, or that of a handler in Rust."""
    if isinstance(spec, NativeSpec):
        return [paths[_template(spec.path)][_method_of(spec)]]
    return _of_resource(spec, paths)


def path_of(spec: CrudSpec, op: Op) -> str:
    """Where an operation of a resource is."""
    below = _OPERATIONS[op][1]
    return spec.path.rstrip("/") + below if below else spec.path


def _secure_resource(app: Ziggurat, spec: CrudSpec, paths: dict[str, Json], security: Security) -> None:
    for op in spec.auth:
        if (operation := _native_of(spec, op, paths)) is not None:
            security.add(operation, app.asked_of(spec, op), spec)


def _tell_of_hooks(app: Ziggurat, spec: CrudSpec, hooks: Hooks, paths: dict[str, Json]) -> None:
    """What hooks take of requests, in the operations that call them."""
    from ._hook_plans import callers

    for name, plan in hooks.plans.items():
        taken = parameters(plan.compile(app.dependency_overrides, app.state).params)
        for op in callers(name, spec.ops, upsert=spec.upsert) if taken else ():
            operation = _native_of(spec, op, paths)
            if operation is None:
                continue
            shown = operation.setdefault("parameters", [])
            known = {(each["in"], each["name"]) for each in shown}
            shown += [each for each in taken if (each["in"], each["name"]) not in known]
            add_problems(operation, {"422"})
            if spec.errors == "fastapi":
                as_fastapi(operation)


def _native_of(spec: CrudSpec, op: Op, paths: dict[str, Json]) -> Json | None:
    """A native operation of a resource, if the document shows it."""
    found: Json | None = paths.get(path_of(spec, op), {}).get(_OPERATIONS[op][0])
    return found


def _method_of(spec: NativeSpec) -> str:
    """Under which its operation stands."""
    return (spec.method or "").lower()


def _of_resource(spec: CrudSpec, paths: dict[str, Json]) -> list[Json]:
    """The operations of a resource that are shown."""
    return [operation for op in spec.ops if (operation := _native_of(spec, op, paths)) is not None]


def _native_operation(spec: NativeSpec, used: set[str]) -> Json:
    """What is known of a handler in Rust: where it is."""
    made: Json = {"operationId": _unused(_candidates(spec.service.name, spec.method or "", spec.path), used)}
    if spec.tags:
        made["tags"] = list(spec.tags)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in path_names(spec.path)
    ]
    if parameters:
        made["parameters"] = parameters
    made["responses"] = {"200": {"description": "Success"}, "default": problem("Any other failure")}
    made["x-ziggurat-native"] = True
    return made


def _template(path: str) -> str:
    """`/files/{path:path}` as OpenAPI writes it."""
    return re.sub(r"\{\*?(\w+)(?::\w+)?\}", r"{\1}", path)


def _operations(paths: Mapping[str, Json]) -> Iterable[Json]:
    for item in paths.values():
        for method, operation in item.items():
            if method in {"get", "put", "post", "delete", "options", "head", "patch", "trace"}:
                yield operation


def _operation_ids(routes: list[RouteSpec], used: set[str]) -> dict[int, str]:
    """A name for each route that no other has, and that stays when routes are added after it.

    It is the function's, with the method where that answers several, and with the path where an earlier one is called so. `used` is added to.
    """
    given: dict[str, RouteSpec] = {}
    for route in routes:
        if route.operation_id is None:
            continue
        other = given.setdefault(route.operation_id, route)
        if other is not route or route.operation_id in used:
            whose = f"that of {other.method} {other.path}" if other is not route else "that of a model"
            raise ConfigError(
                f"{route.method} {route.path}: the operation_id {route.operation_id!r} is {whose}, too",
                cure="give each operation its own",
                location=route.location,
            )
    used.update(given)
    methods = Counter(id(route.plan) for route in routes)
    made: dict[int, str] = {}
    for route in routes:
        candidates = _candidates(route.name, route.method, route.path)
        if methods[id(route.plan)] > 1:
            next(candidates)
        made[id(route)] = route.operation_id or _unused(candidates, used)
    return made


def _named_once(resources: Iterable[CrudSpec], paths: dict[str, Json]) -> set[str]:
    """Has operations of a model that is served several times called by their paths from the second on; gives all names."""
    used: set[str] = set()
    for spec in resources:
        for operation in _of_resource(spec, paths):
            name = operation["operationId"]
            operation["operationId"] = _unused(chain([name], _numbered(f"{name}_{_slug(spec.path) or 'root'}")), used)
    return used


def _candidates(name: str, method: str, path: str) -> Iterator[str]:
    short = _slug(name)
    yield short
    by_method = f"{short}_{method.lower()}"
    yield by_method
    yield from _numbered(f"{by_method}_{_slug(path) or 'root'}")


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}_{number}"


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _unused(candidates: Iterator[str], used: set[str]) -> str:
    name = next(name for name in candidates if name not in used)
    used.add(name)
    return name


class _Schemas:
    """JSON schemas of every body and return type, with one set of definitions for all of them.

    They are made together so that pydantic can tell apart models of the same name, and the two forms of one model.
    """

    def __init__(
        self,
        routes: list[tuple[RouteSpec, Compiled]],
        others: Sequence[CrudSpec | NativeSpec],
        taken: Mapping[str, Any],
    ) -> None:
        inputs: list[tuple[tuple[int, str], str, TypeAdapter[Any]]] = []
        structs: dict[tuple[int, str], Any] = {}
        for route, compiled in {id(compiled): (route, compiled) for route, compiled in routes}.values():
            if compiled.body is None or compiled.body.decode is None:
                continue
            if compiled.body.decoder == "msgspec":
                structs[id(compiled), "body"] = compiled.body.annotation
            else:
                with _named(route):
                    self._add(inputs, (id(compiled), "body"), "validation", compiled.body.annotation)
        for route in {id(route.plan): route for route, _ in routes}.values():
            model = route.returned.model
            answers = _said(route.shown) | ({} if model is MISSING else {"returns": model})
            self._add_answers(route, id(route.plan), answers, inputs, structs)
        for spec in others:
            self._add_answers(spec, id(spec), _said(spec.shown), inputs, structs)
        made, definitions = TypeAdapter.json_schemas(inputs, ref_template=REF)  # type: ignore[arg-type]
        self._made: dict[tuple[int, str], Json] = {key: value for (key, _), value in made.items()}
        self.definitions: dict[str, Json] = definitions.get("$defs", {})
        schemas, found = of_msgspec(structs, REF)
        found, clashing = _told_apart(found, self.definitions)
        names = {name: f"{name}-msgspec" for name in clashing}
        self._made |= {key: renamed(schema, names) for key, schema in schemas.items()}
        self.definitions |= {names.get(name, name): renamed(schema, names) for name, schema in found.items()}
        self._give_way({name for name in self.definitions if name in taken or name in ("Problem", "Violation")})

    def _add_answers(
        self,
        spec: RouteSpec | CrudSpec | NativeSpec,
        whose: int,
        answers: Mapping[str, Any],
        inputs: list[tuple[tuple[int, str], str, TypeAdapter[Any]]],
        structs: dict[tuple[int, str], Any],
    ) -> None:
        for which, answered in answers.items():
            if is_of_msgspec(answered):
                structs[whose, which] = answered
            else:
                with _named(spec):
                    self._add(inputs, (whose, which), "serialization", answered)

    @staticmethod
    def _add(
        inputs: list[tuple[tuple[int, str], str, TypeAdapter[Any]]], key: tuple[int, str], mode: str, annotation: Any
    ) -> None:
        """Leaves out what has no JSON schema: it is then shown as any JSON value."""
        try:
            adapter = TypeAdapter(annotation)
            adapter.json_schema(mode=mode)  # type: ignore[arg-type]
        except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError):
            return
        inputs.append((key, mode, adapter))

    def _give_way(self, clashing: set[str]) -> None:
        """Leaves names to the native resources, which have a schema of the same name for another shape."""
        names = {name: f"{name}-Python" for name in clashing}
        self._made = {key: renamed(schema, names) for key, schema in self._made.items()}
        self.definitions = {names.get(name, name): renamed(schema, names) for name, schema in self.definitions.items()}

    def body(self, compiled: Compiled) -> Json:
        """What the body of a request has to be."""
        return self._made.get((id(compiled), "body"), {})

    def said(self, whose: int, status: int | str) -> Json:
        """What an answer is of which the app tells."""
        return self._made.get((whose, f"responses {status}"), {})

    def returned(self, route: RouteSpec) -> Json:
        """What the handler returns; `{}` is any JSON value."""
        schema = self._made.get((id(route.plan), "returns"), {})
        return as_written(schema, route.returned.model, route.returned.options, self.definitions)


def _said(shown: Shown) -> dict[str, Any]:
    """The models of other answers."""
    return {f"responses {status}": said["model"] for status, said in shown.responses.items() if "model" in said}


def _told_apart(found: dict[str, Json], known: Mapping[str, Json]) -> tuple[dict[str, Json], set[str]]:
    """Those of msgspec's definitions that pydantic's do not have, and the names of which the two mean different things."""

    def same(one: Json, other: Json) -> bool:
        # An enum that models of both hold has the same values; only pydantic tells of their type.
        return one == other or ("enum" in one and one["enum"] == other.get("enum"))

    shared = {name for name, of in found.items() if name in known and same(of, known[name])}
    left = {name: of for name, of in found.items() if name not in shared}
    return left, left.keys() & known.keys()


_VIOLATION: Json = {
    "type": "object",
    "description": "One thing that was wrong with a request.",
    "required": ["code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "Place in the body, as a JSON pointer (RFC 6901)"},
        "parameter": {"type": "string", "description": "Query parameter"},
        "path": {"type": "string", "description": "Path parameter"},
        "header": {"type": "string", "description": "Header"},
        "cookie": {"type": "string", "description": "Cookie"},
        "code": {"type": "string", "description": "Kind, as pydantic names it"},
        "detail": {"type": "string"},
        "limit": {"description": "The bound that was passed", "type": ["integer", "number", "string"]},
    },
}
_PROBLEM: Json = {
    "type": "object",
    "description": "A problem document (RFC 9457). It may have further members.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {"type": "array", "items": {"$ref": ref_to("Violation")}},
    },
}
