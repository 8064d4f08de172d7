"""What an app, and a request, keep for the code that runs for them; and who is calling."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

__all__ = ["Address", "Claims", "State"]


class Address(NamedTuple):
    """Where a request comes from."""

    host: str
    """The IP address."""
    port: int
    """0 where it is not known."""


class State(dict[str, Any]):
    """Room for values by name, as attributes and as items: `state.pool` is `state["pool"]`.

    Subclasses say which there are: `class AppState(State): pool: Pool`. Values in such a class are what is read until others are set.
    """

    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {
            name: value
            for name, value in vars(cls).items()
            if not name.startswith("__") and not callable(value) and not hasattr(value, "__get__")
        }
        for name in own:
            # Else the class would answer before the item.
            delattr(cls, name)
        cls._defaults = {**cls._defaults, **own}

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        try:
            return self._defaults[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}; set it before it is read") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None


class Claims(dict[str, Any]):
    """What is known of the caller: the claims of its token, or those of its key or password.

    A parameter of this type asks for a caller who is known; one that is `Claims | None` is None without.
    """

    @property
    def sub(self) -> str | None:
        """Who the caller is."""
        return self.get("sub")

    @property
    def scopes(self) -> list[str]:
        """What the caller may do, from `scope`, `scp` and `scopes`."""
        found: list[str] = []
        for name in ("scope", "scp", "scopes"):
            given = self.get(name, ())
            found += given.split() if isinstance(given, str) else given
        return found
