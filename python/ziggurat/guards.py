"""What is asked of a caller, decided in Rust: `layers.Jwt(require=[HasRole("staff")])`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._location import user_location
from .exceptions import ConfigError

__all__ = ["ClaimIs", "Guard", "HasRole", "HasScope"]


class Guard:
    """What is asked of a caller."""

    def to_spec(self) -> dict[str, Any]:
        """What is asked, as the native side reads it."""
        raise NotImplementedError

    def _check_text(self, what: str, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"guards.{type(self).__name__}: {what} is {value!r}",
                cure="give a text that is not empty",
                location=user_location(),
            )


@dataclass(frozen=True)
class HasScope(Guard):
    """The caller has this scope: in the `scope`, `scp` or `scopes` of its claims."""

    scope: str
    """The scope, as `notes:read`."""

    def __post_init__(self) -> None:
        self._check_text("the scope", self.scope)

    def to_spec(self) -> dict[str, Any]:
        return {"scope": self.scope}


@dataclass(frozen=True)
class HasRole(Guard):
    """The caller has this role: in the `roles`, `role` or `realm_access.roles` of its claims."""

    role: str
    """The role, as `editor`."""

    def __post_init__(self) -> None:
        self._check_text("the role", self.role)

    def to_spec(self) -> dict[str, Any]:
        return {"role": self.role}


@dataclass(frozen=True, init=False)
class ClaimIs(Guard):
    """A claim of the caller is one of these values, or is a list that holds one of them: `ClaimIs("tenant", "a", "b")`."""

    name: str
    """What the claim is called; `realm.tenant` is a claim within a claim."""
    values: tuple[str | int | bool, ...]
    """What it may be."""

    def __init__(self, name: str, *values: str | int | bool) -> None:
        self._check_text("the name of the claim", name)
        if not values or not all(isinstance(value, str | int | bool) for value in values):
            raise ConfigError(
                f"guards.ClaimIs: {name} is to be one of {list(values)!r}",
                cure="give at least one text, whole number or bool",
                location=user_location(),
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", values)

    def to_spec(self) -> dict[str, Any]:
        return {"claim": self.name, "is": list(self.values)}
