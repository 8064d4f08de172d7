"""Which fields of Structs are written: those that pydantic writes of models of the same shape."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import attrs
import msgspec
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from ziggurat import Ziggurat
from ziggurat.testing import TestClient


class Part(BaseModel, alias_generator=to_camel, validate_by_name=True):
    part_size: int = 1
    note: str | None = None


class Whole(BaseModel, alias_generator=to_camel, validate_by_name=True):
    the_name: str
    note: str | None = None
    price: float = 1.5
    part: Part = Part()
    parts: list[Part] = Field(default_factory=list)
    by_key: dict[str, Part] = Field(default_factory=dict)
    pair: tuple[Part, int] = (Part(), 1)


class PartStruct(msgspec.Struct, rename="camel"):
    part_size: int = 1
    note: str | None = None


class WholeStruct(msgspec.Struct, rename="camel"):
    the_name: str
    note: str | None = None
    price: float = 1.5
    part: PartStruct = msgspec.field(default_factory=PartStruct)
    parts: list[PartStruct] = []
    by_key: dict[str, PartStruct] = {}
    pair: tuple[PartStruct, int] = msgspec.field(default_factory=lambda: (PartStruct(), 1))


@dataclasses.dataclass
class Point:
    x: int = 1
    y: int | None = None


@attrs.define
class Size:
    width: int = 1
    height: int | None = None
    _unit: str = "m"


class Row(msgspec.Struct, array_like=True):
    a: int = 1
    b: int | None = None


class Shape(msgspec.Struct):
    point: Point = msgspec.field(default_factory=Point)
    size: Size = msgspec.field(default_factory=Size)
    row: Row = msgspec.field(default_factory=Row)
    known: frozenset[int] = frozenset([1])


def written(annotation: Any, value: Any, **options: Any) -> str:
    app = Ziggurat(openapi_path=None)

    async def handler() -> Any:
        return value

    handler.__annotations__["return"] = annotation
    app.get("/", **{f"response_model_{name}": option for name, option in options.items()})(handler)
    with TestClient(app) as client:
        answer = client.get("/")
    assert answer.status_code == 200, answer.text
    check_document(app.openapi(), answer.json())
    return answer.text


def check_document(document: Any, answer: Any) -> None:
    """The document shows what is answered: what it asks for is there, and nothing that it does not know."""

    def closed(node: Any) -> Any:
        if isinstance(node, list):
            return [closed(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {key: closed(each) for key, each in node.items()}
        return {"additionalProperties": False, **made} if isinstance(made.get("properties"), dict) else made

    schema = document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(closed({**schema, "components": document["components"]})).validate(answer)


GIVEN = [
    {"theName": "a"},
    {
        "theName": "b",
        "note": "x",
        "price": 2.0,
        "part": {"partSize": 3},
        "parts": [{}, {"note": "y"}, {"partSize": 5}],
        "byKey": {"k": {}, "l": {"partSize": 7}},
        "pair": [{"partSize": 9}, 2],
    },
]
OPTIONS: list[dict[str, Any]] = [
    {"include": {"the_name", "part"}},
    {"exclude": {"the_name", "part"}},
    {"include": set()},
    {"include": {"__all__"}},
    {"exclude": {"__all__"}},
    {"include": {"part": {"note"}}},
    {"exclude": {"part": {"note"}, "price": True, "note": ...}},
    {"include": {"part": {}}},
    {"exclude": {"part": {}}},
    {"include": {"parts": {"__all__": {"note"}}, "the_name": True}},
    {"include": {"parts": {0, 2}}},
    {"include": {"parts": {0: {"note"}, -1: True}}},
    {"exclude": {"parts": {-1}}},
    {"exclude": {"parts": {0: True, "__all__": {"note"}}}},
    {"exclude": {"parts": {"__all__": {"part_size"}, 0: {"note"}}}},
    {"include": {"by_key": {"k": {"note"}}}},
    {"include": {"by_key": {"__all__": {"note"}}}},
    {"exclude": {"by_key": {"k"}, "pair": {0: {"note"}}}},
    {"include": {"the_name", "part"}, "exclude": {"part": {"note"}}},
    {"include": {"part": {"note"}}, "exclude": {"part": {"note"}}},
    {"exclude_none": True},
    {"exclude_defaults": True},
    {"exclude_defaults": True, "exclude_none": True, "exclude": {"the_name"}},
    {"by_alias": False},
    {"by_alias": False, "include": {"part": {"part_size"}}},
]


# Numbered, since sets have no order to be named by.
@pytest.mark.parametrize("options", OPTIONS)
def test_it_is_what_pydantic_writes(options: dict[str, Any]) -> None:
    for given in GIVEN:
        model, struct = Whole.model_validate(given), msgspec.convert(given, WholeStruct)
        assert json.loads(written(WholeStruct, struct, **options)) == json.loads(written(Whole, model, **options))
        optional = json.loads(written(WholeStruct | None, struct, **options))
        assert optional == json.loads(written(Whole | None, model, **options))
    each = {name: {"__all__": of} if name in ("include", "exclude") else of for name, of in options.items()}
    models, structs = TypeAdapter(list[Whole]).validate_python(GIVEN), msgspec.convert(GIVEN, list[WholeStruct])
    assert json.loads(written(list[WholeStruct], structs, **each)) == json.loads(written(list[Whole], models, **each))


def test_what_the_class_says_holds_besides() -> None:
    class Kind(msgspec.Struct, tag="kind", tag_field="is", omit_defaults=True):
        a: int = 1000
        b: list[int] = []
        c: int | msgspec.UnsetType = msgspec.UNSET
        d: list[int] = msgspec.field(default_factory=lambda: [1])
        e: int | None = None

    for value in (Kind(), Kind(a=int("1000"), b=[1], c=1, d=[1], e=2), Kind(d=[])):
        whole = json.loads(msgspec.json.encode(value))
        assert json.loads(written(Kind, value, exclude={"e": {}})) == whole
        assert json.loads(written(Kind, value, exclude={"a"})) == {k: v for k, v in whole.items() if k != "a"}
    assert json.loads(written(Kind, Kind(), exclude_defaults=True)) == {"is": "kind"}


def test_what_is_within_may_be_of_other_kinds() -> None:
    whole = json.loads(msgspec.json.encode(Shape()))
    assert json.loads(written(Shape, Shape(), exclude={"point": {}})) == whole
    assert json.loads(written(Shape, Shape(), exclude={"point": {"x"}, "size": {"height"}})) == {
        **whole,
        "point": {"y": None},
        "size": {"width": 1},
    }
    # An array has a place for each field.
    assert json.loads(written(Shape, Shape(), exclude_none=True)) == {
        "point": {"x": 1},
        "size": {"width": 1},
        "row": [1, None],
        "known": [1],
    }


def test_what_is_of_another_type_is_cut_first() -> None:
    class Secret(PartStruct):
        secret: str = "secret"

    assert json.loads(written(PartStruct, Secret(), include={"part_size"})) == {"partSize": 1}
    assert json.loads(written(PartStruct, Secret(), exclude_none=True)) == {"partSize": 1}
    assert json.loads(written(PartStruct, {"partSize": 2, "secret": 1}, exclude={"note"})) == {"partSize": 2}
