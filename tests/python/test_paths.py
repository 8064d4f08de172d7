"""Paths and URLs of routes, made of their names and of what stands in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from ziggurat import Model, Request, Router, WebSocket, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

ID = UUID(int=7)


class Kind(Enum):
    NEW = "new & old"


class Book(Model):
    id: UUID


@pytest.fixture
def app(app: Ziggurat) -> Ziggurat:
    app.use_store("sqlite:///:memory:")
    router = Router("/teams/{team}")

    @router.get("/members/{number}", name="member")
    async def a_handler(team: str, number: int) -> list[object]:
        return [team, number]

    @app.get("/kinds/{kind}/{day}/{flag}")
    async def kinds(kind: Kind, day: date, flag: bool) -> list[object]:
        return [kind, day, flag]

    @app.get("/größe/{rest:path}")
    async def rest(rest: str) -> str:
        return rest

    @app.get("/url/{name}")
    async def url(request: Request, name: str) -> str:
        return request.url_for(name, **request.query)

    @app.websocket("/socket/{name}")
    async def socket(ws: WebSocket, name: str) -> None:
        await ws.accept()
        await ws.send_text(ws.url_for(name, name="url"))

    app.crud(Book, "/books")(type("Books", (), {}))
    app.include_router(router, prefix="/v1")
    return app


def test_values_are_read_as_they_were_written(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    started = client()
    path = app.url_path_for("member", team="a/b? ü", number=3)
    assert path == "/v1/teams/a%2Fb%3F%20%C3%BC/members/3"
    assert started.get(path).json() == ["a/b? ü", 3]
    path = app.url_path_for("kinds", kind=Kind.NEW, day=date(2026, 1, 2), flag=True)
    assert path == "/kinds/new%20&%20old/2026-01-02/true"
    assert started.get(path).json() == ["new & old", "2026-01-02", True]
    path = app.url_path_for("rest", rest="a/b c/ä")
    assert path == "/gr%C3%B6%C3%9Fe/a/b%20c/%C3%A4"
    assert started.get(path).text == "a/b c/ä"
    assert app.url_path_for("Book.list") == "/books"
    assert app.url_path_for("Book.patch", id=ID) == f"/books/{ID}"


def test_urls_have_the_host_of_the_request(client: Callable[[], TestClient]) -> None:
    started = client()
    assert started.get("/url/member?team=a&number=3").text == "http://testserver/v1/teams/a/members/3"
    assert started.get("/url/Book.list", headers={"host": "b.example:81"}).text == "http://b.example:81/books"
    assert started.get("/url/socket?name=a").text == "ws://testserver/socket/a"
    with started.websocket_connect("/socket/url") as ws:
        assert ws.receive_text() == "http://testserver/url/url"


def test_urls_of_an_app_that_is_mounted_begin_with_where_it_is(app: Ziggurat) -> None:
    outer = Ziggurat()
    outer.mount("/in", app)
    with TestClient(outer) as started:
        assert started.get("/in/url/Book.list").text == "http://testserver/in/books"


@pytest.mark.parametrize(
    ("name", "params", "error", "told"),
    [
        ("membre", {}, LookupError, "no route is called 'membre'; there are member"),
        ("member", {"team": "a"}, LookupError, "/v1/teams/{team}/members/{number} with team, number, not team"),
        ("Book.list", {"id": 1}, LookupError, "/books with nothing, not id"),
        ("Book.get", {}, LookupError, "with id, and none is given"),
        ("member", {"team": "..", "number": 1}, ValueError, "team='..' cannot stand in the path"),
        ("member", {"team": "", "number": 1}, ValueError, "team='' cannot stand in the path"),
        ("rest", {"rest": ""}, ValueError, "rest='' cannot stand in the path"),
        ("rest", {"rest": "a/../b"}, ValueError, "rest='a/../b' cannot stand in the path"),
    ],
)
def test_what_is_no_path_is_told(
    app: Ziggurat, name: str, params: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=re.escape(told)):
        app.url_path_for(name, **params)


def test_a_name_of_several_paths_is_not_guessed_at() -> None:
    app = Ziggurat()
    router = Router("/users")

    @router.get("/{id}")
    async def user(id: int) -> int:
        return id

    @app.get("/users")
    @app.post("/users")
    async def users() -> None: ...

    app.include_router(router, prefix="/v1")
    assert app.url_path_for("user", id=1) == "/v1/users/1"
    assert app.url_path_for("users") == "/users", "the methods of one path are one"
    app.include_router(router, prefix="/v2")
    with pytest.raises(LookupError, match=r"called /v1/users/\{id\} and /v2/users/\{id\}; give each route a name"):
        app.url_path_for("user", id=1)


def test_a_route_is_listed_under_its_name(app: Ziggurat) -> None:
    assert "member" in [route.name for route in app.routes]
    [stack] = app.stack("/v1/teams/a/members/1")
    assert stack.passes[-1] == "member"
