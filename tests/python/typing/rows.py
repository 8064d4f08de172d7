"""Models, CRUD routes, hooks and rows, as users write them."""

from __future__ import annotations

from typing import Annotated, assert_type
from uuid import UUID

from pydantic import Field

from ziggurat import (
    CORE,
    Claim,
    CreatedAt,
    F,
    HookContext,
    HTTPException,
    Indexed,
    Model,
    Policy,
    ReadOnly,
    Ref,
    Transaction,
    Ziggurat,
    layers,
    now,
    run_transaction,
    transaction,
)


class Author(Model):
    id: UUID
    name: Annotated[str, Indexed(unique=True)]
    made: CreatedAt = Field(default_factory=now)


class Book(Model):
    id: UUID
    title: str
    author: Annotated[UUID, Ref(Author)]
    owner: Annotated[str, ReadOnly] = ""
    copies: int = 0


app = Ziggurat(
    store="sqlite:///:memory:", layers=[layers.Jwt(secret="a secret of thirty-two bytes, or more", required=False)]
)


@app.crud(Author, ops=CORE | {"count"})
class Authors: ...


@app.crud(
    Book,
    "/books",
    auth={"create": True, "delete": ["books:write"]},
    policy=Policy(read=F.owner == Claim("sub")),
    search=["title"],
)
class Books:
    async def before_create(self, ctx: HookContext[Book], doc: Book) -> Book | None:
        if ctx.request.auth is None:
            raise HTTPException(401)
        assert_type(ctx.stored, Book | None)
        return doc.model_copy(update={"owner": "me"})

    async def after_delete(self, ctx: HookContext[Book], doc: Book) -> None: ...


assert_type(Books(), Books)


@app.get("/shelf")
async def shelf(author: UUID) -> list[Book]:
    found = await Book.find(Book.author == author, F.copies > 0).sort("-title").limit(3).to_list()
    assert_type(found, list[Book])
    assert_type(await Book.find().first(), Book | None)
    async for each in Book.find(Book.copies >= 1):
        assert_type(each, Book)
    async with transaction() as changes:
        book = await Book.get(author)
        assert_type(book, Book | None)
        if book is not None:
            changes.delete(book)

    async def lend(tx: Transaction) -> int:
        row = Book(id=author, title="Gilgamesh", author=author)
        tx.insert(row)
        return row.copies

    assert_type(await run_transaction(lend, attempts=3), int)
    kept = await Author(id=author, name="Ada").insert()
    assert_type(kept, Author)
    return found
