"""Parameters that Rust reads and checks before Python is entered: scalars, and lists of them."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from ._callables import Wrong, spell
from ._param_defaults import copied
from ._param_markers import LIMITS, MISSING, PLACES, Body, Header, Marker
from ._param_unwrap import Unwrapped, optional, unwrap
from ._record import record
from ._ziggurat import UploadFile

__all__ = ["Param", "Source", "alias_of", "is_scalar", "scalar", "source_of"]

Source = Literal["path", "query", "header", "cookie", "form"]
Kind = Literal[
    "int",
    "float",
    "bool",
    "str",
    "uuid",
    "datetime",
    "date",
    "time",
    "timedelta",
    "decimal",
    "ipv4",
    "ipv6",
    "enum",
    "literal",
    "bytes",
    "upload",
]
Collection = Literal["list", "set", "frozenset", "tuple"]

_SCALARS: dict[Any, Kind] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    UUID: "uuid",
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "timedelta",
    Decimal: "decimal",
    IPv4Address: "ipv4",
    IPv6Address: "ipv6",
}
_SUPPORTED = (
    "int, float, Decimal, bool, str, UUID, datetime, date, time, timedelta, IPv4Address, IPv6Address, an Enum, a Literal, "
    "one of them or None, a list, set, frozenset or tuple[..., ...] of them, and what pydantic makes of a text"
)
_FILES: dict[Any, Kind] = {bytes: "bytes", UploadFile: "upload"}
"""What may stand in a form alone."""
_COLLECTIONS: dict[Any, Collection] = {list: "list", set: "set", frozenset: "frozenset", tuple: "tuple"}
_NUMBERS = ("int", "float", "decimal")
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""A name of HTTP (RFC 9110, 5.6.2)."""


@record
class Param:
    """A scalar, or several of one kind, as it is read."""

    name: str
    """As the function calls it."""
    alias: str
    """As it is called on the wire."""
    source: Source
    kind: Kind
    collection: Collection | None
    """What several are put into; the name may then stand in the request more than once."""
    nullable: bool
    default: object
    """`MISSING` when the parameter is required, or is made by `default_factory`."""
    annotation: Any
    """The annotation without markers."""
    default_factory: Callable[[], object] | None = None
    members: tuple[tuple[str, object], ...] = ()
    """What an Enum or a Literal may be, with the text of each."""
    constraints: Mapping[str, Any] = field(default_factory=dict)
    """Limits of each value."""
    items: Mapping[str, int] = field(default_factory=dict)
    """`min_items` and `max_items` of a collection."""
    docs: Mapping[str, Any] = field(default_factory=dict)
    """Any of title, description, examples, deprecated and include_in_schema."""
    media_types: tuple[str, ...] = ()
    """What a file may be; any where none is given."""
    omitted: bool = False
    """Whether it is a field of a model, which is told nothing of one that is not there."""
    told: Any = MISSING
    """What the document says that it is, where that is made of the text which is read."""

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is MISSING and self.default_factory is None and not self.omitted

    def to_native(self, keep: Callable[[object], int]) -> dict[str, Any]:
        """For the native side; `keep` gives an object a number."""
        factory = self.default_factory or copied(self.default)
        return {
            "alias": self.alias,
            "source": self.source,
            "kind": self.kind,
            "collection": self.collection,
            "default": None if self.default is MISSING or factory is not None else keep(self.default),
            "factory": None if factory is None else keep(factory),
            "omitted": self.omitted,
            "media_types": self.media_types,
            "members": [[text, keep(member)] for text, member in self.members],
            "rule": {
                limit: str(value) if self.kind == "decimal" and limit in _BOUNDS else value
                for limit, value in self.constraints.items()
            },
            **self.items,
        }


_BOUNDS = ("ge", "gt", "le", "lt", "multiple_of")
_NO_BOUNDS = {"ge": -math.inf, "gt": -math.inf, "le": math.inf, "lt": math.inf}
"""Bounds that every number keeps, since those that are read are finite."""


def scalar(name: str, given: Unwrapped, source: Source, alias: str, default: object, wrong: Wrong) -> Param:
    """The parameter `name` as one that Rust reads, or an error that says why it cannot."""
    if given.unknown:
        raise wrong(
            f"{name!r} is annotated with {given.unknown[0]!r}, which is not understood",
            f"use {PLACES} and the limits {', '.join(LIMITS)}",
        )
    if source in ("header", "cookie") and not _TOKEN.fullmatch(alias):
        raise wrong(f"{alias!r} cannot be the name of a {source}", "use letters, digits and hyphens")
    inner, nullable = optional(given.annotation)
    inner, collection, limits, items = _items(name, inner, given, wrong)
    if collection is not None and source == "path":
        raise wrong(f"the path parameter {name!r} cannot be a {collection}", "take one value per segment")
    kind, members = _kind(inner)
    if kind is None and source == "form":
        kind = _FILES.get(inner) if isinstance(inner, type) else None
        if kind is not None and collection in ("set", "frozenset"):
            raise wrong(f"{name!r} is a {collection} of files", f"write list[{spell(inner)}]")
    if kind is None:
        raise wrong(
            f"the parameter {name!r} has the type {spell(given.annotation)}, which cannot be read from the {source}",
            f"supported are {_SUPPORTED}; a JSON body is a pydantic model, a dataclass or Annotated[type, Body()]",
        )
    _check_limits(name, kind, limits, wrong)
    limits = {limit: value for limit, value in limits.items() if limit not in _BOUNDS or value != _NO_BOUNDS.get(limit)}
    if default is not MISSING and given.default_factory is not None:
        raise wrong(f"{name!r} has a default and a default_factory", "keep one")
    if default is MISSING and given.default_factory is None and nullable and source != "path":
        default = None
    return Param(
        name=name,
        alias=alias,
        source=source,
        kind=kind,
        collection=collection,
        nullable=nullable,
        default=default,
        annotation=given.annotation,
        default_factory=given.default_factory,
        members=members,
        constraints={limit: getattr(value, "pattern", value) for limit, value in limits.items()},
        items=items,
        docs=given.docs,
    )


def _items(
    name: str, inner: Any, given: Unwrapped, wrong: Wrong
) -> tuple[Any, Collection | None, dict[str, Any], dict[str, int]]:
    """What each value is, what several are put into, and the limits of both."""
    origin = get_origin(inner) or inner
    collection = _COLLECTIONS.get(origin) if isinstance(origin, type) else None
    if collection is None:
        return inner, None, dict(given.limits), {}
    args = get_args(inner) or (str,)
    if collection == "tuple" and get_args(inner) and (len(args) != 2 or args[1] is not Ellipsis):
        raise wrong(f"{name!r} is a tuple of a given length", f"write tuple[{spell(args[0])}, ...]")
    of_items = unwrap(name, args[0], wrong)
    if of_items.unknown or of_items.marker is not None:
        raise wrong(
            f"the items of {name!r} are annotated with {[*of_items.unknown, of_items.marker][0]!r}, which is not understood",
            f"use the limits {', '.join(LIMITS)}",
        )
    item, item_nullable = optional(of_items.annotation)
    if item_nullable:
        raise wrong(f"the items of {name!r} cannot be None", "drop None from the list's type")
    items: dict[str, int] = {}
    for limit, value in given.limits.items():
        if not limit.endswith("_length"):
            raise wrong(
                f"{name!r} is a {collection}, so the limit {limit}={value!r} cannot be checked",
                f"write {collection}[Annotated[{spell(item)}, Field({limit}={value!r})]]",
            )
        _check_length(name, collection, limit, value, wrong)
        items[limit.replace("_length", "_items")] = value
    return item, collection, of_items.limits, items


def is_scalar(annotation: Any) -> bool:
    """Whether Rust reads it as one value."""
    return _kind(annotation)[0] is not None


def _kind(inner: Any) -> tuple[Kind | None, tuple[tuple[str, object], ...]]:
    if get_origin(inner) is Literal:
        values = get_args(inner)
        if all(isinstance(value, str | int | enum.Enum) for value in values):
            return "literal", tuple((_text(value), value) for value in values)
        return None, ()
    if isinstance(inner, type) and issubclass(inner, enum.Enum):
        return "enum", tuple((_text(member), member) for member in inner)
    return (_SCALARS.get(inner) if isinstance(inner, type) else None), ()


def _text(value: Any) -> str:
    value = value.value if isinstance(value, enum.Enum) else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_limits(name: str, kind: Kind, limits: Mapping[str, Any], wrong: Wrong) -> None:
    for limit, value in limits.items():
        if limit in _BOUNDS:
            fits = kind in _NUMBERS and isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            if fits and not math.isfinite(value) and value != _NO_BOUNDS.get(limit):
                raise wrong(f"no number that is read for {name!r} keeps {limit}={value!r}", "give a finite bound")
            if fits and limit == "multiple_of":
                fits = value > 0
        elif limit == "pattern":
            fits = kind == "str"
            if fits:
                _check_pattern(name, value, wrong)
        elif limit in ("max_digits", "decimal_places"):
            fits = kind == "decimal" and isinstance(value, int) and value >= 0
        else:
            fits = kind in ("str", "bytes")
            if fits:
                _check_length(name, kind, limit, value, wrong)
        if not fits and kind == "upload":
            raise wrong(
                f"{name!r} is an UploadFile, so the limit {limit}={value!r} cannot be checked",
                "write forms=FormLimits(max_file_size=...) of the route",
            )
        if not fits:
            raise wrong(
                f"{name!r} is a {kind}, so the limit {limit}={value!r} cannot be checked",
                "use ge, gt, le, lt and multiple_of with int, float and Decimal, min_length, max_length and pattern with str, "
                "max_digits and decimal_places with Decimal",
            )


def _check_length(name: str, kind: str, limit: str, value: object, wrong: Wrong) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong(f"{name!r} is a {kind}, so the limit {limit}={value!r} cannot be checked", "give a whole number")


def _check_pattern(name: str, pattern: Any, wrong: Wrong) -> None:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    if isinstance(pattern, re.Pattern) and pattern.flags & ~re.UNICODE:
        raise wrong(f"the pattern of {name!r} has flags", 'write them into it, as r"(?i)abc"')
    text = getattr(pattern, "pattern", pattern)
    try:
        # The same engine as at the native side.
        SchemaValidator(core_schema.str_schema(pattern=text))
    except SchemaError as error:
        why = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise wrong(f"the pattern {text!r} of {name!r} cannot be used: {why}", "write it another way") from None


def alias_of(name: str, given: Unwrapped, marker: Marker | None) -> str:
    """As it is called on the wire."""
    if given.alias is not None:
        return given.alias
    if isinstance(marker, Header) and marker.convert_underscores:
        return name.replace("_", "-").lower()
    return name


def source_of(marker: Marker | None) -> Source:
    """The place that a marker names; the query where there is none."""
    assert not isinstance(marker, Body)
    names: dict[str, Source] = {
        "Path": "path",
        "Header": "header",
        "Cookie": "cookie",
        "Form": "form",
        "File": "form",
    }
    return names.get(type(marker).__name__, "query") if isinstance(marker, Marker) else "query"
