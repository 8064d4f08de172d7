"""Classes of what is found out once, at registration, and read from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform, overload

__all__ = ["record"]

Cls = TypeVar("Cls", bound=type)


@overload
def record(cls: Cls, /) -> Cls: ...
@overload
def record(*, kw_only: bool = False) -> Callable[[Cls], Cls]: ...
@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def record(cls: Any = None, /, *, kw_only: bool = False) -> Any:
    """Makes a dataclass with slots that is itself alone when it is compared.

    It is frozen to type checkers only. An app makes thousands of them when it starts, and `frozen=True` makes each by a call of
    `object.__setattr__` for every field; what a dataclass has beside `__init__` is compiled for each class, which takes longer than the
    rest of its module.
    """
    made = dataclass(slots=True, eq=False, repr=False, kw_only=kw_only)

    def of(cls: Any) -> Any:
        cls = made(cls)
        if cls.__repr__ is object.__repr__:
            cls.__repr__ = _repr
        return cls

    return of if cls is None else of(cls)


def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"
