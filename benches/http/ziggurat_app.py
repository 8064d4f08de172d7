"""Ziggurat's answers to the workloads, with the default stack of layers and default settings.

`BENCH_PORT` names the port; `BENCH_STORE` (`sqlite:///file` or `mongodb://.../database`) adds CRUD routes.
"""

import asyncio
import os
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ziggurat import Indexed, Model, Ziggurat, openapi

STORE = os.environ.get("BENCH_STORE")

# The fixed document that every app serves natively is its description. Here it stands at another path and
# says what the peers say, so that all answer the same.
openapi.document = lambda *_: {"status": "ok"}
app = Ziggurat(store=STORE, openapi_path="/native")


@app.get("/plaintext")
async def plaintext():
    return "Hello, World!"


async def marks(request, call_next):
    response = await call_next(request)
    response.headers["x-seen"] = "yes"
    return response


@app.get("/wrapped", layers=[marks])
async def wrapped():
    return "Hello, World!"


@app.get("/json")
async def json_dict():
    return {
        "message": "Hello, World!",
        "numbers": [1, 2, 3, 4, 5],
        "nested": {"ok": True, "ratio": 0.5, "nothing": None},
    }


@app.get("/items/{id}")
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


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")
    street: str
    city: str


class User(Model):
    model_config = ConfigDict(extra="forbid")
    id: UUID
    name: str = Field(min_length=1, max_length=100)
    email: str = Field(max_length=200)
    age: int = Field(ge=0, le=150)
    active: bool = True
    score: float = 0.0
    tags: list[str] = []  # noqa: RUF012 - pydantic copies it
    address: Address


class Person(User):
    age: Annotated[int, Field(ge=0, le=150), Indexed()]


if STORE:

    @app.crud(User)
    class UserRoutes: ...

    # Arrays need transactions, which not every server of MongoDB has.
    @app.crud(Person, bulk=STORE.startswith("sqlite"))
    class PersonRoutes: ...


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]))
