"""Numbers that JSON does not have, as `inf`: the OpenAPI document is JSON all the same."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field, WithJsonSchema

from ziggurat import ConfigError, Form, Header, Model, Query, Ziggurat
from ziggurat.testing import TestClient


def served(app: Ziggurat) -> Any:
    """The document as it is sent, read as RFC 8259 has it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    with TestClient(app) as client:
        answer = client.get("/openapi.json")
        assert answer.status_code == 200, answer.text
    made = json.loads(answer.text, parse_constant=refuse)
    assert made == app.openapi()
    OpenAPIV31SpecValidator(made).validate()
    return made


class Page(BaseModel):
    up_to: float = math.inf
    beyond: float = 0


class Item(BaseModel):
    """Has a member that is called as a keyword of JSON Schema is, in which others hold what JSON lacks."""

    price: float = math.inf
    weight: Annotated[float, Field(ge=-math.inf, le=10, examples=[math.nan, 1.5])] = 1
    default: Annotated[float, Field(description="a member of this name")] = math.nan
    kind: Annotated[float, WithJsonSchema({"enum": [1, math.inf]})] = 1


class Line(msgspec.Struct):
    limit: float = -math.inf
    count: int = 1


@dataclass
class Bolt:
    length: float = math.nan


def test_what_json_lacks_is_left_out_and_holds_all_the_same() -> None:
    app = Ziggurat()

    @app.get("/search/{least}")
    async def search(
        least: Annotated[float, Field(gt=-math.inf, lt=math.inf)],
        most: float = math.inf,
        step: Annotated[float, Query(ge=-math.inf, le=5, examples=[math.inf, 1.0])] = 1,
        several: Annotated[tuple[float, ...], Query()] = (1, math.inf),
        x_price: Annotated[Decimal, Header(le=Decimal("Infinity"))] = Decimal(1),
    ) -> list[bool]:
        return [most == math.inf, several == (1, math.inf)]

    @app.get("/page")
    async def page(page: Annotated[Page, Query()]) -> bool:
        return page.up_to == math.inf

    @app.post("/form")
    async def form(limit: Annotated[float, Form()] = math.inf) -> None: ...

    @app.post("/item", responses={404: {"content": {"application/json": {"example": [math.nan], "schema": {}}}}})
    async def item(item: Item) -> Item:
        return item

    @app.post("/line")
    async def line(line: Line) -> bool:
        return line.limit == -math.inf

    @app.post("/bolt")
    async def bolt(bolt: Bolt) -> Bolt:
        return bolt

    made = served(app)
    by_name = {each["name"]: each["schema"] for each in made["paths"]["/search/{least}"]["get"]["parameters"]}
    assert by_name == {
        "least": {"type": "number"},
        "most": {"type": "number"},
        "step": {"type": "number", "default": 1, "examples": [1.0], "maximum": 5},
        "several": {"type": "array", "items": {"type": "number"}},
        "x-price": {"type": "number", "default": 1},
    }
    by_name = {each["name"]: each["schema"] for each in made["paths"]["/page"]["get"]["parameters"]}
    assert by_name == {"up_to": {"type": "number"}, "beyond": {"type": "number", "default": 0}}
    content = made["paths"]["/form"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["properties"] == {"limit": {"type": "number"}}
    assert made["paths"]["/item"]["post"]["responses"]["404"]["content"] == {"application/json": {"schema": {}}}
    schemas = made["components"]["schemas"]
    properties = schemas["Item"]["properties"]
    assert "default" not in properties["price"] and "required" not in schemas["Item"]
    assert properties["weight"] == {
        "default": 1,
        "examples": [1.5],
        "maximum": 10,
        "title": "Weight",
        "type": "number",
    }
    assert properties["default"]["description"] == "a member of this name"
    assert properties["kind"]["enum"] == [1]
    assert schemas["Line"]["properties"]["limit"] == {"type": "number"}
    assert "default" not in schemas["Bolt"]["properties"]["length"]

    with TestClient(app) as client:
        assert client.get("/search/-5").json() == [True, True]
        assert client.get("/page").json() is True
        assert client.post("/line", json={}).json() is True
        assert client.get("/search/1?step=6").status_code == 422


@pytest.mark.parametrize("limit", ["ge", "multiple_of"])
def test_a_bound_that_no_number_keeps_is_refused(limit: str) -> None:
    app = Ziggurat()

    async def handler(number: Annotated[float, Query(**{limit: math.inf})]) -> None: ...  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=rf"no number that is read for 'number' keeps {limit}=inf; give a finite"):
        app.get("/")(handler)


@pytest.mark.parametrize(("kind", "default"), [(float, math.inf), (Decimal, Decimal("NaN")), (list[float], [math.inf])])
def test_a_default_of_a_served_model_is_json(kind: Any, default: Any) -> None:
    made = type("Reading", (Model,), {"__annotations__": {"id": int, "value": kind}, "value": default})
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(made)(type("Routes", (), {}))
    with pytest.raises(ConfigError, match=r"Reading\.value: the default cannot be written as JSON: .* is not JSON"):
        app.build()


def test_what_stands_where_nothing_can_be_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(BaseModel):
        value: Annotated[int, WithJsonSchema({"type": "integer", "x-odd": {math.inf: 1}})]

    app = Ziggurat()

    @app.post("/odd")
    async def odd(odd: Odd) -> None: ...

    with TestClient(app) as client:
        assert client.get("/openapi.json").status_code == 500
    assert "the model Odd" in caplog.text and "give examples" in caplog.text
