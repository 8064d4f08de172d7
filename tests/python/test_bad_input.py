"""Every kind of parameter, wrong in every way: a 4xx that names the place, nothing in the log, and never a 500."""

import datetime as dt
import http.client
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from urllib.parse import quote
from uuid import UUID

import attrs
import msgspec
import pytest
from helpers import listening
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ziggurat import Body, Cookie, Header, Path, Query, Ziggurat

# Places are marked by code of the tests, so annotations are objects here.


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


LONG = "9" * 5000
SCALARS: dict[str, tuple[Any, list[str]]] = {
    "int": (int, ["x", "1.5", "NaN", "1e3", "0x10", "1_000", "--1", "1 2", "\u0663", LONG, "1\0"]),
    "float": (float, ["x", "NaN", "inf", "-Infinity", "1e999", "1,5", "0x1p3", "1_0"]),
    "bool": (bool, ["x", "2", "truee", "None"]),
    "uuid": (UUID, ["x", "0" * 31, "{" + "0" * 32 + "}x", "g" * 32]),
    "datetime": (
        dt.datetime,
        [
            "x",
            "2024-13-01T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2024-01-01T25:00:00Z",
            "0000-01-01T00:00:00Z",
            LONG,
            "1e400",
        ],
    ),
    "date": (dt.date, ["x", "2024-02-30", "2024-1-1x", "10000-01-01", "0000-01-01", LONG]),
    "time": (dt.time, ["x", "24:00:01", "12:60"]),
    "timedelta": (dt.timedelta, ["x", "P9999999999999Y", "PT"]),
    "decimal": (Decimal, ["x", "NaN", "sNaN", "Infinity", "1e", "--1"]),
    "enum": (Colour, ["RED", "blue"]),
    "int_enum": (Level, ["2", "x"]),
    "literal": (Literal["a", "b"], ["c", "A"]),
    "list": (list[int], ["x", "1,2"]),
    "set": (set[int], ["x"]),
    "constrained": (Annotated[int, Field(ge=1, le=10)], ["0", "11", "x", LONG]),
    "pattern": (Annotated[str, Field(pattern="^a+$", max_length=5)], ["b", "a" * 6, "a\n"]),
    "optional": (int | None, ["x"]),
}
MARKERS: dict[str, Any] = {"path": Path(), "query": Query(), "header": Header(alias="x-value"), "cookie": Cookie()}
MANY = ("list", "set")
UNDECODED = ("%ff", "%", "%zz", "%ed%a0%80")


class OfPydantic(BaseModel):
    id: int
    name: Annotated[str, Field(max_length=10)]
    at: dt.datetime | None = None
    tags: list[str] = []
    inner: dict[str, float] | None = None


class OfMsgspec(msgspec.Struct):
    id: int
    name: Annotated[str, msgspec.Meta(max_length=10)]
    at: dt.datetime | None = None
    tags: list[str] = []
    inner: dict[str, float] | None = None


@dataclass
class OfDataclass:
    id: int
    name: Annotated[str, Field(max_length=10)]
    at: dt.datetime | None = None
    tags: list[str] = field(default_factory=list)
    inner: dict[str, float] | None = None


class OfTypedDict(TypedDict):
    id: int
    name: Annotated[str, Field(max_length=10)]
    at: NotRequired[dt.datetime]
    tags: NotRequired[list[str]]
    inner: NotRequired[dict[str, float]]


@attrs.define
class OfAttrs:
    id: int
    name: Annotated[str, msgspec.Meta(max_length=10)]
    at: dt.datetime | None = None
    tags: list[str] = attrs.field(factory=list)
    inner: dict[str, float] | None = None


MODELS: dict[str, Any] = {
    "pydantic": OfPydantic,
    "msgspec": OfMsgspec,
    "dataclass": OfDataclass,
    "typed_dict": OfTypedDict,
    "attrs": OfAttrs,
}
GOOD = b'{"id":1,"name":"NaN","inner":{"Infinity":1.5}}'


def with_member(member: str) -> bytes:
    return f'{{"id":1,"name":"a",{member}}}'.encode()


NOT_JSON = {
    "space": b"  ",
    "NaN": with_member('"inner":{"a":NaN}'),
    "infinity": with_member('"inner":{"a":-Infinity}'),
    "truncated": GOOD[:-1],
    "truncated text": b'{"id":1,"name":"a',
    "garbage behind": GOOD + b" x",
    "two": GOOD + GOOD,
    "comma": with_member(""),
    "comment": b'{"id":1,/**/"name":"a"}',
    "quotes": b"{'id':1,'name':'a'}",
    "not UTF-8": b'{"id":1,"name":"\xff"}',
    "lone surrogate": b'{"id":1,"name":"\\ud800"}',
    "encoded surrogate": b'{"id":1,"name":"\xed\xa0\x80"}',
    "NUL behind": GOOD + b"\0",
    "line break in a text": b'{"id":1,"name":"a\nb"}',
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "deep and open": b"[" * 100_000,
    "escape": b'{"id":1,"name":"\\x"}',
    "leading zero": b'{"id":01,"name":"a"}',
    "plus": b'{"id":+1,"name":"a"}',
}
"""No JSON, whatever it is read as."""
UNFIT = {
    "nothing": b"",
    "null": b"null",
    "array": b"[]",
    "text": b'"x"',
    "number": b"1",
    "no member": b"{}",
    "a member missing": b'{"id":1}',
    "text for an int": b'{"id":"x","name":"a"}',
    "part of an int": b'{"id":1.5,"name":"a"}',
    "too many digits": b'{"id":' + LONG.encode() + b',"name":"a"}',
    "the last of two": b'{"id":1,"id":"x","name":"a"}',
    "too long": b'{"id":1,"name":"aaaaaaaaaaa"}',
    "no such day": with_member('"at":"2024-02-30T00:00:00Z"'),
    "no such time": with_member('"at":1e400'),
    "an object for a list": with_member('"tags":{"a":1}'),
    "deep": b"[" * 5000 + b"]" * 5000,
    "deep within": with_member('"tags":' + "[" * 5000 + "]" * 5000),
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "deep objects within": with_member('"inner":' + '{"a":' * 5000 + "1" + "}" * 5000),
}
"""What may be JSON, and is none of the models."""
CONTENT_TYPES = ["", "x", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"]


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


Ask = Callable[..., Answer]


def declared() -> Ziggurat:
    app = Ziggurat(openapi_path=None)

    def declare(path: str, method: str, annotation: Any) -> None:
        async def takes(value: Any) -> str:
            return "well"

        takes.__annotations__ = {"value": annotation, "return": str}
        takes.__name__ = path
        app.route(path, methods=[method])(takes)

    for place, marker in MARKERS.items():
        for name, (kind, _) in SCALARS.items():
            if name in MANY and place in ("path", "cookie"):
                continue
            end = "/{value}" if place == "path" else ""
            declare(f"/{place}/{name}{end}", "GET", Annotated[kind, marker])
    for name, model in MODELS.items():
        declare(f"/body/{name}", "POST", Annotated[model, Body()])

    @app.post("/body/several")
    async def several(a: Annotated[int, Body()], b: Annotated[OfPydantic, Body()]) -> str:
        return "well"

    return app


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with listening(declared()) as (host, port):

        def ask(target: str, headers: list[tuple[str, bytes | str]] = [], body: bytes | None = None) -> Answer:  # noqa: B006
            connection = http.client.HTTPConnection(host, port, timeout=20)
            connection.putrequest("GET" if body is None else "POST", target)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.headers.get("content-type", ""), answer.read())
            connection.close()
            return found

        yield ask


def check(answer: Answer, statuses: tuple[int, ...], what: object) -> dict[str, Any]:
    assert answer.status in statuses, (what, answer)
    assert answer.content_type == "application/problem+json", (what, answer)
    problem: dict[str, Any] = json.loads(answer.body)
    assert problem["status"] == answer.status, (what, answer)
    return problem


def names_parameter(problem: dict[str, Any], name: str, what: object) -> None:
    assert [
        each.get("path") or each.get("parameter") or each.get("header") or each.get("cookie")
        for each in problem["errors"]
    ] == [name], (what, problem)


# Of the path and of a cookie there is one.
PLACES = [(kind, place) for kind in SCALARS for place in MARKERS if kind not in MANY or place not in ("path", "cookie")]


@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_a_bad_parameter_is_named(ask: Ask, kind: str, place: str, caplog: pytest.LogCaptureFixture) -> None:
    target = f"/{place}/{kind}"
    name = "x-value" if place == "header" else "value"
    with caplog.at_level(logging.WARNING):
        for bad in SCALARS[kind][1]:
            encoded = quote(bad, safe="")
            if place in ("header", "cookie") and set(bad) & {"\n", "\0"}:
                continue
            if place == "path":
                answer = ask(f"{target}/{encoded}")
            elif place == "query":
                answer = ask(f"{target}?value={encoded}")
            elif place == "header":
                answer = ask(target, [("x-value", bad.encode())])
            else:
                answer = ask(target, [("cookie", b"value=" + bad.encode())])
            names_parameter(check(answer, (422,), bad), name, bad)
        if place == "path":
            for bad in UNDECODED:
                check(ask(f"{target}/{bad}"), (400, 404, 422), bad)
        elif place == "query":
            for bad in UNDECODED:
                check(ask(f"{target}?value={bad}"), (400,), bad)
            if kind not in MANY:
                names_parameter(check(ask(f"{target}?value=x&value={'x' * 9}"), (422,), "twice"), name, "twice")
        elif place == "header":
            names_parameter(check(ask(target, [("x-value", b"\xff")]), (422,), "not UTF-8"), name, "not UTF-8")
        else:
            names_parameter(check(ask(target, [("cookie", b"value=\xff")]), (422,), "not UTF-8"), name, "not UTF-8")
        if place != "path" and kind != "optional":
            names_parameter(check(ask(target), (422,), "missing"), name, "missing")
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("model", [*MODELS, "several"])
def test_a_bad_body_is_told_of(ask: Ask, model: str, caplog: pytest.LogCaptureFixture) -> None:
    headers = [("content-type", "application/json")]
    good = b'{"a":1,"b":' + GOOD + b"}" if model == "several" else GOOD
    with caplog.at_level(logging.WARNING):
        assert ask(f"/body/{model}", headers, good).status == 200
        for what, body in NOT_JSON.items():
            problem = check(ask(f"/body/{model}", headers, body), (400, 422), (model, what))
            assert "JSON" in problem["detail"] if problem["status"] == 400 else problem["errors"], (what, problem)
        for what, body in UNFIT.items():
            problem = check(ask(f"/body/{model}", headers, body), (400, 422), (model, what))
            if problem["status"] == 422:
                assert all("pointer" in each for each in problem["errors"]), (what, problem)
        for content_type in CONTENT_TYPES:
            check(ask(f"/body/{model}", [("content-type", content_type)], good), (415,), content_type)
        check(ask(f"/body/{model}", [], good), (415,), "no type")
    assert not caplog.records, caplog.text
