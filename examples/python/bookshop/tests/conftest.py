"""A shop of its own for each test, with somebody behind the counter; `client` comes with ziggurat and asks for `app`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ziggurat import Model, Ziggurat, uuid7
from ziggurat.testing import TestClient

from bookshop.factory import create_app
from bookshop.models import Author, Book, Customer
from bookshop.settings import Partner, Settings
from bookshop.state import Shop

KEY = "the key of a partner"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing of the environment, and nothing that outlives the test."""
    return Settings(
        _env_file=None,
        secret="a secret of the tests, long enough",
        store="sqlite:///:memory:",
        covers=tmp_path / "covers",
        outbox=tmp_path / "outbox",
        partners=[Partner(name="reader", hash="sha256:" + hashlib.sha256(KEY.encode()).hexdigest())],
    )


ADA = Author(id=uuid7(), name="Ada Lovelace")
# Of a password that nobody knows: their tokens are made here.
UNKNOWN = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgb3duIHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ANN = Customer(email="ann@example.org", name="Ann", password=UNKNOWN)
BEN = Customer(email="ben@example.org", name="Ben", password=UNKNOWN)
DESK = Customer(email="desk@bookshop.example", name="The desk", password=UNKNOWN, roles=["staff"])


@pytest.fixture
def book() -> Book:
    """The book that everybody wants."""
    return Book(isbn="9780000000019", title="Notes", author=ADA.id, price=Decimal("24.00"), stock=3)


@pytest.fixture
def app(settings: Settings, book: Book) -> Ziggurat:
    """What is tested."""
    app = create_app(settings)

    @app.on_startup
    async def fill() -> None:
        rows: list[Model] = [ADA, ANN, BEN, DESK, book]
        for row in rows:
            await row.model_copy().insert()

    return app


class Person:
    """Somebody who is signed in, in a program of their own."""

    def __init__(self, client: TestClient, token: str) -> None:
        self._client = client
        self.headers = {"authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, json: Any = None, **headers: str) -> Any:
        """An answer."""
        return self._client.request(method, path, json=json, headers={**self.headers, **headers})


@pytest.fixture
def of(client: TestClient, app: Ziggurat) -> Callable[[Customer], Person]:
    """Somebody with a token."""
    shop = app.state
    assert isinstance(shop, Shop)
    return lambda customer: Person(client, shop.sessions.token(customer))


@pytest.fixture
def ann(of: Callable[[Customer], Person]) -> Person:
    """A customer."""
    return of(ANN)


@pytest.fixture
def ben(of: Callable[[Customer], Person]) -> Person:
    """Another one."""
    return of(BEN)


@pytest.fixture
def desk(of: Callable[[Customer], Person]) -> Person:
    """Who works here."""
    return of(DESK)
