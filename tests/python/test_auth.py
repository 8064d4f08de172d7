"""Who a caller is and what it may do, from Python's side."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from tokens import SECRET, bearer

from ziggurat import (
    PUBLIC,
    Authenticated,
    ClaimIs,
    ConfigError,
    HasRole,
    HasScope,
    Model,
    Ref,
    Request,
    Ziggurat,
    guards,
    layers,
)
from ziggurat.testing import TestClient

# Ed25519, which the standard library cannot sign with.
ED_PUBLIC = "jzvudZqB02wTazzndod3w0Ze4JAYh0A0XRSWfT5ODdk"
ED_TOKEN = (
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogIjEifQ.eyJzdWIiOiAiYW5uIiwgImV4cCI6IDg1ODk5MzQ1OTJ9.nzzy4QUX3KoHCO74"
    "9CIntPFji67qkhLWrUcS9HfBheQxpqOEdv50uGI8OQDiV040Y79P1RwOp1XRUARh9p1eDA"
)
ED_TOKEN_OF_2 = (
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogIjIifQ.eyJzdWIiOiAiYW5uIiwgImV4cCI6IDg1ODk5MzQ1OTJ9.mUs6sfSnJ4cjYTyO"
    "J0lol9kAZzwXcjCC1UjWYO4Zq9aTh2yOh8dW8903DA0EaO9PnOu1qAMm_6YRORrVS8IXAg"
)


def app_with(*given: layers.Layer) -> Ziggurat:
    app = Ziggurat(layers=given)

    @app.get("/")
    async def who(request: Request) -> Any:
        return request.auth and request.auth.get("sub")

    return app


def test_a_token_may_be_in_a_cookie() -> None:
    sources = [layers.FromHeader("authorization"), layers.FromCookie("session")]
    token = bearer(sub="ann")["authorization"].removeprefix("Bearer ")
    with TestClient(app_with(layers.Jwt(secret=SECRET, sources=sources))) as client:
        assert client.get("/", headers={"cookie": f"a=b; session={token}"}).text == "ann"
        assert client.get("/", headers=bearer(sub="bob") | {"cookie": f"session={token}"}).text == "bob"
        assert client.get("/", headers={"cookie": f"session={token}; session={token}"}).status_code == 401
        assert client.get("/", headers={"cookie": f"other={token}"}).status_code == 401


def test_keys_are_fetched_and_rotated() -> None:
    """The provider begins and stops to publish the key."""
    key = {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": ED_PUBLIC}
    published: list[dict[str, str]] = []

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"keys": published}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    Thread(target=provider.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{provider.server_address[1]}/keys"
    try:
        with TestClient(app_with(layers.Jwt(jwks=layers.Jwks(url=url, cooldown=0.1)))) as client:
            headers = {"authorization": f"Bearer {ED_TOKEN}"}
            answer = client.get("/", headers=headers)
            assert answer.status_code == 503 and answer.headers["retry-after"]
            published.append(key)
            time.sleep(0.2)
            assert client.get("/", headers=headers).text == "ann"
            published[0] = key | {"kid": "2"}
            until = time.monotonic() + 10
            while client.get("/", headers={"authorization": f"Bearer {ED_TOKEN_OF_2}"}).status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert client.get("/", headers=headers).status_code == 401
    finally:
        provider.shutdown()
        provider.server_close()


def test_each_issuer_has_its_own_keys() -> None:
    other = base64.urlsafe_b64encode(b"another secret of the tests, long enough").rstrip(b"=").decode()
    issuers = [
        layers.Issuer(issuer="ours", secret=SECRET, audience="app"),
        layers.Issuer(issuer="theirs", jwks={"keys": [{"kty": "oct", "kid": "1", "k": other}]}),
    ]
    with TestClient(app_with(layers.Jwt(issuers=issuers))) as client:

        def status(**claims: Any) -> int:
            return client.get("/", headers=bearer(**claims)).status_code

        assert status(iss="ours", aud="app") == 200
        assert status(iss="ours", aud="other") == 401
        assert status(iss="theirs") == 401
        assert status(iss="nobody", aud="app") == 401
        assert status() == 401


def test_what_every_token_must_have() -> None:
    require = [guards.HasScope("read"), guards.HasRole("staff"), guards.ClaimIs("tenant", "a", "b")]
    with TestClient(app_with(layers.Jwt(secret=SECRET, require=require, max_token_bytes=300))) as client:
        good = {"scope": "read write", "roles": ["staff"], "tenant": "b"}
        assert client.get("/", headers=bearer(**good)).status_code == 200
        for less in ({"scope": "write"}, {"roles": []}, {"tenant": "c"}, {"tenant": None}):
            assert client.get("/", headers=bearer(**good | less)).status_code == 403, less
        assert client.get("/", headers=bearer(**good, more="x" * 300)).status_code == 401


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layers.Jwt(secret=SECRET, require=[guards.Authenticated()]), "require holds Authenticated()"),
        (lambda: Ziggurat(guards=guards.Authenticated()), "the app: guards=Authenticated() is no list"),  # type: ignore[arg-type]
        (lambda: Ziggurat().get("/x", guards=["admin"]), "/x: 'admin' is no guard"),  # type: ignore[list-item]
        (lambda: Ziggurat().get("/x", auth=PUBLIC, guards=[guards.HasRole("a")]), "/x: auth=PUBLIC lets everybody in"),
        (lambda: guards.HasScope(""), "guards.HasScope: the scope is ''"),
        (lambda: guards.HasRole(7), "guards.HasRole: the role is 7"),  # type: ignore[arg-type]
        (lambda: guards.ClaimIs("", "a"), "guards.ClaimIs: the name of the claim is ''"),
        (lambda: guards.ClaimIs("a"), "a is to be one of []"),
        (lambda: guards.ClaimIs("a", 1.5), "a is to be one of [1.5]"),  # type: ignore[arg-type]
    ],
)
def test_guards_that_cannot_be_meant_are_refused_at_their_line(make: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert says in str(caught.value) and caught.value.cure
    assert (caught.value.location or "").startswith(__file__)


def test_keys_that_are_no_good_are_refused_by_name() -> None:
    weak = {"kty": "oct", "kid": "weak", "k": "AAAA"}
    with pytest.raises(ConfigError, match='the key "weak" of jwks is a secret that could be guessed'):
        app_with(layers.Jwt(jwks={"keys": [weak]})).build()
    assert "AAAA" not in repr(layers.Jwt(jwks={"keys": [weak]}))


def test_keys_and_passwords_tell_who_the_caller_is() -> None:
    key = layers.Key(hash="sha256:" + hashlib.sha256(b"the key").hexdigest(), subject="ci", scopes=["read"])
    user = layers.User(
        name="ann",
        hash="$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc",
        claims={"roles": ["admin"]},
    )
    app = Ziggurat(
        layers=[
            layers.Jwt(secret=SECRET, required=False),
            layers.ApiKey(keys=[key], required=False),
            layers.Basic(users=[user], realm="the app", required=False),
        ]
    )

    @app.get("/")
    async def who(request: Request) -> Any:
        return request.auth

    @app.get("/read", auth=["read"])
    async def read(request: Request) -> Any:
        return (request.auth or {})["sub"]

    def basic(password: str) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()}

    with TestClient(app) as client:
        assert client.get("/").json() is None
        assert client.get("/", headers={"x-api-key": "the key"}).json() == {"sub": "ci", "scopes": ["read"]}
        seen = client.get("/", headers=basic("open sesame")).json()
        assert seen == {"sub": "ann", "scopes": [], "roles": ["admin"]}
        assert client.get("/", headers={"x-api-key": "other"}).status_code == 401
        wrong = client.get("/", headers=basic("sesame"))
        assert wrong.status_code == 401 and wrong.headers["www-authenticate"].startswith('Basic realm="the app"')
        assert client.get("/read").status_code == 401
        assert client.get("/read", headers={"x-api-key": "the key"}).text == "ci"
        assert client.get("/read", headers=basic("open sesame")).status_code == 403
        assert client.get("/read", headers=bearer(sub="bob", scope="read")).text == "bob"


class Note(Model):
    id: UUID
    text: str


def guarded(**options: Any) -> Ziggurat:
    app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)], **options)

    @app.get("/open", auth=PUBLIC)
    async def everybody() -> str:
        return "in"

    @app.get("/staff", auth=["read"], guards=[HasRole("staff"), ClaimIs("tenant", "a", "b")])
    async def staff() -> str:
        return "in"

    @app.get("/plain")
    async def plain() -> str:
        return "in"

    @app.crud(Note, guards={"list": [Authenticated()], "create": [HasScope("write"), HasRole("editor")]})
    class Notes: ...

    return app


def test_guards_are_asked_before_anything_is_called() -> None:
    app = guarded()
    with TestClient(app) as client:
        before = app.attach_counts()["python"]

        def status(path: str, **claims: Any) -> int:
            return client.get(path, headers=bearer(**claims) if claims else {}).status_code

        good = {"scope": "read", "roles": ["staff"], "tenant": "b"}
        assert status("/staff") == 401
        for less in ({"scope": "x"}, {"roles": ["x"]}, {"tenant": "c"}):
            assert status("/staff", **good | less) == 403, less
        assert app.attach_counts()["python"] == before
        assert status("/staff", **good) == 200
        assert status("/open") == status("/plain") == 200
        assert status("/note") == 401 and status("/note", sub="ann") == 200
        row = {"text": "a"}
        for claims, wanted in (
            ({"scope": "write"}, 403),
            ({"roles": ["editor"]}, 403),
            ({"scope": "write", "roles": ["editor"]}, 201),
        ):
            assert client.post("/note", json=row, headers=bearer(**claims)).status_code == wanted
    assert "RequireAuth(read, role staff, claim tenant)" in app.stack("/staff")[0].passes
    assert "RequireAuth(write, role editor)" in next(
        entry.passes for entry in app.stack("/note") if entry.method == "POST"
    )


def test_guards_of_the_app_are_asked_of_every_route_that_is_not_public() -> None:
    app = guarded(guards=[HasRole("member")])
    with TestClient(app) as client:

        def status(path: str, **claims: Any) -> int:
            return client.get(path, headers=bearer(**claims) if claims else {}).status_code

        assert status("/open") == 200
        assert status("/plain") == status("/note") == status("/note/1") == 401
        assert status("/plain", sub="ann") == status("/note", sub="ann") == 403
        assert status("/plain", role="member") == status("/note", role="member") == 200
        assert status("/staff", scope="read", roles=["staff"], tenant="a") == 403
        assert status("/staff", scope="read", roles=["staff", "member"], tenant="a") == 200


class Shelf(Model):
    id: UUID
    name: str


class Volume(Model):
    id: UUID
    shelf: Ref[Shelf]  # type: ignore[type-arg, valid-type]


def test_guards_of_reading_are_asked_where_rows_are_shown_elsewhere() -> None:
    app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)])

    @app.crud(Shelf, guards={"get": [HasRole("staff")]})
    class Shelves: ...

    @app.crud(Volume)
    class Volumes: ...

    with TestClient(app) as client:
        shelf = client.post("/shelf", json={"name": "top"}).json()
        volume = client.post("/volume", json={"shelf": shelf["id"]}).json()
        path = f"/volume/{volume['id']}?expand=shelf"
        assert client.get(path).status_code == 403
        assert client.get(path, headers=bearer(sub="ann", scope="staff")).status_code == 403
        assert client.get(path, headers=bearer(roles=["staff"])).json()["shelf"] == shelf
        assert client.get(f"/volume/{volume['id']}").json()["shelf"] == shelf["id"]


def test_guards_without_a_layer_that_knows_callers_are_refused() -> None:
    app = Ziggurat(guards=[Authenticated()])

    @app.get("/")
    async def root() -> None: ...

    with pytest.raises(ConfigError, match="root asks who the caller is, but no layer finds that out"):
        app.build()


def test_the_document_says_which_credentials_are_asked_for() -> None:
    spec = guarded(guards=[Authenticated()]).openapi()
    assert spec["paths"]["/staff"]["get"]["security"] == [{"bearer": ["read"]}]
    assert {"401", "403"} <= set(spec["paths"]["/staff"]["get"]["responses"])
    assert spec["paths"]["/plain"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in spec["paths"]["/open"]["get"]
    assert spec["paths"]["/note"]["post"]["security"] == [{"bearer": ["write"]}]

    key = layers.Key(hash="sha256:" + "0" * 64, subject="ci")
    user = layers.User(
        name="ann", hash="$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc"
    )
    app = Ziggurat(
        layers=[
            layers.Jwt(secret=SECRET, sources=[layers.FromHeader("authorization"), layers.FromCookie("session")]),
            layers.ApiKey(keys=[key], sources=[layers.FromHeader("x-key"), layers.FromQuery("key")]),
            layers.Basic(users=[user]),
        ]
    )

    @app.get("/")
    async def root() -> None: ...

    spec = app.openapi()
    schemes = spec["components"]["securitySchemes"]
    assert all(scheme.pop("description") for scheme in schemes.values())
    assert schemes == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "bearer2": {"type": "apiKey", "in": "cookie", "name": "session"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-key"},
        "apiKey2": {"type": "apiKey", "in": "query", "name": "key"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    assert spec["paths"]["/"]["get"]["security"] == [
        {name: []} for name in ("bearer", "bearer2", "apiKey", "apiKey2", "basic")
    ]
