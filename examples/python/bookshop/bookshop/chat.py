"""A room for each book, in which those who have signed in talk: a WebSocket of Rust, with a coroutine for what is said."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError
from ziggurat import Claims, HTTPException, Router, WebSocket, WebSocketException, now

from .models import Book
from .rooms import Message
from .sessions import CUSTOMER
from .state import Shop

router = Router()


class Said(BaseModel):
    """What somebody sends."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


# A page of another site cannot open it: it comes with the cookie, and its `Origin` is checked before anything is called.
@router.websocket("/books/{id}/chat", guards=[CUSTOMER], max_message_bytes=4096)
async def chat(ws: WebSocket, id: UUID, claims: Claims, shop: Shop) -> None:
    """Everybody in the room hears everybody, themselves included."""
    if await Book.get(id) is None:
        raise HTTPException(404, "there is no such book")
    await ws.accept()
    with shop.rooms.entered(id) as heard:
        telling = asyncio.create_task(_tell(ws, heard))
        try:
            async for message in ws.iter_text():
                try:
                    said = Said.model_validate_json(message)
                except ValidationError:
                    raise WebSocketException(1008, "a text of 1 to 500 letters") from None
                shop.rooms.say(id, Message(who=claims["name"], text=said.text, at=now()))
        finally:
            telling.cancel()


async def _tell(ws: WebSocket, heard: asyncio.Queue[Message]) -> None:
    while True:
        await ws.send_json(await heard.get())
