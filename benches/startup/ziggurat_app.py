"""500 routes of Ziggurat: a hundred models, five routes each, with typed parameters and dependencies that stand in each other.

With `routers` as its second argument each five stand in a router."""

import sys
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, Field

from ziggurat import Depends, Header, Query, Router, Ziggurat

app = Ziggurat()


class Line(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(ge=1)


async def session() -> AsyncIterator[dict[str, int]]:
    yield {}


async def user(session: Annotated[dict[str, int], Depends(session)], token: Annotated[str, Header()] = "") -> str:
    return token or "nobody"


def page(limit: Annotated[int, Query(ge=1, le=100)] = 20, offset: int = 0) -> tuple[int, int]:
    return limit, offset


User = Annotated[str, Depends(user)]


def resource(number: int, *, in_router: bool) -> None:
    class Order(BaseModel):
        id: int
        customer: str = Field(min_length=1, max_length=100)
        price: float = Field(gt=0)
        paid: bool = False
        note: str | None = None
        lines: list[Line]

    Order.__name__ = Order.__qualname__ = f"Order{number}"
    routes, path = (Router(f"/orders{number}"), "") if in_router else (app, f"/orders{number}")

    @routes.post(path, name=f"create{number}")
    async def create(order: Order, user: User) -> Order:
        return order

    @routes.put(f"{path}/{{id}}", name=f"replace{number}")
    async def replace(id: int, order: Order, user: User, force: bool = False) -> Order:
        return order

    @routes.patch(f"{path}/{{id}}", name=f"change{number}")
    async def change(id: int, order: Order, user: User, force: bool = False) -> Order:
        return order

    @routes.post(f"{path}/search", name=f"search{number}")
    async def search(
        order: Order,
        user: User,
        page: Annotated[tuple[int, int], Depends(page)],
        ratio: float = 1.0,
        tag: Annotated[list[str] | None, Query()] = None,
    ) -> list[Order]:
        return [order]

    @routes.post(f"{path}/{{id}}/check", name=f"check{number}")
    async def check(id: int, order: Order, user: User) -> dict[str, object]:
        return {"id": id, "customer": order.customer}

    if in_router:
        app.include_router(routes)


for number in range(100):
    resource(number, in_router="routers" in sys.argv[2:])

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
