"""Groups of rows on both stores, held against the same computed in Python."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, setcontext
from fractions import Fraction
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from ziggurat import Model, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Place(BaseModel):
    city: str


class Sale(Model):
    id: int
    kind: Literal["a", "b", "c"]
    place: Place | None = None
    price: Decimal | None = None
    amount: int = 0
    weight: float | None = None
    at: datetime
    day: date | None = None


DIMENSIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "kind": lambda row: row["kind"],
    "place.city": lambda row: row["place"] and row["place"]["city"],
    "month(at)": lambda row: row["at"][:7],
    "hour(at)": lambda row: row["at"][:13],
    "year(day)": lambda row: row["day"] and row["day"][:4],
    "amount": lambda row: row["amount"],
}


@pytest.fixture(autouse=True)
def exact() -> None:
    """Python computes with more digits than rows have."""
    setcontext(Context(prec=60))


def plain(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return "0" if text == "-0" else text


def computed(name: str, rows: list[dict[str, Any]]) -> Any:
    """What an aggregate is of rows; floats exactly, so that they are compared to 14 digits."""
    if name == "count":
        return len(rows)
    function, field = name.removesuffix(")").split("(")
    values = [row[field] for row in rows if row[field] is not None]
    if field == "price":
        values = [Decimal(value) for value in values]
    if function == "sum":
        total = sum(map(Fraction, values), Fraction(0))
        return plain(Decimal(total.numerator) / Decimal(total.denominator)) if field == "price" else total
    if not values:
        return None
    if function == "avg":
        mean = sum(map(Fraction, values), Fraction(0)) / len(values)
        return Decimal(mean.numerator) / Decimal(mean.denominator) if field == "price" else mean
    found = min(values) if function == "min" else max(values)
    return plain(found) if field == "price" else found


def agree(name: str, got: Any, wanted: Any) -> bool:
    if isinstance(wanted, Fraction):
        return abs(Fraction(got) - wanted) <= abs(wanted) / 10**14
    if isinstance(wanted, Decimal):
        return abs(Decimal(got) - wanted) <= abs(wanted) * Decimal("1e-26")
    return bool(got == wanted)


def sales(source: random.Random) -> list[dict[str, Any]]:
    rows = []
    for number in range(200):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=source.randrange(60 * 24 * 90))
        rows.append(
            {
                "id": number,
                "kind": source.choice("abc"),
                "place": source.choice([None, {"city": "Ur"}, {"city": "Zürich"}]),
                "price": source.choice([None, "0.10", "19.99", "-3", "1E+3", "123456789012345678901234567.25"]),
                "amount": source.choice([0, -1, 5, 2**62]),
                "weight": source.choice([None, 0.1, 0.2, 1e-9, -2.5]),
                "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "day": source.choice([None, str(date(2025 + source.randrange(2), 5, 1))]),
            }
        )
    return rows


def test_groups_are_what_python_computes(store_url: str) -> None:
    app = Ziggurat(store=store_url)
    measures = ("price", "amount", "weight")

    @app.crud(
        Sale,
        ops={"create", "group"},
        client_id=True,
        bulk=True,
        dimensions=tuple(DIMENSIONS),
        measures=(*measures, "at"),
    )
    class Sales: ...

    source = random.Random(20261129)
    rows = sales(source)
    aggregates = ["count", *(f"{function}({field})" for function in ("sum", "avg", "min", "max") for field in measures)]
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        assert client.post("/sale", json=rows).status_code == 201
        for _ in range(60):
            by = source.sample(list(DIMENSIONS), source.randrange(3))
            asked = source.sample(aggregates, source.randrange(1, 5))
            kinds = source.choice([None, ["a"], ["b", "c"]])
            query = f"by={','.join(by)}&agg={','.join(asked)}&limit=1000" + (
                f"&kind=in.({','.join(kinds)})" if kinds else ""
            )
            answer = client.get(f"/sale/_group?{query}")
            assert answer.status_code == 200, answer.text
            groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
            for row in rows:
                if kinds is None or row["kind"] in kinds:
                    groups[tuple(DIMENSIONS[name](row) for name in by)].append(row)
            # Null is the least, texts are in the order of their bytes.
            order = sorted(
                groups,
                key=lambda key: [
                    (part is not None, part if isinstance(part, int) else str(part).encode()) for part in key
                ],
            )
            got = json.loads(answer.content)
            assert got["more"] is False
            assert [tuple(item["by"].values()) for item in got["items"]] == order, query
            for item, key in zip(got["items"], order, strict=True):
                assert list(item["by"]) == by
                for name in asked:
                    assert agree(name, item[name], computed(name, groups[key])), (query, key, name, item[name])
        # The largest first, and no more than are wanted.
        top = client.get("/sale/_group?by=amount&agg=sum(price)&sort=-sum(price)&limit=2").json()
        sums = [Decimal(item["sum(price)"]) for item in top["items"]]
        assert top["more"] is True and sums == sorted(sums, reverse=True) and len(sums) == 2
        assert app.attach_counts()["crud"] == before
