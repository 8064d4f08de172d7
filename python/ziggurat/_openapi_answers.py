"""What the OpenAPI document tells of the answers of a handler."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from http import HTTPStatus
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

from ._returns import WITHOUT_CONTENT
from .responses import Response

if TYPE_CHECKING:
    from ._specs import RouteSpec

Json = dict[str, Any]
Key = TypeVar("Key")


def success(route: RouteSpec, schema: Json) -> Json:
    """The answer with what the handler returns, which `schema` is of."""
    made: Json = {"description": "Success"}
    returns, stream = route.returned.model, route.returned.stream
    if route.status in WITHOUT_CONTENT:
        return made
    if stream is not None:
        # OpenAPI 3.1 has no word for one after the other: it is the schema of each.
        each = schema if stream.form == "lines" else {}
        made["content"] = {stream.media_type.partition(";")[0]: {"schema": each}}
        return made
    if route.returned.write is None and (content := _as_it_is(returns, schema)):
        made["content"] = content
    elif not (isinstance(returns, type) and issubclass(returns, Response)):
        made["content"] = {"application/json": {"schema": schema}}
    elif media_type := getattr(returns, "media_type", None):
        as_text: Json = {"type": "string"} if media_type.startswith("text/") else {}
        made["content"] = {media_type.partition(";")[0]: {"schema": as_text}}
    return made


def _as_it_is(returns: Any, schema: Json) -> Json | None:
    """The content where a value may be a text or bytes, which are sent as they are and not as JSON; None where it cannot."""
    members = get_args(returns) if get_origin(returns) in (Union, UnionType) else (returns,)
    # A response says itself what it is.
    members = tuple(each for each in members if not (isinstance(each, type) and issubclass(each, Response)))
    texts = [member for member in members if member is str or _is_literal_text(member)]
    if not texts and bytes not in members:
        return None
    content: Json = {}
    if texts:
        whole = schema if len(members) == 1 and str not in members else {"type": "string"}
        content["text/plain"] = {"schema": whole}
    if bytes in members:
        content["application/octet-stream"] = {"schema": {}}
    rest = [member not in texts and member is not bytes for member in members]
    if any(rest):
        each = schema.get("anyOf", ())
        # In the order of the members, as pydantic writes them.
        left = [of for of, is_json in zip(each, rest, strict=True) if is_json] if len(each) == len(rest) else [{}]
        content["application/json"] = {"schema": left[0] if len(left) == 1 else {"anyOf": left}}
    return content


def _is_literal_text(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and all(type(value) is str for value in get_args(annotation))


def of_msgspec(models: Mapping[Key, Any], ref: str) -> tuple[dict[Key, Json], dict[str, Json]]:
    """The schemas of types that msgspec reads or writes, and those that they name, with a name for each class.

    What has none, as a class that only a hook can make, is left out: it is shown as any JSON value.
    """
    if not models:
        return {}, {}
    import msgspec

    known = {}
    for key, model in models.items():
        with contextlib.suppress(TypeError):
            msgspec.json.schema(model)
            known[key] = model
    made, found = msgspec.json.schema_components(known.values(), ref_template=ref.replace("{model}", "{name}"))
    return dict(zip(known, made, strict=True)), found


def _merged(known: Mapping[str, Any], said: Mapping[str, Any]) -> Json:
    """Both, as an example beside a schema, or another media type; of what is in both what is said."""

    def both(key: str) -> Any:
        one, other = known.get(key), said.get(key, known.get(key))
        # One schema is not a part of the other.
        return (
            _merged(one, other)
            if isinstance(one, Mapping) and isinstance(other, Mapping) and key != "schema"
            else other
        )

    return {key: both(key) for key in {**known, **said}}


def other(status: int | str, said: Mapping[str, Any], known: Json | None, schema: Json) -> Json:
    """An answer of which the app tells, over what is known of it; `schema` is that of its model."""
    made = _merged(known or {}, {key: value for key, value in said.items() if key != "model"})
    if "model" in said:
        made["content"] = {"application/json": {"schema": schema}, **said.get("content", {})}
    if "description" not in made:
        made["description"] = "Another answer"
        with contextlib.suppress(ValueError):
            made["description"] = HTTPStatus(int(status)).phrase
    return made
