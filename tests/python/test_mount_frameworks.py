"""Applications of FastAPI and Starlette: mounted, they answer what they answer by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import fastapi
import httpx
import pytest
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from ziggurat import Ziggurat
from ziggurat.testing import TestClient

TOLD: list[str] = []


def starlette_app() -> Starlette:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "method": request.method,
                "url": str(request.url),
                "base": str(request.base_url),
                "path": request.url.path,
                "params": request.path_params,
                "query": request.query_params.multi_items(),
                "headers": [
                    (k, v) for k, v in request.headers.items() if k not in ("host", "user-agent", "x-request-id")
                ],
                "body": (await request.body()).decode("latin-1"),
            }
        )

    async def stream(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(5):
                yield f"{number},"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/plain")

    async def cookies(request: Request) -> PlainTextResponse:
        response = PlainTextResponse("", status_code=201)
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2")
        return response

    async def later(request: Request) -> PlainTextResponse:
        return PlainTextResponse("now", background=BackgroundTask(TOLD.append, "later"))

    async def form(request: Request) -> JSONResponse:
        async with request.form() as form:
            return JSONResponse({key: str(value) for key, value in form.items()})

    async def chunks(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str([len(chunk) async for chunk in request.stream()].pop()))

    def blocking(request: Request) -> PlainTextResponse:
        return PlainTextResponse("of a thread")

    async def redirects(request: Request) -> RedirectResponse:
        return RedirectResponse("/elsewhere")

    routes = [
        Route("/", echo, methods=["GET", "POST"]),
        Route("/echo/{name}/{rest:path}", echo, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/stream", stream),
        Route("/cookies", cookies),
        Route("/later", later),
        Route("/chunks", chunks, methods=["POST"]),
        Route("/blocking", blocking),
        Route("/redirects", redirects),
        Route("/form", form, methods=["POST"]),
    ]
    return Starlette(routes=routes)


def dependency(q: str = "none") -> str:
    return q


def fastapi_app() -> fastapi.FastAPI:
    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[dict[str, Any]]:
        TOLD.append("starts")
        yield {"pool": "opened"}
        TOLD.append("stops")

    app = fastapi.FastAPI(lifespan=lifespan)
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])
    app.add_middleware(GZipMiddleware, minimum_size=10)

    @app.middleware("http")
    async def timed(request: fastapi.Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-timed"] = "1"
        return response

    @app.get("/items/{number}")
    async def item(number: int, q: Annotated[str, fastapi.Depends(dependency)]) -> dict[str, Any]:
        return {"number": number, "q": q}

    @app.post("/upload")
    async def upload(file: fastapi.UploadFile, note: Annotated[str, fastapi.Form()]) -> dict[str, Any]:
        return {"size": len(await file.read()), "note": note}

    @app.get("/state")
    async def state(request: fastapi.Request) -> str:
        return str(request.state.pool)

    @app.get("/refused")
    async def refused() -> None:
        raise fastapi.HTTPException(404, "no such thing", headers={"x-why": "because"})

    return app


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("POST", "/", {"content": b"abc"}),
    ("GET", "/echo/ada/a/b", {"params": {"q": "ä b"}}),
    ("PUT", "/echo/%C3%A9/a%20b", {"json": {"a": [1, 2]}}),
    ("DELETE", "/echo/x/", {}),
    ("PATCH", "/echo/x/y", {}),
    ("HEAD", "/stream", {}),
    ("GET", "/stream", {}),
    ("GET", "/cookies", {}),
    ("GET", "/blocking", {}),
    ("GET", "/redirects", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/stream/", {}),
    ("POST", "/chunks", {"content": b"x" * 100}),
    ("POST", "/form", {"data": {"a": "1"}}),
    ("OPTIONS", "/stream", {}),
]

FASTAPI: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/items/3", {"params": {"q": "x"}}),
    ("GET", "/items/three", {}),
    ("GET", "/items/3", {"headers": {"origin": "https://a.example"}}),
    ("OPTIONS", "/items/3", {"headers": {"origin": "https://a.example", "access-control-request-method": "GET"}}),
    ("GET", "/openapi.json", {}),
    ("GET", "/docs", {}),
    ("GET", "/refused", {}),
    ("POST", "/upload", {"files": {"file": b"x" * 5000}, "data": {"note": "n"}, "headers": {"x": "y"}}),
    ("GET", "/items/3", {"headers": {"accept-encoding": "gzip"}}),
]


def alone(application: Any, root: str, method: str, path: str, parts: dict[str, Any]) -> httpx.Response:
    """As httpx calls the application, with no server."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application, root_path=root)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            client.headers.pop("accept-encoding")
            client.headers.pop("connection")
            return await client.request(method, root + path, **parts)

    return asyncio.run(ask())


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], str]:
    boring = ("date", "content-length", "x-request-id", "transfer-encoding")
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in boring]
    return answer.status_code, sorted(headers), answer.text


@pytest.mark.parametrize(("method", "path", "parts"), REQUESTS, ids=lambda part: str(part)[:30])
@pytest.mark.parametrize("root", ["", "/in/side"])
def test_starlette_answers_the_same(root: str, method: str, path: str, parts: dict[str, Any]) -> None:
    app = Ziggurat(openapi_path=None)
    app.mount(root or "/", starlette_app())
    with TestClient(app) as client:
        mounted = client.request(method, root + path, **parts)
    assert told(mounted) == told(alone(starlette_app(), root, method, path, parts))


@pytest.mark.parametrize(("method", "path", "parts"), FASTAPI, ids=lambda part: str(part)[:30])
@pytest.mark.parametrize("root", ["", "/api"])
def test_fastapi_answers_the_same(root: str, method: str, path: str, parts: dict[str, Any]) -> None:
    app = Ziggurat(openapi_path=None)
    app.mount(root or "/", fastapi_app())
    with TestClient(app) as client:
        mounted = client.request(method, root + path, **parts)
    assert told(mounted) == told(alone(fastapi_app(), root, method, path, parts))


def test_the_lifespan_of_fastapi_and_its_state() -> None:
    TOLD.clear()
    app = Ziggurat()
    app.mount("/api", fastapi_app())
    with TestClient(app) as client:
        assert TOLD == ["starts"]
        assert client.get("/api/state").json() == "opened"
    assert TOLD == ["starts", "stops"]


def test_background_tasks_run_behind_the_answer() -> None:
    TOLD.clear()
    app = Ziggurat()
    app.mount("/in", starlette_app())
    with TestClient(app) as client:
        assert client.get("/in/later").text == "now"
    assert TOLD == ["later"]


def test_a_client_that_leaves_is_starlettes_client_disconnect() -> None:
    TOLD.clear()

    async def upload(request: Request) -> PlainTextResponse:
        TOLD.append("begun")
        try:
            await request.body()
        except ClientDisconnect:
            TOLD.append("disconnect")
            raise
        return PlainTextResponse("")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(60)

    async def test() -> None:
        from ziggurat.testing import AsyncTestClient

        app = Ziggurat()
        app.mount("/", Starlette(routes=[Route("/", upload, methods=["POST"])]))
        async with AsyncTestClient(app) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/", content=pieces(), timeout=0.3)
            for _ in range(500):
                if len(TOLD) == 2:
                    break
                await asyncio.sleep(0.01)

    asyncio.run(test())
    assert TOLD == ["begun", "disconnect"]


def test_asking_in_passing_for_the_client_takes_nothing_of_the_body() -> None:
    async def upload(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{await request.is_disconnected()} {len(await request.body())}")

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    app = Ziggurat()
    app.mount("/", Starlette(routes=[Route("/", upload, methods=["POST"])]))
    with TestClient(app) as client:
        for _ in range(20):
            assert client.post("/", content=pieces()).text == "False 100000"


def test_http_middleware_of_starlette_passes_streams_on() -> None:
    class Marked(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-marked"] = "1"
            return response

    starlette = starlette_app()
    starlette.add_middleware(Marked)
    app = Ziggurat()
    app.mount("/", starlette)
    with TestClient(app) as client:
        sent = client.get("/stream")
        assert (sent.text, sent.headers["x-marked"]) == ("0,1,2,3,4,", "1")
