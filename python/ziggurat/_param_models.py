"""Models whose fields are parameters, as `Annotated[Page, Query()]`: Rust reads each field, and the model is made of them."""

from __future__ import annotations

import dataclasses
import functools
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined
from typing_extensions import ReadOnly, is_typeddict

from ._callables import Wrong, spell
from ._param_markers import MISSING, Header, Marker
from ._param_scalars import Param, Source, alias_of, scalar, source_of
from ._param_unwrap import Unwrapped, optional, unwrap
from ._record import record
from ._ziggurat import UploadFile
from .exceptions import ConfigError

__all__ = ["ModelParam", "is_attrs", "is_model", "is_struct", "is_upload", "model", "validator"]

Library = Literal["pydantic", "msgspec"]


@record
class ModelParam:
    """A model that is made of parameters."""

    name: str
    annotation: Any
    source: Source
    fields: tuple[tuple[str, Param], ...]
    """With what the model calls each."""
    make: Callable[[dict[str, object]], object]
    forbids: bool
    """Whether a request may have no other parameters in that place."""
    library: Library

    def to_native(self, keep: Callable[[object], int], places: tuple[int, ...]) -> dict[str, Any]:
        """For the native side; `places` are those of its parameters."""
        return {
            "source": self.source,
            "fields": [[key, place] for (key, _), place in zip(self.fields, places, strict=True)],
            "make": keep(self.make),
        }


_QUALIFIERS: dict[Any, bool | None] = {Required: True, NotRequired: False, ReadOnly: None}
"""What stands around the type of a member of a TypedDict, and whether it says that the member is there."""


@record
class _Field:
    name: str
    key: str
    """What the model is told it is called."""
    alias: str | None
    annotation: Any
    required: bool
    as_text: bool
    """Whether code of the model wants to see what was sent."""
    docs: Mapping[str, Any]


def is_struct(annotation: Any) -> bool:
    """Whether it is a `msgspec.Struct`."""
    msgspec: Any = sys.modules.get("msgspec")
    return msgspec is not None and isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def is_attrs(annotation: Any) -> bool:
    """Whether it is a class of attrs."""
    return isinstance(annotation, type) and hasattr(annotation, "__attrs_attrs__")


def is_model(annotation: Any) -> bool:
    """Whether it has fields."""
    return is_typeddict(annotation) or (
        isinstance(annotation, type)
        and (
            issubclass(annotation, BaseModel)
            or dataclasses.is_dataclass(annotation)
            or is_struct(annotation)
            or is_attrs(annotation)
        )
    )


def model(name: str, given: Unwrapped, marker: Marker, default: object, in_path: list[str], wrong: Wrong) -> ModelParam:
    """The parameter `name` as a model of what stands in one place."""
    source = source_of(marker)
    cls, nullable = optional(given.annotation)
    place = type(marker).__name__
    if nullable or default is not MISSING or given.default_factory is not None:
        raise wrong(
            f"{name!r} is a model of {place} parameters, which is made of what there is",
            "give its fields defaults, and take those of the model away",
        )
    if given.alias is not None or given.limits or given.unknown:
        raise wrong(f"{name!r} is a model of {place} parameters, and {place}(...) says more", "say it of its fields")
    if is_attrs(cls):
        raise wrong(
            f"{name!r} is a class of attrs, which no parameters are read for",
            "make it a dataclass, a pydantic model, a TypedDict or a msgspec.Struct",
        )
    params = []
    for each in _fields(cls, wrong):
        alias = each.alias or alias_of(each.name, Unwrapped(None), marker)
        if source == "path" and alias not in in_path:
            raise wrong(
                f"the field {each.name!r} of {name!r} is a path parameter, but the path has no {{{alias}}}",
                f"add {{{alias}}} to the path",
            )
        params.append((each.key, _param(each, source, alias, wrong)))
    extra = _extra(cls)
    if extra == "allow":
        raise wrong(
            f"{spell(cls)} allows fields that it does not have, and parameters are read by name",
            'take extra="allow" away, or look into request.query',
        )
    if extra == "forbid" and isinstance(marker, Header):
        raise wrong(
            f"{spell(cls)} forbids fields that it does not have, and every client sends headers of its own",
            'take extra="forbid" away',
        )
    if is_struct(cls):
        import msgspec

        make: Callable[[dict[str, object]], object] = functools.partial(msgspec.convert, type=cls, strict=False)
    else:
        make = validator(name, cls, wrong).validate_python
    library: Library = "msgspec" if is_struct(cls) else "pydantic"
    return ModelParam(name, cls, source, tuple(params), make, extra == "forbid" and source != "path", library)


def _param(each: _Field, source: Source, alias: str, wrong: Wrong) -> Param:
    def as_text() -> Param:
        """As it was sent, for the model to make something of it."""
        inner = optional(unwrap(each.name, each.annotation, wrong).annotation)[0]
        several = inner in (list, set, frozenset, tuple) or get_origin(inner) in (list, set, frozenset, tuple)
        wanted = Unwrapped(list[str] if several else str, docs=dict(each.docs))
        read = scalar(each.name, wanted, source, alias, MISSING, wrong)
        return dataclasses.replace(read, told=each.annotation)

    given = unwrap(each.name, each.annotation, wrong)
    if each.as_text and not is_upload(given.annotation):
        param = as_text()
    else:
        given.docs |= each.docs
        try:
            param = scalar(each.name, given, source, alias, MISSING, wrong)
        except ConfigError:
            # The model has rules of its own for it.
            param = as_text()
    return dataclasses.replace(param, default=MISSING, default_factory=None, omitted=not each.required)


def is_upload(annotation: Any, of: type = UploadFile) -> bool:
    """Whether it is a file of a form, or several."""
    inner, _ = optional(annotation)
    if get_origin(inner) in (list, tuple, set, frozenset) and get_args(inner):
        inner = get_args(inner)[0]
    while get_origin(inner) is Annotated:
        inner = get_args(inner)[0]
    return isinstance(inner, type) and issubclass(inner, of)


def _fields(cls: Any, wrong: Wrong) -> Iterator[_Field]:
    if isinstance(cls, type) and issubclass(cls, BaseModel):
        yield from _pydantic_fields(cls, wrong)
    elif is_struct(cls):
        import msgspec

        for info in msgspec.structs.fields(cls):
            alias = info.encode_name if info.encode_name != info.name else None
            docs = {} if info.default is msgspec.NODEFAULT else {"default": info.default}
            yield _Field(info.name, info.encode_name, alias, info.type, info.required, False, docs)
    else:
        hints = typing.get_type_hints(cls, include_extras=True)
        if is_typeddict(cls):
            for name, annotation in hints.items():
                required = name in cls.__required_keys__
                # Where annotations are texts, the class itself does not know of these.
                while get_origin(annotation) in _QUALIFIERS:
                    says = _QUALIFIERS[get_origin(annotation)]
                    required = required if says is None else says
                    annotation = get_args(annotation)[0]
                yield _Field(name, name, None, annotation, required, False, {})
        else:
            for each in dataclasses.fields(cls):
                if each.init:
                    has_default = (
                        each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
                    )
                    docs = {} if each.default is dataclasses.MISSING else {"default": each.default}
                    yield _Field(each.name, each.name, None, hints[each.name], not has_default, False, docs)


def _pydantic_fields(cls: type[BaseModel], wrong: Wrong) -> Iterator[_Field]:
    decorators = cls.__pydantic_decorators__
    everything = any(each.info.mode != "after" for each in decorators.model_validators.values())
    seen = {
        name for each in decorators.field_validators.values() if each.info.mode != "after" for name in each.info.fields
    }
    for name, info in cls.model_fields.items():
        alias = info.validation_alias if info.validation_alias is not None else info.alias
        if alias is not None and not isinstance(alias, str):
            raise wrong(
                f"the field {name!r} of {cls.__name__} has several aliases, and a parameter is called by one",
                'write validation_alias="..."',
            )
        docs = {
            told: getattr(info, told)
            for told in ("title", "description", "examples", "deprecated")
            if getattr(info, told)
        }
        if info.default is not PydanticUndefined:
            docs["default"] = info.default
        annotation: Any = info.annotation
        if info.metadata:
            annotation = Annotated[(annotation, *info.metadata)]
        yield _Field(
            name, alias or name, alias, annotation, info.is_required(), everything or name in seen or "*" in seen, docs
        )


def _extra(cls: Any) -> str | None:
    if is_struct(cls):
        return "forbid" if cls.__struct_config__.forbid_unknown_fields else None
    config = getattr(cls, "model_config", None) if isinstance(cls, type) and issubclass(cls, BaseModel) else None
    config = getattr(cls, "__pydantic_config__", None) if config is None else config
    return config.get("extra") if isinstance(config, Mapping) else None


def validator(name: str, annotation: Any, wrong: Wrong) -> Any:
    """pydantic's, for a model or any other type."""
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
