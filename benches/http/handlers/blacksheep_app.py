"""BlackSheep's handlers, as its documentation writes them; run by Granian. Its dependencies are of the app or of a request, and none of
them cleans up, so those are written out."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from blacksheep import (
    Application,
    FromFile,
    FromHeader,
    FromJSON,
    FromQuery,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    get,
    json,
    post,
    text,
    ws,
)
from blacksheep.server.responses import ContentDispositionType, file, status_code, unauthorized
from blacksheep.server.sse import ServerSentEvent, ServerSentEventsResponse

from . import shared
from .shared import Order, OrderStruct

app = Application()


@get("/text")
async def get_text():
    return text(shared.TEXT)


@get("/json")
async def get_json():
    return json(shared.MESSAGE)


@get("/items/{id}")
async def item(
    id: int,
    limit: FromQuery[int],
    ratio: FromQuery[float],
    active: FromQuery[bool | None],
    tag: FromQuery[list[str] | None],
):
    return json({"id": id, "limit": limit.value, "ratio": ratio.value, "active": active.value, "tag": tag.value})


@post("/orders")
async def order(order: FromJSON[Order]):
    return json(shared.receipt(order.value))


decode = msgspec.json.Decoder(OrderStruct).decode


@post("/structs")
async def struct(request: Request):
    try:
        order = decode(await request.read())
    except msgspec.MsgspecError as error:
        return status_code(422, str(error))
    return json(shared.receipt(order))


class Token(FromHeader[str]):
    name = "x-token"


@get("/depends")
async def depends(token: Token):
    async with shared.session(shared.settings()) as session:
        user = shared.user(session, token.value)
        return json({"user": user}) if user is not None else unauthorized()


@get("/stream")
async def stream():
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(shared.CHUNKS):
            yield shared.CHUNK

    return Response(200, content=StreamedContent(b"application/octet-stream", chunks))


@get("/events")
async def events():
    async def events() -> AsyncIterator[ServerSentEvent]:
        while True:
            yield ServerSentEvent(shared.EVENT)
            await asyncio.sleep(shared.EVERY)

    return ServerSentEventsResponse(events)


@ws("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        pass


@post("/upload")
async def upload(file: FromFile):
    part = file.value
    return json({"name": part.file_name.decode(), "size": part.size})


@get("/file")
async def get_file():
    return file(shared.FILE, "application/octet-stream", content_disposition=ContentDispositionType.INLINE)
