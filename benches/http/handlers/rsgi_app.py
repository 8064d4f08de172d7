"""A bare RSGI application, with no framework on top: run by Granian. Routing and parameters are written out by hand: the floor for
Python there, not what a framework costs. It reads no forms."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import msgspec
from pydantic import ValidationError

from . import shared
from .shared import Order, OrderStruct

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]
BYTES = [("content-type", "application/octet-stream")]
EVENTS = [("content-type", "text/event-stream"), ("cache-control", "no-cache")]
decode = msgspec.json.Decoder(OrderStruct).decode


def answer(proto, value: Any) -> None:
    proto.response_bytes(200, JSON, json.dumps(value, separators=(",", ":")).encode())


async def text(scope, proto):
    proto.response_str(200, TEXT, shared.TEXT)


async def json_dict(scope, proto):
    answer(proto, shared.MESSAGE)


async def item(scope, proto):
    query = parse_qs(scope.query_string)
    try:
        value = {
            "id": int(scope.path.removeprefix("/items/")),
            "limit": int(query["limit"][0]),
            "ratio": float(query["ratio"][0]),
            "active": {"true": True, "false": False}[query["active"][0]] if "active" in query else None,
            "tag": query.get("tag"),
        }
    except (ValueError, KeyError):
        proto.response_empty(422, [])
        return
    answer(proto, value)


async def order(scope, proto):
    try:
        order = Order.model_validate_json(await proto())
    except ValidationError as error:
        proto.response_str(422, JSON, error.json())
        return
    answer(proto, shared.receipt(order))


async def struct(scope, proto):
    try:
        order = decode(await proto())
    except msgspec.MsgspecError as error:
        proto.response_str(422, TEXT, str(error))
        return
    answer(proto, shared.receipt(order))


async def depends(scope, proto):
    async with shared.session(shared.settings()) as session:
        user = shared.user(session, scope.headers.get("x-token") or "")
        if user is None:
            proto.response_empty(401, [])
        else:
            answer(proto, {"user": user})


async def stream(scope, proto):
    transport = proto.response_stream(200, BYTES)
    for _ in range(shared.CHUNKS):
        await transport.send_bytes(shared.CHUNK)


async def events(scope, proto):
    transport = proto.response_stream(200, EVENTS)
    while True:
        await transport.send_str(f"data: {json.dumps(shared.EVENT)}\n\n")
        await asyncio.sleep(shared.EVERY)


async def file(scope, proto):
    proto.response_file(200, BYTES, shared.FILE)


async def echo(scope, proto):
    transport = await proto.accept()
    # A message of kind 0 is the end.
    while (message := await transport.receive()).kind:
        await transport.send_str(message.data)


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


async def app(scope, proto):
    handler = ROUTES.get(scope.path)
    if handler is not None:
        await handler(scope, proto)
    elif scope.path.startswith("/items/"):
        await item(scope, proto)
    else:
        proto.response_empty(404, [])
