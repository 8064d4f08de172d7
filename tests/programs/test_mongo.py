"""PyMongo's asyncio client."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError, ServerSelectionTimeoutError
from servers import free_port


@asynccontextmanager
async def database(uri: str) -> AsyncIterator[Any]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri, serverSelectionTimeoutMS=20_000)
    name = f"programs_{os.getpid()}_{time.monotonic_ns()}"
    try:
        yield client[name]
    finally:
        await client.drop_database(name)
        await client.close()


async def test_rows_are_written_and_found_by_many_tasks(mongo_uri: str) -> None:
    async with database(mongo_uri) as db:
        await asyncio.gather(
            *(db.rows.insert_many([{"_id": base + number, "base": base} for number in range(50)]) for base in
              range(0, 1000, 50))
        )  # fmt: skip
        assert await db.rows.count_documents({}) == 1000
        found = await asyncio.gather(*(db.rows.find_one({"_id": number}) for number in range(0, 1000, 7)))
        assert [row["_id"] for row in found] == list(range(0, 1000, 7))
        rows = [row["_id"] async for row in db.rows.find({"base": {"$gte": 500}}).sort("_id", -1).batch_size(13)]
        assert rows == list(range(999, 499, -1))


async def test_updates_by_many_tasks_are_all_counted(mongo_uri: str) -> None:
    async with database(mongo_uri) as db:
        await db.counters.insert_one({"_id": "one", "value": 0})
        await asyncio.gather(
            *(db.counters.update_one({"_id": "one"}, {"$inc": {"value": number}}) for number in range(100))
        )
        assert (await db.counters.find_one({"_id": "one"}))["value"] == 4950
        with pytest.raises(DuplicateKeyError):
            await db.counters.insert_one({"_id": "one"})


async def test_a_find_that_is_cancelled_leaves_the_client_usable(mongo_uri: str) -> None:
    async with database(mongo_uri) as db:
        await db.rows.insert_many([{"text": "x" * 1000} for _ in range(2000)])
        for _ in range(10):
            task = asyncio.create_task(db.rows.find().to_list(None))
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.rows.count_documents({"text": "y"}) == 0


# PyMongo leaves the socket open when a connection attempt is cancelled.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_server_that_is_not_there_is_told_in_time() -> None:
    client: AsyncMongoClient[Any] = AsyncMongoClient("127.0.0.1", free_port(), serverSelectionTimeoutMS=300)
    begun = time.monotonic()
    with pytest.raises(ServerSelectionTimeoutError):
        await client.admin.command("ping")
    await client.close()
    assert time.monotonic() - begun < 10
