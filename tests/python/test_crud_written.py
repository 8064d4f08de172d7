"""Fields that JSON holds in another form than Python does: great ints, times to the microsecond, bytes; on both stores."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from ziggurat import (
    CORE,
    ConfigError,
    DeletedAt,
    F,
    Indexed,
    Micro,
    Model,
    Ref,
    Stored,
    UnsupportedModelError,
    Ziggurat,
    now,
)
from ziggurat import new_event_loop as loop
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

GREAT = 2**53 + 1


class Part(BaseModel):
    serial: int
    small: Annotated[int, Field(ge=0, lt=100)] = 1


class Order(Model):
    id: int
    number: Annotated[int, Field(gt=0), Indexed()]
    age: Annotated[int, Field(ge=0, le=150)] = 7
    total: Annotated[int, Indexed()] | None = None
    serials: list[int] = []  # noqa: RUF012
    counts: dict[str, int] = {}  # noqa: RUF012
    part: Part | None = None


def served(store_url: str, model: type[Any], name: str = "", **options: Any) -> TestClient:
    app = Ziggurat(store=store_url, **{key: options.pop(key) for key in ("int64", "naive") if key in options})
    options = {"client_id": True, "bulk": True, "ops": CORE | {"group", "count", "export", "query"}, **options}
    app.crud(model, **options)(type("Routes", (), {}))
    return TestClient(app)


@pytest.fixture
def orders(store_url: str) -> Iterator[TestClient]:
    options = {"dimensions": ("number", "age"), "measures": ("number", "total")}
    with served(store_url, Order, int64="string", **options) as client:
        yield client


def test_great_ints_are_strings(orders: TestClient) -> None:
    row = {"id": "1", "number": GREAT, "serials": [GREAT, "2"], "counts": {"a": "-3"}, "part": {"serial": 5}}
    made = orders.post("/order", json=row)
    assert made.status_code == 201 and made.headers["location"] == "/order/1"
    assert (
        made.text
        == orders.get("/order/1").text
        == (
            '{"id":"1","number":"9007199254740993","age":7,"total":null,"serials":["9007199254740993","2"],'
            '"counts":{"a":"-3"},"part":{"serial":"5","small":1}}'
        )
    )
    more = [{"id": number, "number": str(number), "total": str(GREAT * number)} for number in range(2, 25)]
    assert orders.post("/order", json=more).status_code == 201
    assert orders.patch("/order/2", json={"age": 8, "part": {"serial": "9"}}).json()["part"]["serial"] == "9"

    def ids(query: str) -> list[str]:
        answer = orders.get(f"/order?{query}&fields=id")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    # By value, and not by their texts.
    assert ids("number=lte.10&number=gt.1&sort=number") == [str(number) for number in range(2, 11)]
    assert ids(f"number={GREAT}") == ids(f"serials=has.{GREAT}") == ids("part.serial=lt.9") == ["1"]
    assert ids("id=in.(3,20)") == ["3", "20"]
    assert ids(f"total=gte.{GREAT * 24}") == ["24"]
    seen, path = [], "/order?sort=-total,id&limit=5"
    while path:
        page = orders.get(path).json()
        seen += [item["id"] for item in page["items"]]
        path = f"/order?sort=-total,id&limit=5&cursor={page['next']}" if page["next"] else ""
    assert seen == [*map(str, range(24, 1, -1)), "1"]

    for value in (GREAT - 1, str(GREAT - 1)):
        asked = orders.request("QUERY", "/order", json={"filter": ["number", "gt", value]})
        assert [item["id"] for item in asked.json()["items"]] == ["1"], asked.text
    group = orders.get("/order/_group?agg=count,sum(total),max(number),avg(number)").json()["items"][0]
    total = sum(GREAT * number for number in range(2, 25))
    assert group["count"] == 24 and group["sum(total)"] == str(total) and group["max(number)"] == str(GREAT)
    by = orders.get("/order/_group?by=number,age&sort=-number&limit=1").json()["items"][0]["by"]
    assert by == {"number": str(GREAT), "age": 7}
    assert orders.get("/order/0").status_code == orders.get("/order/01").status_code == 404


def test_what_is_no_int_in_a_string_is_named(orders: TestClient) -> None:
    for value, code in [
        ("1.0", "int_parsing"),
        (" 1", "int_parsing"),
        ("", "int_parsing"),
        ("9223372036854775808", "int_out_of_range"),
        (9223372036854775808, "int_out_of_range"),
        ("0", "greater_than"),
        (1.5, "int_type"),
        (True, "int_type"),
        (None, "int_type"),
    ]:
        refused = orders.post("/order", json={"id": 1, "number": value})
        assert refused.status_code == 422, value
        assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [("/number", code)], value


def test_openapi_tells_of_ints_in_strings(orders: TestClient) -> None:
    schemas = orders.get("/openapi.json").json()["components"]["schemas"]
    text = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
    assert schemas["Order"]["properties"]["number"] == text
    assert schemas["Order"]["properties"]["age"]["type"] == "integer"
    sent = schemas["OrderCreate"]["properties"]["number"]
    assert sent == {"anyOf": [{"type": "integer", "format": "int64", "exclusiveMinimum": 0}, text]}


def test_code_has_ints(store_url: str) -> None:
    app = Ziggurat(store=store_url, int64="string")
    app.keep(Order)
    native = app.build()

    async def story() -> None:
        order = await Order(id=GREAT, number=GREAT, part=Part(serial=-GREAT)).insert()
        assert await Order.get(GREAT) == order and order.part == Part(serial=-GREAT)
        assert await Order.find(Order.number >= GREAT, F.part.serial < 0).count() == 1
        order.number += 1
        await order.save()
        assert [row.number async for row in Order.find().sort("number")] == [GREAT + 1]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
    native.close()


class Ticket(msgspec.Struct):
    id: int
    number: int
    blob: bytes = b"\xff"


def test_structs_have_ints_and_bytes(store_url: str) -> None:
    app = Ziggurat(store=store_url, int64="string")

    class Tickets:
        async def before_create(self, ctx: Any, ticket: Ticket) -> Ticket:
            assert isinstance(ticket.number, int) and ticket.blob == b"\xff"
            ticket.number += 1
            ticket.blob = b"\xfb\xff"
            return ticket

    app.crud(Ticket, client_id=True)(Tickets)
    with TestClient(app) as client:
        made = client.post("/ticket", json={"id": 1, "number": GREAT})
        assert made.text == '{"id":"1","number":"9007199254740994","blob":"+/8="}'
        assert msgspec.json.decode(made.content, type=Ticket, strict=False) == Ticket(1, GREAT + 1, b"\xfb\xff")


def test_rows_go_over_to_strings_and_back(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        store_url += "?shared=true"
    row = {"id": 1, "number": GREAT, "serials": [1], "counts": {"a": 2}, "part": {"serial": 3}}
    with served(store_url, Order, int64="number") as client:
        as_numbers = client.post("/order", json=row).json()
        assert as_numbers["number"] == GREAT
    with served(store_url, Order, int64="string") as client:
        as_strings = client.get("/order/1").json()
        assert (as_strings["id"], as_strings["serials"], as_strings["part"]["serial"]) == ("1", ["1"], "3")
        assert client.get(f"/order?number={GREAT}&serials=has.1").json()["items"] == [as_strings]
        assert client.post("/order", json={"id": 2, "number": 9, "total": 12}).status_code == 201
    with served(store_url, Order, int64="number") as client:
        assert client.get("/order/1").json() == as_numbers
        assert [item["id"] for item in client.get("/order?sort=number&total=gt.9").json()["items"]] == [2]


class Strictly(BaseModel):
    model_config = ConfigDict(strict=True)
    id: Annotated[int, Field(ge=0, lt=1000)]
    number: int


class Either(Model):
    id: int
    value: int | str
    number: int | float | bool = 0
    plain: int | None = None
    other: Annotated[int, Ref("Either")] | None = None


def test_ints_beside_other_types_stay_numbers(store_url: str) -> None:
    with served(store_url, Either, int64="string") as client:
        row = {"id": 1, "value": 5, "number": True, "plain": 7}
        assert client.post("/either", json=row).text == ('{"id":"1","value":5,"number":true,"plain":"7","other":null}')
        row = {"id": 2, "value": "5", "number": 1.5, "other": 1}
        assert client.post("/either", json=row).json()["value"] == "5"
        assert client.get("/either/2?expand=other").json()["other"]["id"] == "1"


def test_what_cannot_have_ints_in_strings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="int64='text' is no way to write ints"):
        Ziggurat(int64="text")  # type: ignore[arg-type]
    for model, what in [
        (Strictly, "Strictly.number: strict=True does not read the strings"),
    ]:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db", int64="string")
        app.crud(model)(type("Routes", (), {}))
        with pytest.raises(ConfigError, match=re.escape(what)):
            app.build()


class Event(Model):
    id: int
    at: Annotated[datetime, Micro, Indexed()]
    ended: Annotated[datetime, Micro] | None = None
    seen: list[Annotated[datetime, Micro]] = []  # noqa: RUF012
    made: Annotated[datetime, Micro] = Field(default_factory=now)
    plain: datetime | None = None


def test_handlers_write_the_same_time_as_pydantic_does(store_url: str) -> None:
    """With other digits than rows, which sort as their texts do; whoever reads either finds the same, and may send either."""

    class Moment(Model):
        id: int
        at: datetime

    class Told(msgspec.Struct):
        at: datetime

    app = Ziggurat(store=store_url, openapi_path=None)
    app.crud(Moment, path="/moments", client_id=True)(type("Moments", (), {}))

    async def kept(id: int) -> Moment:
        found = await Moment.get(id)
        assert found is not None
        return found

    @app.get("/model/{id}")
    async def model(id: int) -> Moment:
        return await kept(id)

    @app.get("/value/{id}")
    async def value(id: int) -> dict[str, datetime]:
        return {"at": (await kept(id)).at}

    @app.get("/struct/{id}")
    async def struct(id: int) -> Told:
        return Told((await kept(id)).at)

    times = {
        "2024-05-01T12:00:00.398Z": "2024-05-01T12:00:00.398000Z",
        "2024-05-01T12:00:00.000Z": "2024-05-01T12:00:00Z",
    }
    with TestClient(app) as client:
        for id, (row, told) in enumerate(times.items()):
            assert client.post("/moments", json={"id": id, "at": told}).json()["at"] == row
            assert [client.get(f"/{path}/{id}").json()["at"] for path in ("model", "value", "struct")] == [told] * 3
            assert datetime.fromisoformat(row) == datetime.fromisoformat(told)
            for text in (row, told):
                assert [item["id"] for item in client.get(f"/moments?at={text}").json()["items"]] == [id]


def test_times_to_the_microsecond(store_url: str) -> None:
    with served(store_url, Event, dimensions=("hour(at)", "year(at)"), measures=("at",)) as client:
        begun = datetime.now(UTC)
        for number, at in enumerate(
            [
                "2026-05-01T12:00:00.000001Z",
                "2026-05-01T12:00:00.000002+00:00",
                "2026-05-01T14:00:00.0000039+02:00",
                "1969-12-31T23:59:59.999999Z",
                "9999-12-31T23:59:59.999999Z",
                "0001-01-01T00:00:00Z",
            ],
            1,
        ):
            assert client.post("/event", json={"id": number, "at": at, "seen": [at]}).status_code == 201
        row = client.get("/event/3").json()
        assert row["at"] == "2026-05-01T12:00:00.000003Z" and row["seen"] == [row["at"]]
        assert client.patch("/event/3", json={"plain": row["at"]}).json()["plain"] == "2026-05-01T12:00:00.000Z"
        made = datetime.fromisoformat(row["made"])
        assert begun - timedelta(microseconds=1) <= made <= datetime.now(UTC) and len(row["made"]) == 27

        def ids(query: str) -> list[int]:
            answer = client.get(f"/event?{query}")
            assert answer.status_code == 200, answer.text
            return [item["id"] for item in answer.json()["items"]]

        assert ids("sort=at") == [6, 4, 1, 2, 3, 5]
        assert ids("at=gt.2026-05-01T12:00:00.000001Z&sort=-at") == [5, 3, 2]
        assert ids("at=2026-05-01T14:00:00.000002%2B02:00") == [2]
        assert ids("seen=has.1969-12-31T23:59:59.999999Z") == [4]
        first = client.get("/event?sort=at&limit=3").json()
        assert [item["id"] for item in first["items"]] == [6, 4, 1]
        assert ids(f"sort=at&limit=3&cursor={first['next']}") == [2, 3, 5]
        groups = client.get("/event/_group?by=hour(at)&agg=count,max(at)&sort=hour(at)").json()["items"]
        assert [(group["by"]["hour(at)"], group["count"]) for group in groups] == [
            ("0001-01-01T00", 1),
            ("1969-12-31T23", 1),
            ("2026-05-01T12", 3),
            ("9999-12-31T23", 1),
        ]
        assert groups[2]["max(at)"] == "2026-05-01T12:00:00.000003Z"
        refused = client.post("/event", json={"id": 9, "at": "2026-05-01T12:00:00"})
        assert refused.json()["errors"][0]["code"] == "timezone_aware"


def test_code_has_microseconds(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Event)
    native = app.build()
    at = datetime(2026, 5, 1, 12, 0, 0, 123456, UTC)

    async def story() -> None:
        event = await Event(id=1, at=at, plain=at).insert()
        found = await Event.get(1)
        assert found is not None and (found.at, found.plain) == (at, at.replace(microsecond=123000)) == (
            event.at,
            event.plain,
        )
        assert await Event.find(Event.at > at - timedelta(microseconds=1), Event.at <= at).count() == 1
        assert await Event.find(Event.at > at).count() == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
    native.close()


class Wrong(Model):
    id: int
    at: Annotated[int, Micro] = 0
    gone: Annotated[DeletedAt, Micro] = None
    ends: Annotated[datetime, Micro, Indexed(ttl=60)]


def test_where_microseconds_cannot_be(tmp_path: Path) -> None:
    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
    app.crud(Wrong)(type("Routes", (), {}))
    with pytest.raises(UnsupportedModelError) as caught:
        app.build()
    assert "Wrong.at: Micro is for a datetime" in str(caught.value)
    assert "Wrong.gone: cannot hold when a row was deleted" in str(caught.value)

    class Ends(Model):
        id: int
        at: Annotated[datetime, Micro, Indexed(ttl=60)]

    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
    app.crud(Ends)(type("Routes", (), {}))
    with pytest.raises(ConfigError, match=re.escape("Ends.at: rows expire some time after a datetime of milliseconds")):
        app.build()


class AsHex(BaseModel):
    model_config = ConfigDict(val_json_bytes="hex", ser_json_bytes="hex")
    raw: bytes = b"\x0f"


class AsText(BaseModel):
    raw: bytes = "ü".encode()


@dataclass
class AsItIs:
    raw: bytes = b"d"


class AsKeys(TypedDict):
    raw: bytes


class AsBase64(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64", extra="forbid")
    id: int
    raw: bytes = b"\xfb\xff"
    hexed: AsHex = AsHex()
    text: AsText = AsText()
    data: AsItIs = AsItIs()
    keys: AsKeys | None = None


class Plain(BaseModel):
    id: int
    raw: Annotated[bytes, Field(min_length=1, max_length=3)] = b"a"
    more: list[bytes] = []
    hexed: AsHex = AsHex()
    data: AsItIs = AsItIs()
    keys: AsKeys | None = None


@pytest.mark.parametrize("model", [AsBase64, Plain])
def test_bytes_are_written_as_pydantic_does(store_url: str, model: type[BaseModel]) -> None:
    name = model.__name__.lower()
    with served(store_url, model) as client:
        bodies: list[dict[str, Any]] = [
            {"id": 1},
            {"id": 2, "raw": "YWI="},
            {"id": 3, "hexed": {"raw": "00ff"}, "keys": {"raw": "6162"}},
            {"id": 4, "data": {"raw": "ZWU="}},
        ]
        for body in bodies:
            try:
                expected = _as_pydantic(model, body)
            except ValueError:
                assert client.post(f"/{name}", json=body).status_code == 422, body
                continue
            made = client.post(f"/{name}", json=body)
            assert made.status_code == 201, made.text
            assert made.json() == client.get(f"/{name}/{body['id']}").json() == expected, body


def _as_pydantic(model: type[BaseModel], body: dict[str, Any]) -> Any:
    return msgspec.json.decode(model.model_validate_json(msgspec.json.encode(body)).model_dump_json())


def test_bytes_of_text_are_counted_as_bytes(store_url: str) -> None:
    with served(store_url, Plain) as client:
        assert client.post("/plain", json={"id": 1, "raw": "aé", "more": ["", '\0"']}).json()["more"] == ["", '\0"']
        for raw, code in [("aéé", "bytes_too_long"), ("", "bytes_too_short"), (5, "bytes_type")]:
            assert client.post("/plain", json={"id": 2, "raw": raw}).json()["errors"][0]["code"] == code
        refused = client.post("/plain", json={"id": 2, "hexed": {"raw": "0"}}).json()["errors"][0]
        assert (refused["pointer"], refused["code"]) == ("/hexed/raw", "bytes_invalid_encoding")
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        assert schemas["AsHex"]["properties"]["raw"] == {"type": "string", "contentEncoding": "base16"}
        assert schemas["Plain"]["properties"]["raw"] == {"type": "string"}


def test_bytes_that_are_read_and_written_otherwise_are_refused(tmp_path: Path) -> None:
    class Half(BaseModel):
        model_config = ConfigDict(ser_json_bytes="base64")
        id: int
        raw: bytes

    class Bad(BaseModel):
        id: int
        raw: bytes = b"\xff"

    for model, what in [
        (Half, "Half.raw: bytes that are read as utf8 and written as base64 are not supported natively"),
        (Bad, r"Bad.raw: the default cannot be written as JSON: b'\xff' is no UTF-8"),
    ]:
        app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
        app.crud(model)(type("Routes", (), {}))
        with pytest.raises(UnsupportedModelError, match=re.escape(what)):
            app.build()


class Visit(Model):
    id: int
    at: Annotated[datetime, Indexed()]
    exactly: Annotated[datetime, Micro] | None = None
    gone: DeletedAt


@pytest.mark.parametrize("coerce", ["strict", "pydantic"])
def test_times_without_an_offset_may_be_in_utc(store_url: str, coerce: str) -> None:
    with served(store_url, Visit, naive="utc", coerce=coerce) as client:
        for number, at in enumerate(["2026-05-01T12:00:00", "2026-05-01T12:00:00.5Z", "2026-05-01T12:00:00+02:00"], 1):
            made = client.post("/visit", json={"id": number, "at": at, "exactly": at})
            assert made.status_code == 201, made.text
        assert client.get("/visit/1").json() == {
            "id": 1,
            "at": "2026-05-01T12:00:00.000Z",
            "exactly": "2026-05-01T12:00:00.000000Z",
            "gone": None,
        }
        found = client.get("/visit?at=gte.2026-05-01T12:00:00&sort=at").json()["items"]
        assert [item["id"] for item in found] == [1, 2]
        asked = client.request("QUERY", "/visit", json={"filter": ["at", "lt", "2026-05-01T12:00:00"]})
        assert [item["id"] for item in asked.json()["items"]] == [3]
        # A day alone is a midnight to pydantic's lax mode.
        day = client.post("/visit", json={"id": 9, "at": "2026-05-01"})
        assert day.json()["at"] == "2026-05-01T00:00:00.000Z" if coerce == "pydantic" else day.status_code == 422
        bad = client.post("/visit", json={"id": 9, "at": "2026-05-01T25:00:00"}).json()["errors"][0]
        assert bad["code"].startswith("datetime_")


def test_code_may_leave_the_offset_out(store_url: str) -> None:
    app = Ziggurat(store=store_url, naive="utc")
    app.keep(Visit)
    native = app.build()

    async def story() -> None:
        visit = await Visit(id=1, at=datetime(2026, 5, 1, 12), gone=None).insert()
        assert visit.at == datetime(2026, 5, 1, 12, tzinfo=UTC)
        assert await Visit.find(Visit.at == datetime(2026, 5, 1, 12, tzinfo=UTC)).count() == 1

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
    native.close()


def test_what_no_time_can_be_taken_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="naive='local' says of no time where it is"):
        Ziggurat(naive="local")  # type: ignore[arg-type]


class Person(Model):
    id: int
    born: Annotated[date, Stored("datetime"), Indexed()]
    died: Annotated[date, Stored("datetime")] | None = None
    days: list[Annotated[date, Stored("datetime")]] = []  # noqa: RUF012


def test_dates_that_are_kept_as_datetimes_look_like_dates(store_url: str) -> None:
    options = {"dimensions": ("month(born)", "born"), "measures": ("born",)}
    with served(store_url, Person, **options) as client:
        for number, born in enumerate(["1815-12-10", "1906-12-09", "0001-01-01", "9999-12-31", "1969-12-31"], 1):
            row = {"id": number, "born": born, "died": None, "days": [born]}
            made = client.post("/person", json=row)
            assert made.json() == client.get(f"/person/{number}").json() == row, made.text

        def ids(query: str) -> list[int]:
            return [item["id"] for item in client.get(f"/person?{query}").json()["items"]]

        assert ids("sort=born") == [3, 1, 2, 5, 4]
        assert ids("born=1906-12-09") == ids("days=has.1906-12-09") == [2]
        assert ids("born=between.(1815-12-11,1969-12-31)&sort=-born") == [5, 2]
        first = client.get("/person?sort=born&limit=2").json()
        assert ids(f"sort=born&limit=2&cursor={first['next']}") == [2, 5]
        groups = client.get("/person/_group?by=month(born)&agg=count,min(born)&sort=month(born)").json()["items"]
        assert [(group["by"]["month(born)"], group["min(born)"]) for group in groups] == [
            ("0001-01", "0001-01-01"),
            ("1815-12", "1815-12-10"),
            ("1906-12", "1906-12-09"),
            ("1969-12", "1969-12-31"),
            ("9999-12", "9999-12-31"),
        ]
        assert client.patch("/person/1", json={"died": "1852-11-27"}).json()["died"] == "1852-11-27"
        refused = client.post("/person", json={"id": 9, "born": "1906-12-09T00:00:00Z"}).json()["errors"][0]
        assert refused["code"] == "date_parsing"


class Legacy(Model):
    id: Annotated[UUID, Stored("javaLegacy")]
    friends: list[Annotated[UUID, Stored("csharpLegacy")]] = []  # noqa: RUF012
    best: Annotated[UUID, Stored("pythonLegacy"), Indexed(unique=True)] | None = None


def test_uuids_that_are_kept_as_old_drivers_did_look_like_uuids(store_url: str) -> None:
    with served(store_url, Legacy) as client:
        first = client.post("/legacy", json={}).json()
        assert UUID(first["id"]).version == 7
        row = {"friends": [first["id"]], "best": first["id"]}
        made = client.post("/legacy", json=row).json()
        assert made == client.get(f"/legacy/{made['id']}").json() == {"id": made["id"], **row}
        for query in (f"best={first['id']}", f"friends=has.{first['id']}", f"id={made['id']}"):
            assert client.get(f"/legacy?{query}").json()["items"] == [made], query
        assert client.post("/legacy", json=row).json()["errors"][0]["pointer"] == "/best"
        pages = [client.get("/legacy?limit=1").json()]
        pages.append(client.get(f"/legacy?limit=1&cursor={pages[0]['next']}").json())
        assert sorted(page["items"][0]["id"] for page in pages) == sorted([first["id"], made["id"]])


def test_only_dates_are_kept_as_datetimes(tmp_path: Path) -> None:
    class Wrong(Model):
        id: int
        at: Annotated[datetime, Stored("datetime")]
        day: Annotated[date, Stored("text")]  # type: ignore[arg-type]
        when: Annotated[date, Stored("javaLegacy")]

    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db")
    app.crud(Wrong)(type("Routes", (), {}))
    with pytest.raises(UnsupportedModelError) as caught:
        app.build()
    assert "Wrong.at: Stored(kind='datetime') is for a date" in str(caught.value)
    assert "Wrong.day: Stored(kind='text') is none of 'datetime', 'pythonLegacy'" in str(caught.value)
    assert "Wrong.when: Stored(kind='javaLegacy') is for a UUID" in str(caught.value)
