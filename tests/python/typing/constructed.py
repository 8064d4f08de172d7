"""Models whose rows code makes by hand: what they hold by default is left out, and what is given is checked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, assert_type
from uuid import UUID

from pydantic import Field

from ziggurat import (
    Claim,
    CreatedAt,
    DeletedAt,
    Hidden,
    Indexed,
    Model,
    ObjectId,
    ReadOnly,
    UpdatedAt,
    Ziggurat,
    now,
    object_id,
    token,
    uuid7,
)


class Book(Model):
    id: UUID = Field(default_factory=uuid7)
    title: str
    # Code has no caller, so it says what a client's token would.
    owner: Annotated[str, ReadOnly] = Field(default_factory=Claim("sub"))
    key: Annotated[str, Hidden, Indexed(unique=True)] = Field(default_factory=token(32))
    created_at: CreatedAt = Field(default_factory=now)
    updated_at: UpdatedAt = Field(default_factory=now)
    deleted_at: DeletedAt = None


class Old(Model):
    id: ObjectId = Field(default_factory=object_id)
    made: CreatedAt


app = Ziggurat(store="sqlite:///:memory:")
app.keep(Book, Old)

book = Book(title="Gilgamesh", owner="ada")
assert_type(book.created_at, datetime)
assert_type(book.deleted_at, datetime | None)
Book(id=uuid7(), title="Gilgamesh", owner="ada", created_at=now(), deleted_at=None)
Old(made=now())
