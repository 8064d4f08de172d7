"""What stands in `Annotated[...]` of a parameter, and says where it is taken from and what it has to be like."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ._location import user_location
from .exceptions import ConfigError

__all__ = ["MISSING", "Body", "Cookie", "File", "Form", "Header", "Marker", "Path", "Query"]


class _Missing(enum.Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Literal[_Missing.MISSING] = _Missing.MISSING
"""Stands where there is no default or no annotation, since `None` may be either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """What all places have in common."""

    alias: str | None = None
    """What it is called on the wire; as the function calls it unless given."""
    title: str | None = None
    """For the document."""
    description: str | None = None
    """For the document."""
    examples: Sequence[Any] = ()
    """For the document."""
    openapi_examples: Mapping[str, Mapping[str, Any]] | None = None
    """For the document: examples that have names, `{"plain": {"summary": ..., "description": ..., "value": ...}}`."""
    deprecated: bool = False
    """Whether the document says so."""
    include_in_schema: bool = True
    """Whether the document shows it."""
    default_factory: Callable[[], object] | None = None
    """Makes the value of a request without it; a plain default is written as `name: ... = default`."""
    ge: float | Decimal | None = None
    """The least number."""
    gt: float | Decimal | None = None
    """A number that it is greater than."""
    le: float | Decimal | None = None
    """The greatest number."""
    lt: float | Decimal | None = None
    """A number that it is less than."""
    multiple_of: float | Decimal | None = None
    """A number that it is a multiple of."""
    min_length: int | None = None
    """The least number of characters, or of the items of a list."""
    max_length: int | None = None
    """The greatest number of characters, or of the items of a list."""
    pattern: str | re.Pattern[str] | None = None
    """A regular expression that is found somewhere in a text; without look-around, as pydantic's."""
    max_digits: int | None = None
    """The greatest number of digits of a Decimal."""
    decimal_places: int | None = None
    """The greatest number of digits after the point of a Decimal."""


# Those that say no more are no dataclasses of their own, each of which would be compiled once more.
class Path(Marker):
    """Takes the parameter from the path, or the fields of a model from there."""

    __slots__ = ()


class Query(Marker):
    """Takes the parameter from the query string, or the fields of a model from there."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Header(Marker):
    """Takes the parameter from a header, or the fields of a model from headers.

    `user_agent` reads `user-agent` unless `alias` names another. A list has the fields of that name, in the order in which they came.
    """

    convert_underscores: bool = True
    """Whether underscores of the name stand for hyphens, which most headers have."""


class Cookie(Marker):
    """Takes the parameter from a cookie, or the fields of a model from cookies."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Body(Marker):
    """Takes the parameter from the body: as JSON, or for `bytes` and `str` as it is.

    Where several parameters are taken from the body, it is an object that has each under its name.
    """

    embed: bool = False
    """Whether the body is such an object also where only this parameter is taken from it."""
    media_type: str | Sequence[str] | None = None
    """The content types that are taken, as `image/png` or `image/*`; others are answered 415. JSON unless given, and any for `bytes`."""


class Form(Marker):
    """Takes the parameter from a field of a form, or the fields of a model from there."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class File(Marker):
    """Takes a file from a form: an `UploadFile`, or its content as `bytes`, or a list of them."""

    media_type: str | Sequence[str] | None = None
    """The content types that it may have, as `image/png` or `image/*`; another one is answered 422. It is what the client says, and need not
    be true. Any unless given."""


def _refuse_defaults(marker: type[Marker]) -> None:
    """Has who writes `= Query(10)` told what is written here, where the signature alone would say that there are too many arguments."""
    made, known = marker.__init__, marker.__dataclass_fields__

    @functools.wraps(made)
    def init(self: Marker, *default: object, **said: Any) -> None:
        if "default" in said:
            default = (said.pop("default"),)
        if default:
            given, plain = ("...", "") if default[0] is ... else (repr(default[0]), f" = {default[0]!r}")
            others = ", ".join(f"{name}={value!r}" for name, value in said.items())
            raise ConfigError(
                f"{marker.__name__}({given}) is given a default",
                cure=f"write name: Annotated[type, {marker.__name__}({others})]{plain}",
                location=user_location(),
            )
        unknown = [name for name in said if name not in known]
        if unknown:
            from ._elsewhere import unexpected

            raise unexpected(marker.__name__, marker, unknown)
        made(self, **said)
        _check_examples(self)

    setattr(marker, "__init__", init)  # noqa: B010 - which mypy would not let be assigned


def _check_examples(marker: Marker) -> None:
    members = {"summary", "description", "value", "externalValue"}
    for name, example in (marker.openapi_examples or {}).items():
        if not isinstance(example, Mapping) or not example.keys() <= members:
            raise ConfigError(
                f"{type(marker).__name__}: openapi_examples has {name!r}: {example!r}",
                cure='write {"name": {"summary": ..., "value": ...}}',
                location=user_location(),
            )


for _marker in (Path, Query, Header, Cookie, Body, Form, File):
    _refuse_defaults(_marker)


PLACES = "Path, Query, Header, Cookie, Form, File and Body"
LIMITS = (
    "ge",
    "gt",
    "le",
    "lt",
    "multiple_of",
    "min_length",
    "max_length",
    "pattern",
    "max_digits",
    "decimal_places",
)
