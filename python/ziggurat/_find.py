"""Searches for rows of a model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from .expressions import Predicate, tree_of

if TYPE_CHECKING:
    from . import _ziggurat
    from .models import Model

__all__ = ["Find"]

ModelT = TypeVar("ModelT", bound="Model")

PAGE = 100
"""Rows that are read at once."""


@dataclass(frozen=True, slots=True)
class Find(Generic[ModelT]):
    """The rows that hold: `async for user in User.find(User.age >= 18).sort("-age").limit(20)`.

    Each method gives a search of its own, and nothing is asked of the store before rows are. They are read in pages, the next one
    when the one before was taken: memory stays flat, however many there are, and no transaction stays open. Rows that are written
    meanwhile are seen as they were or as they became, and one comes twice only if a write moves it on in the order.
    """

    model: type[ModelT]
    predicates: tuple[Predicate, ...] = ()
    keys: tuple[str, ...] = ()
    skipped: int = 0
    most: int | None = None
    deleted: bool = False

    def where(self, *predicates: Predicate) -> Find[ModelT]:
        """Only rows for which these hold, too."""
        return replace(self, predicates=self.predicates + predicates)

    def sort(self, *names: str) -> Find[ModelT]:
        """In the order of these fields, `-` before one for largest first; null is smallest, and the id decides last."""
        return replace(self, keys=names)

    def offset(self, rows: int) -> Find[ModelT]:
        """Without the first `rows`, over which the store walks."""
        return replace(self, skipped=_number("offset", rows))

    def limit(self, rows: int) -> Find[ModelT]:
        """At most `rows`."""
        return replace(self, most=_number("limit", rows))

    def with_deleted(self) -> Find[ModelT]:
        """With rows that are marked as deleted (`DeletedAt`), which are left out otherwise."""
        return replace(self, deleted=True)

    def _rows(self) -> _ziggurat.Rows:
        rows = self.model._rows()
        return rows.with_deleted() if self.deleted else rows

    async def __aiter__(self) -> AsyncIterator[ModelT]:
        walk = self._rows().find(self._filter(), list(self.keys), self.skipped, self.most, PAGE)
        while (page := await walk.next()) is not None:
            for row in self.model._read_all(*page):
                yield row

    async def to_list(self) -> list[ModelT]:
        """All of them."""
        return [row async for row in self]

    async def first(self) -> ModelT | None:
        """The first, if there is one."""
        found = await self.limit(min(1, 1 if self.most is None else self.most)).to_list()
        return found[0] if found else None

    async def count(self) -> int:
        """How many hold, whatever `limit` and `offset` say."""
        count: int = await self._rows().count(self._filter())
        return count

    async def exists(self) -> bool:
        """Whether there is one."""
        return await self.first() is not None

    def _filter(self) -> str:
        trees = [tree_of(predicate) for predicate in self.predicates]
        return json.dumps(trees[0] if len(trees) == 1 else ["and", trees])


def _number(what: str, rows: int) -> int:
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
        raise ValueError(f"{what} is a number of rows, not {rows!r}")
    return rows
