"""What is taken from the body of a request."""

from __future__ import annotations

import re
import types
from collections import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ._callables import Wrong, spell
from ._param_defaults import copied
from ._param_markers import LIMITS, MISSING, Body, Marker
from ._param_models import is_attrs, is_model, is_struct, validator
from ._param_unwrap import Unwrapped, optional
from ._record import record

__all__ = ["BodyParam", "BodyPlan", "body", "is_body", "media_types_of", "plan_of"]

Decoder = Literal["pydantic", "msgspec", "bytes", "str"]

_JSON = "application/json"
_MEDIA_TYPE = re.compile(r"(\*|[\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)")


@record
class BodyParam:
    """A parameter that is taken from the body."""

    name: str
    alias: str
    """What it is called where the body has several."""
    annotation: Any
    """With what pydantic or msgspec has to know of it."""
    default: object
    embed: bool
    media_types: tuple[str, ...]
    decoder: Decoder
    given: Unwrapped
    marker: Body

    @property
    def docs(self) -> dict[str, Any]:
        """What is said of it for the document."""
        return self.given.docs

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is MISSING


@record
class BodyPlan:
    """The whole body, of which one parameter or several are taken."""

    params: tuple[BodyParam, ...]
    annotation: Any
    """Of the whole."""
    embedded: bool
    """Whether it is an object that has each parameter under its name."""
    decode: Callable[[bytes], object] | None
    decoder: Decoder
    media_types: tuple[str, ...]

    @property
    def required(self) -> bool:
        """Whether a request without a body is refused."""
        return any(param.required for param in self.params)

    @property
    def description(self) -> str | None:
        """For the document."""
        return None if self.embedded else self.params[0].docs.get("description")

    def to_native(self, keep: Callable[[object], int]) -> dict[str, Any]:
        """For the native side."""

        def default(param: BodyParam) -> tuple[int, bool] | None:
            if param.default is MISSING:
                return None
            made = copied(param.default)
            return (keep(param.default), False) if made is None else (keep(made), True)

        return {
            "decode": None if self.decode is None else keep(self.decode),
            "decoder": self.decoder,
            "media_types": self.media_types,
            "default": None if self.embedded else default(self.params[0]),
            "fields": [[param.alias, default(param)] for param in self.params] if self.embedded else None,
            "required": self.required,
        }


def is_body(annotation: Any) -> bool:
    """Whether an annotation without a marker can only be the JSON body."""
    inner, _ = optional(annotation)
    origin = get_origin(inner)
    if origin in (Union, types.UnionType):
        return any(is_body(a) for a in get_args(inner))
    if origin is Annotated:
        return is_body(get_args(inner)[0])
    if origin in (list, tuple, set, frozenset, abc.Sequence, abc.Collection, abc.Iterable):
        return bool(get_args(inner)) and is_body(get_args(inner)[0])
    if origin is dict or inner is dict:
        return True
    return is_model(inner) or (isinstance(origin, type) and is_model(origin))


def body(name: str, given: Unwrapped, default: object, wrong: Wrong) -> BodyParam:
    """The parameter `name` as the body, or a part of it."""
    marker = given.marker if isinstance(given.marker, Body) else Body()
    if given.default_factory is not None:
        raise wrong(f"{name!r} has a default_factory, which a body cannot have", "write a plain default")
    media_types = media_types_of(marker.media_type, wrong)
    inner, _ = optional(given.annotation)
    decoder: Decoder = "pydantic"
    if inner is bytes or (inner is str and media_types and not _all_json(media_types)):
        decoder = "bytes" if inner is bytes else "str"
        if given.limits or given.unknown:
            raise wrong(f"{name!r} is taken as it comes, so its limits cannot be checked", "drop them")
    elif not _all_json(media_types):
        raise wrong(
            f"{name!r} has the media type {media_types[0]}, and only JSON is made {spell(given.annotation)} of",
            "annotate it with bytes or str, or leave media_type= away",
        )
    elif _mentions(given.annotation, is_struct) or _mentions(given.annotation, is_attrs):
        decoder = "msgspec"
    return BodyParam(
        name=name,
        alias=given.alias or name,
        annotation=_annotated(name, given, marker, decoder, wrong),
        default=default,
        embed=marker.embed,
        media_types=media_types,
        decoder=decoder,
        given=given,
        marker=marker,
    )


def media_types_of(given: str | Sequence[str] | None, wrong: Wrong) -> tuple[str, ...]:
    """What `media_type=` was given, checked."""
    asked = (given,) if isinstance(given, str) else tuple(given or ())
    for media_type in asked:
        if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
            raise wrong(f"{media_type!r} is no media type", 'write "image/png" or "image/*"')
    return tuple(media_type.lower() for media_type in asked)


def _all_json(media_types: Iterable[str]) -> bool:
    return all(media_type == _JSON or media_type.endswith("+json") for media_type in media_types)


def _mentions(annotation: Any, holds: Callable[[Any], bool]) -> bool:
    return holds(annotation) or any(_mentions(inner, holds) for inner in get_args(annotation))


def _annotated(name: str, given: Unwrapped, marker: Marker, decoder: Decoder, wrong: Wrong) -> Any:
    """With all that was said of it, for the library that checks it."""
    if decoder == "msgspec":
        if not given.limits and not given.unknown:
            return given.annotation
        import msgspec

        for extra in given.unknown:
            if not isinstance(extra, msgspec.Meta):
                raise wrong(f"{name!r} is annotated with {extra!r}, which msgspec does not know", "use msgspec.Meta")
        try:
            return Annotated[given.annotation, msgspec.Meta(**given.limits)]
        except (TypeError, ValueError) as error:
            raise wrong(f"the limits of {name!r} cannot be checked: {error}", "use those of msgspec.Meta") from None
    extras = [extra for extra in given.others if not isinstance(extra, str)]
    limits = {limit: getattr(marker, limit) for limit in LIMITS if getattr(marker, limit) is not None}
    if limits:
        extras.append(Field(**limits))
    return Annotated[(given.annotation, *extras)] if extras else given.annotation


def _part(param: BodyParam, decoder: Decoder, wrong: Wrong) -> Any:
    """One of several parameters, for the library that checks the whole, and with what is said of it for the document."""
    annotation = param.annotation
    if decoder != param.decoder:
        annotation = _annotated(param.name, param.given, param.marker, decoder, wrong)
    told = {key: param.docs[key] for key in ("title", "description", "examples", "deprecated") if param.docs.get(key)}
    if not told:
        return annotation
    if decoder == "pydantic":
        return Annotated[annotation, Field(**told)]
    import msgspec

    more = {"deprecated": told.pop("deprecated")} if "deprecated" in told else None
    if "examples" in told:
        told["examples"] = list(told["examples"])
    return Annotated[annotation, msgspec.Meta(**told, extra_json_schema=more)]


def plan_of(params: Sequence[BodyParam], name: str, wrong: Wrong) -> BodyPlan | None:
    """What the body as a whole has to be."""
    if not params:
        return None
    first = params[0]
    if len(params) == 1 and not first.embed:
        decode = (
            None if first.decoder in ("bytes", "str") else _decode(first.name, first.annotation, first.decoder, wrong)
        )
        media_types = first.media_types or (("*/*",) if first.decoder == "bytes" else (_JSON,))
        return BodyPlan((first,), first.annotation, False, decode, first.decoder, media_types)
    for param in params:
        if param.docs.get("openapi_examples"):
            raise wrong(
                f"{param.name!r} has openapi_examples, and is a part of the body, which as a whole has them",
                "write Field(examples=[...]) in its model",
            )
        if param.decoder in ("bytes", "str"):
            raise wrong(
                f"{param.name!r} is the body as it comes, and {[p.name for p in params if p is not param]} are taken from it too",
                "take the whole body, or make it a part of JSON",
            )
    decoders = {param.decoder for param in params}
    decoder: Decoder = "msgspec" if "msgspec" in decoders else "pydantic"
    if decoder == "msgspec":
        for param in params:
            if _mentions(param.annotation, lambda a: isinstance(a, type) and issubclass(a, BaseModel)):
                raise wrong(
                    f"{param.name!r} is a pydantic model beside a msgspec.Struct, and one library reads the body",
                    "make both models of the same library",
                )
    parts = {param.alias: (param.required, _part(param, decoder, wrong)) for param in params}
    fields = {alias: part if required else NotRequired[part] for alias, (required, part) in parts.items()}
    title = re.sub(r"\W+", "_", name)
    whole = TypedDict(f"Body_{title}", fields)  # type: ignore[misc]
    media_types = tuple(dict.fromkeys(kind for param in params for kind in param.media_types)) or (_JSON,)
    return BodyPlan(tuple(params), whole, True, _decode(name, whole, decoder, wrong), decoder, media_types)


def _decode(name: str, annotation: Any, decoder: Decoder, wrong: Wrong) -> Callable[[bytes], object]:
    if decoder == "pydantic":
        decode: Callable[[bytes], object] = validator(name, annotation, wrong).validate_json
        return decode
    try:
        import msgspec
    except ImportError:
        raise wrong(
            f"the body {name!r} is a class of attrs, which msgspec reads", "run `pip install msgspec`"
        ) from None
    try:
        return msgspec.json.Decoder(annotation).decode
    except TypeError as error:
        raise wrong(f"the body {name!r} cannot be decoded: {error}", "use types that msgspec knows") from error
