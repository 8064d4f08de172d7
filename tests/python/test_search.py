"""Words that rows are searched for: on SQLite by FTS5, on MongoDB where the server can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from tokens import SECRET, bearer

from ziggurat import CORE, Claim, ConfigError, DeletedAt, F, Hidden, Model, Policy, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Book(Model):
    id: int
    title: str
    text: str | None = None
    year: int = 0
    note: Annotated[str, Hidden] = "secret"
    deleted_at: DeletedAt = None


def app_at(folder: Path, **options: Any) -> Ziggurat:
    app = Ziggurat(store=f"sqlite:///{folder}/books.db?shared=true", layers=[layers.Jwt(secret=SECRET, required=False)])
    options = {"search": ("title", "text"), "client_id": True, "bulk": True, **options}
    options.setdefault("ops", CORE | {"count", "query", "export", "patch_many", "changes"})
    app.crud(Book, **options)(type("Books", (), {}))
    return app


BOOKS = [
    {"id": 1, "title": "Zürich in the Rain", "text": "A city, and its lake.", "year": 1990},
    {
        "id": 2,
        "title": "The Analytical Engine",
        "text": "Ada Lovelace's notes on the engine that was analytical",
        "year": 1843,
    },
    {"id": 3, "title": "Rain", "text": None, "year": 2001},
    {"id": 4, "title": "Engines of rain", "text": 'NEAR AND OR NOT " * ( ) : ^ - + a\u0000b', "year": 2002},
]


def ids(client: TestClient, query: str) -> list[int]:
    answer = client.get(f"/book?{query}")
    assert answer.status_code == 200, answer.text
    return [book["id"] for book in answer.json()["items"]]


@pytest.fixture
def client(tmp_path: Path) -> Any:
    app = app_at(tmp_path)
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        assert client.post("/book", json=BOOKS).status_code == 201
        yield client
        assert app.attach_counts()["crud"] == before


def test_all_words_are_looked_for(client: TestClient) -> None:
    for query, found in [
        ("q=rain", [1, 3, 4]),
        ("q=RAIN%20z%C3%BCrich", [1]),
        ("q=zurich", [1]),
        ("q=rain%20engine", []),
        ("q=analytical%20ada", [2]),
        ("q=%22analytical%20engine%22", [2]),
        ("q=%22engine%20analytical%22", []),
        ("q=lovelace's", [2]),
        ("q=rain&year=gt.1995&sort=-year", [4, 3]),
        ("q=rain&q=engines", [4]),
        ("q=eng", []),
        # Nothing that a client writes is an operator.
        ("q=rain%20NOT%20zurich", []),
        ("q=near%20and%20or%20not", [4]),
        ("q=title%3Arain", []),
        ("q=ra*", []),
        ("q=-rain", [1, 3, 4]),
        ("q=a%00b", [4]),
        ("q=%22", None),
        ("q=", None),
        ("q=secret", []),
    ]:
        if found is None:
            assert client.get(f"/book?{query}").json()["errors"][0]["parameter"] == "q", query
        else:
            assert ids(client, query) == found, query


def test_a_search_goes_with_everything_a_list_has(client: TestClient) -> None:
    first = client.get("/book?q=rain&limit=2&sort=year").json()
    assert [book["id"] for book in first["items"]] == [1, 3]
    assert ids(client, f"q=rain&limit=2&sort=year&cursor={first['next']}") == [4]
    assert client.get(f"/book?q=engine&limit=2&sort=year&cursor={first['next']}").status_code == 400
    assert client.get("/book/_count?q=rain").json() == {"count": 3}
    assert client.get("/book/_export?q=lake").text.count("\n") == 1
    body = {"q": "rain", "filter": ["year", "gt", 1995], "fields": ["id"]}
    assert client.request("QUERY", "/book", json=body).json()["items"] == [{"id": 3}, {"id": 4}]
    assert client.request("QUERY", "/book", json={"q": 5}).json()["errors"][0]["pointer"] == "/q"
    assert client.patch("/book?q=rain", json={"year": 5}).json() == {"matched": 3, "modified": 3}
    assert client.get("/book/_changes?q=rain").status_code == 400


def test_every_write_is_found_by_its_new_words(client: TestClient) -> None:
    client.patch("/book/3", json={"text": "now with thunder"})
    assert ids(client, "q=thunder%20rain") == [3]
    client.put("/book/3", json={"title": "Snow"})
    assert (ids(client, "q=thunder"), ids(client, "q=snow")) == ([], [3])
    client.delete("/book/1")
    assert ids(client, "q=rain") == [4]


def test_rows_that_are_there_are_searched_when_it_is_new(tmp_path: Path) -> None:
    with TestClient(app_at(tmp_path, search=())) as client:
        client.post("/book", json=BOOKS)
        assert client.get("/book?q=rain").status_code == 400
    for names, found in [(("text",), []), (("title", "text"), [1, 3, 4]), ("title", [1, 3, 4])]:
        with TestClient(app_at(tmp_path, search=names)) as client:
            assert ids(client, "q=rain") == found, names
            client.patch("/book/3", json={"year": 7})
            assert ids(client, "q=rain") == found, names


class BookData(Model):
    id: int
    text: str


class BookWords(Model):
    id: int
    text: str


def test_what_one_model_is_called_is_in_no_way_of_another(tmp_path: Path) -> None:
    """Each index of words is several tables."""
    app = app_at(tmp_path)
    for model in (BookData, BookWords):
        app.crud(model, client_id=True, search="text")(type("Routes", (), {}))
    with TestClient(app) as client:
        client.post("/book", json=BOOKS)
        for path in ("/bookdata", "/bookwords"):
            assert client.post(path, json={"id": 9, "text": "rain"}).status_code == 201
            assert [row["id"] for row in client.get(f"{path}?q=rain").json()["items"]] == [9]
        assert ids(client, "q=rain") == [1, 3, 4]


def test_a_policy_and_an_index_are_asked(tmp_path: Path) -> None:
    app = app_at(tmp_path, policy=Policy(read=F.year > Claim("since"), create=True), unindexed="deny")
    with TestClient(app) as client:
        client.post("/book", json=BOOKS)
        assert ids(client, "q=rain") == []
        got = client.get("/book?q=rain", headers=bearer(since=2000)).json()["items"]
        assert [book["id"] for book in got] == [3, 4]


def test_the_document_names_the_parameter(tmp_path: Path) -> None:
    paths = app_at(tmp_path).openapi()["paths"]
    described = {path: [p["name"] for p in paths[path]["get"]["parameters"]] for path in ("/book", "/book/_changes")}
    assert "q" in described["/book"] and "q" not in described["/book/_changes"]


def test_what_has_no_words_fails_at_start_up(tmp_path: Path) -> None:
    for names, text in [
        (["year"], r"Book\.year holds no text"),
        (["titel"], 'Book has no field "titel" that could be searched; did you mean title'),
        (["note"], 'Book has no field "note" that could be searched'),
    ]:
        with pytest.raises(ConfigError, match=text):
            app_at(tmp_path, search=names).build()


def test_a_server_without_text_search_says_so(request: pytest.FixtureRequest) -> None:
    """Where it has one, rows are found by it."""
    uri: str = request.getfixturevalue("mongo_uri")
    base, _, options = uri.partition("?")

    class Page(Model):
        id: UUID
        text: str

    app = Ziggurat(store=f"{base.rstrip('/')}/zg_test_search_{os.getpid()}" + (f"?{options}" if options else ""))
    app.crud(Page, search=["text"])(type("Pages", (), {}))
    try:
        app.build()
    except ConfigError as error:
        assert "Page: this server cannot search texts ($text)" in str(error) and "leave search out" in str(error)
        return
    with TestClient(app) as client:
        client.post("/page", json={"text": "Rain in Zurich"})
        assert len(client.get("/page?q=rain%20zurich").json()["items"]) == 1
