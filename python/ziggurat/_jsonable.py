"""Defaults of models as JSON holds them."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
import uuid
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from .expressions import duration_text


def bytes_form(config: Mapping[str, Any]) -> str:
    """How a model writes bytes: `utf8`, `base64` or `hex`."""
    return str(config.get("ser_json_bytes") or "utf8")


def jsonable(value: Any, form: str = "base64") -> Any:
    """A default as JSON holds it, with bytes in a form of pydantic's."""
    match value:
        case enum.Enum():
            return jsonable(value.value, form)
        case float() | Decimal() if not math.isfinite(value):
            # RFC 8259, section 6: no number of JSON is so.
            raise TypeError(f"{value!r} is not JSON")
        case None | bool() | int() | float() | str():
            return value
        case uuid.UUID():
            return str(value)
        case Decimal():
            return str(value)
        case timedelta():
            return duration_text(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return _text_of(value, form)
        case dict() if all(isinstance(name, str) for name in value):
            return {name: jsonable(item, form) for name, item in value.items()}
        case list() | tuple():
            return [jsonable(item, form) for item in value]
        case set() | frozenset():
            return sorted((jsonable(item, form) for item in value), key=json.dumps)
        case BaseModel():
            own = bytes_form(value.model_config)
            return {name: jsonable(getattr(value, name), own) for name in type(value).model_fields}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: jsonable(getattr(value, field.name), form) for field in dataclasses.fields(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} is not JSON")


def _text_of(value: bytes, form: str) -> str:
    if form == "hex":
        return value.hex()
    if form == "base64":
        return base64.urlsafe_b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise TypeError(f"{value!r} is no UTF-8") from error
