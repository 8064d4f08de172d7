"""What an app itself says was wrong with a request, as it is told of what the native side finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ._param_markers import LIMITS

__all__ = ["Violation", "Violations", "violations"]

Violation = tuple[str, str | list[str | int], str, str, int | float | str | None]
"""The place, as the problem document calls it; its name, or for `pointer` the steps to it; code, detail and limit."""

_PLACES = ("pointer", "parameter", "path", "header", "cookie")
_SOURCES = {"query": "parameter", "path": "path", "header": "header", "cookie": "cookie"}
"""What FastAPI calls the places of parameters."""
_PLACES_OF_FASTAPI = {place: source for source, place in _SOURCES.items()}
_LIMITS = (*LIMITS, "whole_digits")
"""What pydantic calls the limit of a rule, in `ctx`."""


class Violations(list[dict[str, Any]]):
    """What is wrong, as the problem document or FastAPI tells of it."""

    def __call__(self) -> list[dict[str, Any]]:
        """As FastAPI tells of it: `loc`, `type` and `msg`."""
        found = []
        for place, name, code, said, _ in violations(self):
            # What is wrong with all of the query has no name.
            steps = name if isinstance(name, list) else [name] if name else []
            found.append({"type": code, "loc": (_PLACES_OF_FASTAPI.get(place, "body"), *steps), "msg": said})
        return found


def violations(errors: Sequence[Mapping[str, Any]]) -> list[Violation]:
    """Each as the native side reads it.

    One is either as the problem document tells of it (`pointer`, `parameter`, `path`, `header` or `cookie`, with `code`, `detail` and
    perhaps `limit`), or as pydantic and FastAPI do: `loc`, `type`, `msg` and perhaps `ctx`. What else they hold, as `input`, is not told.

    Raises `TypeError` where something is none of that, and says what it has to be.
    """
    if isinstance(errors, str | bytes | Mapping) or not isinstance(errors, Sequence):
        raise TypeError(f"errors of a RequestValidationError are a list of dicts, not {_kind(errors)}")
    return [_violation(error, f"errors[{index}] of a RequestValidationError") for index, error in enumerate(errors)]


def _violation(error: Any, what: str) -> Violation:
    if not isinstance(error, Mapping):
        raise TypeError(
            f'{what} is {_kind(error)}; write {{"loc": ["body", "name"], "type": "value_error", "msg": "..."}}'
        )
    said = error.get("detail", error.get("msg"))
    if not isinstance(said, str):
        raise TypeError(f'{what} has no text; write what is wrong as "msg", or as "detail"')
    code = error.get("code", error.get("type", "value_error"))
    if not isinstance(code, str):
        raise TypeError(f'{what} has a code that is {_kind(code)}; write a text as "type", or as "code"')
    place, name = _place(error, what)
    return place, name, code, said, _limit(error)


def _place(error: Mapping[str, Any], what: str) -> tuple[str, str | list[str | int]]:
    places = [place for place in (*_PLACES, "loc") if place in error]
    if len(places) > 1:
        raise TypeError(f"{what} has {' and '.join(places)}; one of them is its place")
    if not places:
        # Something about all of the body.
        return "pointer", []
    [place] = places
    at = error[place]
    if place == "loc":
        return _of_steps(at, what)
    if not isinstance(at, str):
        raise TypeError(f"{what} has a {place} that is {_kind(at)}, and no text")
    if place != "pointer":
        return place, at
    if at and not at.startswith("/"):
        raise TypeError(f"{what} has the pointer {at!r}; write it as RFC 6901 has it, /name or /items/0")
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in at.split("/")[1:]]
    return "pointer", [int(token) if _is_index(token) else token for token in tokens]


def _of_steps(loc: Any, what: str) -> tuple[str, str | list[str | int]]:
    if isinstance(loc, str | bytes) or not isinstance(loc, Sequence):
        raise TypeError(f'{what} has a loc that is {_kind(loc)}; write a list, as ["body", "name"]')
    for step in loc:
        if not isinstance(step, str | int):
            raise TypeError(f"{what} has a loc with {_kind(step)} in it; its steps are names and numbers")
    first, *rest = loc or ("body",)
    if first in _SOURCES:
        return _SOURCES[first], str(rest[0]) if rest else ""
    return "pointer", rest if first == "body" else list(loc)


def _limit(error: Mapping[str, Any]) -> int | float | str | None:
    ctx = error.get("ctx")
    found = error.get("limit")
    if found is None and isinstance(ctx, Mapping):
        found = next((ctx[name] for name in _LIMITS if name in ctx), None)
    if isinstance(found, Decimal):
        return str(found)
    return found if isinstance(found, int | float | str) and not isinstance(found, bool) else None


def _is_index(token: str) -> bool:
    return token.isascii() and token.isdecimal() and str(int(token)) == token


def _kind(value: object) -> str:
    return "None" if value is None else f"of the type {type(value).__name__}"
