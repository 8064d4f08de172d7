"""A lending library: what native CRUD does beyond single rows, and the few lines of Python that are left.

Run it with `ziggurat run examples/python/library.py`, fill it with `POST /author/_import` and `POST /book/_import`, and ask

    GET  /book?q=analytical+engine&expand=author       words, and rows in the place of their ids
    GET  /loan/_group?by=month(lent_at)&agg=count      what was lent, month by month
    GET  /book/_changes                                what changes, as it happens
    POST /lend/{book}/{member}                         Python: two rows written together, or not at all
"""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ziggurat import (
    CORE,
    CreatedAt,
    DeletedAt,
    HTTPException,
    Indexed,
    Model,
    Ref,
    Transaction,
    Ziggurat,
    layers,
    now,
    run_transaction,
    uuid7,
)

app = Ziggurat(title="Library", store="sqlite:///library.db", layers=[layers.Trace(), layers.Compression()])


class Author(Model):
    id: UUID
    name: Annotated[str, Field(min_length=1, max_length=100)]
    deleted_at: DeletedAt


class Book(Model):
    id: int
    title: Annotated[str, Field(min_length=1, max_length=200), Indexed()]
    text: str = ""
    author: Annotated[UUID, Ref(Author), Indexed()]
    copies: Annotated[int, Field(ge=0)] = 1


class Member(Model):
    id: UUID
    # Whatever its letters, nobody signs up twice.
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$"), Indexed(unique=True, case_insensitive=True)]


class Loan(Model):
    id: UUID = Field(default_factory=uuid7)
    book: Annotated[int, Ref(Book), Indexed()]
    member: Annotated[UUID, Ref(Member), Indexed()]
    # Seven years later nobody needs to know.
    lent_at: Annotated[CreatedAt, Indexed(ttl=timedelta(days=7 * 365))]


@app.crud(Author, ops=CORE | {"import", "export", "deleted", "restore"})
class Authors: ...


@app.crud(
    Book,
    ops=CORE | {"import", "export", "count", "changes"},
    client_id=True,
    search=("title", "text"),
    unindexed="warn",
)
class Books: ...


@app.crud(Member, ops={"create", "get"}, idempotency=True)
class Members: ...


@app.crud(Loan, ops={"list", "get", "group"}, dimensions=("book", "member", "month(lent_at)"), default_limit=20)
class Loans: ...


@app.post("/lend/{book}/{member}", status=201)
async def lend(book: int, member: UUID) -> Loan:
    """Takes a copy from the shelf and notes who has it."""
    if await Member.get(member) is None:
        raise HTTPException(404, "there is no such member")

    async def take(tx: Transaction) -> Loan:
        wanted = await Book.get(book)
        if wanted is None:
            raise HTTPException(404, "there is no such book")
        if wanted.copies == 0:
            raise HTTPException(409, "all copies are lent")
        wanted.copies -= 1
        tx.save(wanted)
        loan = Loan(book=book, member=member, lent_at=now())
        tx.insert(loan)
        return loan

    # Somebody may take a copy meanwhile: then it is called again, as there may be another one.
    return await run_transaction(take)


if __name__ == "__main__":
    app.run()
