"""Litestar's handlers, as its documentation writes them; run by Granian. It decodes and encodes by msgspec."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, WebSocket, get, post, websocket
from litestar.datastructures import UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.params import Body, Parameter
from litestar.response import File, ServerSentEvent, Stream

from . import shared
from .shared import Order, OrderStruct


@get("/text", media_type=MediaType.TEXT)
async def text() -> str:
    return shared.TEXT


@get("/json")
async def json() -> dict[str, Any]:
    return shared.MESSAGE


@get("/items/{id:int}")
async def item(
    id: int, limit: int, ratio: float, active: bool | None = None, tag: list[str] | None = None
) -> dict[str, Any]:
    return {"id": id, "limit": limit, "ratio": ratio, "active": active, "tag": tag}


@post("/orders", status_code=200)
async def order(data: Order) -> dict[str, Any]:
    return shared.receipt(data)


@post("/structs", status_code=200)
async def struct(data: OrderStruct) -> dict[str, Any]:
    return shared.receipt(data)


def settings() -> dict[str, str]:
    return shared.settings()


async def session(settings: dict[str, str]) -> AsyncGenerator[dict[str, Any], None]:
    async with shared.session(settings) as session:
        yield session


async def user(session: dict[str, Any], x_token: Annotated[str, Parameter(header="x-token")]) -> str:
    name = shared.user(session, x_token)
    if name is None:
        raise NotAuthorizedException
    return name


@get(
    "/depends",
    dependencies={
        "settings": Provide(settings, sync_to_thread=False),
        "session": Provide(session),
        "user": Provide(user),
    },
)
async def depends(user: str) -> dict[str, str]:
    return {"user": user}


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(shared.CHUNKS):
            yield shared.CHUNK

    return Stream(chunks(), media_type="application/octet-stream")


@get("/events")
async def events() -> ServerSentEvent:
    async def events() -> AsyncGenerator[bytes, None]:
        while True:
            yield msgspec.json.encode(shared.EVENT)
            await asyncio.sleep(shared.EVERY)

    return ServerSentEvent(events())


@websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


@post("/upload", status_code=200, request_max_body_size=1 << 24)
async def upload(data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    return {"name": data.filename, "size": len(await data.read())}


@get("/file")
async def file() -> File:
    return File(shared.FILE, filename="file.bin")


app = Litestar(
    [text, json, item, order, struct, depends, stream, events, echo, upload, file],
    openapi_config=None,
    logging_config=None,
)
