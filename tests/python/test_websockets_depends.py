"""WebSockets and what surrounds handlers: dependencies, state, claims, cookies, and handlers of exceptions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from test_websockets import closed, refused, until
from tokens import SECRET, bearer

from ziggurat import (
    PUBLIC,
    BackgroundTasks,
    Claims,
    ConfigError,
    Cookie,
    Depends,
    Header,
    HTTPException,
    Query,
    Request,
    RequestValidationError,
    Response,
    Router,
    State,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

Start = Callable[[], TestClient]


def test_dependencies_are_those_of_any_handler(app: Ziggurat, client: Start) -> None:
    def page(limit: Annotated[int, Query(ge=1)] = 10) -> int:
        return limit

    async def user(request: Request, x_user: Annotated[str, Header()], page: Annotated[int, Depends(page)]) -> str:
        return f"{x_user} of {request.path}, {page}"

    class Room:
        def __init__(self, room: str, ws: WebSocket) -> None:
            self.room, self.ws = room, ws

        async def say(self, text: str) -> None:
            await self.ws.send_text(f"{self.room}: {text}")

    @app.websocket("/{room}")
    async def chat(ws: WebSocket, user: Annotated[str, Depends(user)], room: Annotated[Room, Depends()]) -> None:
        assert room.ws is ws
        await ws.accept()
        await room.say(user)

    started = client()
    with started.websocket_connect("/red?limit=3", headers={"x-user": "ann"}) as ws:
        assert ws.receive_text() == "red: ann of /red, 3"
    answer = refused(started, "/red?limit=0")
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == ["missing", "greater_than_equal"]


@pytest.mark.parametrize("how", ["returns", "raises", "client", "refuses", "blocking"])
def test_what_a_dependency_opens_is_closed_when_the_handler_has_ended(
    app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    log: list[str] = []

    async def connection() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "connection"
        except KeyError:
            log.append("KeyError")
            raise
        finally:
            await asyncio.sleep(0)
            log.append("close")

    def on_thread() -> Iterator[str]:
        log.append("open")
        yield "connection"
        log.append("close")

    @app.websocket("/")
    async def chat(
        ws: WebSocket,
        connection: Annotated[str, Depends(on_thread, thread=True) if how == "blocking" else Depends(connection)],
    ) -> None:
        if how == "refuses":
            raise HTTPException(409)
        await ws.accept()
        await ws.send_text(connection)
        await ws.receive()
        log.append("received")
        if how == "raises":
            raise KeyError("x")

    started = client()
    if how == "refuses":
        assert refused(started, "/").status_code == 409
    else:
        with caplog.at_level(logging.ERROR), started.websocket_connect("/") as ws:
            assert ws.receive_text() == "connection"
            assert log == ["open"]
            if how != "client":
                ws.send_text("go")
                assert closed(ws) == ((1011, "") if how == "raises" else (1000, ""))
    inside = {"raises": ["received", "KeyError"], "client": [], "refuses": []}.get(how, ["received"])
    until(lambda: log == ["open", *inside, "close"])
    assert [record.exc_info is not None for record in caplog.records] == ([True] if how == "raises" else [])


def test_state_claims_and_cookies_are_given() -> None:
    class Shop(State):
        name: str

    app = Ziggurat(
        state=Shop(name="corner"),
        layers=[layers.Jwt(secret=SECRET, algorithms=["HS256"], required=False)],
        dependencies=[Depends(lambda: seen.append("of the app"))],
    )
    router = Router("/v1", dependencies=[Depends(lambda: seen.append("of the router"))])
    seen: list[str] = []

    @router.websocket("/known", dependencies=[Depends(lambda: seen.append("of the route"))])
    async def known(ws: WebSocket, shop: Shop, claims: Claims, taste: Annotated[str, Cookie()]) -> None:
        await ws.accept()
        assert ws.app is app
        await ws.send_json([shop.name, claims["sub"], taste, ws.cookies])

    @router.websocket("/anybody", auth=PUBLIC)
    async def anybody(ws: WebSocket, claims: Claims | None) -> None:
        await ws.accept()
        await ws.send_json(claims is None)

    app.include_router(router)
    cookies = {"cookie": "taste=sweet; other=1; taste=sour"}
    with TestClient(app) as started:
        assert refused(started, "/v1/known", headers=cookies).status_code == 401
        assert seen == []
        with started.websocket_connect("/v1/known", headers={**cookies, **bearer(sub="ann")}) as ws:
            assert ws.receive_json() == ["corner", "ann", "sweet", {"taste": "sweet", "other": "1"}]
        assert seen == ["of the app", "of the router", "of the route"]
        with started.websocket_connect("/v1/anybody") as ws:
            assert ws.receive_json() is True


def test_requests_have_cookies_as_well(app: Ziggurat, client: Start) -> None:
    @app.get("/")
    async def cookies(request: Request) -> dict[str, str]:
        return request.cookies

    started = client()
    assert started.get("/").json() == {}
    assert started.get("/", headers={"cookie": 'a=1; b="x y"; junk; a=2'}).json() == {"a": "1", "b": "x y"}


def test_overrides_stand_in(app: Ziggurat, client: Start) -> None:
    def who() -> str:
        return "somebody"

    @app.get("/")
    async def page(who: Annotated[str, Depends(who)]) -> str:
        return who

    @app.websocket("/")
    async def chat(ws: WebSocket, who: Annotated[str, Depends(who)]) -> None:
        await ws.accept()
        await ws.send_text(who)

    started = client()

    def told() -> tuple[str, str]:
        with started.websocket_connect("/") as ws:
            return ws.receive_text(), started.get("/").text

    assert told() == ("somebody", "somebody")
    app.dependency_overrides[who] = lambda: "a test"
    assert told() == ("a test", "a test")
    app.dependency_overrides.clear()
    assert told() == ("somebody", "somebody")


# Handlers of exceptions


class Sold(Exception):
    pass


@pytest.mark.parametrize("where", ["handler", "dependency"])
def test_handlers_of_exceptions_answer_what_is_not_accepted(
    app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    @app.exception_handler(Sold)
    async def sold(request: Request, error: Sold) -> Response:
        return Response(410, content={"sold": str(error), "at": request.path, "by": request.query["by"]})

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        return Response(error.status, content=f"http {error.detail}")

    @app.exception_handler(Exception)
    async def anything(request: Request, error: Exception) -> Response:
        return Response(500, content="anything")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return Response(400, content=[each["code"] for each in error.errors])

    def fail(by: str) -> None:
        errors: dict[str, Exception] = {
            "sold": Sold("tea"),
            "http": HTTPException(409, "later"),
            "bug": KeyError("x"),
            "close": WebSocketException(4000),
            "gone": WebSocketDisconnect(1001),
        }
        raise errors[by]

    if where == "handler":

        @app.websocket("/")
        async def chat(ws: WebSocket, by: str) -> None:
            fail(by)
    else:

        @app.websocket("/")
        async def chats(ws: WebSocket, failed: Annotated[None, Depends(fail)]) -> None: ...

    started = client()
    answer = refused(started, "/?by=sold")
    assert (answer.status_code, answer.json()) == (410, {"sold": "tea", "at": "/", "by": "sold"})
    answer = refused(started, "/?by=http")
    assert (answer.status_code, answer.text) == (409, "http later")
    answer = refused(started, "/")
    assert (answer.status_code, answer.json()) == (400, ["missing"])
    # What is of sockets alone is no answer to make.
    assert refused(started, "/?by=close").status_code == 403
    assert refused(started, "/?by=gone").status_code == 403
    assert not caplog.records
    answer = refused(started, "/?by=bug")
    assert (answer.status_code, answer.text) == (500, "anything")
    assert len(caplog.records) == 1
    # Nor is one that was refused before.
    answer = refused(started, "/?by=sold", headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.text) == (403, "http pages of this origin may not open the socket")


def test_handlers_of_exceptions_have_no_answer_to_give_once_it_is_accepted(
    app: Ziggurat, client: Start, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[object] = []

    @app.exception_handler(Exception)
    async def anything(request: Request, error: Exception) -> Response:
        asked.append(error)
        return Response(500)

    @app.middleware
    async def around(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    @app.websocket("/")
    async def chat(ws: WebSocket, wait: bool = False) -> None:
        await ws.accept()
        if wait:
            await ws.receive()
        raise Sold("tea")

    started = client()
    for target in ("/", "/?wait=1"):
        with caplog.at_level(logging.ERROR), started.websocket_connect(target) as ws:
            ws.send_text("go")
            assert closed(ws) == (1011, "")
        [record] = caplog.records
        assert record.exc_info and isinstance(record.exc_info[1], Sold)
        caplog.clear()
    assert not asked


# Mistakes


def wrong(register: Callable[[Ziggurat], object], match: str) -> None:
    with pytest.raises(ConfigError, match=match) as raised:
        register(Ziggurat())
    assert __file__ in str(raised.value)


def test_mistakes_of_dependencies_are_told_at_registration() -> None:
    def of_answer(response: Response) -> None: ...

    def behind(tasks: BackgroundTasks) -> None: ...

    def of_body(item: dict[str, int]) -> None: ...

    def of_socket(ws: WebSocket) -> None: ...

    async def good(ws: WebSocket) -> None: ...

    async def page() -> None: ...

    def register(app: Ziggurat, dependency: Callable[..., object]) -> object:
        return app.websocket("/", dependencies=[Depends(dependency)])(good)

    for dependency in (of_answer, behind):
        wrong(lambda app, d=dependency: register(app, d), "belongs to an answer, and a WebSocket has none; take it out")  # type: ignore[misc]
    wrong(lambda app: register(app, of_body), "'item' is a body, and a WebSocket begins without one")
    wrong(
        lambda app: app.get("/", dependencies=[Depends(of_socket)])(page),
        "of_socket: 'ws' is a WebSocket, which no request of another kind gets",
    )
    wrong(lambda app: app.websocket("/", dependencies=[of_socket])(good), "Depends")


def test_a_strict_app_asks_who_may_open_a_socket() -> None:
    async def good(ws: WebSocket) -> None: ...

    app = Ziggurat(strict=True)
    app.websocket("/open")(good)
    with pytest.raises(ConfigError, match="everybody may write through WEBSOCKET /open"):
        app.build()
    app = Ziggurat(strict=True)
    app.websocket("/open", auth=PUBLIC)(good)
    app.build()
