"""Robyn's handlers: one process, one worker, no OpenAPI routes. It has no dependencies that stand in each other, which are written
out, and a stream is driven from a thread of its own."""

import asyncio
import json as standard_json
from typing import Any

import msgspec
from robyn import Headers, Request, Response, Robyn, SSEMessage, SSEResponse, StreamingResponse, WebSocketDisconnect
from robyn.responses import FileResponse

from . import shared
from .shared import Order, OrderStruct

app = Robyn(__file__)


@app.get("/text")
async def text() -> str:
    return shared.TEXT


@app.get("/json")
async def json() -> dict[str, Any]:
    return shared.MESSAGE


@app.get("/items/:id")
async def item(id: int, limit: int, ratio: float, active: bool | None = None, tag: list[str] | None = None):
    return {"id": id, "limit": limit, "ratio": ratio, "active": active, "tag": tag}


@app.post("/orders")
async def order(order: Order):
    return shared.receipt(order)


decode = msgspec.json.Decoder(OrderStruct).decode


@app.post("/structs")
async def struct(request: Request):
    try:
        order = decode(request.body)
    except msgspec.MsgspecError as error:
        return Response(422, Headers({"content-type": "text/plain"}), str(error))
    return shared.receipt(order)


@app.get("/depends")
async def depends(request: Request):
    async with shared.session(shared.settings()) as session:
        user = shared.user(session, request.headers.get("x-token") or "")
        if user is None:
            return Response(401, Headers({}), "")
        return {"user": user}


@app.get("/stream")
async def stream():
    async def chunks():
        for _ in range(shared.CHUNKS):
            yield shared.CHUNK

    headers = Headers({"content-type": "application/octet-stream"})
    return StreamingResponse(chunks(), headers=headers, media_type="application/octet-stream")


@app.get("/events")
async def events():
    async def events():
        while True:
            yield SSEMessage(standard_json.dumps(shared.EVENT))
            await asyncio.sleep(shared.EVERY)

    return SSEResponse(events())


@app.websocket("/echo")
async def echo(websocket):
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@app.post("/upload")
async def upload(request: Request):
    [(name, content)] = request.files.items()
    return {"name": name, "size": len(content)}


@app.get("/file")
async def file():
    return FileResponse(shared.FILE, headers=Headers({"content-type": "application/octet-stream"}))


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=shared.PORT)
