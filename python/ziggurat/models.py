"""The models of native CRUD."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from .exceptions import ConfigError

__all__ = ["Indexed", "Model", "UnsupportedModelError", "now", "uuid7"]


class Model(BaseModel):
    """A pydantic model that refuses unknown fields, in Python as in native CRUD.

    Any pydantic model can be served; this one only says what it does with unknown fields. Write
    `model_config = ConfigDict(extra="ignore")` to leave them out instead.
    """

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Indexed:
    """Keeps an index over a field: `email: Annotated[str, Indexed(unique=True)]`.

    With `unique`, no two rows may hold the same value; rows that hold null do not count.
    """

    unique: bool = False


class UnsupportedModelError(ConfigError):
    """A model asks for something that native CRUD cannot honour.

    `problems` names every offending field with what is wrong and what to write instead.
    """

    def __init__(self, model: str, problems: list[str], *, location: str | None = None) -> None:
        self.problems = tuple(problems)
        what = f"{model} cannot be served natively:" + "".join(f"\n  {problem}" for problem in problems)
        super().__init__(what, location=location)


def now() -> datetime:
    """The current time in UTC: `Field(default_factory=now)` is filled in natively."""
    return datetime.now(UTC)


def uuid7() -> uuid.UUID:
    """A new UUID that sorts by its time (RFC 9562): `Field(default_factory=uuid7)` is filled in natively."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return uuid.UUID(int=value)
