"""FastAPI's answers to the workloads, written as its documentation writes them.

Run by uvicorn with uvloop and httptools. `BENCH_STORE` (`sqlite:///file` or `mongodb://.../database`) adds
the CRUD routes: SQLite in `def` handlers (FastAPI's thread pool) over the standard library, MongoDB through
PyMongo's async client.
"""

import asyncio
import json
import os
import sqlite3
import threading
import time
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from pymongo import AsyncMongoClient

app = FastAPI(openapi_url=None)


@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext():
    return "Hello, World!"


@app.get("/json")
async def json_dict():
    return {
        "message": "Hello, World!",
        "numbers": [1, 2, 3, 4, 5],
        "nested": {"ok": True, "ratio": 0.5, "nothing": None},
    }


@app.get("/items/{id}")
async def item(id: int, q: str | None = None):
    return {"id": id, "q": q}


class Line(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(ge=1)
    price: float = Field(gt=0)


class Order(BaseModel):
    customer: str = Field(min_length=1)
    lines: list[Line] = Field(min_length=1)
    note: str | None = None


@app.post("/orders")
async def order(order: Order):
    total = sum(line.price * line.quantity for line in order.lines)
    return {"customer": order.customer, "total": total, "note": order.note}


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0)
    return {"slept": True}


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
    id: UUID


class Page(BaseModel):
    items: list[User]
    next: str | None


Limit = Annotated[int, Query(ge=1, le=1000)]


def page(users: list[User], limit: int) -> Page:
    """A page out of up to one row too many, which only tells that there is a next page."""
    more = len(users) > limit
    return Page(items=users[:limit], next=users[limit - 1].id.hex if more else None)


def created(response: Response, user: User, version: int) -> User:
    response.headers["location"] = f"/user/{user.id}"
    response.headers["etag"] = f'"{version}"'
    return user


def mongo_routes(uri: str) -> None:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri, uuidRepresentation="standard")
    users = client.get_default_database()["user"]

    def shown(row: dict[str, Any]) -> User:
        row["id"] = row.pop("_id")
        row.pop("_v")
        return User(**row)

    @app.get("/user/{id}")
    async def one(id: UUID, response: Response) -> User:
        row = await users.find_one({"_id": id})
        if row is None:
            raise HTTPException(404)
        response.headers["etag"] = f'"{row["_v"]}"'
        return shown(row)

    @app.get("/user")
    async def several(limit: Limit = 50, cursor: UUID | None = None) -> Page:
        where = {"_id": {"$gt": cursor}} if cursor else {}
        rows = await users.find(where).sort("_id", 1).limit(limit + 1).to_list()
        return page([shown(row) for row in rows], limit)

    @app.post("/user", status_code=201)
    async def create(new: NewUser, response: Response) -> User:
        row = new.model_dump()
        row["_id"] = uuid4()
        row["_v"] = version = time.time_ns() // 1000
        await users.insert_one(row)
        return created(response, shown(row), version)


def sqlite_routes(file: str) -> None:
    local = threading.local()

    def database() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(file, isolation_level=None, timeout=5)
            # The durability that Ziggurat promises by default: an acknowledged write is on disk.
            local.connection.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;"
                "PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;"
            )
        return local.connection

    database().execute(
        "CREATE TABLE IF NOT EXISTS user(id BLOB PRIMARY KEY, v INTEGER NOT NULL, name TEXT NOT NULL,"
        " email TEXT NOT NULL, age INTEGER NOT NULL, active INTEGER NOT NULL, score REAL NOT NULL,"
        " tags TEXT NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL) WITHOUT ROWID"
    )
    select = "SELECT id, v, name, email, age, active, score, tags, street, city FROM user"

    def shown(row: tuple[Any, ...]) -> User:
        id, _, name, email, age, active, score, tags, street, city = row
        return User(
            id=UUID(bytes=id),
            name=name,
            email=email,
            age=age,
            active=active,
            score=score,
            tags=json.loads(tags),
            address=Address(street=street, city=city),
        )

    @app.get("/user/{id}")
    def one(id: UUID, response: Response) -> User:
        row = database().execute(f"{select} WHERE id = ?", (id.bytes,)).fetchone()
        if row is None:
            raise HTTPException(404)
        response.headers["etag"] = f'"{row[1]}"'
        return shown(row)

    @app.get("/user")
    def several(limit: Limit = 50, cursor: UUID | None = None) -> Page:
        after = cursor.bytes if cursor else b""
        rows = database().execute(f"{select} WHERE id > ? ORDER BY id LIMIT ?", (after, limit + 1))
        return page([shown(row) for row in rows], limit)

    @app.post("/user", status_code=201)
    def create(new: NewUser, response: Response) -> User:
        user = User(id=uuid4(), **new.model_dump())
        version = time.time_ns() // 1000
        database().execute(
            "INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                user.id.bytes,
                version,
                user.name,
                user.email,
                user.age,
                user.active,
                user.score,
                json.dumps(user.tags),
                user.address.street,
                user.address.city,
            ),
        )
        return created(response, user, version)


if store := os.environ.get("BENCH_STORE"):
    if store.startswith("sqlite:///"):
        sqlite_routes(store.removeprefix("sqlite:///"))
    else:
        mongo_routes(store)
