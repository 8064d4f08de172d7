"""What the OpenAPI document says of credentials, and of answers without good ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .layers import ApiKey, Basic, FromCookie, FromHeader, FromQuery, Jwt

if TYPE_CHECKING:
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
}


class Security:
    """How callers say who they are, and what routes ask of them."""

    def __init__(self, app: Ziggurat) -> None:
        self.schemes: dict[str, Json] = {}
        self._required = False
        for layer in app.layers:
            if isinstance(layer, Jwt):
                for place in layer.sources or (FromHeader("authorization"),):
                    scheme = _scheme(place)
                    self._add("bearer", scheme | {"bearerFormat": "JWT"} if scheme["type"] == "http" else scheme)
            elif isinstance(layer, ApiKey):
                for source in layer.sources or (FromHeader("x-api-key"),):
                    self._add("apiKey", _scheme(source))
            elif isinstance(layer, Basic):
                self._add("basic", {"type": "http", "scheme": "basic"})
            else:
                continue
            self._required = self._required or layer.required

    def _add(self, name: str, scheme: Json) -> None:
        if scheme in self.schemes.values():
            return
        taken = sum(other.rstrip("0123456789") == name for other in self.schemes)
        self.schemes[f"{name}{taken + 1}" if taken else name] = scheme

    def add(self, operation: Json, asked: list[Json] | None) -> None:
        """Says which credentials a route asks for, and what it answers without."""
        if asked is None and not self._required:
            return
        scopes = [one["scope"] for one in asked or () if "scope" in one]
        # Any of them will do.
        operation["security"] = [{name: list(scopes)} for name in self.schemes]
        add_problems(operation, {"401", "403"} if asked else {"401"})


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
