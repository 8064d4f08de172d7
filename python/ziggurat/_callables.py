"""What can be told of a function before it is called."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ._param_markers import MISSING
from .exceptions import ConfigError

__all__ = ["Wrong", "describe_callable", "parameters_of", "spell"]

Wrong = Callable[[str, str], ConfigError]
"""Makes an error of what is wrong and its cure."""


def describe_callable(function: Callable[..., object]) -> tuple[str, str, Callable[..., object]]:
    """Name, `file:line` and the plain function of anything that can be called."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    if not (inspect.isfunction(target) or inspect.ismethod(target)):
        target = type(target).__call__ if not inspect.isclass(target) else target
    plain = inspect.unwrap(target)
    code = getattr(plain, "__code__", None)
    location = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    return name.rpartition("<locals>.")[2], location, target


def parameters_of(
    function: Callable[..., object], target: Any, localns: Mapping[str, object] | None, wrong: Wrong
) -> tuple[list[tuple[inspect.Parameter, Any, object]], Any]:
    """Each parameter with its annotation and default, and the return annotation; `MISSING` where there is none."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise wrong(f"its signature cannot be read ({error})", "wrap it in a function") from None
    try:
        hints = _hints(target, dict(localns or {}))
    except NameError as error:
        raise wrong(
            f"an annotation names {error.name!r}, which is not defined here",
            "import or define it before the handler, and not only for type checkers",
        ) from error
    bound = set(function.keywords) if isinstance(function, functools.partial) else set()
    found = []
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise wrong(f"{star}{parameter.name} cannot be filled", "name each parameter")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        found.append((parameter, hints.get(parameter.name, MISSING), default))
    return found, hints.get("return", MISSING)


def _hints(target: Any, localns: dict[str, object]) -> dict[str, Any]:
    if not inspect.isclass(target):
        return typing.get_type_hints(target, localns=localns, include_extras=True)
    # What makes an instance says what it needs: as a dataclass, by the annotations of the class.
    made_by = target.__init__ if target.__init__ is not object.__init__ else target.__new__
    found: dict[str, Any] = {}
    if any(hasattr(target, how) for how in ("__dataclass_fields__", "__attrs_attrs__", "__signature__")):
        found |= typing.get_type_hints(target, localns=localns, include_extras=True)
    if inspect.isfunction(made_by) and not made_by.__code__.co_filename.startswith("<"):
        found |= typing.get_type_hints(made_by, localns=localns, include_extras=True)
    found.pop("return", None)
    return found


def spell(annotation: Any) -> str:
    """As it is written."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
