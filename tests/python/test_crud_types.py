"""What fields may hold, and what may be asked of it, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from ziggurat import CORE, F, Indexed, Model, Policy, Ziggurat, new_event_loop
from ziggurat.testing import TestClient


class Fee(BaseModel):
    rate: Decimal
    every: timedelta = timedelta(days=30)


class Offer(Model):
    id: int
    price: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2), Indexed()]
    code: Annotated[Decimal, Indexed(unique=True)] | None = None
    lasts: Annotated[timedelta, Field(gt=timedelta(0))] | None = None
    steps: list[Decimal] = []  # noqa: RUF012 - pydantic copies it
    fee: Fee | None = None


@pytest.fixture
def client(store_url: str) -> Iterator[TestClient]:
    app = Ziggurat(store=store_url)
    app.crud(Offer, client_id=True, policy=Policy(read=F.price < Decimal("1000.5")))(type("Offers", (), {}))
    with TestClient(app) as client:
        yield client


def ids(client: TestClient, query: str) -> list[int]:
    answer = client.get(f"/offer?{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_decimals_and_durations(client: TestClient) -> None:
    offers: list[dict[str, Any]] = [
        {"id": 1, "price": "10.50", "lasts": "PT90M", "steps": ["1.5", 2], "code": "7.0"},
        {"id": 2, "price": 9.5, "lasts": "P400D", "fee": {"rate": "0.025"}},
        {"id": 3, "price": "100", "steps": [1.50, "3E2"], "fee": {"rate": "1E-7", "every": "PT0.000001S"}},
        {"id": 4, "price": "10.5", "lasts": "1 day, 02:00:00"},
    ]
    for offer in offers:
        assert client.post("/offer", json=offer).status_code == 201
    assert client.get("/offer/1").text == (
        '{"id":1,"price":"10.50","code":"7.0","lasts":"PT1H30M","steps":["1.5","2"],"fee":null}'
    )
    assert client.get("/offer/2").json()["lasts"] == "P1Y35D"
    assert client.get("/offer/2").json()["fee"] == {"rate": "0.025", "every": "P30D"}
    assert client.get("/offer/3").json()["steps"] == ["1.5", "3E+2"]
    assert client.get("/offer/3").json()["fee"] == {"rate": "1E-7", "every": "PT0.000001S"}

    assert ids(client, "sort=price") == [2, 1, 4, 3]
    assert ids(client, "sort=-price,-id") == [3, 4, 1, 2]
    assert ids(client, "price=10.50") == [1, 4]
    assert ids(client, "price=gt.9.5&price=lte.10.5") == [1, 4]
    assert ids(client, "price=in.(9.50,1e2)&sort=id") == [2, 3]
    assert ids(client, "price=ne.100.00&sort=id") == [1, 2, 4]
    assert ids(client, "steps=has.1.50") == [1, 3]
    assert ids(client, "steps=hasall.(1.5,300)") == [3]
    assert ids(client, "fee.rate=lt.0.02") == [3]
    assert ids(client, "fee.every=gte.P30D") == [2]
    assert ids(client, "lasts=gt.PT1H30M&sort=lasts") == [4, 2]
    assert ids(client, "lasts=1:30:00") == [1]
    assert ids(client, "lasts=is.null") == [3]

    for sort in ("price", "-price", "lasts", "-lasts"):
        walked, url = [], f"/offer?limit=1&sort={sort}"
        while True:
            page = client.get(url).json()
            walked += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            url = f"/offer?limit=1&sort={sort}&cursor={page['next']}"
        assert walked == ids(client, f"sort={sort}")

    taken = client.post("/offer", json={"id": 5, "price": 1, "code": 7})
    assert taken.status_code == 409 and taken.json()["errors"][0]["pointer"] == "/code", "7 and 7.0 are one number"
    assert client.patch("/offer/4", json={"price": "1000.50"}).status_code == 403, "the policy compares numbers"
    assert client.patch("/offer/4", json={"price": "1000.49", "lasts": "PT1S"}).json()["price"] == "1000.49"


def test_what_is_no_decimal_or_duration_is_named(client: TestClient) -> None:
    def codes(offer: dict[str, Any]) -> list[tuple[str, str]]:
        answer = client.post("/offer", json={"id": 9, "price": 1} | offer)
        assert answer.status_code == 422
        return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]

    assert codes({"price": "a"}) == [("/price", "decimal_parsing")]
    assert codes({"price": True}) == [("/price", "decimal_type")]
    assert codes({"price": None}) == [("/price", "decimal_type")]
    assert codes({"price": "NaN"}) == [("/price", "finite_number")]
    assert codes({"price": "-0.01"}) == [("/price", "greater_than_equal")]
    assert codes({"price": "1.001"}) == [("/price", "decimal_max_places")]
    assert codes({"price": "12345678901.5"}) == [("/price", "decimal_whole_digits")]
    assert codes({"code": "1E9999"}) == [("/code", "decimal_out_of_range")]
    assert codes({"code": "1" * 35}) == [("/code", "decimal_max_digits")]
    assert codes({"steps": [1, "x"], "lasts": "PT0S"}) == [("/steps/1", "decimal_parsing"), ("/lasts", "greater_than")]
    assert codes({"lasts": 5}) == [("/lasts", "time_delta_type")]
    assert codes({"lasts": "P1"}) == [("/lasts", "time_delta_parsing")]
    assert codes({"lasts": "P200000000D"}) == [("/lasts", "time_delta_parsing")]

    wrong = client.get("/offer?price=gt.x&lasts=5%20days%20ago")
    assert wrong.status_code == 422
    assert [(error["parameter"], error["code"]) for error in wrong.json()["errors"]] == [
        ("price", "decimal_parsing"),
        ("lasts", "time_delta_parsing"),
    ]


def test_code_reads_what_it_wrote(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Offer)
    native = app.build()

    async def story() -> None:
        fee = Fee(rate=Decimal("1E-7"), every=timedelta(days=-1, microseconds=1))
        offer = Offer(id=1, price=Decimal("12.30"), lasts=timedelta(hours=1), steps=[Decimal(1)], fee=fee)
        await offer.insert()
        found = await Offer.get(1)
        assert found == offer and str(found.price) == "12.30", "digits are kept as they were"
        hour = timedelta(hours=1)
        assert await Offer.find(Offer.price == Decimal("12.3"), Offer.lasts == hour).count() == 1
        assert await Offer.find(Offer.lasts > hour).count() == 0
        assert await Offer.find(F.fee.every < timedelta(0), F.steps.has(Decimal("1.0"))).count() == 1

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())
    native.close()


class Room(BaseModel):
    name: str
    size: int = 10


class Hotel(Model):
    id: int
    meta: dict[str, Any] = {}  # noqa: RUF012
    stars: Annotated[dict[str, int | None], Field(max_length=3)] | None = None
    rooms: dict[str, Room] = {}  # noqa: RUF012
    any: Any = None
    photo: bytes = b""


@pytest.fixture
def hotels(store_url: str) -> Iterator[TestClient]:
    app = Ziggurat(store=store_url)
    app.crud(Hotel, client_id=True)(type("Hotels", (), {}))
    with TestClient(app) as client:
        yield client


def test_dicts_and_anything(hotels: TestClient) -> None:
    meta = {"b": [1, 2.5, None, {"deep": {"er": "x"}}], "a": True, "1": -0.5, "é'\"": "\0", "_id": 1, "__proto__": {}}
    hotel = {"id": 1, "meta": meta, "stars": {"x": 5, "y": None}, "rooms": {"r": {"name": "R"}}, "photo": "+/8"}
    made = hotels.post("/hotel", json=hotel)
    assert made.status_code == 201, made.text
    assert list(made.json()["meta"]) == list(meta), "names keep their order"
    assert hotels.get("/hotel/1").json() == {
        **hotel,
        "rooms": {"r": {"name": "R", "size": 10}},
        "any": None,
        "photo": "-_8=",
    }
    for number, value in enumerate([None, True, 3, 2.5, "x", [None], {}, {"a": [[]]}, [{"a": None}]], start=2):
        assert hotels.post("/hotel", json={"id": number, "any": value}).json()["any"] == value
        assert hotels.get(f"/hotel/{number}").json()["any"] == value

    def ids(query: str) -> list[int]:
        answer = hotels.get(f"/hotel?{query}")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert ids("meta=haskey.a") == [1]
    assert ids("meta=haskey.$where") == ids("meta=haskey.b.0") == ids("meta=haskey.") == []
    assert ids("stars=haskey.y") == [1], "also one that is null"
    assert ids("stars=not.haskey.y&id=lt.4") == [2, 3]
    assert ids("stars=is.notnull") == [1]
    assert ids("any=is.null") == [1, 2]
    for query, says in (
        ("meta=x", "haskey"),
        ("any=x", "cannot be compared"),
        ("photo=eq.YQ", "cannot be compared"),
        ("sort=meta", "sort"),
    ):
        refused = hotels.get(f"/hotel?{query}")
        assert refused.status_code in (400, 422) and says in refused.text, refused.text


def test_a_patch_merges_into_dicts(hotels: TestClient) -> None:
    hotel = {"id": 1, "meta": {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}, "rooms": {"r": {"name": "R"}}}
    assert hotels.post("/hotel", json=hotel).status_code == 201

    def patched(change: dict[str, Any]) -> Any:
        answer = hotels.patch("/hotel/1", json=change)
        assert answer.status_code == 200, answer.text
        assert answer.json() == hotels.get("/hotel/1").json()
        return answer.json()

    # The example of RFC 7396, section 3, over a dict of anything.
    merged = patched({"meta": {"a": None, "b": {"c": None, "n": {"x": None, "y": 1}}, "e": [None], "f": "g"}})
    assert merged["meta"] == {"b": {"d": 2, "n": {"y": 1}}, "e": [None], "f": "g"}
    assert list(merged["meta"]) == ["b", "e", "f"]
    assert patched({"any": {"x": {"y": None}, "z": 1}})["any"] == {"x": {}, "z": 1}
    assert patched({"any": {"x": {"y": 2}}})["any"] == {"x": {"y": 2}, "z": 1}
    assert patched({"any": [{"x": None}]})["any"] == [{"x": None}]
    assert patched({"any": None})["any"] is None
    assert patched({"rooms": {"r": {"size": 5}, "s": {"name": "S"}}})["rooms"] == {
        "r": {"name": "R", "size": 5},
        "s": {"name": "S", "size": 10},
    }
    assert patched({"rooms": {"r": None}})["rooms"] == {"s": {"name": "S", "size": 10}}
    assert patched({"stars": {"a": 1, "b": None}})["stars"] == {"a": 1}
    assert patched({"stars": None})["stars"] is None

    def refused(change: dict[str, Any]) -> list[tuple[str, str]]:
        answer = hotels.patch("/hotel/1", json=change)
        assert answer.status_code == 422, answer.text
        return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]

    assert refused({"rooms": {"t": {"size": 1}}}) == [("/rooms/t/name", "missing")]
    assert refused({"rooms": {"s": {"size": "x"}, "t": 1}}) == [
        ("/rooms/s/size", "int_type"),
        ("/rooms/t", "model_type"),
    ]
    assert refused({"stars": {"a": 1, "b": 2, "c": 3, "d": 4}}) == [("/stars", "too_long")]
    assert refused({"stars": {"a": "x"}, "meta": 1}) == [("/stars/a", "int_type"), ("/meta", "dict_type")]


def test_names_that_no_store_could_keep_are_refused(hotels: TestClient) -> None:
    def refused(body: str) -> list[tuple[str, str]]:
        answer = hotels.post("/hotel", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
        return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]

    names = '"": 1, "$gt": 1, "a.b": 1, "a\\u0000": 1, "$": 1'
    assert refused(f'{{"id": 1, "meta": {{{names}}}}}') == [
        ("/meta/", "invalid_key"),
        ("/meta/$gt", "invalid_key"),
        ("/meta/a.b", "invalid_key"),
        ("/meta/a\0", "invalid_key"),
        ("/meta/$", "invalid_key"),
    ]
    assert refused('{"id": 1, "any": [{"$where": "1"}]}') == [("/any/0/$where", "invalid_key")]
    assert refused('{"id": 1, "meta": {"a": 1, "a": 2}}') == [("/meta/a", "duplicate_key")]
    deep = "[" * 70 + "]" * 70
    [(pointer, code)] = refused(f'{{"id": 1, "any": {deep}}}')
    assert code == "too_deep" and pointer == "/any" + "/0" * 63
    deepest = "[" * 63 + "]" * 63
    assert (
        hotels.post(
            "/hotel", content=f'{{"id": 1, "any": {deepest}}}', headers={"content-type": "application/json"}
        ).status_code
        == 201
    )
    too_deep = "[" * 200 + "]" * 200
    answer = hotels.post(
        "/hotel", content=f'{{"id": 2, "any": {too_deep}}}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400 and "nested too deeply" in answer.text


def test_code_keeps_bytes_and_dicts(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Hotel)
    native = app.build()

    async def story() -> None:
        hotel = Hotel(id=1, meta={"a": [1, {"b": None}]}, rooms={"r": Room(name="R")}, photo=b"\x00\xff", any="x")
        await hotel.insert()
        found = await Hotel.get(1)
        assert found == hotel and found.photo == b"\x00\xff" and isinstance(found.rooms["r"], Room)
        found.meta["c"] = 1.5
        await found.save()
        assert await Hotel.find(F.meta.has_key("c")).count() == 1
        assert await Hotel.find(~F.meta.has_key("c")).count() == 0

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())
    native.close()


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Transfer(BaseModel):
    iban: str
    kind: Literal["transfer", "sepa"]
    days: int | float = 1


class Payment(Model):
    id: int
    by: Annotated[Card | Transfer, Field(discriminator="kind")]
    also: list[Annotated[Card | Transfer, Field(discriminator="kind")]] = []  # noqa: RUF012
    note: str | list[str] | None = None


def test_unions(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Payment, client_id=True)(type("Payments", (), {}))
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        card = {"kind": "card", "number": "4"}
        transfer = {"kind": "sepa", "iban": "DE1", "days": 2.0}
        assert client.post("/payment", json={"id": 1, "by": card}).status_code == 201
        made = client.post("/payment", json={"id": 2, "by": transfer, "also": [card, transfer], "note": ["a", "b"]})
        assert made.text == (
            '{"id":2,"by":{"iban":"DE1","kind":"sepa","days":2.0},"also":[{"kind":"card","number":"4"},'
            '{"iban":"DE1","kind":"sepa","days":2.0}],"note":["a","b"]}'
        )
        assert client.get("/payment/2").text == made.text
        patched = client.patch("/payment/2", json={"by": {"days": 3}, "also": [card], "note": "c"})
        assert patched.text == (
            '{"id":2,"by":{"iban":"DE1","kind":"sepa","days":3},"also":[{"kind":"card","number":"4"}],"note":"c"}'
        )
        assert client.get("/payment/2").text == patched.text
        assert client.patch("/payment/2", json={"by": card}).json()["by"] == card
        assert [row["id"] for row in client.get("/payment?note=is.null").json()["items"]] == [1]
        refused = client.post("/payment", json={"id": 3, "by": {"kind": "cash"}, "note": 1, "also": [{}]}).json()
        assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [
            ("/by", "union_tag_invalid"),
            ("/note", "string_type"),
            ("/note", "list_type"),
            ("/also/0", "union_tag_not_found"),
        ]
        assert app.attach_counts()["crud"] == before


class Comment(BaseModel):
    text: Annotated[str, Field(min_length=1)]
    replies: list[Comment] = []


class Thread(Model):
    id: int
    top: Comment | None = None


def test_models_that_hold_themselves(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Thread, client_id=True)(type("Threads", (), {}))
    with TestClient(app) as client:
        top = {"text": "a", "replies": [{"text": "b", "replies": [{"text": "c", "replies": []}]}]}
        made = client.post("/thread", json={"id": 1, "top": top})
        assert made.json() == client.get("/thread/1").json() == {"id": 1, "top": top}
        wrong = client.post("/thread", json={"id": 2, "top": {"text": "a", "replies": [{"text": ""}]}}).json()
        assert [error["pointer"] for error in wrong["errors"]] == ["/top/replies/0/text"]
        assert client.get("/openapi.json").status_code == 200


def test_code_reads_the_models_of_a_union(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.keep(Payment)
    native = app.build()

    async def story() -> None:
        payment = Payment(id=1, by=Transfer(kind="sepa", iban="DE1", days=2.5), also=[Card(number="4")], note=["x"])
        await payment.insert()
        found = await Payment.get(1)
        assert found == payment and isinstance(found.by, Transfer) and isinstance(found.also[0], Card)
        found.by = Card(number="5")
        await found.save()
        assert (await Payment.get(1)) == found
        assert await Payment.find(F.note.is_null()).count() == 0

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())
    native.close()


def test_the_document_says_how_they_are_written(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    price = schemas["Offer"]["properties"]["price"]
    assert price == {"type": "string", "format": "decimal"}
    sent = schemas["OfferCreate"]["properties"]["price"]
    assert sent == {"anyOf": [{"type": "number", "minimum": 0.0}, {"type": "string", "format": "decimal"}]}


class Stop(Model):
    id: int
    at: tuple[float, float]
    legs: list[tuple[str, Annotated[int, Field(ge=0)]]] = []  # noqa: RUF012 - pydantic copies it
    hint: tuple[UUID, datetime | None] | None = None


def test_tuples_with_a_type_for_each_item(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    app.crud(Stop, client_id=True, ops=CORE | {"export"})(type("Stops", (), {}))
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        body = {
            "id": 1,
            "at": [52, 13.5],
            "legs": [["u", 3], ["s", 0]],
            "hint": ["A" * 8 + "-0000-4000-8000-" + "0" * 12, None],
        }
        made = client.post("/stop", json=body)
        kept = {**body, "at": [52.0, 13.5], "hint": [body["hint"][0].lower(), None]}
        assert made.json() == kept and client.get("/stop/1").json() == kept
        assert made.text.index("52.0") > 0, "an int became a float"
        assert client.patch("/stop/1", json={"at": [1, 2], "hint": None}).json()["at"] == [1.0, 2.0]
        assert [row["id"] for row in client.get("/stop?hint=is.null").json()["items"]] == [1]
        assert client.get("/stop?at=eq.1").status_code == 422
        assert client.get("/stop?sort=at").status_code == 400
        for bad, errors in [
            ({"at": [1]}, [("/at/1", "missing")]),
            ({"at": []}, [("/at/0", "missing"), ("/at/1", "missing")]),
            ({"at": [1, 2, 3]}, [("/at", "too_long")]),
            ({"at": [1, "x"]}, [("/at/1", "float_type")]),
            ({"at": {"0": 1}}, [("/at", "tuple_type")]),
            ({"legs": [["u", -1], ["s"]]}, [("/legs/0/1", "greater_than_equal"), ("/legs/1/1", "missing")]),
        ]:
            answer = client.patch("/stop/1", json=bad)
            assert answer.status_code == 422
            assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == errors, bad
        assert client.get("/stop/_export").text.count("\n") == 1
        assert app.attach_counts()["crud"] == before
        properties = app.openapi()["components"]["schemas"]["Stop"]["properties"]
        assert properties["at"]["prefixItems"] == [{"type": "number"}] * 2 and properties["at"]["maxItems"] == 2
