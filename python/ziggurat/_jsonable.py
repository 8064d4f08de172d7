"""Defaults of models as JSON holds them."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from .expressions import duration_text


def jsonable(value: Any) -> Any:
    """A default as JSON holds it."""
    match value:
        case enum.Enum():
            return jsonable(value.value)
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
            return base64.urlsafe_b64encode(value).decode()
        case dict() if all(isinstance(name, str) for name in value):
            return {name: jsonable(item) for name, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case set() | frozenset():
            return sorted((jsonable(item) for item in value), key=json.dumps)
        case BaseModel():
            return {name: jsonable(getattr(value, name)) for name in type(value).model_fields}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} is not JSON")
