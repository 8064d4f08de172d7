"""Buying: all or nothing, and nobody gets what is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from conftest import ADA, Person
from ziggurat import Transaction, Ziggurat, transaction
from ziggurat.testing import TestClient

from bookshop.models import Book
from bookshop.orders import unit_of_work
from bookshop.settings import Settings

ADDRESS = "12 St James's Square, London"


def order(*books: UUID | str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"lines": [{"book": str(book), "count": count} for book in books], "address": ADDRESS, **more}


def test_an_order_takes_what_it_orders(client: TestClient, ann: Person, book: Book, settings: Settings) -> None:
    placed = ann.send("POST", "/orders", order(book.id, book.id))
    assert placed.status_code == 201
    made = placed.json()
    assert (made["total"], made["status"]) == ("48.00", "placed")
    assert made["lines"] == [{"book": str(book.id), "title": "Notes", "count": 2, "price": "24.00"}]
    assert client.get(f"/books/{book.id}").json()["stock"] == 1
    seen = ann.send("GET", placed.headers["location"] + "?expand=lines.book").json()
    assert seen["lines"][0]["book"]["isbn"] == book.isbn

    mail = message_from_bytes(_mail(settings.outbox).read_bytes(), policy=policy.default)
    assert mail["To"] == "ann@example.org"
    assert "2 x Notes  48.00" in mail.get_content()


def _mail(outbox: Path) -> Path:
    """It is written after the answer."""
    while True:
        for found in outbox.glob("*.eml"):
            return found


def test_what_is_not_there_is_not_sold(client: TestClient, ann: Person, desk: Person, book: Book) -> None:
    rare = {"isbn": "9780000000040", "title": "Rare", "author": str(ADA.id), "price": "9.00", "stock": 1}
    other = desk.send("POST", "/books", rare).json()
    wanted = {"lines": [{"book": str(book.id)}, {"book": other["id"], "count": 2}], "address": ADDRESS}
    answer = ann.send("POST", "/orders", wanted)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "https://bookshop.example/problems/out-of-stock",
        "title": "Out of stock",
        "status": 409,
        "detail": "2 wanted, 1 left",
        "book": other["id"],
        "left": 1,
    }
    assert client.get(f"/books/{book.id}").json()["stock"] == 3, "neither is taken"
    assert ann.send("GET", "/orders").json()["items"] == []


def test_the_last_one_is_sold_once(client: TestClient, ann: Person, book: Book) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.send("POST", "/orders", order(book.id)).status_code, range(8)))
    assert sorted(answers) == [201] * 3 + [409] * 5, "there were three"
    assert client.get(f"/books/{book.id}").json()["stock"] == 0


def test_an_order_that_comes_again_is_the_same_one(client: TestClient, ann: Person, ben: Person, book: Book) -> None:
    wanted = order(book.id, id=str(uuid4()))
    first, again = ann.send("POST", "/orders", wanted), ann.send("POST", "/orders", wanted)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert client.get(f"/books/{book.id}").json()["stock"] == 2
    assert ben.send("POST", "/orders", wanted).status_code == 409, "it is not Ben's"


def test_all_that_is_wrong_is_told_at_once(ann: Person) -> None:
    answer = ann.send("POST", "/orders", {"lines": [{"book": "x", "count": 0}], "address": "?"})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/lines/0/book", "/lines/0/count", "/address"}


def test_orders_are_their_customers(client: TestClient, ann: Person, ben: Person, desk: Person, book: Book) -> None:
    path = ann.send("POST", "/orders", order(book.id)).headers["location"]
    assert client.post("/orders", json=order(book.id)).status_code == 401
    assert ben.send("GET", path).status_code == ben.send("POST", f"{path}/cancel").status_code == 404
    assert ben.send("GET", "/orders").json()["items"] == []
    assert ann.send("GET", "/orders?expand=customer").json()["items"][0]["customer"]["name"] == "Ann"
    [seen] = desk.send("GET", "/orders?expand=customer&status=placed").json()["items"]
    assert seen["customer"]["name"] == "Ann" and "password" not in seen["customer"]


def test_nobody_overwrites_what_they_have_not_seen(ann: Person, desk: Person, book: Book) -> None:
    path = ann.send("POST", "/orders", order(book.id)).headers["location"]
    tag = ann.send("GET", path).headers["etag"]
    assert ann.send("PATCH", path, {"address": "elsewhere"}).status_code == 428
    moved = ann.send("PATCH", path, {"address": "elsewhere"}, **{"if-match": tag})
    assert moved.json()["address"] == "elsewhere"
    # The desk has read it before Ann moved.
    assert desk.send("PATCH", path, {"status": "shipped"}, **{"if-match": tag}).status_code == 412
    tag = moved.headers["etag"]
    assert desk.send("PATCH", path, {"status": "shipped"}, **{"if-match": tag}).status_code == 200
    tag = ann.send("GET", path).headers["etag"]
    assert ann.send("PATCH", path, {"address": "too late"}, **{"if-match": tag}).status_code == 403


def test_customers_cannot_send_their_orders_off(ann: Person, book: Book) -> None:
    path = ann.send("POST", "/orders", order(book.id)).headers["location"]
    tag = {"if-match": ann.send("GET", path).headers["etag"]}
    assert ann.send("PATCH", path, {"status": "shipped"}, **tag).status_code == 403
    assert ann.send("PATCH", path, {"total": "0.00"}, **tag).status_code == 422


def test_a_cancelled_order_goes_back_to_the_shelf(client: TestClient, ann: Person, book: Book) -> None:
    path = ann.send("POST", "/orders", order(book.id, count=3)).headers["location"]
    assert ann.send("POST", f"{path}/cancel").json()["status"] == "cancelled"
    assert client.get(f"/books/{book.id}").json()["stock"] == 3
    again = ann.send("POST", f"{path}/cancel")
    assert (again.status_code, again.json()["detail"]) == (409, "it is cancelled")


def test_sales_are_summed_up(ann: Person, ben: Person, desk: Person, book: Book) -> None:
    for person in (ann, ben):
        assert person.send("POST", "/orders", order(book.id)).status_code == 201
    [sales] = desk.send("GET", "/orders/_group?by=status&agg=count,sum(total)").json()["items"]
    assert sales == {"by": {"status": "placed"}, "count": 2, "sum(total)": "48"}


def test_what_is_written_while_it_is_cancelled_is_a_conflict(
    client: TestClient, app: Ziggurat, ann: Person, book: Book
) -> None:
    path = ann.send("POST", "/orders", order(book.id)).headers["location"]

    async def late() -> AsyncIterator[Transaction]:
        async with transaction() as tx:
            yield tx
            other = await Book.get(book.id)
            assert other is not None
            other.title = "Notes, second edition"
            await other.save()

    app.dependency_overrides[unit_of_work] = late
    assert ann.send("POST", f"{path}/cancel").status_code == 409
    app.dependency_overrides.clear()
    assert ann.send("GET", path).json()["status"] == "placed", "neither row was written"
    assert client.get(f"/books/{book.id}").json()["stock"] == 2
    assert ann.send("POST", f"{path}/cancel").json()["status"] == "cancelled"
