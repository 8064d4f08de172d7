"""Models with a shard key: what is refused at start-up, and what MongoDB is told of a row that code writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import Field
from tokens import SECRET, bearer
from wire import Wire

from ziggurat import (
    PUBLIC,
    Claim,
    ConfigError,
    DeletedAt,
    F,
    Hidden,
    Immutable,
    Indexed,
    InvalidRow,
    Model,
    Policy,
    RowChanged,
    RowNotFound,
    UpdatedAt,
    WriteOnly,
    Ziggurat,
    layers,
    new_event_loop,
    transaction,
    uuid7,
)
from ziggurat.testing import TestClient


class Plan(Enum):
    FREE = "free"
    PAID = "paid"


class Note(Model):
    id: UUID = Field(default_factory=uuid7)
    tenant: Annotated[str, Immutable, Indexed()]
    text: str = ""


class Page(Model):
    id: UUID = Field(default_factory=uuid7)
    plan: Plan = Field(frozen=True)
    text: str = ""
    deleted_at: DeletedAt = None


class Lease(Model):
    id: UUID = Field(default_factory=uuid7)
    span: Annotated[timedelta, Hidden] = timedelta(hours=1)
    text: str = ""


class Blob(Model):
    id: int
    text: str = ""


Run = Callable[[Callable[[], Awaitable[None]]], None]
TOLD = {"Note": ("tenant", "a"), "Page": ("plan", "free")}


class Heard:
    """What was sent, when a store is one to send to."""

    def __init__(self, wire: Wire | None) -> None:
        self._wire = wire

    def __call__(self, model: type[Model], *commands: str) -> None:
        """Checks the commands since the last call, and that writes to rows tell the shard key."""
        if self._wire is None:
            return
        heard = self._wire.heard(model.__name__.lower())
        assert [name for name, _ in heard] == list(commands)
        for name, rows in heard:
            if name in ("findAndModify", "update", "delete"):
                key, value = TOLD[model.__name__]
                assert rows[key] == {"$eq": value}, (name, rows)


@pytest.fixture
def wire(store_url: str) -> Iterator[Wire | None]:
    if not store_url.startswith("mongodb"):
        yield None
        return
    wire = Wire(store_url)
    yield wire
    wire.close()


@pytest.fixture
def heard(wire: Wire | None) -> Heard:
    return Heard(wire)


@pytest.fixture
def run(store_url: str, wire: Wire | None) -> Iterator[Run]:
    """Runs a coroutine function against an empty store, where no server is."""
    app = Ziggurat(store=store_url if wire is None else wire.uri)
    app.crud(Note, shard_key="tenant", auth=PUBLIC)(type("Notes", (), {}))
    app.keep(Page, shard_key="plan")
    app.keep(Lease, shard_key="span")
    app.keep(Blob, shard_key="id")
    native = app.build()
    if wire is not None:
        wire.heard("")

    def start(main: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())  # type: ignore[arg-type]

    yield start
    native.close()


def test_code_tells_the_shard_key_of_what_it_writes(run: Run, heard: Heard) -> None:
    async def main() -> None:
        note = await Note(tenant="a", text="1").insert()
        heard(Note, "insert")
        note.text = "2"
        await note.save()
        heard(Note, "findAndModify")
        assert await Note.get(note.id) == note
        heard(Note, "find")
        await note.delete()
        heard(Note, "delete")
        for page in [Page(plan=Plan.FREE), Page(plan=Plan.FREE)]:
            await page.insert()
            heard(Page, "insert")
            page.text = "x"
            await page.save()
            heard(Page, "findAndModify")
            await page.delete()
            heard(Page, "findAndModify")
            assert await Page.get(page.id) is None
            heard(Page, "find")
            found = await Page.find().with_deleted().first()
            assert found is not None
            heard(Page, "find")
            await found.purge()
            heard(Page, "delete")
        lease = await Lease().insert()
        await lease.save()
        await lease.delete()
        assert await Lease.find().count() == 0
        blob = await Blob(id=1).insert()
        await blob.save()
        await blob.delete()
        with pytest.raises(RowNotFound):
            await (await Blob(id=2).insert())._rows().delete(b"3")

    run(main)


def test_transactions_tell_it_too(run: Run, heard: Heard) -> None:
    async def main() -> None:
        one, two, three = [await Note(tenant="a").insert() for _ in range(3)]
        page = await Page(plan=Plan.FREE).insert()
        heard(Note, "insert", "insert", "insert")
        one.text = "1"
        async with transaction() as tx:
            tx.save(one)
            tx.delete(two)
            tx.insert(Note(tenant="b"))
        heard(Note, "findAndModify", "delete", "insert")
        async with transaction() as tx:
            tx.delete(page)
            tx.delete(three)
        heard(Note, "delete")
        assert await Note.find().count() == 2

    run(main)


def test_code_is_told_that_a_shard_key_stays(run: Run) -> None:
    async def main() -> None:
        note = await Note(tenant="a").insert()
        note.tenant = "b"
        why = "the Note with this id has another tenant: it is the shard key, which cannot be changed"
        for write in (note.save, note.delete, note.purge):
            with pytest.raises(InvalidRow, match=why):
                await write()
        for kind in ("save", "delete"):
            with pytest.raises(InvalidRow, match=why):
                async with transaction() as tx:
                    tx.insert(Note(tenant="c"))
                    getattr(tx, kind)(note)
        assert [row.tenant async for row in Note.find()] == ["a"], "nothing was written"
        note.tenant = "a"
        same = await Note.get(note.id)
        assert same is not None
        await same.save()
        with pytest.raises(RowChanged):
            await note.save()
        with pytest.raises(RowChanged):
            await note.delete()
        await same.delete()
        for write in (note.save, note.delete):
            with pytest.raises(RowNotFound):
                await write()
        with pytest.raises(RowNotFound):
            async with transaction() as tx:
                tx.save(note)

    run(main)


def test_clients_see_nothing_of_it(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
    policy = Policy(read=F.tenant == Claim("tenant"))
    app.crud(Note, shard_key="tenant", policy=policy)(type("Notes", (), {}))
    ann, bob = bearer(sub="ann", tenant="a"), bearer(sub="bob", tenant="b")
    with TestClient(app) as client:
        made = client.post("/note", json={"text": "1"}, headers=ann)
        assert (made.status_code, made.json()["tenant"]) == (201, "a")
        path = f"/note/{made.json()['id']}"
        assert client.put(path, json={"text": "2", "tenant": "a"}, headers=ann).json()["text"] == "2"
        assert client.patch(path, json={"tenant": "b"}, headers=ann).status_code == 422
        for method in ("PATCH", "DELETE"):
            assert client.request(method, path, json={"text": "x"}, headers=bob).status_code == 404
        assert client.delete(path, headers=ann).status_code == 204


def model(key: Any, other: Any = str, id: Any = UUID) -> type[Any]:
    made = type("Thing", (), {"__annotations__": {"id": id, "key": key, "other": other}})
    return dataclass(made)


REFUSED = [
    (model(str), "clients could change it", "declare it as Immutable"),
    (model(Annotated[str, WriteOnly]), "clients could change it", "declare it as Immutable"),
    (model(Annotated[str | None, Immutable]), "it may be null", "declare it without Optional"),
    (model(Annotated[list[str], Immutable]), "it holds no single value", "shard by a str"),
    (model(Annotated[Any, Immutable]), "it holds no single value", "shard by a str"),
    (model(Annotated[float, Immutable]), "can be written differently", "shard by a str"),
    (model(Annotated[Decimal, Immutable]), "can be written differently", "shard by a str"),
    (model(UpdatedAt), "each write makes it anew", "stays as it is"),
    (
        model(Annotated[str, Immutable], Annotated[str, Indexed(unique=True)]),
        "Thing.other is to be unique and Thing is sharded by key",
        "leave unique out",
    ),
    (
        model(Annotated[str, Immutable], Annotated[str, Indexed(unique=True, case_insensitive=True)]),
        "Thing.other is to be unique and Thing is sharded by key",
        "leave unique out",
    ),
    (
        model(Annotated[str, Immutable, Indexed(unique=True, case_insensitive=True)]),
        "Thing.key is to be unique and Thing is sharded by key",
        "without case_insensitive",
    ),
    (model(Annotated[str, Immutable], id=int), "Thing.id is no id of rows that are sharded by key", "shard by id"),
]


@pytest.mark.parametrize("url", ["sqlite", "mongodb"])
@pytest.mark.parametrize(("thing", "what", "cure"), REFUSED)
def test_what_sharding_asks_of_a_model(
    thing: type[Any], what: str, cure: str, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = f"sqlite:///{tmp_path}/a.db" if url == "sqlite" else request.getfixturevalue("mongo_uri")
    app = Ziggurat(store=store)
    app.crud(thing, shard_key="key", client_id=True, auth=PUBLIC)(type("Things", (), {}))
    with pytest.raises(ConfigError, match=re.escape(what)) as refused:
        app.build()
    assert cure in str(refused.value) and "test_shards.py" in str(refused.value)


@pytest.mark.parametrize(
    ("thing", "key"),
    [
        (model(Annotated[str, Immutable, Indexed(unique=True)]), "key"),
        (model(Annotated[UUID, Hidden]), "key"),
        (model(str), "id"),
        (model(str, id=int), "id"),
    ],
)
def test_what_fits(thing: type[Any], key: str, store_url: str) -> None:
    app = Ziggurat(store=store_url)
    policy = Policy(read=F.key == Claim("key")) if key == "key" else None
    app.layers.append(layers.Jwt(secret=SECRET))
    app.crud(thing, shard_key=key, client_id=key == "id", policy=policy)(type("Things", (), {}))
    app.build().close()


def test_a_field_that_is_not_there_and_ids_that_clients_choose(tmp_path: Path) -> None:
    for options, what, cure in [
        ({"shard_key": "tenat"}, 'Note has no field "tenat" to shard by', "did you mean tenant?"),
        ({"shard_key": "tenant", "client_id": True}, "an id which a client chooses is taken", "leave client_id out"),
    ]:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
        app.crud(Note, auth=PUBLIC, **options)(type("Notes", (), {}))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=re.escape(what)) as refused:
            app.build()
        assert cure in str(refused.value)


def test_a_model_has_one_shard_key() -> None:
    for first, second in [("tenant", None), (None, "tenant"), ("tenant", "id")]:
        app = Ziggurat(store="sqlite:///:memory:")
        app.crud(Note, shard_key=first, auth=PUBLIC)(type("Notes", (), {}))
        app.keep(Note, shard_key=second)
        with pytest.raises(ConfigError, match="Note is served or kept twice, with different shard keys") as refused:
            app.build()
        assert "give the same shard_key to each crud() and keep() of it" in str(refused.value)
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Note, shard_key="tenant", auth=PUBLIC)(type("Notes", (), {}))
    app.keep(Note, shard_key="tenant")
    app.keep(Page, shard_key="plan")
    app.build().close()
    assert ['"shard_key": "tenant"' in each for each in app.descriptions()] == [True, False]
    assert '"shard_key": "plan"' in app.descriptions()[1]
