"""What the settings of all layers have in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ._location import user_location
from .exceptions import ConfigError

if TYPE_CHECKING:
    from ._ziggurat import LayerHandle

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "to_spec"):
        return value.to_spec()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


class Settings:
    """What all settings have in common."""

    def to_spec(self) -> dict[str, Any]:
        """The settings as the native side reads them; what was left out stays out."""
        assert dataclasses.is_dataclass(self)
        spec: dict[str, Any] = {}
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if value is not None:
                spec[setting.name] = _plain(value)
        return spec

    def _wrong(self, what: str, cure: str) -> ConfigError:
        return ConfigError(f"layers.{type(self).__name__}: {what}", cure=cure, location=user_location())

    def _freeze(self, field: str, *, allowed: Sequence[str] | None = None, empty: bool = True) -> None:
        """Replaces an iterable of strings by a tuple and checks its items."""
        value = getattr(self, field)
        if value is None:
            return
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise self._wrong(f"{field} must be a list of strings, not {value!r}", f"write {field}=[{value!r}]")
        items = tuple(value)
        for item in items:
            if not isinstance(item, str):
                raise self._wrong(f"{field} holds {item!r}, which is not a string", "give strings")
            if allowed is not None and item not in allowed:
                raise self._wrong(f"{field} holds {item!r}, which is not known", f"known are {', '.join(allowed)}")
        if len(set(items)) != len(items):
            raise self._wrong(f"{field} names something twice", "name each once")
        if not items and not empty:
            raise self._wrong(f"{field} is empty", "leave it out for the default, or name at least one")
        object.__setattr__(self, field, items)

    def _freeze_of(self, field: str, kinds: Any, example: str, *, empty: bool = True) -> None:
        """Replaces an iterable of settings by a tuple and checks their types."""
        value = getattr(self, field)
        if value is None:
            return
        if isinstance(value, str | kinds) or not isinstance(value, Iterable):
            raise self._wrong(f"{field} must be a list, not {value!r}", f"write {field}=[{example}]")
        items = tuple(value)
        for item in items:
            if not isinstance(item, kinds):
                raise self._wrong(f"{field} holds {item!r}", f"write {field}=[{example}]")
        if not items and not empty:
            raise self._wrong(f"{field} is empty", "leave it out for the default, or name at least one")
        object.__setattr__(self, field, items)

    def _check_choice(self, field: str, allowed: Sequence[str]) -> None:
        value = getattr(self, field)
        if value is not None and value not in allowed:
            raise self._wrong(f"{field}={value!r} is not known", f"known are {', '.join(allowed)}")

    def _check_int(self, field: str, low: int, high: int | None = None) -> None:
        value = getattr(self, field)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(f"{field}={value!r} is not a whole number", f"give a whole number from {low}")
        if value < low or (high is not None and value > high):
            span = f"from {low}" if high is None else f"from {low} to {high}"
            raise self._wrong(f"{field}={value!r} is out of range", f"give a whole number {span}")

    def _check_number(self, field: str, low: float, high: float) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(f"{field}={value!r} is not a number", "give seconds, as 2.5")
        if not low <= value <= high:
            raise self._wrong(f"{field}={value!r} is out of range", f"give seconds from {low} to {high}")

    def _check_bool(self, *fields: str) -> None:
        for field in fields:
            value = getattr(self, field)
            if not isinstance(value, bool):
                raise self._wrong(f"{field}={value!r} is not a bool", "give True or False")

    def _check_text(self, *fields: str) -> None:
        for field in fields:
            value = getattr(self, field)
            if value is not None and not isinstance(value, str):
                raise self._wrong(f"{field} must be a string, not {type(value).__name__}", "give a string")

    def _check_header(self, field: str, names: Iterable[str], wrong: str = "which is not a header name") -> None:
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise self._wrong(f"{field} holds {name!r}, {wrong}", "use letters, digits and '-'")


class Layer(Settings):
    """What every layer's settings have in common."""

    def to_spec(self) -> dict[str, Any]:
        """The settings as the native side reads them: `{"type": name, ...}`; what was left out stays out."""
        return {"type": self.name} | super().to_spec()

    @property
    def name(self) -> str:
        """As it stands in a printed stack."""
        return type(self).__name__

    def __getstate__(self) -> dict[str, Any]:
        # A copy is another object, which no app has, and of which nothing was said.
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def _bind(self, handle: LayerHandle) -> None:
        """From now on these settings reach what an app has built of them, for as long as that lives."""
        self.__dict__.setdefault("_handles", WeakSet()).add(handle)

    def _living(self) -> list[LayerHandle]:
        """What apps have built of these settings: of each app one."""
        return list(self.__dict__.get("_handles", ()))

    def _built(self) -> list[LayerHandle]:
        """As `_living`, where there has to be one."""
        handles = self._living()
        if not handles:
            raise RuntimeError(
                f"layers.{self.name}: no app that was built has this object; give it to one, and build or start that before"
            )
        return handles
