"""`Claims`: who calls, as a parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from tokens import SECRET, bearer

from ziggurat import PUBLIC, Claims, ConfigError, Depends, Request, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
def app() -> Ziggurat:
    return Ziggurat(layers=[layers.Jwt(secret=SECRET, required=False)])


def test_claims_are_of_a_caller_who_is_known(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    async def owner(claims: Claims) -> str | None:
        return claims.sub

    @app.get("/me")
    async def me(claims: Claims, request: Request) -> list[Any]:
        assert type(claims) is Claims and claims == request.auth
        return [claims.sub, claims.scopes, claims["tenant"]]

    @app.get("/owner")
    def of_dependency(owner: Annotated[str, Depends(owner)]) -> str:
        return owner

    @app.get("/anyone")
    async def anyone(claims: Claims | None) -> bool:
        return claims is None

    started = client()
    token = bearer(sub="ada", scope="a b", tenant="t")
    assert started.get("/me", headers=token).json() == ["ada", ["a", "b"], "t"]
    assert started.get("/owner", headers=token).text == "ada"
    assert [started.get("/anyone", headers=headers).json() for headers in (token, {})] == [False, True]
    before = app.attach_counts()
    for path in ("/me", "/owner"):
        answer = started.get(path)
        assert answer.status_code == 401 and "www-authenticate" in answer.headers
    assert app.attach_counts() == before
    assert "401" in app.openapi()["paths"]["/owner"]["get"]["responses"]
    assert "security" in app.openapi()["paths"]["/me"]["get"]


def test_claims_that_nobody_can_have_are_refused(app: Ziggurat) -> None:
    @app.get("/", auth=PUBLIC)
    async def handler(claims: Claims) -> None: ...

    with pytest.raises(ConfigError, match=r"write Claims \| None"):
        app.build()

    without = Ziggurat()

    @without.get("/")
    async def other(claims: Claims) -> None: ...

    with pytest.raises(ConfigError, match="no layer finds that out"):
        without.build()
