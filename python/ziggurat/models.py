"""The models of native CRUD."""

from __future__ import annotations

import functools
import os
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias, dataclass_transform, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter
from pydantic_core import to_json

from ._find import Find
from .exceptions import ConfigError
from .expressions import FieldPath, Predicate

if TYPE_CHECKING:
    from . import _ziggurat

__all__ = [
    "Access",
    "CreatedAt",
    "DeletedAt",
    "Deletion",
    "Hidden",
    "Immutable",
    "Indexed",
    "Micro",
    "Model",
    "ObjectId",
    "ReadOnly",
    "Ref",
    "Renewed",
    "Stored",
    "UnsupportedModelError",
    "UpdatedAt",
    "WriteOnly",
    "now",
    "object_id",
    "token",
    "uuid7",
]


if TYPE_CHECKING:
    # What is computed is no base class to a type checker.
    from pydantic._internal._model_construction import ModelMetaclass as _PydanticMetaclass
else:
    _PydanticMetaclass = type(BaseModel)


# The fields are the arguments of `__init__` to type checkers, which look at the metaclass itself and not at what it derives from.
@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class ModelMetaclass(_PydanticMetaclass):
    """Makes `User.age >= 18` a predicate over the rows of `User`."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            if name in cls.__dict__.get("__pydantic_fields__", ()) and not _pydantic_asks():
                return FieldPath(name)
            return super().__getattr__(name)


def _pydantic_asks() -> bool:
    """Whether pydantic looks for attributes of a class that a field of a new one would hide."""
    module: str = sys._getframe(2).f_globals.get("__name__", "")
    return module.startswith("pydantic.")


class Model(BaseModel, metaclass=ModelMetaclass):
    """A pydantic model that refuses unknown fields and writes bytes as base64, in Python as in native CRUD, and whose rows Python code reads and writes.

    Any pydantic model can be served. This one says what it does with unknown fields (write
    `model_config = ConfigDict(extra="ignore")` to leave them out instead), and once an app with a store serves or keeps it,
    its rows are at hand: `await User.get(id)`, `User.find(User.age >= 18)`, `await User(...).insert()`, `await user.save()`.

    Code is no client: it sees and sets every field, and no policy stands before it. What it writes is checked by the rules of the
    model nevertheless, and what is read is an instance that pydantic has checked.
    """

    __slots__ = ("__ziggurat_version__",)

    model_config = ConfigDict(extra="forbid", val_json_bytes="base64", ser_json_bytes="base64")

    @classmethod
    async def get(cls, id: Any) -> Self | None:
        """The row with this id, or None."""
        row = await cls._rows().get(to_json(id))
        return None if row is None else cls._read(*row)

    @classmethod
    def find(cls, *predicates: Predicate) -> Find[Self]:
        """The rows for which all `predicates` hold: `User.find(User.age >= 18, User.name != "Ada")`."""
        return Find(cls, predicates)

    @classmethod
    async def insert_many(cls, rows: Iterable[Self]) -> None:
        """Adds all rows or none. On MongoDB that needs a replica set.

        Raises:
            DuplicateValue: another row has the same id, or the same values in a field, or fields together, that are unique.
        """
        rows = list(rows)
        stored = await cls._rows().insert_all([row._written() for row in rows])
        for row, (version, document) in zip(rows, stored, strict=True):
            row._become(version, document)

    async def insert(self) -> Self:
        """Adds this as a new row, and gives it back as it is kept.

        Raises:
            DuplicateValue: another row has the same id, or the same values in a field, or fields together, that are unique.
            InvalidRow: it breaks the rules of the model, as it may after assignments.
        """
        return self._become(*await self._rows().insert(self._written()))

    async def save(self) -> Self:
        """Writes this in the place of the row that it was read from, if that is still as it was read.

        Raises:
            RowChanged: others have written it since.
            RowNotFound: it is not there any more.
            DuplicateValue: as `insert`.
            InvalidRow: as `insert`, and when the shard key is another one than it was.
        """
        return self._become(*await self._rows().replace(self._written(), self._version()))

    async def delete(self) -> None:
        """Removes the row that this was read from, if that is still as it was read; where the model has a `DeletedAt`, marks it as
        deleted.

        Raises:
            RowChanged: others have written it since.
            RowNotFound: it is not there any more.
        """
        await self._rows().delete(to_json(self.id), self._version(), self._shard())  # type: ignore[attr-defined]
        object.__delattr__(self, "__ziggurat_version__")

    async def purge(self) -> None:
        """Removes the row that this was read from, marked as deleted or not, if that is still as it was read.

        Raises:
            RowChanged, RowNotFound: as `delete`.
        """
        await self._rows().purge(to_json(self.id), self._version(), self._shard())  # type: ignore[attr-defined]
        object.__delattr__(self, "__ziggurat_version__")

    @classmethod
    def _rows(cls) -> _ziggurat.Rows:
        rows: _ziggurat.Rows | None = cls.__dict__.get("__ziggurat_rows__")
        if rows is None:
            raise ConfigError(
                f"no app keeps rows of {cls.__name__}",
                cure="serve it with @app.crud, or name it in app.keep(), and build the app first",
            )
        return rows

    @classmethod
    def _read(cls, version: int, document: bytes) -> Self:
        row = cls.model_validate_json(document)
        object.__setattr__(row, "__ziggurat_version__", version)
        return row

    @classmethod
    def _read_all(cls, documents: bytes, versions: list[int]) -> list[Self]:
        rows: list[Self] = _list_of(cls).validate_json(documents)
        for row, version in zip(rows, versions, strict=True):
            object.__setattr__(row, "__ziggurat_version__", version)
        return rows

    def _written(self) -> bytes:
        return self.__pydantic_serializer__.to_json(self)

    def _become(self, version: int, document: bytes) -> Self:
        """Takes what was kept: a store cuts times to the millisecond, and each write renews what is renewed."""
        kept = type(self).model_validate_json(document)
        object.__setattr__(self, "__dict__", kept.__dict__)
        object.__setattr__(self, "__ziggurat_version__", version)
        return self

    def _version(self) -> int:
        version: int | None = getattr(self, "__ziggurat_version__", None)
        if version is None:
            raise ValueError(f"this {type(self).__name__} was not read from the store: insert() it first")
        return version

    def _shard(self) -> bytes | None:
        """What the shard key holds, if the model has one beside the id."""
        key = self._rows().shard_key
        return None if key is None else to_json(getattr(self, key))

    def __getstate__(self) -> dict[Any, Any]:
        return super().__getstate__() | {"__ziggurat_version__": getattr(self, "__ziggurat_version__", None)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        version = state.pop("__ziggurat_version__")
        super().__setstate__(state)
        if version is not None:
            object.__setattr__(self, "__ziggurat_version__", version)

    def __copy__(self) -> Self:
        return self._with_version(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._with_version(super().__deepcopy__(memo))

    def _with_version(self, copy: Self) -> Self:
        version = getattr(self, "__ziggurat_version__", None)
        if version is not None:
            object.__setattr__(copy, "__ziggurat_version__", version)
        return copy


def bind(model: type[BaseModel], rows: _ziggurat.Rows) -> None:
    """Gives a model its rows: those of the app that was built last."""
    if issubclass(model, Model):
        type.__setattr__(model, "__ziggurat_rows__", rows)


@functools.cache
def _list_of(model: type[Model]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


@dataclass(frozen=True, slots=True)
class Indexed:
    """Keeps an index over a field: `email: Annotated[str, Indexed(unique=True)]`."""

    unique: bool = False
    """No two rows may hold the same value; rows that hold null do not count."""
    case_insensitive: bool = False
    """With `unique`, of a text: small and capital letters are the same. `ilike` without a star finds it by the index."""
    sparse: bool = False
    """Rows that hold null are not in it, which saves space where most do. On MongoDB it has no effect, as nulls are kept as values."""
    ttl: timedelta | int | None = None
    """Of a datetime: so long after it, in whole seconds, a row is removed, within about a minute."""
    unique_with: str | tuple[str, ...] = ()
    """No two rows may hold the same value here and in these fields as well: `place: Annotated[int, Indexed(unique_with="shelf")]` keeps
    one row at each place of a shelf. Rows that hold null in one of them do not count. The index begins with the fields that are named and
    ends with this one; one over this field alone, or another rule, is a second `Indexed`."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Says that a field holds the id of a row of another model, or a list of them: `author: Annotated[UUID, Ref(Author)]`.

    Clients may then ask for the rows in the place of their ids with `?expand=author`. A model that is declared later, or the one that the
    field is of, is given by its name. `Ref[Author]` is short for `Annotated` with the type of the id, which type checkers do not know.
    """

    model: type[Any] | str

    def __class_getitem__(cls, model: type[Any]) -> Any:
        return Annotated[get_type_hints(model, include_extras=True)["id"], cls(model)]

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.model if isinstance(self.model, str) else self.model.__name__


class Access(Enum):
    """What clients may do with a field: `role: Annotated[str, ReadOnly] = "reader"`.

    A PUT that leaves a marked field out keeps what the row has, so that a row which was read can be sent back as it came.
    """

    ReadOnly = "read_only"
    """They see it; the server sets it."""
    Immutable = "immutable"
    """They set it when they make the row, and not later. `Field(frozen=True)` says the same."""
    WriteOnly = "write_only"
    """They set it and never see it: it is in no answer, and nothing is filtered or sorted by it."""
    Hidden = "hidden"
    """For them there is no such field."""
    Renewed = "renewed"
    """Each write of the row makes its default anew; together with ReadOnly or Hidden."""
    Deletion = "deletion"
    """It holds when the row was deleted, so that rows are marked instead of removed; together with ReadOnly or Hidden."""


ReadOnly: Final = Access.ReadOnly
Immutable: Final = Access.Immutable
WriteOnly: Final = Access.WriteOnly
Hidden: Final = Access.Hidden
Renewed: Final = Access.Renewed
Deletion: Final = Access.Deletion


class Precision(Enum):
    """How exactly a datetime is kept: to the millisecond, as MongoDB does, unless it is marked: `at: Annotated[datetime, Micro]`."""

    Micro = "micro"
    """To the microsecond, as Python has it. MongoDB keeps an integer then, which does not expire."""


Micro: Final = Precision.Micro


@dataclass(frozen=True, slots=True)
class Stored:
    """How MongoDB keeps a field where other programs want it so. Nothing else differs.

    - `born: Annotated[date, Stored("datetime")]` is a datetime there, the midnight in UTC with which the day begins, and not a
      text.
    - `id: Annotated[UUID, Stored("pythonLegacy")]` is binary of the legacy subtype 3 there, in the order of bytes in which PyMongo
      wrote it (`javaLegacy`, `csharpLegacy`: as the drivers of these languages did), and not of subtype 4.
    """

    kind: Literal["datetime", "pythonLegacy", "javaLegacy", "csharpLegacy"]


class UnsupportedModelError(ConfigError):
    """A model asks for something that native CRUD cannot honour.

    `problems` names every offending field with what is wrong and what to write instead.
    """

    def __init__(self, model: str, problems: list[str], *, location: str | None = None) -> None:
        self.problems = tuple(problems)
        what = f"{model} cannot be served natively:" + "".join(f"\n  {problem}" for problem in problems)
        super().__init__(what, location=location)


def now() -> datetime:
    """The current time in UTC: `Field(default_factory=now)` is filled in natively."""
    return datetime.now(UTC)


def object_id() -> str:
    """A new ObjectId: `Field(default_factory=object_id)` is filled in natively."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"


@dataclass(frozen=True, slots=True)
class token:
    """A text that nobody guesses, made of so many random bytes, 16 to 256: `key: str = Field(default_factory=token(32))` is filled in natively."""

    bytes: int = 32

    def __post_init__(self) -> None:
        if isinstance(self.bytes, bool) or not isinstance(self.bytes, int) or not 16 <= self.bytes <= 256:
            raise ValueError(f"a token is made of 16 to 256 bytes, not of {self.bytes!r}")

    def __call__(self) -> str:
        # It brings much of the standard library with it, for what few models have.
        import secrets

        return secrets.token_urlsafe(self.bytes)


def uuid7() -> uuid.UUID:
    """A new UUID that sorts by its time (RFC 9562): `Field(default_factory=uuid7)` is filled in natively."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return uuid.UUID(int=value)


OBJECT_ID: Final = "^(?P<ObjectId>[0-9a-f]{24})$"
"""What tells an ObjectId from other texts."""

ObjectId: TypeAlias = Annotated[str, Field(pattern=OBJECT_ID)]
"""An ObjectId of MongoDB, as a text of 24 hexadecimal digits: `id: ObjectId`. MongoDB keeps it as such, SQLite as that text."""

CreatedAt: TypeAlias = Annotated[datetime, ReadOnly, Field(default_factory=now)]
"""When a row was made: `created_at: CreatedAt`. The server sets it."""

DeletedAt: TypeAlias = Annotated[datetime | None, ReadOnly, Deletion, Field(default=None)]
"""When a row was deleted: `deleted_at: DeletedAt`. Rows of such a model are marked instead of removed, and are not there for clients, nor
for code that does not ask for them."""

UpdatedAt: TypeAlias = Annotated[datetime, ReadOnly, Renewed, Field(default_factory=now)]
"""When a row was written last: `updated_at: UpdatedAt`. The server sets it."""
