"""Predicates over the fields of rows: `(F.owner == Claim("sub")) | F.public`.

They are written with Python's operators, once, and are decided natively: what stands here only describes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NoReturn, TypeAlias
from uuid import UUID

__all__ = ["Claim", "Expression", "F", "FieldPath", "OfCaller", "Operand", "Predicate", "Rule"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the caller's token says: `Claim("sub")`, or with dots what is inside of a claim: `Claim("org.id")`.

    A caller who does not have it is let through by no comparison with it, and by none that is negated. As a default factory it is what a
    field of a new row holds that is left out: `made_by: Annotated[str, ReadOnly] = Field(default_factory=Claim("sub"))`.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"a claim is called by its name, as Claim('sub'), not by {self.name!r}")

    def __call__(self) -> Any:
        """As the default factory of a field it is filled in natively for clients; code has no caller."""
        raise TypeError(f"there is no caller whose {self.name} could be taken; give the field a value")


Operand: TypeAlias = (
    bool | int | float | Decimal | str | UUID | datetime | date | time | timedelta | Enum | Claim | None
)
"""What a field is compared with; datetimes say their offset."""


class _Joinable:
    """What `&`, `|` and `~` make predicates of."""

    __slots__ = ()

    def __and__(self, other: Joined) -> Expression:
        return _joined("and", self, other)

    def __or__(self, other: Joined) -> Expression:
        return _joined("or", self, other)

    def __invert__(self) -> Expression:
        return Expression(["not", tree_of(self)])

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a predicate is neither true nor false before there is a row: join two with & or |, not with and, or, "
            "or a chain as 1 < F.age < 9, and negate with ~"
        )


class Expression(_Joinable):
    """A predicate, which `&`, `|` and `~` join to others."""

    __slots__ = ("_tree",)

    def __init__(self, tree: list[Any] | bool) -> None:
        self._tree = tree

    def __repr__(self) -> str:
        return f"<Expression {self._tree}>"


def _joined(word: str, left: _Joinable, right: Joined) -> Expression:
    if not isinstance(right, _Joinable):
        return NotImplemented
    parts: list[Any] = []
    for side in (left, right):
        tree = tree_of(side)
        # A row of `|` stays one level deep.
        parts += tree[1] if isinstance(tree, list) and tree[0] == word else [tree]
    return Expression([word, parts])


class FieldPath(_Joinable):
    """A field of a row, or of a model in it: `F.owner`, `F.home.city`. Alone it stands for a bool that is true.

    A field that is called like a method of this class is written `F["has"]`.
    """

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]  # `==` makes a predicate.

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> FieldPath:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> FieldPath:
        if not isinstance(name, str):
            raise TypeError(f"fields are named by text, not by {name!r}")
        return FieldPath(f"{self._name}.{name}")

    def __repr__(self) -> str:
        return f"F.{self._name}"

    def __eq__(self, other: Operand) -> Expression:  # type: ignore[override]
        return self.is_null() if other is None else self._compare("eq", other)

    def __ne__(self, other: Operand) -> Expression:  # type: ignore[override]
        return ~self.is_null() if other is None else self._compare("ne", other)

    def __lt__(self, other: Operand) -> Expression:
        return self._compare("lt", other)

    def __le__(self, other: Operand) -> Expression:
        return self._compare("le", other)

    def __gt__(self, other: Operand) -> Expression:
        return self._compare("gt", other)

    def __ge__(self, other: Operand) -> Expression:
        return self._compare("ge", other)

    def _compare(self, operator: str, other: Operand) -> Expression:
        return Expression(["compare", self._name, operator, _operand(self, other)])

    def in_(self, values: Iterable[Operand] | Claim) -> Expression:
        """Holds where the field is one of `values`; a claim that is a list gives all of its items."""
        return Expression(["in", self._name, _operands(self, values)])

    def has(self, *values: Operand) -> Expression:
        """Holds where a list has one of `values`; a claim that is a list gives all of its items."""
        return Expression(["has", self._name, _operands(self, values)])

    def has_key(self, name: str) -> Expression:
        """Holds where a dict has an entry of this name."""
        if not isinstance(name, str):
            raise TypeError(f"{self!r} is asked for a key, which is a str, not {name!r}")
        return Expression(["has_key", self._name, name])

    def is_null(self) -> Expression:
        """Holds where there is no value."""
        return Expression(["null", self._name])

    @property
    def length(self) -> Length:
        """The number of items of a list, to be compared: `F.tags.length >= 2`."""
        return Length(self._name)

    def like(self, pattern: str) -> Expression:
        """Holds where a text is `pattern`, in which `*` is any text."""
        return self._like(pattern.split("*"), fold=False)

    def ilike(self, pattern: str) -> Expression:
        """As `like`, with small and capital letters taken for the same."""
        return self._like(pattern.split("*"), fold=True)

    def iequals(self, text: str) -> Expression:
        """Holds where a text is `text`, with small and capital letters taken for the same: as `ilike`, but a star is a star. Found by the index
        of `Indexed(unique=True, case_insensitive=True)`."""
        return self._like([text], fold=True)

    def startswith(self, text: str) -> Expression:
        """Holds where a text begins with `text`."""
        return self._like([text, ""], fold=False)

    def endswith(self, text: str) -> Expression:
        """Holds where a text ends with `text`."""
        return self._like(["", text], fold=False)

    def contains(self, text: str) -> Expression:
        """Holds where `text` is somewhere in a text."""
        return self._like(["", text, ""], fold=False)

    def _like(self, parts: list[str], *, fold: bool) -> Expression:
        return Expression(["like", self._name, parts, fold])


class OfCaller(_Joinable):
    """What is asked of the caller, and holds for every row or for none."""

    def to_spec(self) -> dict[str, Any]:
        """What is asked, as the native side reads it; each of `guards` says so itself."""
        raise NotImplementedError


class Length:
    """The number of items of a list."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: int) -> Expression:  # type: ignore[override]
        return self._compare("eq", other)

    def __ne__(self, other: int) -> Expression:  # type: ignore[override]
        return self._compare("ne", other)

    def __lt__(self, other: int) -> Expression:
        return self._compare("lt", other)

    def __le__(self, other: int) -> Expression:
        return self._compare("le", other)

    def __gt__(self, other: int) -> Expression:
        return self._compare("gt", other)

    def __ge__(self, other: int) -> Expression:
        return self._compare("ge", other)

    def _compare(self, operator: str, other: int) -> Expression:
        if isinstance(other, bool) or not isinstance(other, int) or other < 0:
            raise TypeError(f"a length is compared with a number of items, not with {other!r}")
        return Expression(["length", self._name, operator, other])


Predicate: TypeAlias = Expression | FieldPath | bool
"""What may be asked of rows: True is every row, False none."""
Rule: TypeAlias = Predicate | OfCaller
"""What may be asked of rows and of the caller."""
Joined: TypeAlias = Expression | FieldPath | OfCaller
"""What `&` and `|` join."""


class _Fields:
    """Names fields: `F.owner`, or `F["owner"]`."""

    def __getattr__(self, name: str) -> FieldPath:
        if name.startswith("_"):
            raise AttributeError(name)
        return FieldPath(name)

    def __getitem__(self, name: str) -> FieldPath:
        if not isinstance(name, str):
            raise TypeError(f"fields are named by text, not by {name!r}")
        return FieldPath(name)

    def __repr__(self) -> str:
        return "F"


F: Final = _Fields()
"""The fields of the rows that a predicate is about: `F.owner == Claim("sub")`."""


def tree_of(predicate: Rule | _Joinable) -> list[Any] | bool:
    """The predicate as the native side reads it."""
    if isinstance(predicate, bool):
        return predicate or ["not", True]
    if isinstance(predicate, OfCaller):
        return ["caller", predicate.to_spec()]
    if not isinstance(predicate, Expression | FieldPath):
        raise TypeError(f"{predicate!r} is no predicate: write one over fields, as F.age >= 18")
    if isinstance(predicate, FieldPath):
        return (predicate == True)._tree  # noqa: E712
    return predicate._tree


def duration_text(value: timedelta) -> str:
    """ISO 8601, to the microsecond."""
    seconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    return f"{'-' if value < timedelta() else ''}PT{seconds}.{microseconds:06}S"


def _operands(field: FieldPath, values: Iterable[Operand] | Claim) -> list[dict[str, Any]]:
    if isinstance(values, Claim):
        values = [values]
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{field!r} is looked for among several values, as in_([1, 2]), not in {values!r}")
    return [_operand(field, value) for value in values]


def _operand(field: FieldPath, value: Operand) -> dict[str, Any]:
    if isinstance(value, Claim):
        return {"claim": value.name}
    plain: object = value.value if isinstance(value, Enum) else value
    if isinstance(plain, datetime | date | time):
        plain = plain.isoformat()
    elif isinstance(plain, UUID | Decimal):
        plain = str(plain)
    elif isinstance(plain, timedelta):
        plain = duration_text(plain)
    if isinstance(plain, bool | int | float | str):
        return {"value": plain}
    if isinstance(value, FieldPath):
        raise TypeError(f"{field!r} cannot be compared with another field, {value!r}")
    raise TypeError(f"{field!r} cannot be compared with {value!r}, which is no single value")
