"""Robyn's answers to the workloads: one process, one worker, no OpenAPI routes.

Its `const` routes are answered from Rust without entering Python, which is its counterpart of a native route.
"""

import asyncio
import os

from pydantic import BaseModel, Field
from robyn import Robyn

app = Robyn(__file__)


@app.get("/plaintext")
async def plaintext():
    return "Hello, World!"


@app.get("/json")
async def json_dict():
    return {
        "message": "Hello, World!",
        "numbers": [1, 2, 3, 4, 5],
        "nested": {"ok": True, "ratio": 0.5, "nothing": None},
    }


@app.get("/items/:id")
async def item(id: int, q: str | None = None):
    return {"id": id, "q": q}


class Line(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(ge=1)
    price: float = Field(gt=0)


class Order(BaseModel):
    customer: str = Field(min_length=1)
    lines: list[Line] = Field(min_length=1)
    note: str | None = None


@app.post("/orders")
async def order(order: Order):
    total = sum(line.price * line.quantity for line in order.lines)
    return {"customer": order.customer, "total": total, "note": order.note}


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0)
    return {"slept": True}


@app.get("/native", const=True)
async def native():
    return {"status": "ok"}


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]))
