"""Child processes, pools of them, threads and files."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import aiofiles
import pytest

PIPE = asyncio.subprocess.PIPE


async def test_large_data_through_a_pipeline_of_three_programs() -> None:
    """`cat | gzip | gunzip`, with pipes between them that the kernel fills."""
    first_read, first_write = os.pipe()
    second_read, second_write = os.pipe()
    cat = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=first_write)
    os.close(first_write)
    gzip_ = await asyncio.create_subprocess_exec("gzip", "-1", stdin=first_read, stdout=second_write)
    os.close(first_read)
    os.close(second_write)
    gunzip = await asyncio.create_subprocess_exec("gunzip", stdin=second_read, stdout=PIPE)
    os.close(second_read)
    block = os.urandom(1 << 20)
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def feed() -> None:
        assert cat.stdin is not None
        for number in range(24):
            piece = number.to_bytes(4) + block
            sent.update(piece)
            cat.stdin.write(piece)
            await cat.stdin.drain()
        cat.stdin.close()
        await cat.stdin.wait_closed()

    async def drain() -> int:
        assert gunzip.stdout is not None
        size = 0
        while piece := await gunzip.stdout.read(65536):
            received.update(piece)
            size += len(piece)
        return size

    _, size = await asyncio.gather(feed(), drain())
    assert size == 24 * (4 + (1 << 20))
    assert received.digest() == sent.digest()
    assert [await process.wait() for process in (cat, gzip_, gunzip)] == [0, 0, 0]


async def test_many_shells_at_once() -> None:
    async def shell(number: int) -> tuple[bytes, bytes, int | None]:
        process = await asyncio.create_subprocess_shell(
            f"read word; echo out $word; echo err $word >&2; exit {number % 7}", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        return *(await process.communicate(f"{number}\n".encode())), process.returncode

    limit = asyncio.Semaphore(10)

    async def limited(number: int) -> tuple[bytes, bytes, int | None]:
        async with limit:
            return await shell(number)

    found = await asyncio.gather(*map(limited, range(60)))
    assert found == [(f"out {n}\n".encode(), f"err {n}\n".encode(), n % 7) for n in range(60)]


async def test_a_process_that_does_not_end_is_killed_after_a_timeout() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(3600)")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.1)
    process.terminate()
    assert await process.wait() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        process.send_signal(signal.SIGKILL)


async def test_output_without_newline_overruns_the_limit() -> None:
    process = await asyncio.create_subprocess_exec("head", "-c", "200000", "/dev/zero", stdout=PIPE)
    assert process.stdout is not None
    with pytest.raises(ValueError):
        await process.stdout.readline()
    assert await process.wait() == 0


def busy(number: int) -> int:
    return sum(range(number))


def ask_a_loop_of_its_own(number: int) -> int:
    """In a worker process: a loop there must work whatever the parent's did."""
    import ziggurat

    async def main() -> int:
        return number + await asyncio.to_thread(busy, number)

    with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
        return runner.run(main())


def leave(_: int) -> None:
    os._exit(3)


# A fork beside threads is told about from Python 3.12 on.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
async def test_a_pool_of_processes(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that is spawned imports this file by its name.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))
    with pool:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.005)
                beats += 1

        heart = asyncio.create_task(beat())
        sums = await asyncio.gather(*(loop.run_in_executor(pool, busy, number) for number in range(0, 10_000, 100)))
        assert sums == [number * (number - 1) // 2 for number in range(0, 10_000, 100)]
        answers = await asyncio.gather(*(loop.run_in_executor(pool, ask_a_loop_of_its_own, n) for n in range(10)))
        assert answers == [n + n * (n - 1) // 2 for n in range(10)]
        heart.cancel()
        assert beats, "the loop stood still beside the pool"
        with pytest.raises(BrokenProcessPool):
            await loop.run_in_executor(pool, leave, 0)


async def test_threads_do_blocking_work_beside_the_loop() -> None:
    names = set()

    def blocking(number: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        return number

    assert await asyncio.gather(*(asyncio.to_thread(blocking, n) for n in range(50))) == list(range(50))
    assert threading.main_thread().name not in names
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)


async def test_files_of_aiofiles(tmp_path: Path) -> None:
    async def write(number: int) -> None:
        async with aiofiles.open(tmp_path / f"{number}", "wb") as file:
            for _ in range(10):
                await file.write(bytes([number]) * 10_000)

    await asyncio.gather(*map(write, range(20)))
    for number in range(20):
        async with aiofiles.open(tmp_path / f"{number}", "rb") as file:
            assert await file.read() == bytes([number]) * 100_000
    (tmp_path / "lines.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    async with aiofiles.open(tmp_path / "0", "w") as text:
        await text.writelines(["one\n", "two\n"])
    async with aiofiles.open(tmp_path / "0") as text:
        assert [line async for line in text] == ["one\n", "two\n"]


async def test_pipes_of_the_process_itself() -> None:
    """`connect_read_pipe` and `connect_write_pipe` over one pipe."""
    loop: Any = asyncio.get_running_loop()
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    source, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", 0))
    sink, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(write, "wb", 0))
    writer = asyncio.StreamWriter(sink, protocol, None, loop)
    data = os.urandom(4 << 20)

    async def feed() -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    _, got = await asyncio.gather(feed(), reader.read())
    assert got == data
    source.close()
