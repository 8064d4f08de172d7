"""Orders. Reading and changing them is native; placing and cancelling them writes several rows, all or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field
from ziggurat import (
    BackgroundTasks,
    Claim,
    Claims,
    Depends,
    DuplicateValue,
    F,
    HTTPException,
    Policy,
    Response,
    Router,
    Transaction,
    run_transaction,
    transaction,
    uuid7,
)

from .errors import OutOfStock
from .models import Book, Customer, Line, Order, Status
from .sessions import CUSTOMER, STAFF
from .state import Shop

router = Router(tags=["orders"])
OWN = F.customer == Claim("sub")


@router.crud(
    Order,
    "/orders",
    ops={"list", "get", "patch", "changes", "group"},
    guards=[CUSTOMER],
    # Everybody sees their own, and changes the address of those that have not left yet: what is placed stays so for them. The
    # staff sees all, and sends them off.
    policy=Policy(read=OWN | STAFF, write=(OWN & (F.status == "placed")) | STAFF),
    dimensions=("status", "day(created_at)", "month(created_at)"),
    measures=("total",),
    # Who changes one says which version of it: `If-Match`, with the `ETag` that was read.
    concurrency="required",
)
class Orders:
    """`/orders/_changes` tells a page what becomes of them, and `/orders/_group?by=month(created_at)&agg=sum(total)` what was sold."""


class NewLine(BaseModel):
    """So many of a book."""

    book: UUID
    count: Annotated[int, Field(ge=1, le=20)] = 1


class NewOrder(BaseModel):
    """What is to be bought."""

    id: UUID = Field(default_factory=uuid7)
    """Chosen by the client, who may send the same order again when it got no answer."""
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=50)]
    address: Annotated[str, Field(min_length=5, max_length=500)]


async def caller(claims: Claims) -> Customer:
    """The customer who calls."""
    customer = await Customer.get(UUID(claims.sub))
    if customer is None:
        raise HTTPException(403, "you are not a customer any more")
    return customer


Caller = Annotated[Customer, Depends(caller)]


@router.post("/orders", status=201, guards=[CUSTOMER], responses={409: {"description": "Out of stock, or taken"}})
async def place(new: NewOrder, customer: Caller, shop: Shop, response: Response, background: BackgroundTasks) -> Order:
    """Takes the books from the shelf and writes the order: both or neither."""
    try:
        # Somebody may take one of the books meanwhile: then it is called again, as there may be more of it.
        order = await run_transaction(lambda tx: _place(tx, new, customer))
    except DuplicateValue:
        order_before = await Order.get(new.id)
        if order_before is None or order_before.customer != customer.id:
            raise
        response.status = 200
        return order_before
    shop.books_changed(*(line.book for line in order.lines))
    background.add_task(shop.outbox.order_was_placed, customer, order)
    response.headers["location"] = f"/orders/{order.id}"
    return order


async def _place(tx: Transaction, new: NewOrder, customer: Customer) -> Order:
    wanted: dict[UUID, int] = {}
    for line in new.lines:
        wanted[line.book] = wanted.get(line.book, 0) + line.count
    books = {book.id: book async for book in Book.find(F.id.in_(wanted))}
    lines = []
    for id, count in wanted.items():
        book = books.get(id)
        if book is None:
            raise HTTPException(422, f"there is no book {id}")
        if book.stock < count:
            raise OutOfStock(id, count, book.stock)
        book.stock -= count
        lines.append(Line(book=id, title=book.title, count=count, price=book.price))
    total = sum((line.price * line.count for line in lines), Decimal(0))
    order = Order(id=new.id, customer=customer.id, lines=lines, total=total, address=new.address)
    for book in books.values():
        tx.save(book)
    tx.insert(order)
    return order


async def unit_of_work() -> AsyncIterator[Transaction]:
    """What a handler notes is written when it has returned, and before its answer is sent: a write that fails is the answer."""
    async with transaction() as tx:
        yield tx


UnitOfWork = Annotated[Transaction, Depends(unit_of_work, scope="function")]


@router.post("/orders/{id}/cancel", guards=[CUSTOMER])
async def cancel(id: UUID, customer: Caller, tx: UnitOfWork, shop: Shop, background: BackgroundTasks) -> Order:
    """Puts the books back. When somebody else writes one of these rows at the same moment, it is a 409, and nothing is done."""
    order = await Order.get(id)
    if order is None or order.customer != customer.id:
        raise HTTPException(404, "there is no such order")
    if order.status is not Status.placed:
        raise HTTPException(409, f"it is {order.status.value}")
    order.status = Status.cancelled
    tx.save(order)
    counts = {line.book: line.count for line in order.lines}
    # A book that is not sold any more has no place to go back to.
    async for book in Book.find(F.id.in_(counts)):
        book.stock += counts[book.id]
        tx.save(book)
    # Once they are written.
    background.add_task(shop.books_changed, *counts)
    return order
