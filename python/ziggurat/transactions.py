"""Writes to several rows that are done together, or not at all."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic_core import to_json

from . import _ziggurat

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Transaction", "transaction"]

_Kind = Literal["insert", "save", "delete"]


class Transaction:
    """Notes what is to be written, and writes it when the block ends without an exception: all of it or nothing.

    Nothing is held while the block runs. A row that is saved or deleted must still be as it was read, so that what the block has
    computed from it holds when it is written; otherwise the end of the block raises `RowChanged`, and the block can be run again.
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
    """
    return Transaction()
