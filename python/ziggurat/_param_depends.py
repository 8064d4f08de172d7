"""`Depends`: what a handler is given that a function makes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ._elsewhere import is_elsewhere, written_here
from ._location import user_location
from .exceptions import ConfigError

__all__ = ["Dependency", "DependencyOverrides", "Depends", "Scope", "checked"]

Scope = Literal["function", "request"]
"""When what yields is cleaned up: before the answer is sent, or after it."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """What `Depends` gives."""

    dependency: Callable[..., Any] | None
    use_cache: bool
    thread: bool
    scope: Scope


def Depends(
    dependency: Callable[..., Any] | None = None,
    *,
    use_cache: bool = True,
    thread: bool = False,
    scope: Scope = "request",
) -> Any:
    """Has a parameter made by `dependency`: `user: Annotated[User, Depends(current_user)]`, or `user: User = Depends(current_user)`.

    `dependency` is a function, a class or anything else that can be called; without one it is the type of the parameter. It takes
    parameters as a handler does, other dependencies among them. It may be `async`. If it yields, what follows the `yield` runs when the
    answer has been sent; what the handler raised is raised at the `yield`.

    It is called once in a request, whoever asks for it, unless `use_cache` is False. A `def` runs where the handler does: on the
    loop for `async def`, where it must not block, on a thread for `def`. With `thread` it runs on a thread in any case.

    With `scope="function"` what follows the `yield` runs when the handler has returned, and before its answer is sent: what it raises is
    answered in its place, as when a transaction cannot be committed.
    """
    if scope not in get_args(Scope):
        raise ConfigError(
            f"Depends: scope is {scope!r}", cure='write "function" or "request"', location=user_location()
        )
    return Dependency(dependency, use_cache, thread, scope)


class DependencyOverrides(dict[Callable[..., Any], Callable[..., Any]]):
    """What stands in for dependencies, as tests want; `changed` is called after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def __setitem__(self, dependency: Callable[..., Any], override: Callable[..., Any]) -> None:
        before = dict(self)
        super().__setitem__(dependency, override)
        self._tell(before)

    def __delitem__(self, dependency: Callable[..., Any]) -> None:
        before = dict(self)
        super().__delitem__(dependency)
        self._tell(before)

    def update(self, *args: Any, **kwargs: Any) -> None:
        before = dict(self)
        super().update(*args, **kwargs)
        self._tell(before)

    def __ior__(self, other: Any) -> DependencyOverrides:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, dependency: Callable[..., Any], override: Any = None) -> Any:
        if dependency not in self:
            self[dependency] = override
        return self[dependency]

    def pop(self, dependency: Callable[..., Any], *default: Any) -> Any:
        before = dict(self)
        taken = super().pop(dependency, *default)
        self._tell(before)
        return taken

    def popitem(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        before = dict(self)
        taken = super().popitem()
        self._tell(before)
        return taken

    def clear(self) -> None:
        before = dict(self)
        super().clear()
        self._tell(before)

    def replace(self, others: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        """Has others stand in, and no more of those before."""
        before = dict(self)
        # It may be these themselves.
        wanted = dict(others)
        super().clear()
        super().update(wanted)
        self._tell(before)

    def _tell(self, before: dict[Callable[..., Any], Callable[..., Any]]) -> None:
        if before == self:
            return
        try:
            self._changed()
        except BaseException:
            # Nothing stands in that cannot.
            super().clear()
            super().update(before)
            raise


def checked(dependencies: object, what: str, location: str) -> tuple[Dependency, ...]:
    """The dependencies of an app, a router or a route."""
    if isinstance(dependencies, Dependency) or not isinstance(dependencies, Iterable):
        raise ConfigError(
            f"{what}: dependencies={dependencies!r} is no list",
            cure="write dependencies=[Depends(...)]",
            location=location,
        )
    found = tuple(dependencies)
    for each in found:
        if is_elsewhere(type(each)):
            told, cure = written_here(type(each))
            raise ConfigError(f"{what}: dependencies has {told}", cure=cure, location=location)
        if not isinstance(each, Dependency) or each.dependency is None:
            raise ConfigError(
                f"{what}: {each!r} is no dependency", cure="write dependencies=[Depends(function)]", location=location
            )
    return found
