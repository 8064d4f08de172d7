"""What the OpenAPI document says of parameters and bodies."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ._param_bodies import BodyPlan
from ._param_markers import MISSING
from ._param_scalars import Param

__all__ = ["FASTAPI_ERRORS", "form_body", "parameters", "request_body"]

Json = dict[str, Any]

_SCALARS: dict[str, Json] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "uuid": {"type": "string", "format": "uuid"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "string", "format": "duration"},
    "decimal": {"type": "number"},
    "ipv4": {"type": "string", "format": "ipv4"},
    "ipv6": {"type": "string", "format": "ipv6"},
    "bytes": {"type": "string", "format": "binary"},
    "upload": {"type": "string", "format": "binary"},
}
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}


def parameters(params: tuple[Param, ...]) -> list[Json]:
    """Each once, though several functions may read it."""
    made: dict[tuple[str, str], Json] = {}
    for param in params:
        if param.source != "form" and param.docs.get("include_in_schema", True):
            made.setdefault((param.source, param.alias), _parameter(param))
    return list(made.values())


def _parameter(param: Param) -> Json:
    schema = _whole_schema(param)
    made: Json = {"name": param.alias, "in": param.source, "required": param.required, "schema": schema}
    if param.docs.get("description"):
        made["description"] = param.docs["description"]
    if param.docs.get("deprecated"):
        made["deprecated"] = True
    if param.docs.get("openapi_examples"):
        made["examples"] = to_jsonable_python(dict(param.docs["openapi_examples"]))
    return made


def form_body(params: tuple[Param, ...], name: str) -> Json:
    """Of a form that has these fields."""
    shown = {param.alias: param for param in reversed(params) if param.docs.get("include_in_schema", True)}
    fields = dict(reversed(shown.items()))
    properties: Json = {}
    for alias, param in fields.items():
        properties[alias] = _whole_schema(param)
        for told in ("description", "deprecated"):
            if param.docs.get(told):
                properties[alias][told] = param.docs[told]
        named = [each["value"] for each in param.docs.get("openapi_examples", {}).values() if "value" in each]
        if named:
            # A field of a form is a part of its schema, in which they have no names.
            properties[alias].setdefault("examples", []).extend(to_jsonable_python(named))
    schema: Json = {"type": "object", "title": f"Form_{name}", "properties": properties}
    required = [alias for alias, param in fields.items() if param.required]
    if required:
        schema["required"] = required
    encoding = {
        alias: {"contentType": ", ".join(param.media_types)} for alias, param in fields.items() if param.media_types
    }
    multipart: Json = {"schema": schema} | ({"encoding": encoding} if encoding else {})
    content = {"multipart/form-data": multipart}
    # A form with files is only sent in parts.
    if not any(param.kind in ("upload", "bytes") for param in params):
        content = {"application/x-www-form-urlencoded": {"schema": schema}, **content}
    return {"required": any(param.required for param in params), "content": content}


def _whole_schema(param: Param) -> Json:
    schema = _schema(param) if param.told is MISSING else _schema_told(param)
    if param.told is MISSING and param.collection is not None:
        schema = {"type": "array", "items": schema}
        if param.collection in ("set", "frozenset"):
            schema["uniqueItems"] = True
        schema |= {{"min_items": "minItems", "max_items": "maxItems"}[limit]: n for limit, n in param.items.items()}
    default = param.docs.get("default", param.default)
    if default is not None and default is not MISSING:
        # A default without a JSON form works in Python and cannot be shown.
        with contextlib.suppress(PydanticSerializationError):
            schema["default"] = _number(default) if param.kind == "decimal" else to_jsonable_python(default)
    if param.docs.get("title"):
        schema["title"] = param.docs["title"]
    if param.docs.get("examples"):
        schema["examples"] = to_jsonable_python(list(param.docs["examples"]))
    return schema


def _number(default: Any) -> Any:
    """A Decimal, or several, as the number that its schema says it is."""
    if isinstance(default, list | tuple | set | frozenset):
        return [_number(each) for each in default]
    return float(default) if isinstance(default, Decimal) else default


def _schema_told(param: Param) -> Json:
    """What pydantic says of a value that it makes of a text."""
    try:
        schema = TypeAdapter(param.told).json_schema()
    except Exception:  # pydantic has no common base for what it raises here
        return {"type": "array", "items": {"type": "string"}} if param.collection else {"type": "string"}
    within = schema.pop("$defs", {})

    def whole(node: Any, inside: tuple[str, ...] = ()) -> Any:
        """With what it refers to in its place, as enums; what stands in itself is any value there."""
        if isinstance(node, list):
            return [whole(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).rpartition("/")[2]
        found = {} if name in inside else within.get(name, {})
        inside = (*inside, name) if found else inside
        return {key: whole(value, inside) for key, value in {**found, **node}.items() if key != "$ref"}

    made: Json = whole(schema)
    return made


def _schema(param: Param) -> Json:
    if param.kind in ("enum", "literal"):
        values = [getattr(member, "value", member) for _, member in param.members]
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        return {
            "type": "integer" if whole else "string",
            "enum": values if whole else [text for text, _ in param.members],
        }
    limits = {_LIMITS[limit]: value for limit, value in param.constraints.items() if limit in _LIMITS}
    return _SCALARS[param.kind] | {
        limit: value if isinstance(value, int | float | str) else float(value) for limit, value in limits.items()
    }


def request_body(body: BodyPlan, schema: Json) -> Json:
    """Of a body whose JSON is as `schema` says."""
    if body.decoder == "bytes":
        # OpenAPI 3.1 has no schema for bytes that are sent as they are.
        schema = {}
    elif body.decoder == "str":
        schema = {"type": "string"}
    if not body.embedded:
        docs = body.params[0].docs
        extra = {told: docs[told] for told in ("title", "examples") if docs.get(told)}
        if extra and "$ref" in schema:
            schema = {**schema, **to_jsonable_python(extra)}
        elif extra:
            schema = schema | to_jsonable_python(extra)
    told: Json = {"schema": schema}
    if not body.embedded and body.params[0].docs.get("openapi_examples"):
        told["examples"] = to_jsonable_python(dict(body.params[0].docs["openapi_examples"]))
    made: Json = {"required": body.required, "content": {media_type: told for media_type in body.media_types}}
    if body.description:
        made["description"] = body.description
    return made


FASTAPI_ERRORS: Json = {
    "HTTPValidationError": {
        "title": "HTTPValidationError",
        "type": "object",
        "properties": {
            "detail": {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}
        },
    },
    "ValidationError": {
        "title": "ValidationError",
        "type": "object",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {
                "title": "Location",
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "msg": {"title": "Message", "type": "string"},
            "type": {"title": "Error Type", "type": "string"},
        },
    },
    "HTTPError": {
        "title": "HTTPError",
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"title": "Detail", "type": "string"}},
    },
}
"""Schemas of what is told with `errors="fastapi"`."""
