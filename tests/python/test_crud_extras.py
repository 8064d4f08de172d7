"""Members that a model does not have, kept where it says `extra="allow"`, on both stores."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from ziggurat import CORE, Hidden, Indexed, Model, UnsupportedModelError, Ziggurat, new_event_loop
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Home(BaseModel):
    model_config = ConfigDict(extra="allow")
    city: str


class Person(Model):
    model_config = ConfigDict(extra="allow")
    id: int
    name: Annotated[str, Indexed(unique=True, case_insensitive=True)]
    home: Home | None = None


class Account(Model):
    model_config = ConfigDict(extra="allow")
    id: int
    name: str
    hash: Annotated[str, Hidden] = "secret"


@pytest.fixture
def client(store_url: str) -> Iterator[TestClient]:
    app = Ziggurat(store=store_url)
    options: dict[str, Any] = {"client_id": True, "bulk": True, "upsert": True, "idempotency": True}
    ops = CORE | {"export", "import", "patch_many"}
    app.crud(Person, ops=ops, **options)(type("People", (), {}))
    app.crud(Account, **options)(type("Accounts", (), {}))
    with TestClient(app) as client:
        yield client


ANY = {"b": [1, 2.5, {"deep": None}], "a": "$_v", "id_": True, "é": {}, "_class": "Person", "$": None}


def test_what_is_no_field_is_kept_as_it_is(client: TestClient) -> None:
    extras = {name: value for name, value in ANY.items() if name != "$"}
    sent = {**extras, "id": 1, "name": "Ada", "home": {"zip": 7, "city": "Ur"}}
    made = client.post("/person", json=sent)
    assert made.status_code == 201, made.text
    stored = {"id": 1, "name": "Ada", "home": {"city": "Ur", "zip": 7}, **extras}
    # The fields first, then the others as they came.
    assert made.text == client.get("/person/1").text == json.dumps(stored, separators=(",", ":"), ensure_ascii=False)
    assert client.get("/person").json()["items"] == [stored]
    assert client.get("/person?fields=name,home.city").json()["items"] == [{"name": "Ada", "home": {"city": "Ur"}}]
    assert json.loads(client.get("/person/_export").text) == stored
    assert client.get("/person?a=x").json()["errors"][0]["code"] == "unknown_parameter"


def test_a_put_replaces_them_and_a_patch_merges_into_them(client: TestClient) -> None:
    client.post("/person", json={"id": 1, "name": "Ada", "a": 1, "b": {"x": 1, "y": 2}, "c": "$name"})
    first = client.get("/person/1")
    changed = client.patch("/person/1", json={"a": None, "b": {"x": None, "z": "$$ROOT"}, "d": [{"$gt": 1}] and [1]})
    wanted = {"id": 1, "name": "Ada", "home": None, "b": {"y": 2, "z": "$$ROOT"}, "c": "$name", "d": [1]}
    assert changed.json() == client.get("/person/1").json() == wanted
    assert changed.headers["etag"] != first.headers["etag"]
    # A change of fields alone leaves the others.
    assert client.patch("/person/1", json={"name": "Bea"}).json() == {**wanted, "name": "Bea"}
    assert client.patch("/person/1", json={"home": {"city": "Ur", "zip": 1}}).json()["home"] == {"city": "Ur", "zip": 1}
    assert client.patch("/person/1", json={"home": {"zip": None, "flat": 2}}).json()["home"] == {
        "city": "Ur",
        "flat": 2,
    }
    replaced = client.put("/person/1", json={"name": "Cid", "new": {"é": 1}})
    assert replaced.json() == client.get("/person/1").json() == {"id": 1, "name": "Cid", "home": None, "new": {"é": 1}}
    stale = client.put("/person/1", json={"name": "Dan"}, headers={"if-match": first.headers["etag"]})
    assert stale.status_code == 412
    assert client.put("/person/2", json={"name": "cid", "x": 1}).json()["errors"][0]["pointer"] == "/name"
    assert client.put("/person/2", json={"name": "Eve", "x": 1}).json() == {
        "id": 2,
        "name": "Eve",
        "home": None,
        "x": 1,
    }


def test_a_patch_with_a_key_is_done_once(client: TestClient) -> None:
    client.post("/person", json={"id": 1, "name": "Ada", "n": [1]})
    for _ in range(2):
        answer = client.patch("/person/1", json={"m": "$n"}, headers={"idempotency-key": "k"})
        assert answer.json() == {"id": 1, "name": "Ada", "home": None, "n": [1], "m": "$n"}, answer.text


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ('{"_id": 1}', "/_id", "invalid_key"),
        ('{"_v": 1}', "/_v", "invalid_key"),
        ('{"_k": {}}', "/_k", "invalid_key"),
        ('{"$set": 1}', "/$set", "invalid_key"),
        ('{"a.b": 1}', "/a.b", "invalid_key"),
        ('{"": 1}', "/", "invalid_key"),
        ('{"a\\u0000": 1}', "/a\x00", "invalid_key"),
        ('{"x": 1, "x": 1}', "/x", "duplicate_key"),
        ('{"x": {"y": 1, "y": 1}}', "/x/y", "duplicate_key"),
        ('{"x": {"$y": 1}}', "/x/$y", "invalid_key"),
        ('{"hash": "mine"}', "/hash", "extra_forbidden"),
    ],
)
def test_names_that_cannot_be_kept_are_refused(client: TestClient, body: str, pointer: str, code: str) -> None:
    sent = {"content-type": "application/json"}
    whole = '{"id": 1, "name": "Ada", ' + body[1:]
    answers = [client.post("/account", content=whole, headers=sent)]
    assert client.post("/account", json={"id": 1, "name": "Ada"}).status_code == 201
    answers.append(client.patch("/account/1", content=body, headers={"content-type": "application/merge-patch+json"}))
    answers.append(client.put("/account/1", content=whole, headers=sent))
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert client.get("/account/1").json() == {"id": 1, "name": "Ada"}


def test_hidden_fields_stay_hidden_beside_them(client: TestClient) -> None:
    made = client.post("/account", json={"id": 1, "name": "Ada", "more": {"hash": 1}})
    shown = {"id": 1, "name": "Ada", "more": {"hash": 1}}
    assert made.json() == client.get("/account/1").json() == client.get("/account").json()["items"][0] == shown
    assert client.get("/account?fields=name").json()["items"] == [{"name": "Ada"}]


def test_many_rows_are_changed_in_their_fields_alone(client: TestClient) -> None:
    client.post("/person", json=[{"id": 1, "name": "Ada", "x": 1}, {"id": 2, "name": "Bea", "y": 2}])
    refused = client.patch("/person?id=gt.0", json={"x": 5})
    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [("/x", "nested_change")]
    assert client.patch("/person?id=gt.0", json={"home": None}).status_code == 200
    assert [row.get("x") for row in client.get("/person?sort=id").json()["items"]] == [1, None]


def test_what_was_exported_is_imported(client: TestClient) -> None:
    client.post("/person", json=[{"id": 1, "name": "Ada", "x": {"y": [1]}}, {"id": 2, "name": "Bea"}])
    lines = client.get("/person/_export").text
    for row in (1, 2):
        client.delete(f"/person/{row}")
    done = client.post("/person/_import", content=lines, headers={"content-type": "application/x-ndjson"})
    assert done.status_code == 200, done.text
    assert client.get("/person/_export").text == lines


def test_code_sees_them_as_pydantic_has_them(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Person)

    async def story() -> None:
        made = await Person.model_validate({"id": 1, "name": "Ada", "x": {"y": 1}}).insert()
        assert made.model_extra == {"x": {"y": 1}}
        found = await Person.get(1)
        assert found.model_extra == {"x": {"y": 1}}
        found.z = 5
        assert found.model_extra is not None
        del found.model_extra["x"]
        await found.save()
        assert (await Person.get(1)).model_extra == {"z": 5}

    with TestClient(app), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())


def test_the_description_says_that_there_may_be_more(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    people = {name: schema for name, schema in schemas.items() if schema.get("title") == "Person"}
    assert people
    assert all(schema["additionalProperties"] is True for schema in people.values()), people


class Loose(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    id: int


def test_typed_dicts_have_them_too(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Loose, client_id=True)(type("Routes", (), {}))
    with TestClient(app) as client:
        assert client.post("/loose", json={"id": 1, "x": [1]}).json() == {"id": 1, "x": [1]}


def test_typed_extras_are_refused(tmp_path: Path) -> None:
    class Counts(Model):
        model_config = ConfigDict(extra="allow")
        __pydantic_extra__: dict[str, int]
        id: int

    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
    app.crud(Counts)(type("Routes", (), {}))
    with pytest.raises(UnsupportedModelError, match="Counts: typed extra members are not supported natively"):
        app.build()


def test_a_model_may_be_opened_and_closed_over_its_rows(store_url: str) -> None:
    @contextlib.contextmanager
    def served(extra: Any, **fields: Any) -> Iterator[TestClient]:
        namespace = {
            "__module__": __name__,
            "__qualname__": "Note",
            "__annotations__": {"id": int, "text": str, **fields},
            "model_config": ConfigDict(extra=extra),
            **dict.fromkeys(fields),
        }
        app = Ziggurat(store=store_url)
        app.crud(type("Note", (Model,), namespace), client_id=True)(type("Notes", (), {}))
        with TestClient(app) as client:
            yield client
        app.build().close()

    with served("allow") as client:
        client.post("/note", json={"id": 1, "text": "a", "y": 2, "x": 1})
    with served("forbid") as client:
        assert client.get("/note/1").json() == {"id": 1, "text": "a"}
        assert client.patch("/note/1", json={"text": "b"}).json() == {"id": 1, "text": "b"}
    with served("allow") as client:
        assert client.get("/note/1").json() == {"id": 1, "text": "b", "x": 1, "y": 2}
    with served("allow", x=int | None) as client:
        assert client.get("/note/1").json() == {"id": 1, "text": "b", "x": 1, "y": 2}
        assert client.get("/note?x=1").json()["items"][0]["y"] == 2
        assert client.patch("/note/1", json={"x": 7, "y": None}).json() == {"id": 1, "text": "b", "x": 7}
