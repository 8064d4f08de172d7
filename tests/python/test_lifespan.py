"""What a lifespan leaves for requests, and lifespans that are none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from ziggurat import ConfigError, Request, Response, WebSocket, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


@contextlib.asynccontextmanager
async def gives(app: Ziggurat) -> AsyncIterator[dict[str, Any]]:
    yield {"pool": [1], "user": "nobody"}


def test_what_it_yields_begins_the_state_of_each_request() -> None:
    app = Ziggurat(lifespan=gives)

    @app.middleware(paths=["/seen"])
    async def sees(request: Request, call_next: Callable[[Request], Any]) -> Response:
        request.state.user = f"{request.state.user} seen"
        response: Response = await call_next(request)
        return response

    @app.get("/seen")
    @app.get("/unseen")
    async def handler(request: Request) -> list[object]:
        found = [request.state.pool, request.state.user, request.state.get("mine")]
        request.state.mine = 1
        return found

    @app.websocket("/socket")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(ws.state)

    for _ in range(2):
        with TestClient(app) as client:
            for _ in range(2):
                assert client.get("/seen").json() == [[1], "nobody seen", None]
                assert client.get("/unseen").json() == [[1], "nobody", None]
            with client.websocket_connect("/socket") as ws:
                assert ws.receive_json() == {"pool": [1], "user": "nobody"}


def test_an_app_that_is_mounted_has_its_own() -> None:
    inner = Ziggurat(lifespan=gives)
    outer = Ziggurat()

    @inner.get("/")
    @outer.get("/")
    async def handler(request: Request) -> list[str]:
        return sorted(request.state)

    outer.mount("/in", inner)
    with TestClient(outer) as client:
        assert client.get("/").json() == []
        assert client.get("/in/").json() == ["pool", "user"]


async def bare(app: Ziggurat) -> AsyncIterator[None]:
    yield


def plain(app: Ziggurat) -> Iterator[None]:
    yield


async def coroutine(app: Ziggurat) -> None: ...


@pytest.mark.parametrize("lifespan", [bare, plain, coroutine, 5])
def test_what_is_no_lifespan_is_refused_where_it_is_given(lifespan: Any) -> None:
    with pytest.raises(ConfigError, match=r"write @contextlib.asynccontextmanager above .*test_lifespan\.py:"):
        Ziggurat(lifespan=lifespan)


@contextlib.contextmanager
def of_another_kind(app: Ziggurat) -> Iterator[None]:
    yield


@contextlib.asynccontextmanager
async def gives_odd(app: Ziggurat) -> AsyncIterator[int]:
    try:
        yield 5
    finally:
        left.append(app)


left: list[Ziggurat] = []


def test_what_cannot_be_told_before_is_told_at_start_up() -> None:
    odd: Any = of_another_kind
    with pytest.raises(ConfigError, match="is no async context manager"), TestClient(Ziggurat(lifespan=odd)):
        pass
    odd = gives_odd
    left.clear()
    app = Ziggurat(lifespan=odd)
    with pytest.raises(TypeError, match=r"the lifespan yielded 5; yield a dict"), TestClient(app):
        pass
    assert left == [app], "what was opened is closed"
