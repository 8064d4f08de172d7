"""The CRUD workloads on SQLite in FastAPI over SQLAlchemy's asyncio extension and aiosqlite.

Run by uvicorn with uvloop and httptools; `BENCH_STORE` is `sqlite:///file`. Reads and writes have engines of their own:
readers run outside transactions, and writers wait for the one connection in the event loop rather than in SQLite.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json
from sqlalchemy import JSON, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FILE = os.environ["BENCH_STORE"].removeprefix("sqlite:///")
# The durability that Ziggurat promises by default: an acknowledged write is on disk.
PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "cache_size": "-16384",
    "mmap_size": "268435456",
    "temp_store": "MEMORY",
}


class Base(DeclarativeBase): ...


class UserRow(Base):
    __tablename__ = "user"
    __table_args__: Any = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads it once

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    v: Mapped[int] = mapped_column(default=lambda: time.time_ns() // 1000)
    name: Mapped[str]
    email: Mapped[str]
    age: Mapped[int]
    active: Mapped[bool]
    score: Mapped[float]
    tags: Mapped[list[str]] = mapped_column(JSON)
    street: Mapped[str]
    city: Mapped[str]

    @property
    def address(self) -> dict[str, str]:
        return {"street": self.street, "city": self.city}


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")
    street: str
    city: str


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    email: str = Field(max_length=200)
    age: int = Field(ge=0, le=150)
    active: bool = True
    score: float = 0.0
    tags: list[str] = []
    address: Address


class User(NewUser):
    model_config = ConfigDict(from_attributes=True)
    id: UUID


class Page(BaseModel):
    items: list[User]
    next: str | None


def engine(**settings: Any) -> AsyncEngine:
    made = create_async_engine(
        f"sqlite+aiosqlite:///{FILE}",
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
        **settings,
    )

    @event.listens_for(made.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for name, value in PRAGMAS.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.close()

    return made


# Each connection has a thread; on one core more of them only take turns.
readers = engine(isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, pool_size=2, max_overflow=0)
writer = engine(pool_size=1, max_overflow=0)
Reading = async_sessionmaker(readers, expire_on_commit=False)
Writing = async_sessionmaker(writer, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with writer.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await readers.dispose()
    await writer.dispose()


app = FastAPI(openapi_url=None, lifespan=lifespan)


@app.get("/user/{id}", response_model=User)
async def one(id: UUID, response: Response):
    async with Reading() as session:
        row = await session.get(UserRow, id)
    if row is None:
        raise HTTPException(404)
    response.headers["etag"] = f'"{row.v}"'
    return row


@app.get("/user", response_model=Page)
async def several(limit: Annotated[int, Query(ge=1, le=1000)] = 50, cursor: UUID | None = None):
    rows = select(UserRow).order_by(UserRow.id).limit(limit + 1)
    if cursor:
        rows = rows.where(UserRow.id > cursor)
    async with Reading() as session:
        users = (await session.scalars(rows)).all()
    # The row too many only tells that there is a next page.
    return {"items": users[:limit], "next": users[limit - 1].id.hex if len(users) > limit else None}


@app.post("/user", response_model=User, status_code=201)
async def create(new: NewUser, response: Response):
    user = UserRow(**new.model_dump(exclude={"address"}), street=new.address.street, city=new.address.city)
    async with Writing() as session:
        session.add(user)
        await session.commit()
    response.headers["location"] = f"/user/{user.id}"
    response.headers["etag"] = f'"{user.v}"'
    return user
