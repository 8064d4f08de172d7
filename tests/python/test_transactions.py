"""Writes to several rows that are done together, on both stores."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import pytest

from ziggurat import (
    DeletedAt,
    DuplicateValue,
    Indexed,
    InvalidRow,
    Model,
    RowChanged,
    RowNotFound,
    StoreFailure,
    UpdatedAt,
    Ziggurat,
    new_event_loop,
    transaction,
)


class Account(Model):
    id: int
    owner: Annotated[str, Indexed(unique=True)] | None = None
    balance: int = 0


class Entry(Model):
    id: int
    text: str = ""
    at: UpdatedAt


class Page(Model):
    id: int
    deleted_at: DeletedAt = None


class Elsewhere(Model):
    id: int


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def run(store_url: str) -> Iterator[Run]:
    """Runs a coroutine function against an empty store, where no server is."""
    app = Ziggurat(store=store_url)
    app.keep(Account, Entry, Page)
    native = app.build()

    def start(main: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(asyncio.wait_for(main(), 60))

    yield start
    native.close()


async def balances() -> dict[int, int]:
    return {account.id: account.balance async for account in Account.find().sort("id")}


def test_all_of_it_is_written(run: Run) -> None:
    async def main() -> None:
        first, second = Account(id=1, balance=10), Account(id=2)
        async with transaction() as tx:
            tx.insert(first)
            tx.insert(second)
            tx.insert(Entry(id=1, text="opened"))
            assert await Account.find().count() == 0, "nothing is written before the end"
        assert await balances() == {1: 10, 2: 0}

        old = await Entry.get(1)
        assert old is not None
        gone = await Account(id=3).insert()
        first.balance -= 4
        second.balance += 4
        async with transaction() as tx:
            tx.save(first)
            tx.save(second)
            tx.delete(gone)
            tx.save(old)
        assert await balances() == {1: 6, 2: 4}
        stored = await Entry.get(1)
        assert stored is not None and stored == old, "what a write makes anew comes back"
        # Each is as it is kept, so that it can be written again.
        first.balance = 0
        await first.save()
        await second.delete()
        assert await balances() == {1: 0}

    run(main)


def test_nothing_of_it_is_written(run: Run) -> None:
    async def main() -> None:
        ada = await Account(id=1, owner="ada", balance=5).insert()
        await Account(id=2, owner="bob").insert()
        stale = await Account.get(2)
        fresh = await Account.get(2)
        assert stale is not None and fresh is not None
        fresh.balance = 1
        await fresh.save()

        async def refused(error: type[Exception], *writes: Any) -> Exception:
            ada.balance = 99
            with pytest.raises(error) as raised:
                async with transaction() as tx:
                    tx.save(ada)
                    tx.insert(Entry(id=1))
                    for kind, row in writes:
                        getattr(tx, kind)(row)
            assert await balances() == {1: 5, 2: 1}
            assert await Entry.find().count() == 0
            return raised.value

        changed = await refused(RowChanged, ("save", stale))
        assert "Account was changed" in str(changed)
        await refused(RowChanged, ("delete", stale))
        lost = await Account(id=3).insert()
        await (await Account.get(3)).delete()  # type: ignore[union-attr]
        await refused(RowNotFound, ("save", lost))
        await refused(RowNotFound, ("delete", lost))
        taken = await refused(DuplicateValue, ("insert", Account(id=4, owner="bob")))
        assert getattr(taken, "fields", None) == ("owner",)
        await refused(DuplicateValue, ("insert", Account(id=2)))
        broken = Account(id=5)
        broken.balance = 2**70
        await refused(InvalidRow, ("insert", broken))
        # What the block raises is its own.
        with pytest.raises(ZeroDivisionError):
            async with transaction() as tx:
                tx.insert(Entry(id=9))
                _ = 1 / 0
        assert await Entry.find().count() == 0
        # The row is as it was read, and can be written still.
        await ada.save()

    run(main)


def test_what_is_noted_twice(run: Run) -> None:
    async def main() -> None:
        row, other = Account(id=1), Account(id=2)
        async with transaction() as tx:
            tx.insert(row)
            row.balance = 7
            tx.save(row)
            tx.insert(other)
            tx.delete(other)
        assert await balances() == {1: 7}
        async with transaction() as tx:
            tx.save(row)
            row.balance = 8
            tx.save(row)
        assert await balances() == {1: 8}
        async with transaction() as tx:
            tx.save(row)
            tx.delete(row)
        assert await balances() == {}
        async with transaction():
            pass

    run(main)


def test_rows_that_are_marked_as_deleted(run: Run) -> None:
    async def main() -> None:
        page = await Page(id=1).insert()
        async with transaction() as tx:
            tx.delete(page)
        assert await Page.get(1) is None
        assert await Page.find().with_deleted().count() == 1

    run(main)


def test_money_is_neither_made_nor_lost(run: Run) -> None:
    """Many transfers at once: each that another one was in the way of is done again."""

    async def main() -> None:
        source = random.Random(7)
        await Account.insert_many([Account(id=number, balance=100) for number in range(4)])
        again = 0

        async def transfer(giver: int, taker: int, amount: int) -> None:
            nonlocal again
            while True:
                one, other = await Account.get(giver), await Account.get(taker)
                assert one is not None and other is not None
                one.balance -= amount
                other.balance += amount
                try:
                    async with transaction() as tx:
                        tx.save(one)
                        tx.save(other)
                    return
                except RowChanged:
                    again += 1
                    await asyncio.sleep(source.random() * 0.01)

        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                giver, taker = source.sample(range(4), 2)
                group.create_task(transfer(giver, taker, source.randrange(1, 9)))
        assert sum((await balances()).values()) == 400
        assert again > 0, "they were in each other's way"

    run(main)


def test_rows_of_different_stores(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/elsewhere.db")
        app.keep(Elsewhere)
        native = app.build()
        with pytest.raises(StoreFailure, match="rows of different stores cannot be written as one"):
            async with transaction() as tx:
                tx.insert(Account(id=1))
                tx.insert(Elsewhere(id=1))
        assert await balances() == {}
        native.close()

    run(main)
