"""The catalogue, and what readers think of it."""

from __future__ import annotations

from conftest import ADA, KEY, Person
from ziggurat import Ziggurat
from ziggurat.testing import TestClient

from bookshop.models import Book

FLYING = {"isbn": "9780000000026", "title": "On Flying", "author": str(ADA.id), "price": "11.50", "cost": "6.00"}


def test_books_are_found(client: TestClient, desk: Person) -> None:
    assert desk.send("POST", "/books", {**FLYING, "text": "Letters about wings"}).status_code == 201
    by_price = client.get("/books?sort=-price&fields=title,price").json()["items"]
    assert by_price == [{"title": "Notes", "price": "24.00"}, {"title": "On Flying", "price": "11.50"}]
    [found] = client.get("/books?q=wings&expand=author").json()["items"]
    assert (found["title"], found["author"]["name"]) == ("On Flying", "Ada Lovelace")
    assert "cost" not in found
    assert client.get("/books/_count?price=lt.20").json() == {"count": 1}
    assert client.get("/books?cost=gt.1").status_code == 400


def test_lists_are_kept_until_a_book_changes(client: TestClient, desk: Person, book: Book) -> None:
    path = f"/books/{book.id}"
    for _ in range(2):
        answer = client.get("/books")
    assert "hit" in answer.headers["cache-status"]
    assert desk.send("PATCH", path, {"price": "20.00"}).status_code == 200
    while "hit" in (answer := client.get("/books")).headers["cache-status"]:
        pass  # The hook that has it forgotten runs beside the answer.
    assert answer.json()["items"][0]["price"] == "20.00"


def test_the_catalogue_never_enters_python(client: TestClient, app: Ziggurat, book: Book) -> None:
    before = app.attach_counts()
    assert client.get("/books?q=notes").status_code == client.get(f"/books/{book.id}").status_code == 200
    assert app.attach_counts() == before


def test_only_the_staff_writes_books(client: TestClient, ann: Person, desk: Person, book: Book) -> None:
    assert client.post("/books", json=FLYING).status_code == 401
    assert ann.send("POST", "/books", FLYING).status_code == 403
    assert desk.send("POST", "/books", {**FLYING, "isbn": book.isbn}).status_code == 409
    assert ann.send("DELETE", f"/authors/{ADA.id}").status_code == 403


def test_nothing_is_sold_below_its_cost(desk: Person) -> None:
    answer = desk.send("POST", "/books", {**FLYING, "price": "5.99"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "5.99 is less than what was paid for it"
    made = desk.send("POST", "/books", FLYING).json()
    assert desk.send("PATCH", f"/books/{made['id']}", {"price": "5.99"}).status_code == 422


def test_everybody_reviews_a_book_once(client: TestClient, ann: Person, ben: Person, desk: Person, book: Book) -> None:
    review = {"book": str(book.id), "rating": 5, "text": "ahead of its time"}
    assert client.post("/reviews", json=review).status_code == 401
    made = ann.send("POST", "/reviews", review)
    assert made.status_code == 201 and "once" not in made.json()
    assert ann.send("POST", "/reviews", review).status_code == 409
    assert ben.send("POST", "/reviews", {**review, "rating": 2}).status_code == 201
    assert ann.send("POST", "/reviews", {**review, "book": str(ADA.id)}).status_code == 422
    [stars] = client.get("/reviews/_group?by=book&agg=count,avg(rating)").json()["items"]
    assert (stars["count"], stars["avg(rating)"]) == (2, 3.5)

    path = f"/reviews/{made.json()['id']}"
    assert ben.send("PATCH", path, {"rating": 1}).status_code == 403
    assert ann.send("PATCH", path, {"rating": 4}).status_code == 200
    assert desk.send("DELETE", path).status_code == 204
    assert client.get(path).status_code == 404


def test_partners_read_the_whole_catalogue(client: TestClient, desk: Person) -> None:
    desk.send("POST", "/books", FLYING)
    assert client.get("/partners/feed").status_code == 401
    assert desk.send("GET", "/partners/feed").status_code == 403
    feed = client.get("/partners/feed?max_price=20", headers={"x-api-key": KEY})
    assert feed.headers["content-type"] == "application/x-ndjson"
    assert feed.text == '{"isbn":"9780000000026","title":"On Flying","price":"11.50","available":false}\n'
    assert client.get("/me", headers={"x-api-key": KEY}).json() is None
    assert client.get("/orders", headers={"x-api-key": KEY}).status_code == 403
