"""What the OpenAPI document says of credentials, and of answers without good ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .layers import ApiKey, Basic, FromCookie, FromHeader, FromQuery, Jwt, Layer, RateLimit

if TYPE_CHECKING:
    from ._security_scheme import SecurityScheme
    from ._specs import CrudSpec, NativeSpec, RouteSpec
    from .app import Ziggurat

Json = dict[str, Any]

_PROBLEMS = {
    "400": "The request cannot be read",
    "401": "No valid credentials",
    "403": "The caller lacks what is asked for",
    "404": "Nothing is there",
    "413": "The body is too large",
    "415": "The body has another content type",
    "422": "Values break the rules; `errors` lists all of them",
    "429": "Too many requests; `Retry-After` says in how many seconds to come again",
}


class Security:
    """How callers say who they are, and what routes ask of them."""

    def __init__(self, app: Ziggurat) -> None:
        self.schemes: dict[str, Json] = {}
        self._layers = app.layers
        for layer in app.layers:
            self._names(layer)

    def _names(self, layer: Layer) -> list[str]:
        """What the schemes of a layer are called, each of which will do."""
        return list(dict.fromkeys(self._name(*scheme) for scheme in _schemes(layer)))

    def _name(self, kind: str, scheme: Json) -> str:
        for name, other in self.schemes.items():
            if other == scheme:
                return name
        taken = sum(other.rstrip("0123456789") == kind for other in self.schemes)
        name = f"{kind}{taken + 1}" if taken else kind
        self.schemes[name] = scheme
        return name

    def add(self, operation: Json, asked: Sequence[Json] | None, route: RouteSpec | CrudSpec | NativeSpec) -> None:
        """Says which credentials a route asks for, and what it answers without."""
        of_app = [layer for layer in self._layers if layer.name not in route.skip_layers]
        layers = [*of_app, *route.layers]
        if any(isinstance(layer, RateLimit) for layer in layers):
            add_problems(operation, {"429"})
        finding = [layer for layer in layers if isinstance(layer, ApiKey | Basic | Jwt)]
        if asked is None and not any(layer.required for layer in finding):
            return
        of_tokens = [guard.to_spec() for layer in finding if isinstance(layer, Jwt) for guard in layer.require]
        wanted = [*of_tokens, *(asked or ())]
        scopes = list(dict.fromkeys(one["scope"] for one in wanted if "scope" in one))
        # Any of them will do.
        names = dict.fromkeys(name for layer in finding for name in self._names(layer))
        operation["security"] = [{name: list(scopes)} for name in names]
        add_problems(operation, {"401"})
        if wanted:
            operation["responses"].setdefault("403", problem(f"The caller lacks what is asked for: {_spell(wanted)}"))

    def add_schemes(self, operation: Json, schemes: Sequence[SecurityScheme]) -> None:
        """Says which credentials dependencies of a handler read: all that it does not do without, and any of the others."""
        needed: Json = {self._name(each.scheme_name, each.scheme): [] for each in schemes if each.auto_error}
        others = [self._name(each.scheme_name, each.scheme) for each in schemes if not each.auto_error]
        asked = [{**one, **needed} for one in operation.get("security", [{}])]
        asked = [{**one, name: []} for one in asked for name in others] + asked
        if any(asked):
            operation["security"] = asked
        if needed:
            add_problems(operation, {"401"})


def _spell(asked: Iterable[Json]) -> str:
    """What is asked of a caller, for people."""

    def spelled() -> Iterator[str]:
        for one in asked:
            if "scope" in one:
                yield f"the scope `{one['scope']}`"
            elif "role" in one:
                yield f"the role `{one['role']}`"
            elif "claim" in one:
                yield f"the claim `{one['claim']}` as {' or '.join(f'`{value}`' for value in one['is'])}"

    return ", ".join(dict.fromkeys(spelled()))


def _schemes(layer: Layer) -> Iterator[tuple[str, Json]]:
    if isinstance(layer, Jwt):
        issuers = [*_listed(layer.issuer), *(name for one in layer.issuers or () for name in _listed(one.issuer))]
        of = f" of {' or '.join(issuers)}" if issuers else ""
        for place in layer.sources or (FromHeader("authorization"),):
            scheme = _scheme(place)
            if scheme["type"] == "http":
                scheme["bearerFormat"] = "JWT"
            yield "bearer", scheme | {"description": f"A JSON Web Token{of}"}
    elif isinstance(layer, ApiKey):
        for source in layer.sources or (FromHeader("x-api-key"),):
            yield "apiKey", _scheme(source) | {"description": "The key of a program"}
    elif isinstance(layer, Basic):
        yield "basic", {"type": "http", "scheme": "basic", "description": "Name and password of a person"}


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or ()


def _scheme(source: FromHeader | FromCookie | FromQuery) -> Json:
    if isinstance(source, FromCookie):
        return {"type": "apiKey", "in": "cookie", "name": source.cookie}
    if isinstance(source, FromQuery):
        return {"type": "apiKey", "in": "query", "name": source.query}
    if source.header.lower() == "authorization":
        return {"type": "http", "scheme": "bearer"}
    return {"type": "apiKey", "in": "header", "name": source.header}


def add_problems(operation: Json, statuses: Iterable[str]) -> None:
    responses = operation.setdefault("responses", {})
    for status in sorted(statuses):
        responses.setdefault(status, problem(_PROBLEMS[status]))


def as_fastapi(operation: Json) -> None:
    """Says that what was wrong is told as FastAPI does."""
    for status, response in operation["responses"].items():
        if "application/problem+json" in response.get("content", {}):
            # What is no JSON is a 422, too.
            schema = "HTTPValidationError" if status == "422" else "HTTPError"
            response["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def problem(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}
