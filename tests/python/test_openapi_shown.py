"""What routers and resources say for the OpenAPI document alone: `include_in_schema`, `deprecated` and `responses`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from ziggurat import ConfigError, Model, Ref, Router, Ziggurat
from ziggurat.testing import TestClient


class Address(BaseModel):
    street: str


class Author(Model):
    id: UUID
    address: Address


class Book(Model):
    id: UUID
    author: Annotated[UUID, Ref(Author)]


class Busy(BaseModel):
    wait: int


def document(app: Ziggurat) -> Any:
    made = app.openapi()
    OpenAPIV31SpecValidator(made).validate()
    return made


def operations(made: Any) -> dict[tuple[str, str], Any]:
    return {(method, path): of for path, item in made["paths"].items() for method, of in item.items()}


def crud(routes: Router | Ziggurat, model: type[Model], **options: Any) -> None:
    routes.crud(model, **options)(type("Routes", (), {}))


def test_what_one_of_them_does_not_show_is_not_shown_and_is_served() -> None:
    hidden = Router("/hidden", include_in_schema=False)
    inner = Router("/inner")
    shown = Router("/shown")
    for router in (hidden, inner, shown):

        @router.get("/handler")
        async def handler() -> Busy:
            return Busy(wait=1)

        @router.get("/own", include_in_schema=False)
        async def own() -> str:
            return "own"

    crud(hidden, Author)
    crud(shown, Book, include_in_schema=True)
    hidden.include_router(inner)
    app = Ziggurat(store="sqlite:///:memory:")
    app.include_router(hidden)
    app.include_router(shown, include_in_schema=True)
    app.include_router(inner, prefix="/again", include_in_schema=False)
    made = document(app)
    assert {path for path in made["paths"]} == {"/shown/handler", "/shown/book", "/shown/book/{id}"}
    # Nor are the models that only they have.
    names = made["components"]["schemas"].keys()
    assert "Book" in names and "Busy" in names
    assert not [name for name in names if "Author" in name or "Address" in name]
    assert {tag["name"] for tag in made["tags"]} == {"Book"}
    with TestClient(app) as client:
        assert client.get("/openapi.json").json() == made
        for path in ("/hidden/handler", "/hidden/own", "/hidden/inner/handler", "/again/inner/own", "/hidden/author"):
            assert client.get(path).status_code == 200, path


def test_a_resource_may_be_left_out_alone() -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    crud(app, Author, path="/internal", include_in_schema=False)
    crud(app, Author, ops={"get"}, expandable=False)
    made = document(app)
    assert operations(made).keys() == {("get", "/author/{id}")}
    names = made["components"]["schemas"].keys()
    assert "Author" in names and "AuthorCreate" not in names


def test_deprecated_if_one_of_them_says_so() -> None:
    old = Router("/old", deprecated=True)
    new = Router("/new")

    @old.get("/handler")
    async def of_old() -> None: ...

    @new.get("/handler")
    async def of_new() -> None: ...

    @new.get("/late", deprecated=True)
    async def late() -> None: ...

    crud(old, Author)
    crud(new, Book, ops={"list", "query"})
    crud(new, Author, path="/gone", ops={"get"}, deprecated=True)
    app = Ziggurat(store="sqlite:///:memory:")
    app.include_router(old)
    app.include_router(new)
    app.include_router(new, prefix="/v1", deprecated=True)
    for (method, path), operation in operations(document(app)).items():
        says = operation.get("deprecated", False)
        assert says is not path.startswith("/new") or path in ("/new/late", "/new/gone/{id}"), (method, path)


def test_answers_are_told_by_the_innermost() -> None:
    outer = Router("/a", responses={404: {"description": "outer"}, 429: {"description": "slow", "model": Busy}})
    inner = Router("/b", responses={"404": {"description": "inner"}, "5XX": {"description": "broken"}})

    @inner.get("/handler", responses={503: {"description": "own"}, "5XX": {"description": "own, too"}})
    async def handler() -> None: ...

    crud(inner, Author, ops={"get"}, responses={404: {"description": "nobody", "model": list[Busy]}})
    outer.include_router(inner)
    app = Ziggurat(store="sqlite:///:memory:")
    app.include_router(outer, responses={418: {"description": "teapot"}, 429: {"description": "slower"}})
    made = operations(document(app))
    told = made["get", "/a/b/handler"]["responses"]
    busy = {"application/json": {"schema": {"$ref": "#/components/schemas/Busy"}}}
    assert told["404"]["description"] == "inner" and told["418"] == {"description": "teapot"}
    assert told["429"] == {"description": "slow", "content": busy}
    assert (told["503"]["description"], told["5XX"]["description"]) == ("own", "own, too")
    told = made["get", "/a/b/author/{id}"]["responses"]
    assert told["404"]["description"] == "nobody"
    schema = told["404"]["content"]["application/json"]["schema"]
    assert (schema["type"], schema["items"]) == ("array", {"$ref": "#/components/schemas/Busy"})
    assert (told["429"]["content"], told["5XX"]) == (busy, {"description": "broken"})
    # What is known of it stays.
    assert told["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Author"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"include_in_schema": "no"}, "include_in_schema='no' says neither; write True or False"),
        ({"deprecated": None}, "deprecated=None says neither"),
        ({"responses": {42: {}}}, "responses names 42"),
        ({"responses": [404]}, r"responses=\[404\] is no dict of answers"),
        ({"responses": {404: "no"}}, "responses says 'no' of 404"),
        ({"responses": {404: {"model": "Busy"}}}, "responses says that 404 has the model 'Busy', which"),
    ],
)
def test_what_is_none_of_it_is_told_where_it_is_written(options: dict[str, Any], says: str) -> None:
    app = Ziggurat()
    for what, registers in (
        ("the router /a", lambda: Router("/a", **options)),
        ("the router", lambda: app.include_router(Router(), **options)),
        ("Author", lambda: crud(app, Author, **options)),
        ("/a", lambda: app.get("/a", **options)),
    ):
        with pytest.raises(ConfigError, match=f"^{what}: {says}") as failed:
            registers()
        assert __file__ in str(failed.value)
