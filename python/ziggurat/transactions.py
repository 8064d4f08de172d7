"""Writes to several rows that are done together, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from pydantic_core import to_json

from . import _ziggurat
from .exceptions import RowChanged, StoreUnavailable

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Transaction", "run_transaction", "transaction"]

T = TypeVar("T")
_Kind = Literal["insert", "save", "delete"]

_FIRST_PAUSE: Final = 0.01
"""The longest pause before the second attempt, in seconds; each is twice as long as the one before."""
_LONGEST_PAUSE: Final = 0.5
_PATIENCE: Final = 5
"""How long a store may ask to be left alone, in seconds: one whose disk is full asks for a minute."""


class Transaction:
    """Notes what is to be written, and writes it when the block ends without an exception: all of it or nothing.

    Nothing is held while the block runs. A row that is saved or deleted must still be as it was read, so that what the block has
    computed from it holds when it is written; otherwise the end of the block raises `RowChanged`, and the block can be run again, which
    `run_transaction` does.
    """

    __slots__ = ("_writes",)

    def __init__(self) -> None:
        self._writes: dict[int, tuple[_Kind, Model]] = {}

    def insert(self, row: Model) -> None:
        """Adds a new row."""
        self._note("insert", row)

    def save(self, row: Model) -> None:
        """Writes a row in the place of the one that it was read from. Of a row that is to be inserted nothing more is noted."""
        if self._noted(row) != "insert":
            self._note("save", row)

    def delete(self, row: Model) -> None:
        """Removes the row that this was read from. One that is to be inserted is not, then."""
        if self._noted(row) == "insert":
            del self._writes[id(row)]
        else:
            self._note("delete", row)

    def _noted(self, row: Model) -> _Kind | None:
        noted = self._writes.get(id(row))
        return None if noted is None else noted[0]

    def _note(self, kind: _Kind, row: Model) -> None:
        # What is noted last counts, in the place where the row was noted first; it is kept here, so its id is its own.
        self._writes[id(row)] = (kind, row)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        writes, self._writes = list(self._writes.values()), {}
        if kind is not None or not writes:
            return
        stored = await _ziggurat.transact([_written(kind, row) for kind, row in writes])
        for (done, row), kept in zip(writes, stored, strict=True):
            if done == "delete":
                object.__delattr__(row, "__ziggurat_version__")
            elif kept is not None:
                row._become(*kept)


def _written(kind: _Kind, row: Any) -> tuple[_ziggurat.Rows, str, bytes, int | None, bytes | None]:
    if kind == "insert":
        return row._rows(), kind, row._written(), None, None
    if kind == "delete":
        return row._rows(), kind, to_json(row.id), row._version(), row._shard()
    return row._rows(), kind, row._written(), row._version(), None


def transaction() -> Transaction:
    """Writes rows together: `async with transaction() as tx: tx.save(source); tx.save(target)`.

    On MongoDB that needs a replica set, which may have one member.

    Raises, at the end of the block:
        RowChanged: others have written one of the rows since it was read.
        RowNotFound: one of them is not there any more.
        DuplicateValue, InvalidRow: as `Model.insert`.
        StoreUnavailable: the store is busy or cannot be reached; nothing was written.
        StoreTimeout: whether it was written is not known.
    """
    return Transaction()


async def run_transaction(work: Callable[[Transaction], Awaitable[T]], *, attempts: int = 10) -> T:
    """Calls `work` with a transaction, and writes what it has noted when it returns; gives what it gave.

    Where others were in the way, or the store was not at hand, nothing was written, and `work` is called again with a new transaction, at
    most `attempts` times in all. So let it read the rows itself, and do nothing else that cannot be done twice. Before it is called again
    there is a pause of random length, up to 10 ms at first, twice as long each time, and at most half a second; a store that says when it
    will be back is given that time.

    Of all that may happen to a transaction, this is what is tried again: `RowChanged`, and `StoreUnavailable` unless it asks for more than
    five seconds. After a `StoreTimeout` it is not known whether all was written, and to write it again might be once too often.

    Raises:
        RowChanged, StoreUnavailable: it was so in the last attempt.
        ValueError: `attempts` is less than 1.
        Exception: as `transaction`, and whatever `work` raises, at once.
    """
    if attempts < 1:
        raise ValueError(f"attempts is {attempts}: say how often it may be tried, 1 or more")
    attempt = 1
    while True:
        try:
            async with transaction() as tx:
                return await work(tx)
        except (RowChanged, StoreUnavailable) as error:
            pause = _pause(error, attempt)
            if attempt == attempts or pause is None:
                raise
        await asyncio.sleep(pause)
        attempt += 1


def _pause(error: RowChanged | StoreUnavailable, attempt: int) -> float | None:
    """How long to wait after an attempt, in seconds; None where the store asks for too much."""
    # Those that were in each other's way do not come back all at once.
    pause = random.random() * min(_FIRST_PAUSE * (1 << min(attempt - 1, 16)), _LONGEST_PAUSE)
    if isinstance(error, RowChanged):
        return pause
    return error.retry_after + pause if error.retry_after <= _PATIENCE else None
