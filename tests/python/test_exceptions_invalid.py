"""`raise RequestValidationError([...])`: what an app finds wrong itself is answered as what Rust finds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ziggurat import (
    Depends,
    HookContext,
    Model,
    Request,
    RequestValidationError,
    Response,
    WebSocket,
    Ziggurat,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

AS_FASTAPI: list[dict[str, Any]] = [
    {"loc": ("body", "lines", 0, "a/b"), "msg": "is odd", "type": "odd", "input": "a secret"},
    {"loc": ["body", "counts", "7"], "msg": "must be >= 3", "type": "greater_than_equal", "ctx": {"ge": 3}},
    {"loc": ["query", "limit"], "msg": "is too much", "type": "value_error"},
    {"loc": ["path", "id"], "msg": "is nobody's", "type": "value_error"},
    {"loc": ["header", "x-tag"], "msg": "is unknown", "type": "value_error"},
    {"loc": ["cookie", "session"], "msg": "is over", "type": "value_error"},
    {"loc": ["query"], "msg": "contradicts itself", "type": "value_error"},
    {"msg": "does not add up"},
]
AS_PROBLEM: list[dict[str, Any]] = [
    {"pointer": "/lines/0/a~1b", "code": "odd", "detail": "is odd"},
    {"pointer": "/counts/7", "code": "greater_than_equal", "detail": "must be >= 3", "limit": 3},
    {"parameter": "limit", "code": "value_error", "detail": "is too much"},
    {"path": "id", "code": "value_error", "detail": "is nobody's"},
    {"header": "x-tag", "code": "value_error", "detail": "is unknown"},
    {"cookie": "session", "code": "value_error", "detail": "is over"},
    {"parameter": "", "code": "value_error", "detail": "contradicts itself"},
    {"pointer": "", "code": "value_error", "detail": "does not add up"},
]


class Item(BaseModel):
    name: str
    counts: Annotated[dict[str, int], Field(max_length=2)] = {}


class Note(Model):
    id: int
    text: str


def test_it_is_answered_in_the_words_of_the_route(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/problem")
    async def problem() -> None:
        raise RequestValidationError(AS_FASTAPI, "it is wrong", {"x-why": "so"})

    @app.get("/own")
    def own() -> None:
        raise RequestValidationError(AS_PROBLEM)

    @app.get("/fastapi", errors="fastapi")
    async def fastapi() -> None:
        raise RequestValidationError(AS_FASTAPI)

    started = client()
    answer = started.get("/problem")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-why"] == "so"
    assert answer.json() == {
        "type": "https://ziggurat.dev/e/validation",
        "title": "Validation failed",
        "status": 422,
        "detail": "it is wrong",
        "errors": AS_PROBLEM,
    }
    assert started.get("/own").json()["errors"] == AS_PROBLEM
    answer = started.get("/fastapi")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/json")
    assert answer.json() == {
        "detail": [
            {"type": "odd", "loc": ["body", "lines", 0, "a/b"], "msg": "is odd"},
            {"type": "greater_than_equal", "loc": ["body", "counts", "7"], "msg": "must be >= 3", "ctx": {"ge": 3}},
            *[{"type": "value_error", "loc": list(each["loc"]), "msg": each["msg"]} for each in AS_FASTAPI[2:7]],
            {"type": "value_error", "loc": ["body"], "msg": "does not add up"},
        ]
    }


def test_what_pydantic_found_is_told_as_it_is(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    def read(text: str) -> Item:
        try:
            return TypeAdapter(Item).validate_json(text)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    @app.get("/")
    async def root(item: Annotated[Item, Depends(read)]) -> str:
        return item.name

    started = client()
    assert started.get('/?text={"name": "Ada"}').text == "Ada"
    answer = started.get('/?text={"counts": {"1": "x"}}')
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        ("/name", "missing"),
        ("/counts/1", "int_parsing"),
    ]
    answer = started.get('/?text={"name": "", "counts": {"a": 1, "b": 1, "c": 1}}')
    assert answer.json()["errors"][0]["limit"] == 2


def test_handlers_of_exceptions_are_given_it_and_may_raise_another(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> None:
        # Those that Rust found have other keys than those that were raised.
        raise RequestValidationError(
            [*error.errors, {"loc": ["query", "more"], "msg": "is missing", "type": "missing"}]
        )

    @app.get("/found")
    async def found(number: int) -> int:
        return number

    @app.get("/raised")
    async def raised() -> None:
        raise RequestValidationError(AS_FASTAPI[:1])

    started = client()
    told = {path: started.get(path).json()["errors"] for path in ("/found", "/raised")}
    assert [each["code"] for each in told["/found"]] == ["missing", "missing"]
    assert [each["code"] for each in told["/raised"]] == ["odd", "missing"]


def test_hooks_and_web_sockets_refuse_by_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    app.use_store("sqlite:///:memory:")

    @app.crud(Note, client_id=True)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            raise RequestValidationError([{"loc": ["body", "text"], "msg": "is rude", "type": "rude"}])

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        raise RequestValidationError([{"loc": ["query", "room"], "msg": "is full", "type": "full"}])

    started = client()
    answer = started.post("/note", json={"id": 1, "text": "x"})
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"pointer": "/text", "code": "rude", "detail": "is rude"}],
    )
    assert started.get("/note/1").status_code == 404
    (status, _, body), _ = app.connect("/socket")
    assert status == 422 and b'"parameter":"room"' in body


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ("no", "are a list of dicts, not of the type str"),
        ({"loc": []}, "are a list of dicts, not of the type dict"),
        (None, "are a list of dicts, not None"),
        (["no"], r"errors\[0\] of a RequestValidationError is of the type str; write"),
        ([{"loc": ["body"], "type": "x"}], "has no text"),
        ([{"msg": "x"}, {"msg": "x", "type": 3}], r"errors\[1\] .* code that is of the type int"),
        ([{"msg": "x", "loc": "name"}], "loc that is of the type str; write a list"),
        ([{"msg": "x", "loc": ["body", None]}], "a loc with None in it"),
        ([{"msg": "x", "pointer": "name"}], "the pointer 'name'"),
        ([{"msg": "x", "header": 3}], "a header that is of the type int"),
        ([{"msg": "x", "header": "a", "loc": ["header", "a"]}], "header and loc; one of them"),
    ],
)
def test_a_list_that_says_nothing_is_told_where_it_is_raised(errors: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        RequestValidationError(errors)


def test_a_list_that_was_changed_afterwards_is_logged_with_what_is_wrong(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(RequestValidationError):
        def __init__(self) -> None:
            Exception.__init__(self)
            self.status, self.detail, self.headers = 422, None, {}

    @app.get("/changed")
    async def changed() -> None:
        error = RequestValidationError([])
        error.errors.append({"type": "value_error"})
        raise error

    @app.get("/unmade")
    async def unmade() -> None:
        raise Refused

    started = client()
    for path, says in (("/changed", "has no text; write what is wrong"), ("/unmade", "has no attribute 'errors'")):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "ziggurat"):
            assert started.get(path).status_code == 500
        assert "It cannot be answered: " in caplog.text and says in caplog.text


def test_handlers_are_given_it_as_fastapi_has_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    """`error.errors()`, as most handlers of exceptions have it that were written for FastAPI."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        with pytest.raises(AttributeError, match="'body'; leave it out; what was sent is not kept"):
            error.body  # type: ignore[attr-defined] # noqa: B018
        return Response(422, content=[error.errors(), error.errors])

    @app.post("/items/{number}")
    async def items(number: int, item: Item, limit: int = 1) -> None: ...

    @app.post("/own")
    async def own() -> None:
        raise RequestValidationError(AS_PROBLEM)

    started = client()
    told, ours = started.post("/items/x?limit=y", json={}).json()
    assert told == [
        {"type": "int_parsing", "loc": ["path", "number"], "msg": "must be a whole number"},
        {"type": "int_parsing", "loc": ["query", "limit"], "msg": "must be a whole number"},
    ]
    assert [error["code"] for error in ours] == ["int_parsing", "int_parsing"]
    told, _ = started.post("/items/1", json={"counts": {"a": "b"}}).json()
    assert [(error["type"], error["loc"]) for error in told] == [
        ("missing", ["body", "name"]),
        ("int_parsing", ["body", "counts", "a"]),
    ]
    told, _ = started.post("/own").json()
    expected = [{"type": "value_error", "loc": ["body"]} | error for error in AS_FASTAPI]
    assert [(error["loc"], error["msg"], error["type"]) for error in told] == [
        ([int(step) if step == "7" else step for step in error["loc"]], error["msg"], error["type"])
        for error in expected
    ]
