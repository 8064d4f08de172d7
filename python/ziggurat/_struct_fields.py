"""Which fields of `msgspec.Struct`s are written, where a route says so: by the words and the rules that pydantic has for its models."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, Union, get_args, get_origin

import msgspec

from ._selection import ALL, Tree, kept, tree_of
from .exceptions import ConfigError

if TYPE_CHECKING:
    from ._returns import Options

__all__ = ["shown", "struct_of"]

_FACTORIES = (list, dict, set)

Field: TypeAlias = tuple[str, str, Callable[[Any], bool], Callable[[Any], bool]]
"""Its name, its name in JSON, and whether a value is left out by the class, or is its default."""


def shown(model: Any, options: Options, name: str, location: str) -> Callable[[Any], Any]:
    """Gives what is to be encoded in place of a value that is of `model`. Raises `ConfigError` for what cannot be meant."""
    wrong = _Wrong(name, location)
    if options.exclude_unset:
        raise wrong(
            "response_model_exclude_unset is not for a msgspec.Struct, which does not know what was set",
            "say response_model_exclude_defaults=True, or have UNSET as the default of a field",
        )
    include = True if options.include is None else tree_of(options.include, wrong.selection("include"))
    exclude = False if options.exclude is None else tree_of(options.exclude, wrong.selection("exclude"))
    struct = struct_of(model)
    if struct is not None:
        if struct.__struct_config__.array_like and (include is not True or exclude is not False):
            raise wrong(
                f"{struct.__name__} is written as an array (array_like=True), whose fields have no names",
                "leave out which are written, or the array_like",
            )
        for option, tree in (("include", include), ("exclude", exclude)):
            for key in tree if isinstance(tree, dict) else ():
                if key != ALL and key not in struct.__struct_fields__:
                    raise wrong(
                        f"response_model_{option} names {key!r}, which {struct.__name__} does not have",
                        f"choose from {', '.join(struct.__struct_fields__)}",
                    )
    walk = _Walk(options)
    return lambda value: walk(value, include, exclude)


def struct_of(model: Any) -> type[msgspec.Struct] | None:
    """The one Struct that a value is of, unless it is None."""
    if get_origin(model) in (Union, types.UnionType):
        left = [each for each in get_args(model) if each is not types.NoneType]
        return struct_of(left[0]) if len(left) == 1 else None
    kind = get_origin(model) or model
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


class _Wrong:
    """Makes the error of a route."""

    def __init__(self, name: str, location: str) -> None:
        self._name, self._location = name, location

    def __call__(self, what: str, cure: str) -> ConfigError:
        return ConfigError(f"{self._name}: {what}", cure=cure, location=self._location)

    def selection(self, option: str) -> Callable[[object], Tree]:
        """Raises it for what is no selection of fields."""

        def raises(given: object) -> Tree:
            raise self(
                f"response_model_{option} has {given!r}, which says of no field whether it is meant",
                "give names in a set, or in a dict with True or with what is meant of each",
            )

        return raises


# What is written


class _Walk:
    """Makes dicts of Structs, with the fields that are to be there."""

    def __init__(self, options: Options) -> None:
        self._none, self._defaults, self._by_alias = options.exclude_none, options.exclude_defaults, options.by_alias
        # Without these what is wanted as a whole is left to the encoder.
        self._everywhere = self._none or self._defaults or not self._by_alias
        self._fields: dict[type[Any], list[Field]] = {}

    def __call__(self, value: Any, include: Tree, exclude: Tree) -> Any:
        if include is True and exclude is False and not self._everywhere:
            return value
        kind = type(value)
        if isinstance(value, msgspec.Struct):
            return value if kind.__struct_config__.array_like else self._fielded(value, include, exclude)
        if dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__"):
            return self._fielded(value, include, exclude)
        if kind is dict:
            return {key: self(each, *inner) for key, each in value.items() if (inner := kept(include, exclude, key))}
        if kind in (list, tuple):
            of = len(value)
            return [self(each, *inner) for at, each in enumerate(value) if (inner := kept(include, exclude, at, of))]
        if kind in (set, frozenset):
            # Of no order, so that nothing in it can be named.
            return [self(each, True, False) for each in value]
        return value

    def _fielded(self, value: Any, include: Tree, exclude: Tree) -> dict[str, Any]:
        config = getattr(value, "__struct_config__", None)
        made: dict[str, Any] = {} if config is None or config.tag is None else {config.tag_field: config.tag}
        for name, written, is_omitted, is_default in self._fields_of(type(value)):
            each = getattr(value, name)
            if each is msgspec.UNSET or (self._none and each is None):
                continue
            if is_omitted(each) or (self._defaults and is_default(each)):
                continue
            if inner := kept(include, exclude, name):
                made[written if self._by_alias else name] = self(each, *inner)
        return made

    def _fields_of(self, kind: type[Any]) -> list[Field]:
        if kind not in self._fields:
            self._fields[kind] = [*(_of_struct if issubclass(kind, msgspec.Struct) else _of_class)(kind)]
        return self._fields[kind]


def _of_struct(kind: type[msgspec.Struct]) -> Iterator[Field]:
    omits = kind.__struct_config__.omit_defaults
    for field in msgspec.structs.fields(kind):
        default, factory = field.default, field.default_factory
        is_omitted = _as_msgspec_omits(default, factory) if omits else _never
        yield field.name, field.encode_name, is_omitted, _equals(default, factory)


def _of_class(kind: type[Any]) -> Iterator[Field]:
    """Of a dataclass, or a class of attrs."""
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.DataclassType), "what msgspec writes by its fields"
    for field in described.fields:
        # As msgspec leaves them out.
        if dataclasses.is_dataclass(kind) or not field.name.startswith("_"):
            yield field.name, field.encode_name, _never, _equals(field.default, field.default_factory)


def _never(value: Any) -> bool:
    return False


def _as_msgspec_omits(default: Any, factory: Any) -> Callable[[Any], bool]:
    """As `omit_defaults` has it: the very object, or an empty collection."""
    if factory in _FACTORIES:
        return lambda value: type(value) is factory and not value
    return lambda value: value is default


def _equals(default: Any, factory: Any) -> Callable[[Any], bool]:
    """As pydantic has it."""
    if factory is not msgspec.NODEFAULT:
        return lambda value: bool(value == factory())
    return _never if default is msgspec.NODEFAULT else lambda value: bool(value == default)
