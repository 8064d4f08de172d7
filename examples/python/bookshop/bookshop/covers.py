"""Pictures of books: the staff sends them, `layers.Static` serves them."""

from __future__ import annotations

import hashlib
from uuid import UUID

from ziggurat import HTTPException, Router, RowChanged, UploadFile

from .models import Book
from .sessions import STAFF
from .state import Shop

router = Router(tags=["books"])
# What a file begins with says what it is; what its name and its sender say need not be so.
KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}


@router.put("/books/{id}/cover", guards=[STAFF], max_body=2_000_000)
async def put_cover(id: UUID, cover: UploadFile, shop: Shop) -> Book:
    """Keeps a picture, and shows it with the book from then on."""
    picture = await cover.read()
    kind = next((kind for begins, kind in KINDS.items() if picture.startswith(begins)), None)
    if kind is None:
        raise HTTPException(415, "a cover is a PNG, JPEG or GIF")
    if await Book.get(id) is None:
        raise HTTPException(404, "there is no such book")
    # A name that nobody chose, and another one for each picture: browsers keep it for ever.
    name = f"{id}-{hashlib.sha256(picture).hexdigest()[:16]}.{kind}"
    await cover.save(shop.settings.covers / name)
    before, book = await _written(id, f"/covers/{name}")
    if before is not None and before != book.cover:
        (shop.settings.covers / before.rpartition("/")[2]).unlink(missing_ok=True)
    shop.books_changed(id)
    return book


async def _written(id: UUID, cover: str) -> tuple[str | None, Book]:
    """What the book had before, and the book."""
    while True:
        book = await Book.get(id)
        if book is None:
            raise HTTPException(404, "there is no such book")
        before, book.cover = book.cover, cover
        try:
            return before, await book.save()
        except RowChanged:
            continue  # Somebody has bought one meanwhile.
