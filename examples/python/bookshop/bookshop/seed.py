"""Fills an empty store: `python -m bookshop.seed`. It prints the password of the first one behind the counter."""

from __future__ import annotations

import asyncio
import secrets
from datetime import date
from decimal import Decimal

from ziggurat import new_event_loop, uuid7
from ziggurat.security import hash_password

from .app import app
from .models import Author, Book, Customer

STAFF = "desk@bookshop.example"
BOOKS = {
    "Ada Lovelace": [
        ("9780000000019", "Sketch of the Analytical Engine", date(1843, 9, 1), "24.00", 3),
        ("9780000000026", "Letters on Flying", date(1828, 4, 2), "11.50", 12),
    ],
    "Grace Hopper": [("9780000000033", "A Manual of Operation", date(1946, 1, 1), "31.90", 5)],
    "Emmy Noether": [("9780000000040", "Invariante Variationsprobleme", date(1918, 7, 7), "18.00", 1)],
}


async def seed() -> str | None:
    """Adds authors, books and somebody to sell them, whose password is given back; nothing where there are books."""
    if await Book.find().exists():
        return None
    for name, written in BOOKS.items():
        author = await Author(id=uuid7(), name=name).insert()
        await Book.insert_many(
            Book(
                isbn=isbn,
                title=title,
                text=f"{title}, by {name}.",
                author=author.id,
                published=published,
                price=Decimal(price),
                cost=Decimal(price) / 2,
                stock=stock,
            )
            for isbn, title, published, price, stock in written
        )
    password = secrets.token_urlsafe(12)
    await Customer(email=STAFF, name="The desk", password=await hash_password(password), roles=["staff"]).insert()
    return password


def main() -> None:
    """Runs it on the app's own loop, and without serving anything."""
    app.build()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        password = runner.run(seed())
    print("there are books already" if password is None else f"sign in as {STAFF} with the password {password}")


if __name__ == "__main__":
    main()
