"""What `Annotated[...]` says of a parameter beside its type."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, NewType, Optional, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ._callables import Wrong
from ._param_markers import LIMITS, PLACES, Marker

__all__ = ["Unwrapped", "optional", "unwrap"]


@dataclass(slots=True)
class Unwrapped:
    """What `Annotated` held."""

    annotation: Any
    marker: Marker | None = None
    alias: str | None = None
    default_factory: Callable[[], object] | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    docs: dict[str, Any] = field(default_factory=dict)
    unknown: list[object] = field(default_factory=list)
    """What is not understood here; pydantic or msgspec may know it."""
    others: list[object] = field(default_factory=list)
    """Everything but our markers, as it was given."""


def unwrap(name: str, annotation: Any, wrong: Wrong) -> Unwrapped:
    """Takes `Annotated` apart, and names for types."""
    found = Unwrapped(_named(annotation))
    while get_origin(found.annotation) is Annotated:
        inner, *extras = get_args(found.annotation)
        found.annotation = _named(inner)
        _take(name, extras, found, wrong)
    inner, nullable = optional(found.annotation)
    if nullable and get_origin(_named(inner)) is Annotated:
        # `Annotated[int, Query(ge=1)] | None` means the same.
        within = unwrap(name, inner, wrong)
        if within.marker is not None and found.marker is not None:
            raise wrong(f"{name!r} has two markers", f"keep one of {PLACES}")
        found.annotation = Optional[within.annotation]  # noqa: UP045 - what it is need not have `|`
        found.marker = found.marker or within.marker
        found.alias = found.alias or within.alias
        found.limits = within.limits | found.limits
        found.docs = within.docs | found.docs
        found.unknown += within.unknown
        found.others += within.others
    return found


def _take(name: str, extras: list[Any], found: Unwrapped, wrong: Wrong) -> None:
    while extras:
        extra = extras.pop(0)
        if extra is None:
            # As `pydantic.conint(...)` leaves them.
            continue
        if isinstance(extra, type) and issubclass(extra, Marker):
            extra = extra()
        if isinstance(extra, Marker):
            if found.marker is not None:
                raise wrong(f"{name!r} has two markers", f"keep one of {PLACES}")
            found.marker = extra
        else:
            found.others.append(extra)
        if isinstance(extra, str):
            found.docs["description"] = extra
            continue
        if isinstance(extra, FieldInfo):
            if extra.default is not PydanticUndefined:
                raise wrong(f"the Field(...) of {name!r} has a default", f"write {name}: ... = {extra.default!r}")
            extras = [*extra.metadata, *extras]
        known = _described(extra, found)
        limits = {limit: getattr(extra, limit) for limit in LIMITS if getattr(extra, limit, None) is not None}
        if not known and (not limits or _asks_more(extra)):
            found.unknown.append(extra)
        found.limits.update(limits)


def _described(extra: Any, found: Unwrapped) -> bool:
    """Takes what describes a parameter; false when it is something else."""
    if type(extra).__name__ == "Doc" and isinstance(getattr(extra, "documentation", None), str):
        found.docs["description"] = extra.documentation
        return True
    if not isinstance(extra, Marker | FieldInfo):
        return False
    for told in ("title", "description", "examples", "deprecated"):
        if getattr(extra, told):
            found.docs[told] = getattr(extra, told)
    if isinstance(extra, Marker):
        found.docs["include_in_schema"] = extra.include_in_schema
        if extra.openapi_examples:
            found.docs["openapi_examples"] = extra.openapi_examples
    found.alias = found.alias or extra.alias
    found.default_factory = found.default_factory or typing.cast(Any, extra.default_factory)
    return True


def _asks_more(extra: object) -> bool:
    """Whether it asks for more than limits, as `StringConstraints(to_lower=True)`."""
    asked = getattr(extra, "__dict__", {})
    return any(value not in (None, False) and name not in LIMITS for name, value in asked.items())


def _named(annotation: Any) -> Any:
    """What a `type` statement or a NewType names."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType" and not get_args(annotation):
            annotation = annotation.__value__
        else:
            return annotation


def optional(annotation: Any) -> tuple[Any, bool]:
    """What it is beside None, and whether it may be that."""
    if get_origin(annotation) in (Union, types.UnionType):
        args = [a for a in get_args(annotation) if a is not types.NoneType]
        if len(args) == 1 and len(args) < len(get_args(annotation)):
            return args[0], True
    return annotation, False
