"""The app of the tests of pages: something of each kind."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field
from tokens import SECRET

from ziggurat import Model, Query, Request, WebSocket, Ziggurat, layers


class Item(Model):
    """Something to buy."""

    id: UUID
    name: Annotated[str, Field(min_length=1, examples=["Bolt"])]
    price: Annotated[float, Field(ge=0)] = 0


class Order(BaseModel):
    item: str
    count: Annotated[int, Field(ge=1, le=100)] = 1


app = Ziggurat(
    title="Shop <&>",
    description="Sells **bolts** and other things.",
    store="sqlite:///:memory:",
    layers=[layers.Trace(), layers.Compression(), layers.Jwt(secret=SECRET, required=False)],
    openapi_tags=[{"name": "orders", "description": "What people have ordered."}],
)


@app.crud(Item)
class ItemRoutes: ...


@app.middleware(paths=["/hello/*"])
async def timed(request: Request, call_next):  # type: ignore[no-untyped-def]
    return await call_next(request)


@app.get("/hello/{name}", tags=["greetings"])
async def hello(name: str, times: Annotated[int, Query(ge=1, le=10)] = 1) -> dict[str, str]:
    """Says hello, as often as wanted."""
    return {"message": f"Hello {name}! " * times}


@app.get("/me", auth=True, tags=["orders"])
async def me(request: Request) -> dict[str, str]:
    """Who is asking."""
    assert request.auth is not None
    return {"sub": request.auth["sub"]}


@app.post("/orders", auth=["orders:write"], status=201, tags=["orders"])
async def order(order: Order) -> Order:
    """Takes an order."""
    return order


@app.get("/reports", deprecated=True)
def reports() -> list[int]:
    return [1, 2, 3]


@app.websocket("/prices")
async def prices(ws: WebSocket) -> None:
    await ws.accept()
    async for item in ws.iter_text():
        await ws.send_json({item: 1})


def look_up(key: str) -> str:
    prices = {"bolt": "1"}
    return prices[key]


@app.get("/broken", tags=["greetings"])
async def broken() -> str:
    """Fails."""
    try:
        return look_up("<script>alert(1)</script>")
    except KeyError as error:
        raise RuntimeError("no price is known") from error


if __name__ == "__main__":
    app.run()
