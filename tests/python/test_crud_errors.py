"""Errors of native CRUD as FastAPI tells them: `errors="fastapi"`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError
from tokens import SECRET, bearer

from ziggurat import CORE, HookContext, HTTPException, Indexed, Model, Ziggurat, layers
from ziggurat.exceptions import ConfigError
from ziggurat.testing import TestClient

JSON = {"content-type": "application/json"}


class Home(BaseModel, extra="forbid"):
    city: Annotated[str, Field(min_length=1)]
    rooms: list[int] = []


class Card(BaseModel, extra="forbid"):
    kind: Literal["card"]
    digits: list[int] = []


class Cash(BaseModel, extra="forbid"):
    kind: Literal["cash"]


class User(Model):
    id: int
    name: Annotated[str, Field(max_length=5)]
    email: Annotated[str | None, Indexed(unique=True)] = None
    age: Annotated[int, Field(ge=0)] = 0
    tags: list[str] = []  # noqa: RUF012
    counts: dict[str, int] = {}  # noqa: RUF012
    by_name: dict[str, list[Home]] = {}  # noqa: RUF012
    homes: list[Home] = []  # noqa: RUF012
    paid: Annotated[Card | Cash, Field(discriminator="kind")] | None = None


OPS = CORE | {"query", "import"}


def app_of(store: str, **options: Any) -> Ziggurat:
    app = Ziggurat(store=store)
    options = {"client_id": True, "bulk": True, "ops": OPS, "errors": "fastapi", **options}
    app.crud(User, "/users", **options)(type("UserRoutes", (), {}))
    return app


def detail(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert [*document] == ["detail"]
    return document["detail"]


def places(answer: Any) -> set[tuple[str, tuple[str | int, ...]]]:
    return {(error["type"], tuple(error["loc"])) for error in detail(answer, 422)}


@pytest.mark.parametrize(
    "body",
    [
        '{"id":1}',
        '{"id":"1","name":"Ada Lovelace","nmae":1,"age":-1}',
        '{"id":1,"name":"Ada","tags":["a",1,"b",2],"counts":{"1":"x","a/b~c":null,"01":true}}',
        '{"id":1,"name":"Ada","homes":[{"city":"Ur"},{"city":"","rooms":[1,"2"]},{"zip":1}],"by_name":{"0":[{"city":5}]}}',
        "[]",
        "5",
        "null",
    ],
)
def test_places_are_those_of_pydantic(body: str) -> None:
    with pytest.raises(ValidationError) as raised:
        User.model_validate_json(body, strict=True)
    wanted = {(error["type"], ("body", *error["loc"])) for error in raised.value.errors()}
    with TestClient(app_of("sqlite:///:memory:", bulk=False)) as client:
        assert places(client.post("/users", content=body, headers=JSON)) == wanted


def test_a_violation_has_what_it_has_with_fastapi() -> None:
    with TestClient(app_of("sqlite:///:memory:")) as client:
        body = {"id": 1, "name": "Ada Lovelace", "age": -1, "paid": {"kind": "card", "digits": ["secret"]}}
        assert detail(client.post("/users", json=body), 422) == [
            {
                "type": "string_too_long",
                "loc": ["body", "name"],
                "msg": "must have at most 5 characters",
                "ctx": {"max_length": 5},
            },
            {"type": "greater_than_equal", "loc": ["body", "age"], "msg": "must be >= 0", "ctx": {"ge": 0}},
            {"type": "int_type", "loc": ["body", "paid", "digits", 0], "msg": "must be a whole number"},
        ]


def test_what_is_no_json_is_a_422() -> None:
    with TestClient(app_of("sqlite:///:memory:")) as client:
        for body in ('{"id": }', '{"id": 1', '{"é":1,}', "{} x", '{\n "id":\n x}'):
            with pytest.raises(json.JSONDecodeError) as raised:
                json.loads(body)
            for answer in (
                client.post("/users", content=body, headers=JSON),
                client.patch("/users/1", content=body, headers=JSON),
                client.request("QUERY", "/users", content=body, headers=JSON),
            ):
                [error] = detail(answer, 422)
                assert (error["type"], error["msg"]) == ("json_invalid", "JSON decode error")
                # From Python 3.13 on it is the comma that is wrong, and not what follows it.
                at = raised.value.pos + raised.value.msg.startswith("Illegal trailing comma")
                assert error["loc"] == ["body", at], body
                assert [*error["ctx"]] == ["error"]
        [error] = detail(client.post("/users", content="[{},", headers=JSON), 422)
        assert (error["type"], error["loc"]) == ("json_invalid", ["body", 4])
        [error] = detail(client.post("/users", content="", headers=JSON), 422)
        assert (error["type"], error["loc"]) == ("missing", ["body"])
        # FastAPI has no place for it either.
        deep = client.post("/users", content='{"counts":' + "[" * 200, headers=JSON)
        assert "nested too deeply" in detail(deep, 400)


def test_everything_else_is_a_text(store_url: str) -> None:
    with TestClient(app_of(store_url, concurrency="required")) as client:
        made = client.post("/users", json={"id": 1, "name": "Ada", "email": "a@b.c"})
        assert made.status_code == 201
        taken = detail(client.post("/users", json={"id": 2, "name": "Eve", "email": "a@b.c"}), 409)
        assert taken == "another User has the same email"
        rows = [{"id": 3, "name": "Bob"}, {"id": 4, "name": "Eve", "email": "a@b.c"}]
        assert detail(client.post("/users", json=rows), 409) == "another User has the same email (item 1)"
        assert detail(client.get("/users/7"), 404) == "there is no row with this id"
        assert detail(client.get("/users?nmae=Ada"), 400).endswith("did you mean name?")
        assert places(client.get("/users?age=x")) == {("int_parsing", ("query", "age"))}
        stale = {"if-match": '"00"'}
        assert "version" in detail(client.put("/users/1", json={"name": "Eve"}, headers=stale), 412)
        assert "If-Match" in detail(client.delete("/users/1"), 428)
        plain = client.post("/users", content="x", headers={"content-type": "text/plain"})
        assert "Content-Type" in detail(plain, 415)
        assert plain.headers["accept"] == "application/json"
        filtered = client.request("QUERY", "/users", json={"filter": {"and": [["age", "eq", "x"]]}})
        assert places(filtered) == {("int_type", ("body", "filter", "and", 0, 2))}


def test_rows_of_one_request_are_told_alike(store_url: str) -> None:
    with TestClient(app_of(store_url)) as client:
        assert client.post("/users", json={"id": 9, "name": "Bob"}).status_code == 201
        rows = [{"id": 1, "name": "Ada"}, {"id": 2}, {"id": 9, "name": "Eve"}]
        assert places(client.post("/users", json=rows)) == {("missing", ("body", 1, "name"))}
        many = client.post("/users", json=rows, headers={"prefer": "handling=lenient"}).json()["items"]
        wrong = [{"type": "missing", "loc": ["body", "name"], "msg": "is required"}]
        assert [item["status"] for item in many] == [201, 422, 409]
        assert many[1]["problem"] == {"detail": wrong}
        assert many[2]["problem"] == {"detail": "another User has the same id"}

        lines = '{"id":3,"name":"Bob"}\n{"id":4}\n{"id":\n'
        ndjson = {"content-type": "application/x-ndjson"}
        report = client.post("/users/_import", content=lines, headers=ndjson).json()
        assert [error["line"] for error in report["errors"]] == [2, 3]
        assert report["errors"][0]["problem"] == {"detail": wrong}
        assert report["errors"][1]["problem"]["detail"][0]["loc"] == ["body", 6]
        told = client.post("/users/_import", content=lines, headers={**ndjson, "accept": "application/x-ndjson"})
        assert [json.loads(line).get("status") for line in told.text.splitlines()] == [409, 422, 422, None]


def test_hooks_and_guards_are_told_alike() -> None:
    app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)])

    @app.crud(User, "/users", client_id=True, errors="fastapi", auth={"delete": "user:admin"})
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            raise HTTPException(422 if doc.age else 409, "not now", headers={"retry-after": "7"})

    with TestClient(app) as client:
        refused = client.post("/users", json={"id": 1, "name": "Ada"})
        assert (detail(refused, 409), refused.headers["retry-after"]) == ("not now", "7")
        assert detail(client.post("/users", json={"id": 1, "name": "Ada", "age": 1}), 422) == "not now"
        nobody = client.delete("/users/1")
        assert "bearer token" in detail(nobody, 401)
        assert nobody.headers["www-authenticate"] == "Bearer"
        other = client.delete("/users/1", headers=bearer(scope="user:read"))
        assert "user:admin" in detail(other, 403)
        # The route table answers for all resources.
        unknown = client.post("/users/1", json={})
        assert (unknown.status_code, unknown.headers["content-type"]) == (405, "application/problem+json")
        assert "allow" in unknown.headers


def test_the_document_describes_them() -> None:
    app = app_of("sqlite:///:memory:", auth={"delete": True}, ops=OPS)
    app.layers.append(layers.Jwt(secret=SECRET, required=False))
    document = app.openapi()
    statuses = set()
    for item in document["paths"].values():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                if not status.startswith(("2", "3")):
                    [(media_type, content)] = response["content"].items()
                    name = "HTTPValidationError" if status == "422" else "HTTPError"
                    assert media_type == "application/json", (method, status)
                    assert content["schema"] == {"$ref": f"#/components/schemas/{name}"}
                    statuses.add(status)
    assert statuses >= {"400", "401", "403", "404", "409", "412", "413", "415", "422", "503"}
    schemas = document["components"]["schemas"]
    assert schemas["HTTPValidationError"]["properties"]["detail"]["items"] == {
        "$ref": "#/components/schemas/ValidationError"
    }
    assert schemas["ValidationError"]["required"] == ["loc", "msg", "type"]


def test_resources_choose_for_themselves() -> None:
    app = app_of("sqlite:///:memory:")

    class Note(Model):
        id: int

    app.crud(Note, "/notes", client_id=True)(type("NoteRoutes", (), {}))
    with TestClient(app) as client:
        assert client.get("/notes/1").headers["content-type"] == "application/problem+json"
        assert detail(client.get("/users/1"), 404) == "there is no row with this id"


def test_other_words_are_refused_with_their_place() -> None:
    app = app_of("sqlite:///:memory:", errors="fastpi")
    with pytest.raises(ConfigError, match=r'errors="fastpi" is not understood(?s:.*)test_crud_errors\.py'):
        app.build()
