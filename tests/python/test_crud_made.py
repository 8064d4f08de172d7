"""What the server puts into fields that are left out: what the caller's token says, and tokens; on both stores."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from tokens import SECRET, bearer

from ziggurat import (
    CORE,
    Claim,
    ConfigError,
    HookContext,
    Indexed,
    Model,
    Policy,
    ReadOnly,
    Ref,
    Ziggurat,
    layers,
    new_event_loop,
    token,
)
from ziggurat.expressions import F
from ziggurat.models import Renewed
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Share(Model):
    id: UUID
    name: str
    made_by: Annotated[str, ReadOnly] = Field(default_factory=Claim("sub"))
    org: int | None = Field(default_factory=Claim("org.id"))
    key: Annotated[str, ReadOnly, Indexed(unique=True)] = Field(default_factory=token(24))


def served(store_url: str, **options: Any) -> TestClient:
    app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
    options = {"ops": CORE | {"import"}, "bulk": True, "idempotency": True, **options}
    app.crud(Share, **options)(type("Shares", (), {}))
    return TestClient(app)


def test_fields_are_taken_from_the_caller(store_url: str) -> None:
    with served(store_url) as client:
        ada = bearer(sub="ada", org={"id": 7})
        row = client.post("/share", json={"name": "a"}, headers=ada).json()
        assert (row["made_by"], row["org"]) == ("ada", 7)
        assert len(base64.urlsafe_b64decode(row["key"])) == 24 and len(row["key"]) == 32
        # Sent, it is what was sent; the caller only stands in for what is left out.
        assert client.post("/share", json={"name": "b", "org": 8}, headers=ada).json()["org"] == 8
        bob = bearer(sub="bob", org={"id": "x"})
        assert client.post("/share", json={"name": "c"}, headers=bob).json()["org"] is None
        refused = client.post("/share", json={"name": "c", "made_by": "eve"}, headers=bob)
        assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [("/made_by", "read_only")]
        nobody = client.post("/share", json={"name": "c"})
        assert nobody.status_code == 422
        assert nobody.json()["errors"] == [
            {
                "pointer": "/made_by",
                "code": "missing",
                "detail": "is taken from the caller's sub, which is not known",
            }
        ]
        # A row that is replaced keeps what clients cannot set; what they can is the caller's again.
        path = f"/share/{row['id']}"
        put = client.put(path, json={"name": "d"}, headers=bearer(sub="bob", org={"id": 9})).json()
        assert put == {**row, "name": "d", "org": 9}
        assert client.patch(path, json={"name": "e"}, headers=bob).json() == {**put, "name": "e"}
        made = client.post("/share", json=[{"name": str(number)} for number in range(20)], headers=ada)
        many = made.json()["items"]
        assert {item["made_by"] for item in many} == {"ada"} and len({item["key"] for item in many}) == 20
        lines = b'{"name":"x"}\n{"name":"y"}\n'
        told = client.post("/share/_import", content=lines, headers={**ada, "content-type": "application/x-ndjson"})
        assert told.json()["created"] == 2, told.text
        assert len(client.get("/share?made_by=ada&limit=100").json()["items"]) == 24


def test_a_key_of_a_request_is_that_of_one_caller(store_url: str) -> None:
    with served(store_url) as client:

        def make(org: int) -> Any:
            headers = {**bearer(sub="ada", org={"id": org}), "idempotency-key": "k"}
            return client.post("/share", json={"name": "a"}, headers=headers).json()

        first = make(1)
        assert make(1) == first and make(2)["org"] == 2


def test_a_policy_goes_before(store_url: str) -> None:
    with served(store_url, policy=Policy(read=F.made_by == Claim("sub"))) as client:
        row = client.post("/share", json={"name": "a"}, headers=bearer(sub="ada", org={"id": 7})).json()
        assert (row["made_by"], row["org"]) == ("ada", 7)
        assert client.post("/share", json={"name": "a"}).status_code == 403
        assert client.get(f"/share/{row['id']}", headers=bearer(sub="bob")).status_code == 404


def test_code_has_no_caller(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Share)
    native = app.build()

    async def story() -> None:
        id = UUID(int=1)
        with pytest.raises(
            TypeError, match=re.escape("there is no caller whose org.id could be taken; give the field a value")
        ):
            Share(id=id, name="a", made_by="code")
        share = await Share(id=id, name="a", made_by="code", org=1).insert()
        assert len(share.key) == 32 and await Share.get(id) == share

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())
    native.close()


class Older(Model):
    id: UUID
    name: str


def test_rows_that_are_there_get_what_they_can(store_url: str) -> None:
    class Newer(Older):
        org: int | None = Field(default_factory=Claim("org.id"))
        key: Annotated[str, Indexed(unique=True)] = Field(default_factory=token())

    class Newest(Newer):
        made_by: str = Field(default_factory=Claim("sub"))

    class Old(Older): ...

    for model in (Old, Newer, Newest):
        model.__name__ = "Grown"
    if store_url.startswith("sqlite"):
        store_url += "?shared=true"

    def grown(model: type[Any]) -> TestClient:
        app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
        app.crud(model, bulk=True)(type("Routes", (), {}))
        return TestClient(app)

    with grown(Old) as client:
        client.post("/grown", json=[{"name": "a"}, {"name": "b"}])
    with grown(Newer) as client:
        items = client.get("/grown").json()["items"]
        assert [item["org"] for item in items] == [None, None]
        assert len({item["key"] for item in items}) == 2 and {len(item["key"]) for item in items} == {43}
    with pytest.raises(ConfigError, match=r"Grown\.made_by"), grown(Newest):
        pass


class Inner(BaseModel):
    by: str = Field(default_factory=Claim("sub"))


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    class Nested(Model):
        id: UUID
        inner: Inner

    class Anew(Model):
        id: UUID
        by: Annotated[str, ReadOnly, Renewed] = Field(default_factory=Claim("sub"))

    class Number(Model):
        id: UUID
        key: int = Field(default_factory=token(16))

    class Id(Model):
        id: str = Field(default_factory=token(16))

    class Many(Model):
        id: UUID
        by: list[str] = Field(default_factory=Claim("sub"))

    class Coded(Model):
        id: UUID
        code: Annotated[str, Field(max_length=20)] = Field(default_factory=token(16))

    for model, what in [
        (Coded, "Coded.code: the default factory does not make values of its type"),
        (Nested, "Nested.inner.by: a field of a nested model is not taken from a claim"),
        (Anew, "Anew.by: what is renewed at each write cannot be a claim"),
        (Number, "Number.key: the default factory does not make values of its type"),
        (Id, "Id.id: an id is no token and no claim"),
        (Many, "Many.by: the default factory does not make values of its type"),
    ]:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db", layers=[layers.Jwt(secret=SECRET)])
        app.crud(model)(type("Routes", (), {}))
        with pytest.raises(ConfigError, match=re.escape(what)):
            app.build()
    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
    app.crud(Share)(type("Routes", (), {}))
    with pytest.raises(ConfigError, match="Share, which takes a field from a claim, asks who the caller is"):
        app.build()
    with pytest.raises(ValueError, match="16 to 256 bytes, not of 8"):
        token(8)


class Open(Model):
    id: UUID
    name: str


def test_caches_are_told_of_what_everybody_may_read(store_url: str, tmp_path: Path) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Open, ops=CORE | {"count", "export"}, cache="public, max-age=30")(type("Routes", (), {}))
    with TestClient(app) as client:
        made = client.post("/open", json={"name": "a"})
        path = f"/open/{made.json()['id']}"
        for url in (path, "/open", "/open/_count"):
            read = client.get(url)
            assert read.headers["cache-control"] == "public, max-age=30", url
        again = client.get(path, headers={"if-none-match": made.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "public, max-age=30")
        for answer in (made, client.patch(path, json={"name": "b"})):
            assert answer.headers["cache-control"] == "private, no-cache"
        assert client.get("/open/_export").headers["cache-control"] == "private, no-store"
        assert "public" not in client.get("/open?nmae=1").headers.get("cache-control", "")
        assert "public" not in client.get(f"/open/{UUID(int=1)}").headers.get("cache-control", "")

    for options, what in [
        ({"cache": "a\nb"}, 'Open: "a\\nb" is no value of Cache-Control'),
        ({"cache": "public", "auth": True}, "Open: caches would show rows to callers who may not read them"),
        (
            {"cache": "public", "auth": {"get": ("a",)}},
            "Open: caches would show rows to callers who may not read them",
        ),
        ({"cache": "public", "policy": Policy(read=F.name == "x")}, "Open: caches would show rows to callers"),
    ]:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/c.db", layers=[layers.Jwt(secret=SECRET, required=False)])
        app.crud(Open, **options)(type("Routes", (), {}))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=re.escape(what)):
            app.build()


class Note(Model):
    id: UUID
    name: str
    org: str = ""


class Writer(Model):
    id: UUID
    owner: str


class Volume(Model):
    id: UUID
    writer: Annotated[UUID | None, Ref(Writer)] = None


def test_caches_are_told_nothing_of_rows_of_other_models(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
    app.crud(Writer, policy=Policy(read=F.owner == Claim("sub")))(type("Writers", (), {}))
    app.crud(Volume, cache="public, max-age=30")(type("Volumes", (), {}))
    with TestClient(app) as client:
        writer = client.post("/writer", json={}, headers=bearer(sub="ada")).json()["id"]
        path = "/volume/" + client.post("/volume", json={"writer": writer}).json()["id"]
        for url in (path, "/volume"):
            assert client.get(url).headers["cache-control"] == "public, max-age=30"
            shown = client.get(f"{url}?expand=writer", headers=bearer(sub="ada"))
            assert "ada" in shown.text and shown.headers["cache-control"] == "private, no-cache"
            again = {**bearer(sub="ada"), "if-none-match": shown.headers["etag"]}
            still = client.get(f"{url}?expand=writer", headers=again)
            assert (still.status_code, still.headers["cache-control"]) == (304, "private, no-cache")


class Short(Model):
    id: UUID
    by: Annotated[str, Field(max_length=3)] = Field(default_factory=Claim("sub"))
    level: Annotated[int, Field(ge=1)] | None = Field(default_factory=Claim("level"))


def test_a_claim_that_breaks_the_rules_is_none(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
    app.crud(Short)(type("Shorts", (), {}))
    with TestClient(app) as client:
        row = client.post("/short", json={}, headers=bearer(sub="ada", level=0)).json()
        assert (row["by"], row["level"]) == ("ada", None)
        refused = client.post("/short", json={}, headers=bearer(sub="adam", level=1))
        assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [("/by", "missing")]


def test_callers_of_several_issuers_and_of_hooks_are_told_apart(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])

    class Notes:
        async def before_create(self, ctx: HookContext, doc: Note) -> Note:
            doc.org = str(ctx.request.auth["org"])
            return doc

    app.crud(Note, idempotency=True)(Notes)
    app.crud(Older, path="/plainly", idempotency=True)(type("Routes", (), {}))
    with TestClient(app) as client:

        def make(path: str, **claims: Any) -> Any:
            headers = {**bearer(sub="ada", **claims), "idempotency-key": "k"}
            answer = client.post(path, json={"name": "a"}, headers=headers)
            assert answer.status_code == 201, answer.text
            return answer.json()

        first = make("/note", org=1, iat=1)
        assert make("/note", org=1, iat=2) == first and make("/note", org=2)["org"] == "2"
        first = make("/plainly", iss="a")
        assert make("/plainly", iss="a") == first and make("/plainly", iss="b")["id"] != first["id"]
