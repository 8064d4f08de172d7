"""asyncpg against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from servers import Postgres


def address(server: Postgres) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "tester",
        "password": server.password,
        "database": "postgres",
    }


@asynccontextmanager
async def connected(server: Postgres, **options: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**{**address(server), "ssl": False, **options})
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_pool_serves_more_tasks_than_it_has_connections(postgres: Postgres) -> None:
    async with asyncpg.create_pool(**address(postgres), ssl=False, min_size=2, max_size=8) as pool:

        async def square(number: int) -> int:
            async with pool.acquire() as connection:
                return int(await connection.fetchval("SELECT $1::int * $1::int", number))

        assert await asyncio.gather(*map(square, range(300))) == [number**2 for number in range(300)]
        assert pool.get_size() <= 8


async def test_tls_with_a_certificate_that_is_checked(postgres: Postgres, tls: Any) -> None:
    async with connected(postgres, ssl=tls.client) as connection:
        row = await connection.fetchrow("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row["ssl"] and row["version"].startswith("TLSv1.")
        text = "x" * (4 << 20)
        assert await connection.fetchval("SELECT $1::text", text) == text
    import ssl

    with pytest.raises(ssl.SSLCertVerificationError):
        async with connected(postgres, ssl=ssl.create_default_context()):
            pass


async def test_a_unix_socket(postgres: Postgres) -> None:
    async with connected(postgres, host=str(postgres.folder), password=None) as connection:
        assert await connection.fetchval("SELECT inet_client_addr()") is None


async def test_copies_in_and_out(postgres: Postgres) -> None:
    async with connected(postgres) as connection:
        await connection.execute("CREATE TEMP TABLE copied (id int, name text)")
        rows = [(number, f"name {number}" * 10) for number in range(50_000)]
        assert await connection.copy_records_to_table("copied", records=rows) == "COPY 50000"
        written = io.BytesIO()
        await connection.copy_from_query("SELECT id, name FROM copied ORDER BY id", output=written, format="csv")
        assert written.getvalue() == b"".join(f"{number},{name}\n".encode() for number, name in rows)
        written.seek(0)
        await connection.execute("TRUNCATE copied")
        assert await connection.copy_to_table("copied", source=written, format="csv") == "COPY 50000"
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM copied ORDER BY id")] == rows


async def test_notifications_arrive_in_order(postgres: Postgres) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with connected(postgres) as listener, connected(postgres) as sender:
        await listener.add_listener("news", lambda *message: heard.put_nowait(message[3]))
        for number in range(200):
            await sender.execute("SELECT pg_notify('news', $1)", str(number))
        assert [await asyncio.wait_for(heard.get(), 10) for _ in range(200)] == [str(number) for number in range(200)]
        await listener.reset(timeout=5)


async def test_a_query_that_is_cancelled_ends_in_the_server_too(postgres: Postgres) -> None:
    async with connected(postgres) as connection, connected(postgres) as other:
        process = connection.get_server_pid()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.execute("SELECT pg_sleep(3600)")
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(3600)", timeout=0.2)
        # Usable at once, and idle there.
        assert await connection.fetchval("SELECT 1") == 1
        assert await other.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", process) == "idle"


async def test_transactions_roll_back_and_nest(postgres: Postgres) -> None:
    async with connected(postgres) as connection:
        await connection.execute("CREATE TEMP TABLE kept (id int)")
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("INSERT INTO kept VALUES (1)")
                raise ZeroDivisionError
        async with connection.transaction():
            await connection.execute("INSERT INTO kept VALUES (2)")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    await connection.execute("INSERT INTO kept VALUES (3)")
                    await connection.execute("SELECT 1 / 0")
            cursor = [row[0] async for row in connection.cursor("SELECT generate_series(1, 1000)", prefetch=7)]
            assert cursor == list(range(1, 1001))
        assert [row["id"] for row in await connection.fetch("SELECT id FROM kept")] == [2]


async def test_a_connection_that_the_server_ends_is_replaced_in_the_pool(postgres: Postgres) -> None:
    async with asyncpg.create_pool(**address(postgres), ssl=False, min_size=1, max_size=1) as pool:
        process = await pool.fetchval("SELECT pg_backend_pid()")
        async with connected(postgres) as other:
            waiting = asyncio.create_task(pool.fetchval("SELECT pg_sleep(3600)"))
            while await other.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", process) != "active":
                await asyncio.sleep(0.01)
            assert await other.fetchval("SELECT pg_terminate_backend($1)", process)
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
            await waiting
        assert await pool.fetchval("SELECT pg_backend_pid()") != process
