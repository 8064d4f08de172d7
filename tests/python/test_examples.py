"""The examples do what they say."""

from __future__ import annotations

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ziggurat.testing import TestClient

ROOT = Path(__file__).parents[2]
LINES = {"content-type": "application/x-ndjson"}


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / f"examples/python/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines(*rows: Any) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


@pytest.mark.usefixtures("mode")
def test_a_library_lends_books(store_url: str) -> None:
    library = loaded("library")
    searches = store_url.startswith("sqlite")
    if not searches:
        # The server of the tests knows no text search.
        entries = library.app._entries
        entries[:] = [entry for entry in entries if getattr(entry, "model", None) is not library.Book]
        library.app.crud(library.Book, client_id=True, ops={"import", "list", "get"})(type("Books", (), {}))
    library.app.use_store(store_url)
    with TestClient(library.app) as client:
        assert (
            client.post("/author/_import", content=lines({"name": "Ada Lovelace"}), headers=LINES).json()["created"]
            == 1
        )
        [ada] = client.get("/author").json()["items"]
        books = lines(
            {"id": 1, "title": "Notes", "text": "On the analytical engine", "author": ada["id"], "copies": 3},
            {"id": 2, "title": "Sketches", "author": ada["id"]},
            {"id": 3, "title": "", "author": "nobody"},
        )
        report = client.post("/book/_import", content=books, headers=LINES).json()
        assert (report["created"], report["errors"][0]["line"]) == (2, 3)
        if searches:
            [found] = client.get("/book?q=analytical+engine&expand=author").json()["items"]
            assert (found["id"], found["author"]["name"]) == (1, "Ada Lovelace")

        member = client.post("/member", json={"email": "eve@example.org"}).json()
        assert client.post("/member", json={"email": "Eve@Example.org"}).status_code == 409
        path = f"/lend/1/{member['id']}"
        with ThreadPoolExecutor(8) as pool:
            lent = sorted(answer.status_code for answer in pool.map(lambda _: client.post(path), range(8)))
        assert lent == [201] * 3 + [409] * 5, "there were three copies"
        assert client.get("/book/1").json()["copies"] == 0
        assert client.post(f"/lend/9/{member['id']}").status_code == 404
        [group] = client.get("/loan/_group?by=book,month(lent_at)&agg=count").json()["items"]
        assert (group["by"]["book"], group["count"]) == (1, 3)
        loans = client.get("/loan?expand=book,member,book.author").json()["items"]
        assert {loan["book"]["author"]["name"] for loan in loans} == {"Ada Lovelace"}
        assert {loan["member"]["email"] for loan in loans} == {"eve@example.org"}
