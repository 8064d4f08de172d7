"""Native validation against pydantic itself: the same bodies are accepted, and refused at the same places with the same codes.

pydantic runs in strict mode, which is what native CRUD does. Where native CRUD is stricter still, `narrower` says so.
"""

from __future__ import annotations

import enum
import json
import random
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from ziggurat import Model, Ziggurat
from ziggurat.testing import TestClient


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(BaseModel, extra="forbid"):
    city: Annotated[str, Field(min_length=1)]
    zip: int = 7


class Cat(BaseModel, extra="forbid"):
    kind: Literal["cat", "kitten"] = "cat"
    lives: Annotated[int, Field(le=9)]


class Dog(BaseModel, extra="forbid"):
    name: str = "Rex"
    kind: Literal["dog"]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]

UNIONS = ("either", "numbers_or_flag", "pet", "pets", "named")


class Thing(Model):
    id: uuid.UUID
    flag: bool = False
    number: int = 0
    small: Annotated[int, Field(gt=0, le=10, multiple_of=2)] = 2
    real: float = 0.0
    bounded: Annotated[float, Field(ge=-1.5, lt=1.5, multiple_of=0.5)] = 0.0
    text: str = ""
    short: Annotated[str, Field(min_length=2, max_length=4)] = "abc"
    tidy: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)] = "a"
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}\d+$")] = "AB1"
    key: uuid.UUID | None = None
    when: datetime = datetime(2024, 5, 1, tzinfo=UTC)
    day: date = date(2024, 5, 1)
    recent: Annotated[date, Field(gt=date(2000, 1, 1), le=date(2024, 5, 1))] | None = None
    clock: time = time(9, 30)
    early: Annotated[time, Field(ge=time(8), lt=time(12, 0, 0, 5))] | None = None
    span: timedelta = timedelta(days=400, seconds=3)
    short_span: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=2))] | None = None
    price: Decimal = Decimal("1.50")
    amount: (
        Annotated[
            Decimal, Field(ge=Decimal("-1.5"), lt=100, max_digits=4, decimal_places=2, multiple_of=Decimal("0.05"))
        ]
        | None
    ) = None
    rates: set[Decimal] = set()  # noqa: RUF012
    blob: bytes = b"\xff"
    salt: Annotated[bytes, Field(min_length=1, max_length=4)] | None = None
    anything: Any = None
    counts: dict[str, int] = {}  # noqa: RUF012
    homes: Annotated[dict[str, Place | None], Field(min_length=1, max_length=2)] | None = None
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    choice: Literal["a", "b", 3] = "a"
    maybe: Annotated[int | None, Field(ge=0)] = None
    tags: Annotated[list[Annotated[str, Field(max_length=3)]], Field(min_length=1, max_length=3)] = ["x"]  # noqa: RUF012
    numbers: set[int] = set()  # noqa: RUF012
    few: Annotated[frozenset[str], Field(min_length=1, max_length=2)] = frozenset({"x"})
    reals: tuple[float, ...] = ()
    pair: tuple[Annotated[int, Field(ge=0)], str | None] | None = None
    spots: list[tuple[float, Place]] = []  # noqa: RUF012
    halves: set[float | None] = set()  # noqa: RUF012
    place: Place | None = None
    places: list[Place] = []  # noqa: RUF012
    either: int | str = 0
    numbers_or_flag: list[float] | bool | float | int | None = None
    pet: Pet | None = None
    pets: list[Pet] = []  # noqa: RUF012
    named: Annotated[str, Field(min_length=2)] | dict[str, int] = "ab"


VALUES = [
    *(
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "2",
        "3",
        "4",
        "12",
        "-1",
        "1.0",
        "1.5",
        "-1.5",
        "0.25",
        "1e2",
        "1E400"[:3],
    ),
    *("9223372036854775807", "-9223372036854775808", "9223372036854775808", "123456789012345678901234567890"),
    *(
        '""',
        '"a"',
        '"ab"',
        '"abcd"',
        '"abcde"',
        '"  A  "',
        '"   "',
        '"true"',
        '"1"',
        '"AB1"',
        '"ab1"',
        '"AB1\\n"',
        '"日本語"',
    ),
    *('"\\u0000"', '"\\ud83d\\ude00"', '"red"', '"RED"', '"b"', '"é́é"'),
    *(
        '"7f9c2ba4-e88f-4c1b-a2b3-0123456789ab"',
        '"7F9C2BA4E88F4C1BA2B30123456789AB"',
        '"{7f9c2ba4-e88f-4c1b-a2b3-0123456789ab}"',
    ),
    *('"urn:uuid:7f9c2ba4-e88f-4c1b-a2b3-0123456789ab"', '"7f9c2ba4-e88f-4c1b-a2b3-0123456789a"'),
    *(
        '"2024-05-01T12:00:00Z"',
        '"2024-05-01 12:00:00+02:00"',
        '"2024-05-01t12:00z"',
        '"2024-05-01T12:00:00.123456789-0330"',
    ),
    *(
        '"2024-02-30T00:00:00Z"',
        '"2024-05-01T12:00:60Z"',
        '"2024-05-01T25:00:00Z"',
        '"2024-05-01"',
        '"2000-01-01"',
        '"2024-02-30"',
        '"9999-12-31"',
        '"2024-5-1"',
        '"20240501"',
        '"2024-05-01T00:00:00"',
        '"08:00:00"',
        '"08:00"',
        '"8:00"',
        '"12:00:00.000005"',
        '"12:00:00.0000049"',
        '"23:59:59.5"',
        '"24:00:00"',
        '"12:00:60"',
        '"12:00:00Z"',
        '"12:00:00+02:00"',
        '"2024-05-01T12:00:00"',
    ),
    *(
        '"1700000000"',
        "1700000000",
        '"now"',
        '"0001-01-01T00:00:00Z"',
        '"9999-12-31T23:59:59Z"',
        '"2024-05-01T12:00:00+24:00"',
    ),
    *(
        "[]",
        '["x"]',
        '["x", "long"]',
        '["a","b","c","d"]',
        '["a","a","b","b","a"]',
        '["a","a","b","b","c"]',
        "[1, 2, 1, 1]",
        "[0.0, -0, 0, 0.5, null, null]",
        '[1, "a", 1, 2.5, true]',
        '[1, "abcd", null]',
        '[1, "ab"]',
        "[1, null]",
        "[-1, 2]",
        "[1]",
        '[1, "ab", 3]',
        '[[1.5, {"city": "Ur"}], [2, {"city": "Ur", "zip": "12345"}]]',
        '[[1.5], ["x", {"city": 1}, 2], 7]',
        "[[]]",
        "{}",
        '{"city":"Ur"}',
        '{"city":""}',
    ),
    *(
        '{"city":"Ur","zip":"1"}',
        '{"city":"Ur","zap":1}',
        '[{"city":"Ur"}]',
        '[{"city":"Ur"},{"zip":1.5},3]',
        '{"a":{"b":[]}}',
    ),
    *(
        '"P1DT2H"',
        '"-PT0.0000019S"',
        '"PT7200S"',
        '"PT2H0.000001S"',
        '"1 day, 02:00:00"',
        '"P"',
        '"P1"',
        '"P1.5Y"',
        '"P99999999D"',
    ),
    *(
        '{"a":1,"b":{"city":"Ur"}}',
        '{"a":{"city":"Ur"},"b":null,"c":{"city":"Ur"}}',
        '{"a":1,"b":2,"é":-3}',
        '{"a":[1,{"b":2.5}],"~/":"x"}',
    ),
    *(
        '{"kind":"cat","lives":9}',
        '{"lives":10,"kind":"kitten"}',
        '{"kind":"cat","lives":true,"name":"x"}',
        '{"kind":"dog"}',
        '{"name":"Ur","kind":"dog"}',
        '{"kind":"do\\u0067","name":3}',
        '{"kind":"cow"}',
        '{"kind":null}',
        '{"kind":["cat"]}',
        '[{"kind":"dog"},{"kind":"cat","lives":1}]',
        '[{"kind":"cat"},{"lives":1},7,null]',
    ),
    *(
        '"YQ=="',
        '"YQ"',
        '"-_8="',
        '"+/8="',
        '"+_8="',
        '"YWJjZGVm"',
        '"Y Q=="',
        '"Y"',
    ),
    *(
        '"1.50"',
        '"-1.5"',
        '"99.99"',
        '"99.999"',
        '"0.00"',
        '"1e1"',
        '"123.4"',
        '"0.0001"',
        '"NaN"',
        '"-Infinity"',
        '"1,5"',
        '"12345678901234567890123456789012345"',
        "1.50",
        "12345678901234567.25",
        "1e1",
        "-1.50",
        '["1.5", 1.50, "1.51", 2]',
        '["1.5", "x"]',
    ),
]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Thing, "/things", client_id=True)(type("ThingRoutes", (), {}))
    with TestClient(app) as client:
        yield client


def pointer(loc: tuple[str | int, ...]) -> str:
    """Where it was; in unions pydantic names the alternative as well, in places that depend on its version."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in loc]
    if loc[0] in UNIONS:
        parts = [part for part in parts[:1]] + [
            part
            for part in parts[1:]
            if not re.fullmatch(
                r"int|str|float|bool|(list|dict|tagged-union)\[.*\]|constrained-str|cat|kitten|dog", part
            )
        ]
    return "".join(f"/{part}" for part in parts)


def pydantic_says(body: str) -> dict[str, Any] | set[tuple[str, str]]:
    try:
        return Thing.model_validate_json(body, strict=True).model_dump(mode="json")
    except ValidationError as error:
        return {(pointer(item["loc"]), item["type"]) for item in error.errors()}


def native_says(client: TestClient, body: str) -> dict[str, Any] | set[tuple[str, str]]:
    answer = client.post("/things", content=body, headers={"content-type": "application/json"})
    document = answer.json()
    if answer.status_code == 201:
        return document
    assert answer.status_code == 422, answer.text
    return {(error["pointer"], error["code"]) for error in document["errors"]}


def narrower(native: set[tuple[str, str]], members: dict[str, str]) -> set[tuple[str, str]]:
    """What native CRUD refuses beyond pydantic's strict mode."""
    # Stores hold 64 bits; a datetime without an offset is no instant, and a time with one is none without a date.
    found = {
        (pointer, code) for pointer, code in native if code in ("int_out_of_range", "timezone_aware", "timezone_naive")
    }
    # Numbers in strings are seconds since 1970 to pydantic.
    if re.fullmatch(r'"-?\d{1,15}(\.\d+)?"', members.get("when", "")):
        found |= {("/when", "datetime_parsing")}
    # Decimal numbers have at most 34 digits.
    if len(members.get("price", "")) > 34:
        found |= {("/price", "decimal_max_digits")}
    # True and 1.0 are 1 to an IntEnum in Python, but not in JSON.
    if members.get("level") in ("true", "1.0"):
        found |= {("/level", "enum")}
    return found & native


def same_instant(ours: Any, theirs: Any) -> bool:
    mine, other = datetime.fromisoformat(ours), datetime.fromisoformat(theirs)
    # Native CRUD keeps milliseconds.
    return mine == other.replace(microsecond=other.microsecond // 1000 * 1000)


def compare(client: TestClient, members: dict[str, str]) -> None:
    body = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    native, pydantic = native_says(client, body), pydantic_says(body)
    if isinstance(native, dict):
        if pydantic == {("/id", "missing")}:
            return
        assert isinstance(pydantic, dict), (body, pydantic)
        assert same_instant(native.pop("when"), pydantic.pop("when")), body
        if isinstance(pydantic["anything"], int) and abs(pydantic["anything"]) >= 2**63:
            pydantic["anything"] = float(pydantic["anything"])
        for name in ("price", "amount"):
            ours, theirs = native.pop(name), pydantic.pop(name)
            assert (ours is None) == (theirs is None), body
            # pydantic reads a number as a float first.
            assert ours is None or Decimal(ours) == Decimal(theirs) or float(ours) == float(theirs), body
        assert {*map(Decimal, native.pop("rates"))} == {*map(Decimal, pydantic.pop("rates"))}, body
        for name in ("numbers", "few", "halves"):
            # A set has no order in Python; here it has that in which it was sent.
            assert len(native[name]) == len(pydantic[name])
            assert set(native.pop(name)) == set(pydantic.pop(name)), body
        assert native == pydantic, body
        return
    extra = narrower(native, members)
    if isinstance(pydantic, dict):
        assert native == extra, (body, native)
        return

    # pydantic has several codes for what is no time, and one of its own for a large integer where a choice is wanted.
    def loose(errors: set[tuple[str, str]]) -> set[tuple[str, str]]:
        codes = dict.fromkeys(("int_parsing_size", "enum", "literal_error"), "choice")
        return {(at, "datetime" if code.startswith("datetime") else codes.get(code, code)) for at, code in errors}

    # Of a union pydantic tells what is wrong with each type, and native CRUD only with the one that it looks like.
    for name in UNIONS:
        of_union = {(at, code) for at, code in pydantic if at.split("/")[1] == name}
        ours = {(at, code) for at, code in native if at.split("/")[1] == name}
        if of_union and ours and ours <= of_union:
            pydantic = (pydantic - of_union) | ours
    out_of_range = {pointer for pointer, code in native if code == "int_out_of_range"}
    pydantic = {(pointer, code) for pointer, code in pydantic if pointer not in out_of_range}
    # Ids that are UUIDs are made by the server when they are left out.
    assert loose(native - extra) == loose(pydantic - {("/id", "missing")}), body


@pytest.mark.parametrize("field", [name for name in Thing.model_fields if name != "id"])
def test_each_field_takes_what_pydantic_takes(client: TestClient, field: str) -> None:
    for value in VALUES:
        compare(client, {"id": f'"{uuid.uuid4()}"', field: value})


def test_a_set_keeps_the_order_in_which_it_was_sent(client: TestClient) -> None:
    made = native_says(
        client, f'{{"id":"{uuid.uuid4()}","numbers":[3,1,3,2,1],"few":["b","a","b"],"halves":[0.0,-0.0,1]}}'
    )
    assert isinstance(made, dict)
    assert (made["numbers"], made["few"], made["halves"]) == ([3, 1, 2], ["b", "a"], [0.0, 1.0])


def test_there_is_no_year_0(client: TestClient) -> None:
    # With bounds pydantic tells of the bound that it breaks as well.
    for body, at in (('{"day":"0000-05-01"}', "/day"), ('{"recent":"0000-05-01"}', "/recent")):
        assert native_says(client, body) == {(at, "date_parsing")}
        assert isinstance(pydantic_says(body), set)


def test_whole_bodies_are_refused_at_the_same_places(client: TestClient) -> None:
    chance = random.Random(7)
    names = [*Thing.model_fields, "unknown", "Number", "a/b"]
    for _ in range(1000):
        chosen = chance.sample(names, chance.randint(1, 6))
        members = {"id": f'"{uuid.uuid4()}"'} | {name: chance.choice(VALUES) for name in chosen if name != "id"}
        if "id" in chosen:
            del members["id"]
        compare(client, members)
