"""What goes wrong in a shop, as the code raises it and as clients are told."""

from __future__ import annotations

from uuid import UUID

from ziggurat import HTTPException


class OutOfStock(HTTPException):
    """There are fewer of a book than somebody wants: a problem document (RFC 9457) that a page can make something of."""

    def __init__(self, book: UUID, wanted: int, left: int) -> None:
        super().__init__(
            409,
            f"{wanted} wanted, {left} left",
            type="https://bookshop.example/problems/out-of-stock",
            title="Out of stock",
            members={"book": book, "left": left},
        )
