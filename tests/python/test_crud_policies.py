"""Rows that belong to callers, declared in Python, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from tokens import SECRET, bearer

from ziggurat import CORE, PUBLIC, Claim, ConfigError, F, Indexed, Model, Policy, Ziggurat, layers
from ziggurat.testing import TestClient, TestResponse

WRITES = ["create", "replace", "patch", "delete"]


class Kind(Enum):
    PLAIN = "plain"
    SECRET = "secret"


class Home(BaseModel):
    city: str


class Note(Model):
    id: UUID
    owner: str
    text: str = ""
    public: bool = False
    team: int | None = None
    readers: list[str] = []  # noqa: RUF012 - pydantic copies it
    kind: Kind = Kind.PLAIN
    due: datetime | None = None
    home: Home | None = None
    key: Annotated[str, Indexed(unique=True)] | None = None


ANN = bearer(sub="ann", teams=[1, 2])
BOB = bearer(sub="bob")
NOBODY: dict[str, str] = {}


def app_with(policy: Policy | None, store: str = "sqlite:///:memory:", **options: Any) -> Ziggurat:
    app = Ziggurat(store=store, layers=[layers.Jwt(secret=SECRET, required=False)])

    @app.crud(Note, policy=policy, **options)
    class NoteRoutes: ...

    return app


@pytest.fixture
def client(store_url: str) -> Iterator[TestClient]:
    own = F.owner == Claim("sub")
    app = app_with(Policy(read=own | F.public, write=own), store_url, ops=CORE | {"count", "export"})
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        yield client
        assert app.attach_counts()["crud"] == before, "it was decided without Python"


def pointers(answer: TestResponse) -> tuple[int, list[str]]:
    return answer.status_code, [violation["pointer"] for violation in answer.json().get("errors", [])]


def test_rows_belong_to_who_makes_them(client: TestClient) -> None:
    hidden = client.post("/note", json={"text": "a"}, headers=ANN)
    assert hidden.json()["owner"] == "ann", "set from the token"
    shown = client.post("/note", json={"text": "b", "public": True}, headers=ANN).headers["location"]
    assert client.post("/note", json={"text": "c"}, headers=NOBODY).status_code == 403
    assert pointers(client.post("/note", json={"owner": "ann"}, headers=BOB)) == (422, ["/owner"])
    hidden_at = hidden.headers["location"]

    for who, texts in ((ANN, ["a", "b"]), (BOB, ["b"]), (NOBODY, ["b"])):
        rows = client.get("/note?sort=text", headers=who).json()["items"]
        assert [row["text"] for row in rows] == texts
        assert client.get("/note/_count", headers=who).json() == {"count": len(texts)}
        assert len(client.get("/note/_export", headers=who).text.splitlines()) == len(texts)
        assert client.get(shown, headers=who).status_code == 200
        assert client.get(hidden_at, headers=who).status_code == (200 if who is ANN else 404)
    assert client.get("/note?public=false&or=(public.eq.false,text.eq.a)", headers=BOB).json()["items"] == []
    assert client.get("/note", headers={"authorization": "Bearer x"}).status_code == 401

    for at, status in ((hidden_at, 404), (shown, 403)):
        assert client.patch(at, json={"text": "x"}, headers=BOB).status_code == status
        assert client.put(at, json={"text": "x"}, headers=BOB).status_code == status
        assert client.delete(at, headers=BOB).status_code == status
    assert pointers(client.patch(shown, json={"owner": "bob"}, headers=ANN)) == (422, ["/owner"])
    assert client.patch(shown, json={"text": "B"}, headers=ANN).json()["text"] == "B"
    assert client.delete(hidden_at, headers=ANN).status_code == 204


@pytest.mark.parametrize(
    ("rule", "ann", "nobody"),
    [
        (F.public, "b", "b"),
        (~F.public, "acd", "acd"),
        (F.team.in_(Claim("teams")), "b", ""),
        (~F.team.in_(Claim("teams")), "acd", ""),
        (F.team.in_([3, Claim("teams")]), "bc", "c"),
        (F.readers.has(Claim("sub")), "a", ""),
        (F.readers.has("ann", "eve"), "ad", "ad"),
        (F.readers.length >= 2, "d", "d"),
        ((F.team >= 2) & (F.team < 3), "b", "b"),
        (F.team == None, "ad", "ad"),  # noqa: E711
        (F.team != None, "bc", "bc"),  # noqa: E711
        ("ann" == F.owner, "abcd", "abcd"),  # noqa: SIM300
        (Claim("sub") != F.text, "abcd", ""),
        (F.kind == Kind.SECRET, "c", "c"),
        (F.due < datetime(2027, 1, 1, tzinfo=UTC), "d", "d"),
        (F.home.city == "Paris", "a", "a"),
        (F["home"]["city"].like("P*s"), "a", "a"),
        (F.home.city.ilike("par*"), "a", "a"),
        (F.home.city.iequals("pARIS"), "a", "a"),
        (F.home.city.iequals("par*"), "", ""),
        (F.text.startswith("a") | F.text.endswith("b") | F.text.contains("c"), "abc", "abc"),
        (F.text.contains("*"), "", ""),
        (True, "abcd", "abcd"),
        (False, "", ""),
    ],
    ids=str,
)
def test_every_predicate_can_be_written(rule: Any, ann: str, nobody: str, store_url: str) -> None:
    with TestClient(app_with(Policy(read=rule, create=True), store_url)) as client:
        for row in (
            {"text": "a", "readers": ["ann"], "home": {"city": "Paris"}},
            {"text": "b", "public": True, "team": 2},
            {"text": "c", "team": 3, "kind": "secret"},
            {"text": "d", "readers": ["x", "eve"], "due": "2026-12-31T23:00:00Z"},
        ):
            assert client.post("/note", json={"owner": "ann", **row}, headers=NOBODY).status_code == 201
        for who, texts in ((ANN, ann), (NOBODY, nobody)):
            rows = client.get("/note?sort=text", headers=who).json()["items"]
            assert "".join(row["text"] for row in rows) == texts


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (F.ownr == "x", "did you mean owner?"),
        (F.home.town == "x", "no field home.town"),
        (F.team == "x", 'compares team with "x"'),
        (F.public == 1, "compares public with 1"),
        (F.kind == "open", 'compares kind with "open"'),
        (F.due > datetime(2027, 1, 1), "compares due with"),
        (F.readers == "x", "readers"),
        (F.owner.has("x"), "owner"),
        (F.team.like("x*"), "no text"),
        (F.text, "compares text with true"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_of_the_model_is_found_at_start_up(rule: Any, says: str) -> None:
    with pytest.raises(ConfigError, match="Note") as caught:
        app_with(Policy(read=rule)).build()
    assert says in str(caught.value)
    assert __file__ in str(caught.value)


def test_a_policy_that_asks_for_claims_needs_tokens() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Note, policy=Policy(read=F.owner == Claim("sub")))
    class NoteRoutes: ...

    with pytest.raises(ConfigError, match="the policy of Note asks who the caller is, but no layer finds that out"):
        app.build()


def test_what_is_no_predicate_is_refused_where_it_is_written() -> None:
    for wrong, says in (
        (lambda: F.a == 1 and F.b == 2, "join two with & or |"),
        (lambda: 1 < F.a < 9, "a chain as 1 < F.age < 9"),
        (lambda: not F.a, "negate with ~"),
        (lambda: F.a == F.b, "another field"),
        (lambda: F.a == [1], "no single value"),
        (lambda: F.a.in_("abc"), "among several values"),
        (lambda: F.a.length == 1.5, "a number of items"),
        (lambda: F[1], "named by text"),
        (lambda: Claim(""), "called by its name"),
        (lambda: Policy(read="owner"), "read is 'owner'"),  # type: ignore[arg-type]
        (lambda: (F.a == 1) & True, "unsupported operand"),
    ):
        with pytest.raises(TypeError) as caught:
            wrong()  # type: ignore[no-untyped-call]
        assert says in str(caught.value)
    with pytest.raises(ConfigError, match="is not a policy"):
        app_with(F.public)  # type: ignore[arg-type]


def test_many_predicates_in_a_row_stay_flat() -> None:
    rule: Any = F.team == 0
    for team in range(1, 100):
        rule = rule | (F.team == team)
    app_with(Policy(read=rule)).build()


def test_the_document_tells_what_a_policy_does() -> None:
    document = app_with(Policy(read=F.owner == Claim("sub"))).openapi()
    created = document["components"]["schemas"]["NoteCreate"]
    assert "owner" not in created.get("required", [])
    assert created["properties"]["owner"]["description"] == "Set from the caller's token"
    assert "403" in document["paths"]["/note"]["post"]["responses"]
    assert "403" not in document["paths"]["/note"]["get"]["responses"]
    plain = app_with(None).openapi()
    assert plain["components"]["schemas"]["NoteCreate"]["required"] == ["owner"]
    assert "403" not in plain["paths"]["/note"]["post"]["responses"]


def strict(**crud: Any) -> Ziggurat:
    app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)], strict=True)

    @app.crud(Note, **crud)
    class NoteRoutes: ...

    return app


def test_a_strict_app_has_no_writes_that_are_open_by_accident() -> None:
    with pytest.raises(ConfigError) as caught:
        strict().build()
    assert "everybody may write through POST /note, PUT /note/{id}, PATCH /note/{id}, DELETE /note/{id}" in str(
        caught.value
    )
    assert "auth=PUBLIC" in (caught.value.cure or "")
    with pytest.raises(ConfigError, match=r"through DELETE /note/\{id\}"):
        strict(auth={"create": True, "replace": "note:write", "patch": PUBLIC}).build()
    for fine in (
        {"auth": True},
        {"auth": PUBLIC},
        {"auth": dict.fromkeys(WRITES, PUBLIC)},
        {"ops": ["list", "get"]},
        {"policy": Policy(write=F.owner == Claim("sub"))},
    ):
        strict(**fine).build()
    with pytest.raises(ConfigError, match="through POST /note,"):
        strict(policy=Policy(write=F.public)).build()


def test_a_strict_app_asks_handlers_too() -> None:
    app = strict(auth=True)

    @app.post("/login", auth=PUBLIC)
    async def login() -> str:
        return "token"

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    app.build()
    with TestClient(app) as client:
        assert client.post("/login").text == "token"

    other = strict(auth=True)

    @other.post("/logout")
    async def logout() -> None: ...

    with pytest.raises(ConfigError, match="through POST /logout"):
        other.build()

    closed = Ziggurat(layers=[layers.Jwt(secret=SECRET)], strict=True)

    @closed.post("/logout")
    async def leave() -> None: ...

    closed.build()
