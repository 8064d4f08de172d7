"""Layers around single routes, layers that routes skip, and the order in which layers have to stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from tokens import SECRET, bearer

from ziggurat import PUBLIC, ConfigError, Model, Ref, Request, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Note(Model):
    id: int
    text: str = ""


def app(**settings: Any) -> Ziggurat:
    return Ziggurat(openapi_path=None, **settings)


def passes(app: Ziggurat, path: str, method: str = "GET") -> tuple[str, ...]:
    return next(entry.passes for entry in app.stack(path) if entry.method == method)


def test_a_layer_of_a_route_is_around_it_alone(store_url: str) -> None:
    one = app(store=store_url)

    @one.post("/small", layers=[layers.BodyLimit(max_bytes=4)])
    async def small(request: Request) -> int:
        return len(await request.body())

    @one.post("/large")
    async def large(request: Request) -> int:
        return len(await request.body())

    one.crud(Note, client_id=True, layers=[layers.BodyLimit(max_bytes=20)])(type("Notes", (), {}))
    with TestClient(one) as client:
        assert [client.post(path, content="12345").status_code for path in ("/small", "/large")] == [413, 200]
        assert client.post("/note", json={"id": 1}).status_code == 201
        assert client.post("/note", json={"id": 2, "text": "too long for it"}).status_code == 413
        foundation = ("CatchPanic", "RequestId", "Timeout", "BodyLimit")
        assert passes(one, "/small", "POST") == (*foundation, "BodyLimit", "small")
        assert passes(one, "/large", "POST") == (*foundation, "large")
        assert passes(one, "/note", "POST") == (*foundation, "BodyLimit", "Note.create")


def test_routes_that_are_given_the_same_layer_share_what_it_keeps() -> None:
    one = app()
    quota = layers.RateLimit(limit=2, period=3600)

    @one.get("/a", layers=[quota])
    async def a() -> None: ...

    @one.get("/b", layers=[quota])
    async def b() -> None: ...

    @one.get("/c", layers=[layers.RateLimit(limit=2, period=3600)])
    async def c() -> None: ...

    with TestClient(one) as client:
        answers = [client.get(path).status_code for path in ("/a", "/b", "/a", "/b", "/c", "/c", "/c")]
        assert answers == [200, 200, 429, 429, 200, 200, 429]


def test_layers_of_a_route_stand_inside_middleware_and_outside_its_guard() -> None:
    one = app()

    @one.middleware
    async def around(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    @one.get("/me", auth=["read"], layers=[layers.Compression(), layers.Jwt(secret=SECRET)])
    async def me() -> str:
        return "me"

    with TestClient(one) as client:
        assert passes(one, "/me")[-5:] == ("around", "Compression", "Jwt", "RequireAuth(read)", "me")
        assert client.get("/me").status_code == 401
        assert client.get("/me", headers=bearer(sub="a", scope="read")).status_code == 200


@pytest.fixture
def skipping(store_url: str) -> Iterator[TestClient]:
    one = app(store=store_url, layers=[layers.Compression(min_size=0), layers.Jwt(secret=SECRET)])

    @one.get("/open/{name}", skip_layers=[layers.Jwt, "Compression"])
    async def open(name: str) -> str:
        return name * 1000

    @one.get("/open/mine")
    async def mine() -> str:
        return "mine" * 1000

    @one.post("/open/{name}")
    async def written(name: str) -> str:
        return name

    one.crud(Note, client_id=True, skip_layers="Jwt")(type("Notes", (), {}))
    with TestClient(one) as client:
        yield client


def test_a_route_skips_layers_of_the_app(skipping: TestClient) -> None:
    accepts = {"accept-encoding": "gzip"}
    found = skipping.get("/open/x", headers=accepts)
    assert (found.status_code, found.headers.get("content-encoding")) == (200, None)
    # A more special path, another method and a path that is none pass them all.
    assert skipping.get("/open/mine").status_code == 401
    assert skipping.post("/open/x").status_code == 401
    assert skipping.get("/open/x/y").status_code == 401
    assert skipping.get("/open%2Fx").status_code == 401
    found = skipping.post("/note", json={"id": 1, "text": "a" * 1000}, headers=accepts)
    assert (found.status_code, found.headers["content-encoding"]) == (201, "gzip")
    assert passes(skipping.app, "/open/x")[-2:] == ("BodyLimit", "open")
    assert passes(skipping.app, "/note", "GET")[-2:] == ("Compression", "Note.list")


def test_what_a_head_or_an_options_request_passes(skipping: TestClient) -> None:
    assert skipping.request("HEAD", "/open/x").status_code == 200
    # It is answered for all methods of the path, so it passes what all of them do.
    assert skipping.request("OPTIONS", "/open/x").status_code == 401


def test_routes_that_skip_the_token_are_told_as_open(store_url: str) -> None:
    def strict(**route: Any) -> Ziggurat:
        one = app(store=store_url, layers=[layers.Jwt(secret=SECRET)], strict=True)

        @one.post("/x", **route)
        async def x() -> None: ...

        return one

    strict().build().close()
    with pytest.raises(ConfigError, match="everybody may write through POST /x"):
        strict(skip_layers=["Jwt"]).build()
    strict(skip_layers=["Jwt"], auth=PUBLIC).build().close()
    one = app(store=store_url, layers=[layers.Jwt(secret=SECRET)], strict=True)
    one.crud(Note, skip_layers=["Jwt"], client_id=True)(type("Notes", (), {}))
    with pytest.raises(ConfigError, match=r"everybody may write through .*POST /note"):
        one.build()
    one = app(store=store_url, strict=True)
    one.crud(Note, layers=[layers.Jwt(secret=SECRET)], client_id=True)(type("Notes", (), {}))
    one.build().close()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"skip_layers": ["Jwt"]}, r"GET /x \(x\) skips the layer Jwt, which is not around it; choose from CatchPanic"),
        ({"skip_layers": [layers.Cors]}, "skips the layer Cors, which is not around it"),
        ({"skip_layers": ["Compression"], "auth": True}, "asks who the caller is, but no layer finds that out"),
        ({"skip_layers": [3]}, "skip_layers holds 3; name layers by their class"),
        ({"skip_layers": [str]}, "skips the layer str, which is not around it"),
        ({"layers": layers.Compression()}, "layers is one layer; write a list"),
        ({"layers": [layers.Compression]}, "Compression is not a layer; give instances"),
        ({"layers": ["Compression"]}, "'Compression' is not a layer"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: Any, what: str) -> None:
    one = app(layers=[layers.Compression()])
    with pytest.raises(ConfigError, match=what):

        @one.get("/x", **options)
        async def x() -> None: ...

        one.build()


def test_a_guard_whose_layer_is_skipped_is_refused() -> None:
    one = app(layers=[layers.Jwt(secret=SECRET)])

    @one.get("/x", auth=True, skip_layers=["Jwt"])
    async def x() -> None: ...

    with pytest.raises(ConfigError, match="x asks who the caller is, but no layer finds that out"):
        one.build()


def test_layers_in_a_wrong_order_are_refused_with_the_right_one() -> None:
    cors = layers.Cors(allow_origins=["*"])
    with pytest.raises(ConfigError) as caught:
        app(layers=[layers.Jwt(secret=SECRET), cors]).build()
    text = str(caught.value)
    assert "Jwt stands outside of Cors, and has to stand inside of it: a preflight request" in text
    assert "Cors, Jwt (at " in text and __file__ in text
    app(layers=[cors, layers.Jwt(secret=SECRET)]).build()


def test_the_order_counts_layers_of_routes_as_well() -> None:
    one = app(layers=[layers.Etag()])

    @one.get("/x", layers=[layers.Compression()])
    async def x() -> None: ...

    with pytest.raises(ConfigError, match="Etag stands outside of Compression"):
        one.build()

    one = app(layers=[layers.Etag()])

    @one.get("/y", layers=[layers.Compression(), layers.Etag()], skip_layers=["Etag"])
    async def y() -> None: ...

    assert passes(one, "/y")[-3:] == ("Compression", "Etag", "y")


def test_a_path_that_a_layer_changes_leads_past_nothing() -> None:
    one = app(layers=[layers.NormalizePath(), layers.Jwt(secret=SECRET)])

    @one.get("/{rest:path}", skip_layers=["Jwt"])
    async def front_end(rest: str) -> str:
        return f"page {rest}"

    @one.get("/api/secret")
    async def secret() -> str:
        return "secret"

    with TestClient(one) as client:
        assert [client.get(path).status_code for path in ("/api/secret", "/api/secret/")] == [401, 401]
        assert client.request("HEAD", "/api/secret/").status_code == 401
        assert client.get("/api/secret/", headers=bearer(sub="a")).text == "secret"
        assert client.get("/shop/").text == "page shop"


class Author(Model):
    id: int
    name: str


class Book(Model):
    id: int
    author: Annotated[int, Ref(Author)]


@pytest.mark.parametrize(
    ("of_app", "author", "book"),
    [
        ([layers.Jwt(secret=SECRET)], {}, {"skip_layers": ["Jwt"]}),
        ([], {"layers": [layers.Jwt(secret=SECRET)]}, {}),
        (
            [layers.Jwt(secret=SECRET)],
            {"layers": [layers.Jwt(secret=SECRET[::-1])], "skip_layers": ["Jwt"], "auth": True},
            {},
        ),
    ],
)
def test_rows_of_other_models_are_closed_as_their_own_routes_are(
    of_app: Any, author: Any, book: Any, tmp_path: Any
) -> None:
    one = app(store=f"sqlite:///{tmp_path}/a.db", layers=of_app)
    one.crud(Author, client_id=True, **author)(type("Authors", (), {}))
    one.crud(Book, client_id=True, **book)(type("Books", (), {}))
    with TestClient(one) as client:
        refused = client.get("/book?expand=author")
        assert refused.status_code in (400, 401, 403), refused.text
        if of_app and author:
            # Known to the app, and not to the layer of the authors.
            assert client.get("/book?expand=author", headers=bearer(sub="a")).status_code == 400


def test_rules_for_operations_that_are_not_served_are_refused() -> None:
    for options in ({"auth": {"update": True}}, {"guards": {"lists": ()}}, {"auth": {"count": True}}):
        with pytest.raises(
            ConfigError, match=r"Note: (auth|guards) names '\w+', which is not served; choose from list"
        ):
            app().crud(Note, **options)  # type: ignore[arg-type]


def test_a_put_that_makes_rows_asks_no_less_than_a_post(store_url: str) -> None:
    def built(auth: Any) -> None:
        one = app(store=store_url, layers=[layers.Jwt(secret=SECRET, required=False)])
        one.crud(Note, client_id=True, upsert=True, auth=auth)(type("Notes", (), {}))
        one.build().close()

    built({"create": "note:write", "replace": ["note:write", "note:admin"]})
    for auth in ({"create": "note:admin", "replace": True}, {"create": True}):
        with pytest.raises(ConfigError, match="Note: PUT makes rows, too, and asks less of its caller than POST"):
            built(auth)


def test_what_a_layer_closes_is_not_for_caches(store_url: str) -> None:
    one = app(store=store_url, layers=[layers.Jwt(secret=SECRET)])
    one.crud(Note, client_id=True, cache="public, max-age=30")(type("Notes", (), {}))
    with pytest.raises(ConfigError, match="caches would show rows to callers who may not read them"):
        one.build()
