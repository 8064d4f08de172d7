"""What the code of the shop asks the app for: a parameter `shop: Shop` is given it."""

from __future__ import annotations

from uuid import UUID

from ziggurat import Request, State, layers

from .mail import Outbox
from .rooms import Rooms
from .sessions import Sessions
from .settings import Settings


class Shop(State):
    """Made once, with the app."""

    settings: Settings
    sessions: Sessions
    outbox: Outbox
    cache: layers.Cache
    rooms: Rooms

    @classmethod
    def of(cls, settings: Settings) -> Shop:
        """As the settings want it."""
        return cls(
            settings=settings,
            sessions=Sessions(settings.secret.get_secret_value(), settings.session),
            outbox=Outbox(settings.outbox),
            cache=layers.Cache(),
            rooms=Rooms(),
        )

    @classmethod
    def at(cls, request: Request) -> Shop:
        """That of a request, for hooks, which are given no parameters."""
        shop = request.app.state
        assert isinstance(shop, Shop)
        return shop

    def books_changed(self, *ids: UUID) -> None:
        """Lists and rows that were kept are asked for again: what was written went by no request to these paths."""
        self.cache.invalidate("/books")
        for id in ids:
            self.cache.invalidate(f"/books/{id}")
