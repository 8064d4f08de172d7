"""Writes to several rows that are done together, on both stores."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Annotated, Any

import pytest
from wire import Wire

from ziggurat import (
    DeletedAt,
    DuplicateValue,
    Indexed,
    InvalidRow,
    Model,
    RowChanged,
    RowNotFound,
    StoreFailure,
    StoreTimeout,
    StoreUnavailable,
    Transaction,
    UpdatedAt,
    Ziggurat,
    new_event_loop,
    run_transaction,
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


class Counted:
    """Adds one to the balance of an account, and counts how often that is tried."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, tx: Transaction) -> int:
        self.calls += 1
        account = await Account.get(1)
        assert account is not None
        account.balance += 1
        tx.save(account)
        return account.balance


def test_what_others_were_in_the_way_of_is_done_again(run: Run) -> None:
    async def main() -> None:
        await Account(id=1).insert()
        work = Counted()
        given = await asyncio.gather(*(run_transaction(work, attempts=100) for _ in range(20)))
        assert await balances() == {1: 20}, "none is lost, and none is done twice"
        assert sorted(given) == list(range(1, 21)), "each gives what its last call gave"
        assert work.calls > 20, "they were in each other's way"

    run(main)


def test_it_is_tried_so_often_and_no_more(run: Run) -> None:
    async def main() -> None:
        await Account(id=1).insert()
        calls = 0

        async def late(tx: Transaction) -> None:
            nonlocal calls
            calls += 1
            account, other = await Account.get(1), await Account.get(1)
            assert account is not None and other is not None
            other.balance += 1
            await other.save()
            account.balance = 100
            tx.save(account)

        with pytest.raises(RowChanged):
            await run_transaction(late, attempts=3)
        assert (calls, await balances()) == (3, {1: 3})
        with pytest.raises(ValueError, match="attempts is 0"):
            await run_transaction(late, attempts=0)
        assert calls == 3

    run(main)


def test_what_will_not_go_better_is_raised_at_once(run: Run) -> None:
    async def main() -> None:
        await Account(id=1, owner="ada").insert()
        gone = await Account(id=2).insert()
        await (await Account.get(2)).delete()  # type: ignore[union-attr]
        calls = 0

        def noting(kind: str, row: Account) -> Callable[[Transaction], Awaitable[None]]:
            async def work(tx: Transaction) -> None:
                nonlocal calls
                calls += 1
                tx.insert(Account(id=9))
                getattr(tx, kind)(row)

            return work

        async def wrong(tx: Transaction) -> None:
            nonlocal calls
            calls += 1
            tx.insert(Account(id=9))
            raise ZeroDivisionError

        broken = Account(id=5)
        broken.balance = 2**70
        for error, work in [
            (DuplicateValue, noting("insert", Account(id=3, owner="ada"))),
            (RowNotFound, noting("save", gone)),
            (InvalidRow, noting("insert", broken)),
            (ZeroDivisionError, wrong),
        ]:
            with pytest.raises(error):
                await run_transaction(work)
        assert (calls, await balances()) == (4, {1: 0})

    run(main)


def alone(store: str, main: Callable[[], Awaitable[None]]) -> None:
    """Runs a coroutine function against a store that others use, too."""
    app = Ziggurat(store=store)
    app.keep(Account)
    native = app.build()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 60))
    native.close()


HOLDS = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
db.close()
"""


def test_a_file_that_others_write_to_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "rows.db"

    async def main() -> None:
        await Account(id=1).insert()
        work = Counted()
        with Popen([sys.executable, "-c", HOLDS, str(file)], stdin=PIPE, stdout=PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            with pytest.raises(StoreUnavailable) as raised:
                await run_transaction(work, attempts=1)
            assert (raised.value.retry_after, work.calls) == (1, 1)

            async def when_free(tx: Transaction) -> int:
                # The second call is made because the first has found the file taken.
                if work.calls == 2:
                    other.communicate("let go\n")
                return await work(tx)

            assert await run_transaction(when_free) == 1
        assert work.calls == 3 and await balances() == {1: 1}

    alone(f"sqlite:///{file}?shared=true", main)


def test_a_store_that_has_no_space_left_is_not_waited_for() -> None:
    calls = 0

    async def full(tx: Transaction) -> None:
        nonlocal calls
        calls += 1
        raise StoreUnavailable("the store has no space left", retry_after="60")

    with pytest.raises(StoreUnavailable):
        asyncio.run(run_transaction(full))
    assert calls == 1


@pytest.mark.parametrize("losses", [1, 1000])
def test_a_commit_whose_answer_is_lost_is_never_done_twice(mongo_uri: str, losses: int) -> None:
    base, _, options = mongo_uri.partition("?")
    wire = Wire(f"{base.rstrip('/')}/zg_lost_{losses}_{random.randrange(10**9)}?{options}")

    async def main() -> None:
        await Account(id=1).insert()
        work = Counted()
        left = losses

        def lost(name: str) -> bool:
            nonlocal left
            left -= name == "commitTransaction"
            return name == "commitTransaction" and left >= 0

        wire.lost = lost
        if losses == 1:
            assert await run_transaction(work) == 1
        else:
            # The server has it, but nobody knows.
            with pytest.raises(StoreTimeout, match="whether a write was done is not known"):
                await run_transaction(work)
        assert left < losses, "an answer was lost"
        assert (work.calls, await balances()) == (1, {1: 1})

    alone(wire.uri, main)
    wire.close()
