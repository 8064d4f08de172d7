"""FastAPI's handlers, as its documentation writes them; run by uvicorn with uvloop and httptools."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse

from . import shared
from .shared import Order, OrderStruct

app = FastAPI(openapi_url=None)


@app.get("/text", response_class=PlainTextResponse)
async def text():
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


# FastAPI knows nothing of msgspec, so the body is read by hand.
decode = msgspec.json.Decoder(OrderStruct).decode


@app.post("/structs")
async def struct(request: Request) -> dict[str, Any]:
    try:
        order = decode(await request.body())
    except msgspec.MsgspecError as error:
        raise HTTPException(422, str(error)) from error
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
async def stream():
    async def chunks():
        for _ in range(shared.CHUNKS):
            yield shared.CHUNK

    return StreamingResponse(chunks(), media_type="application/octet-stream")


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterable[dict[str, Any]]:
    while True:
        yield shared.EVENT
        await asyncio.sleep(shared.EVERY)


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, Any]:
    return {"name": file.filename, "size": file.size}


@app.get("/file", response_class=FileResponse)
async def file():
    return shared.FILE
