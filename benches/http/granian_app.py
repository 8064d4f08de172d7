"""Granian's answers to the workloads: a bare RSGI application, with no framework on top.

Routing and parameters are written out by hand: the floor for Python on Granian, not what a framework costs.
"""

import asyncio
import json
from urllib.parse import parse_qs

from pydantic import BaseModel, Field, ValidationError

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]


class Line(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(ge=1)
    price: float = Field(gt=0)


class Order(BaseModel):
    customer: str = Field(min_length=1)
    lines: list[Line] = Field(min_length=1)
    note: str | None = None


def answer(proto, value) -> None:
    proto.response_bytes(200, JSON, json.dumps(value, separators=(",", ":")).encode())


async def plaintext(scope, proto):
    proto.response_str(200, TEXT, "Hello, World!")


async def json_dict(scope, proto):
    answer(
        proto,
        {
            "message": "Hello, World!",
            "numbers": [1, 2, 3, 4, 5],
            "nested": {"ok": True, "ratio": 0.5, "nothing": None},
        },
    )


async def item(scope, proto):
    try:
        id = int(scope.path.removeprefix("/items/"))
    except ValueError:
        proto.response_empty(422, [])
        return
    q = parse_qs(scope.query_string).get("q")
    answer(proto, {"id": id, "q": q[0] if q else None})


async def order(scope, proto):
    try:
        order = Order.model_validate_json(await proto())
    except ValidationError as error:
        proto.response_str(422, JSON, error.json())
        return
    total = sum(line.price * line.quantity for line in order.lines)
    answer(proto, {"customer": order.customer, "total": total, "note": order.note})


async def sleep(scope, proto):
    await asyncio.sleep(0)
    answer(proto, {"slept": True})


ROUTES = {"/plaintext": plaintext, "/json": json_dict, "/orders": order, "/sleep": sleep}


async def app(scope, proto):
    handler = ROUTES.get(scope.path)
    if handler is not None:
        await handler(scope, proto)
    elif scope.path.startswith("/items/"):
        await item(scope, proto)
    else:
        proto.response_empty(404, [])
