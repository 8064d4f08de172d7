"""Python handlers: parameters, bodies, the request, and where they run."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from values import ID, Colour, Item, Level, Point

from ziggurat import (
    Body,
    ConfigError,
    Header,
    Query,
    Request,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

# Parameters


def test_every_scalar_is_read_with_its_type(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    got: dict[str, Any] = {}

    @app.get("/{number}/{unique}")
    async def handler(
        number: int,
        unique: UUID,
        ratio: float,
        yes: bool,
        text: str,
        when: datetime,
        day: date,
        colour: Colour,
        level: Level,
        many: list[int],
        nothing: int | None,
        kept: str = "default",
    ) -> None:
        got.update(locals())

    query = "ratio=1.5e2&yes=on&text=a%20b%2Bc+d&when=2024-02-29T12:30:00.25%2B02:00&day=2024-02-29"
    answer = client().get(f"/-7/{ID}?{query}&colour=blue&level=2&many=3&many=4")
    assert answer.status_code == 200, answer.content
    got.pop("got", None)
    assert got == {
        "number": -7,
        "unique": UUID(ID),
        "ratio": 150.0,
        "yes": True,
        "text": "a b+c d",
        "when": datetime(2024, 2, 29, 12, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=2))),
        "day": date(2024, 2, 29),
        "colour": Colour.BLUE,
        "level": Level.HIGH,
        "many": [3, 4],
        "nothing": None,
        "kept": "default",
    }
    assert type(got["yes"]) is bool


def test_all_bad_scalars_are_told_at_once_without_entering_python(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    @app.get("/{number}")
    async def handler(number: int, ratio: float, colour: Colour, needed: str) -> None:
        raise AssertionError("it must not run")

    started = client()
    before = app.attach_counts()
    answer = started.get("/x?ratio=nan&colour=green")
    assert app.attach_counts() == before
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(e.get("path") or e.get("parameter"), e["code"]) for e in answer.json()["errors"]] == [
        ("number", "int_parsing"),
        ("ratio", "float_parsing"),
        ("colour", "enum"),
        ("needed", "missing"),
    ]


def test_a_query_that_is_not_percent_encoded_is_a_400(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/typed")
    async def typed(q: str) -> str:
        return q

    @app.get("/whole")
    async def whole(request: Request) -> str | None:
        return request.query.get("q")

    started = client()
    assert started.get("/typed?q=a+b%2B%C3%A9").text == "a b+é"
    before = app.attach_counts()
    for bad in ("%zz", "%ff", "%"):
        answer = started.get(f"/typed?q={bad}")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), bad
        assert "percent-encoded" in answer.json()["detail"]
    assert app.attach_counts() == before
    # Who asks for the whole query sees it as it came.
    assert started.get("/whole?q=%ff").text == "\ufffd"


def test_integers_have_no_upper_bound(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/{n}")
    async def double(n: int) -> int:
        return n * 2

    assert client().get(f"/{10**40}").json() == 2 * 10**40


def test_limits_and_markers(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        agent: Annotated[str, Header(alias="user-agent")] = "",
        x_token: Annotated[str | None, Header()] = None,
        short: Annotated[str, Query(alias="s", max_length=3)] = "",
    ) -> list[Any]:
        return [limit, agent, x_token, short]

    started = client()
    answer = started.get("/?limit=5&s=abc", headers={"user-agent": "me", "x-token": "t"})
    assert answer.json() == [5, "me", "t", "abc"]
    errors = started.get("/?limit=101&s=abcd").json()["errors"]
    assert errors == [
        {"parameter": "limit", "code": "less_than_equal", "detail": "must be <= 100", "limit": 100},
        {"parameter": "s", "code": "string_too_long", "detail": "must have at most 3 characters", "limit": 3},
    ]


def test_keyword_only_partials_and_callable_objects(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/keyword/{a}")
    async def keyword(a: int, *, b: int = 2, c: int) -> list[int]:
        return [a, b, c]

    async def three(a: int, b: int, c: int = 3) -> list[int]:
        return [a, b, c]

    class Adder:
        async def __call__(self, a: int) -> int:
            return a + 1

    app.get("/partial/{a}")(functools.partial(three, b=20))
    app.get("/object/{a}")(Adder())
    started = client()
    assert started.get("/keyword/1?c=9").json() == [1, 2, 9]
    assert started.get("/partial/1?c=9").json() == [1, 20, 9]
    assert started.get("/object/1").json() == 2


# Bodies


def test_models_validate_raw_bytes(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/items", status=201)
    async def create(item: Item) -> Item:
        assert isinstance(item, Item)
        return item

    started = client()
    answer = started.post("/items", json={"name": "ax", "unitPrice": 2.5})
    assert (answer.status_code, answer.json()) == (201, {"name": "ax", "unitPrice": 2.5, "tags": []})

    answer = started.post("/items", json={"name": "a", "unitPrice": "x", "tags": [1]})
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
        ("/name", "string_too_short"),
        ("/unitPrice", "float_parsing"),
        ("/tags/0", "string_type"),
    ]
    assert started.post("/items", content=b'{"name":', headers={"content-type": "application/json"}).status_code == 400
    assert started.post("/items", content=b"\xff\xfe", headers={"content-type": "application/json"}).status_code == 400
    assert started.post("/items", content=b"").json()["errors"][0]["code"] == "missing"
    assert started.post("/items", content=b"a=1", headers={"content-type": "text/plain"}).status_code == 415
    assert started.post("/items", content=b'{"name":"ab"}').status_code == 415
    patch = {"content-type": "application/merge-patch+json; charset=utf-8"}
    assert started.post("/items", content=b'{"name":"ab"}', headers=patch).status_code == 201


def test_bodies_of_other_types(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/points")
    async def points(given: list[Point]) -> int:
        return sum(point.x for point in given)

    @app.post("/any")
    async def anything(given: Annotated[int | str, Body()]) -> str:
        return type(given).__name__

    @app.post("/maybe")
    async def maybe(item: Item | None = None) -> bool:
        return item is None

    started = client()
    assert started.post("/points", json=[{"x": 1, "y": 2}, {"x": 3, "y": 4}]).json() == 4
    assert started.post("/points", json=[{"x": 1}]).json()["errors"][0]["pointer"] == "/0/y"
    assert started.post("/any", json=5).text == "int"
    assert started.post("/maybe").json() is True
    assert started.post("/maybe", json={"name": "ab"}).json() is False


def test_a_body_past_the_limit_is_refused(client: Callable[[], TestClient]) -> None:
    app = Ziggurat(layers=[layers.BodyLimit(max_bytes=100)], openapi_path=None)

    @app.post("/")
    async def handler(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as started:
        assert started.post("/", content=b"x" * 100).json() == 100
        assert started.post("/", content=b"x" * 101).status_code == 413


# The request


def test_what_a_request_tells(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/at/{place}")
    async def handler(request: Request, place: str) -> dict[str, Any]:
        assert request.headers is request.headers
        assert await request.body() == await request.body()
        return {
            "method": request.method,
            "path": request.path,
            "url": request.url,
            "query": [request.query["a"], request.query.getlist("a"), request.query.get("z")],
            "header": request.headers["X-Thing"],
            "headers": "x-thing" in request.headers and "X-OTHER" not in request.headers,
            "params": request.path_params,
            "json": await request.json(),
            "auth": request.auth,
            "client": request.client,
            "id": request.request_id is not None,
        }

    answer = client().post("/at/hill%20top?a=1&a=2", json={"k": [1]}, headers={"x-thing": "t"})
    assert answer.json() == {
        "method": "POST",
        "path": "/at/hill%20top",
        "url": "http://testserver/at/hill%20top?a=1&a=2",
        "query": ["2", ["1", "2"], None],
        "header": "t",
        "headers": True,
        "params": {"place": "hill top"},
        "json": {"k": [1]},
        "auth": None,
        "client": None,
        "id": True,
    }


def test_the_request_id_is_the_layers_whatever_its_header() -> None:
    app = Ziggurat(layers=[layers.RequestId(header="x-correlation-id")], openapi_path=None)

    @app.get("/")
    async def handler(request: Request) -> str | None:
        return request.request_id

    with TestClient(app) as started:
        answer = started.get("/", headers={"x-request-id": "a client's own"})
        assert answer.text and answer.text == answer.headers["x-correlation-id"]


def test_a_body_that_is_not_json_is_a_400_when_asked_for(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(request: Request) -> Any:
        return await request.json()

    assert client().post("/", content=b"{").status_code == 400


def test_headers_of_a_request_cannot_be_changed(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(request: Request) -> str:
        with pytest.raises(TypeError, match="cannot be changed"):
            request.headers["a"] = "b"
        return "kept"

    assert client().get("/").text == "kept"


# Threads and contexts


def test_async_runs_on_the_loop_and_def_beside_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/async")
    async def on_loop() -> list[Any]:
        task = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return [threading.get_ident(), task is not None and task is asyncio.current_task()]

    @app.get("/sync")
    def beside() -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return threading.get_ident()

    started = client()
    loop_thread, has_task = started.get("/async").json()
    assert has_task
    assert loop_thread != threading.get_ident()
    assert started.get("/sync").json() not in (loop_thread, threading.get_ident())


def test_a_blocking_def_does_not_hold_up_the_loop(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    begun = threading.Event()
    release = threading.Event()

    @app.get("/block")
    def block() -> bool:
        begun.set()
        return release.wait(10)

    @app.get("/quick")
    async def quick() -> str:
        return "quick"

    started = client()
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(started.get("/block").json()))
    waiting.start()
    assert begun.wait(10)
    assert started.get("/quick").text == "quick"
    release.set()
    waiting.join(10)
    assert answers == [True]


def test_def_handlers_are_bounded_by_sync_threads() -> None:
    app = Ziggurat(openapi_path=None, sync_threads=2)
    lock = threading.Lock()
    running = peak = 0

    @app.get("/")
    def handler() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    with TestClient(app) as client:
        threads = [threading.Thread(target=client.get, args=("/",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert peak == 2


def test_context_variables_do_not_leak_between_requests(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @app.get("/async")
    async def on_loop() -> int:
        before = variable.get()
        variable.set(before + 1)
        await asyncio.sleep(0)
        return before

    @app.get("/sync")
    def beside() -> int:
        before = variable.get()
        variable.set(before + 1)
        return before

    started = client()
    for path in ["/async", "/sync"] * 3:
        assert started.get(path).json() == 0


def test_many_requests_at_once(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/{n}")
    async def handler(n: int) -> int:
        await asyncio.sleep(0.001 * (n % 3))
        return n

    started = client()
    wrong: list[int] = []

    def work(base: int) -> None:
        for n in range(base, base + 25):
            if started.get(f"/{n}").json() != n:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(base,)) for base in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# What is refused at registration


def refuse(path: str, handler: Callable[..., Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        Ziggurat().get(path)(handler)
    message = str(caught.value)
    assert "test_handlers.py:" in message
    return message


def test_a_default_in_a_marker_is_refused_with_what_to_write() -> None:
    marker: Any = Query
    for given, cure in [
        (10, "write name: Annotated[type, Query(ge=1)] = 10"),
        (None, "write name: Annotated[type, Query(ge=1)] = None"),
        (..., "write name: Annotated[type, Query(ge=1)] (at "),
    ]:
        with pytest.raises(ConfigError, match=re.escape(cure)) as caught:
            marker(given, ge=1)
        assert "test_handlers.py:" in str(caught.value)
    assert next(iter(inspect.signature(Query).parameters)) == "alias"


def test_parameters_that_cannot_be_filled_are_named() -> None:
    async def unsupported(a: object) -> None: ...
    async def starred(*args: int) -> None: ...
    async def unannotated(thing) -> None: ...  # type: ignore[no-untyped-def]
    async def unbound(self, a: int) -> None: ...  # type: ignore[no-untyped-def]
    async def two_requests(a: Request, b: Request) -> None: ...
    async def marked(a: Annotated[int, object()]) -> None: ...
    async def limited(a: Annotated[str, Query(ge=1)]) -> None: ...
    async def listed(a: list[int]) -> None: ...
    async def fine(a: int) -> None: ...
    async def old_style(a: int = Query()) -> None: ...  # type: ignore[assignment]

    async def yields() -> Any:
        yield 1

    assert "'a' has the type object" in refuse("/", unsupported)
    assert "*args cannot be filled" in refuse("/", starred)
    assert "'thing' has no annotation" in refuse("/", unannotated)
    assert "as app.get(path)(Views().show)" in refuse("/", unbound)
    assert "both are the request" in refuse("/", two_requests)
    assert "which is not understood" in refuse("/", marked)
    assert "limit ge=1 cannot be checked" in refuse("/", limited)
    assert "'a' cannot be a list" in refuse("/{a}", listed)
    assert "has a parameter 'b' that the function does not take" in refuse("/{a}/{b}", fine)
    assert "write a: Annotated[type, Query(...)]" in refuse("/", old_style)
    assert "it yields, and does not say what" in refuse("/", yields)
    assert "unsupported: " in refuse("/", unsupported)


def test_an_unknown_name_in_an_annotation_is_told() -> None:
    async def handler(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert "Nowhere" in refuse("/", handler)


def test_a_real_client_works_in_a_handler(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Upstream(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            text = json.dumps({"path": self.path}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{upstream.server_port}"

        @app.get("/")
        async def relay() -> list[str]:
            async with httpx.AsyncClient(base_url=base, timeout=5) as http:
                answers = await asyncio.gather(*(http.get(f"/{number}") for number in range(20)))
                answers.append(await http.get("/again"))
                return [answer.json()["path"] for answer in answers]

        @app.get("/refused")
        async def refused(port: int) -> str:
            async with httpx.AsyncClient(timeout=5) as http:
                try:
                    await http.get(f"http://127.0.0.1:{port}/")
                except httpx.ConnectError:
                    return "refused"
            return "connected"

        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            started = client()
            assert started.get("/").json() == [f"/{number}" for number in range(20)] + ["/again"]
            assert started.get("/refused", params={"port": unused.getsockname()[1]}).text == "refused"
        upstream.shutdown()
