"""Who may see and write which rows of a native CRUD resource."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .expressions import Expression, FieldPath, OfCaller, Rule, tree_of

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Which rows a caller may see and write: `Policy(read=(F.owner == Claim("sub")) | F.public, write=F.owner == Claim("sub"))`.

    `read` says which rows there are for a caller; the others are answered 404. `write` says which of these may be changed, and what
    they may become; it is `read` unless given. `create` says which may be made; it is `write` unless given. Where a rule
    for making demands that a field equals a claim, the field is set from it and may be left out of the body. True is every row,
    False none. Guards say what the caller is like: `(F.owner == Claim("sub")) | HasRole("staff")`.

    It is decided in Rust, as a part of what the store is asked for: there is no moment between the check and the act.
    """

    read: Rule = True
    write: Rule | None = None
    create: Rule | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            rule = getattr(self, field.name)
            if not isinstance(rule, Expression | FieldPath | OfCaller | bool) and not (
                rule is None and field.name != "read"
            ):
                raise TypeError(
                    f"{field.name} is {rule!r}: write a predicate over fields, as F.owner == Claim('sub'), or a bool"
                )

    def to_spec(self) -> dict[str, Any]:
        """The rules as the native side reads them; what was left out stays out."""
        rules = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: tree_of(rule) for name, rule in rules if rule is not None}
