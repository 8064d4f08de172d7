"""FastAPI on uvicorn, asked by httpx; uvicorn's command on PyLoop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from servers import free_port


class Line(BaseModel):
    count: int
    price: float


done_later: list[str] = []


def make() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.loop = type(asyncio.get_running_loop()).__module__
        yield
        app.state.loop = "closed"

    app = FastAPI(lifespan=lifespan)

    @app.get("/loop")
    async def loop() -> str:
        return str(app.state.loop)

    @app.post("/total")
    async def total(lines: list[Line]) -> dict[str, float]:
        return {"total": sum(line.count * line.price for line in lines)}

    @app.get("/blocking/{number}")
    def blocking(number: int) -> int:
        # In a thread of anyio's.
        time.sleep(0.01)
        return number * 2

    @app.get("/stream")
    async def stream(count: int) -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            for number in range(count):
                yield f"row {number}\n"
                if number % 100 == 0:
                    await asyncio.sleep(0)

        return StreamingResponse(rows())

    @app.get("/later")
    async def later(word: str, tasks: BackgroundTasks) -> None:
        tasks.add_task(done_later.append, word)

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text * 2)

    return app


app = make()


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(make(), port=free_port(), log_level="warning", **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), await task
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        await task


async def test_httpx_asks_fastapi() -> None:
    async with served() as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        bodies = [[{"count": 2, "price": number / 2}] * 3 for number in range(200)]
        answers = await asyncio.gather(*(client.post("/total", json=body) for body in bodies))
        assert [answer.json()["total"] for answer in answers] == [number * 3 for number in range(200)]
        refused = await client.post("/total", json=[{"count": "many", "price": 1}])
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", 0, "count"]


async def test_blocking_handlers_run_in_threads_beside_the_loop() -> None:
    async with served() as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        answers = await asyncio.gather(*(client.get(f"/blocking/{number}") for number in range(100)))
        assert [answer.json() for answer in answers] == [number * 2 for number in range(100)]


async def test_streams_and_background_tasks() -> None:
    async with served() as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        async with client.stream("GET", "/stream", params={"count": 5000}) as answer:
            rows = [line async for line in answer.aiter_lines()]
        assert rows == [f"row {number}" for number in range(5000)]
        done_later.clear()
        await client.get("/later", params={"word": "soon"})
        # After the answer is sent, so perhaps after it has arrived.
        while not done_later:
            await asyncio.sleep(0.01)
        assert done_later == ["soon"]


async def test_a_timeout_of_the_client_leaves_the_connection_pool_usable() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, served() as working, httpx.AsyncClient(limits=httpx.Limits(max_connections=2)) as client:
        for _ in range(5):
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url, timeout=0.05)
        assert (await client.get(f"{working}/blocking/4")).json() == 8


async def test_a_websocket_of_fastapi() -> None:
    import websockets

    async with (
        served(ws="websockets-sansio") as url,
        websockets.connect(url.replace("http", "ws") + "/echo") as socket,
    ):
        for number in range(100):
            await socket.send(f"{number},")
            assert await socket.recv() == f"{number},{number},"


@pytest.fixture
def command(tmp_path: Path, loop_name: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`uvicorn test_uvicorn:app` as one starts it in a shell."""
    port = free_port()
    line = [sys.executable, "-m", "uvicorn", "test_uvicorn:app", "--app-dir", str(Path(__file__).parent)]
    # The helpers stand beside this folder.
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [*line, "--port", str(port), "--loop", loop_name],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert process.stderr is not None
    for text in process.stderr:
        if "running on" in text:
            break
    else:
        raise AssertionError(f"uvicorn ended with {process.wait()}")
    yield process, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()
    process.stderr.close()


async def test_its_command_takes_the_loop_by_name(command: Any, loop_factory: Any) -> None:
    process, url = command
    async with httpx.AsyncClient(base_url=url) as client:
        loop = loop_factory()
        assert (await client.get("/loop")).json() == type(loop).__module__
        loop.close()
    process.send_signal(signal.SIGTERM)
    rest = await asyncio.to_thread(process.stderr.read)
    assert "Application shutdown complete" in rest
    # It raises the signal again when it has stopped.
    assert await asyncio.to_thread(process.wait, 10) == -signal.SIGTERM
