"""What fields may hold, and what may be asked of it, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from ziggurat import F, Indexed, Model, Policy, Ziggurat, new_event_loop
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


def test_the_document_says_how_they_are_written(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    price = schemas["Offer"]["properties"]["price"]
    assert price == {"type": "string", "format": "decimal"}
    sent = schemas["OfferCreate"]["properties"]["price"]
    assert sent == {"anyOf": [{"type": "number", "minimum": 0.0}, {"type": "string", "format": "decimal"}]}
