"""The OpenAPI document without numbers that JSON does not have: RFC 8259, section 6, knows neither infinity nor NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["without_what_json_lacks"]

_NAMES = frozenset(
    ("properties", "patternProperties", "dependentSchemas", "$defs", "schemas", "paths", "responses", "headers")
)
"""Members whose own members are called as the app says, so that none of these is a keyword."""
_VALUES = frozenset(("default", "const", "example", "value"))
"""Keywords with a value that is shown whole or not at all: a default without one of its items would be another one."""
_LISTS = frozenset(("examples", "enum"))
"""Keywords with a list of such values."""


def without_what_json_lacks(document: dict[str, Any]) -> dict[str, Any]:
    """The document; where it holds `inf`, `-inf` or `nan` a copy without the default, the example or the bound that is one.

    They hold in the app all the same. The document tells a little less, instead of being no JSON at all.
    """
    made: dict[str, Any] = _without(document) if _lacks(document) else document
    return made


def _lacks(node: Any) -> bool:
    """Whether a number is in it that JSON does not have."""
    if isinstance(node, Mapping):
        return any(map(_lacks, node.values()))
    if isinstance(node, list | tuple):
        return any(map(_lacks, node))
    return _is_none_of_json(node)


def _is_none_of_json(node: Any) -> bool:
    return isinstance(node, float) and not math.isfinite(node)


def _without(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return [_without(each) for each in node if not _is_none_of_json(each)]
    if not isinstance(node, Mapping):
        return node
    made: dict[Any, Any] = {}
    for key, value in node.items():
        if key in _NAMES and isinstance(value, Mapping):
            made[key] = {name: _without(each) for name, each in value.items() if not _is_none_of_json(each)}
        elif key in _LISTS and isinstance(value, list | tuple):
            kept = [each for each in value if not _lacks(each)]
            if kept:
                made[key] = kept
        elif not (_lacks(value) if key in _VALUES else _is_none_of_json(value)):
            made[key] = _without(value)
    return made
