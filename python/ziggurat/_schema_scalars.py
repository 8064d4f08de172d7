"""What single values are to the native side: their bounds and rules, as pydantic's core schema has them."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ._schema_marks import Description, Marks
from ._schema_rules import PYTHON_CURE
from .models import OBJECT_ID

__all__ = ["Node", "Scalars", "as_numbers", "present"]

Node = Mapping[str, Any]
_INT64 = range(-(2**63), 2**63)
_NO_MISSING = enum.Enum._missing_.__func__  # type: ignore[attr-defined]


class Scalars(Marks):
    """Describes single values; collects what is wrong instead of stopping at the first."""

    def __init__(self, *, int64: bool = False, naive: str | None = None) -> None:
        super().__init__()
        self.int64 = int64
        """Ints that JavaScript may not hold stand in strings."""
        self.naive = naive

    def datetime(self) -> Description:
        return {"type": "datetime", **({"naive": self.naive} if self.naive else {})}

    def moment(self, node: Node, place: str) -> Description:
        if node.get("tz_constraint") == "aware":
            self.refuse(place, "times with an offset are not supported natively", "use a datetime")
        if node.get("microseconds_precision") not in (None, "truncate"):
            self.refuse(place, "microseconds_precision is not supported natively", "remove it")
        bounds = {key: bound.isoformat() for key, bound in present(node, "gt", "ge", "lt", "le").items()}
        return {"type": node["type"], **bounds}

    def duration(self, node: Node, place: str) -> Description:
        if node.get("microseconds_precision") not in (None, "truncate"):
            self.refuse(place, "microseconds_precision is not supported natively", "remove it")
        bounds = {
            key: bound // timedelta(microseconds=1) for key, bound in present(node, "gt", "ge", "lt", "le").items()
        }
        for key, bound in bounds.items():
            if bound not in _INT64:
                self.refuse(place, f"{key} is longer than 290 thousand years", "use a smaller bound")
        return {"type": "timedelta", **bounds}

    def decimal(self, node: Node, place: str) -> Description:
        if node.get("allow_inf_nan"):
            self.refuse(place, "a Decimal that is not finite is not supported natively", "remove allow_inf_nan")
        bounds: Description = {}
        for key, bound in present(node, "gt", "ge", "lt", "le", "multiple_of").items():
            if not Decimal(bound).is_finite():
                self.refuse(place, f"{key}={bound!r} is not finite", "remove it")
                continue
            bounds[key] = str(Decimal(bound))
        return {"type": "decimal", **bounds, **present(node, "max_digits", "decimal_places")}

    def number(self, node: Node, place: str) -> Description:
        bounds: Description = {}
        kind: Description = {"type": node["type"]}
        for key, bound in present(node, "gt", "ge", "lt", "le", "multiple_of").items():
            if node["type"] == "int":
                if not (bound == int(bound) and int(bound) in _INT64):
                    self.refuse(place, f"{key}={bound!r} is not a 64-bit integer", "use a smaller bound")
                    continue
                bounds[key] = int(bound)
            elif not math.isfinite(bound):
                self.refuse(place, f"{key}={bound!r} is not finite", "remove it")
            else:
                bounds[key] = float(bound)
        if self.int64 and node["type"] == "int" and not _fits_a_double(bounds):
            kind["text"] = True
        return {**kind, **bounds}

    def text(self, node: Node, place: str, config: Node) -> Description:
        if node.get("pattern") == OBJECT_ID:
            return {"type": "object_id"}
        text: Description = {"type": "str", **present(node, "min_length", "max_length", "pattern")}
        for key in ("min_length", "max_length"):
            if key not in text and config.get(f"str_{key}"):
                text[key] = config[f"str_{key}"]
        for ours, theirs in (("strip", "strip_whitespace"), ("lower", "to_lower"), ("upper", "to_upper")):
            if node.get(theirs) if node.get(theirs) is not None else config.get(f"str_{theirs}"):
                text[ours] = True
        if "pattern" in text:
            engine = node.get("regex_engine") or config.get("regex_engine") or "rust-regex"
            if engine != "rust-regex" or not isinstance(text["pattern"], str):
                self.refuse(place, "a pattern of Python's own engine is not supported natively", "give it as a str")
                del text["pattern"]
        return text

    def choice(
        self, kind: str, values: list[Any], place: str, cls: type[enum.Enum] | None = None
    ) -> Description | None:
        if cls is not None and getattr(cls._missing_, "__func__", None) is not _NO_MISSING:
            self.refuse(place, f"{cls.__name__}._missing_ is Python code", PYTHON_CURE)
        nullable = kind == "literal" and None in values
        values = [value for value in values if not (nullable and value is None)]
        for value in values:
            if type(value) not in (str, int, bool) or (type(value) is int and value not in _INT64):
                self.refuse(place, f"the choice {value!r} is not supported natively", "use str, int and bool only")
                return None
        description: Description = {"type": kind, "values": values}
        return {"type": "optional", "of": description} if nullable else description


def as_numbers(kinds: list[Any]) -> list[Any]:
    """Ints beside other types stand as numbers: a string would be taken for one of those."""
    for kind in kinds:
        if kind["type"] == "int":
            kind.pop("text", None)
    return kinds


def _fits_a_double(bounds: Description) -> bool:
    """Whether JavaScript holds each int within them (RFC 8259, section 6)."""
    least: int = max(bounds.get("ge", -(2**63)), bounds.get("gt", -(2**63)) + 1)
    most: int = min(bounds.get("le", 2**63), bounds.get("lt", 2**63) - 1)
    return least >= -(2**53) + 1 and most <= 2**53 - 1


def present(node: Node, *keys: str) -> Description:
    return {key: node[key] for key in keys if node.get(key) is not None}
