"""The rows of a model from Python code, on both stores."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ziggurat import (
    Claim,
    ConfigError,
    CreatedAt,
    DeletedAt,
    DuplicateValue,
    F,
    Hidden,
    Immutable,
    Indexed,
    InvalidRow,
    Model,
    Policy,
    ReadOnly,
    RowChanged,
    RowNotFound,
    UpdatedAt,
    WriteOnly,
    Ziggurat,
    new_event_loop,
    uuid7,
)
from ziggurat.testing import TestClient


class Kind(Enum):
    PERSON = "person"
    ROBOT = "robot"


class Home(BaseModel):
    city: str
    floor: int = 0


class User(Model):
    id: UUID = Field(default_factory=uuid7)
    name: Annotated[str, Field(max_length=20)]
    age: int = 0
    email: Annotated[str, Indexed(unique=True)] | None = None
    kind: Kind = Kind.PERSON
    tags: list[str] = []  # noqa: RUF012 - pydantic copies it
    home: Home | None = None
    born: date | None = None
    seen: datetime | None = None


class Guarded(Model):
    id: UUID = Field(default_factory=uuid7)
    password: Annotated[str, WriteOnly]
    role: Annotated[str, ReadOnly] = "reader"
    origin: Annotated[str, Immutable] = "here"
    cost: Annotated[int, Hidden] = 0
    created: CreatedAt
    updated: UpdatedAt


class Page(Model):
    id: int
    deleted_at: DeletedAt


class Counter(Model):
    id: int
    value: int = 0


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def run(store_url: str) -> Iterator[Run]:
    """Runs a coroutine function against an empty store, where no server is."""
    app = Ziggurat(store=store_url)
    app.keep(User, Guarded, Counter, Page)
    native = app.build()

    def run(function: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(asyncio.wait_for(function(), 60))

    yield run
    native.close()


def test_rows_are_written_and_read_as_instances(run: Run) -> None:
    async def story() -> None:
        ada = User(
            name="Ada",
            age=36,
            kind=Kind.ROBOT,
            tags=["a", "b"],
            home=Home(city="London"),
            born=date(1815, 12, 10),
            seen=datetime(2026, 1, 2, 3, 4, 5, 678_912, tzinfo=UTC),
        )
        assert await ada.insert() is ada
        assert ada.seen == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), "as it is kept, to the millisecond"

        found = await User.get(ada.id)
        assert found == ada
        assert found is not None and found is not ada
        assert isinstance(found, User) and isinstance(found.home, Home) and found.kind is Kind.ROBOT
        assert await User.get(str(ada.id)) == ada
        assert await User.get(uuid4()) is None

        found.age += 1
        assert await found.save() is found
        again = await User.get(ada.id)
        assert again is not None and again.age == 37

        await again.delete()
        assert await User.get(ada.id) is None
        with pytest.raises(RowNotFound, match="there is no User with this id") as caught:
            await found.save()
        assert caught.value.status == 404
        with pytest.raises(ValueError, match=r"this User was not read from the store: insert\(\) it first"):
            await again.save()
        assert await (await again.insert()).find().count() == 1, "what was deleted can be made again"

    run(story)


def test_rows_that_are_marked_as_deleted(run: Run) -> None:
    async def story() -> None:
        one, two = await Page(id=1).insert(), await Page(id=2).insert()  # type: ignore[call-arg]
        stale = copy.copy(one)
        await one.delete()
        assert await Page.get(1) is None
        assert await Page.find().to_list() == [two]
        assert await Page.find().count() == 1 and not await Page.find(Page.id == 1).exists()
        with pytest.raises(RowNotFound):
            await stale.delete()
        found = await Page.find(Page.id == 1).with_deleted().first()
        assert found is not None and isinstance(found.deleted_at, datetime)
        assert await Page.find().with_deleted().count() == 2

        found.deleted_at = None
        await found.save()
        assert await Page.get(1) == found
        await found.delete()
        gone = await Page.find(~F.deleted_at.is_null()).with_deleted().first()
        assert gone is not None
        await gone.purge()
        await two.purge()
        assert await Page.find().with_deleted().count() == 0

    run(story)


def test_a_row_that_others_wrote_is_not_written_over(run: Run) -> None:
    async def story() -> None:
        await Counter(id=1).insert()

        async def bump() -> int:
            attempts = 0
            while True:
                attempts += 1
                counter = await Counter.get(1)
                assert counter is not None
                counter.value += 1
                try:
                    await counter.save()
                except RowChanged as error:
                    assert error.status == 409 and "was changed since it was read" in str(error)
                else:
                    return attempts

        attempts = await asyncio.gather(*(bump() for _ in range(10)))
        last = await Counter.get(1)
        assert last is not None and last.value == 10, "no write was lost"
        assert max(attempts) > 1, "and some had to be tried again"

        stale, fresh = await Counter.get(1), await Counter.get(1)
        assert stale is not None and fresh is not None
        for kept in (copy.copy(stale), copy.deepcopy(stale), stale.model_copy(), pickle.loads(pickle.dumps(stale))):
            fresh = await fresh.save()
            with pytest.raises(RowChanged):
                await kept.delete()
        await copy.copy(fresh).delete()

    run(story)


def test_finds_are_typed_sorted_and_cut(run: Run) -> None:
    async def story() -> None:
        base = datetime(2026, 1, 1, tzinfo=UTC)
        for number in range(12):
            await User(
                name=f"user {number:02}",
                age=number % 4,
                kind=Kind.ROBOT if number % 3 == 0 else Kind.PERSON,
                tags=["even"] if number % 2 == 0 else [],
                home=Home(city="Ur", floor=number) if number < 6 else None,
                seen=base + timedelta(days=number),
            ).insert()

        async def names(*predicates: Any) -> list[int]:
            return [int(user.name[5:]) async for user in User.find(*predicates).sort("name")]

        assert await names() == list(range(12))
        assert await names(User.age >= 2) == [2, 3, 6, 7, 10, 11]
        assert await names(User.age >= 2, User.age != 3) == [2, 6, 10]
        assert await names((F.age == 3) | (F.name == "user 00")) == [0, 3, 7, 11]
        assert await names(User.kind == Kind.ROBOT) == [0, 3, 6, 9]
        assert await names(F.tags.has("even"), User.age > 0) == [2, 6, 10]
        assert await names(F.home.floor > 3) == [4, 5]
        assert await names(User.home == None) == [6, 7, 8, 9, 10, 11]  # noqa: E711
        assert await names(User.seen < base + timedelta(days=2)) == [0, 1]
        assert await names(True) == list(range(12))
        assert await names(False) == []

        top = await User.find(User.age > 0).sort("-age", "name").offset(1).limit(3).to_list()
        assert [user.name for user in top] == ["user 07", "user 11", "user 02"]
        assert await User.find().sort("-name").limit(0).to_list() == []
        assert await User.find(User.age > 0).where(F.name < "user 03").count() == 2
        assert await User.find(User.age > 7).count() == 0
        assert await User.find(User.age > 7).exists() is False
        assert await User.find(User.age > 2).exists() is True
        first = await User.find().sort("-name").first()
        assert first is not None and first.name == "user 11"
        assert await User.find().sort("-name").limit(0).first() is None
        assert await User.find(User.age > 7).first() is None

        first.age = 1
        await first.save()
        assert await User.find(User.age == 1).count() == 4, "what a find gives can be saved"

    run(story)


def test_a_walk_over_many_pages_sees_each_row_once(run: Run) -> None:
    async def story() -> None:
        for number in range(230):
            await Counter(id=number, value=number % 7).insert()

        seen: list[int] = []
        async for counter in Counter.find(Counter.id != 3):
            seen.append(counter.id)
            if len(seen) == 150:
                # Rows that were walked over, and rows that were not.
                for other in (0, 149, 151, 229):
                    row = await Counter.get(other)
                    assert row is not None
                    row.value = 100
                    await row.save()
                for other in (1, 228):
                    row = await Counter.get(other)
                    assert row is not None
                    await row.delete()
            if counter.id in (151, 229):
                assert counter.value in (100, counter.id % 7), "read before the write or after it"
        assert seen == [number for number in range(229) if number not in (3, 228)] + [229]
        by_value = [(row.value, row.id) async for row in Counter.find().sort("value")]
        assert by_value == sorted(by_value) and len(by_value) == 228

        assert len(await Counter.find().limit(201).to_list()) == 201
        assert [row.id for row in await Counter.find().sort("id").offset(99).limit(102).to_list()] == [*range(100, 202)]

        rows = aiter(Counter.find())
        assert isinstance(rows, AsyncIterator)
        await anext(rows)
        await rows.aclose()

    run(story)


def test_what_breaks_the_rules_is_not_kept(run: Run) -> None:
    async def story() -> None:
        ada = await User(name="Ada", email="ada@example.org").insert()
        with pytest.raises(DuplicateValue, match="email") as caught:
            await User(name="Bob", email="ada@example.org").insert()
        assert (caught.value.status, caught.value.fields) == (409, ("email",))
        with pytest.raises(DuplicateValue) as caught:
            await User(id=ada.id, name="Bob").insert()
        assert caught.value.fields == ("id",)

        ada.name = "Ada Augusta King, Countess of Lovelace"
        with pytest.raises(InvalidRow, match=r"name.*20"):
            await ada.save()
        with pytest.raises(InvalidRow, match=r"name.*20"):
            await ada.insert()
        with pytest.raises(InvalidRow, match="UUID"):
            await User.get("ada")
        with pytest.raises(InvalidRow, match='"one" is no id of Counter: it must be a whole number'):
            await Counter.get("one")
        with pytest.raises(ValidationError):
            User(name="Ada", surname="King")  # type: ignore[call-arg]
        assert [user.name async for user in User.find()] == ["Ada"]

    run(story)


def test_many_rows_at_once_are_all_kept_or_none(run: Run) -> None:
    async def story() -> None:
        await Counter(id=7).insert()
        rows = [Counter(id=number) for number in (1, 2, 3)]
        await Counter.insert_many(rows)
        rows[2].value = 5
        await rows[2].save()
        with pytest.raises(DuplicateValue):
            await Counter.insert_many([Counter(id=8), Counter(id=7), Counter(id=9)])
        assert [row.id async for row in Counter.find().sort("id")] == [1, 2, 3, 7]
        await Counter.insert_many([])

    run(story)


def test_code_sees_and_sets_what_clients_may_not(run: Run) -> None:
    async def story() -> None:
        made = await Guarded(password="secret", role="admin", cost=7, created=_PAST, updated=_PAST).insert()
        row = await Guarded.get(made.id)
        assert row is not None
        assert (row.password, row.role, row.origin, row.cost, row.created) == ("secret", "admin", "here", 7, _PAST)
        before = row.updated
        row.role, row.origin = "reader", "there"
        await asyncio.sleep(0.005)
        await row.save()
        again = await Guarded.find(Guarded.password == "secret", F.cost == 7).sort("-cost").first()
        assert again is not None
        assert (again.role, again.origin, again.created) == ("reader", "there", _PAST)
        assert before < again.updated == row.updated, "each write renews it"

    run(story)


_PAST = datetime(2020, 2, 2, tzinfo=UTC)


def test_what_cannot_be_asked_is_refused_before_the_store_is(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(ConfigError, match="a search for User asks for a claim, and no caller is known to it"):
            await User.find(F.name == Claim("sub")).to_list()
        with pytest.raises(ConfigError, match="User has no field nickname"):
            await User.find(F.nickname == "x").to_list()
        with pytest.raises(ConfigError, match='a search for User compares age with "old"'):
            await User.find(F.age > "old").count()
        with pytest.raises(ConfigError, match="User cannot be sorted by tags"):
            await User.find().sort("tags").to_list()
        with pytest.raises(ConfigError, match="User cannot be sorted by age: it is there twice"):
            await User.find().sort("age", "-age").to_list()
        with pytest.raises(TypeError, match="'age' is no predicate"):
            await User.find("age").count()  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="limit is a number of rows, not -1"):
            User.find().limit(-1)
        with pytest.raises(ValueError, match="offset is a number of rows, not True"):
            User.find().offset(True)

    run(story)


def test_a_model_that_no_app_keeps_says_so() -> None:
    class Stray(Model):
        id: int

    class Heir(User):
        pass

    for model in (Stray, Heir):
        with pytest.raises(ConfigError, match=rf"no app keeps rows of {model.__name__}.*app\.keep"):
            asyncio.run(model.get(1))

    app = Ziggurat()
    app.keep(Stray)
    with pytest.raises(ConfigError, match=r"Stray is to be kept, but the app has no store[^$]*test_rows.py:"):
        app.build()
    with pytest.raises(TypeError, match=r"keep takes classes that are ziggurat\.Model, not .*Home"):
        Ziggurat().keep(Home)  # type: ignore[arg-type]


def test_rows_need_the_loop_that_awaits_rust(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Counter)
    native = app.build()
    with pytest.raises(RuntimeError, match="PyLoop"):
        asyncio.run(Counter.get(1))
    native.close()


def test_handlers_use_the_store_that_clients_use(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(User, Counter)

    @app.crud(User, client_id=True, policy=Policy(read=F.age < 100))
    class UserRoutes: ...

    @app.post("/birthday/{id}")
    async def birthday(id: UUID) -> dict[str, int]:
        user = await User.get(id)
        if user is None:
            raise RowNotFound(f"there is no User {id}")
        user.age += 1
        await user.save()
        return {"age": user.age}

    @app.post("/twin/{id}")
    async def twin(id: UUID) -> User:
        user = await User.get(id)
        assert user is not None
        return await user.model_copy(update={"id": uuid7()}).insert()

    @app.post("/broken/{id}")
    async def broken(id: UUID) -> None:
        user = await User.get(id)
        assert user is not None
        user.name = "x" * 21
        await user.save()

    with TestClient(app) as client:
        made = client.post("/user", json={"name": "Ada", "age": 98, "email": "a@example.org"})
        assert made.status_code == 201
        url, tag = made.headers["location"], made.headers["etag"]
        id = made.json()["id"]
        assert client.post(f"/birthday/{id}").json() == {"age": 99}
        got = client.get(url)
        assert got.json()["age"] == 99
        assert got.headers["etag"] != tag, "a client that read the row before sees that it changed"
        assert client.patch(url, json={"age": 1}, headers={"if-match": tag}).status_code == 412

        assert client.post(f"/birthday/{id}").json() == {"age": 100}
        assert client.get(url).status_code == 404, "the policy is for clients"
        assert client.post(f"/birthday/{id}").json() == {"age": 101}, "and not for code"

        missing = client.post(f"/birthday/{uuid4()}")
        assert missing.status_code == 404 and "there is no User" in missing.json()["detail"]
        twin_of = client.post(f"/twin/{id}")
        assert twin_of.status_code == 409 and "email" in twin_of.json()["detail"], "uncaught, it is an answer"
        wrong = client.post(f"/broken/{id}")
        assert wrong.status_code == 500 and "20" not in wrong.text, "a mistake of the code is not the client's"


def test_models_stay_pydantic_models() -> None:
    class Base(Model):
        id: int
        age: int = 3

    class Derived(Base):
        age: int = 4
        more: str = "x"

    assert Derived(id=1).model_dump() == {"id": 1, "age": 4, "more": "x"}
    assert Derived.model_json_schema()["properties"].keys() == {"id", "age", "more"}
    assert [field for field in Derived.model_fields] == ["id", "age", "more"]
    assert not hasattr(Derived, "nothing") and not hasattr(Derived, "__nothing__")
    with pytest.raises(AttributeError, match="nothing"):
        _ = Derived.nothing  # type: ignore[attr-defined]

    class Local(BaseModel):
        pass

    class Holder(Model):
        local: Local

    assert Holder(local=Local()).local == Local(), "names of the function that it stands in are found"

    class Frozen(Model):
        model_config = ConfigDict(frozen=True)
        id: int

    assert hash(Frozen(id=1)) == hash(Frozen(id=1)) and Frozen(id=1) == Frozen(id=1)
