"""Who is in which room of the chat. Each process has rooms of its own: more than one needs a broker between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

BEHIND = 100
"""Messages that wait for somebody whose connection is slow."""


class Message(BaseModel):
    """What is heard in a room."""

    who: str
    text: str
    at: datetime


class Rooms:
    """There is a room as long as somebody is in it."""

    def __init__(self) -> None:
        self._rooms: dict[UUID, set[asyncio.Queue[Message]]] = {}

    @contextmanager
    def entered(self, room: UUID) -> Iterator[asyncio.Queue[Message]]:
        """What is said there from now on."""
        heard: asyncio.Queue[Message] = asyncio.Queue(BEHIND)
        people = self._rooms.setdefault(room, set())
        people.add(heard)
        try:
            yield heard
        finally:
            people.discard(heard)
            if not people:
                del self._rooms[room]

    def say(self, room: UUID, message: Message) -> None:
        """Nobody waits for who is slow: they miss the oldest."""
        for heard in self._rooms.get(room, ()):
            if heard.full():
                heard.get_nowait()
            heard.put_nowait(message)

    def people(self) -> int:
        """How many are in any room."""
        return sum(map(len, self._rooms.values()))
