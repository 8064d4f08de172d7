"""Describes a `msgspec.Struct` to the native side, from what `msgspec.inspect` tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec
from msgspec import NODEFAULT, inspect

from ._jsonable import jsonable
from ._schema import Walk, annotated
from ._schema_marks import NOT_SINGLE, Description, bare
from ._schema_scalars import as_numbers

__all__ = ["describe"]

_PYTHON_CURE = (
    "native CRUD runs no Python: express it with msgspec.Meta, remove it, or serve the model from Python handlers"
)
_NAMES: dict[type[Any], str] = {
    inspect.NoneType: "None alone",
    inspect.NamedTupleType: "a NamedTuple",
    inspect.CustomType: "an arbitrary class",
    inspect.RawType: "msgspec.Raw",
    inspect.ExtType: "msgspec.Ext",
    inspect.MemoryViewType: "memoryview",
    inspect.ByteArrayType: "bytearray",
}
_SCALARS: dict[type[Any], str] = {
    inspect.AnyType: "any",
    inspect.BoolType: "bool",
    inspect.DateType: "date",
    inspect.UUIDType: "uuid",
    inspect.DecimalType: "decimal",
}
_LISTS: dict[type[Any], str | None] = {
    inspect.ListType: None,
    inspect.CollectionType: None,
    inspect.SetType: "set",
    inspect.FrozenSetType: "frozenset",
    inspect.VarTupleType: "tuple",
}


def describe(
    model: type[msgspec.Struct], *, int64: bool = False, naive: str | None = None
) -> tuple[Description | None, list[str]]:
    """The description of `model`, and what is wrong with it."""
    walk = _StructWalk(int64=int64, naive=naive)
    return walk.struct(inspect.type_info(model), model.__name__, top=True), walk.problems


class _StructWalk(Walk):
    def struct(self, info: Any, place: str, *, top: bool = False) -> Description | None:
        """A Struct, or a dataclass or TypedDict that stands in one."""
        cls: type[Any] = info.cls
        if hasattr(cls, "__post_init__"):
            self.refuse(place, "__post_init__ is Python code", _PYTHON_CURE)
        if getattr(info, "array_like", False):
            self.refuse(place, "array_like=True is not supported natively", "remove it")
        forbids = getattr(info, "forbid_unknown_fields", True)
        description: Description = {"name": cls.__name__, "unknown": "forbid" if forbids else "ignore"}
        if top:
            description["id"] = "id"
            if all(field.encode_name != "id" for field in info.fields):
                self.refuse(f"{place}.id", "is missing", "add a field `id: UUID`")
        try:
            hints = get_type_hints(cls, include_extras=True)
        except NameError as error:
            self.refuse(place, f"{error.name} is not defined where the class is", "define both in the module itself")
            return None
        ref = f"{cls.__module__}.{cls.__qualname__}"
        if not top:
            self.open.append(ref)
        fields: list[Description | None] = []
        if (name := getattr(info, "tag_field", None)) is not None:
            # msgspec writes the tag first, and does not ask for it where there is nothing to tell apart.
            kind = self.choice("literal", [info.tag], f"{place}.{name}")
            fields.append(None if kind is None else {"name": name, "type": kind, "default": {"value": info.tag}})
        for field in info.fields:
            markers = list(annotated(hints.get(field.name)))
            fields.append(self.member(field, f"{place}.{field.name}", markers, top=top))
        if not top:
            self.close(ref, description)
        description["fields"] = [field for field in fields if field is not None]
        if top:
            self.rules(description)
        return description

    def model_of(self, info: Any, place: str) -> Description | None:
        """A nested model, or one that it stands in itself."""
        ref = f"{info.cls.__module__}.{info.cls.__qualname__}"
        if ref in self.open:
            self.back.add(ref)
            return {"type": "back", "ref": ref}
        schema = self.struct(info, place)
        return None if schema is None else {"type": "model", "schema": schema}

    def member(self, field: Any, place: str, markers: list[Any], *, top: bool) -> Description | None:
        kind = self.type(field.type, place)
        if kind is None:
            return None
        description: Description = {"name": field.encode_name, "type": kind}
        if field.default is not NODEFAULT:
            value = self.default({"default": field.default}, place, {})
        elif field.default_factory is not NODEFAULT:
            value = self.default({"default_factory": field.default_factory}, place, {})
        else:
            value = None
            if not field.required:
                self.refuse(place, "a key that may be missing is not supported natively", "make it Optional")
        if value is not None:
            description["default"] = value
        self.mark(description, markers, place, top=top)
        return description

    def type(self, info: Any, place: str) -> Description | None:
        while isinstance(info, inspect.Metadata):
            info = info.type
        bounds = {key: getattr(info, key, None) for key in ("gt", "ge", "lt", "le", "multiple_of")}
        lengths = {
            key: value for key in ("min_length", "max_length") if (value := getattr(info, key, None)) is not None
        }
        match info:
            case inspect.IntType():
                return self.number({"type": "int", **bounds}, place)
            case inspect.FloatType():
                return self.number({"type": "float", **bounds}, place)
            case inspect.StrType():
                pattern = {} if info.pattern is None else {"pattern": _pattern(info.pattern)}
                return {"type": "str", **lengths, **pattern}
            case inspect.DateTimeType():
                if info.tz is False:
                    self.refuse(place, "times without an offset are not supported natively", "use Meta(tz=True)")
                return self.datetime()
            case inspect.TimeType():
                if info.tz is True:
                    self.refuse(place, "times with an offset are not supported natively", "use a datetime")
                return {"type": "time"}
            case inspect.EnumType():
                return self.choice("enum", [member.value for member in info.cls], place, info.cls)
            case inspect.LiteralType():
                return self.choice("literal", list(info.values), place)
            case inspect.BytesType():
                return {"type": "bytes", "form": "base64", **lengths}
            case inspect.TimeDeltaType():
                # A year and more is written with a Y, as pydantic does, and msgspec would not read it.
                self.refuse(
                    place, "a timedelta of a Struct is not supported natively", "use a pydantic model, or an int"
                )
                return None
            case inspect.DictType():
                key = info.key_type
                if key != inspect.StrType():
                    self.refuse(
                        place, "a dict whose keys are more than str is not supported natively", "use dict[str, T]"
                    )
                    return None
                values = self.type(info.value_type, f"{place}{{}}")
                return None if values is None else {"type": "dict", "values": values, **lengths}
            case inspect.TupleType():
                each = [self.type(item, f"{place}[{index}]") for index, item in enumerate(info.item_types)]
                return None if None in each else {"type": "fixed", "items": each}
            case inspect.UnionType():
                return self.alternatives(info, place)
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
                return self.model_of(info, place)
        if (scalar := _SCALARS.get(type(info))) is not None:
            return {"type": scalar}
        if type(info) in _LISTS:
            items = self.type(info.item_type, f"{place}[]")
            if items is None:
                return None
            sort = _LISTS[type(info)]
            if sort in ("set", "frozenset") and bare(items)["type"] in NOT_SINGLE:
                self.refuse(place, "a set of what holds no single value is not supported natively", "make it a list")
                return None
            return {"type": "list", "items": items, **({} if sort is None else {"sort": sort}), **lengths}
        what = _NAMES.get(type(info), f"the type {type(info).__name__}")
        self.refuse(place, f"{what} is not supported natively", "use another type, or serve the model from handlers")
        return None

    def alternatives(self, info: Any, place: str) -> Description | None:
        some = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
        structs = [kind for kind in some if isinstance(kind, inspect.StructType)]
        of = [self.type(kind, place) for kind in some if len(structs) < 2 or kind not in structs]
        if len(structs) > 1:
            of.append(self.told_apart(structs, place))
        if None in of:
            return None
        union: Description | None = of[0] if len(of) == 1 else {"type": "union", "of": as_numbers(of)}
        return {"type": "optional", "of": union} if len(some) < len(info.types) else union

    def told_apart(self, structs: list[Any], place: str) -> Description | None:
        """Structs that a tag tells apart; msgspec itself refuses others."""
        models = []
        for info in structs:
            model = self.model_of(info, place)
            if model is None:
                return None
            models.append({"tags": [info.tag], "model": model})
        return {"type": "tagged", "tag": structs[0].tag_field, "models": models}

    def plain(self, value: Any, config: Mapping[str, Any]) -> Any:
        return jsonable(msgspec.to_builtins(value, str_keys=True) if isinstance(value, msgspec.Struct) else value)


def _pattern(pattern: str) -> str:
    """Python's `$` and `\\Z`, as Rust's regular expressions write them."""
    out, escaped, in_class = [], False, False
    for letter in pattern:
        if escaped:
            out.append("\\z" if letter == "Z" and not in_class else f"\\{letter}")
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == "$" and not in_class:
            out.append(r"(?:\n?\z)")
        else:
            in_class = letter == "[" or (in_class and letter != "]")
            out.append(letter)
    return "".join(out) + ("\\" if escaped else "")
