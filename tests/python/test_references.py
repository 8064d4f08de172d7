"""Rows in the place of their ids, on both stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from tokens import SECRET, bearer

from ziggurat import (
    CORE,
    Claim,
    ConfigError,
    DeletedAt,
    F,
    Hidden,
    Model,
    Policy,
    Ref,
    UnsupportedModelError,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Publisher(Model):
    id: UUID
    name: str


class Author(Model):
    id: int
    name: str
    publisher: Annotated[UUID | None, Ref(Publisher)] = None
    password: Annotated[str, Hidden] = "hidden"
    deleted_at: DeletedAt = None


class Line(BaseModel):
    product: Annotated[str, Ref("Product")]
    count: int = 1


class Product(Model):
    id: str
    owner: str = ""


class Order(Model):
    id: UUID
    author: Ref[Author]  # type: ignore[type-arg, valid-type]
    readers: Annotated[list[int], Ref(Author)] = []  # noqa: RUF012 - pydantic copies it
    lines: list[Line] = []  # noqa: RUF012 - pydantic copies it
    before: Annotated[UUID | None, Ref("Order")] = None


def app(store: str) -> Ziggurat:
    made = Ziggurat(store=store, layers=[layers.Jwt(secret=SECRET, required=False)])

    @made.crud(Publisher)
    class Publishers: ...

    @made.crud(Author, client_id=True)
    class Authors: ...

    @made.crud(Product, client_id=True, policy=Policy(read=F.owner == Claim("sub"), create=True))
    class Products: ...

    @made.crud(Order, ops=CORE | {"query"})
    class Orders: ...

    return made


@pytest.fixture
def rows(store_url: str) -> Any:
    made = app(store_url)
    with TestClient(made) as client:
        before = made.attach_counts()["crud"]
        acme = client.post("/publisher", json={"name": "Acme"}).json()
        ada = client.post("/author", json={"id": 1, "name": "Ada", "publisher": acme["id"]}).json()
        bob = client.post("/author", json={"id": 2, "name": "Bob"}).json()
        client.post("/product", json={"id": "mine", "owner": "ann"})
        client.post("/product", json={"id": "theirs", "owner": "eve"})
        first = client.post("/order", json={"author": 1, "readers": [2, 9, 1, 2]}).json()
        lines = [{"product": "mine"}, {"product": "theirs", "count": 2}]
        second = client.post("/order", json={"author": 7, "lines": lines, "before": first["id"]}).json()
        yield client, acme, ada, bob, first, second
        assert made.attach_counts()["crud"] == before


def test_rows_stand_in_the_place_of_their_ids(rows: Any) -> None:
    client, acme, ada, bob, first, second = rows
    assert "password" not in ada and ada["publisher"] == acme["id"]

    got = client.get(f"/order/{first['id']}?expand=author").json()
    assert got == {**first, "author": ada}
    assert list(got) == list(first), "members keep their order"
    got = client.get(f"/order/{first['id']}?expand=readers,author.publisher").json()
    full = {**ada, "publisher": acme}
    assert got == {**first, "author": full, "readers": [bob, None, ada, bob]}, "none is there for the id 9"

    got = client.get("/order?expand=author,before.author,lines.product&sort=id").json()["items"]
    assert got == [
        {**first, "author": ada},
        {
            **second,
            "author": None,
            "before": {**first, "author": ada},
            "lines": [{"product": None, "count": 1}, {"product": None, "count": 2}],
        },
    ]
    body = {"sort": ["id"], "limit": 1, "expand": ["author"], "fields": ["author"]}
    assert client.request("QUERY", "/order", json=body).json()["items"] == [{"author": ada}]
    assert client.get(f"/order/{first['id']}?expand=author&fields=id").json() == {"id": first["id"]}


def test_the_policy_of_what_is_expanded_is_asked(rows: Any) -> None:
    client, *_, second = rows
    headers = bearer(sub="ann")
    got = client.get(f"/order/{second['id']}?expand=lines.product", headers=headers).json()
    assert got["lines"] == [{"product": {"id": "mine", "owner": "ann"}, "count": 1}, {"product": None, "count": 2}]
    client.delete("/author/1")
    assert client.get(f"/order/{rows[4]['id']}?expand=author").json()["author"] is None, "it was deleted"


def test_tags_follow_what_is_expanded(rows: Any) -> None:
    client, _, _, _, first, _ = rows
    path = f"/order/{first['id']}?expand=author"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    client.patch("/author/1", json={"name": "Ada Lovelace"})
    changed = client.get(path, headers={"if-none-match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag
    assert client.patch(f"/order/{first['id']}", json={"author": 2}, headers={"if-match": tag}).status_code == 200


def test_what_is_no_reference_is_refused(rows: Any) -> None:
    client, *_ = rows
    for expand, code, detail in [
        ("authr", "unknown_parameter", "authr cannot be expanded; choose from author, readers, lines.product, before"),
        ("id", "unknown_parameter", "id cannot be expanded"),
        ("lines", "unknown_parameter", "lines cannot be expanded"),
        ("author.name", "unknown_parameter", "author.name cannot be expanded"),
        ("author.password", "unknown_parameter", "author.password cannot be expanded"),
        ("before.before.before", "too_deep", "may name references behind references 2 deep"),
    ]:
        for path in ("/order", "/order/00000000-0000-0000-0000-000000000000"):
            answer = client.get(f"{path}?expand={expand}")
            assert answer.status_code == 400, answer.text
            [error] = answer.json()["errors"]
            assert (error["parameter"], error["code"]) == ("expand", code)
            assert error["detail"].startswith(detail)
    answer = client.request("QUERY", "/order", json={"expand": ["x"]})
    assert answer.json()["errors"][0]["pointer"] == "/expand"
    assert client.get("/publisher?expand=name").json()["errors"][0]["detail"] == "name cannot be expanded"


def test_too_many_rows_are_refused(rows: Any) -> None:
    client, *_ = rows
    many = client.post("/order", json={"author": 1, "readers": list(range(5001))}).json()
    answer = client.get(f"/order/{many['id']}?expand=readers")
    assert answer.status_code == 400 and "more than 5000 rows" in answer.json()["detail"]
    few = client.post("/order", json={"author": 1, "readers": list(range(1200))}).json()
    got = client.get(f"/order/{few['id']}?expand=readers").json()["readers"]
    assert [row and row["id"] for row in got[:4]] == [None, 1, 2, None] and len(got) == 1200


def test_who_may_not_read_rows_does_not_see_them_elsewhere(store_url: str) -> None:
    made = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])

    @made.crud(Publisher, auth={"get": "publisher:read", "list": "publisher:read"})
    class Publishers: ...

    @made.crud(Author, client_id=True)
    class Authors: ...

    with TestClient(made) as client:
        publisher = client.post("/publisher", json={"name": "Acme"}).json()
        client.post("/author", json={"id": 1, "name": "Ada", "publisher": publisher["id"]})
        refused = client.get("/author/1?expand=publisher")
        assert refused.status_code == 403 and "rows of Publisher" in refused.json()["detail"]
        headers = bearer(sub="ann", scope="publisher:read")
        assert client.get("/author/1?expand=publisher", headers=headers).json()["publisher"] == publisher


def test_the_document_names_references(store_url: str) -> None:
    paths = app(store_url).openapi()["paths"]

    def described(path: str) -> str | None:
        found = [each for each in paths[path]["get"]["parameters"] if each["name"] == "expand"]
        return found[0]["description"] if found else None

    for path in ("/order", "/order/{id}"):
        text = described(path)
        assert text is not None and "author, readers, lines.product, before" in text
    assert described("/publisher") is None


def test_wrong_references_fail_at_start_up(tmp_path: Path) -> None:
    class Lost(Model):
        id: UUID
        owner: Annotated[UUID, Ref("Nobody")]

    class Odd(Model):
        id: UUID
        owner: Annotated[UUID, Ref(Author)]

    class Wrong(Model):
        id: UUID
        owner: Annotated[float, Ref(Author)]

    for model, error, text in [
        (Lost, ConfigError, "Lost.owner refers to Nobody, of which no rows are served or kept"),
        (Odd, ConfigError, "Odd.owner is not of the type of the ids of Author"),
        (Wrong, UnsupportedModelError, "holds no ids of Author"),
    ]:
        made = Ziggurat(store=f"sqlite:///{tmp_path}/rows.db")
        made.keep(Author, Publisher)
        made.crud(model)(type("Routes", (), {}))
        with pytest.raises(error, match=text) as raised:
            made.build()
        assert "test_references.py" in str(raised.value)
    assert not list(tmp_path.iterdir()), "it was found before a store was made"


def test_rows_that_are_only_kept_are_shown_to_nobody(store_url: str) -> None:
    made = Ziggurat(store=store_url)
    made.keep(Publisher)

    @made.crud(Author, client_id=True)
    class Authors: ...

    with TestClient(made) as client:
        client.post("/author", json={"id": 1, "name": "Ada"})
        assert client.get("/author/1?expand=publisher").status_code == 400


class Shown(Model):
    id: int
    owner: str


class Mention(Model):
    id: int
    shown: Annotated[int, Ref(Shown)]


OWN = Policy(read=F.owner == Claim("sub"), create=True)


def places(store: str, first: dict[str, Any], second: dict[str, Any]) -> Ziggurat:
    """An app that serves `Shown` twice, and `Mention` beside each."""
    made = Ziggurat(store=store, layers=[layers.Jwt(secret=SECRET, required=False)])
    for path, options in (("/", first), ("/admin/", second)):
        made.crud(Shown, f"{path}shown", client_id=True, **options)(type("Routes", (), {}))
        made.crud(Mention, f"{path}mention", client_id=True)(type("Routes", (), {}))
    return made


@pytest.mark.parametrize("chosen", [0, 1])
def test_a_model_that_is_served_twice_is_shown_as_one_place_says(store_url: str, chosen: int) -> None:
    options: list[dict[str, Any]] = [{"policy": OWN}, {"auth": {"list": "admin", "get": "admin"}}]
    options[1 - chosen]["expandable"] = False
    admin = bearer(sub="eve", scope="admin")
    with TestClient(places(store_url, *options)) as client:
        for number, owner in ((1, "ann"), (2, "bob")):
            client.post("/shown", json={"id": number, "owner": owner})
            client.post("/mention", json={"id": number, "shown": number})

        def seen(path: str, **caller: Any) -> Any:
            answer = client.get(f"{path}?expand=shown&sort=id", **caller)
            if answer.status_code != 200:
                return answer.status_code
            return [row["shown"] and row["shown"]["owner"] for row in answer.json()["items"]]

        for path in ("/mention", "/admin/mention"):
            # By the one place everybody sees what is their own, by the other only those with a scope see rows at all.
            assert seen(path, headers=bearer(sub="ann")) == (["ann", None] if chosen == 0 else 403)
            assert seen(path, headers=admin) == ([None, None] if chosen == 0 else ["ann", "bob"])


def test_places_that_differ_are_refused_unless_one_is_chosen(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/rows.db"
    told = "Mention.shown refers to Shown, which is served at /shown and at /admin/shown"
    for first, second in [
        ({}, {"policy": OWN}),
        ({"policy": OWN}, {}),
        ({"auth": True}, {"auth": "admin"}),
        ({"policy": OWN}, {"policy": Policy(read=F.owner == Claim("name"), create=True)}),
    ]:
        with pytest.raises(ConfigError, match=told) as raised:
            places(store, first, second).build()
        assert "give expandable=False to all but the one" in str(raised.value)
        assert "test_references.py" in str(raised.value)
    assert not list(tmp_path.iterdir()), "it was found before a store was made"
    for first, second in [
        ({}, {}),
        ({"policy": OWN}, {"policy": OWN, "ops": {"list"}}),
        # Who writes is of no concern, nor is one who shows no rows.
        ({"policy": OWN}, {"policy": Policy(read=F.owner == Claim("sub"), write=F.owner == "x", create=True)}),
        ({"policy": OWN}, {"ops": {"create"}}),
        ({"expandable": False}, {"policy": OWN, "expandable": False}),
    ]:
        places("sqlite:///:memory:", first, second).build()


def test_rows_that_no_place_shows_cannot_be_expanded() -> None:
    with TestClient(places("sqlite:///:memory:", {"expandable": False}, {"expandable": False})) as client:
        client.post("/shown", json={"id": 1, "owner": "ann"})
        client.post("/mention", json={"id": 1, "shown": 1})
        assert client.get("/mention/1?expand=shown").status_code == 400
        assert client.get("/mention/1").json() == {"id": 1, "shown": 1}
