"""What an `HTTPException` says in a problem document: its type, its title, and further members."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from ziggurat import HookContext, HTTPException, Model, Request, Response, WebSocket, Ziggurat
from ziggurat.testing import TestClient, WebSocketDenialResponse

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

BOOK = UUID("018f0000-0000-7000-8000-000000000001")


class Shelf(BaseModel):
    row: int


@dataclass
class Price:
    amount: Decimal


class Note(Model):
    id: int
    text: str


class OutOfStock(HTTPException):
    def __init__(self, left: int) -> None:
        super().__init__(
            409,
            f"{left} left",
            type="https://shop.example/problems/out-of-stock",
            title="Out of stock",
            instance="/orders/7#2",
            members={"book": BOOK, "left": left, "at": [Shelf(row=3)], "price": Price(Decimal("2.50")), "note": None},
        )


TOLD = {
    "type": "https://shop.example/problems/out-of-stock",
    "title": "Out of stock",
    "status": 409,
    "detail": "1 left",
    "instance": "/orders/7#2",
    "book": str(BOOK),
    "left": 1,
    "at": [{"row": 3}],
    "price": {"amount": "2.50"},
    "note": None,
}


def test_clients_are_told(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/async")
    async def raises() -> None:
        raise OutOfStock(1)

    @app.get("/sync")
    def raises_on_a_thread() -> None:
        raise OutOfStock(1)

    @app.get("/type")
    async def of_a_type() -> None:
        raise HTTPException(404, type="/problems/gone")

    @app.get("/title")
    async def of_a_title() -> None:
        raise HTTPException(404, title="No such thing", members={})

    @app.middleware
    async def middleware(request: Request, call_next: Any) -> Response:
        if request.path == "/middleware":
            raise OutOfStock(1)
        response = await call_next(request)
        assert isinstance(response, Response)
        return response

    @app.websocket("/ws")
    async def refuses(ws: WebSocket) -> None:
        raise OutOfStock(1)

    @app.get("/middleware")
    async def unreached() -> None: ...

    started = client()
    for path in ("/async", "/sync", "/middleware"):
        answer = started.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert answer.json() == TOLD
        assert list(answer.json()) == list(TOLD), "in this order"
    with pytest.raises(WebSocketDenialResponse) as denied, started.websocket_connect("/ws"):
        pass
    assert denied.value.response.json() == TOLD
    assert started.get("/type").json() == {"type": "/problems/gone", "title": "Not found", "status": 404}
    assert started.get("/title").json() == {
        "type": "https://ziggurat.dev/e/not_found",
        "title": "No such thing",
        "status": 404,
    }


def test_hooks_of_rows_say_it_too() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Note, "/notes", client_id=True)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            raise OutOfStock(1)

    with TestClient(app) as client:
        assert client.post("/notes", json={"id": 1, "text": "a"}).json() == TOLD


def test_handlers_of_exceptions_see_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    seen: list[tuple[Any, ...]] = []

    @app.exception_handler(HTTPException)
    async def told(request: Request, error: HTTPException) -> None:
        seen.append((error.type, error.title, error.instance, error.members))
        raise error

    @app.get("/raises")
    async def raises() -> None:
        raise HTTPException(409, type="/a", title="A", instance="/b", members={"left": 1})

    @app.get("/plain")
    async def plain() -> None:
        raise HTTPException(409)

    started = client()
    raised = {"type": "/a", "title": "A", "status": 409, "instance": "/b", "left": 1}
    assert started.get("/raises").json() == raised
    assert started.get("/plain").json()["title"] == "Conflict"
    assert started.get("/nowhere").json()["title"] == "Not found"
    assert seen == [
        ("/a", "A", "/b", {"left": 1}),
        (None, "Conflict", None, {}),
        # What Rust has found says what it is, too.
        ("https://ziggurat.dev/e/not_found", "Not found", None, {}),
    ]


def test_as_fastapi_tells_of_errors_there_is_no_place_for_it() -> None:
    app = Ziggurat(errors="fastapi")

    @app.get("/")
    async def raises() -> None:
        raise OutOfStock(1)

    @app.get("/title")
    async def without_detail() -> None:
        raise HTTPException(409, title="Out of stock", members={"left": 1})

    with TestClient(app) as client:
        assert client.get("/").json() == {"detail": "1 left"}
        assert client.get("/title").json() == {"detail": "Out of stock"}


def test_a_detail_may_be_more_than_a_text(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    details: list[Any] = [{"code": 7, "at": date(2027, 1, 2)}, ["a", 1], 7, False, Shelf(row=3)]

    @app.get("/{which}")
    async def problem(which: int) -> None:
        raise HTTPException(409, details[which], members={"left": 1})

    @app.get("/fastapi/{which}", errors="fastapi")
    async def fastapi(which: int) -> None:
        raise HTTPException(status_code=409, detail=details[which], headers={"x-why": "so"})

    written = [{"code": 7, "at": "2027-01-02"}, ["a", 1], 7, False, {"row": 3}]
    started = client()
    for which, told in enumerate(written):
        answer = started.get(f"/fastapi/{which}")
        assert (answer.status_code, answer.json(), answer.headers["x-why"]) == (409, {"detail": told}, "so")
        # A problem document has a text there, if anything.
        answer = started.get(f"/{which}")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "https://ziggurat.dev/e/conflict",
            "title": "Conflict",
            "status": 409,
            "details": told,
            "left": 1,
        }


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"detail": {"a": 1}, "members": {"details": 1}}, ValueError, "which is among members as well"),
        ({"type": "out of stock"}, ValueError, "the type of an HTTPException is an address"),
        ({"type": ""}, ValueError, "not ''"),
        ({"type": "/a\n"}, ValueError, "the type of an HTTPException is an address"),
        ({"type": 404}, TypeError, "the type of an HTTPException is a string, not int"),
        ({"instance": "<7>"}, ValueError, "the instance of an HTTPException is an address"),
        ({"title": 1}, TypeError, "the title of an HTTPException is a string, not int"),
        ({"members": ["left"]}, TypeError, "members of an HTTPException are a dict, not list"),
        ({"members": {1: "left"}}, TypeError, "called by strings, not by 1"),
        *(
            ({"members": {name: "x"}}, ValueError, f"the member '{name}' is a standard one; .*, {name}=")
            for name in ("type", "title", "status", "detail", "instance")
        ),
    ],
)
def test_what_is_no_problem_document_is_refused_where_it_is_written(
    given: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        HTTPException(409, **given)


def test_what_json_cannot_say_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError) as error:
        HTTPException(409, members={"left": 1, "shelf": object()})
    assert error.value.__notes__ == ["this is the member 'shelf' of an HTTPException"]
    with pytest.raises(TypeError) as error:
        HTTPException(409, {"shelf": object()})
    assert error.value.__notes__ == ["this is the detail of an HTTPException"]


def test_what_is_changed_until_it_cannot_be_said_is_a_failure(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def raises() -> None:
        error = HTTPException(409, members={"left": 1})
        error.members["left"] = object()
        raise error

    assert client().get("/").status_code == 500
    assert "GET /" in caplog.text or "raises" in caplog.text


def test_classes_that_do_not_call_the_constructor_and_copies_are_answers_as_well(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    class Own(HTTPException):
        type = "/problems/own"

        def __init__(self) -> None:
            self.status, self.detail, self.headers = 418, "own", {}

    @app.get("/own")
    async def own() -> None:
        raise Own

    @app.get("/copy")
    async def copy() -> None:
        raise pickle.loads(pickle.dumps(HTTPException(409, type="/a", title="A", members={"left": 1})))

    started = client()
    assert started.get("/own").json() == {
        "type": "/problems/own",
        "title": "I'm a teapot",
        "status": 418,
        "detail": "own",
    }
    assert started.get("/copy").json() == {"type": "/a", "title": "A", "status": 409, "left": 1}


def test_the_document_says_that_there_may_be_more() -> None:
    app = Ziggurat()

    @app.get("/{id}")
    async def one(id: int) -> None: ...

    problem = app.openapi()["components"]["schemas"]["Problem"]
    assert problem["properties"]["type"]["format"] == "uri-reference"
    assert "further members" in problem["description"]
    assert "additionalProperties" not in problem
