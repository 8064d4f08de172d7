"""A whole service: rows kept natively, handlers in Python, tokens, compression, docs.

Run it with `make run`, or with `ziggurat run examples/python/quickstart.py`.
"""

import asyncio
import os
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from ziggurat import HTTPException, Model, Query, Request, Ziggurat, layers

# Everybody knows this one: set a secret of your own before anybody else can reach the service.
SECRET = os.environ.get("ZIGGURAT_JWT_SECRET", "a demo secret that everybody knows")

app = Ziggurat(
    title="Quickstart",
    store="sqlite:///quickstart.db",
    # Outermost first; all of them run in Rust, around native and Python routes alike.
    layers=[
        layers.Trace(),
        layers.Compression(),
        # A bad token is refused everywhere, a missing one only where a route has `auth=`.
        layers.Jwt(secret=SECRET, required=False),
    ],
)


class User(Model):
    id: UUID
    name: Annotated[str, Field(min_length=1, max_length=80)]
    age: Annotated[int, Field(ge=0, le=150)] | None = None


@app.crud(User)
class UserRoutes:
    """List, create, get, replace, patch and delete at /user, without any Python per request."""


@app.get("/hello/{name}")
async def hello(name: str, times: Annotated[int, Query(ge=1, le=5)] = 1) -> dict[str, str]:
    """Greets somebody."""
    return {"message": ", ".join([f"Hello {name}"] * times)}


@app.post("/birthday/{id}")
async def birthday(id: UUID) -> User:
    """Reads a row and writes it: 404 when it is not there, 409 when somebody else wrote it in between."""
    user = await User.get(id)
    if user is None:
        raise HTTPException(404, f"there is no user {id}")
    user.age = (user.age or 0) + 1
    return await user.save()


class Line(BaseModel):
    item: str
    count: Annotated[int, Field(ge=1)]
    price: float


class Order(BaseModel):
    lines: list[Line]
    discount: Annotated[float, Field(ge=0, le=0.5)] = 0.0


@app.post("/quote")
async def quote(order: Order) -> dict[str, float]:
    """Adds an order up: the body was validated before this ran."""
    await asyncio.sleep(0.01)  # a call to a tax service, say
    total = sum(line.count * line.price for line in order.lines)
    return {"total": round(total * (1 - order.discount), 2)}


@app.get("/me", auth=True)
async def me(request: Request) -> dict[str, str | None]:
    """Says whom the token stands for."""
    claims = request.auth or {}
    return {"sub": claims.get("sub")}


@app.get("/reports/{year}", auth=["reports:read"])
def report(year: int) -> dict[str, int]:
    """Needs a token with a scope; a plain function runs on a thread of its own."""
    if year > 2026:
        raise HTTPException(404, "there is no report for that year yet")
    return {"year": year, "visits": year * 7}


@app.get("/numbers")
async def numbers(count: Annotated[int, Query(ge=0, le=100_000)] = 1000) -> list[int]:
    """Long enough to be compressed."""
    return list(range(count))


if __name__ == "__main__":
    app.run()
