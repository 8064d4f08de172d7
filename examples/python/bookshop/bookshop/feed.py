"""What partners read, with a key: the whole catalogue in lines, sent while it is read from the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel
from ziggurat import Query, Router, layers

from .models import Book
from .settings import Partner

router = Router("/partners", tags=["partners"])


class Offer(BaseModel):
    """A book as other shops see it."""

    isbn: str
    title: str
    price: Decimal
    available: bool


@router.get("/feed", auth=["feed:read"])
async def feed(max_price: Annotated[Decimal | None, Query(ge=0)] = None) -> AsyncIterator[Offer]:
    """A line of JSON for each book."""
    books = Book.find() if max_price is None else Book.find(Book.price <= max_price)
    async for book in books.sort("isbn"):
        yield Offer(isbn=book.isbn, title=book.title, price=book.price, available=book.stock > 0)


def keys(partners: list[Partner]) -> list[layers.ApiKey]:
    """The layer that knows the keys of partners, where there are any."""
    if not partners:
        return []
    known = [
        layers.Key(hash=partner.hash, subject=f"partner:{partner.name}", scopes=["feed:read"]) for partner in partners
    ]
    return [layers.ApiKey(keys=known, required=False)]
