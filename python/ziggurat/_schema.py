"""Describes a pydantic model, a dataclass or a TypedDict to the native side.

The core schema that pydantic makes of it is walked once, at registration. Whatever the native side cannot honour is an error that names the
field: nothing is left out silently. A node, a setting or a rule that is not known here counts as such.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from typing_extensions import is_typeddict

from ._jsonable import bytes_form, jsonable
from ._schema_marks import NOT_SINGLE, Description, bare
from ._schema_rules import CONFIG, CONFIG_DEFAULTS, KEYS, LAX_DEFAULTS, MODELS, NAMES, PARTS, PYTHON_CURE, SUPPORTED
from ._schema_scalars import Node, Scalars, as_numbers, present
from .expressions import Claim
from .models import Immutable, UnsupportedModelError, now, object_id, token, uuid7

__all__ = ["describe"]


def describe(
    model: type[Any],
    *,
    lax: bool = False,
    int64: bool = False,
    naive: str | None = None,
    search: Sequence[str] = (),
    shard_key: str | None = None,
) -> str:
    """The description of `model` that the native side compiles, as JSON; with `lax` bodies are read as pydantic does in that mode, with
    `int64` great ints stand in strings, with `naive` times without an offset are taken for such of that zone, the words of the texts in
    `search` are looked for, and rows are spread over shards by `shard_key`.

    Raises `UnsupportedModelError` with every field that cannot be honoured.
    """
    name = getattr(model, "__name__", repr(model))
    if is_struct(model):
        from . import _structs

        described, problems = _structs.describe(model, int64=int64, naive=naive)
        if problems:
            raise UnsupportedModelError(name, problems, location=_location(model))
        return _written(described, search, shard_key)
    try:
        schema = _core_schema(model)
    except (PydanticUndefinedAnnotation, NameError) as error:
        problem = f"{name}: {error.name} is not defined (define it before the app is built)"
        raise UnsupportedModelError(name, [problem], location=_location(model)) from error
    except PydanticUserError as error:
        raise UnsupportedModelError(name, [f"{name}: {error.message}"], location=_location(model)) from error
    if schema is None:
        problem = (
            f"{name}: is no pydantic model, dataclass, TypedDict or msgspec.Struct (derive it from ziggurat.Model)"
        )
        raise UnsupportedModelError(name, [problem])
    walk = Walk(lax=lax, int64=int64, naive=naive)
    description = walk.model(walk.resolve(schema), model.__name__, top=True)
    if walk.problems:
        raise UnsupportedModelError(model.__name__, walk.problems, location=_location(model))
    return _written(description, search, shard_key)


def _written(description: Description | None, search: Sequence[str], shard_key: str | None) -> str:
    more = {"search": list(search), "shard_key": shard_key}
    return json.dumps({**(description or {}), **{name: value for name, value in more.items() if value}})


def is_struct(model: type[Any]) -> bool:
    """Whether it is a `msgspec.Struct`; msgspec is there if it is."""
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and isinstance(model, type) and issubclass(model, msgspec.Struct)


def _core_schema(model: type[Any]) -> Node | None:
    """What pydantic makes of a model; None for what is none."""
    if not isinstance(model, type):
        return None
    if issubclass(model, BaseModel):
        schema: Any = model.__pydantic_core_schema__
        if not isinstance(schema, dict):
            # A model that names types which were not yet defined when it was made.
            model.model_rebuild()
            schema = model.__pydantic_core_schema__
        return schema  # type: ignore[no-any-return]
    if dataclasses.is_dataclass(model) or is_typeddict(model):
        return TypeAdapter(model).core_schema
    return None


def _location(model: type[Any]) -> str | None:
    try:
        return f"{inspect.getsourcefile(model)}:{inspect.getsourcelines(model)[1]}"
    except (OSError, TypeError):
        return None


class Walk(Scalars):
    """One walk over a core schema; collects what is wrong instead of stopping at the first."""

    def __init__(self, *, lax: bool = False, int64: bool = False, naive: str | None = None) -> None:
        super().__init__(int64=int64, naive=naive)
        self.lax = lax
        self.definitions: dict[str, Node] = {}
        self.open: list[str] = []
        """The nested models that are being described, by reference."""
        self.back: set[str] = set()
        """Those of them that hold themselves."""

    def resolve(self, node: Node) -> Node:
        """The node itself, behind definitions and references."""
        while True:
            if node["type"] == "definitions":
                for definition in node["definitions"]:
                    self.definitions[definition["ref"]] = definition
                node = node["schema"]
            elif node["type"] == "definition-ref" and node["schema_ref"] in self.definitions:
                node = self.definitions[node["schema_ref"]]
            else:
                return node

    def validator(self, node: Node, place: str, what: str = "validator") -> Node | None:
        """Refuses a function around a type; answers the type."""
        self.refuse(place, f"{what} {_function(node)} is Python code", PYTHON_CURE)
        self.serializer(node, place)
        return self.resolve(node["schema"]) if "schema" in node else None

    def serializer(self, node: Node, place: str) -> None:
        if node.get("serialization") is not None:
            self.refuse(place, f"serializer {_function(node['serialization'])} is Python code", PYTHON_CURE)

    def known(self, node: Node, place: str) -> None:
        """Refuses rules that this walk does not know."""
        self.serializer(node, place)
        if self.lax and node.get("strict"):
            self.refuse(place, 'strict=True is not supported natively with coerce="pydantic"', "remove one of them")
        allowed = KEYS[node["type"]]
        for key, value in node.items():
            if key not in allowed and key not in ("type", "ref", "metadata", "serialization") and value is not None:
                self.refuse(place, f"the rule {key}={value!r} is not supported natively", "remove it")

    # Models

    def model(self, node: Node, place: str, *, top: bool = False) -> Description | None:
        while node["type"].startswith("function-"):
            inner = self.validator(node, place, "model validator")
            if inner is None:
                return None
            node = inner
        if node["type"] not in MODELS:
            self.refuse(place, f"{_name(node)} is not supported natively", SUPPORTED)
            return None
        self.known({**node, "computed_fields": None}, place)
        cls: type[Any] = node["cls"]
        if node.get("root_model"):
            self.refuse(place, "is a RootModel", "give it a field")
            return None
        if node.get("custom_init"):
            self.refuse(place, "__init__ is Python code", PYTHON_CURE)
        if node.get("post_init"):
            hook = "model_post_init" if node["type"] == "model" else "__post_init__"
            if not getattr(cls, hook).__module__.startswith("pydantic."):
                self.refuse(place, f"{hook} is Python code", PYTHON_CURE)
        config: Node = node.get("config") or {}
        self.config(config, place)
        if node["type"] == "typed-dict":
            fields = node
        else:
            fields = self.resolve(node["schema"])
            while fields["type"].startswith("function-"):
                inner = self.validator(fields, place, "model validator")
                if inner is None:
                    return None
                fields = inner
            if fields["type"] not in PARTS:
                self.refuse(place, f"{_name(fields)} is not supported natively", SUPPORTED)
                return None
            self.known({**fields, "computed_fields": None}, place)
        for computed in fields.get("computed_fields") or ():
            self.refuse(f"{place}.{computed['property_name']}", "computed field is Python code", PYTHON_CURE)
        named = fields["fields"]
        if node["type"] == "dataclass":
            named = {field["name"]: field for field in named}

        # A TypedDict ignores what it does not know also where nobody said so.
        own = fields.get("extra_behavior") if node["type"] == "model" else None
        extra = own or config.get("extra_fields_behavior") or "forbid"
        if fields.get("extras_schema") or fields.get("extras_keys_schema"):
            self.refuse(place, "typed extra members are not supported natively", "leave __pydantic_extra__ unannotated")
        description: Description = {"name": cls.__name__, "unknown": extra}
        if top:
            description["id"] = "id"
            if "id" not in named:
                self.refuse(f"{place}.id", "is missing", "add a field `id: UUID`")
        ref = node.get("ref") or cls.__qualname__
        if not top:
            self.open.append(ref)
        markers = self.markers(node, place)
        described = [
            self.field(field, name, f"{place}.{name}", markers.get(name, []), config, top=top)
            for name, field in named.items()
        ]
        if not top:
            self.close(ref, description)
        description["fields"] = [field for field in described if field is not None]
        if top:
            self.rules(description)
        return description

    def close(self, ref: str, description: Description) -> None:
        """A nested model has been described; it is named if it holds itself."""
        self.open.pop()
        if ref in self.back:
            description["ref"] = ref

    def markers(self, node: Node, place: str) -> dict[str, list[Any]]:
        """What each field is annotated with, also where it stands inside of an Optional."""
        cls: type[Any] = node["cls"]
        if node["type"] == "model":
            fields = cls.model_fields.items()
            return {name: [*info.metadata, *annotated(info.annotation)] for name, info in fields}
        try:
            hints = get_type_hints(cls, include_extras=True)
        except NameError as error:
            self.refuse(place, f"{error.name} is not defined where the class is", "define both in the module itself")
            return {}
        return {name: list(annotated(hint)) for name, hint in hints.items()}

    def config(self, config: Node, place: str) -> None:
        for key, value in config.items():
            if key not in CONFIG or (key in CONFIG_DEFAULTS and value not in (None, CONFIG_DEFAULTS[key])):
                self.refuse(place, f"the setting {key}={value!r} is not supported natively", "remove it")
            elif self.lax and value not in (None, LAX_DEFAULTS.get(key, value)):
                self.refuse(
                    place,
                    f'the setting {key}={value!r} is not supported natively with coerce="pydantic"',
                    "remove one of them",
                )

    # Fields

    def field(
        self, field: Node, name: str, place: str, markers: list[Any], config: Node, *, top: bool
    ) -> Description | None:
        if field.get("init") is False or field.get("init_only"):
            self.refuse(place, "a field that is only for __init__, or not for it, is Python code", "remove it")
        for key in ("validation_alias", "serialization_alias"):
            if field.get(key) not in (None, name):
                self.refuse(
                    place, f"{key.replace('_', ' ')} {field[key]!r} is not supported natively", "name the field so"
                )
        if field.get("serialization_exclude") or field.get("serialization_exclude_if"):
            self.refuse(place, "exclude= is not supported natively", "mark the field with WriteOnly or Hidden")
        self.known(
            {
                key: value
                for key, value in field.items()
                if not key.startswith("serialization_exclude") and key != "init_only"
            },
            place,
        )
        node = self.resolve(field["schema"])
        default: Node | None = None
        while node["type"] == "default" or node["type"].startswith("function-"):
            if node["type"] == "default":
                self.known({key: value for key, value in node.items() if key != "on_error"}, place)
                if node.get("on_error") not in (None, "raise"):
                    self.refuse(place, f"on_error={node['on_error']!r} is not supported natively", "remove it")
                default = default or node
                node = self.resolve(node["schema"])
                continue
            inner = self.validator(node, place)
            if inner is None:
                return None
            node = inner
        kind = self.kind(node, place, config)
        if kind is None:
            return None
        if default is None and field["type"] == "typed-dict-field" and field.get("required") is False:
            self.refuse(place, "a key that may be missing is not supported natively", "make it Optional")
        description: Description = {"name": name, "type": kind}
        if default is not None:
            value = self.default(default, place, config)
            if value is not None:
                description["default"] = value
        self.mark(description, [*markers, Immutable] if field.get("frozen") else markers, place, top=top)
        return description

    def default(self, node: Node, place: str, config: Node) -> Description | None:
        if "default" in node:
            try:
                return {"value": self.plain(node["default"], config)}
            except TypeError as error:
                self.refuse(place, f"the default cannot be written as JSON: {error}", "use a plain value")
                return None
        factory = node.get("default_factory")
        if factory is dict and not node.get("default_factory_takes_data"):
            return {"value": {}}
        if factory in (list, set, frozenset, tuple) and not node.get("default_factory_takes_data"):
            return {"value": []}
        for known, name in _FACTORIES.items():
            if factory is known:
                return {"factory": name}
        if isinstance(factory, token):
            return {"factory": {"token": factory.bytes}}
        if isinstance(factory, Claim):
            return {"factory": {"claim": factory.name}}
        self.refuse(
            place,
            f"default factory {_callable(factory)} is Python code",
            'use ziggurat.now, uuid7, object_id, token(32) or Claim("sub"), uuid.uuid4, list or dict, or a constant default',
        )
        return None

    def plain(self, value: Any, config: Node) -> Any:
        """A default as JSON holds it."""
        return jsonable(value, bytes_form(config))

    def form(self, config: Node, place: str) -> Description:
        """How bytes stand in JSON."""
        form = bytes_form(config)
        if (read := config.get("val_json_bytes") or "utf8") != form:
            what = f"bytes that are read as {read} and written as {form} are not supported natively"
            self.refuse(place, what, "set val_json_bytes and ser_json_bytes to the same")
        return {} if form == "base64" else {"form": form}

    # Types

    def kind(self, node: Node, place: str, config: Node) -> Description | None:
        node = self.resolve(node)
        kind = node["type"]
        if kind == "definition-ref":
            self.refuse(place, "the type is not defined", "define it before the app is built")
            return None
        if kind.startswith("function-"):
            inner = self.validator(node, place)
            return None if inner is None else self.kind(inner, place, config)
        if kind == "default":
            self.refuse(place, "a default inside of a type is not supported natively", "give it to the field")
            return self.kind(node["schema"], place, config)
        if kind == "none":
            self.refuse(place, "None alone is not supported natively", SUPPORTED)
            return None
        if kind in MODELS:
            ref = node.get("ref") or node["cls"].__qualname__
            if ref in self.open:
                self.back.add(ref)
                return {"type": "back", "ref": ref}
            nested = self.model(node, place)
            return None if nested is None else {"type": "model", "schema": nested}
        if kind not in KEYS or kind in PARTS:
            self.refuse(place, f"{_name(node)} is not supported natively", SUPPORTED)
            return None
        self.known(node, place)
        match kind:
            case "bool" | "uuid":
                return {"type": kind}
            case "int" | "float":
                number = self.number(node, place)
                if number.get("text") and (node.get("strict") or config.get("strict")):
                    self.refuse(
                        place,
                        'strict=True does not read the strings that int64="string" makes of ints',
                        "remove one of them, or bound the int within 2**53 - 1",
                    )
                return number
            case "str":
                return self.text(node, place, config)
            case "datetime":
                if node.get("tz_constraint") not in (None, "aware"):
                    self.refuse(place, "times without an offset are not supported natively", "use AwareDatetime")
                if node.get("microseconds_precision") not in (None, "truncate"):
                    self.refuse(place, "microseconds_precision is not supported natively", "remove it")
                return self.datetime()
            case "date" | "time":
                return self.moment(node, place)
            case "timedelta":
                return self.duration(node, place)
            case "decimal":
                return self.decimal(node, place)
            case "enum":
                choice = self.choice("enum", [member.value for member in node["members"]], place, node["cls"])
                return choice if choice is None or node.get("sub_type") != "int" else {**choice, "int": True}
            case "literal":
                return self.choice("literal", list(node["expected"]), place)
            case "any":
                return {"type": "any"}
            case "bytes":
                return {"type": "bytes", **self.form(config, place), **present(node, "min_length", "max_length")}
            case "dict":
                return self.dict(node, place, config)
            case "union":
                return self.union(node, place, config)
            case "tagged-union":
                return self.tagged(node, place, config)
            case "nullable":
                of = self.kind(node["schema"], place, config)
                return None if of is None else {"type": "optional", "of": of}
            case _:
                return self.items(node, place, config)

    def union(self, node: Node, place: str, config: Node) -> Description | None:
        """Types that JSON tells apart; the native side says which it cannot."""
        if self.lax and node.get("mode") == "left_to_right":
            self.refuse(
                place,
                'a union that is tried from left to right is not supported natively with coerce="pydantic"',
                "remove one of them",
            )
        nodes = [choice[0] if isinstance(choice, tuple) else choice for choice in node["choices"]]
        some = [choice for choice in map(self.resolve, nodes) if choice["type"] != "none"]
        of = [self.kind(choice, place, config) for choice in some]
        if None in of:
            return None
        union: Description | None = of[0] if len(of) == 1 else {"type": "union", "of": as_numbers(of)}
        return {"type": "optional", "of": union} if len(some) < len(nodes) else union

    def tagged(self, node: Node, place: str, config: Node) -> Description | None:
        """Models that a member tells apart."""
        tag = node["discriminator"]
        if not isinstance(tag, str):
            self.refuse(
                place,
                "a discriminator that is a function or a path is not supported natively",
                "name a field that is a Literal in each of the models",
            )
            return None
        models: dict[int, tuple[Node, list[Any]]] = {}
        for name, choice in node["choices"].items():
            model = self.resolve(choice)
            models.setdefault(id(model), (model, []))[1].append(name)
        described = []
        for model, tags in models.values():
            allowed = self.choice("literal", tags, f"{place}.{tag}")
            schema = self.kind(model, place, config)
            if schema is None or allowed is None:
                return None
            if schema["type"] not in ("model", "back"):
                self.refuse(
                    place, "a discriminated union within another is not supported natively", "make it one union"
                )
                return None
            described.append({"tags": tags, "model": schema})
        return {"type": "tagged", "tag": tag, "models": described}

    def items(self, node: Node, place: str, config: Node) -> Description | None:
        """A list, a set, or a tuple of any length or of a fixed one."""
        kind, of = node["type"], node.get("items_schema") or {"type": "any"}
        if kind == "tuple":
            if node.get("variadic_item_index") is None:
                return self.fixed(of, node, place, config)
            if node["variadic_item_index"] != 0 or len(of) != 1:
                what = "a tuple of which some items are counted and others are not is not supported natively"
                self.refuse(place, what, "use a nested model or tuple[T, ...]")
                return None
            of = of[0]
        items = self.kind(of, f"{place}[]", config)
        if items is None:
            return None
        if kind in ("set", "frozenset") and bare(items)["type"] in NOT_SINGLE:
            self.refuse(place, "a set of what holds no single value is not supported natively", "make it a list")
            return None
        sort = {} if kind == "list" else {"sort": kind}
        return {"type": "list", "items": items, **sort, **present(node, "min_length", "max_length")}

    def fixed(self, kinds: Any, node: Node, place: str, config: Node) -> Description | None:
        """A tuple with a type for each of its items."""
        if node.get("min_length") is not None or node.get("max_length") is not None:
            self.refuse(place, "the length of this tuple is told by its types", "leave the lengths out")
            return None
        items = [self.kind(kind, f"{place}[{index}]", config) for index, kind in enumerate(kinds)]
        return None if None in items else {"type": "fixed", "items": items}

    def dict(self, node: Node, place: str, config: Node) -> Description | None:
        keys = self.resolve(node.get("keys_schema") or {"type": "any"})
        if keys["type"] != "str" or any(
            value for key, value in keys.items() if key not in ("type", "strict", "metadata")
        ):
            self.refuse(place, "a dict whose keys are more than str is not supported natively", "use dict[str, T]")
            return None
        values = self.kind(node.get("values_schema") or {"type": "any"}, f"{place}{{}}", config)
        if values is None:
            return None
        return {"type": "dict", "values": values, **present(node, "min_length", "max_length")}


_FACTORIES: dict[object, str] = {uuid.uuid4: "uuid4", uuid7: "uuid7", object_id: "object_id", now: "now"}
if hasattr(uuid, "uuid7"):
    _FACTORIES[uuid.uuid7] = "uuid7"


def _name(node: Node) -> str:
    kind: str = node["type"]
    return NAMES.get(kind, f"the type {kind!r}")


def _function(node: Node) -> str:
    function = node.get("function")
    if isinstance(function, Mapping):
        function = function.get("function")
    return _callable(function) if function is not None else str(node.get("type"))


def _callable(function: object) -> str:
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def annotated(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from annotated(inner)
