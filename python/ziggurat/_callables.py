"""What can be told of a function before it is called."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

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


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    by_name: bool
    """Whether it is given by its name alone."""
    default: object
    """`MISSING` where there is none."""
    annotation: Any = MISSING
    """`MISSING` where there is none."""


def parameters_of(
    function: Callable[..., object], target: Any, localns: Mapping[str, object] | None, wrong: Wrong
) -> tuple[list[Parameter], Any]:
    """The parameters with what they are annotated with, and the return annotation, `MISSING` where there is none."""
    if isinstance(function, types.FunctionType) and not function.__dict__ and not _is_variadic(function):
        parameters = list(_plain(function))
    else:
        parameters = list(_parameters(function, wrong))
    try:
        hints = _hints(target, dict(localns or {}))
    except NameError as error:
        raise wrong(
            f"an annotation names {error.name!r}, which is not defined here",
            "import or define it before the handler, and not only for type checkers",
        ) from error
    found = [each._replace(annotation=hints.get(each.name, MISSING)) for each in parameters]
    return found, hints.get("return", MISSING)


def _is_variadic(function: types.FunctionType) -> bool:
    return bool(function.__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))


def _plain(function: types.FunctionType) -> Iterator[Parameter]:
    """What `inspect` finds of a function that nothing wraps, which takes it ten times as long."""
    code, by_name = function.__code__, function.__kwdefaults__ or {}
    names, defaults = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], function.__defaults__ or ()
    required = code.co_argcount - len(defaults)
    for place, name in enumerate(names):
        if place >= code.co_argcount:
            yield Parameter(name, True, by_name.get(name, MISSING))
        else:
            yield Parameter(name, False, defaults[place - required] if place >= required else MISSING)


def _parameters(function: Callable[..., object], wrong: Wrong) -> Iterator[Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise wrong(f"its signature cannot be read ({error})", "wrap it in a function") from None
    bound = set(function.keywords) if isinstance(function, functools.partial) else set()
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise wrong(f"{star}{parameter.name} cannot be filled", "name each parameter")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        # A partial that binds by name makes what follows keyword-only, which `signature` reflects.
        yield Parameter(parameter.name, parameter.kind is parameter.KEYWORD_ONLY, default)


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
