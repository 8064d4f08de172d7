"""Ziggurat's handlers, with the default stack of layers and default settings but for the size of bodies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from ziggurat import (
    Depends,
    EventStream,
    FileResponse,
    Header,
    HTTPException,
    Query,
    UploadFile,
    WebSocket,
    Ziggurat,
)

from . import shared
from .shared import Order, OrderStruct

app = Ziggurat()


@app.get("/text")
async def text() -> str:
    return shared.TEXT


@app.get("/json")
async def json() -> dict[str, Any]:
    return shared.MESSAGE


@app.get("/items/{id}")
async def item(
    id: int,
    limit: int,
    ratio: float,
    active: bool | None = None,
    tag: Annotated[list[str] | None, Query()] = None,
) -> dict[str, Any]:
    return {"id": id, "limit": limit, "ratio": ratio, "active": active, "tag": tag}


@app.post("/orders")
async def order(order: Order) -> dict[str, Any]:
    return shared.receipt(order)


@app.post("/structs")
async def struct(order: OrderStruct) -> dict[str, Any]:
    return shared.receipt(order)


def settings() -> dict[str, str]:
    return shared.settings()


async def session(settings: Annotated[dict[str, str], Depends(settings)]) -> AsyncIterator[dict[str, Any]]:
    async with shared.session(settings) as session:
        yield session


async def user(session: Annotated[dict[str, Any], Depends(session)], x_token: Annotated[str, Header()]) -> str:
    name = shared.user(session, x_token)
    if name is None:
        raise HTTPException(401)
    return name


@app.get("/depends")
async def depends(user: Annotated[str, Depends(user)]) -> dict[str, str]:
    return {"user": user}


@app.get("/stream")
async def stream() -> AsyncIterator[bytes]:
    for _ in range(shared.CHUNKS):
        yield shared.CHUNK


@app.get("/events")
async def events() -> EventStream[dict[str, Any]]:
    while True:
        yield shared.EVENT
        await asyncio.sleep(shared.EVERY)


@app.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


@app.post("/upload", max_body=1 << 24)
async def upload(file: UploadFile) -> dict[str, Any]:
    return {"name": file.filename, "size": file.size}


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(shared.FILE)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=shared.PORT)
