"""The OpenAPI document beside its routes: the app itself, tags, names of operations, credentials, and what models say of themselves."""

from __future__ import annotations

import hashlib
from datetime import date
from enum import Enum, StrEnum
from typing import Annotated, Any
from uuid import UUID

import attrs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ConfigDict, Field

from ziggurat import PUBLIC, Body, ConfigError, Form, Model, Path, Query, ReadOnly, Router, Ziggurat, layers
from ziggurat.guards import ClaimIs, HasRole
from ziggurat.layers import FromCookie, FromQuery

SECRET = "0123456789abcdef0123456789abcdef"
KEY = layers.Key(hash="sha256:" + hashlib.sha256(b"key").hexdigest(), subject="billing")
USER = layers.User(
    name="ada",
    hash="$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$9rT0J0cHh1cVJ4Z1l5dXJ3bG9ybQ",
)


def document(app: Ziggurat) -> Any:
    made = app.openapi()
    assert list(OpenAPIV31SpecValidator(made).iter_errors()) == []
    return made


def test_the_app_tells_of_itself() -> None:
    app = Ziggurat(
        title="Shop",
        version="2.0",
        summary="Sells things",
        description="**Many** things.",
        terms_of_service="https://shop.example/terms",
        contact={"name": "Ada", "email": "ada@shop.example", "url": "https://shop.example"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[
            {"url": "/", "description": "This one"},
            {
                "url": "https://{region}.shop.example/v2",
                "variables": {"region": {"default": "eu", "enum": ["eu", "us"]}},
            },
        ],
        openapi_tags=[
            {"name": "users", "description": "Who buys.", "externalDocs": {"url": "https://shop.example/users"}},
            {"name": "unused"},
        ],
    )

    @app.get("/a", tags=["items", "users"])
    async def a() -> None: ...

    made = document(app)
    assert made["info"] == {
        "title": "Shop",
        "version": "2.0",
        "summary": "Sells things",
        "description": "**Many** things.",
        "termsOfService": "https://shop.example/terms",
        "contact": {"name": "Ada", "email": "ada@shop.example", "url": "https://shop.example"},
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    assert made["servers"][1]["variables"]["region"]["enum"] == ["eu", "us"]
    assert [tag["name"] for tag in made["tags"]] == ["users", "unused", "items"]
    assert made["tags"][0]["description"] == "Who buys."


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"contact": {"mail": "x"}}, "contact has 'mail', which is not known; write 'email'"),
        ({"contact": "Ada"}, "contact is 'Ada'; write it as a dict"),
        ({"license_info": {"url": "https://x"}}, "license_info has no 'name'"),
        ({"license_info": {"name": "x", "identifier": "MIT", "url": "https://x"}}, "identifier and url"),
        ({"servers": {"url": "/"}}, "servers is no list"),
        ({"servers": [{"url": "shop.example"}]}, "servers[0]: 'shop.example' is no address"),
        ({"servers": [{"url": 1}]}, "servers[0]['url'] is 1; give a text"),
        ({"servers": [{"url": "/", "variables": {"a": {}}}]}, "servers[0]['variables']['a'] has no 'default'"),
        ({"openapi_tags": [{"name": "a"}, {"name": "a"}]}, "openapi_tags describes 'a' twice"),
        ({"openapi_tags": [{"name": "a", "externalDocs": {"href": "x"}}]}, "['externalDocs'] has 'href'"),
    ],
)
def test_what_is_wrong_with_it_is_told_when_the_app_is_made(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Ziggurat(**settings)
    assert says in str(raised.value)


def test_an_operation_keeps_its_name_when_others_come_after_it() -> None:
    app = Ziggurat()

    def add(path: str) -> None:
        @app.get(path)
        async def item() -> None: ...

    add("/a")
    add("/b")
    router = Router("/c")

    @router.get("/x")
    async def item() -> None: ...

    app.include_router(router)
    app.include_router(router, prefix="/v2")

    @app.get("/d", operation_id="read_d")
    async def d() -> None: ...

    ids = {path: item["get"]["operationId"] for path, item in document(app)["paths"].items()}
    assert ids == {"/a": "item", "/b": "item_get", "/c/x": "item_get_c_x", "/v2/c/x": "item_get_v2_c_x", "/d": "read_d"}


def test_operations_of_a_model_that_is_served_twice_have_names_of_their_own() -> None:
    class Author(Model):
        id: UUID

    app = Ziggurat(store="sqlite:///:memory:")
    router = Router("/v1")
    router.crud(Author, ops={"get", "query"})(type("Routes", (), {}))
    app.crud(Author, ops={"get", "list"})(type("Routes", (), {}))
    app.include_router(router)
    app.include_router(router, prefix="/v2")

    @app.get("/author_get_v1_author")
    async def author_get_v1_author() -> None: ...

    paths = document(app)["paths"]
    assert {path: item["get"]["operationId"] for path, item in paths.items() if "get" in item} == {
        "/author/{id}": "author_get",
        "/author": "author_list",
        "/v1/author/{id}": "author_get_v1_author",
        "/v2/v1/author/{id}": "author_get_v2_v1_author",
        "/author_get_v1_author": "author_get_v1_author_get",
    }
    assert paths["/v2/v1/author"]["x-query"]["operationId"] == "author_query_v2_v1_author"


def test_an_operation_id_is_given_once() -> None:
    app = Ziggurat()

    @app.get("/a", operation_id="read")
    async def a() -> None: ...

    @app.get("/b", operation_id="read")
    async def b() -> None: ...

    with pytest.raises(ConfigError, match=r"GET /b: the operation_id 'read' is that of GET /a, too; give each"):
        app.openapi()
    with pytest.raises(ConfigError, match="operation_id='x' would be that of GET and POST"):
        Ziggurat().route("/c", methods=["GET", "POST"], operation_id="x")


def test_each_credential_has_a_scheme() -> None:
    app = Ziggurat(
        layers=[
            layers.Jwt(secret=SECRET, issuer="https://login.example", required=False),
            layers.ApiKey(keys=[KEY], sources=[FromQuery("key"), FromCookie("key")], required=False),
            layers.Basic(users=[USER], required=False),
        ]
    )

    @app.get("/open", auth=PUBLIC)
    async def opened() -> None: ...

    @app.get("/closed", auth=["a"], guards=[HasRole("editor"), ClaimIs("tenant", "x", "y")])
    async def closed() -> None: ...

    @app.get("/tokens", auth=True, skip_layers=[layers.Basic, layers.ApiKey])
    async def tokens() -> None: ...

    made = document(app)
    assert made["components"]["securitySchemes"] == {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JSON Web Token of https://login.example",
        },
        "apiKey": {"type": "apiKey", "in": "query", "name": "key", "description": "The key of a program"},
        "apiKey2": {"type": "apiKey", "in": "cookie", "name": "key", "description": "The key of a program"},
        "basic": {"type": "http", "scheme": "basic", "description": "Name and password of a person"},
    }
    assert "security" not in made["paths"]["/open"]["get"]
    closed_op = made["paths"]["/closed"]["get"]
    assert closed_op["security"] == [{"bearer": ["a"]}, {"apiKey": ["a"]}, {"apiKey2": ["a"]}, {"basic": ["a"]}]
    assert closed_op["responses"]["403"]["description"] == (
        "The caller lacks what is asked for: the scope `a`, the role `editor`, the claim `tenant` as `x` or `y`"
    )
    tokens_op = made["paths"]["/tokens"]["get"]
    assert tokens_op["security"] == [{"bearer": []}]
    assert "401" in tokens_op["responses"] and "403" not in tokens_op["responses"]


def test_layers_of_a_route_count_for_it_alone() -> None:
    app = Ziggurat(layers=[layers.RateLimit(limit=5, period=1)])

    @app.get("/a", layers=[layers.Jwt(secret=SECRET, require=[HasRole("staff")])], skip_layers=[layers.RateLimit])
    async def a() -> None: ...

    @app.get("/b")
    async def b() -> None: ...

    made = document(app)
    assert made["paths"]["/a"]["get"]["security"] == [{"bearer": []}]
    assert "the role `staff`" in made["paths"]["/a"]["get"]["responses"]["403"]["description"]
    assert "429" not in made["paths"]["/a"]["get"]["responses"]
    assert "security" not in made["paths"]["/b"]["get"]
    assert "429" in made["paths"]["/b"]["get"]["responses"]


class Home(BaseModel):
    """Where somebody lives."""

    city: str = Field(description="Its name", examples=["London"])


class Person(Model):
    """Somebody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "x", "name": "Ada"}], "x-owner": "people"})

    id: UUID
    name: Annotated[str, Field(description="As it is spoken", examples=["Ada"], deprecated=True)]
    made: Annotated[int, ReadOnly, Field(description="Counted")] = 0
    home: Home | None = None


class Part(msgspec.Struct):
    """A part."""

    id: UUID
    name: Annotated[str, msgspec.Meta(description="What it is called", examples=["bolt"])]


class Shade(Enum):
    DARK = "dark"


class Tile(msgspec.Struct):
    shade: Shade
    of: int | None = None


class OfPydantic:
    class Tile(BaseModel):
        shade: Shade


class OfAttrs:
    @attrs.define
    class Tile:
        depth: int


def test_models_of_two_libraries_may_share_a_name() -> None:
    app = Ziggurat()

    @app.post("/struct")
    async def of_msgspec(tile: Tile) -> list[Tile]: ...

    @app.post("/model")
    async def of_pydantic(tile: OfPydantic.Tile) -> OfPydantic.Tile: ...

    @app.post("/attrs")
    async def of_attrs(tile: OfAttrs.Tile) -> OfAttrs.Tile: ...

    made = document(app)
    schemas = made["components"]["schemas"]

    def named(path: str) -> Any:
        operation = made["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer.get("items", answer) == body
        return schemas[body["$ref"].rpartition("/")[2]]

    assert named("/model")["properties"] == {"shade": {"$ref": "#/components/schemas/Shade"}}
    assert named("/struct")["properties"]["shade"] == {"$ref": "#/components/schemas/Shade"}
    assert list(named("/attrs")["properties"]) == ["depth"]
    assert schemas["Shade"]["enum"] == ["dark"]


class Odd: ...


class Holds(msgspec.Struct):
    odd: Odd


def test_a_struct_with_what_only_a_hook_makes_is_any_value() -> None:
    app = Ziggurat()

    @app.post("/")
    async def handler(holds: Holds) -> None: ...

    body = document(app)["paths"]["/"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {}


def test_models_say_what_they_are() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Person)
    class PersonRoutes: ...

    @app.crud(Part)
    class PartRoutes: ...

    schemas = document(app)["components"]["schemas"]
    person = schemas["Person"]
    assert person["description"] == "Somebody."
    assert person["x-owner"] == "people"
    assert person["examples"] == [{"id": "x", "name": "Ada"}]
    assert schemas["PersonCreate"]["examples"] == [{"name": "Ada"}], "a body does not have the id"
    assert person["properties"]["name"] == {
        "type": "string",
        "description": "As it is spoken",
        "examples": ["Ada"],
        "deprecated": True,
    }
    assert person["properties"]["made"]["readOnly"] is True
    assert schemas["Home"]["properties"]["city"]["examples"] == ["London"]
    assert schemas["Part"]["properties"]["name"]["description"] == "What it is called"


class Area(StrEnum):
    SHOP = "shop"


def test_examples_may_have_names() -> None:
    class Bolt(BaseModel):
        size: int

    app = Ziggurat()
    sizes: dict[str, Any] = {"small": {"summary": "A small one", "value": 3}, "far": {"externalValue": "/x.json"}}
    whole: dict[str, Any] = {"plain": {"value": Bolt(size=3)}}

    @app.post("/bolts/{size}")
    async def bolts(
        size: Annotated[int, Path(openapi_examples=sizes)],
        bolt: Annotated[Bolt, Body(openapi_examples=whole)],
        since: Annotated[date, Query(openapi_examples={"day": {"value": date(2027, 1, 2)}}, examples=[])],
    ) -> None: ...

    @app.post("/form")
    async def form(size: Annotated[int, Form(openapi_examples=sizes, examples=[9])]) -> None: ...

    paths = document(app)["paths"]
    by_name = {each["name"]: each for each in paths["/bolts/{size}"]["post"]["parameters"]}
    assert by_name["size"]["examples"] == sizes
    assert by_name["since"]["examples"] == {"day": {"value": "2027-01-02"}}
    content = paths["/bolts/{size}"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"] == {"plain": {"value": {"size": 3}}} and "$ref" in content["schema"]
    content = paths["/form"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert content["schema"]["properties"]["size"]["examples"] == [9, 3]

    wrong: Any = {"small": 3}
    with pytest.raises(ConfigError, match="Query: openapi_examples has 'small': 3; write") as failed:
        Query(openapi_examples=wrong)
    assert __file__ in str(failed.value)
    with pytest.raises(ConfigError, match="'bolt' has openapi_examples, and is a part of the body"):

        @Ziggurat().post("/both")
        async def both(bolt: Annotated[Bolt, Body(openapi_examples=whole)], other: Bolt) -> None: ...


def test_tags_may_be_members_of_an_enum() -> None:
    app = Ziggurat()
    router = Router(tags=[Area.SHOP])

    @router.get("/", tags=[Area.SHOP])
    async def handler() -> None: ...

    app.include_router(router)
    made = document(app)
    tags = made["paths"]["/"]["get"]["tags"]
    assert [type(tag) for tag in (*tags, made["tags"][0]["name"])] == [str, str, str]
    odd: Any = [5]
    with pytest.raises(ConfigError, match=r"/: 5 is no tag.*test_openapi_document\.py:"):
        Ziggurat().get("/", tags=odd)
