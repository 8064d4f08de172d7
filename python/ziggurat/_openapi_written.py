"""The schema of what is written of a model, where a route leaves fields out or calls them otherwise."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, RootModel

from ._openapi_refs import name_of, ref_to, refs_in, renamed
from ._returns import Options, bare, names_in_json
from ._selection import Tree, kept, tree_of

__all__ = ["as_written"]

Json = dict[str, Any]

_ANY_PLACE = object()
"""A key that nothing names, which `__all__` stands for."""
_UNIONS = (Union, types.UnionType)


def as_written(schema: Json, model: Any, options: Options, definitions: dict[str, Json]) -> Json:
    """The schema of a model without the fields that are left out, and without asking for those that may be.

    `model` is the type that `schema` is of, and `definitions` are what it refers to; models that differ wherever they stand are added there,
    under names of their own.
    """
    if not options.given():
        return schema
    # What is no selection of fields is refused elsewhere.
    include = True if options.include is None else tree_of(options.include, lambda _: False)
    exclude = False if options.exclude is None else tree_of(options.exclude, lambda _: False)
    walk = _Written(options, definitions)
    made = walk(schema, model, include, exclude)
    same = walk.settle()
    return cast("Json", renamed(made, same))


class _Written:
    """Walks a schema beside the type that it is of, and what is meant of it. Where nothing is said of what a reference leads to it stays one."""

    def __init__(self, options: Options, definitions: dict[str, Json]) -> None:
        self._options = options
        self._definitions = definitions
        lacks = {
            "WithoutNulls": options.exclude_none,
            "WithoutDefaults": options.exclude_unset or options.exclude_defaults,
            "ByNames": not options.by_alias,
        }
        self._suffix = "".join(f"-{what}" for what, is_so in lacks.items() if is_so)
        """Of the names of models as they are then; empty where they are as they were, if nothing is said of their fields."""
        self._variants: dict[str, Json] = {}
        """What the models are then, by the names that they had."""

    def __call__(self, schema: Json, model: Any, include: Tree, exclude: Tree) -> Json:
        is_whole = include is True and exclude is False
        if is_whole and not self._suffix:
            return schema
        model = _plain(model)
        if "$ref" in schema:
            name = name_of(schema["$ref"])
            if name not in self._definitions:
                return schema
            if is_whole:
                return {**schema, "$ref": ref_to(self._variant(name, model))}
            whole = self._definitions[name]
            made = self(whole, model, include, exclude)
            return schema if made == whole else {**made, **_without(schema, "$ref")}
        if "properties" in schema:
            return self._object(schema, model, include, exclude)
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._union(schema, several, model, include, exclude)
        # Of no order, so that nothing in it can be named.
        include, exclude = (True, False) if schema.get("uniqueItems") else (include, exclude)
        if "prefixItems" in schema:
            return self._places(schema, model, include, exclude)
        made = schema
        if isinstance(schema.get("items"), dict):
            of = self._of_each(schema["items"], _item(model, 0), include, exclude)
            made = (
                {**schema, "items": of} if of is not None else {**_without(schema, "items", "minItems"), "maxItems": 0}
            )
        if isinstance(schema.get("additionalProperties"), dict):
            of = self._of_each(schema["additionalProperties"], _item(model, 1), include, exclude)
            made = {**schema, "additionalProperties": False if of is None else of}
        return made

    def _variant(self, name: str, model: Any) -> str:
        """What a model is called as it is then, and those that it holds."""
        if name not in self._variants:
            # A model may hold itself.
            self._variants[name] = {}
            self._variants[name] = self(self._definitions[name], model, True, False)
        return name + self._suffix

    def settle(self) -> dict[str, str]:
        """Adds the models that differ; gives the old names of those that do not by their new ones."""
        old = {name + self._suffix: name for name in self._variants}
        changed = {name for name, of in self._variants.items() if renamed(of, old) != self._definitions[name]}
        while True:
            more = {name for name, of in self._variants.items() if any(old.get(ref) in changed for ref in refs_in(of))}
            if more <= changed:
                break
            changed |= more
        same = {new: name for new, name in old.items() if name not in changed}
        for name in changed:
            self._definitions[name + self._suffix] = renamed(self._variants[name], same)
        return same

    def _object(self, schema: Json, model: Any, include: Tree, exclude: Tree) -> Json:
        names, of_fields = names_in_json(model), _fields(model)
        tag = getattr(getattr(model, "__struct_config__", None), "tag_field", None)
        properties: Json = {}
        required = []
        for written, of in schema["properties"].items():
            field = names.get(written, written)
            # The tag of a Struct is none of its fields, and always there.
            within = (True, False) if written == tag else kept(include, exclude, field)
            if within is None:
                continue
            name = written if self._options.by_alias else field
            properties[name] = self(of, of_fields.get(field), *within)
            if written in schema.get("required", ()) and (written == tag or not self._may_lack(of)):
                required.append(name)
        made = {**schema, "properties": properties, "required": required}
        if not required and schema.get("required") != []:
            del made["required"]
        return made

    def _may_lack(self, field: Json) -> bool:
        if self._options.exclude_none and _is_nullable(field):
            return True
        return self._options.may_lack and "default" in field

    def _union(self, schema: Json, several: str, model: Any, include: Tree, exclude: Tree) -> Json:
        members: list[Json] = schema[several]
        places = [place for place, of in enumerate(members) if of.get("type") != "null"]
        known = (
            [each for each in get_args(model) if each is not types.NoneType]
            if get_origin(model) in _UNIONS
            else [model]
        )
        # In the order of the members, as pydantic and msgspec write them.
        of_places = dict(zip(places, known, strict=True)) if len(places) == len(known) else {}
        made = [self(of, of_places.get(place), include, exclude) for place, of in enumerate(members)]
        if not all("$ref" in of for of in made):
            # A discriminator refers to the members as they are elsewhere.
            return {**(schema if made == members else _without(schema, "discriminator")), several: made}
        names = {name_of(of["$ref"]): name_of(now["$ref"]) for of, now in zip(members, made, strict=True)}
        return {**cast("Json", renamed(schema, names)), several: made}

    def _of_each(self, schema: Json, model: Any, include: Tree, exclude: Tree) -> Json | None:
        """What each thing in a list or a dict is; None where nothing is left in it. Those that are named may be otherwise than the rest."""
        named = [key for tree in (include, exclude) if isinstance(tree, dict) for key in tree]
        variants: list[Json] = []
        for key in dict.fromkeys([_ANY_PLACE, *named]):
            within = kept(include, exclude, key)
            if within is not None:
                variant = self(schema, model, *within)
                variants += [variant] if variant not in variants else []
        if len(variants) < 2:
            return variants[0] if variants else None
        return {"anyOf": variants}

    def _places(self, schema: Json, model: Any, include: Tree, exclude: Tree) -> Json:
        """Of a tuple, in which each place has a type of its own."""
        of = len(schema["prefixItems"])
        made = []
        for place, each in enumerate(schema["prefixItems"]):
            within = kept(include, exclude, place, of)
            if within is not None:
                made.append(self(each, _item(model, place), *within))
        changed: Json = {**schema, "prefixItems": made}
        for limit in ("minItems", "maxItems"):
            if schema.get(limit) == of:
                changed[limit] = len(made)
        if not made:
            # An empty list of schemas is none (JSON Schema, 10.3.1.1).
            del changed["prefixItems"]
        return changed


def _without(schema: Json, *keys: str) -> Json:
    return {key: of for key, of in schema.items() if key not in keys}


def _is_nullable(schema: Json) -> bool:
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return True
    return any(_is_nullable(each) for several in ("anyOf", "oneOf") for each in schema.get(several, ()))


def _plain(model: Any) -> Any:
    """Without what stands around it: `Annotated`, a name, None in a union of two, a root."""
    model = bare(model)
    # Of a name that stands for a type.
    while hasattr(model, "__value__"):
        model = bare(model.__value__)
    if get_origin(model) in _UNIONS:
        left = [each for each in get_args(model) if each is not types.NoneType]
        return _plain(left[0]) if len(left) == 1 else model
    if isinstance(model, type) and issubclass(model, RootModel):
        return _plain(model.model_fields["root"].annotation)
    return model


def _item(model: Any, place: int) -> Any:
    """What a list, a tuple or a dict holds at a place of its arguments."""
    args = [each for each in get_args(model) if each is not Ellipsis]
    return args[place] if place < len(args) else None


def _fields(model: Any) -> Mapping[str, Any]:
    """The types of the fields of a model; none where they are not known."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        computed = {name: field.return_type for name, field in model.model_computed_fields.items()}
        return {**{name: field.annotation for name, field in model.model_fields.items()}, **computed}
    if hasattr(get_origin(model) or model, "__struct_fields__"):
        import msgspec

        return {field.name: field.type for field in msgspec.structs.fields(model)}
    if dataclasses.is_dataclass(model) or hasattr(model, "__required_keys__") or hasattr(model, "__attrs_attrs__"):
        try:
            return typing.get_type_hints(model, include_extras=True)
        except NameError:
            # Of a class whose names are not known where it stands; those of its fields are what they are in JSON.
            return {}
    return {}
