"""What stands in for dependencies that take `Claims`: who is asked for, and who is let in."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from ziggurat import Authenticated, Claims, ConfigError, Depends, WebSocket, Ziggurat, layers
from ziggurat.security import sign_token
from ziggurat.testing import TestClient, WebSocketDenialResponse

pytestmark = pytest.mark.usefixtures("mode")

SECRET = "a secret of thirty-two bytes, or more"
AS_ADA = {"authorization": f"Bearer {sign_token({'sub': 'ada'}, SECRET, expires_in=600)}"}


def known(claims: Claims) -> str:
    return str(claims.sub)


def nobody() -> str:
    return "nobody"


def app_that_knows(**said: Any) -> Ziggurat:
    app = Ziggurat(layers=[layers.Jwt(secret=SECRET, required=False)])

    @app.get("/", **said)
    async def handler(name: Annotated[str, Depends(known)]) -> str:
        return name

    @app.websocket("/ws", **said)
    async def socket(ws: WebSocket, name: Annotated[str, Depends(known)]) -> None:
        await ws.accept()
        await ws.send_text(name)

    return app


def answers_of(client: TestClient) -> tuple[int, str]:
    """The status of a request of nobody, and what a socket of nobody is told."""
    try:
        with client.websocket_connect("/ws") as ws:
            told = ws.receive_text()
    except WebSocketDenialResponse as denied:
        told = str(denied.status_code)
    return client.get("/").status_code, told


@pytest.mark.parametrize("before", [False, True], ids=["after the start", "before the start"])
def test_what_stands_in_for_claims_asks_for_nobody_as_long_as_it_does(before: bool) -> None:
    app = app_that_knows()
    if before:
        app.dependency_overrides[known] = nobody
    with TestClient(app) as client:
        app.dependency_overrides[known] = nobody
        assert answers_of(client) == (200, "nobody")
        app.dependency_overrides.clear()
        assert answers_of(client) == (401, "401")
        assert client.get("/", headers=AS_ADA).text == "ada"
        app.dependency_overrides[known] = nobody
        assert answers_of(client) == (200, "nobody")
    # What is told of the route is what it asks for by itself.
    assert app.openapi()["paths"]["/"]["get"]["security"] == [{"bearer": []}]
    assert "RequireAuth" in app.stack("/")[0].passes


@pytest.mark.parametrize("said", [{"auth": True}, {"guards": [Authenticated()]}], ids=["auth", "guards"])
def test_what_a_route_asks_for_itself_nothing_stands_in_for(said: dict[str, Any]) -> None:
    app = app_that_knows(**said)
    app.dependency_overrides[known] = nobody
    with TestClient(app) as client:
        assert answers_of(client) == (401, "401")


def test_what_stands_in_takes_no_claims_that_nobody_asks_for() -> None:
    def app_of(required: bool) -> Ziggurat:
        app = Ziggurat(layers=[layers.Jwt(secret=SECRET, required=required)])

        @app.get("/")
        async def handler(name: Annotated[str, Depends(nobody)]) -> str:
            return name

        return app

    app = app_of(required=False)
    with TestClient(app) as client:
        with pytest.raises(ConfigError, match=r"handler: what stands in .* Claims.*; write Claims \| None there, or"):
            app.dependency_overrides[nobody] = known
        assert client.get("/").text == "nobody"
    app = app_of(required=True)
    with TestClient(app) as client:
        app.dependency_overrides[nobody] = known
        assert client.get("/", headers=AS_ADA).text == "ada"
