"""Parameters that pydantic makes of the texts that Rust has read: unions, URLs, paths, and what has validators."""

from __future__ import annotations

import collections
import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
from pydantic import Field, Json, Strict, TypeAdapter
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict

from ._callables import Wrong
from ._param_defaults import copied
from ._param_markers import LIMITS, MISSING
from ._param_models import ModelParam, is_model
from ._param_scalars import Param, Source, is_scalar, scalar
from ._param_unwrap import Unwrapped, optional, unwrap
from ._ziggurat import UploadFile

__all__ = ["value"]

_SEVERAL = (list, set, frozenset, tuple, collections.deque, abc.Sequence, abc.Set, abc.Collection, abc.Iterable)
_UNIONS = (Union, types.UnionType)
_JSON: Any = Json


def value(name: str, given: Unwrapped, source: Source, alias: str, default: object, wrong: Wrong) -> Param | ModelParam:
    """The parameter `name` as Rust reads it, or as pydantic makes it of its text where Rust does not know the type or a rule."""
    if not _is_for_pydantic(name, given, source, wrong):
        return scalar(name, given, source, alias, default, wrong)
    if default is not MISSING and given.default_factory is not None:
        raise wrong(f"{name!r} has a default and a default_factory", "keep one")
    inner, _ = optional(given.annotation)
    nullable = types.NoneType in get_args(given.annotation)
    if default is MISSING and given.default_factory is None and nullable and source != "path":
        default = None
    said: list[Any] = [extra for extra in given.others if not isinstance(extra, str)]
    limits = {limit: getattr(given.marker, limit, None) for limit in LIMITS}
    if any(limit is not None for limit in limits.values()):
        said.append(Field(**{limit: to for limit, to in limits.items() if to is not None}))
    annotation: Any = Annotated[(given.annotation, *said)] if said else given.annotation
    # With its name, which is then a part of the place that an error is at.
    fields = {name: annotation}
    try:
        whole = TypedDict("Value", fields)  # type: ignore[misc]
        validate = TypeAdapter(whole).validator.validate_python
    except Exception as error:  # pydantic has no common base for what it raises here
        if not given.unknown:
            # Says what is supported.
            return scalar(name, given, source, alias, default, wrong)
        raise wrong(
            f"what {name!r} is annotated with cannot be checked: {error}", "change it or take it away"
        ) from None
    text = scalar(
        name,
        Unwrapped(list[str] if _is_several(inner) and not _is_json(given.unknown) else str, docs=given.docs),
        source,
        alias,
        MISSING,
        wrong,
    )
    required = default is MISSING and given.default_factory is None
    docs = text.docs if default is MISSING else {**text.docs, "default": default}
    text = dataclasses.replace(text, omitted=not required, docs=docs, told=annotation)
    otherwise = given.default_factory or copied(default) or (lambda: default)
    # What `Field` calls it is what pydantic looks for.
    names = (extra.validation_alias for extra in given.others if isinstance(extra, FieldInfo))
    key = next((each for each in names if isinstance(each, str)), name)
    return ModelParam(name, annotation, source, ((key, text),), _maker(name, validate, otherwise), False, "pydantic")


def _maker(
    name: str, validate: Callable[[object], Any], otherwise: Callable[[], object]
) -> Callable[[dict[str, object]], object]:
    def make(found: dict[str, object]) -> object:
        return validate(found)[name] if found else otherwise()

    return make


def _is_for_pydantic(name: str, given: Unwrapped, source: Source, wrong: Wrong) -> bool:
    """Whether Rust cannot read it, and pydantic may be able to."""
    inner, _ = optional(given.annotation)
    unknown, item = list(given.unknown), inner
    if _is_json(unknown):
        return True
    if _is_several(inner):
        args = get_args(inner)
        if source == "path" or (get_origin(inner) is tuple and (len(args) != 2 or args[1] is not Ellipsis)):
            return False
        of_items = unwrap(name, args[0] if args else str, wrong)
        if of_items.marker is not None:
            return False
        unknown += of_items.unknown
        item, _ = optional(of_items.annotation)
        known = is_scalar(item) and get_origin(inner) in (list, set, frozenset, tuple)
    else:
        known = is_scalar(inner)
    if unknown:
        return all(map(_is_rule, unknown)) and not _holds_more(item)
    return not known and not _holds_more(item)


def _is_json(extras: list[object]) -> bool:
    """Whether it is `pydantic.Json[...]`: one text, whatever that holds."""
    return any(extra is _JSON or isinstance(extra, _JSON) for extra in extras)


def _is_several(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) in _SEVERAL


def _is_rule(extra: object) -> bool:
    """Whether pydantic understands it. It passes over what it does not; and what is strict takes no text."""
    if isinstance(extra, Strict) or getattr(extra, "strict", None):
        return False
    rules = (annotated_types.BaseMetadata, annotated_types.GroupedMetadata)
    return hasattr(extra, "__get_pydantic_core_schema__") or isinstance(extra, rules)


def _holds_more(annotation: Any) -> bool:
    """Whether it holds what is no single value, or says nothing of it."""
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _holds_more(get_args(annotation)[0])
    if origin in _UNIONS:
        return any(map(_holds_more, get_args(annotation)))
    if origin is typing.Literal:
        return any(isinstance(each, bytes) for each in get_args(annotation))
    if _is_several(annotation) or is_model(origin) or annotation in (Any, object):
        return True
    return not isinstance(origin, type) or issubclass(origin, abc.Mapping | abc.Callable | type | bytes | UploadFile)
