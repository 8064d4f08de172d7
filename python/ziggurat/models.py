"""The models of native CRUD."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from .exceptions import ConfigError

__all__ = [
    "Access",
    "CreatedAt",
    "Hidden",
    "Immutable",
    "Indexed",
    "Model",
    "ReadOnly",
    "Renewed",
    "UnsupportedModelError",
    "UpdatedAt",
    "WriteOnly",
    "now",
    "uuid7",
]


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


class Access(Enum):
    """What clients may do with a field: `role: Annotated[str, ReadOnly] = "reader"`.

    A PUT that leaves a marked field out keeps what the row has, so that a row which was read can be sent back as it came.
    """

    ReadOnly = "read_only"
    """They see it; the server sets it."""
    Immutable = "immutable"
    """They set it when they make the row, and not later. `Field(frozen=True)` says the same."""
    WriteOnly = "write_only"
    """They set it and never see it: it is in no answer, and nothing is filtered or sorted by it."""
    Hidden = "hidden"
    """For them there is no such field."""
    Renewed = "renewed"
    """Each write of the row makes its default anew; together with ReadOnly or Hidden."""


ReadOnly: Final = Access.ReadOnly
Immutable: Final = Access.Immutable
WriteOnly: Final = Access.WriteOnly
Hidden: Final = Access.Hidden
Renewed: Final = Access.Renewed


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


CreatedAt: TypeAlias = Annotated[datetime, ReadOnly, Field(default_factory=now)]
"""When a row was made: `created_at: CreatedAt`. The server sets it."""

UpdatedAt: TypeAlias = Annotated[datetime, ReadOnly, Renewed, Field(default_factory=now)]
"""When a row was written last: `updated_at: UpdatedAt`. The server sets it."""
