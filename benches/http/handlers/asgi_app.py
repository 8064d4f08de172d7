"""A bare ASGI application, with no framework on top: run by Weft. Routing and parameters are written out by hand: the floor for
Python there, not what a framework costs. It reads no forms."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import msgspec
from pydantic import ValidationError

from . import shared
from .shared import Order, OrderStruct

TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]
BYTES = [(b"content-type", b"application/octet-stream")]
EVENTS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
decode = msgspec.json.Decoder(OrderStruct).decode


async def answer(send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send, value: Any) -> None:
    await answer(send, 200, JSON, json.dumps(value, separators=(",", ":")).encode())


async def body_of(receive) -> bytes:
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def text(scope, receive, send):
    await answer(send, 200, TEXT, shared.TEXT.encode())


async def json_dict(scope, receive, send):
    await answer_json(send, shared.MESSAGE)


async def item(scope, receive, send):
    query = parse_qs(scope["query_string"].decode())
    try:
        value = {
            "id": int(scope["path"].removeprefix("/items/")),
            "limit": int(query["limit"][0]),
            "ratio": float(query["ratio"][0]),
            "active": {"true": True, "false": False}[query["active"][0]] if "active" in query else None,
            "tag": query.get("tag"),
        }
    except (ValueError, KeyError):
        await answer(send, 422, [], b"")
        return
    await answer_json(send, value)


async def order(scope, receive, send):
    try:
        order = Order.model_validate_json(await body_of(receive))
    except ValidationError as error:
        await answer(send, 422, JSON, error.json().encode())
        return
    await answer_json(send, shared.receipt(order))


async def struct(scope, receive, send):
    try:
        order = decode(await body_of(receive))
    except msgspec.MsgspecError as error:
        await answer(send, 422, TEXT, str(error).encode())
        return
    await answer_json(send, shared.receipt(order))


async def depends(scope, receive, send):
    token = next((value for name, value in scope["headers"] if name == b"x-token"), b"").decode()
    async with shared.session(shared.settings()) as session:
        user = shared.user(session, token)
        if user is None:
            await answer(send, 401, [], b"")
        else:
            await answer_json(send, {"user": user})


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": BYTES})
    for _ in range(shared.CHUNKS):
        await send({"type": "http.response.body", "body": shared.CHUNK, "more_body": True})
    await send({"type": "http.response.body"})


async def events(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    while True:
        event = f"data: {json.dumps(shared.EVENT)}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(shared.EVERY)


async def file(scope, receive, send):
    with open(shared.FILE, "rb") as opened:
        content = await asyncio.to_thread(opened.read)
    await answer(send, 200, BYTES, content)


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


ROUTES = {
    "/text": text,
    "/json": json_dict,
    "/orders": order,
    "/structs": struct,
    "/depends": depends,
    "/stream": stream,
    "/events": events,
    "/file": file,
    "/echo": echo,
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    handler = ROUTES.get(scope["path"])
    if handler is not None:
        await handler(scope, receive, send)
    elif scope["path"].startswith("/items/"):
        await item(scope, receive, send)
    else:
        await answer(send, 404, [], b"")
