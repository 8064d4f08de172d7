"""What an import of FastAPI's or Starlette's left behind in an app: it is told where it stands, and not read as something else."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

import fastapi
import fastapi.responses
import httpx
import pytest
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBasic, OAuth2PasswordBearer, OAuth2PasswordRequestForm
from starlette.background import BackgroundTasks
from starlette.datastructures import State
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.requests import Request as StarletteRequest

import ziggurat
from ziggurat import (
    ConfigError,
    Depends,
    HTTPException,
    Query,
    Request,
    Response,
    Router,
    WebSocket,
    Ziggurat,
    _elsewhere,
)
from ziggurat.testing import TestClient

Client = Callable[[], TestClient]


def current_user() -> str:
    raise HTTPException(401)


def by_default(user: str = fastapi.Depends(current_user)) -> str:
    return user


def by_annotation(user: Annotated[str, fastapi.Depends(current_user)]) -> str:
    return user


def by_security(user: Annotated[str, fastapi.Security(current_user, scopes=["a"])]) -> str:
    return user


def header(x_token: Annotated[str, fastapi.Header()]) -> str:
    return x_token


def header_or_none(x_token: Annotated[str | None, fastapi.Header()] = None) -> str | None:
    return x_token


def query(limit: int = fastapi.Query(10, ge=1)) -> int:
    return limit


def upload(file: fastapi.UploadFile) -> str | None:
    return file.filename


def uploads(files: list[fastapi.UploadFile] | None = None) -> int:
    return len(files or ())


def request(request: StarletteRequest) -> str:
    return request.method


def connection(connection: HTTPConnection) -> str:
    return connection.url.path


def background(tasks: BackgroundTasks) -> None: ...


def form(given: Annotated[OAuth2PasswordRequestForm, Depends()]) -> str:
    return given.username


def bearer(token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]) -> str:
    return token


def basic(name: Annotated[object, Depends(HTTPBasic())]) -> str:
    return str(name)


def deep(user: Annotated[str, Depends(by_default)]) -> str:
    return user


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (by_default, "by_default: the default of 'user' is Depends of fastapi; import Depends from ziggurat"),
        (by_annotation, "by_annotation: 'user' is annotated with Depends of fastapi; import Depends from ziggurat"),
        (by_security, "Security of fastapi; import Depends from ziggurat, and ask for scopes with auth="),
        (header, "header: 'x_token' is annotated with Header of fastapi; import Header from ziggurat"),
        (header_or_none, "'x_token' is annotated with Header of fastapi; import Header from ziggurat"),
        (query, "query: the default of 'limit' is Query of fastapi; import Query from ziggurat"),
        (upload, "upload: 'file' is annotated with UploadFile of fastapi; import UploadFile from ziggurat"),
        (uploads, "'files' is annotated with UploadFile of fastapi; import UploadFile from ziggurat"),
        (request, "request: 'request' is annotated with Request of starlette; import Request from ziggurat"),
        (connection, "'connection' is annotated with HTTPConnection of starlette; import Request from ziggurat"),
        (background, "BackgroundTasks of starlette; import BackgroundTasks from ziggurat"),
        (
            form,
            "'given' depends on OAuth2PasswordRequestForm of fastapi; import OAuth2PasswordRequestForm from ziggurat.security",
        ),
        (
            bearer,
            "'token' depends on OAuth2PasswordBearer of fastapi; import OAuth2PasswordBearer from ziggurat.security",
        ),
        (basic, "'name' depends on HTTPBasic of fastapi; import HTTPBasic from ziggurat.security"),
        (deep, "by_default: the default of 'user' is Depends of fastapi"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_what_was_left_behind_in_a_signature_is_refused(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Ziggurat().get("/")(function)


def test_what_was_left_behind_in_lists_is_refused() -> None:
    with pytest.raises(ConfigError, match="the app: dependencies has Depends of fastapi; import Depends from ziggurat"):
        Ziggurat(dependencies=[fastapi.Depends(current_user)])
    with pytest.raises(ConfigError, match="dependencies has Depends of fastapi"):
        Router(dependencies=[fastapi.Depends(current_user)])
    with pytest.raises(ConfigError, match="nothing here raises RequestValidationError of fastapi; import Request"):
        Ziggurat(exception_handlers={RequestValidationError: lambda request, error: "no"})


def test_middleware_of_another_framework_is_refused_where_it_is_given() -> None:
    class Audited(BaseHTTPMiddleware): ...

    cases: list[tuple[Any, str]] = [
        (
            Audited,
            "the middleware Audited is BaseHTTPMiddleware of starlette; decorate a function with @app.middleware",
        ),
        (CORSMiddleware, r"CORSMiddleware is CORSMiddleware of starlette; give layers=\[layers.Cors\("),
    ]
    for given, told in cases:
        with pytest.raises(ConfigError, match=told):
            Ziggurat().middleware(given)
        with pytest.raises(ConfigError, match=told):
            Ziggurat(layers=[given])


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        ("ziggurat", "APIRouter", "ziggurat has no APIRouter; import Router from ziggurat"),
        ("ziggurat", "FastAPI", "ziggurat has no FastAPI; import Ziggurat from ziggurat"),
        ("ziggurat", "status", "ziggurat has no status; write the number, as 201, or http.HTTPStatus.CREATED"),
        (
            "ziggurat",
            "Security",
            "ziggurat has no Security; import Depends from ziggurat, and ask for scopes with auth=",
        ),
        ("ziggurat.security", "OpenIdConnect", "ziggurat.security has no OpenIdConnect; give layers="),
        ("ziggurat", "HTTPBearer", "ziggurat has no HTTPBearer; import HTTPBearer from ziggurat.security"),
        ("ziggurat.responses", "ORJSONResponse", "ziggurat.responses has no ORJSONResponse; return the value"),
        ("ziggurat.routing", "APIRoute", "ziggurat.routing has no APIRoute; decorate a function with @app.middleware"),
        ("ziggurat.exceptions", "Nothing", "cannot import name 'Nothing' from 'ziggurat.exceptions'"),
        ("ziggurat", "Rooter", "cannot import name 'Rooter' from 'ziggurat'"),
    ],
)
def test_an_import_of_what_is_called_otherwise_is_told_what_to_write(module: str, name: str, told: str) -> None:
    with pytest.raises(ImportError) as raised:
        exec(f"from {module} import {name}", {})
    assert str(raised.value).startswith(told)


def test_what_the_cures_name_is_there() -> None:
    """And what a name is told of is not."""
    for name, cure in _elsewhere._NAMES.items():
        assert name not in ziggurat.__all__
        if cure.startswith("import "):
            _, what, _, where = cure.split(",")[0].split()
            assert hasattr(importlib.import_module(where), what)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("query_params", "{0}.query"),
        ("base_url", "{0}.url_for"),
        ("session", "cookie"),
        ("user", "{0}.auth"),
        ("scope", "{0}.state"),
    ],
)
def test_a_member_of_other_requests_is_told_what_to_write(client: Client, app: Ziggurat, name: str, told: str) -> None:
    @app.get("/")
    async def handler(request: Request) -> str:
        with pytest.raises(AttributeError, match="'Request' object has no attribute '") as raised:
            getattr(request, name)
        return str(raised.value)

    @app.websocket("/ws")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(AttributeError, match="'WebSocket' object has no attribute '") as raised:
            getattr(ws, name)
        await ws.send_text(str(raised.value))

    started = client()
    assert re.search(f"attribute '{name}'; .*{told.format('request')}", started.get("/").text)
    with started.websocket_connect("/ws") as ws:
        assert re.search(f"attribute '{name}'; .*{told.format('ws')}", ws.receive_text())


def test_a_member_that_no_request_has_is_none(client: Client, app: Ziggurat) -> None:
    @app.get("/")
    async def handler(request: Request) -> list[Any]:
        assert not hasattr(request, "nothing")
        with pytest.raises(AttributeError) as raised:
            request.nothing  # type: ignore[attr-defined] # noqa: B018
        return [str(raised.value), getattr(request, "nothing", 1)]

    assert client().get("/").json() == ["'Request' object has no attribute 'nothing'", 1]


def test_the_content_of_a_response_is_given_by_its_name() -> None:
    with pytest.raises(TypeError, match=r"'hello' is no status; write Response\(content=\.\.\.\)"):
        Response("hello")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="b'hello' is no status"):
        Response(b"hello", media_type="text/plain")  # type: ignore[arg-type]
    assert Response(HTTPStatus.CREATED).status == Response(status=None, status_code=201).status == 201


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        (
            lambda: Query(10, ge=1, le=5),
            "Query(10) is given a default; write name: Annotated[type, Query(ge=1, le=5)] = 10",
        ),
        (
            lambda: Query(default=None, alias="x"),
            "Query(None) is given a default; write name: Annotated[type, Query(alias='x')] = None",
        ),
        (lambda: Query(...), "Query(...) is given a default; write name: Annotated[type, Query()]"),
    ],
)
def test_a_default_in_a_marker_is_told_how_the_whole_is_written(marks: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        marks()
    assert str(raised.value).startswith(told)


def test_servers_and_clients_of_asgi_are_told_what_to_do_in_their_place(app: Ziggurat) -> None:
    async def asked() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            await client.get("/")

    with pytest.raises(TypeError, match=r"no ASGI application; serve it with `ziggurat run .* or AsyncTestClient"):
        asyncio.run(asked())


def test_an_exception_of_another_framework_is_told_what_to_import(
    client: Client, app: Ziggurat, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def handler() -> None:
        raise fastapi.HTTPException(404, "nothing")

    @app.get("/own")
    async def own() -> None:
        raise KeyError("own")

    assert [client().get(path).status_code for path in ("/", "/own")] == [500, 500]
    told = "This is HTTPException of fastapi.exceptions; import HTTPException from ziggurat, or answer it by a function"
    assert caplog.text.count(told) == 1


def test_an_exception_of_another_framework_may_be_answered(client: Client, app: Ziggurat) -> None:
    @app.exception_handler(fastapi.HTTPException)
    async def answer(request: Request, error: fastapi.HTTPException) -> Response:
        return Response(error.status_code, content=error.detail)

    @app.get("/")
    async def handler() -> None:
        raise fastapi.HTTPException(404, "nothing")

    answered = client().get("/")
    assert (answered.status_code, answered.text) == (404, "nothing")


def test_responses_of_another_framework_are_told_what_to_import(
    app: Ziggurat, caplog: pytest.LogCaptureFixture
) -> None:
    def declared() -> dict[str, int] | fastapi.responses.JSONResponse:
        raise NotImplementedError

    with pytest.raises(ConfigError, match="declared: it returns JSONResponse of starlette; import JSONResponse from"):
        Ziggurat().get("/")(declared)

    @app.get("/")
    async def handler() -> Any:
        return fastapi.responses.HTMLResponse("hello")

    @app.get("/other")
    async def other() -> Any:
        return object()

    with TestClient(app) as client:
        assert client.get("/").status_code == client.get("/other").status_code == 500
    assert "HTMLResponse cannot be answered as JSON; import HTMLResponse from ziggurat\n" in caplog.text
    assert "object cannot be answered as JSON; make a dict, list" in caplog.text


def test_what_code_of_the_app_raises_may_be_of_another_framework() -> None:
    """As what is shared by two apps does, while one of them is moved."""
    app = Ziggurat()

    @app.exception_handler(fastapi.HTTPException)
    def gone(request: object, error: fastapi.HTTPException) -> str:
        return f"{error.status_code} {error.detail}"

    @app.get("/")
    async def raising() -> None:
        raise fastapi.HTTPException(404, "gone")

    with TestClient(app) as client:
        assert client.get("/").text == "404 gone"


def test_what_a_dependency_makes_may_be_of_another_framework() -> None:
    app = Ziggurat()

    def made() -> State:
        return State({"name": "ada"})

    @app.get("/")
    async def show(state: Annotated[State, Depends(made)]) -> str:
        return str(state.name)

    with TestClient(app) as client:
        assert client.get("/").text == "ada"
