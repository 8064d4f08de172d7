"""How what a handler returns is written: by its return annotation, or by `response_model`."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field, HttpUrl, computed_field
from typing_extensions import TypedDict

from ziggurat import ConfigError, HTMLResponse, HTTPException, Request, Response, ResponseValidationError, Ziggurat
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


class Part(BaseModel):
    size: int


class SecretPart(Part):
    secret: str = "secret"


class Item(BaseModel):
    name: str
    price: float = Field(1.0, alias="unitPrice")
    part: Part | None = None
    parts: list[Part] = []

    @computed_field
    def label(self) -> str:
        return self.name.upper()


class SecretItem(Item):
    secret: str = "secret"

    @computed_field
    def more(self) -> str:
        return "secret"


class Stranger(BaseModel):
    name: str
    unitPrice: float = 3.0
    secret: str = "secret"


class Object:
    def __init__(self) -> None:
        self.name = "object"
        self.unitPrice = 2.0
        self.secret = "secret"


@dataclasses.dataclass
class Point:
    x: int
    part: Part | None = None


@dataclasses.dataclass
class SecretPoint(Point):
    secret: str = "secret"


class Typed(TypedDict):
    x: int
    part: Part


class Inner(msgspec.Struct):
    a: int


class SecretInner(Inner):
    secret: str = "secret"


class Outer(msgspec.Struct, rename="camel"):
    the_name: str
    inner: Inner | None = None
    many: list[Inner] = []


class SecretOuter(Outer):
    secret: str = "secret"


@attrs.define
class Leaf:
    a: int


@attrs.define
class SecretLeaf(Leaf):
    secret: str = "secret"


@attrs.define
class Tree:
    name: str
    leaves: list[Leaf] = attrs.field(factory=list)


@attrs.define
class SecretTree(Tree):
    secret: str = "secret"


ITEM = {"name": "a", "unitPrice": 1.0, "part": None, "parts": [], "label": "A"}


def written(annotation: Any, value: Any, **options: Any) -> Any:
    """The JSON of `value` where a handler declares `annotation`."""
    app = Ziggurat(openapi_path=None)

    async def handler() -> Any:
        return value

    handler.__annotations__["return"] = annotation
    app.get("/", **options)(handler)
    with TestClient(app) as client:
        answer = client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
    assert "secret" not in answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Item, Item(name="a"), ITEM),
        (Item, SecretItem(name="a"), ITEM),
        (Item, {"name": "a", "secret": "secret"}, ITEM),
        (Item, Stranger(name="a"), {**ITEM, "unitPrice": 3.0}),
        (Item, Object(), {**ITEM, "name": "object", "unitPrice": 2.0, "label": "OBJECT"}),
        (Item, Item(name="a", part=SecretPart(size=1)), {**ITEM, "part": {"size": 1}}),
        (Item, Item(name="a", parts=[SecretPart(size=1)]), {**ITEM, "parts": [{"size": 1}]}),
        (Item | None, None, None),
        (Item | None, SecretItem(name="a"), ITEM),
        (Item | Part, SecretPart(size=1), {"size": 1}),
        (Item | Part, {"size": 1, "secret": "secret"}, {"size": 1}),
        (list[Item], [SecretItem(name="a"), Item(name="a")], [ITEM, ITEM]),
        (list[Item], [{"name": "a", "secret": "secret"}], [ITEM]),
        (list[Item], (Item(name="a"),), [ITEM]),
        (list[Item], [Stranger(name="a")], [{**ITEM, "unitPrice": 3.0}]),
        (dict[str, Part], {"p": SecretPart(size=1)}, {"p": {"size": 1}}),
        (dict[str, list[Part]], {"p": [{"size": 1, "secret": "secret"}]}, {"p": [{"size": 1}]}),
        (Annotated[Item, "a note"], SecretItem(name="a"), ITEM),
        (tuple[Part, Part], (SecretPart(size=1), Part(size=2)), [{"size": 1}, {"size": 2}]),
        (Point, SecretPoint(1), {"x": 1, "part": None}),
        (Point, SecretPoint(1, SecretPart(size=2)), {"x": 1, "part": {"size": 2}}),
        (Point, {"x": 1, "secret": "secret"}, {"x": 1, "part": None}),
        (Typed, {"x": 1, "part": SecretPart(size=2), "secret": "secret"}, {"x": 1, "part": {"size": 2}}),
        (list[Typed], [{"x": 1, "part": {"size": 2, "secret": "secret"}}], [{"x": 1, "part": {"size": 2}}]),
        (Outer, Outer("a"), {"theName": "a", "inner": None, "many": []}),
        (Outer, SecretOuter("a"), {"theName": "a", "inner": None, "many": []}),
        (Outer, Outer("a", SecretInner(1)), {"theName": "a", "inner": {"a": 1}, "many": []}),
        (Outer, Outer("a", many=[SecretInner(1)]), {"theName": "a", "inner": None, "many": [{"a": 1}]}),
        (list[HttpUrl], [HttpUrl("http://a.example")], ["http://a.example/"]),
        (timedelta | None, timedelta(days=1), "P1D"),
        (Tree, Tree("a", [Leaf(1)]), {"name": "a", "leaves": [{"a": 1}]}),
        (Tree, SecretTree("a"), {"name": "a", "leaves": []}),
        (Tree, Tree("a", [SecretLeaf(1)]), {"name": "a", "leaves": [{"a": 1}]}),
        (Tree, {"name": "a", "leaves": [{"a": 1, "secret": "secret"}]}, {"name": "a", "leaves": [{"a": 1}]}),
        (dict[str, Tree | None], {"x": SecretTree("a"), "y": None}, {"x": {"name": "a", "leaves": []}, "y": None}),
        (dict[str, Any], {"x": Tree("a", [Leaf(1)])}, {"x": {"name": "a", "leaves": [{"a": 1}]}}),
        (Outer, {"theName": "a", "secret": "secret"}, {"theName": "a", "inner": None, "many": []}),
        (list[Inner], [SecretInner(1), {"a": 2, "secret": "secret"}], [{"a": 1}, {"a": 2}]),
        (dict[str, Inner | None], {"x": SecretInner(1), "y": None}, {"x": {"a": 1}, "y": None}),
    ],
)
def test_a_value_is_cut_to_what_was_declared(annotation: Any, value: Any, expected: Any) -> None:
    assert written(annotation, value) == expected


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (Item, {"unitPrice": 1}, "name: Field required"),
        (Item, None, "it: "),
        (Item, Part(size=1), "name: Field required"),
        (Item, "text", "it: "),
        (list[Item], [{"name": "a"}, {"name": 2}], "1.name"),
        (list[Item], Item(name="a"), "valid dictionary"),
        (Item, Item.model_construct(name="a", part={"size": 1, "secret": "secret"}), "Expected `Part`"),
        (Point, object(), "it: "),
        (Typed, {"x": 1}, "part: Field required"),
        (Outer, {"theName": 3}, "Expected `str`"),
        (Outer, object(), "returned object"),
    ],
)
def test_what_does_not_fit_is_a_500_and_logged_once(
    annotation: Any, value: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Ziggurat(openapi_path=None)

    def returns_it() -> Any:
        return value

    returns_it.__annotations__["return"] = annotation
    app.get("/")(returns_it)
    with caplog.at_level(logging.ERROR, logger="ziggurat"), TestClient(app) as client:
        answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "secret" not in caplog.text
    assert len(caplog.records) == 1
    assert words in caplog.text and "returns_it returned" in caplog.text
    assert "test_response_models.py:" in caplog.text


def test_it_is_an_exception_that_can_be_handled() -> None:
    app = Ziggurat()

    @app.exception_handler(ResponseValidationError)
    async def unfit(request: Request, error: ResponseValidationError) -> Response:
        return Response(502, content="broken")

    @app.get("/")
    async def root() -> Item:
        return {"unitPrice": 1}  # type: ignore[return-value]

    with TestClient(app) as client:
        assert (client.get("/").status_code, client.get("/").text) == (502, "broken")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"response_model_exclude_unset": True}, {"name": "a", "part": {"size": 1}, "label": "A"}),
        ({"response_model_exclude_defaults": True}, {"name": "a", "part": {"size": 1}, "label": "A"}),
        ({"response_model_include": {"name", "label"}}, {"name": "a", "label": "A"}),
        ({"response_model_exclude": {"parts": True, "price": ..., "label": True}}, {"name": "a", "part": {"size": 1}}),
        (
            {"response_model_by_alias": False},
            {"name": "a", "price": 1.0, "part": {"size": 1}, "parts": [], "label": "A"},
        ),
        ({"response_model_exclude_none": True}, {**ITEM, "part": {"size": 1}}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_fields_may_be_left_out(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert written(Item, Item(name="a", part=Part(size=1)), **options) == expected


def test_none_is_left_out() -> None:
    assert "part" not in written(Item, Item(name="a"), response_model_exclude_none=True)


def test_a_model_that_is_given_comes_before_the_annotation() -> None:
    assert written(Any, SecretItem(name="a"), response_model=Item) == ITEM
    assert written(SecretItem, SecretItem(name="a"), response_model=Item) == ITEM
    assert written(Any, ["1", 2], response_model=list[int]) == [1, 2]
    app = Ziggurat()

    @app.get("/", response_model=None)
    async def root() -> Item:
        return SecretItem(name="a")

    with TestClient(app) as client:
        assert client.get("/").json()["secret"] == "secret"


def test_responses_and_statuses_pass(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/{kind}", status=201)
    async def root(kind: str, response: Response) -> Item | Response:
        response.headers["x-a"] = "b"
        if kind == "response":
            return Response(203, content={"secret": "mine"})
        if kind == "raises":
            raise HTTPException(404)
        return SecretItem(name="a")

    @app.get("/none/at-all", status=204)
    async def nothing() -> Item | None:
        return None

    started = client()
    answer = started.get("/item")
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (201, ITEM, "b")
    assert started.get("/response").json() == {"secret": "mine"}
    assert started.get("/raises").status_code == 404
    assert (started.get("/none/at-all").status_code, started.get("/none/at-all").content) == (204, b"")


def test_the_document_shows_it() -> None:
    app = Ziggurat()

    @app.get("/item", response_model_exclude={"part", "parts"}, response_model_exclude_unset=True)
    async def item() -> Item | Response: ...

    @app.get(
        "/items",
        response_model=list[Item],
        responses={404: {"model": Part}, 409: {"description": "Taken"}, "5XX": {"headers": {}}, 422: {"model": Inner}},
    )
    async def items(limit: int = 1) -> Any: ...

    @app.get("/struct")
    async def struct() -> list[Outer]: ...

    @app.get("/some", response_model_include={"__all__": {"the_name", "many"}}, response_model_exclude_defaults=True)
    async def some() -> list[Outer]: ...

    @app.get("/own", response_model_include={"price", "name"}, response_model_by_alias=False)
    async def own() -> Item: ...

    @app.get("/page")
    async def page() -> HTMLResponse: ...

    @app.get("/nothing", status=204)
    async def nothing() -> None: ...

    document = app.openapi()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    paths = document["paths"]

    def schema(path: str, status: str = "200") -> Any:
        return paths[path]["get"]["responses"][status]["content"]["application/json"]["schema"]

    assert set(schema("/item")["properties"]) == {"name", "unitPrice", "label"}
    assert schema("/item")["required"] == ["name", "label"]
    assert schema("/items") == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Item"},
        **_title(schema("/items")),
    }
    answers = paths["/items"]["get"]["responses"]
    assert schema("/items", "404") == {"$ref": "#/components/schemas/Part"}
    assert answers["404"]["description"] == "Not Found"
    assert answers["409"] == {"description": "Taken"}
    assert answers["5XX"] == {"headers": {}, "description": "Another answer"}
    assert schema("/items", "422") == {"$ref": "#/components/schemas/Inner"}
    assert schema("/struct")["items"] == {"$ref": "#/components/schemas/Outer"}
    assert "theName" in document["components"]["schemas"]["Outer"]["properties"]
    assert set(schema("/some")["items"]["properties"]) == {"theName", "many"}
    assert schema("/some")["items"]["required"] == ["theName"]
    assert set(schema("/own")["properties"]) == {"name", "price"}
    assert list(paths["/page"]["get"]["responses"]["200"]["content"]) == ["text/html"]
    assert paths["/nothing"]["get"]["responses"]["204"] == {"description": "Success"}


def test_what_is_said_of_an_answer_stands_beside_what_is_known() -> None:
    app = Ziggurat()
    image = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    example = {"application/json": {"example": {"size": 3}}}

    @app.get("/image", responses={200: {"description": "Either", "content": image}})
    async def either() -> Part: ...

    @app.get("/example", responses={200: {"content": example}, 422: {"headers": {"x-a": {"schema": {}}}}})
    async def with_example(limit: int) -> Part: ...

    @app.get("/own", responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}})
    async def own() -> Part: ...

    document = app.openapi()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    told = {path: item["get"]["responses"] for path, item in document["paths"].items()}
    part = {"schema": {"$ref": "#/components/schemas/Part"}}
    assert told["/image"]["200"] == {"description": "Either", "content": {"application/json": part, **image}}
    assert told["/example"]["200"]["content"] == {"application/json": {**part, "example": {"size": 3}}}
    assert told["/example"]["422"]["headers"] == {"x-a": {"schema": {}}}
    assert "application/problem+json" in told["/example"]["422"]["content"]
    assert told["/own"]["200"]["content"] == {"application/json": {"schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("annotation", "content"),
    [
        (str, {"text/plain": {"type": "string"}}),
        (str | Response, {"text/plain": {"type": "string"}}),
        (str | None, {"text/plain": {"type": "string"}, "application/json": {"type": "null"}}),
        (Literal["a", "b"], {"text/plain": {"enum": ["a", "b"], "type": "string"}}),
        (bytes | int, {"application/octet-stream": {}, "application/json": {"type": "integer"}}),
        (
            int | str | None,
            {"text/plain": {"type": "string"}, "application/json": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        ),
        (
            Part | str,
            {"application/json": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "string"}]}},
        ),
        (Any, {"application/json": {}}),
    ],
)
def test_the_document_tells_texts_from_json(annotation: Any, content: dict[str, Any]) -> None:
    app = Ziggurat()

    async def handler() -> Any: ...

    handler.__annotations__["return"] = annotation
    app.get("/")(handler)
    answer = app.openapi()["paths"]["/"]["get"]["responses"]["200"]
    assert {kind: said["schema"] for kind, said in answer["content"].items()} == content


def _title(schema: dict[str, Any]) -> dict[str, Any]:
    return {"title": schema["title"]} if "title" in schema else {}


def test_mistakes_are_told_at_registration(app: Ziggurat) -> None:
    def registers(annotation: Any, **options: Any) -> Callable[[], None]:
        async def handler() -> Any: ...

        handler.__annotations__["return"] = annotation
        return lambda: app.get("/", **options)(handler) and None

    class Mixed(msgspec.Struct):
        item: Item

    class Row(msgspec.Struct, array_like=True):
        a: int

    for register, words in [
        (registers(int, response_model_exclude_none=True), "response_model_exclude_none is given, but no model"),
        (registers(Item, response_model_exclude={"nmae"}), "names 'nmae', which Item does not have"),
        (registers(Item, response_model_include={"nmae"}), "names 'nmae', which Item does not have"),
        (registers(Outer, response_model_exclude_unset=True), "is not for a msgspec.Struct"),
        (registers(Outer, response_model_exclude={"theName"}), "names 'theName', which Outer does not have"),
        (registers(Outer, response_model_include={"many": False}), "has False, which says of no field"),
        (registers(Row, response_model_include={"a"}), "Row is written as an array"),
        (registers(list[Outer], response_model_include={"many"}), "names 'many', and what is returned is a list"),
        (registers(list[Item], response_model_exclude={"part"}), r"response_model_exclude=\{\"__all__\": \{'part'"),
        (registers(Any, response_model=Iterator[object].__class__), "cannot be written"),
        (registers(Mixed), "cannot be written as Mixed"),
        (registers(Item, responses={"abc": {}}), "responses names 'abc'"),
        (registers(Object), "cannot be written as Object"),
        (registers(dict[str, Object] | None), "cannot be written as dict"),
        (registers(Item, status=204), "it returns Item, and an answer with the status 204 has no content"),
        (registers(None, response_model=int, status=304), "it returns int, and an answer with the status 304 has no"),
        (registers(Item, responses={404: "gone"}), "says 'gone' of 404"),
        (registers(Item, responses={404: {"model": "Part"}}), "404 has the model 'Part', which is no type"),
    ]:
        with pytest.raises(ConfigError, match=words) as raised:
            register()
        assert raised.value.location is not None and "test_response_models.py" in raised.value.location


def test_classes_of_attrs_need_msgspec(app: Ziggurat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)

    async def handler() -> list[Tree]: ...

    with pytest.raises(ConfigError, match=r"classes of attrs are written by msgspec; run `pip install msgspec`"):
        app.get("/")(handler)


def test_a_list_of_many_is_what_pydantic_writes() -> None:
    items = [Item(name=f"item {number}", part=Part(size=number)) for number in range(100)]
    assert written(list[Item], items) == json.loads(json.dumps([each.model_dump(by_alias=True) for each in items]))


def test_what_is_yielded_and_does_not_fit_is_told_as_that(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/", response_model=list[Part])
    async def parts() -> AsyncIterator[Part]:
        yield Part(size=1)

    assert client().get("/").status_code == 500
    assert "parts yielded Part, which is not the list[test_response_models.Part] that it declares" in caplog.text
