"""Native validation with `coerce="pydantic"` against pydantic in its lax mode: the same bodies are accepted, become the same values,
and are refused at the same places with the same codes. Where native CRUD is stricter, `narrower` says so.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import random
import re
import uuid
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from test_crud_differential import VALUES, Colour, Level, Thing, pointer, same_instant
from typing_extensions import TypedDict

from ziggurat import CORE, Ziggurat
from ziggurat.exceptions import ConfigError
from ziggurat.models import Model, UnsupportedModelError
from ziggurat.testing import TestClient


class Switch(enum.Enum):
    ON = True
    MANY = 5
    NAMED = "d"


class Mixed(int, enum.Enum):
    NONE = 0
    ONE = 1


class Step(enum.StrEnum):
    ONE = "1"
    RED = "red"


class First(BaseModel, extra="forbid"):
    kind: Literal[1]
    size: int = 0


class Second(BaseModel, extra="forbid"):
    kind: Literal[True, "two"] | None = None
    size: bool = False


class Other(BaseModel, extra="forbid"):
    kind: Literal[2, 3]
    size: float = 0.0


class Loose(Thing):
    """What `Thing` has, and what only lax mode tells apart."""

    switch: Switch = Switch.ON
    mixed: Mixed = Mixed.NONE
    step: Step = Step.RED
    digit: Literal["a", 3, True] = "a"
    zero: Literal[0] = 0
    flags: list[bool] = []  # noqa: RUF012
    halves_of: dict[str, float | None] = {}  # noqa: RUF012
    days: set[date] = set()  # noqa: RUF012
    numbered: Annotated[First | Other, Field(discriminator="kind")] | None = None
    u_int_str: int | str = 0
    u_int_short: int | Annotated[str, Field(max_length=1)] = 0
    u_bool_int: bool | int = 0
    u_int_bool: int | bool = 0
    u_float_int: float | int | str = 0
    u_int_float: Annotated[int, Field(ge=3)] | float = 0.5
    u_when_int: datetime | int = 0
    u_bool_when: bool | datetime = False
    u_date_int: date | int = 0
    u_float_date: float | date = 0.0
    u_date_bool: date | bool = False
    u_span_bool: timedelta | bool = False
    u_bool_span: bool | timedelta = False
    u_time_bool: time | bool = False
    u_bool_time: bool | time = False
    u_true_int: Literal[True] | int = 0
    u_int_true: int | Literal[True] = 0
    u_level_str: Level | str = "x"
    u_level_bool: Level | bool | None = None
    u_colour_int: Colour | int | list[int] = 0
    u_literal: Literal["a", "1"] | bool | int = "a"
    u_decimal: Decimal | bool = False
    u_key: uuid.UUID | bool | float | dict[str, int] = False


UNIONS = {name for name in Loose.model_fields if name.startswith("u_")} | {
    "either",
    "numbers_or_flag",
    "named",
}

LAX = [
    *('"5"', '" 5 "', '"+5"', '"-5"', '"--5"', '"+-5"', '"05"', '"00"', '"-05"', '"5.0"', '"5."', '".0"', '"0.0"'),
    *('"5.5"', '"1_000"', '"_1"', '"1__0"', '"1_"', '"0_1"', '"0__1"', '"0_"', '"0_.0"', '"0-5"', '"-0-5"', '"1-5"'),
    *('"1e2"', '"1_0.0"', '"\\n5\\t"', '"\\u00a05"', '"0x10"', '"-0"', '"-0.0"', '"5.0_0"', '"- 5"', '"+"', '"-"', '"."'),
    *('"inf"', '"-Infinity"', '"nan"', '"1e400"', '"+1.5"', '".5"', '"1_0.5"', '" 1_0.5 "', '"1e-5"'),
    *('"9223372036854775807.0"', '"9223372036854775808"', "9223372036854775807.0", "1e18", "1e19", "-0.0", "-0", "5.0"),
    *("0.0", "2.0", "-1.5", "0.5", "1e2", "5", "3.0", "86400", "86401", "86400.0", "86400.5", "-86400", "-1.25"),
    *('"t"', '"T"', '"on"', '"ON"', '"y"', '"Yes"', '"off"', '"N"', '"no"', '"f"', '"0"', '"2"', '" true"', '"True"', '"FALSE"'),
    *("1700000000", "1700000000.9999999", "1700000000123", "1700000000123.456", "20000000000", "20000000001"),
    *("-20000000001", "253402300799999", "253402300800000", "-62135596800000", "-62135596800001", "-62167219200000"),
    *("0.0000005", "0.9999995", "86399", "86399.9999999", "86399.4", "-0.5", "9007199254740993", "1.9999999"),
    *('"1700000000"', '"1700000000.5"', '"1700000000123"', '"-1.25"', '"86400"', '"86401"', '"86400.0"', '"1."', '" 1"'),
    *('"2024-05-01T00:00:00Z"', '"2024-05-01T00:00:00+02:00"', '"2024-05-01T00:00"', '"2024-05-01T00:00:00.0000001Z"'),
    *('"2024-05-01x"', '"2024-05-01T"', '"0000-05-01"', '"0000-05-01T00:00:00Z"', '"253402300800000"', '"999999999999999"'),
    *("8640000000000", "9223372036854", "9223372036855", "-9223372036854", "371085174374400", "5.5", "-5.5", "1e15"),
    *('"1:00:00"', '"24:00:00"', '"1d"', '"d"', '"two"', '"RED"', '"NaN"', '" 1.5 "', '"1_0"', '"null"', '"none"'),
    *('["1", 1, 1.0, true, "2"]', '["on", "x", 0]', '["2024-05-01", "2024-05-01T00:00:00Z", 1714521600]', '"[]"', '"{}"'),
    *('{"a":"1.5","b":null,"c":true,"d":"x"}', '{"a":"1","b":1.0}', '{"city":5,"zip":"5"}', '{"city":"Ur","zip":"5.0"}'),
    *('{"kind":1,"size":"5"}', '{"kind":1.0,"size":true}', '{"kind":true}', '{"kind":"1"}', '{"kind":3.0,"size":"1e2"}'),
    *('{"kind":2,"size":"x"}', '{"kind":"cat","lives":"9"}', '{"kind":"cat","lives":"10"}', '[{"kind":"cat","lives":9.0}]'),
]  # fmt: skip


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Loose, "/things", client_id=True, coerce="pydantic")(type("LooseRoutes", (), {}))
    with TestClient(app) as client:
        yield client


_ADAPTER = TypeAdapter(Loose)


def place(loc: tuple[str | int, ...]) -> str:
    """Where it was, without the alternatives of unions, which pydantic names as well."""
    named = loc[0] in UNIONS or loc[0] == "numbered"
    return pointer((loc[0], *loc[2:]) if named else loc)


def pydantic_says(body: str) -> dict[str, Any] | set[tuple[str, str]]:
    try:
        return _ADAPTER.validate_json(body, strict=False).model_dump(mode="json")  # type: ignore[no-any-return]
    except ValidationError as error:
        return {(place(item["loc"]), item["type"]) for item in error.errors()}


def native_says(client: TestClient, body: str) -> dict[str, Any] | set[tuple[str, str]]:
    answer = client.post("/things", content=body, headers={"content-type": "application/json"})
    if answer.status_code == 201:
        return answer.json()  # type: ignore[no-any-return]
    assert answer.status_code == 422, answer.text
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


# Stores hold 64 bits and no NaN; a datetime without an offset is no instant, and a time with one is none without a date, which
# numbers of seconds are to pydantic; instants are in the years 1 to 9999; a timedelta has up to 290 thousand years.
NARROWER = ("int_out_of_range", "finite_number", "timezone_aware", "timezone_naive", "datetime_object_invalid")


def narrower(native: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What native CRUD refuses beyond pydantic's lax mode."""
    found = {(at, code) for at, code in native if code in NARROWER}
    return found | {
        (at, code) for at, code in native if at in ("/price", "/u_decimal") and code == "decimal_max_digits"
    }


def same(name: str, ours: Any, theirs: Any) -> bool:
    if name == "anything":
        return bool(ours == theirs) or ours == float(theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        if name in ("numbers", "few", "halves", "rates", "days"):
            # A set has no order in Python.
            return len(ours) == len(theirs) and all(any(same("", one, other) for other in theirs) for one in ours)
        return len(ours) == len(theirs) and all(same("", *pair) for pair in zip(ours, theirs, strict=True))
    if ours == theirs:
        return type(ours) is type(theirs)
    if name in ("price", "amount", "rates", "u_decimal", "") and isinstance(ours, str) and isinstance(theirs, str):
        try:
            # pydantic reads a number as a float first.
            return Decimal(ours) == Decimal(theirs) or float(ours) == float(theirs)
        except ArithmeticError:
            return False
    if name in ("when", "u_when_int", "u_bool_when"):
        return same_instant(ours, theirs)
    return False


def compare(client: TestClient, members: dict[str, str]) -> None:
    body = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    native, pydantic = native_says(client, body), pydantic_says(body)
    if isinstance(native, dict):
        if pydantic == {("/id", "missing")}:
            return
        assert isinstance(pydantic, dict), (body, pydantic)
        assert [*native] == [*pydantic]
        for name, value in native.items():
            assert same(name, value, pydantic[name]), (body, name, value, pydantic[name])
        return
    for name in ("span", "short_span", "u_span_bool", "u_bool_span"):
        # A timedelta has up to 290 thousand years.
        number = members.get(name, "")
        if re.fullmatch(r"-?\d{13,}(\.\d+)?|1e1\d", number) and abs(float(number)) * 1e6 >= 2**63:
            assert f"/{name}" in dict(native), body
            native = {(at, code) for at, code in native if at != f"/{name}"}
            pydantic = (
                pydantic if isinstance(pydantic, dict) else {error for error in pydantic if error[0] != f"/{name}"}
            )
    extra = narrower(native)
    if isinstance(pydantic, dict):
        assert native == extra, (body, native, pydantic)
        return

    # pydantic has a code of its own for a large integer where a choice is wanted, and native CRUD does not tell 1e20 from the
    # same with all its digits.
    def loose(errors: set[tuple[str, str]]) -> set[tuple[str, str]]:
        codes = dict.fromkeys(("int_parsing_size", "enum", "literal_error"), "choice")
        if any(re.fullmatch(r"-\d{19,}(\.\d+)?|\d{20,}(\.\d+)?", value) for value in members.values()):
            codes |= {"datetime_type": "datetime_parsing", "time_delta_type": "time_delta_parsing"}
            codes |= {"date_type": "date_from_datetime_parsing"}
        return {(at, codes.get(code, code)) for at, code in errors}

    # Of arrays and objects native CRUD tells what is wrong with the only type that they can be of.
    for name in (*UNIONS, "pet", "pets"):
        of_union = {(at, code) for at, code in pydantic if at.split("/")[1] == name}
        ours = {(at, code) for at, code in native if at.split("/")[1] == name}
        if members.get(name, "").startswith(("[", "{")) and ours and ours <= of_union:
            pydantic = (pydantic - of_union) | ours
    stricter = {at for at, _ in extra}
    pydantic = {(at, code) for at, code in pydantic if at not in stricter}
    native = {(at, code) for at, code in native if at not in stricter}
    assert loose(native) == loose(pydantic - {("/id", "missing")}), body


@pytest.mark.parametrize("field", [name for name in Loose.model_fields if name != "id"])
def test_each_field_takes_what_pydantic_takes(client: TestClient, field: str) -> None:
    for value in [*VALUES, *LAX]:
        compare(client, {"id": f'"{uuid.uuid4()}"', field: value})


def generated(chance: random.Random) -> str:
    """A number, or what may pass for one, near to where rules change."""
    near = chance.choice((0, 1, 2, 86400, 1714521600, 20_000_000_000, 86400 * 365 * 9000, 2**31, 2**53, 2**63, 10**15))
    number = chance.choice((1, -1)) * (near + chance.choice((0, 0, 1, -1, 86400)))
    text = str(number)
    if chance.random() < 0.5:
        text += chance.choice((".0", ".00", ".5", ".25", ".999999", ".9999999", ".0000001", ".1"))
    if chance.random() < 0.5:
        return text
    text = chance.choice(("", "", "", "+", "-", "0", "00", " ", "_", "1_")) + text
    return json.dumps(text + chance.choice(("", "", "", "", " ", "_", "_0", "e1", ".", "Z", "\n")))


@pytest.mark.parametrize("seed", range(4))
def test_generated_values_become_what_pydantic_makes_of_them(client: TestClient, seed: int) -> None:
    chance = random.Random(seed)
    names = [name for name in Loose.model_fields if name != "id"]
    for _ in range(400):
        chosen = chance.sample(names, 8)
        compare(client, {"id": f'"{uuid.uuid4()}"'} | {name: generated(chance) for name in chosen})


def test_whole_bodies_are_refused_at_the_same_places(client: TestClient) -> None:
    chance = random.Random(7)
    names = [*Loose.model_fields, "unknown", "Number", "a/b"]
    values = [*VALUES, *LAX]
    for _ in range(1000):
        members = {"id": f'"{uuid.uuid4()}"'}
        members |= {name: chance.choice(values) for name in chance.sample(names, chance.randint(1, 6)) if name != "id"}
        compare(client, members)


class Line(BaseModel, extra="forbid"):
    count: int
    flag: bool = False


class Row(Model):
    id: int
    count: int = 0
    flag: bool = False
    at: datetime | None = None
    level: Level = Level.LOW
    span: timedelta | None = None
    either: int | str = 0
    line: Line | None = None
    pet: Annotated[First | Other, Field(discriminator="kind")] | None = None
    by_name: dict[str, int] = {}  # noqa: RUF012


SENT = {"count": "5", "flag": "on", "at": 1700000000, "level": "2", "span": 90.5, "either": True}
KEPT = {
    "count": 5,
    "flag": True,
    "at": "2023-11-14T22:13:20.000Z",
    "level": 2,
    "span": "PT1M30.5S",
    "either": 1,
    "line": None,
    "pet": None,
    "by_name": {},
}


def test_every_body_is_read_so_and_what_is_kept_is_of_its_type(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    ops = CORE | {"patch_many", "import"}
    serve = app.crud(Row, "/rows", client_id=True, upsert=True, bulk=True, ops=ops, coerce="pydantic")
    serve(type("RowRoutes", (), {}))
    with TestClient(app) as client:
        made = client.post("/rows", json={"id": "1", **SENT})
        assert (made.status_code, made.headers["location"]) == (201, "/rows/1")
        assert made.json() == {"id": 1, **KEPT}
        assert client.put("/rows/2", json={"id": 2.0, **SENT}).json() == {"id": 2, **KEPT}
        assert client.put("/rows/2", json={"id": "3"}).json()["errors"][0]["code"] == "id_mismatch"
        many = client.post("/rows", json=[{"id": "3", **SENT}, {"id": 4, **SENT}])
        assert many.json()["items"] == [{"id": 3, **KEPT}, {"id": 4, **KEPT}]
        line = json.dumps({"id": "5", **SENT})
        report = client.post("/rows/_import", content=line, headers={"content-type": "application/x-ndjson"}).json()
        assert (report["created"], client.get("/rows/5").json()) == (1, {"id": 5, **KEPT})

        changed = client.patch(
            "/rows/1", json={"count": 7.0, "line": {"count": "3"}, "pet": {"kind": 1.0, "size": "4"}}
        )
        wanted = {"id": 1, **KEPT, "count": 7, "line": {"count": 3, "flag": False}, "pet": {"kind": 1, "size": 4}}
        assert changed.json() == wanted
        changed = client.patch("/rows/1", json={"line": {"flag": "yes"}, "pet": {"size": "5"}, "by_name": {"a": "1"}})
        wanted |= {"line": {"count": 3, "flag": True}, "pet": {"kind": 1, "size": 5}, "by_name": {"a": 1}}
        assert changed.json() == wanted
        other = client.patch("/rows/1", json={"pet": {"kind": 3.0, "size": "1e2"}}).json()
        assert other["pet"] == {"kind": 3, "size": 100.0}
        wrong = client.patch("/rows/1", json={"line": {"flag": "si"}, "pet": {"size": []}}).json()["errors"]
        assert {(error["pointer"], error["code"]) for error in wrong} == {("/line/flag", "bool_parsing")}
        assert client.patch("/rows?id=in.(2,3)", json={"count": "9", "flag": 0}).json() == {"matched": 2, "modified": 2}
        assert [row["count"] for row in client.get("/rows?sort=id").json()["items"]] == [7, 9, 9, 5, 5]

        # A filter is no body.
        assert client.get("/rows?count=5.0").json()["errors"][0]["code"] == "int_parsing"


def test_bodies_are_read_strictly_unless_told() -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Row, "/rows", client_id=True)(type("RowRoutes", (), {}))
    with TestClient(app) as client:
        wrong = client.post("/rows", json={"id": "1", **SENT}).json()["errors"]
        assert {(error["pointer"], error["code"]) for error in wrong} == {
            ("/id", "int_type"),
            ("/count", "int_type"),
            ("/flag", "bool_type"),
            ("/at", "datetime_type"),
            ("/level", "enum"),
            ("/span", "time_delta_type"),
            ("/either", "int_type"),
            ("/either", "string_type"),
        }


@dataclasses.dataclass
class Point:
    id: int
    x: int = 0
    level: Level = Level.LOW


class Typed(TypedDict):
    id: int
    x: int
    level: Level


@pytest.mark.parametrize("model", [Point, Typed])
def test_models_of_other_kinds_are_read_alike(model: type[Any]) -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(model, "/points", client_id=True, coerce="pydantic")(type("Routes", (), {}))
    with TestClient(app) as client:
        made = client.post("/points", json={"id": "1", "x": "2", "level": "2"})
        assert made.json() == {"id": 1, "x": 2, "level": 2}
        assert TypeAdapter(model).dump_python(TypeAdapter(model).validate_json(made.content)) == {
            "id": 1,
            "x": 2,
            "level": Level.HIGH,
        }


class Packed(msgspec.Struct):
    id: int


def test_what_cannot_be_read_so_is_refused_with_its_place() -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    with pytest.raises(ConfigError, match=r"Packed: coerce=\"pydantic\" .* msgspec\.Struct(?s:.*)test_crud_lax\.py"):
        app.crud(Packed, "/packed", client_id=True, coerce="pydantic")
    app.crud(Row, "/rows", client_id=True, coerce="lax")(type("RowRoutes", (), {}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r'coerce="lax" is not understood(?s:.*)test_crud_lax\.py'):
        app.build()


class StrictField(Model):
    id: int
    count: Annotated[int, Strict()] = 0


class StrictModel(Model):
    model_config = ConfigDict(strict=True)
    id: int


class Ordered(Model):
    id: int
    value: Annotated[float | int, Field(union_mode="left_to_right")] = 0


class Timed(Model):
    model_config = ConfigDict(val_temporal_unit="seconds")
    id: int
    at: datetime


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (StrictField, "StrictField.count: strict=True"),
        (StrictModel, "the setting strict=True"),
        (Ordered, "Ordered.value: a union that is tried from left to right"),
        (Timed, "the setting val_temporal_unit='seconds'"),
    ],
)
def test_models_that_say_otherwise_are_refused(model: type[Model], problem: str) -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(model, "/rows", client_id=True, coerce="pydantic")(type("Routes", (), {}))
    with pytest.raises(UnsupportedModelError, match=re.escape(problem)):
        app.build()
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(model, "/rows", client_id=True)(type("Routes", (), {}))
    app.build()


def test_defaults_are_read_strictly() -> None:
    class Wrong(Model):
        id: int
        count: int = "5"  # type: ignore[assignment]

    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Wrong, "/rows", client_id=True, coerce="pydantic")(type("Routes", (), {}))
    with pytest.raises(ConfigError, match=r"Wrong\.count"):
        app.build()
