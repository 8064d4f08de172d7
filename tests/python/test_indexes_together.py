"""Fields that are unique together, on both stores."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from typing_extensions import TypedDict

from ziggurat import (
    CORE,
    ConfigError,
    DeletedAt,
    DuplicateValue,
    Hidden,
    Indexed,
    Model,
    UnsupportedModelError,
    Ziggurat,
    transaction,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Book(Model):
    id: int
    shelf: str
    place: Annotated[int | None, Indexed(unique_with="shelf")] = None
    title: str = ""


def serve(store: str, model: type[Any] = Book, **options: Any) -> Ziggurat:
    app = Ziggurat(store=f"{store}?shared=true" if store.startswith("sqlite") else store)
    app.crud(model, client_id=True, **options)(type("Routes", (), {}))
    return app


def test_every_write_is_told_which_fields_are_taken(store_url: str) -> None:
    ops = CORE | {"patch_many", "import"}
    with TestClient(serve(store_url, bulk=True, upsert=True, ops=ops)) as client:
        rows = [
            {"id": 1, "shelf": "a", "place": 1},
            {"id": 2, "shelf": "a", "place": 2},
            {"id": 3, "shelf": "b", "place": 1},
        ]
        assert client.post("/book", json=rows).status_code == 201
        taken = {"id": 9, "shelf": "a", "place": 1}
        for method, path, body, at in [
            ("POST", "/book", taken, ""),
            ("POST", "/book", [{"id": 8, "shelf": "c", "place": 1}, taken], "/1"),
            ("POST", "/book", [{"id": 8, "shelf": "c", "place": 1}, {"id": 9, "shelf": "c", "place": 1}], "/1"),
            ("PATCH", "/book/2", {"place": 1}, ""),
            ("PATCH", "/book/3", {"shelf": "a"}, ""),
            ("PATCH", "/book?id=2", {"place": 1}, ""),
            ("PUT", "/book/2", {"shelf": "a", "place": 1}, ""),
            ("PUT", "/book/9", taken, ""),
        ]:
            answer = client.request(method, path, json=body)
            assert answer.status_code == 409, (method, path, body, answer.text)
            problem = answer.json()
            assert problem["detail"] == "another Book has the same shelf and place"
            assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
                (f"{at}/shelf", "unique"),
                (f"{at}/place", "unique"),
            ]
        many = client.post(
            "/book", json=[taken, {"id": 8, "shelf": "c", "place": 1}], headers={"Prefer": "handling=lenient"}
        )
        assert [item["status"] for item in many.json()["items"]] == [409, 201]
        assert many.json()["items"][0]["problem"]["errors"][1]["pointer"] == "/place"
        lines = client.post(
            "/book/_import", content=json.dumps(taken), headers={"Content-Type": "application/x-ndjson"}
        )
        assert '"status":409' in lines.text, lines.text
        assert [row["id"] for row in client.get("/book").json()["items"]] == [1, 2, 3, 8]
        # A row is not in its own way, and what it held is free once it has gone.
        assert client.patch("/book/1", json={"title": "Ur", "place": 1}).status_code == 200
        assert client.delete("/book/1").status_code == 204
        assert client.post("/book", json=taken).status_code == 201


def test_rows_that_hold_null_do_not_count(store_url: str) -> None:
    with TestClient(serve(store_url)) as client:
        for number in (1, 2):
            assert client.post("/book", json={"id": number, "shelf": "a"}).status_code == 201
        assert client.patch("/book/1", json={"place": 1}).status_code == 200
        assert client.patch("/book/2", json={"place": 1}).status_code == 409
        assert client.patch("/book/1", json={"place": None}).status_code == 200
        assert client.patch("/book/2", json={"place": 1}).status_code == 200


class Kept(Model):
    id: int
    shelf: str
    place: Annotated[int, Indexed(unique_with="shelf")]
    deleted_at: DeletedAt


def test_rows_that_are_deleted_do_not_count(store_url: str) -> None:
    with TestClient(serve(store_url, Kept, ops=CORE | {"restore"})) as client:
        client.post("/kept", json={"id": 1, "shelf": "a", "place": 1})
        client.delete("/kept/1")
        assert client.post("/kept", json={"id": 2, "shelf": "a", "place": 1}).status_code == 201
        answer = client.post("/kept/1/_restore")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/shelf")


class Member(Model):
    id: UUID
    tenant: Annotated[str | None, Hidden] = "a"
    team: str
    email: Annotated[str, Indexed(unique_with=("tenant", "team"))]


def test_clients_are_not_told_of_fields_that_they_do_not_know(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Member)(type("Routes", (), {}))
    with TestClient(app) as client:
        made = client.post("/member", json={"team": "x", "email": "ada"})
        assert made.status_code == 201
        answer = client.post("/member", json={"team": "x", "email": "ada"})
        assert answer.status_code == 409 and "tenant" not in answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/team", "/email"]
    told = app.openapi()["paths"]["/member"]["post"]["responses"]["409"]["description"]
    assert told == "Another row has the same value in a unique field, or other writers came between"
    told = serve("sqlite:///:memory:").openapi()["paths"]["/book"]["post"]["responses"]["409"]["description"]
    assert told.startswith("Another row has the same shelf and place, or the same value in a unique field")


def test_code_is_told_as_well(store_url: str) -> None:
    app = serve(store_url)

    @app.get("/story")
    async def story() -> list[str]:
        await Book(id=1, shelf="a", place=1).insert()
        row = await Book(id=2, shelf="a", place=2).insert()
        told = []
        for write in (
            lambda: Book(id=3, shelf="a", place=1).insert(),
            lambda: Book.insert_many([Book(id=3, shelf="a", place=2)]),
            lambda: row.model_copy(update={"place": 1}).save(),
        ):
            with pytest.raises(DuplicateValue, match="another row has the same shelf and place") as caught:
                await write()
            told.extend(caught.value.fields)
        with pytest.raises(DuplicateValue) as caught:
            async with transaction() as tx:
                tx.insert(Book(id=4, shelf="c", place=1))
                tx.insert(Book(id=5, shelf="c", place=1))
        return [*told, *caught.value.fields]

    with TestClient(app) as client:
        assert client.get("/story").json() == ["shelf", "place"] * 4


@dataclasses.dataclass
class Dated:
    id: int
    shelf: str
    place: Annotated[int, Indexed(unique_with="shelf")]


class Typed(TypedDict):
    id: int
    shelf: str
    place: Annotated[int, Indexed(unique_with="shelf")]


class Packed(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    shelf: str
    place: Annotated[int, Indexed(unique_with="shelf")]


@pytest.mark.parametrize("model", [Dated, Typed, Packed])
def test_models_of_every_kind_have_such_rules(model: type[Any]) -> None:
    with TestClient(serve("sqlite:///:memory:", model, unindexed="deny")) as client:
        path = f"/{model.__name__.lower()}"
        assert client.post(path, json={"id": 1, "shelf": "a", "place": 1}).status_code == 201
        assert client.post(path, json={"id": 2, "shelf": "a", "place": 1}).status_code == 409
        # The index begins with the shelf.
        assert client.get(f"{path}?shelf=a").status_code == 200
        assert client.get(f"{path}?place=1").status_code == 400


def test_a_field_has_as_many_rules_as_it_likes(store_url: str) -> None:
    class Seat(Model):
        id: int
        hall: str
        row: int
        number: Annotated[int, Indexed(), Indexed(unique_with=("hall", "row")), Indexed(unique_with="guest")]
        guest: str | None = None

    with TestClient(serve(store_url, Seat, unindexed="deny")) as client:
        for number, (hall, guest, pointers) in enumerate(
            [
                ("a", "Ada", []),
                ("a", "Bob", ["/hall", "/row", "/number"]),
                ("b", "Ada", ["/guest", "/number"]),
                ("b", None, []),
            ]
        ):
            answer = client.post("/seat", json={"id": number, "hall": hall, "row": 1, "number": 1, "guest": guest})
            assert answer.status_code == (409 if pointers else 201), answer.text
            assert [error["pointer"] for error in answer.json().get("errors", [])] == pointers
        assert client.get("/seat?number=1").status_code == 200


def refused(annotation: Any, place: str, **options: Any) -> str:
    fields = {"id": int, "shelf": str, "tags": list[str], "place": annotation}
    model = type("Book", (Model,), {"__annotations__": fields, "__module__": __name__})
    with pytest.raises(ConfigError) as caught:
        serve("sqlite:///:memory:", model, **options).build()
    assert place in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_meant_fails_at_start_up() -> None:
    for rule, told, cure in [
        (Indexed(unique_with="shelv"), 'Book has no field "shelv"', "did you mean shelf?"),
        (Indexed(unique_with=("shelf", "shelf")), "Book.shelf is named twice", "name it once"),
        (Indexed(unique_with="place"), "Book.place is named twice", "name it once"),
        (Indexed(unique_with="tags"), "Book.tags holds no single value", "name fields that hold one value"),
        (Indexed(unique_with="id"), "Book.id is unique by itself", "leave out one of the two rules"),
    ]:
        assert cure in refused(Annotated[int, rule], told)
    twice = Annotated[int, Indexed(unique_with="shelf"), Indexed(unique_with="shelf")]
    refused(twice, "shelf and place are told twice to be unique together")
    refused(Annotated[int, Indexed(unique=True), Indexed(unique_with="shelf")], "Book.place is unique by itself")
    refused(
        Annotated[list[int], Indexed(unique_with="shelf")], "Book.place: what holds no single value cannot be indexed"
    )
    for settings in ({"unique": True}, {"case_insensitive": True}, {"sparse": True}, {"ttl": 5}):
        told = refused(
            Annotated[str, Indexed(unique_with="shelf", **settings)], "Book.place: unique_with stands beside"
        )
        assert "in a second Indexed()" in told
    for names in (["shelf"], 5, (5,), None):
        refused(Annotated[str, Indexed(unique_with=names)], "names no fields")  # type: ignore[arg-type]


def test_models_in_others_and_sharded_ones_have_no_such_rules() -> None:
    class Inner(Model):
        a: int
        b: Annotated[int, Indexed(unique_with="a")]

    class Outer(Model):
        id: int
        inner: Inner

    with pytest.raises(UnsupportedModelError, match=r"Outer\.inner\.b: a field of a nested model cannot be indexed"):
        serve("sqlite:///:memory:", Outer).build()

    class Note(Model):
        id: UUID
        tenant: Annotated[str, Hidden] = "a"
        name: Annotated[str, Indexed(unique_with="tenant")]

    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Note, shard_key="tenant")(type("Routes", (), {}))
    with pytest.raises(
        ConfigError, match="Note: tenant and name are to be unique together and Note is sharded by tenant"
    ):
        app.build()


def test_rows_are_found_by_the_index(tmp_path: Path) -> None:
    file = tmp_path / "rows.db"
    app = serve(f"sqlite:///{file}")
    with TestClient(app) as client:
        client.post("/book", json={"id": 1, "shelf": "a", "place": 1})
    with sqlite3.connect(file) as db:
        plan = db.execute("EXPLAIN QUERY PLAN SELECT id FROM c_book WHERE f_shelf = 'a'").fetchall()
    assert "zg_w_book_f_shelf.f_place" in str(plan), plan
