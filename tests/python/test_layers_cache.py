"""Answers that are kept, around the routes of an app."""

from __future__ import annotations

import ast
import asyncio
import copy
import dataclasses
import gc
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tokens import SECRET, bearer

from ziggurat import ConfigError, Model, Request, Response, Router, WebSocket, Ziggurat, layers
from ziggurat.testing import TestClient, WebSocketDenialResponse


class Note(Model):
    id: int
    text: str = ""


def status(answer: Any) -> str:
    return str(answer.headers["cache-status"]).removeprefix("ziggurat; ").split(";")[0]


def test_what_is_kept_enters_no_python() -> None:
    calls = []
    app = Ziggurat(layers=[layers.Compression(), layers.Cache()])

    @app.get("/report")
    async def report() -> Response:
        calls.append(None)
        return Response(content=b"x" * 1000, headers={"cache-control": "max-age=60"}, media_type="text/plain")

    @app.get("/other")
    async def other() -> int:
        calls.append(None)
        return len(calls)

    with TestClient(app) as client:
        assert status(client.get("/report")) == "fwd=uri-miss"
        entered = app.attach_counts()["python"]
        for _ in range(5):
            answer = client.get("/report")
            assert (status(answer), len(answer.content), answer.headers["age"]) == ("hit", 1000, "0")
        assert (len(calls), app.attach_counts()["python"]) == (1, entered)
        assert [client.get("/other").json() for _ in range(2)] == [2, 3]


def test_a_route_has_its_own() -> None:
    kept = layers.Cache(ttl=60)
    app = Ziggurat()
    calls: list[str] = []

    @app.get("/a", layers=[kept])
    async def a() -> int:
        calls.append("a")
        return len(calls)

    @app.get("/b")
    async def b() -> int:
        calls.append("b")
        return len(calls)

    with TestClient(app) as client:
        assert [client.get("/a").json() for _ in range(3)] == [1, 1, 1]
        assert [client.get("/b").json() for _ in range(2)] == [2, 3]
        assert client.get("/a", headers={"cache-control": "no-cache"}).json() == 4


def test_many_ask_and_one_goes_in() -> None:
    calls = []
    go = threading.Event()
    app = Ziggurat(layers=[layers.Cache(ttl=60)])

    @app.get("/slow")
    async def slow() -> int:
        calls.append(None)
        while not go.is_set():
            await asyncio.sleep(0.01)
        return len(calls)

    with TestClient(app) as client, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(client.get, "/slow") for _ in range(20)]
        while not calls:
            pass
        go.set()
        assert [answer.result().json() for answer in asked] == [1] * 20
        assert len(calls) == 1


def test_writes_have_rows_asked_for_again() -> None:
    app = Ziggurat(layers=[layers.Cache(ttl=60)], store="sqlite:///:memory:")

    @app.crud(Note, client_id=True, cache="public, max-age=60")
    class Notes: ...

    with TestClient(app) as client:
        assert client.get("/note/1").status_code == 404
        assert client.get("/note").json()["items"] == []
        assert client.post("/note", json={"id": 1, "text": "a"}).status_code == 201
        assert [row["text"] for row in client.get("/note").json()["items"]] == ["a"]
        assert client.get("/note/1").json()["text"] == "a"
        assert status(client.get("/note/1")) == "hit"
        assert client.patch("/note/1", json={"text": "b"}).status_code == 200
        assert client.get("/note/1").json()["text"] == "b"
        # As it is said: a list is no path of a row.
        assert [row["text"] for row in client.get("/note").json()["items"]] == ["a"]
        tag = client.get("/note/1").headers["etag"]
        assert client.get("/note/1", headers={"if-none-match": tag}).status_code == 304


def test_what_one_user_got_no_other_gets() -> None:
    app = Ziggurat(layers=[layers.Jwt(secret=SECRET, required=False), layers.Cache(ttl=60)])

    @app.get("/me")
    async def me(request: Request) -> str:
        return str(request.auth["sub"]) if request.auth else request.headers.get("cookie", "nobody")

    with TestClient(app) as client:
        assert client.get("/me").text == "nobody"
        for user in ("ann", "bob", "ann"):
            assert client.get("/me", headers=bearer(sub=user)).text == user
            assert client.get("/me", headers={"cookie": f"user={user}"}).text == f"user={user}"
        assert client.get("/me").text == "nobody"
        assert status(client.get("/me")) == "hit"


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (layers.Jwt(secret=SECRET), "Jwt"),
        (layers.RateLimit(limit=1), "RateLimit"),
        (layers.Csrf(), "Csrf"),
        (layers.Compression(), "Compression"),
        (layers.Hosts(names=["a.example"]), "Hosts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_may_not_pass_gets_nothing_that_was_kept(outer: layers.Layer, inner: str) -> None:
    Ziggurat(layers=[outer, layers.Cache()]).build()
    with pytest.raises(ConfigError, match=f"Cache stands outside of {inner}"):
        Ziggurat(layers=[layers.Cache(), outer]).build()


def test_what_a_route_has_beside_a_cache_of_the_app_is_told_with_a_cure_that_can_be_followed() -> None:
    def app(skips: list[str], *of_route: layers.Layer) -> Ziggurat:
        made = Ziggurat(layers=[layers.Trace(), layers.Cache(ttl=60)])

        @made.get("/report", layers=of_route, skip_layers=skips)
        async def report() -> str:
            return "a report"

        return made

    limit = layers.RateLimit(limit=2, period=60)
    with pytest.raises(ConfigError) as error:
        app([], limit).build()
    said = str(error.value)
    assert "Cache stands outside of RateLimit, and has to stand inside of it: who may not pass" in said
    told = re.search(r"give this route skip_layers=(\[.*?\]) and layers in this order, .*: ([\w, ]+) \(at", said)
    assert told is not None
    skips, order = ast.literal_eval(told[1]), told[2].split(", ")
    assert (skips, order) == (["Cache"], ["RateLimit", "Cache"])
    given = {"RateLimit": limit, "Cache": layers.Cache(ttl=60)}
    with TestClient(app(skips, *(given[name] for name in order))) as client:
        answers = [client.get("/report") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert status(answers[1]) == "hit"
    # Or without one.
    with TestClient(app(skips, limit)) as client:
        assert [client.get("/report").status_code for _ in range(3)] == [200, 200, 429]
        assert "cache-status" not in client.get("/report").headers


def test_rows_that_are_read_are_kept_as_well() -> None:
    app = Ziggurat(layers=[layers.Cache()], store="sqlite:///:memory:")

    @app.crud(Note, ops={"create", "list"}, client_id=True, layers=[layers.RateLimit(limit=1)])
    class Notes: ...

    with pytest.raises(
        ConfigError, match=r'give this route skip_layers=\["Cache"\].*: RateLimit, Cache \(at .*test_layers_cache'
    ):
        app.build()


def test_the_cure_for_layers_of_a_router_can_be_followed() -> None:
    def app(of_router: list[layers.Layer], of_route: list[layers.Layer]) -> Ziggurat:
        router = Router("/a", layers=of_router)

        @router.get("/b", layers=of_route)
        async def b() -> None: ...

        made = Ziggurat()
        made.include_router(router)
        return made

    limit, cache = layers.RateLimit(limit=2), layers.Cache()
    with pytest.raises(ConfigError, match="those of its router first, in this order: RateLimit, Cache"):
        app([cache], [limit]).build()
    app([], [limit, cache]).build()


def test_what_answers_no_get_has_nothing_kept_and_may_have_any_layer() -> None:
    app = Ziggurat(layers=[layers.Cache(ttl=60)], store="sqlite:///:memory:")
    made: list[str] = []

    @app.get("/books")
    async def books() -> int:
        return len(made)

    @app.post("/books", layers=[layers.RateLimit(limit=1, period=60), layers.Jwt(secret=SECRET)], status=201)
    async def add(request: Request) -> None:
        made.append("a book")

    @app.crud(Note, "/notes", ops={"create"}, client_id=True, layers=[layers.RateLimit(limit=1, period=60)])
    class Notes: ...

    @app.websocket("/chat", layers=[layers.RateLimit(limit=1, period=60)])
    async def chat(ws: WebSocket) -> None:
        await ws.accept()

    with TestClient(app) as client:
        assert [client.get("/books").json() for _ in range(2)] == [0, 0]
        assert client.post("/books", headers=bearer(sub="ann")).status_code == 201
        assert client.post("/books", headers=bearer(sub="ann")).status_code == 429
        assert client.get("/books").json() == 1, "it was made anew"
        # Those who may not write leave what is kept as it is.
        assert client.post("/books").status_code == 429
        assert status(client.get("/books")) == "hit"
        assert [client.post("/notes", json={"id": id}).status_code for id in (1, 2)] == [201, 429]
        with client.websocket_connect("/chat"):
            pass
        with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/chat"):
            pass


def test_a_route_that_asks_who_calls_is_kept_for_nobody() -> None:
    app = Ziggurat(layers=[layers.Jwt(secret=SECRET, required=False)])

    @app.get("/secret", auth=True, layers=[layers.Cache(ttl=60)])
    async def secret() -> str:
        return "secret"

    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/secret", headers=bearer(sub="ann")).text == "secret"
            assert client.get("/secret").status_code == 401


def test_a_middleware_that_is_not_asked_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async def checks(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    fine = Ziggurat(layers=[checks, layers.Cache()])
    fine.get("/", layers=[layers.Cache()])(checks_nothing)
    fine.build()
    assert not caplog.records
    app = Ziggurat(layers=[layers.Cache()])
    app.middleware(checks)
    app.build()
    assert "checks stands inside of Cache, and is not asked where an answer was kept" in caplog.text
    assert "test_layers_cache.py:" in caplog.text


async def checks_nothing() -> str:
    return "for all"


def test_what_is_kept_can_be_forgotten() -> None:
    cache, of_route = layers.Cache(ttl=60), layers.Cache(ttl=60)
    given = [cache, cache, layers.Cache(ttl=60)]
    apps = [Ziggurat(layers=[layers.Timeout(), layer, layers.BodyLimit()]) for layer in given]
    calls: list[str] = []

    async def counted(request: Request) -> int:
        calls.append(request.path)
        return len(calls)

    for app in apps:
        app.get("/a")(counted)
        app.get("/b")(counted)
        app.get("/c", layers=[of_route])(counted)
    with pytest.raises(RuntimeError, match=r"layers\.Cache: no app that was built has this object; give it to one"):
        cache.clear()
    with TestClient(apps[0]) as one, TestClient(apps[1]) as two, TestClient(apps[2]) as other:

        def asked() -> list[str]:
            """What was not kept."""
            calls.clear()
            for name, client in (("one", one), ("two", two), ("other", other)):
                for path in ("/a?x=1", "/b", "/c"):
                    before = len(calls)
                    client.get(path)
                    if len(calls) > before:
                        calls[-1] = name + calls[-1]
            return calls.copy()

        every = [name + path for name in ("one", "two", "other") for path in ("/a", "/b", "/c")]
        assert (asked(), asked()) == (every, [])
        cache.invalidate("/a")
        assert asked() == ["one/a", "two/a"]
        cache.clear()
        # What is kept further in is left.
        assert asked() == ["one/a", "one/b", "two/a", "two/b"]
        of_route.clear()
        # The layer of the app stands outside of that of the route.
        assert asked() == []
        cache.clear()
        assert asked() == ["one/a", "one/b", "one/c", "two/a", "two/b", "two/c"]
        for wrong in ("a", "/a?x=1", "/a#b", "", None):
            with pytest.raises(ValueError, match="is no path; begin it with a slash, and leave a query out"):
                cache.invalidate(wrong)  # type: ignore[arg-type]


def test_settings_are_of_apps_that_live() -> None:
    cache = layers.Cache(ttl=60)
    app = Ziggurat(layers=[cache])
    app.build()
    cache.clear()
    for other in (copy.copy(cache), copy.deepcopy(cache), dataclasses.replace(cache)):
        assert other == cache
        with pytest.raises(RuntimeError, match="no app"):
            other.clear()
    del app
    gc.collect()
    with pytest.raises(RuntimeError, match="no app"):
        cache.clear()
