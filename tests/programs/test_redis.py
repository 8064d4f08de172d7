"""redis-py against a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError, WatchError
from servers import Redis as Server


@asynccontextmanager
async def connected(server: Server, **options: object) -> AsyncIterator[Redis]:
    client = Redis(connection_pool=ConnectionPool(port=server.port, max_connections=20, **options))
    try:
        yield client
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()


async def test_pipelines_keep_order_and_atomicity(redis_server: Server) -> None:
    async with connected(redis_server) as client:
        await client.delete("counter")

        async def add(times: int) -> list[int]:
            async with client.pipeline(transaction=True) as pipe:
                for _ in range(times):
                    pipe.incr("counter")
                return await pipe.execute()

        groups = await asyncio.gather(*(add(50) for _ in range(20)))
        for group in groups:
            assert group == list(range(group[0], group[0] + 50)), "a transaction was split"
        assert sorted(value for group in groups for value in group) == list(range(1, 1001))


async def test_large_values_come_back_whole(redis_server: Server) -> None:
    async with connected(redis_server) as client:
        values = {f"large {number}": bytes([number]) * (1 << 20) for number in range(16)}
        await asyncio.gather(*(client.set(name, value) for name, value in values.items()))
        assert await client.mget(list(values)) == list(values.values())
        await client.delete(*values)


async def test_a_watched_key_that_changes_ends_the_transaction(redis_server: Server) -> None:
    async with connected(redis_server) as client, client.pipeline() as pipe:
        await client.set("watched", "1")
        await pipe.watch("watched")
        await client.set("watched", "2")
        pipe.multi()
        pipe.set("watched", "3")
        with pytest.raises(WatchError):
            await pipe.execute()
        assert await client.get("watched") == b"2"


async def test_subscribers_hear_all_messages_in_order(redis_server: Server) -> None:
    async with connected(redis_server) as client:
        ready = asyncio.Semaphore(0)

        async def listen() -> list[int]:
            heard = []
            async with client.pubsub() as channel:
                await channel.psubscribe("news.*")
                async for message in channel.listen():
                    if message["type"] == "psubscribe":
                        ready.release()
                    else:
                        heard.append(int(message["data"]))
                        if len(heard) == 500:
                            return heard
            return heard

        async with asyncio.TaskGroup() as group:
            listeners = [group.create_task(listen()) for _ in range(5)]
            for _ in listeners:
                await ready.acquire()
            for number in range(500):
                assert await client.publish(f"news.{number % 3}", number) == 5
        assert all(listener.result() == list(range(500)) for listener in listeners)


async def test_blocking_pops_wake_in_turn_and_time_out(redis_server: Server) -> None:
    async with connected(redis_server) as client:
        await client.delete("queue", "results")

        async def work() -> int:
            done = 0
            while (item := await client.blpop("queue", timeout=5)) and item[1] != b"stop":
                await client.rpush("results", item[1])
                done += 1
            return done

        workers = [asyncio.create_task(work()) for _ in range(4)]
        for number in range(200):
            await client.rpush("queue", number)
        await client.rpush("queue", *["stop"] * 4)
        assert sum(await asyncio.gather(*workers)) == 200
        assert sorted(map(int, await client.lrange("results", 0, -1))) == list(range(200))
        begun = time.monotonic()
        assert await client.blpop("queue", timeout=1) is None
        assert 0.9 <= time.monotonic() - begun < 5


async def test_a_pop_that_is_cancelled_leaves_the_client_usable(redis_server: Server) -> None:
    async with connected(redis_server) as client:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.blpop("nothing comes", timeout=0)
            assert await client.ping()


async def test_it_connects_again_after_the_server_was_killed(own_redis: Server) -> None:
    retry = Retry(ConstantBackoff(0.05), 100)
    async with connected(own_redis, retry=retry, retry_on_error=[ConnectionError]) as client:
        assert await client.set("before", "1")
        waiting = asyncio.create_task(client.blpop("never", timeout=0))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(own_redis.stop)
        back = asyncio.create_task(client.set("after", "2"))
        await asyncio.sleep(0.2)
        assert not back.done()
        await asyncio.to_thread(own_redis.start)
        assert await asyncio.wait_for(back, 20)
        assert await client.get("after") == b"2"
        assert await client.get("before") is None, "it is another process, which keeps nothing"
        await client.rpush("never", "now")
        assert list(await asyncio.wait_for(waiting, 20)) == [b"never", b"now"]
