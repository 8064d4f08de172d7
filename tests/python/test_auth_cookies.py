"""Credentials that browsers send by themselves, good or not."""

from __future__ import annotations

import pytest
from tokens import SECRET, bearer, signed

from ziggurat import Claims, Request, WebSocket, Ziggurat, layers
from ziggurat.testing import TestClient

TOKEN = signed(sub="ann")


def app_with(layer: layers.Layer) -> Ziggurat:
    app = Ziggurat(layers=[layer])

    @app.get("/")
    async def who(request: Request) -> str | None:
        return request.auth and request.auth.get("sub")

    return app


@pytest.mark.parametrize(
    "cookie",
    [
        "session=what is left of an old session",
        "session=",
        f"session={signed(sub='ann', exp=1)}",
        f"session={signed('another secret of thirty-two bytes', sub='ann')}",
        f"session={TOKEN}; session={TOKEN}",
    ],
)
def test_a_bad_token_in_a_cookie_is_none_where_none_is_required(cookie: str) -> None:
    sources = [layers.FromCookie("session"), layers.FromHeader("authorization")]
    app = app_with(layers.Jwt(secret=SECRET, sources=sources, required=False))

    @app.get("/mine", auth=True)
    async def mine(claims: Claims) -> str | None:
        return claims.sub

    @app.websocket("/open")
    async def open_to_all(ws: WebSocket, claims: Claims | None) -> None:
        await ws.accept()
        await ws.send_json(claims)

    sent = {"cookie": cookie}
    with TestClient(app) as client:
        assert client.get("/", headers=sent).json() is None
        refused = client.get("/mine", headers=sent)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert client.get("/mine").headers["www-authenticate"] == "Bearer"
        with client.websocket_connect("/open", headers=sent) as ws:
            assert ws.receive_json() is None
        # What a program sends by itself counts, and is refused where it is bad.
        assert client.get("/mine", headers=sent | bearer(sub="bob")).text == "bob"
        assert client.get("/", headers=sent | {"authorization": "Bearer a.b.c"}).status_code == 401
    with TestClient(app_with(layers.Jwt(secret=SECRET, sources=sources))) as client:
        assert client.get("/", headers=sent).status_code == 401


def test_a_bad_key_in_a_cookie_is_none_where_none_is_required() -> None:
    key = layers.Key(hash="sha256:" + "0" * 64, subject="ci")
    app = app_with(
        layers.ApiKey(keys=[key], sources=[layers.FromCookie("key"), layers.FromQuery("key")], required=False)
    )
    with TestClient(app) as client:
        assert client.get("/", headers={"cookie": "key=old"}).json() is None
        assert client.get("/?key=old").status_code == 401


def test_who_comes_with_a_bad_cookie_gets_what_is_kept_for_everybody_and_no_more() -> None:
    made: list[str | None] = []
    jwt = layers.Jwt(secret=SECRET, sources=[layers.FromCookie("session")], required=False)
    app = Ziggurat(layers=[jwt, layers.Cache(ttl=60)])

    @app.get("/")
    async def page(claims: Claims | None) -> str:
        made.append(claims and claims.sub)
        return f"for {claims.sub if claims else 'everybody'}"

    good, old = {"cookie": f"session={TOKEN}"}, {"cookie": "session=old"}
    with TestClient(app) as client:
        assert [client.get("/", headers=sent).text for sent in (old, good, {}, old, {})] == [
            "for everybody",
            "for ann",
            "for everybody",
            "for everybody",
            "for everybody",
        ]
    assert made == [None, "ann", None, None], "what was kept is that without a cookie"
