"""Holds one loop under a mixed load, and fails when anything of the process grows.

    benches/loop/soak.py --seconds 600
    benches/loop/soak.py --seconds 600 --loop asyncio    the same on asyncio's own loop

The load comes in rounds. Between two rounds everything is quiet for a moment, garbage is collected, and what the process holds is
counted: memory, descriptors, threads, Python objects. After a warm-up none of them may grow.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

DONE: Counter[str] = Counter()


class Sample(NamedTuple):
    seconds: float
    rss: int
    descriptors: int
    threads: int
    objects: int


def sample(begun: float) -> Sample:
    gc.collect()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    threads, descriptors = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
    return Sample(time.monotonic() - begun, rss, descriptors, threads, len(gc.get_objects()))


def growth(samples: list[Sample]) -> list[str]:
    """What has grown between the first and the last third of the samples that are left after the warm-up."""
    kept = samples[len(samples) // 5 :]
    third = max(1, len(kept) // 3)
    first, last = kept[:third], kept[-third:]
    # Memory is given back in pages and by chance; a descriptor or a thread that is left over is one too many.
    allowed = {"rss": lambda was: max(was * 0.03, 4 << 20), "objects": lambda was: max(was * 0.005, 150)}
    complaints = []
    for name in ("rss", "descriptors", "threads", "objects"):
        was = statistics.median(getattr(each, name) for each in first)
        now = statistics.median(getattr(each, name) for each in last)
        if now - was > allowed.get(name, lambda _: 0)(was):
            complaints.append(f"{name} grew from {was:.0f} to {now:.0f}")
    return complaints


# The servers.


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


class Answer(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: object) -> None:
        self.transport.sendto(data, address)


class Collect(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: object) -> None:
        self.got.put_nowait(data)


# The load. Each is one round of one kind, and leaves nothing behind.


async def talk(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], sizes: list[int]) -> None:
    reader, writer = streams
    for size in sizes:
        data = bytes([size % 251]) * size
        writer.write(data)
        await writer.drain()
        assert await reader.readexactly(size) == data


async def churn(connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]], kind: str) -> None:
    for number in range(20):
        streams = await connect()
        await talk(streams, [1, 1000, 100_000])
        if number % 4 == 3:
            streams[1].transport.abort()
        else:
            streams[1].close()
            await streams[1].wait_closed()
        DONE[kind] += 1


async def datagrams(port: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(5):
        transport, protocol = await loop.create_datagram_endpoint(Collect, remote_addr=("127.0.0.1", port))
        for size in (1, 500, 20_000):
            transport.sendto(b"d" * size)
            assert len(await asyncio.wait_for(protocol.got.get(), 10)) == size
            DONE["datagrams"] += 1
        transport.close()


async def timers() -> None:
    loop = asyncio.get_running_loop()
    fired = 0

    def fire() -> None:
        nonlocal fired
        fired += 1

    handles = [loop.call_later(0.001 * (number % 50), fire) for number in range(2000)]
    later = [loop.call_later(3600, fire) for _ in range(500)]
    for handle in handles[::2] + later:
        handle.cancel()
    while fired < 1000:
        await asyncio.sleep(0.005)
    DONE["timers"] += len(handles) + len(later)


async def calls_of_threads() -> None:
    loop = asyncio.get_running_loop()
    arrived, all_there = 0, asyncio.Event()

    def arrive() -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 4000:
            all_there.set()

    def call() -> None:
        for _ in range(2000):
            loop.call_soon_threadsafe(arrive)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    await all_there.wait()
    for thread in threads:
        thread.join()
    DONE["calls of threads"] += arrived


async def executor() -> None:
    assert await asyncio.gather(*(asyncio.to_thread(pow, 3, number) for number in range(100))) == [
        3**n for n in range(100)
    ]
    DONE["executor"] += 100


async def processes() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    output, _ = await process.communicate(b"p" * 200_000)
    assert len(output) == 200_000
    sleeper = await asyncio.create_subprocess_exec("sleep", "3600")
    sleeper.kill()
    assert await sleeper.wait() == -signal.SIGKILL
    DONE["processes"] += 2


async def cancellations() -> None:
    async def wait(future: asyncio.Future[None]) -> None:
        try:
            await future
        finally:
            await asyncio.sleep(0)

    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(300)]
    tasks = [asyncio.create_task(wait(future)) for future in futures]
    await asyncio.sleep(0)
    for number, (task, future) in enumerate(zip(tasks, futures, strict=True)):
        if number % 3 == 0:
            task.cancel()
        elif number % 3 == 1:
            future.set_result(None)
        else:
            future.set_exception(ZeroDivisionError())
    await asyncio.gather(*tasks, return_exceptions=True)
    DONE["tasks"] += len(tasks)


async def timeouts() -> None:
    async def late() -> None:
        try:
            async with asyncio.timeout(0.002):
                await asyncio.sleep(3600)
        except TimeoutError:
            DONE["timeouts"] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(late())
    for _ in range(50):
        await asyncio.wait_for(asyncio.sleep(0), 3600)


async def failures(reports: Counter[str]) -> None:
    """Callbacks that raise, futures whose exception nobody fetches, a signal."""
    loop = asyncio.get_running_loop()
    before = reports.total()

    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(20):
        loop.call_soon(fail)
    for _ in range(20):
        loop.create_future().set_exception(ZeroDivisionError())
    signalled = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, signalled.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await signalled.wait()
    loop.remove_signal_handler(signal.SIGUSR1)
    await asyncio.sleep(0)
    gc.collect()
    assert reports.total() - before == 40, reports
    DONE["failures"] += 40


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(chain)),
        ],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    return server, ssl.create_default_context(cafile=chain)


async def soak(seconds: float, every: float, folder: Path, log: Callable[[str], None]) -> list[Sample]:
    loop = asyncio.get_running_loop()
    reports: Counter[str] = Counter()
    loop.set_exception_handler(lambda _, context: reports.update([type(context.get("exception")).__name__]))
    secure, trusting = certificate(folder)
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    tls = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=secure)
    unix = await asyncio.start_unix_server(echo, folder / "socket")
    answer, _ = await loop.create_datagram_endpoint(Answer, local_addr=("127.0.0.1", 0))
    tcp_port, tls_port = (server.sockets[0].getsockname()[1] for server in (tcp, tls))
    steady = [await asyncio.open_connection("127.0.0.1", tcp_port) for _ in range(8)]

    def to_tcp() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection("127.0.0.1", tcp_port)

    def to_tls() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection("127.0.0.1", tls_port, ssl=trusting, server_hostname="localhost")

    def to_unix() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_unix_connection(folder / "socket")

    async def keep_talking() -> None:
        await asyncio.gather(*(talk(streams, [1024] * 50) for streams in steady))
        DONE["echoes"] += 50 * len(steady)

    port = answer.get_extra_info("sockname")[1]
    kinds: list[Callable[[], Awaitable[None]]] = [
        keep_talking,
        lambda: churn(to_tcp, "TCP connections"),
        lambda: churn(to_tls, "TLS connections"),
        lambda: churn(to_unix, "Unix connections"),
        lambda: datagrams(port),
        timers,
        calls_of_threads,
        executor,
        processes,
        cancellations,
        timeouts,
        lambda: failures(reports),
    ]
    begun, samples = time.monotonic(), []
    while time.monotonic() - begun < seconds:
        until = time.monotonic() + every
        while time.monotonic() < until:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for kind in kinds:
                    group.create_task(kind())  # type: ignore[arg-type]
        # The other ends close in turns of their own.
        while len(asyncio.all_tasks()) > 1 + len(steady):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        samples.append(sample(begun))
        now = samples[-1]
        log(
            f"{now.seconds:6.0f} s  {now.rss / (1 << 20):7.1f} MiB  {now.descriptors:4} descriptors  {now.threads:3} threads"
            f"  {now.objects:7} objects  {DONE.total():9} done"
        )
    for _, writer in steady:
        writer.close()
        await writer.wait_closed()
    for server in (tcp, tls, unix):
        server.close()
    answer.close()
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.01)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=5, help="seconds between two samples")
    parser.add_argument("--loop", choices=["pyloop", "asyncio"], default="pyloop")
    options = parser.parse_args()
    if options.loop == "pyloop":
        from ziggurat import new_event_loop as factory
    else:
        factory = asyncio.new_event_loop
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=factory) as runner:
        samples = runner.run(soak(options.seconds, options.every, Path(folder), lambda line: print(line, flush=True)))
    for kind, count in sorted(DONE.items()):
        print(f"{count:9} {kind}")
    complaints = growth(samples)
    print("\n".join(complaints) or "nothing grew")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
