"""Bodies: of models of several libraries, in parts, and as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import attrs
import msgspec
import pytest
from pydantic import AfterValidator, BaseModel, Field

from ziggurat import Body, ConfigError, Query, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Item(BaseModel):
    name: Annotated[str, Field(min_length=2)]
    price: float = 0


class User(BaseModel):
    name: str


class Line(msgspec.Struct, forbid_unknown_fields=True):
    item: Annotated[str, msgspec.Meta(min_length=2)]
    count: int = 1


class Order(msgspec.Struct):
    lines: list[Line]
    notes: dict[str, str] = {}


@attrs.define
class Size:
    width: int
    height: int = 1


@dataclass
class Point:
    x: int
    y: int


def pointers(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


def test_structs_are_decoded_by_msgspec(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(order: Order) -> int:
        assert type(order) is Order and type(order.lines[0]) is Line
        return sum(line.count for line in order.lines)

    @app.post("/many")
    async def many(orders: list[Order]) -> int:
        return len(orders)

    @app.post("/few")
    async def few(lines: Annotated[list[Line], Body(max_length=1)]) -> int:
        return len(lines)

    started = client()
    assert started.post("/", json={"lines": [{"item": "pen", "count": 2}, {"item": "ink"}]}).json() == 3
    assert started.post("/many", json=[{"lines": []}]).json() == 1
    for bad, told in [
        ({}, ("/lines", "missing")),
        ({"lines": [{"item": "pen", "count": "x"}]}, ("/lines/0/count", "int_type")),
        ({"lines": [{"item": "p"}]}, ("/lines/0/item", "string_too_short")),
        ({"lines": [{"item": "pen", "more": 1}]}, ("/lines/0/more", "extra_forbidden")),
        ({"lines": [], "notes": {"a": 1}}, ("/notes", "string_type")),
    ]:
        assert pointers(started.post("/", json=bad)) == [told], bad
    assert pointers(started.post("/few", json=[{"item": "pen"}] * 2)) == [("", "too_long")]
    json_type = {"content-type": "application/json"}
    assert started.post("/", content=b'{"lines":', headers=json_type).status_code == 400
    assert started.post("/", content=b"\xff", headers=json_type).status_code == 400
    assert pointers(started.post("/", content=b"")) == [("", "missing")]


def test_classes_of_attrs_are_decoded_by_msgspec(
    app: Ziggurat, client: Callable[[], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.post("/")
    async def handler(size: Size) -> int:
        assert type(size) is Size
        return size.width * size.height

    started = client()
    assert started.post("/", json={"width": 3, "height": 2}).json() == 6
    assert pointers(started.post("/", json={"width": "a"})) == [("/width", "int_type")]

    monkeypatch.setitem(sys.modules, "msgspec", None)

    async def other(size: Size) -> None: ...

    with pytest.raises(ConfigError, match="pip install msgspec"):
        Ziggurat().post("/")(other)


def test_several_parameters_of_the_body(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(
        item: Item, user: User, level: Annotated[int, Body(ge=1)], note: Annotated[str, Body(alias="Note")] = "none"
    ) -> list[Any]:
        return [item.name, user.name, level, note]

    started = client()
    body = {"item": {"name": "ax"}, "user": {"name": "Ada"}, "level": 2}
    assert started.post("/", json=body).json() == ["ax", "Ada", 2, "none"]
    assert started.post("/", json={**body, "Note": "n", "ignored": 1}).json() == ["ax", "Ada", 2, "n"]
    assert pointers(started.post("/", json={"item": {"name": "a"}, "level": 0})) == [
        ("/item/name", "string_too_short"),
        ("/user", "missing"),
        ("/level", "greater_than_equal"),
    ]
    assert pointers(started.post("/")) == [("", "missing")]
    assert pointers(started.post("/", json=[])) == [("", "dict_type")]


def test_several_parameters_with_structs(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(line: Line, point: Point, more: Line | None = None) -> list[Any]:
        return [line.item, point.x, more is None]

    started = client()
    body = {"line": {"item": "pen"}, "point": {"x": 1, "y": 2}}
    assert started.post("/", json=body).json() == ["pen", 1, True]
    assert started.post("/", json={**body, "more": {"item": "ink"}}).json() == ["pen", 1, False]
    assert pointers(started.post("/", json={"line": {"item": "pen"}, "point": {"x": 1}})) == [("/point/y", "missing")]


def test_one_parameter_may_be_embedded(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(item: Annotated[Item, Body(embed=True)], q: Annotated[int, Query()] = 0) -> list[Any]:
        return [item.name, q]

    @app.post("/maybe")
    async def maybe(item: Annotated[Item | None, Body(embed=True)] = None) -> bool:
        return item is None

    started = client()
    assert started.post("/?q=1", json={"item": {"name": "ax"}}).json() == ["ax", 1]
    assert pointers(started.post("/", json={"name": "ax"})) == [("/item", "missing")]
    assert started.post("/maybe").json() is True
    assert started.post("/maybe", json={}).json() is True
    assert started.post("/maybe", json={"item": {"name": "ax"}}).json() is False


def test_limits_of_bodies_are_checked(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(numbers: Annotated[list[int], Field(min_length=2), Body()]) -> int:
        return sum(numbers)

    started = client()
    assert started.post("/", json=[1, 2]).json() == 3
    assert pointers(started.post("/", json=[1])) == [("", "too_short")]


def test_limits_beside_a_struct_are_checked(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/lines")
    async def lines(
        line: Line,
        copies: Annotated[int, Body(ge=1), Field(le=3)] = 1,
        notes: Annotated[list[str], Body(max_length=1)] = [],  # noqa: B006
    ) -> int:
        return copies

    started = client()
    line = {"item": "pen"}
    assert started.post("/lines", json={"line": line, "copies": 3}).json() == 3
    for wrong, code in (
        ({"copies": 0}, "greater_than_equal"),
        ({"copies": 4}, "less_than_equal"),
        ({"notes": ["", ""]}, "too_long"),
    ):
        answer = started.post("/lines", json={"line": line, **wrong})
        assert answer.status_code == 422
        assert [each["code"] for each in answer.json()["errors"]] == [code]


def test_a_validator_beside_a_struct_is_refused(app: Ziggurat) -> None:
    async def lines(line: Line, copies: Annotated[int, Body(), AfterValidator(abs)]) -> None: ...

    with pytest.raises(ConfigError, match=r"'copies' is annotated with AfterValidator.*, which msgspec does not know"):
        app.post("/lines")(lines)


def test_bodies_as_they_come(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/any")
    async def anything(data: Annotated[bytes, Body()]) -> int:
        return len(data)

    @app.post("/image")
    async def image(data: Annotated[bytes, Body(media_type=["image/*", "application/pdf"])]) -> int:
        return len(data)

    @app.post("/text")
    async def text(data: Annotated[str, Body(media_type="text/plain")] = "nothing") -> str:
        return data

    started = client()

    def sent(path: str, content: bytes, content_type: str | None) -> Any:
        return started.post(
            path, content=content, headers={} if content_type is None else {"content-type": content_type}
        )

    assert sent("/any", b"\xff\x00", None).json() == 2
    assert sent("/any", b"", None).json() == 0
    assert sent("/image", b"abc", "image/png").json() == 3
    assert sent("/image", b"abc", "application/pdf; x=y").json() == 3
    for bad in (None, "text/plain", "imagepng", "application/json"):
        answer = sent("/image", b"abc", bad)
        assert (answer.status_code, "image/*, application/pdf" in answer.json()["detail"]) == (415, True), bad
    assert sent("/text", "grüße".encode(), "text/plain; charset=utf-8").text == "grüße"
    assert sent("/text", b"", None).text == "nothing"
    assert sent("/text", b"\xff", "text/plain").status_code == 400


def test_the_document_shows_bodies() -> None:
    app = Ziggurat()

    @app.post("/several")
    async def several(item: Item, level: Annotated[int, Body()] = 1) -> None: ...

    @app.post("/struct")
    async def struct(order: Order) -> None: ...

    @app.post("/image")
    async def image(data: Annotated[bytes, Body(media_type="image/*", description="a picture")]) -> None: ...

    paths = app.openapi()["paths"]
    schemas = app.openapi()["components"]["schemas"]
    whole = paths["/several"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = schemas[whole["$ref"].rpartition("/")[2]] if "$ref" in whole else whole
    assert body["required"] == ["item"] and list(body["properties"]) == ["item", "level"]
    assert paths["/struct"]["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Order"
    }
    assert schemas["Line"]["properties"]["item"] == {"type": "string", "minLength": 2}
    assert paths["/image"]["post"]["requestBody"] == {
        "required": True,
        "description": "a picture",
        "content": {"image/*": {"schema": {}}},
    }


def test_the_document_shows_what_is_said_of_each_parameter_of_a_body() -> None:
    app = Ziggurat()
    sizes: Any = {"title": "Size", "description": "how large", "examples": [3], "deprecated": True}

    @app.post("/items")
    async def items(
        item: Annotated[Item, Body(description="what")], size: Annotated[int, Body(ge=1, **sizes)] = 1
    ) -> None: ...

    @app.post("/lines")
    async def lines(
        line: Annotated[Line, Body(description="what")], size: Annotated[int, Body(ge=1, **sizes)] = 1
    ) -> None: ...

    @app.post("/one")
    async def one(item: Annotated[Item, Body(embed=True, description="what")]) -> None: ...

    schemas = app.openapi()["components"]["schemas"]
    for name, of in (("item", schemas["Body_items"]), ("line", schemas["Body_lines"])):
        assert of["properties"]["size"] == {"type": "integer", "minimum": 1, **sizes}
        assert of["properties"][name]["description"] == "what" and of["required"] == [name]
    assert schemas["Body_one"]["properties"]["item"]["description"] == "what"


def test_bodies_that_cannot_be_read_are_refused() -> None:
    async def mixed(item: Item, line: Line) -> None: ...
    async def raw(data: Annotated[bytes, Body()], item: Item) -> None: ...
    async def as_text(item: Annotated[Item, Body(media_type="text/plain")]) -> None: ...
    async def nonsense(data: Annotated[bytes, Body(media_type="png")]) -> None: ...
    async def limited(data: Annotated[bytes, Body(max_length=3)]) -> None: ...
    async def made(item: Annotated[Item, Body(default_factory=lambda: None)]) -> None: ...

    def refused(handler: Callable[..., Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            Ziggurat().post("/")(handler)
        assert "test_bodies.py:" in str(caught.value)
        return str(caught.value)

    assert "make both models of the same library" in refused(mixed)
    assert "is the body as it comes" in refused(raw)
    assert "only JSON is made Item of" in refused(as_text)
    assert "'png' is no media type" in refused(nonsense)
    assert "its limits cannot be checked" in refused(limited)
    assert "default_factory" in refused(made)
