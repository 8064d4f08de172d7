"""What handlers answer: values, responses and exceptions."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from helpers import answer_of
from values import ID, Colour, Item, Level, Point, Word

from ziggurat import (
    ConfigError,
    HTTPException,
    Response,
    Ziggurat,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


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
        ([timedelta(days=1, seconds=2)], ["P1DT2S"]),
        ({"at": IPv6Address("::1"), "in": IPv4Network("10.0.0.0/8")}, {"at": "::1", "in": "10.0.0.0/8"}),
        ([Path("/a")], ["/a"]),
        (deque([1, math.nan]), [1, None]),
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


def test_the_status_of_a_route_has_two_names(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/made", status_code=HTTPStatus.CREATED)
    async def made() -> int:
        return 1

    @app.post("/taken", status=202)
    async def taken() -> int:
        return 1

    for given, words in [
        ({"status": 201, "status_code": 201}, "two names of one thing; give one of them"),
        ({"status_code": "201"}, "'201' is not a status of an answer; give a number from 200 to 599"),
        ({"status_code": 101}, "101 is not a status of an answer"),
        ({"status": True}, "True is not a status of an answer"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(words)) as raised:
            app.post("/wrong", **given)  # type: ignore[arg-type]
        assert raised.value.location is not None and __file__ in raised.value.location
    started = client()
    assert started.post("/made").status_code == 201
    assert started.post("/taken").status_code == 202


def test_the_document_has_the_status_of_a_route() -> None:
    app = Ziggurat()

    @app.post("/made", status_code=201)
    async def made() -> int:
        return 1

    assert "201" in app.openapi()["paths"]["/made"]["post"]["responses"]


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
        ({"a": (n for n in (1, 2))}, "generator cannot be answered"),
        (cyclic(), "stands in itself"),
        (deep(), "more than 200 levels"),
        ({(1, 2): 3}, "cannot be a key"),
        ([b"\xff"], "not UTF-8"),
        ("\ud800", "surrogates not allowed"),
        (iter([1]), "a generator or iterator, which is sent in pieces only as Response(body=...)"),
    ],
    ids=["object", "generator", "cyclic", "deep", "key", "bytes", "surrogate", "iterator"],
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


@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_answer_that_changes_while_it_is_encoded_is_one_500(
    asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Ziggurat(openapi_path=None, sync_threads=1)

    class Growing(Enum):
        MEMBER = 1

        @property
        def value(self) -> int:
            shared["more"] = 0
            return 1

    shared: dict[str, object] = {"first": Growing.MEMBER, "second": 2}

    if asynchronous:

        @app.get("/grows")
        async def grows() -> object:
            return shared
    else:

        @app.get("/grows")
        def grows() -> object:
            return shared

    with TestClient(app) as client:
        assert client.get("/grows").status_code == 500
        assert "changed while it was made JSON" in caplog.text
        # It has grown already, and the thread that met the failure is still there.
        assert client.get("/grows").json() == {"first": 1, "second": 2, "more": 0}


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

    @app.get("/at-once")
    async def leaves_at_once() -> None:
        raise SystemExit(3)

    @app.get("/later")
    async def leaves_later() -> None:
        await asyncio.sleep(0)
        raise SystemExit(3)

    @app.get("/ok")
    async def ok() -> int:
        return 1

    started = client()
    for path in ("/sync", "/at-once", "/later"):
        assert started.get(path).status_code == 500
        assert started.get("/ok").json() == 1


def test_awaiting_what_was_cancelled_is_a_failure_of_the_handler(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def awaits() -> None:
        other = asyncio.ensure_future(asyncio.sleep(10))
        asyncio.get_running_loop().call_soon(other.cancel)
        await other

    with caplog.at_level(logging.ERROR, logger="ziggurat"):
        answer = client().get("/")
    assert answer.status_code == 500
    assert "CancelledError" in caplog.text and "awaits" in caplog.text
