"""What stands around the shop, and what it is told by its environment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from conftest import Person
from pydantic import ValidationError
from test_orders import order
from ziggurat import Ziggurat
from ziggurat.testing import AsyncTestClient, TestClient

from bookshop.models import Book
from bookshop.settings import Settings


def test_the_page_comes_with_a_policy(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("shop.js", "shop.css"):
        assert client.get(f"/{name}").status_code == 200


def test_it_says_how_it_is(app: Ziggurat) -> None:
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        assert client.get("/readyz").status_code == 200
        client.get("/books")
        assert 'http_route="/books"' in client.get("/metrics").text
        assert client.get("/docs").status_code == 200
        assert "/orders/{id}/cancel" in client.get("/openapi.json").json()["paths"]


def test_nothing_starts_without_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOOKSHOP_SECRET", raising=False)
    with pytest.raises(ValidationError, match="secret"):
        Settings()
    (tmp_path / ".env").write_text("BOOKSHOP_SECRET=thirty-two bytes or more of secret\nBOOKSHOP_SESSION=PT30M\n")
    assert Settings().session.total_seconds() == 1800
    monkeypatch.setenv("BOOKSHOP_PARTNERS", '[{"name": "reader", "hash": "the key itself"}]')
    with pytest.raises(ValidationError, match="hash"):
        Settings()


def test_a_page_watches_the_stock(client: TestClient, ann: Person, book: Book) -> None:
    with client.stream("GET", "/books/_changes?fields=id,stock") as changes:
        lines = changes.iter_lines()
        assert ann.send("POST", "/orders", order(book.id)).status_code == 201
        data = next(line for line in lines if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: ")) == {"id": str(book.id), "stock": 2}


def test_customers_watch_their_own_orders(client: TestClient, ann: Person, ben: Person, book: Book) -> None:
    with client.stream("GET", "/orders/_changes?fields=id,status", headers=ann.headers) as changes:
        lines = changes.iter_lines()
        assert ben.send("POST", "/orders", order(book.id)).status_code == 201
        own = ann.send("POST", "/orders", order(book.id)).json()["id"]
        data = next(line for line in lines if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: ")) == {"id": own, "status": "placed"}


@pytest.mark.anyio
async def test_many_look_at_once(async_client: AsyncTestClient) -> None:
    answers = await asyncio.gather(*(async_client.get("/books") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
