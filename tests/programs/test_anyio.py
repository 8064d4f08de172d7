"""anyio and its own pytest plugin: these tests run on the loop that the plugin makes."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_process
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSListener, TLSStream

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(loop_factory: Any) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": loop_factory}


@pytest.fixture
async def channel() -> Any:
    """An asynchronous fixture: it lives on the loop of the test."""
    send, receive = anyio.create_memory_object_stream[int](3)
    async with send, receive:
        yield send, receive


async def test_the_plugin_runs_the_loop_it_was_given(loop_factory: Any) -> None:
    import asyncio

    other = loop_factory()
    assert type(asyncio.get_running_loop()) is type(other)
    other.close()


async def test_cancel_scopes_nest_and_shield() -> None:
    steps = []
    with anyio.move_on_after(0.05) as outer:
        try:
            with anyio.fail_after(30):
                await anyio.sleep(3600)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
                steps.append("cleaned")
    assert outer.cancelled_caught and steps == ["cleaned"]
    with pytest.raises(TimeoutError), anyio.fail_after(0.01):
        await anyio.sleep_forever()


async def test_one_failure_cancels_the_task_group(channel: Any) -> None:
    send, receive = channel
    ended = []

    async def worker(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(number)

    async def produce() -> None:
        for number in range(100):
            await send.send(number)
        await send.aclose()

    with pytest.raises(ExceptionGroup) as failed:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(worker, number)
            group.start_soon(produce)
            assert [number async for number in receive] == list(range(100))
            raise ZeroDivisionError
    assert [type(error) for error in failed.value.exceptions] == [ZeroDivisionError]
    assert sorted(ended) == list(range(50))


async def test_threads_call_back_into_the_loop() -> None:
    async def double(number: int) -> int:
        await anyio.sleep(0)
        return number * 2

    def in_thread(number: int) -> int:
        return anyio.from_thread.run(double, number) + anyio.from_thread.run_sync(lambda: number)

    results: dict[int, int] = {}

    async def one(number: int) -> None:
        results[number] = await anyio.to_thread.run_sync(in_thread, number)

    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(one, number)
    assert results == {number: number * 3 for number in range(200)}


def test_a_portal_runs_coroutines_for_threads(anyio_backend: Any) -> None:
    name, options = anyio_backend
    with anyio.from_thread.start_blocking_portal(name, options) as portal:
        begun = time.monotonic()
        futures = [portal.start_task_soon(anyio.sleep, 0.1) for _ in range(100)]
        for future in futures:
            future.result(10)
        assert time.monotonic() - begun < 5


async def test_processes_take_input_and_give_output() -> None:
    code = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.stderr.write('end')"
    data = bytes(range(256)) * 4096
    done = await anyio.run_process([sys.executable, "-c", code], input=data)
    assert done.stdout == data[::-1] and done.stderr == b"end"
    with anyio.move_on_after(0.2):
        async with await anyio.open_process([sys.executable, "-c", "import time; time.sleep(3600)"]) as process:
            await process.wait()
    assert process.returncode is not None, "the process outlives its scope"


async def test_a_worker_process_computes() -> None:
    assert await anyio.to_process.run_sync(pow, 3, 1000, 10**9 + 7) == pow(3, 1000, 10**9 + 7)


async def serve_echo(stream: Any) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def test_tcp_and_unix_sockets_echo(tmp_path: Path) -> None:
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    unix = await anyio.create_unix_listener(tmp_path / "socket")
    ended = anyio.Semaphore(0)

    async def serve(stream: Any) -> None:
        await serve_echo(stream)
        ended.release()

    async with anyio.create_task_group() as group:
        for listener in (tcp, unix):
            group.start_soon(listener.serve, serve)
        port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        for stream in (await anyio.connect_tcp("127.0.0.1", port), await anyio.connect_unix(tmp_path / "socket")):
            data, got = bytes(range(256)) * 2048, b""
            async with stream, anyio.create_task_group() as talk:
                talk.start_soon(stream.send, data)
                while len(got) < len(data):
                    got += await stream.receive()
            assert got == data
            # anyio's reader of a Unix socket fails when it is cancelled in the turn in which it becomes readable.
            await ended.acquire()
        group.cancel_scope.cancel()
    await tcp.aclose()
    await unix.aclose()


async def test_datagrams() -> None:
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
        port = server.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
            for number in range(100):
                await client.send(f"datagram {number}".encode())
                data, peer = await server.receive()
                await server.sendto(data.upper(), *peer)
                assert await client.receive() == f"DATAGRAM {number}".encode()


async def test_tls_over_any_stream(tls: Any) -> None:
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(anyio.abc.SocketAttribute.local_port)
    listener = TLSListener(plain, tls.server)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve_echo)
        raw = await anyio.connect_tcp("127.0.0.1", port)
        stream = await TLSStream.wrap(raw, hostname="localhost", ssl_context=tls.client)
        assert stream.extra(anyio.streams.tls.TLSAttribute.tls_version).startswith("TLSv1.")
        async with stream:
            for size in (1, 1000, 100_000):
                await stream.send(b"x" * size)
                got = b""
                while len(got) < size:
                    got += await stream.receive()
                assert got == b"x" * size
        with pytest.raises(ssl.SSLError):
            await anyio.connect_tcp("127.0.0.1", port, tls=True, tls_hostname="localhost")
        group.cancel_scope.cancel()
    await listener.aclose()
