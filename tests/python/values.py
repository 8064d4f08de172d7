"""Types that handlers in several tests take and give."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

from pydantic import BaseModel, Field

ID = "0192a1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5b"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float = Field(alias="unitPrice", default=1.0)
    tags: list[str] = []


@dataclass
class Point:
    x: int
    y: float
