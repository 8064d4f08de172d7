"""Python handlers: parameters in, results out."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from ziggurat import (
    Body,
    ConfigError,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient, TestResponse

ID = "0192a1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5b"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float = Field(alias="unitPrice", default=1.0)
    tags: list[str] = []


@dataclass
class Point:
    x: int
    y: float


@pytest.fixture
def app() -> Ziggurat:
    return Ziggurat(openapi_path=None)


@pytest.fixture
def client(app: Ziggurat) -> Iterator[Callable[[], TestClient]]:
    """Starts the app once its routes are declared."""
    made: list[TestClient] = []

    def start() -> TestClient:
        made.append(TestClient(app).__enter__())
        return made[-1]

    yield start
    for each in made:
        each.close()


def answer_of(value: Any) -> TestResponse:
    """What is sent for a handler that returns `value`."""
    app = Ziggurat(openapi_path=None)

    @app.get("/")
    async def handler() -> Any:
        return value

    with TestClient(app) as client:
        return client.get("/")


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


# Results


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({"a": [1, 2.5, True, None, 'ü\n"\\\x01']}, {"a": [1, 2.5, True, None, 'ü\n"\\\x01']}),
        ((1, (2,)), [1, [2]]),
        ({3}, [3]),
        (10**30, 10**30),
        (-(2**63), -(2**63)),
        (1e300, 1e300),
        (math.nan, None),
        ([math.inf], [None]),
        (UUID(ID), ID),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05Z"),
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (date(2024, 1, 2), "2024-01-02"),
        (Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        ([Level.HIGH, Word.YES], [2, "yes"]),
        (Point(1, 2), {"x": 1, "y": 2}),
        ({"p": Point(1, 2.5)}, {"p": {"x": 1, "y": 2.5}}),
        ([Item(name="ab")], [{"name": "ab", "unitPrice": 1.0, "tags": []}]),
        (
            {7: "a", None: "b", True: "c", Level.HIGH: "d", Word.YES: "e", UUID(ID): "f", 1.5: "g"},
            {"7": "a", "true": "c", "null": "b", "2": "d", "yes": "e", ID: "f", "1.5": "g"},
        ),
        ([b"text"], ["text"]),
    ],
    ids=repr,
)
def test_values_become_json(value: object, expected: object) -> None:
    answer = answer_of(value)
    assert answer.headers["content-type"] == "application/json"
    assert (answer.status_code, json.loads(answer.content)) == (200, expected)


def test_text_bytes_and_responses() -> None:
    text = answer_of("grüße")
    assert (text.headers["content-type"], text.content) == ("text/plain; charset=utf-8", "grüße".encode())
    data = answer_of(b"\x00\xff")
    assert (data.headers["content-type"], data.content) == ("application/octet-stream", b"\x00\xff")
    made = answer_of(Response(202, {"x-a": "b"}, {"k": 1}, media_type="application/vnd.k+json"))
    assert (made.status_code, made.headers["x-a"], made.json()) == (202, "b", {"k": 1})
    assert made.headers["content-type"] == "application/vnd.k+json"
    empty = answer_of(Response(204))
    assert (empty.status_code, empty.content, "content-type" in empty.headers) == (204, b"", False)


def test_responses_are_checked_when_they_are_made() -> None:
    for wrong in [
        lambda: Response(99),
        lambda: Response(600),
        lambda: Response(200, {"x": "a\r\nb: c"}),
        lambda: Response(200, {"x y": "a"}),
        lambda: Response(200, media_type="a\nb"),
    ]:
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(TypeError):
        Response(200, body="a", content="b")
    response = Response(200, body="a")
    with pytest.raises(ValueError):
        response.status = 1000
    response.headers.append("set-cookie", "a=1")
    response.headers.append("set-cookie", "b=2")
    assert response.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_a_handler_cannot_break_the_framing() -> None:
    response = Response(200, {"content-length": "3"}, "hello")
    response.headers["content-length"] = "99"
    response.headers["transfer-encoding"] = "chunked"
    answer = answer_of(response)
    assert answer.content == b"hello"
    assert "transfer-encoding" not in answer.headers
    assert answer.headers.get("content-length") in (None, "5")


def cyclic() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def deep() -> list[Any]:
    nest: list[Any] = []
    for _ in range(5000):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "object cannot be answered"),
        (cyclic(), "stands in itself"),
        (deep(), "more than 200 levels"),
        ({(1, 2): 3}, "cannot be a key"),
        ([b"\xff"], "not UTF-8"),
        ("\ud800", "surrogates not allowed"),
        (iter([1]), "a generator or iterator, which is not supported"),
    ],
    ids=["object", "cyclic", "deep", "key", "bytes", "surrogate", "iterator"],
)
def test_what_cannot_be_json_is_a_500_and_a_line_in_the_log(
    value: object, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        answer = answer_of(value)
    assert answer.status_code == 500
    assert words not in answer.text
    assert words in caplog.text


# Exceptions


def test_http_exceptions_are_problems(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler() -> None:
        raise HTTPException(409, "taken", headers={"x-a": "b"})

    answer = client().get("/")
    assert (answer.status_code, answer.headers["x-a"]) == (409, "b")
    assert answer.json() == {
        "type": "https://ziggurat.dev/e/conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "taken",
    }
    with pytest.raises(ValueError):
        HTTPException(200)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_other_exceptions_tell_the_log_and_not_the_client(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    if kind == "async":

        @app.get("/")
        async def broken() -> None:
            await asyncio.sleep(0)
            raise RuntimeError("a secret")
    else:

        @app.get("/")
        def broken() -> None:
            raise RuntimeError("a secret")

    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        answer = client().get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "broken" not in answer.text
    assert "RuntimeError: a secret" in caplog.text
    assert "broken" in caplog.records[0].getMessage()


def test_a_base_exception_does_not_end_the_app(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/sync")
    def leaves() -> None:
        raise SystemExit(3)

    @app.get("/ok")
    async def ok() -> int:
        return 1

    started = client()
    assert started.get("/sync").status_code == 500
    assert started.get("/ok").json() == 1


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


def test_parameters_that_cannot_be_filled_are_named() -> None:
    async def unsupported(a: complex) -> None: ...
    async def starred(*args: int) -> None: ...
    async def unannotated(thing) -> None: ...  # type: ignore[no-untyped-def]
    async def two_bodies(a: Item, b: Point) -> None: ...
    async def two_requests(a: Request, b: Request) -> None: ...
    async def marked(a: Annotated[int, object()]) -> None: ...
    async def limited(a: Annotated[str, Query(ge=1)]) -> None: ...
    async def listed(a: list[int]) -> None: ...
    async def fine(a: int) -> None: ...
    async def old_style(a: int = Query()) -> None: ...  # type: ignore[assignment]

    async def yields() -> Any:
        yield 1

    assert "'a' has the type complex" in refuse("/", unsupported)
    assert "*args cannot be filled" in refuse("/", starred)
    assert "'thing' has no annotation" in refuse("/", unannotated)
    assert "'a' and 'b' both take the body" in refuse("/", two_bodies)
    assert "both are the request" in refuse("/", two_requests)
    assert "which is not understood" in refuse("/", marked)
    assert "limit ge=1 cannot be checked" in refuse("/", limited)
    assert "'a' cannot be a list" in refuse("/{a}", listed)
    assert "has a parameter 'b' that the function does not take" in refuse("/{a}/{b}", fine)
    assert "write a: Annotated[type, Query(...)]" in refuse("/", old_style)
    assert "yields is not supported" in refuse("/", yields)
    assert "unsupported: " in refuse("/", unsupported)


def test_an_unknown_name_in_an_annotation_is_told() -> None:
    async def handler(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert "Nowhere" in refuse("/", handler)
