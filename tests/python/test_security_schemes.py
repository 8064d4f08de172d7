"""Credentials that dependencies of an app read and check themselves, and what the document tells of them."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import pytest

from ziggurat import ConfigError, Depends, HTTPException, Request, Router, Ziggurat, layers
from ziggurat.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
)
from ziggurat.testing import TestClient, TestResponse

SESSIONS = {"s3cr3t": "ada"}


class Sessions(HTTPBearer):
    """As apps write it, with a check of their own."""

    async def __call__(self, request: Request) -> Any:
        found = await super().__call__(request)
        if found is None or found.credentials not in SESSIONS:
            raise HTTPException(403, "no session")
        return SESSIONS[found.credentials]


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


oauth2 = OAuth2PasswordBearer("token", scopes={"read": "Reads"})
key = APIKeyHeader(name="x-key", auto_error=False)
query_key = APIKeyQuery(name="key", auto_error=False)


def current_user(token: Annotated[str, Depends(oauth2)]) -> str:
    if token not in SESSIONS:
        raise HTTPException(401, "no session", {"www-authenticate": "Bearer"})
    return SESSIONS[token]


@pytest.fixture
def app() -> Ziggurat:
    app = Ziggurat()

    @app.get("/me")
    async def me(user: Annotated[str, Depends(current_user)]) -> str:
        return user

    @app.get("/blocking")
    def blocking(user: Annotated[str, Depends(current_user)]) -> str:
        return user

    @app.get("/bearer")
    async def bearer(
        given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer(bearerFormat="opaque"))],
    ) -> list[str]:
        return [given.scheme, given.credentials]

    @app.get("/session")
    async def session(user: Annotated[str, Depends(Sessions(description="A session"))]) -> str:
        return user

    @app.get("/basic")
    async def by_name(given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="shop"))]) -> list[str]:
        return [given.username, given.password]

    @app.get("/keys")
    async def keys(
        header: Annotated[str | None, Depends(key)], query: Annotated[str | None, Depends(query_key)]
    ) -> list[str | None]:
        return [header, query]

    @app.get("/cookie")
    async def cookie(given: Annotated[str, Depends(APIKeyCookie(name="sid"))]) -> str:
        return given

    @app.post("/token")
    async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, object]:
        return {"username": form.username, "scopes": form.scopes, "client": form.client_id}

    return app


@pytest.fixture
def client(app: Ziggurat) -> Any:
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/me", "/blocking"])
def test_a_token_is_given_to_what_checks_it(client: TestClient, path: str) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert client.get(path, headers={"authorization": f"{scheme}  s3cr3t"}).text == "ada"
    wrong = client.get(path, headers={"authorization": "Bearer other"})
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "no session")


@pytest.mark.parametrize("path", ["/me", "/blocking", "/bearer", "/session"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic s3cr3t")],
        [("authorization", "Bearers3cr3t")],
        [("authorization", "Bearer s3cr3t"), ("authorization", "Bearer s3cr3t")],
    ],
    ids=str,
)
def test_without_a_token_the_answer_is_a_challenge(client: TestClient, path: str, headers: Any) -> None:
    refused = client.get(path, headers=headers)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["detail"] == "the request has no bearer token"


def test_schemes_of_an_app_are_derived(client: TestClient) -> None:
    assert client.get("/session", headers={"authorization": "Bearer s3cr3t"}).text == "ada"
    assert client.get("/session", headers={"authorization": "Bearer other"}).status_code == 403
    given = client.get("/bearer", headers={"authorization": "Bearer a b"})
    assert given.json() == ["Bearer", "a b"]


def test_names_and_passwords(client: TestClient) -> None:
    def asked(authorization: str) -> TestResponse:
        return client.get("/basic", headers={"authorization": authorization})

    assert asked(basic("änn:a:b".encode())).json() == ["änn", "a:b"]
    assert asked(basic(b":")).json() == ["", ""]
    for wrong in (basic(b"ann"), basic(b"\xff:a"), "Basic ???", "Basic YQ", "Basic", "Bearer YTpi"):
        refused = asked(wrong)
        assert refused.status_code == 401, wrong
        assert refused.headers["www-authenticate"] == 'Basic realm="shop", charset="UTF-8"'
    with pytest.raises(ConfigError, match="cannot stand in a header"):
        HTTPBasic(realm='a"b')


def test_keys(client: TestClient) -> None:
    assert client.get("/keys").json() == [None, None]
    assert client.get("/keys?key=q", headers={"X-Key": "h"}).json() == ["h", "q"]
    # Which of several would be meant nobody knows.
    assert client.get("/keys?key=q&key=r", headers=[("x-key", "a"), ("x-key", "b")]).json() == [None, None]
    assert client.get("/cookie", headers={"cookie": "sid=1"}).text == "1"
    refused = client.get("/cookie")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "ApiKey")
    assert refused.json()["detail"] == "the request has no key in the cookie 'sid'"


def test_the_form_of_signing_in(client: TestClient) -> None:
    form = {"grant_type": "password", "username": "ada", "password": "x", "scope": "read write", "client_id": "c"}
    assert client.post("/token", data=form).json() == {"username": "ada", "scopes": ["read", "write"], "client": "c"}
    assert client.post("/token", data={"username": "ada", "password": "x"}).json()["scopes"] == []
    refused = client.post("/token", data={**form, "grant_type": "implicit"})
    assert refused.status_code == 422
    assert "grant_type" in str(refused.json()["errors"])


def test_the_document_asks_for_them(app: Ziggurat) -> None:
    made = app.openapi()
    assert made["components"]["securitySchemes"] == {
        "OAuth2PasswordBearer": {
            "type": "oauth2",
            "flows": {"password": {"tokenUrl": "token", "scopes": {"read": "Reads"}}},
        },
        "HTTPBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "opaque"},
        "Sessions": {"type": "http", "scheme": "bearer", "description": "A session"},
        "HTTPBasic": {"type": "http", "scheme": "basic"},
        "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "x-key"},
        "APIKeyQuery": {"type": "apiKey", "in": "query", "name": "key"},
        "APIKeyCookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    }

    def asked(path: str) -> Any:
        operation = made["paths"][path]["get"]
        return operation["security"], "401" in operation["responses"], operation.get("parameters", [])

    assert asked("/me") == ([{"OAuth2PasswordBearer": []}], True, [])
    assert asked("/session") == ([{"Sessions": []}], True, [])
    # Either of them will do, and none.
    assert asked("/keys") == ([{"APIKeyHeader": []}, {"APIKeyQuery": []}, {}], False, [])
    assert "security" not in made["paths"]["/token"]["post"]


def test_schemes_stand_beside_those_of_layers() -> None:
    app = Ziggurat(layers=[layers.Jwt(secret="a secret of thirty-two bytes, or more")])
    router = Router("/a", dependencies=[Depends(APIKeyHeader(name="x-key", scheme_name="Partner"))])

    @router.get("/")
    async def show() -> str:
        return "shown"

    app.include_router(router)
    operation = app.openapi()["paths"]["/a/"]["get"]
    assert operation["security"] == [{"bearer": [], "Partner": []}]


def test_what_stands_in_for_a_scheme_asks_for_nothing(app: Ziggurat) -> None:
    app.dependency_overrides[oauth2] = lambda: "s3cr3t"
    with TestClient(app) as client:
        assert client.get("/me").text == "ada"
