"""Handlers of exceptions: who is asked, what they are given, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import until
from pydantic import BaseModel

from ziggurat import (
    ConfigError,
    HookContext,
    HTTPException,
    Model,
    Request,
    RequestValidationError,
    Response,
    Router,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

SECRET = "0123456789abcdef0123456789abcdef"


class Missing(KeyError):
    pass


class Payload(BaseModel):
    size: int


class Note(Model):
    id: int
    text: str


def test_what_is_no_status_of_an_exception_is_told_with_the_cure() -> None:
    with pytest.raises(TypeError, match=r"^'gone' is no status, which comes first: HTTPException\(404, 'gone'\)$"):
        HTTPException("gone")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"from 400 to 599, not 200$"):
        HTTPException(200)
    with pytest.raises(ValueError, match=r"not 303; return RedirectResponse\(url\), or raise an exception of yours"):
        HTTPException(status_code=303, headers={"location": "/login"})


def test_the_nearest_class_answers(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.exception_handler(LookupError)
    async def of_lookups(request: Request, error: LookupError) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"lookup": str(error.args[0]), "path": request.path}

    @app.exception_handler(Missing)
    def of_missing(request: Request, error: Missing) -> Response:
        assert threading.current_thread().name != "ziggurat-loop"
        return Response(410, content=f"missing {error.args[0]}")

    @app.get("/key")
    async def key() -> None:
        raise KeyError("a")

    @app.get("/missing/{name}")
    async def missing(name: str, request: Request) -> None:
        await asyncio.sleep(0)
        request.state["seen"] = True
        raise Missing(name)

    @app.get("/sync")
    def sync() -> None:
        raise IndexError("from a thread")

    started = client()
    answer = started.get("/key")
    assert (answer.status_code, answer.json()) == (500, {"lookup": "a", "path": "/key"})
    assert (started.get("/missing/b").status_code, started.get("/missing/b").text) == (410, "missing b")
    assert started.get("/sync").json()["lookup"] == "from a thread"


def test_what_is_handled_is_not_logged_and_the_rest_is(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.exception_handler(ValueError)
    async def of_values(request: Request, error: ValueError) -> Response:
        return Response(400)

    @app.get("/handled")
    async def handled() -> None:
        raise ValueError("no")

    @app.get("/other")
    async def other() -> None:
        raise RuntimeError("a secret")

    started = client()
    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert started.get("/handled").status_code == 400
        assert not caplog.records
        answer = started.get("/other")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert len(caplog.records) == 1 and "other" in caplog.records[0].getMessage()


@pytest.mark.parametrize("kind", [Exception, 500])
def test_a_handler_of_everything_answers_and_the_log_is_told_once(
    kind: Any, app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.exception_handler(kind)
    async def of_all(request: Request, error: Exception) -> Response:
        return Response(503, content=type(error).__name__)

    @app.get("/")
    async def root() -> None:
        raise RuntimeError("told to the log")

    @app.get("/http")
    async def http() -> None:
        raise HTTPException(409, "an answer")

    started = client()
    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert (started.get("/").status_code, started.get("/").text) == (503, "RuntimeError")
        assert started.get("/http").json()["detail"] == "an answer"
    assert [record.getMessage().count("root") for record in caplog.records] == [1, 1]
    assert "told to the log" in caplog.text


def test_a_status_comes_before_a_class(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Teapot(HTTPException):
        def __init__(self) -> None:
            super().__init__(418, "short and stout", {"x-a": "b"})

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> dict[str, Any]:
        return {"class": type(error).__name__, "detail": error.detail, "headers": error.headers}

    @app.exception_handler(409)
    async def of_conflicts(request: Request, error: HTTPException) -> str:
        return f"409 {error.detail}"

    @app.get("/{status}")
    async def raises(status: int) -> None:
        raise Teapot() if status == 418 else HTTPException(status, "said")

    started = client()
    teapot = started.get("/418")
    assert teapot.status_code == 418
    assert teapot.json() == {"class": "Teapot", "detail": "short and stout", "headers": {"x-a": "b"}}
    conflict = started.get("/409")
    assert (conflict.status_code, conflict.text) == (409, "409 said")
    assert started.get("/403").json()["class"] == "HTTPException"


def test_what_rust_refuses_is_offered_where_somebody_asks_for_its_status(tmp_path: Any) -> None:
    app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)])
    seen: list[Any] = []

    @app.exception_handler(404)
    async def nowhere(request: Request, error: HTTPException) -> Response:
        seen.append((request.method, request.path, error.detail))
        return Response(404, content="nothing here")

    @app.exception_handler(405)
    async def not_so(request: Request, error: HTTPException) -> Response:
        return Response(405, error.headers, content="not so")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return Response(400, content={"wrong": error.errors})

    @app.exception_handler(401)
    async def unknown(request: Request, error: HTTPException) -> Response:
        return Response(401, error.headers, content="who?")

    @app.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    @app.post("/items")
    async def add(request: Request, payload: Payload, dry: bool = False) -> int:
        return payload.size

    @app.post("/later")
    async def later(payload: Payload, request: Request) -> int:
        return payload.size

    @app.get("/secret", auth=True)
    async def secret() -> str:
        return "secret"

    @app.get("/own")
    async def own() -> Response:
        return Response(404, content="my own")

    @app.get("/secret/own", auth=True)
    async def own_secret() -> Response:
        return Response(401, content="my own")

    app.crud(Note, client_id=True)(type("Notes", (), {}))

    with TestClient(app) as client:
        before = app.attach_counts()
        assert client.get("/items/1").status_code == 200
        assert client.get("/note").status_code == 200
        entered = app.attach_counts()
        assert (entered["python"] - before["python"], entered["crud"] - before["crud"]) == (1, 0)

        answer = client.get("/no/such")
        assert (answer.status_code, answer.text) == (404, "nothing here")
        assert client.head("/no/such").content == b""
        assert client.get("/note/7").text == "nothing here"
        assert [(method, path) for method, path, _ in seen] == [
            ("GET", "/no/such"),
            ("HEAD", "/no/such"),
            ("GET", "/note/7"),
        ]
        assert seen[0][2] == "no route has this path"
        # A response that a handler gives is no exception.
        assert client.get("/own").text == "my own"

        answer = client.delete("/items/1")
        assert (answer.status_code, answer.text, answer.headers["allow"]) == (405, "not so", "GET, HEAD, OPTIONS")
        assert client.options("/items/1").status_code == 204

        answer = client.get("/items/x")
        assert answer.status_code == 400
        assert answer.json()["wrong"] == [
            {"path": "number", "code": "int_parsing", "detail": answer.json()["wrong"][0]["detail"]}
        ]
        assert client.post("/items?dry=maybe", json={"size": 1}).json()["wrong"][0]["parameter"] == "dry"
        assert client.post("/items", json={"size": "x"}).json()["wrong"][0]["pointer"] == "/size"
        assert client.post("/later", json={"size": "x"}).json()["wrong"][0]["pointer"] == "/size"
        assert client.post("/note", json={"id": 1, "text": 2}).json()["wrong"][0]["pointer"] == "/text"

        answer = client.get("/secret")
        assert (answer.status_code, answer.text) == (401, "who?")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_without_a_handler_for_it_nothing_that_rust_refuses_enters_python() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.exception_handler(KeyError)
    async def of_keys(request: Request, error: KeyError) -> None:
        raise AssertionError("it must not run")

    @app.exception_handler(409)
    async def of_conflicts(request: Request, error: HTTPException) -> None:
        raise AssertionError("it must not run")

    @app.get("/{number}")
    async def root(number: int) -> int:
        return number

    app.crud(Note, client_id=True)(type("Notes", (), {}))

    with TestClient(app) as client:
        before = app.attach_counts()
        assert client.get("/x").status_code == 422
        assert client.get("/no/such").status_code == 404
        assert client.get("/note/7").status_code == 404
        assert app.attach_counts() == before
        assert "ExceptionHandlers" in app.stack("/note/7")[0].passes


def test_a_problem_that_is_raised_again_stays_as_it_was(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> None:
        raise error

    @app.get("/{number}")
    async def root(number: int) -> int:
        return number

    answer = client().get("/x")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "int_parsing"


def test_a_handler_that_fails_is_a_500_and_logged_once(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.exception_handler(KeyError)
    async def broken(request: Request, error: KeyError) -> None:
        raise RuntimeError("broken too") from error

    @app.exception_handler(ValueError)
    async def other(request: Request, error: ValueError) -> None:
        raise HTTPException(402, "pay")

    @app.exception_handler(404)
    async def nowhere(request: Request, error: HTTPException) -> object:
        return object()

    @app.get("/key")
    async def key() -> None:
        raise KeyError("a")

    @app.get("/value")
    async def value() -> None:
        raise ValueError

    started = client()
    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert started.get("/key").status_code == 500
        assert len(caplog.records) == 1
        assert "broken too" in caplog.text and "KeyError" in caplog.text
        assert (started.get("/value").status_code, started.get("/value").json()["detail"]) == (402, "pay")
        assert len(caplog.records) == 1
        assert started.get("/nowhere").status_code == 500
        assert "object cannot be answered" in caplog.text


def test_context_variables_and_state_are_those_of_what_raised() -> None:
    app = Ziggurat()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    outer: contextvars.ContextVar[str] = contextvars.ContextVar("outer", default="unset")

    @app.middleware
    async def around(request: Request, call_next: Any) -> Response:
        outer.set("middleware")
        request.state["by"] = "middleware"
        response: Response = await call_next(request)
        response.headers["x-seen"] = str(response.status)
        return response

    @app.exception_handler(KeyError)
    async def of_keys(request: Request, error: KeyError) -> list[str]:
        return [variable.get(), outer.get(), request.state["by"]]

    @app.exception_handler(IndexError)
    def of_indices(request: Request, error: IndexError) -> list[str]:
        return [variable.get(), outer.get(), request.state["by"]]

    @app.exception_handler(422)
    async def invalid(request: Request, error: HTTPException) -> list[str]:
        return [variable.get(), outer.get(), request.state["by"]]

    @app.get("/at-once")
    async def at_once() -> None:
        variable.set("handler")
        raise KeyError

    @app.get("/later")
    async def later() -> None:
        variable.set("handler")
        await asyncio.sleep(0)
        raise IndexError

    @app.get("/sync")
    def sync(request: Request) -> None:
        variable.set("handler")
        raise KeyError

    @app.get("/number/{number}")
    async def number(number: int) -> None: ...

    with TestClient(app) as client:
        for path in ("/at-once", "/later", "/sync"):
            answer = client.get(path)
            # Middleware sees the answer that was made.
            assert (answer.json(), answer.headers["x-seen"]) == (["handler", "middleware", "middleware"], "500"), path
        answer = client.get("/number/x")
        assert (answer.json(), answer.headers["x-seen"]) == (["unset", "middleware", "middleware"], "422")


def test_a_router_comes_before_the_app_and_is_for_its_routes_alone() -> None:
    async def of_router(request: Request, error: Exception) -> str:
        return f"router {type(error).__name__}"

    app = Ziggurat(exception_handlers={KeyError: lambda request, error: "app"})
    router = Router("/r", exception_handlers={LookupError: of_router, 404: of_router})
    inner = Router("/inner")

    @inner.exception_handler(404)
    async def of_inner(request: Request, error: HTTPException) -> str:
        return "inner"

    async def missing() -> None:
        raise KeyError

    async def none() -> None:
        raise HTTPException(404)

    for routes in (app, router, inner):
        routes.get("/missing")(missing)
        routes.get("/none")(none)
    router.include_router(inner)
    app.include_router(router)

    with TestClient(app) as client:
        assert client.get("/missing").text == "app"
        assert client.get("/r/missing").text == "router KeyError"
        assert client.get("/r/inner/missing").text == "router KeyError"
        assert client.get("/none").json()["status"] == 404
        assert client.get("/r/none").text == "router HTTPException"
        assert client.get("/r/inner/none").text == "inner"
        # What no route is for is not of any router.
        assert client.get("/r/else").json()["status"] == 404


def test_mistakes_are_told_at_registration(app: Ziggurat) -> None:
    def handler(request: Request, error: Exception) -> None: ...

    for kind, words in [
        (200, "no status of an exception"),
        ("404", "no exception"),
        (KeyboardInterrupt, "not an Exception"),
        (int, "not an Exception"),
        (True, "no exception"),
    ]:
        with pytest.raises(ConfigError, match=words) as raised:
            app.exception_handler(kind)(handler)  # type: ignore[arg-type]
        assert raised.value.location is not None and "test_exceptions.py" in raised.value.location
    with pytest.raises(ConfigError, match="cannot be called with a request and an exception"):
        app.exception_handler(KeyError)(lambda error: None)  # type: ignore[arg-type,misc]
    with pytest.raises(ConfigError, match="cannot handle exceptions"):
        Ziggurat(exception_handlers={KeyError: "handler"})  # type: ignore[dict-item]
    app.exception_handler(KeyError)(handler)
    with pytest.raises(ConfigError, match="both handle KeyError"):
        app.exception_handler(KeyError)(handler)
    app.build()
    with pytest.raises(ConfigError, match="registered after the app was built"):
        app.exception_handler(ValueError)(handler)


def test_an_exception_that_ends_the_app_is_not_for_handlers(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.exception_handler(Exception)
    async def of_all(request: Request, error: Exception) -> str:
        return "handled"

    @app.get("/")
    async def leaves() -> None:
        raise SystemExit(3)

    assert client().get("/").json()["status"] == 500


def test_exceptions_of_hooks_are_for_the_handlers_as_well(caplog: pytest.LogCaptureFixture) -> None:
    class Full(Exception):
        pass

    class Taken(HTTPException):
        pass

    app = Ziggurat(store="sqlite:///:memory:", openapi_path=None)

    @app.crud(Note, client_id=True)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            if doc.text == "taken":
                raise Taken(409, "somebody has it")
            if doc.text == "broken":
                raise RuntimeError("not expected")
            if doc.text == "full":
                raise Full(doc.id)

        async def after_create(self, ctx: HookContext[Note], doc: Note) -> None:
            raise Full("too late")

    @app.exception_handler(Full)
    async def on_full(request: Request, error: Full) -> Response:
        return Response(507, {"x-path": request.path}, {"full": error.args[0]})

    @app.exception_handler(Taken)
    def on_taken(request: Request, error: Taken) -> dict[str, str | None]:
        return {"taken": error.detail}

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        answer = client.post("/note", json={"id": 1, "text": "full"})
        assert (answer.status_code, answer.json(), answer.headers["x-path"]) == (507, {"full": 1}, "/note")
        answer = client.post("/note", json={"id": 1, "text": "taken"})
        assert (answer.status_code, answer.json()) == (409, {"taken": "somebody has it"})
        assert not caplog.records
        # Nothing was written.
        assert client.get("/note").json()["items"] == []
        answer = client.post("/note", json={"id": 1, "text": "broken"})
        assert (answer.status_code, answer.json()["status"]) == (500, 500)
        assert [record.getMessage() for record in caplog.records] == ["Notes.before_create raised an exception"]
        caplog.clear()
        # What is answered stays answered.
        assert client.post("/note", json={"id": 2, "text": "well"}).status_code == 201
        until(lambda: bool(caplog.records))
        assert [record.getMessage() for record in caplog.records] == ["Notes.after_create raised an exception"]
