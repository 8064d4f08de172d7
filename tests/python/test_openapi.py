"""The OpenAPI document: what it says of each route, checked by a published validator."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field

from ziggurat import CORE, Body, Header, Model, Query, Request, Response, Ziggurat, layers
from ziggurat.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1)]
    colour: Colour = Colour.RED


class Page(Model):
    id: str
    size: int = 0


class User(Model):
    id: UUID
    name: str
    age: Annotated[int, Field(ge=0)] | None = None


@dataclass
class Point:
    x: float
    y: float


def make_app() -> Ziggurat:
    app = Ziggurat(
        title="Shop",
        version="2.0",
        store="sqlite:///:memory:",
        layers=[layers.Jwt(secret=SECRET, required=False)],
    )

    @app.crud(User, auth={"create": True, "delete": ["admin"]})
    class UserRoutes: ...

    @app.crud(
        Page,
        ops=CORE | {"count", "export"},
        auth={"count": True},
        client_id=True,
        upsert=True,
        bulk=True,
        concurrency="required",
        envelope=False,
    )
    class PageRoutes: ...

    @app.get("/items/{id}", tags=["items"])
    async def item(
        id: int,
        colour: Colour = Colour.RED,
        tag: Annotated[list[str] | None, Query(description="any of")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        user_agent: Annotated[str | None, Header()] = None,
    ) -> Item:
        """One item.

        With more to say.
        """
        return Item(name=f"{id}{tag}{limit}{user_agent}", colour=colour)

    @app.post("/items", status=201)
    async def create(item: Item) -> Item:
        return item

    @app.route("/both", methods=["GET", "POST"])
    async def both() -> list[Point]:
        return []

    @app.get("/secret", auth=["a", "b"])
    async def secret(request: Request) -> Response:
        return Response(200)

    @app.put("/raw")
    async def raw(values: Annotated[dict[str, int], Body()]) -> str:
        return str(values)

    @app.get("/hidden", include_in_schema=False)
    async def hidden() -> None: ...

    return app


@pytest.fixture(scope="module")
def spec() -> Any:
    with TestClient(make_app()) as client:
        answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_is_valid_openapi_3_1(spec: Any) -> None:
    assert spec["openapi"] == "3.1.0"
    assert spec["info"] == {"title": "Shop", "version": "2.0"}
    assert list(OpenAPIV31SpecValidator(spec).iter_errors()) == []


def test_lists_what_is_served_and_nothing_else(spec: Any) -> None:
    app = make_app()
    served = {
        (route.method.lower(), route.path)
        for route in app.routes
        if route.method and route.path not in ("/hidden", "/openapi.json", "/docs", "/docs/{file}")
    }
    listed = {(method, path) for path, item in spec["paths"].items() for method in item if method != "parameters"}
    assert listed == served
    assert ("patch", "/user/{id}") in listed


def test_parameters(spec: Any) -> None:
    parameters = {p["name"]: p for p in spec["paths"]["/items/{id}"]["get"]["parameters"]}
    assert parameters["id"] == {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    assert parameters["colour"]["schema"] == {"type": "string", "enum": ["red", "blue"], "default": "red"}
    assert parameters["tag"]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert parameters["tag"]["description"] == "any of"
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert not parameters["limit"]["required"]
    assert parameters["user-agent"]["in"] == "header"


def test_bodies_and_answers(spec: Any) -> None:
    create = spec["paths"]["/items"]["post"]
    body = create["requestBody"]
    assert body["required"] is True
    taken = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert spec["components"]["schemas"][taken]["properties"]["name"]["minLength"] == 1
    assert {"201", "400", "413", "415", "422", "default"} <= set(create["responses"])
    points = spec["paths"]["/both"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert points["type"] == "array"
    raw = spec["paths"]["/raw"]["put"]
    assert raw["requestBody"]["content"]["application/json"]["schema"]["additionalProperties"] == {"type": "integer"}
    assert raw["responses"]["200"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
    assert "content" not in spec["paths"]["/secret"]["get"]["responses"]["200"]


def test_options_of_a_resource_are_told(spec: Any) -> None:
    count = spec["paths"]["/page/_count"]["get"]
    names = [parameter["name"] for parameter in count["parameters"]]
    assert "size" in names and "limit" not in names
    assert count["security"] and "401" in count["responses"]
    assert count["responses"]["200"]["content"]["application/json"]["schema"]["required"] == ["count"]
    put = spec["paths"]["/page/{id}"]["put"]
    assert {"201", "428"} <= set(put["responses"])
    if_match = {p["name"]: p for p in spec["paths"]["/page/{id}"]["patch"]["parameters"]}["If-Match"]
    assert if_match["required"] is True
    listed = spec["paths"]["/page"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert listed["type"] == "array"
    assert "/user/_count" not in spec["paths"]
    assert "428" not in spec["paths"]["/user/{id}"]["put"]["responses"]


def test_docstring_and_tags(spec: Any) -> None:
    item = spec["paths"]["/items/{id}"]["get"]
    assert (item["summary"], item["description"]) == ("One item.", "With more to say.")
    assert item["tags"] == ["items"]
    assert {"name": "items"} in spec["tags"]


def test_operation_ids_are_unique(spec: Any) -> None:
    ids = [op["operationId"] for item in spec["paths"].values() for op in item.values() if isinstance(op, dict)]
    assert len(ids) == len(set(ids))
    assert {"both_get", "both_post", "create", "item"} <= set(ids)


def test_security(spec: Any) -> None:
    assert spec["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A JSON Web Token"}
    }
    secret = spec["paths"]["/secret"]["get"]
    assert secret["security"] == [{"bearer": ["a", "b"]}]
    assert {"401", "403"} <= set(secret["responses"])
    assert "security" not in spec["paths"]["/both"]["get"]
    users = spec["paths"]["/user"]
    assert users["post"]["security"] == [{"bearer": []}]
    assert "401" in users["post"]["responses"]
    assert "security" not in users["get"]
    assert spec["paths"]["/user/{id}"]["delete"]["security"] == [{"bearer": ["admin"]}]
    assert "security" not in spec["paths"]["/user/{id}"]["get"]


def test_a_required_token_stands_on_every_route() -> None:
    app = Ziggurat(layers=[layers.Jwt(secret=SECRET)], openapi_path="/docs.json")

    @app.get("/")
    async def root() -> None: ...

    assert app.openapi()["paths"]["/"]["get"]["security"] == [{"bearer": []}]


def test_models_of_one_name_are_told_apart() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(User)
    class UserRoutes: ...

    def other() -> type[BaseModel]:
        class User(BaseModel):
            email: str

        return User

    Other = other()

    async def login(user: Any) -> None: ...

    login.__annotations__["user"] = Other
    app.post("/login")(login)
    with TestClient(app) as client:
        made = client.get("/openapi.json").json()
    assert list(OpenAPIV31SpecValidator(made).iter_errors()) == []
    schema = made["paths"]["/login"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rpartition("/")[2]
    assert set(made["components"]["schemas"][name]["properties"]) == {"email"}


def test_can_be_left_out() -> None:
    app = Ziggurat(openapi_path=None)
    with TestClient(app) as client:
        assert client.get("/openapi.json").status_code == 404
