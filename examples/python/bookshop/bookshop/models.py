"""The rows of the shop. What stands here is checked natively, whoever writes it, and shown at /docs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from ziggurat import CreatedAt, Hidden, Immutable, Indexed, Model, ReadOnly, Ref, UpdatedAt, WriteOnly, now, uuid7

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]
Price = Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=2)]


class Author(Model):
    """Who wrote books."""

    id: UUID
    name: Annotated[str, Field(min_length=1, max_length=100), Indexed()]
    about: Annotated[str, Field(max_length=5000)] = ""


class Book(Model):
    """What is sold."""

    id: UUID = Field(default_factory=uuid7)
    isbn: Annotated[str, Field(pattern=r"^97[89][0-9]{10}$"), Indexed(unique=True)]
    title: Annotated[str, Field(min_length=1, max_length=200), Indexed()]
    text: Annotated[str, Field(max_length=5000)] = ""
    author: Annotated[UUID, Ref(Author), Indexed()]
    published: date | None = None
    price: Annotated[Price, Indexed()]
    # What the shop paid is nobody's business.
    cost: Annotated[Price, WriteOnly] = Decimal(0)
    stock: Annotated[int, Field(ge=0, le=100_000)] = 0
    cover: Annotated[str | None, ReadOnly] = None
    created_at: CreatedAt = Field(default_factory=now)
    updated_at: UpdatedAt = Field(default_factory=now)


class Customer(Model):
    """Who buys, and who sells."""

    id: UUID = Field(default_factory=uuid7)
    # Whatever its letters, nobody signs up twice.
    email: Annotated[Email, Indexed(unique=True, case_insensitive=True)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    # As it is sent it is a password; the hooks of customers.py keep its hash.
    password: Annotated[str, WriteOnly, Field(min_length=10, max_length=200)]
    roles: Annotated[list[Literal["staff"]], ReadOnly] = Field(default_factory=list)
    created_at: CreatedAt = Field(default_factory=now)


class Review(Model):
    """What a customer thinks of a book."""

    id: UUID = Field(default_factory=uuid7)
    book: Annotated[UUID, Ref(Book), Immutable, Indexed()]
    # The policy sets it: see books.py.
    customer: Annotated[UUID, Ref(Customer), Immutable]
    rating: Annotated[int, Field(ge=1, le=5)]
    text: Annotated[str, Field(max_length=2000)] = ""
    # Book and customer together: one review of each.
    once: Annotated[str, Hidden, Indexed(unique=True)] = ""
    created_at: CreatedAt = Field(default_factory=now)


class Line(BaseModel):
    """So many of a book, at the price that it had."""

    book: Annotated[UUID, Ref(Book)]
    title: str
    count: Annotated[int, Field(ge=1, le=20)]
    price: Price


class Status(StrEnum):
    """How far an order has come."""

    placed = "placed"
    shipped = "shipped"
    cancelled = "cancelled"


class Order(Model):
    """What a customer has bought."""

    id: UUID = Field(default_factory=uuid7)
    customer: Annotated[UUID, Ref(Customer), ReadOnly, Indexed()]
    lines: Annotated[list[Line], ReadOnly]
    total: Annotated[Price, ReadOnly]
    status: Annotated[Status, Indexed()] = Status.placed
    address: Annotated[str, Field(min_length=5, max_length=500)]
    created_at: CreatedAt = Field(default_factory=now)
    updated_at: UpdatedAt = Field(default_factory=now)
