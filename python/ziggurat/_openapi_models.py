"""What models say of themselves, in the schemas that the native side makes of them: descriptions, examples, and what is deprecated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from ._schema import is_struct

__all__ = ["tell_of_model"]

Json = dict[str, Any]

_PURPOSES = ("", "Create", "Replace", "Patch")
_TOLD = frozenset(("description", "examples", "example", "deprecated", "externalDocs"))


def tell_of_model(model: type[Any], schemas: dict[str, Json]) -> None:
    """Adds to `schemas` what the model and those within it say."""
    for name, told in _described(model).items():
        for purpose in _PURPOSES:
            for key in (name + purpose, f"{model.__name__}_{name}{purpose}"):
                if key in schemas:
                    schemas[key] = _with(schemas[key], told)


def _described(model: type[Any]) -> Mapping[str, Json]:
    """The model and those within it as their library describes them, by name."""
    if is_struct(model):
        import msgspec

        _, described = msgspec.json.schema_components((model,))
        return described
    try:
        made = TypeAdapter(model).json_schema(mode="serialization")
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        # Of a type that has no such schema, as with `Any` of a class of the user's.
        return {}
    within: Mapping[str, Json] = made.get("$defs", {})
    return {**within, model.__name__: within.get(model.__name__, made) if "$ref" in made else made}


def _told(described: Mapping[str, Any]) -> Json:
    return {key: value for key, value in described.items() if key in _TOLD or key.startswith("x-")}


def _with(schema: Json, described: Mapping[str, Any]) -> Json:
    told = _told(described)
    properties: Mapping[str, Json] = schema.get("properties", {})
    # An example of a whole row has members that a body must not have.
    if isinstance(told.get("examples"), list):
        told["examples"] = [
            {name: value for name, value in example.items() if name in properties}
            if isinstance(example, Mapping)
            else example
            for example in told["examples"]
        ]
    made = {**told, **schema}
    if properties:
        of = described.get("properties", {})
        # What the native side says of a field, as that it is read only, stays.
        made["properties"] = {
            name: _joined(property, _told(of[name])) if isinstance(of.get(name), Mapping) else property
            for name, property in properties.items()
        }
    return made


def _joined(property: Json, told: Json) -> Json:
    own = property.get("description")
    if own and told.get("description"):
        return {**told, **property, "description": f"{told['description']} ({own})"}
    return {**told, **property}
