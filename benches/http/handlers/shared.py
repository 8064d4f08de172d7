"""What all servers of handlers answer with: the same models, values and sizes."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from pydantic import BaseModel, Field

PORT = int(os.environ.get("BENCH_PORT", "0"))
# A file of 1 MiB, which the harness makes.
FILE = os.environ.get("BENCH_FILE", "")

TEXT = "Hello, World!"
MESSAGE = {
    "message": "Hello, World!",
    "numbers": [1, 2, 3, 4, 5],
    "nested": {"ok": True, "ratio": 0.5, "nothing": None},
}
CHUNKS, CHUNK = 100, b"x" * 1024
EVENT = {"symbol": "ZGR", "price": 101.25, "volume": 7}
# How often each client of events gets one, in seconds.
EVERY = 0.5


class Line(BaseModel):
    sku: str = Field(min_length=1, max_length=20)
    quantity: int = Field(ge=1)
    price: float = Field(gt=0)


class Order(BaseModel):
    id: int
    customer: str = Field(min_length=1, max_length=100)
    email: str
    currency: Literal["EUR", "USD"]
    paid: bool = False
    discount: float = Field(default=0.0, ge=0)
    note: str | None = None
    lines: list[Line] = Field(min_length=1)


class LineStruct(msgspec.Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=20)]
    quantity: Annotated[int, Meta(ge=1)]
    price: Annotated[float, Meta(gt=0)]


class OrderStruct(msgspec.Struct):
    id: int
    customer: Annotated[str, Meta(min_length=1, max_length=100)]
    email: str
    currency: Literal["EUR", "USD"]
    lines: Annotated[list[LineStruct], Meta(min_length=1)]
    paid: bool = False
    discount: Annotated[float, Meta(ge=0)] = 0.0
    note: str | None = None


def receipt(order: Order | OrderStruct) -> dict[str, Any]:
    """What is answered to an order."""
    total = sum(line.price * line.quantity for line in order.lines)
    return {"id": order.id, "customer": order.customer, "total": total - order.discount, "paid": order.paid}


# What the dependencies do, for frameworks that have none and write it out.


def settings() -> dict[str, str]:
    return {"ada": "t-ada"}


@asynccontextmanager
async def session(settings: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    opened: dict[str, Any] = {"users": settings, "open": True}
    try:
        yield opened
    finally:
        opened["open"] = False


def user(session: dict[str, Any], token: str) -> str | None:
    """Who has this token."""
    return next((name for name, known in session["users"].items() if known == token), None)
