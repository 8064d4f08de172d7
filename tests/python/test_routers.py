"""Routes that are declared together."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ziggurat import PUBLIC, ConfigError, HasRole, HasScope, Model, Request, Response, Router, Ziggurat, layers
from ziggurat.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"


class Member(Model):
    id: int
    name: str


def test_routes_are_included_with_what_they_have_in_common() -> None:
    users = Router("/users", tags=["users"])

    @users.get("")
    async def all_users() -> str:
        return "all"

    @users.get("/{user_id}")
    async def one(user_id: int) -> int:
        return user_id

    teams = Router("/teams/{team}", tags=["teams"])

    @teams.get("/users", tags=["more"])
    async def of_team(team: str, limit: int = 3) -> list[Any]:
        return [team, limit]

    teams.include_router(users, prefix="/v")
    app = Ziggurat(store="sqlite:///:memory:")
    app.include_router(users)
    app.include_router(teams, prefix="/api", tags=["api"])

    @users.get("/me/late")
    async def late() -> str:
        return "late"

    members = Router("/club")
    members.crud(Member, "/members", client_id=True)(type("Members", (), {}))
    app.include_router(members)

    with TestClient(app) as client:
        assert client.get("/users").text == "all"
        assert client.get("/users/7").json() == 7
        assert client.get("/users/seven").status_code == 422
        assert client.get("/users/me/late").text == "late"
        assert client.get("/api/teams/red/users?limit=5").json() == ["red", 5]
        assert client.get("/api/teams/red/v/users/8").json() == 8
        assert client.post("/club/members", json={"id": 1, "name": "Ada"}).status_code == 201
        assert client.get("/club/members/1").json()["name"] == "Ada"
        with pytest.raises(ConfigError, match="registered after the app was built"):
            users.get("/too-late")
    paths = app.openapi()["paths"]
    assert paths["/users"]["get"]["tags"] == ["users"]
    assert paths["/api/teams/{team}/users"]["get"]["tags"] == ["api", "teams", "more"]
    assert {one["name"] for one in paths["/api/teams/{team}/v/users/{user_id}"]["get"]["parameters"]} >= {"user_id"}
    assert paths["/club/members"]["get"]["tags"] == ["Member"]


def test_layers_guards_and_middleware_of_a_router() -> None:
    order: list[str] = []

    def marking(name: str) -> Any:
        async def marks(request: Request, call_next: Any) -> Response:
            order.append(name)
            response: Response = await call_next(request)
            return response

        marks.__qualname__ = name
        return marks

    admin = Router("/admin", layers=[layers.Etag()], guards=[HasRole("admin")], skip_layers=[layers.Compression])
    admin.middleware(marking("of_router"))
    admin.layer(layers.SensitiveHeaders())

    @admin.get("/closed", layers=[marking("of_route")], guards=[HasScope("x")])
    async def closed() -> str:
        return "closed"

    @admin.get("/open", auth=PUBLIC)
    async def open_to_all() -> str:
        return "open"

    app = Ziggurat(layers=[layers.Compression(), layers.Jwt(secret=SECRET, required=False)])
    app.middleware(marking("of_app"))
    app.include_router(admin)

    @app.get("/else")
    async def elsewhere() -> str:
        return "else"

    [stack] = app.stack("/admin/closed")
    assert [name for name in stack.passes if name not in ("CatchPanic", "RequestId", "Timeout", "BodyLimit")][:-1] == [
        "Jwt", "of_app", "Etag", "of_router", "SensitiveHeaders", "of_route",
        "RequireAuth(role admin, scope x)",
    ] or stack.passes[-2].startswith("RequireAuth(")  # fmt: skip
    with TestClient(app) as client:
        assert client.get("/admin/closed").status_code == 401
        assert order == ["of_app", "of_router", "of_route"]
        order.clear()
        answer = client.get("/admin/open")
        assert (answer.text, order) == ("open", ["of_app", "of_router"])
        assert "etag" in answer.headers
        order.clear()
        answer = client.get("/else")
        assert (answer.text, order, "etag" in answer.headers) == ("else", ["of_app"], False)


def test_a_mistake_in_a_router_is_told_when_the_app_is_built() -> None:
    router = Router("/x/{id}")

    @router.get("/y")
    async def wrong(id: dict[str, int]) -> None: ...

    app = Ziggurat()
    app.include_router(router)
    with pytest.raises(ConfigError, match=r"wrong: .*test_routers.py:"):
        app.build()


@pytest.mark.parametrize("prefix", ["users", "/users/", "/"])
def test_a_prefix_begins_with_a_slash_and_ends_without(prefix: str) -> None:
    with pytest.raises(ConfigError, match="a prefix begins with a slash and does not end with one"):
        Router(prefix)
    with pytest.raises(ConfigError, match="a prefix begins with a slash"):
        Ziggurat().include_router(Router(), prefix=prefix)


def test_what_cannot_be_included() -> None:
    outer, inner = Router("/outer"), Router("/inner")
    outer.include_router(inner)
    for routes, router in ((outer, outer), (inner, outer)):
        with pytest.raises(ConfigError, match="a router is included in itself"):
            routes.include_router(router)
    with pytest.raises(ConfigError, match="is no router; make one"):
        Ziggurat().include_router(Ziggurat())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="tags is one text"):
        Router(tags="users")
    with pytest.raises(ConfigError, match="the router /a: 3 is not a layer"):
        Router("/a", layers=[3])  # type: ignore[list-item]


def test_the_same_route_twice_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()

    @router.get("/x")
    async def x() -> None: ...

    app = Ziggurat()
    app.include_router(router)
    app.include_router(router)
    with caplog.at_level(logging.ERROR), pytest.raises(ConfigError, match="/x"):
        app.build()
