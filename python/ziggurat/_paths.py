"""The path of a route, from its name and what stands in it."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from .app import Ziggurat

__all__ = ["Paths"]

_PART = re.compile(r"\{\{|\}\}|\{(\*?)(\w+)(:path)?\}")
_SAFE = "!$&'()*+,;=:@"
"""What a segment may hold beside letters, digits and `-._~` (`pchar` of RFC 3986, 3.3)."""


class Paths:
    """The templates of an app's routes, by name."""

    def __init__(self, app: Ziggurat) -> None:
        self._known: dict[str, dict[str, bool]] = {}
        for name, template, is_socket in _named(app):
            self._known.setdefault(name, {}).setdefault(template, is_socket)

    def path(self, name: str, params: Mapping[str, object]) -> tuple[str, bool]:
        """The path of the route that is called `name`, and whether it is one of WebSockets.

        `LookupError` when no route is called so and takes just these parameters, or several do; `ValueError` for a value that no path can hold.
        """
        templates = self._known.get(name)
        if templates is None:
            near = difflib.get_close_matches(name, self._known, 3) or sorted(self._known)
            raise LookupError(f"no route is called {name!r}; there are {', '.join(near) or 'none'}")
        fitting = [template for template in templates if set(_names(template)) == set(params)]
        if not fitting:
            given = f"not {', '.join(params)}" if params else "and none is given"
            wanted = " or ".join(
                f"{template} with {', '.join(_names(template)) or 'nothing'}" for template in templates
            )
            raise LookupError(f"the route {name!r} is {wanted}, {given}")
        if len(fitting) > 1:
            raise LookupError(
                f"{name!r} is called {' and '.join(fitting)}; give each route a name of its own, as name=..."
            )
        return _filled(fitting[0], params), templates[fitting[0]]


def _named(app: Ziggurat) -> Iterator[tuple[str, str, bool]]:
    for route in app.route_specs:
        yield route.name, route.path, route.websocket is not None
    resources = app.crud_specs
    if resources:
        from .openapi import path_of

        for resource in resources:
            for op in resource.auth:
                yield f"{resource.model.__name__}.{op}", path_of(resource, op), False


def _names(template: str) -> list[str]:
    return [name for _, name, _ in _PART.findall(template) if name]


def _filled(template: str, params: Mapping[str, object]) -> str:
    made, end = "", 0
    for match in _PART.finditer(template):
        made += quote(template[end : match.start()], safe=f"/%{_SAFE}")
        end = match.end()
        star, name, rest = match.groups()
        if name is None:
            made += quote(match[0][0], safe="")
            continue
        text = _text(params[name])
        segments = text.split("/") if star or rest else [text]
        if any(segment in (".", "..") for segment in segments):
            raise ValueError(f"{name}={text!r} cannot stand in the path {template}: clients would leave it out")
        if not text:
            raise ValueError(f"{name}='' cannot stand in the path {template}: no parameter is empty")
        made += "/".join(quote(segment, safe=_SAFE) for segment in segments)
    return made + quote(template[end:], safe=f"/%{_SAFE}")


def _text(value: object) -> str:
    """As it is read again."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)
