"""What an index says of a field, on both stores."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest

from ziggurat import CORE, ConfigError, DeletedAt, Indexed, Model, UnsupportedModelError, Ziggurat
from ziggurat._schema import describe
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


def account(email: Any, **fields: Any) -> type[Model]:
    """A model `Account` whose email is annotated so."""
    annotations = {"id": int, "email": email, **{name: kind for name, (kind, _) in fields.items()}}
    defaults = {name: default for name, (_, default) in fields.items() if default is not ...}
    return type("Account", (Model,), {"__annotations__": annotations, "__module__": __name__, **defaults})


FOLDED = Annotated[str | None, Indexed(unique=True, case_insensitive=True)]


def serve(store: str, model: type[Model], **options: Any) -> Ziggurat:
    # An app that was stopped in the same process keeps its file open.
    app = Ziggurat(store=f"{store}?shared=true" if store.startswith("sqlite") else store)
    app.crud(model, client_id=True, **options)(type("Routes", (), {}))
    return app


def test_letters_do_not_tell_values_apart(store_url: str) -> None:
    app = serve(store_url, account(FOLDED), bulk=True, upsert=True, ops=CORE | {"patch_many", "export"})
    with TestClient(app) as client:
        assert client.post("/account", json={"id": 1, "email": "Ada@Example.org"}).json()["email"] == "Ada@Example.org"
        assert client.post("/account", json=[{"id": 2, "email": None}, {"id": 3, "email": None}]).status_code == 201
        assert client.post("/account", json={"id": 4, "email": "STRASSE"}).status_code == 201

        for method, path, body in [
            ("POST", "/account", {"id": 9, "email": "ada@example.ORG"}),
            ("POST", "/account", [{"id": 9, "email": "ADA@EXAMPLE.ORG"}]),
            ("PATCH", "/account/2", {"email": "ADA@example.org"}),
            ("PUT", "/account/2", {"email": "straße"}),
            ("PUT", "/account/9", {"id": 9, "email": "Straße"}),
            ("PATCH", "/account?id=2", {"email": "aDa@example.org"}),
        ]:
            answer = client.request(method, path, json=body)
            assert answer.status_code == 409, (method, body, answer.text)
            assert answer.json()["errors"][0]["pointer"] in ("/email", "/0/email")
        # A row is not in its own way.
        assert client.patch("/account/1", json={"email": "ADA@example.org"}).json()["email"] == "ADA@example.org"
        assert client.post("/account", json={"id": 5, "email": "Ada@Example.org"}).status_code == 409
        client.delete("/account/1")
        assert client.post("/account", json={"id": 5, "email": "Ada@Example.org"}).status_code == 201

        # Comparisons tell letters apart all the same.
        assert [row["id"] for row in client.get("/account?email=ada@example.org").json()["items"]] == []
        assert [row["id"] for row in client.get("/account?email=ilike.ada@example.org").json()["items"]] == [5]
        assert "_k" not in client.get("/account/_export").text


def test_rows_that_are_deleted_do_not_count(store_url: str) -> None:
    app = serve(store_url, account(FOLDED, deleted_at=(DeletedAt, None)), ops=CORE | {"restore"})
    with TestClient(app) as client:
        client.post("/account", json={"id": 1, "email": "ada"})
        client.delete("/account/1")
        assert client.post("/account", json={"id": 2, "email": "ADA"}).status_code == 201
        assert client.post("/account/1/_restore").json()["errors"][0]["pointer"] == "/email"


def test_a_search_by_letters_uses_the_index(store_url: str) -> None:
    app = serve(store_url, account(FOLDED), unindexed="deny")
    with TestClient(app) as client:
        client.post("/account", json={"id": 1, "email": "Ada"})
        assert [row["id"] for row in client.get("/account?email=ilike.aDA").json()["items"]] == [1]
        assert client.get("/account?email=ilike.a*").status_code == 400


def test_rows_that_are_there_learn_a_new_rule(store_url: str) -> None:
    with TestClient(serve(store_url, account(str | None))) as client:
        client.post("/account", json={"id": 1, "email": "Ada"})
        client.post("/account", json={"id": 2, "email": None})
    with TestClient(serve(store_url, account(FOLDED))) as client:
        assert client.post("/account", json={"id": 3, "email": "ADA"}).status_code == 409
    plain = serve(store_url, account(Annotated[str | None, Indexed(unique=True)]))
    if store_url.startswith("mongodb"):
        with pytest.raises(
            ConfigError, match=r"Account\.email is not unique in the way in which its index zg_uc_email is"
        ):
            plain.build()
        return
    with TestClient(plain) as client:
        assert client.post("/account", json={"id": 3, "email": "ADA"}).status_code == 201
    with pytest.raises(ConfigError, match=r"Account\.email cannot be made unique"):
        serve(store_url, account(FOLDED)).build()


def test_an_index_without_nulls(store_url: str) -> None:
    sparse = Annotated[str | None, Indexed(sparse=True)]
    for kind in (Annotated[str | None, Indexed()], sparse):
        with TestClient(serve(store_url, account(kind), unindexed="deny")) as client:
            assert client.get("/account?email=a").status_code == 200
            assert client.get("/account?email=is.null").status_code == (400 if kind is sparse else 200)
            assert client.get("/account?sort=email").status_code == (400 if kind is sparse else 200)


class Session(Model):
    id: UUID
    last: Annotated[datetime | None, Indexed(ttl=timedelta(seconds=2))] = None


def test_rows_expire(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/rows.db?shared=true"

    def start() -> TestClient:
        app = Ziggurat(store=store)
        app.crud(Session, ops=CORE | {"count"})(type("Routes", (), {}))
        return TestClient(app)

    def at(seconds: float) -> str:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()

    with start() as client:
        for last in (None, at(-1), at(3600)):
            assert client.post("/session", json={"last": last}).status_code == 201
        for _ in range(3):
            client.post("/session", json={"last": at(-1)})
        assert client.get("/session/_count").json() == {"count": 6}
    with start() as client:
        for _ in range(200):
            if client.get("/session/_count").json() == {"count": 2}:
                break
            time.sleep(0.05)
        kept = [row["last"] is None for row in client.get("/session").json()["items"]]
        assert sorted(kept) == [False, True]


def test_what_cannot_be_meant_fails_at_start_up() -> None:
    for kind, text in [
        (Annotated[str, Indexed(case_insensitive=True)], "letters are compared where texts are unique"),
        (Annotated[str, Indexed(ttl=5)], "rows expire some time after a datetime"),
    ]:
        with pytest.raises(ConfigError, match=f"Account.email: {text}"):
            serve("sqlite:///:memory:", account(kind)).build()
    for ttl in (0, -1, 1.5, True, timedelta(milliseconds=5)):
        with pytest.raises(UnsupportedModelError, match="rows cannot expire after"):
            serve("sqlite:///:memory:", account(Annotated[datetime, Indexed(ttl=ttl)])).build()  # type: ignore[arg-type]


def test_several_markers_say_together_what_the_index_is(store_url: str) -> None:
    # That of a type which several models have, and that of the field.
    address = Annotated[str, Indexed(unique=True)]
    for email in (Annotated[address, Indexed(case_insensitive=True)], Annotated[address, Indexed(), Indexed()]):
        described = json.loads(describe(account(email)))["fields"][1]["index"]
        assert described["unique"] is True
    app = serve(store_url, account(Annotated[address, Indexed(case_insensitive=True), Indexed()]))
    with TestClient(app) as client:
        assert client.post("/account", json={"id": 1, "email": "Ada@x.org"}).status_code == 201
        assert client.post("/account", json={"id": 2, "email": "ada@X.ORG"}).status_code == 409

    hour = Annotated[datetime, Indexed(ttl=timedelta(hours=1))]
    of_hour = json.loads(describe(account(Annotated[hour, Indexed(ttl=3600), Indexed(sparse=True)])))["fields"][1]
    assert of_hour["index"] == {"unique": False, "sparse": True, "ttl": 3600}
    says = r"Account\.email: is Indexed with a ttl of 3600 and 60 seconds \(keep one Indexed\(ttl=...\), also in its type\)"
    with pytest.raises(UnsupportedModelError, match=says):
        serve(store_url, account(Annotated[hour, Indexed(ttl=60)])).build()
