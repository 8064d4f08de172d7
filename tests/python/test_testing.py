"""The test client: it drives the real stack and understands what httpx understands."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from ziggurat import Request, Response, Ziggurat, layers
from ziggurat.testing import TestClient


def echo_app(**settings: Any) -> Ziggurat:
    app = Ziggurat(**settings)

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def echo(request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "query": parse_qsl(request.query_string),
            "body": (await request.body()).decode(),
            "type": request.headers.get("content-type"),
            "host": request.headers.get("host"),
            "x": request.headers.get("x"),
        }

    return app


def test_sends_what_it_is_given() -> None:
    with TestClient(echo_app(), headers={"x": "always"}) as client:
        got = client.get("/echo?a=1", params={"b": [1, 2.5], "c": True, "d": "ä &"}).json()
        assert got["query"] == [["a", "1"], ["b", "1"], ["b", "2.5"], ["c", "true"], ["d", "ä &"]]
        assert got["host"] == "testserver"
        assert got["x"] == "always"

        got = client.post("/echo", json={"ä": None}).json()
        assert (got["method"], got["body"], got["type"]) == ("POST", '{"ä":null}', "application/json")
        assert client.put("/echo", json=0).json()["body"] == "0"
        got = client.patch("/echo", content="text", headers=[("content-type", "text/plain")]).json()
        assert (got["body"], got["type"]) == ("text", "text/plain")
        assert client.post("/echo", data={"a": ["1", "2"]}).json()["body"] == "a=1&a=2"
        assert client.delete("http://other.example/echo").json()["host"] == "other.example"
        with pytest.raises(TypeError, match="give one of json and content"):
            client.post("/echo", json=1, content=b"1")


def test_answers_come_as_they_left_the_stack() -> None:
    app = Ziggurat(layers=[layers.Compression(min_size=0)])

    @app.get("/cookies")
    async def cookies() -> Response:
        response = Response(418, {"Set-Cookie": "a=1"}, body="täpot" * 100)
        response.headers.append("set-cookie", "b=2")
        return response

    with TestClient(app) as client:
        answer = client.get("/cookies")
        assert answer.status_code == 418
        assert not answer.is_success
        assert answer.reason_phrase == "I'm a teapot"
        assert answer.text == "täpot" * 100
        assert answer.headers.get_list("SET-COOKIE") == ["a=1", "b=2"]
        assert answer.headers["set-cookie"] == "a=1, b=2"
        assert "set-cookie" in answer.headers
        assert "nope" not in answer.headers
        with pytest.raises(httpx.HTTPStatusError, match="418 I'm a teapot") as raised:
            answer.raise_for_status()
        assert raised.value.__notes__ == ["täpot" * 100]
        packed = client.get("/cookies", headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.text == "täpot" * 100
        with client.stream("GET", "/cookies", headers={"accept-encoding": "gzip"}) as packed:
            assert gzip.decompress(b"".join(packed.iter_raw())) == ("täpot" * 100).encode()
        assert client.get("/nope").headers["content-type"] == "application/problem+json"
        assert client.head("/openapi.json").content == b""
        assert "GET" in client.options("/openapi.json").headers["allow"]


def test_lifespan_and_hooks_run_around_the_requests() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Ziggurat) -> AsyncIterator[None]:
        seen.append("enter")
        yield
        seen.append("exit")

    app = echo_app(lifespan=lifespan)
    app.on_startup(lambda: seen.append("startup"))

    @app.on_shutdown
    async def last() -> None:
        seen.append("shutdown")

    with TestClient(app) as client:
        assert seen == ["enter", "startup"]
        assert client.get("/echo").is_success
    assert seen == ["enter", "startup", "shutdown", "exit"]


def test_a_failing_start_is_raised() -> None:
    app = echo_app()

    @app.on_startup
    async def fails() -> None:
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"), TestClient(app):
        raise AssertionError("it must not start")


def test_works_without_with_and_again_after_close() -> None:
    client = TestClient(echo_app())
    try:
        assert client.get("/echo").is_success
    finally:
        client.close()
    with client:
        assert client.get("/echo").is_success


def test_two_apps_live_side_by_side() -> None:
    one, two = Ziggurat(), Ziggurat()
    one.get("/")(_answer("one"))
    two.get("/")(_answer("two"))
    with TestClient(one) as first, TestClient(two) as second:
        assert (first.get("/").text, second.get("/").text) == ("one", "two")


def _answer(text: str) -> Any:
    async def handler() -> str:
        return text

    return handler
