"""What goes wrong in a shop, as the code raises it and as clients are told."""

from __future__ import annotations

from uuid import UUID

from ziggurat import Request, Response


class OutOfStock(Exception):
    """There are fewer of a book than somebody wants."""

    def __init__(self, book: UUID, wanted: int, left: int) -> None:
        super().__init__(f"{wanted} wanted, {left} left")
        self.book = book
        self.wanted = wanted
        self.left = left


async def out_of_stock(request: Request, error: OutOfStock) -> Response:
    """A problem document (RFC 9457) that a page can make something of."""
    return Response(
        409,
        content={
            "type": "https://bookshop.example/problems/out-of-stock",
            "title": "Out of stock",
            "status": 409,
            "detail": str(error),
            "book": error.book,
            "left": error.left,
        },
        media_type="application/problem+json",
    )
