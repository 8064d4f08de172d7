"""What is measured: each function runs on the loop under test and gives how many operations it did.

python benches/loop/workloads.py LOOP WORKLOAD [SCALE]     prints CPU microseconds per operation
"""

from __future__ import annotations

import asyncio
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

Workload = Callable[[asyncio.AbstractEventLoop, int], int]
BATCH = 1000


def nothing() -> None:
    pass


async def finished() -> None:
    pass


def call_soon_batch(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A thousand callbacks made ready in one turn."""

    async def main() -> None:
        for _ in range(scale):
            for _ in range(BATCH):
                loop.call_soon(nothing)
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    return scale * BATCH


def call_soon_chain(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A callback that makes the next one ready: a turn each."""
    left = scale * BATCH

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    return scale * BATCH


def timers_cancelled(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """Timers that are set and cancelled at once, as time-outs that do not come, all in one turn."""

    async def main() -> None:
        for _ in range(scale * BATCH):
            loop.call_later(60, nothing).cancel()

    loop.run_until_complete(main())
    return scale * BATCH


def timers_cancelled_later(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A thousand timers that are set, and cancelled when all are set."""

    async def main() -> None:
        for _ in range(scale):
            for handle in [loop.call_later(60, nothing) for _ in range(BATCH)]:
                handle.cancel()
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    return scale * BATCH


def timers_fired(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """Timers of one length, set in one turn, as time-outs that come."""

    async def main() -> None:
        for _ in range(scale):
            for _ in range(BATCH):
                loop.call_later(0.001, nothing)
            await asyncio.sleep(0.002)

    loop.run_until_complete(main())
    return scale * BATCH


def timers_fired_mixed(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """Timers of many lengths up to a millisecond."""

    async def main() -> None:
        for _ in range(scale):
            for number in range(BATCH):
                loop.call_later(number * 7919 % BATCH * 1e-6, nothing)
            await asyncio.sleep(0.002)

    loop.run_until_complete(main())
    return scale * BATCH


def spawn_and_await(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A task that ends at once, awaited."""

    async def main() -> None:
        for _ in range(scale * BATCH):
            await loop.create_task(finished())

    loop.run_until_complete(main())
    return scale * BATCH


def gather(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A thousand coroutines gathered."""

    async def main() -> None:
        for _ in range(scale):
            await asyncio.gather(*(finished() for _ in range(BATCH)))

    loop.run_until_complete(main())
    return scale * BATCH


def sleep_zero(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """Two tasks that give way to one another."""

    async def side() -> None:
        for _ in range(scale * BATCH // 2):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(side(), side())

    loop.run_until_complete(main())
    return scale * BATCH


def threadsafe_flood(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """Another thread calls in without waiting."""
    count = scale * BATCH
    seen = 0

    def arrive() -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            loop.stop()

    def flood() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(arrive)

    thread = threading.Thread(target=flood)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    return count


def executor(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A function that does nothing, in a thread, one after the other."""
    count = scale * BATCH // 10

    async def main() -> None:
        for _ in range(count):
            await loop.run_in_executor(None, nothing)

    loop.run_until_complete(main())
    return count


def future_from_thread(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """A future that another thread resolves, one after the other."""
    import queue

    count = scale * BATCH // 10
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def answer() -> None:
        while (future := asked.get()) is not None:
            loop.call_soon_threadsafe(future.set_result, None)

    async def main() -> None:
        for _ in range(count):
            future = loop.create_future()
            asked.put(future)
            await future
        asked.put(None)

    thread = threading.Thread(target=answer)
    thread.start()
    loop.run_until_complete(main())
    thread.join()
    return count


def subprocesses(loop: asyncio.AbstractEventLoop, scale: int) -> int:
    """`true`, started and waited for."""
    count = max(1, scale)

    async def main() -> None:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec("true")
            assert await process.wait() == 0

    loop.run_until_complete(main())
    return count


WORKLOADS: dict[str, tuple[Workload, int]] = {
    "call_soon_batch": (call_soon_batch, 300),
    "call_soon_chain": (call_soon_chain, 300),
    "timers_cancelled": (timers_cancelled, 200),
    "timers_cancelled_later": (timers_cancelled_later, 200),
    "timers_fired": (timers_fired, 200),
    "timers_fired_mixed": (timers_fired_mixed, 200),
    "spawn_and_await": (spawn_and_await, 100),
    "gather": (gather, 100),
    "sleep_zero": (sleep_zero, 200),
    "future_from_thread": (future_from_thread, 100),
    "threadsafe_flood": (threadsafe_flood, 100),
    "executor": (executor, 50),
    "subprocesses": (subprocesses, 100),
}
"""Each with the scale at which it takes some tenths of a second."""

LOOPS = ("pyloop", "uvloop", "rloop", "asyncio")


def make(kind: str) -> asyncio.AbstractEventLoop:
    """A loop of this kind, which is also the one that child watchers get."""
    if kind == "asyncio":
        loop = asyncio.SelectorEventLoop()
    else:
        import importlib

        loop = importlib.import_module("ziggurat" if kind == "pyloop" else kind).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def cpu() -> float:
    """Seconds of the process and of the children that it waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(kind: str, name: str, scale: int | None = None) -> float:
    """CPU microseconds per operation, after a short run to warm up."""
    workload, usual = WORKLOADS[name]
    loop = make(kind)
    try:
        workload(loop, max(1, (scale or usual) // 20))
        before = cpu()
        count = workload(loop, scale or usual)
        return (cpu() - before) / count * 1e6
    finally:
        loop.close()


if __name__ == "__main__":
    print(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
