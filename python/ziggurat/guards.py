"""What is asked of a caller, decided in Rust before anything is called.

Of a route: `@app.get("/", guards=[HasRole("staff")])`, `@app.crud(Note, guards=[Authenticated()])`. Of every route that does not say
`auth=PUBLIC`: `Ziggurat(guards=[...])`. Of every token: `layers.Jwt(require=[...])`. All of a list must hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ._location import user_location
from .exceptions import ConfigError
from .expressions import OfCaller

__all__ = ["Authenticated", "ClaimIs", "Guard", "HasRole", "HasScope"]


class Guard(OfCaller):
    """What is asked of a caller. A policy joins it to what is asked of rows: `(F.owner == Claim("sub")) | HasRole("staff")`."""

    def to_spec(self) -> dict[str, Any]:
        """What is asked, as the native side reads it; nothing is what it asks in any case."""
        raise NotImplementedError

    def _check_text(self, what: str, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"guards.{type(self).__name__}: {what} is {value!r}",
                cure="give a text that is not empty",
                location=user_location(),
            )


@dataclass(frozen=True)
class Authenticated(Guard):
    """The caller is known: by a token, a key or a password. What each other guard asks for as well."""

    def to_spec(self) -> dict[str, Any]:
        return {}


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


def checked(guards: object, what: str, location: str) -> tuple[Guard, ...]:
    """The guards of a route, or of all."""
    if isinstance(guards, str | Guard) or not isinstance(guards, Iterable):
        raise ConfigError(f"{what}: guards={guards!r} is no list", cure="write guards=[...]", location=location)
    found = tuple(guards)
    for guard in found:
        if not isinstance(guard, Guard):
            raise ConfigError(
                f"{what}: {guard!r} is no guard",
                cure='write one of Authenticated(), HasScope("..."), HasRole("...") and ClaimIs("...", "...")',
                location=location,
            )
    return found


def asked(scopes: Sequence[str] | None, guards: Sequence[Guard]) -> list[dict[str, Any]] | None:
    """What scopes and guards ask for together, each thing once; None is nothing at all."""
    if scopes is None and not guards:
        return None
    specs = [HasScope(scope).to_spec() for scope in scopes or ()] + [guard.to_spec() for guard in guards]
    return [spec for index, spec in enumerate(specs) if spec and spec not in specs[:index]]
