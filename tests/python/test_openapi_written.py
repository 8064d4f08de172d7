"""What the document shows of models of which a route leaves fields out: what is answered, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypedDict

from ziggurat import Ziggurat
from ziggurat.testing import TestClient


class Owner(BaseModel):
    name: str
    password: str = "secret"


class Item(BaseModel):
    the_id: Annotated[int, Field(alias="theId")] = 1
    owner: Owner = Owner(name="Ada")
    nick: str | None
    before: Item | None = None


class Items(RootModel[list[Item]]): ...


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1
    owner: Owner = Owner(name="Bob")


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Box(TypedDict):
    pet: Pet
    size: int


@dataclass
class Shelf:
    item: Item
    boxes: dict[str, Owner]


class Part(msgspec.Struct, tag="part"):
    size: int = 1
    note: str = ""


class Engine(msgspec.Struct, tag="engine"):
    power: int = 1
    parts: list[Part] = []


ITEM = Item(nick=None)
ITEM_PROPERTIES = {"theId", "owner", "nick", "before"}


def shown(annotation: Any, value: Any, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The schema that the document has of the answer, the answer, and the models that the schema refers to."""
    app = Ziggurat(openapi_path=None)

    async def handler() -> Any:
        return value

    handler.__annotations__["return"] = annotation
    app.get("/", **{f"response_model_{name}": option for name, option in options.items()})(handler)
    with TestClient(app) as client:
        answer = client.get("/").json()
    document = app.openapi()
    OpenAPIV31SpecValidator(document).validate()
    schema = document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer)
    return schema, answer, document["components"]["schemas"]


def test_of_each_in_a_list() -> None:
    schema, answer, _ = shown(list[Item], [ITEM, ITEM], exclude={"__all__": {"owner", "nick", "before"}})
    assert answer == [{"theId": 1}, {"theId": 1}]
    assert schema["items"]["properties"].keys() == {"theId"} and "required" not in schema["items"]
    for options in ({"exclude": {"__all__"}}, {"exclude": {"__all__": True}}, {"include": set()}):
        schema, answer, _ = shown(list[Item], [ITEM, ITEM], **options)
        assert answer == [] and schema["type"] == "array"
        assert schema["maxItems"] == 0 and "items" not in schema
    schema, answer, _ = shown(list[Item], [ITEM], include={"__all__"})
    assert answer[0].keys() == ITEM_PROPERTIES
    assert schema["items"] == {"$ref": "#/components/schemas/Item"}
    # The first is otherwise than the rest.
    schema, answer, _ = shown(list[Item], [ITEM, ITEM], include={0: {"nick"}, "__all__": {"theId", "the_id"}})
    assert answer == [{"theId": 1, "nick": None}, {"theId": 1}]
    assert [set(each["properties"]) for each in schema["items"]["anyOf"]] == [{"theId"}, {"theId", "nick"}]


def test_within_what_a_model_holds() -> None:
    no_password = {"owner": {"password"}}
    schema, answer, known = shown(Item, ITEM, exclude=no_password)
    assert answer["owner"] == {"name": "Ada"}
    assert schema["properties"].keys() == ITEM_PROPERTIES
    assert schema["properties"]["owner"]["properties"].keys() == {"name"}
    # Others are as they were, and the model itself.
    assert schema["properties"]["before"]["anyOf"][0] == {"$ref": "#/components/schemas/Item"}
    assert known["Owner"]["properties"].keys() == {"name", "password"}

    deep = {"__all__": {"before": no_password}}
    value = Item(nick=None, before=ITEM)
    for annotation, given in ((list[Item], [value]), (Items, Items([value])), (tuple[Item, ...], (value,))):
        schema, answer, _ = shown(annotation, given, exclude=deep)
        assert answer[0]["before"]["owner"] == {"name": "Ada"}
        each = schema["items"]["properties"]
        assert each["owner"] == {"$ref": "#/components/schemas/Owner", "default": {"name": "Ada", "password": "secret"}}
        assert each["before"]["anyOf"][0]["properties"]["owner"]["properties"].keys() == {"name"}


def test_dataclasses_and_dicts_and_tuples() -> None:
    shelf = Shelf(ITEM, {"a": Owner(name="Bob")})
    schema, answer, _ = shown(Shelf, shelf, exclude={"item": {"owner"}, "boxes": {"__all__": {"password"}}})
    assert answer["boxes"] == {"a": {"name": "Bob"}} and "owner" not in answer["item"]
    assert schema["properties"]["item"]["properties"].keys() == {"theId", "nick", "before"}
    assert schema["properties"]["boxes"]["additionalProperties"]["properties"].keys() == {"name"}
    schema, answer, _ = shown(Shelf, shelf, exclude={"boxes": {"__all__"}})
    assert answer["boxes"] == {} and schema["properties"]["boxes"]["additionalProperties"] is False

    pair = (Owner(name="Bob"), 1)
    schema, answer, _ = shown(tuple[Owner, int], pair, exclude={0: {"password"}})
    assert answer == [{"name": "Bob"}, 1]
    assert schema["prefixItems"][0]["properties"].keys() == {"name"}
    schema, answer, _ = shown(tuple[Owner, int], pair, exclude={0})
    assert answer == [1] and schema["prefixItems"] == [{"type": "integer"}]
    assert (schema["minItems"], schema["maxItems"]) == (1, 1)


def test_members_of_a_union() -> None:
    for pet in (Cat(), Dog()):
        schema, answer, _ = shown(Pet, pet, exclude={"lives": True, "owner": {"password"}})
        assert "lives" not in answer
        assert [set(each["properties"]) for each in schema["oneOf"]] == [{"kind"}, {"kind", "owner"}]
        # Its mapping would lead to the models as they are elsewhere.
        assert "discriminator" not in schema
    schema, answer, _ = shown(Box, {"pet": Dog(), "size": 1}, exclude={"pet": {"owner"}})
    assert answer == {"pet": {"kind": "dog", "lives": 1}, "size": 1}
    cat, dog = schema["properties"]["pet"]["oneOf"]
    assert cat == {"$ref": "#/components/schemas/Cat"} and dog["properties"].keys() == {"kind", "lives"}
    schema, _, _ = shown(Pet, Dog(), exclude={"size"})
    assert schema["discriminator"]["mapping"].keys() == {"cat", "dog"}

    engine = Engine(parts=[Part()])
    schema, answer, _ = shown(Engine, engine, include={"parts": {"__all__": {"size"}}})
    assert answer == {"type": "engine", "parts": [{"type": "part", "size": 1}]}
    assert schema["properties"].keys() == {"type", "parts"}
    assert schema["properties"]["parts"]["items"]["properties"].keys() == {"type", "size"}
    assert schema["properties"]["parts"]["items"]["required"] == ["type"]


def test_what_may_be_missing_is_not_asked_for() -> None:
    value = Item(nick=None, before=Item(nick=None))
    for option in ("exclude_unset", "exclude_defaults"):
        schema, answer, _ = shown(Item, value, **{option: True})
        assert answer == {"nick": None, "before": {"nick": None}}
        assert schema == {"$ref": "#/components/schemas/Item"}
    schema, answer, known = shown(Item, value, exclude_none=True)
    assert "nick" not in answer and "nick" not in answer["before"]
    # It holds itself, and so it has a name.
    assert schema == {"$ref": "#/components/schemas/Item-WithoutNulls"}
    without = known["Item-WithoutNulls"]
    assert "required" not in without and without["properties"].keys() == ITEM_PROPERTIES
    assert without["properties"]["before"]["anyOf"][0] == schema
    assert without["properties"]["owner"]["$ref"] == "#/components/schemas/Owner"
    assert "Owner-WithoutNulls" not in known and known["Item"]["required"] == ["nick"]


def test_names_are_those_that_are_written() -> None:
    schema, answer, known = shown(list[Item], [Item(nick=None, before=ITEM)], by_alias=False)
    assert "the_id" in answer[0]["before"]
    assert schema["items"] == {"$ref": "#/components/schemas/Item-ByNames"}
    assert known["Item-ByNames"]["properties"].keys() == {"the_id", "owner", "nick", "before"}
    schema, answer, known = shown(
        Items, Items([ITEM]), by_alias=False, exclude_none=True, exclude={"__all__": {"nick"}}
    )
    assert answer == [{"the_id": 1, "owner": {"name": "Ada", "password": "secret"}}]
    assert schema["items"]["properties"].keys() == {"the_id", "owner", "before"}
    assert schema["items"]["properties"]["before"]["anyOf"][0]["$ref"].endswith("/Item-WithoutNulls-ByNames")


def test_a_discriminator_leads_to_the_members_as_they_are_written() -> None:
    class Named(BaseModel):
        kind: Literal["named"] = "named"
        nick: str | None

    class Kept(BaseModel):
        kind: Literal["kept"] = "kept"

    annotation = Annotated[Named | Kept, Field(discriminator="kind")]
    schema, answer, _ = shown(annotation, Named(nick=None), exclude_none=True)
    assert answer == {"kind": "named"}
    assert schema["discriminator"]["mapping"] == {
        "kept": "#/components/schemas/Kept",
        "named": "#/components/schemas/Named-WithoutNulls",
    }
