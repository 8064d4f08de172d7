"""Models that are msgspec.Structs: what of them reaches native CRUD, and that it takes what msgspec takes."""

from __future__ import annotations

import enum
import json
import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
from msgspec import Meta, Struct, field
from test_crud_differential import VALUES

from ziggurat import CORE, CreatedAt, HookContext, Indexed, ReadOnly, WriteOnly, Ziggurat, now, uuid7
from ziggurat._schema import describe
from ziggurat.models import UnsupportedModelError
from ziggurat.testing import TestClient


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(Struct, forbid_unknown_fields=True):
    city: Annotated[str, Meta(min_length=1)]
    zip: int = 7


class Cat(Struct, tag="cat", tag_field="kind"):
    lives: Annotated[int, Meta(le=9)]


class Dog(Struct, tag="dog", tag_field="kind", rename="camel"):
    pet_name: str = "Rex"


@dataclass
class Point:
    x: int
    y: float = 0.5


class Thing(Struct, forbid_unknown_fields=True):
    id: uuid.UUID
    flag: bool = False
    number: int = 0
    small: Annotated[int, Meta(gt=0, le=10, multiple_of=2)] = 2
    real: float = 0.0
    bounded: Annotated[float, Meta(ge=-1.5, lt=1.5)] = 0.0
    text: str = ""
    short: Annotated[str, Meta(min_length=2, max_length=4)] = "abc"
    code: Annotated[str, Meta(pattern=r"^[A-Z]{2}\d+$")] = "AB1"
    key: uuid.UUID | None = None
    when: datetime | None = None
    day: date = date(2024, 5, 1)
    clock: time = time(9, 30)
    price: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    choice: Literal["a", "b", 3] = "a"
    maybe: Annotated[int, Meta(ge=0)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(min_length=1, max_length=3)] | None = None
    numbers: set[int] = field(default_factory=set)
    reals: tuple[float, ...] = ()
    pair: tuple[int, str] | None = None
    place: Place | None = None
    places: list[Place] = []
    counts: dict[str, int] = {}
    anything: Any = None
    either: int | str = 0
    pet: Cat | Dog | None = None
    point: Point | None = None


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Thing, "/things", client_id=True)(type("ThingRoutes", (), {}))
    with TestClient(app) as client:
        yield client


def narrower(members: dict[str, str], errors: list[dict[str, Any]]) -> bool:
    """Whether native CRUD refuses what msgspec takes, for a reason that is told in the documents."""
    known = {
        # Stores hold 64 bits, and a datetime without an offset is no instant.
        "int_out_of_range",
        "timezone_aware",
        "timezone_naive",
        # At most 34 digits, and finite.
        "decimal_max_digits",
        "decimal_out_of_range",
        "finite_number",
        # Keys that come twice, or that no store keeps.
        "duplicate_key",
        "invalid_key",
        # A text is one thing in one form.
        "uuid_parsing",
        "date_parsing",
        "datetime_parsing",
        "time_parsing",
        "decimal_parsing",
        # msgspec reads floats where a number is meant.
        "int_type",
    }
    return {error["code"] for error in errors} <= known


def compare(client: TestClient, members: dict[str, str]) -> None:
    body = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    answer = client.post("/things", content=body, headers={"content-type": "application/json"})
    try:
        theirs: Any = msgspec.json.decode(body, type=Thing)
    except msgspec.ValidationError as error:
        if answer.status_code == 201:
            # Other forms of the same: UUIDs in braces, times without seconds.
            assert re.search(r"\$\.(key|when|clock)$|\$\.(key|when|clock)`", str(error)), (body, error)
            return
        assert answer.status_code == 422, (body, answer.text)
        return
    if answer.status_code != 201:
        assert narrower(members, answer.json()["errors"]), (body, answer.text)
        return
    ours = msgspec.json.decode(answer.content, type=Thing)
    for name in Thing.__struct_fields__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if name == "when" and other is not None:
            # Native CRUD keeps milliseconds.
            other = other.replace(microsecond=other.microsecond // 1000 * 1000)
        if name == "clock" and mine != other:
            # msgspec rounds what is shorter than a microsecond, which native CRUD cuts off, as pydantic does.
            mine, other = mine.replace(microsecond=0), other.replace(microsecond=0)
        if name == "anything" and isinstance(other, int) and abs(other) >= 2**63:
            other = float(other)
        assert mine == other, (body, name)


@pytest.mark.parametrize("name", [name for name in Thing.__struct_fields__ if name != "id"])
def test_each_field_takes_what_msgspec_takes(client: TestClient, name: str) -> None:
    for value in VALUES:
        compare(client, {"id": f'"{uuid.uuid4()}"', name: value})


def test_whole_bodies_are_taken_alike(client: TestClient) -> None:
    chance = random.Random(11)
    names = [name for name in Thing.__struct_fields__ if name != "id"] + ["unknown"]
    for _ in range(500):
        chosen = chance.sample(names, chance.randint(1, 5))
        compare(client, {"id": f'"{uuid.uuid4()}"'} | {name: chance.choice(VALUES) for name in chosen})


class Book(Struct, kw_only=True, forbid_unknown_fields=True):
    id: uuid.UUID = field(default_factory=uuid7)
    title: Annotated[str, Meta(min_length=1)]
    isbn: Annotated[str, Indexed(unique=True)]
    pages: Annotated[int | None, Indexed()] = None
    secret: Annotated[str, WriteOnly] = ""
    made: Annotated[datetime, ReadOnly] = field(default_factory=now)
    pet: Cat | Dog | None = None


def test_structs_are_served(store_url: str) -> None:
    app = Ziggurat(store=store_url)

    @app.crud(Book, ops=CORE | {"count"})
    class Books:
        async def before_replace(self, ctx: HookContext[Book], doc: Book) -> Book:
            assert ctx.stored is not None and isinstance(ctx.stored.made, datetime)
            return msgspec.structs.replace(doc, title=doc.title.title())

    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        made = client.post("/book", json={"title": "one", "isbn": "1", "pet": {"kind": "dog", "petName": "Ben"}})
        assert made.status_code == 201, made.text
        assert list(made.json()) == ["id", "title", "isbn", "pages", "made", "pet"]
        assert made.json()["pet"] == {"kind": "dog", "petName": "Ben"}
        assert client.post("/book", json={"title": "two", "isbn": "1"}).status_code == 409
        assert client.get("/book?pages=is.null").json()["items"] == [made.json()]
        at = made.headers["location"]
        assert client.patch(at, json={"pet": {"kind": "cat", "lives": 9}}).json()["pet"] == {"kind": "cat", "lives": 9}
        assert app.attach_counts()["crud"] == before
        put = client.put(at, json={"title": "a book", "isbn": "2"})
        assert (put.status_code, put.json()["title"]) == (200, "A Book")
        # msgspec reads what is answered.
        read = msgspec.json.decode(client.get(at).content, type=Book, strict=True)
        assert (read.title, read.pages, read.pet) == ("A Book", None, None)


class Pair(NamedTuple):
    a: int


class Busy(Struct):
    a: int

    def __post_init__(self) -> None: ...


class Row(Struct, array_like=True):
    a: int


class Node(Struct):
    children: list[Node]


class Lonely(Struct, tag=True):
    a: int


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (timedelta, "M.x: a timedelta of a Struct is not supported natively"),
        (Pair, "M.x: a NamedTuple is not supported natively"),
        (complex, "M.x: an arbitrary class is not supported natively"),
        (msgspec.Raw, "M.x: msgspec.Raw is not supported natively"),
        (dict[int, str], "M.x: a dict whose keys are more than str is not supported natively"),
        (Annotated[datetime, Meta(tz=False)], "M.x: times without an offset are not supported natively"),
        (Annotated[time, Meta(tz=True)], "M.x: times with an offset are not supported natively"),
        (set[tuple[int, ...]], "M.x: a set of what holds no single value is not supported natively"),
        (Busy, "M.x: __post_init__ is Python code"),
        (Row, "M.x: array_like=True is not supported natively"),
        (None, "M.x: None alone is not supported natively"),
        (Annotated[list[int], Indexed()], "M.x: what holds no single value cannot be indexed"),
    ],
)
def test_what_is_not_honoured_is_refused(annotation: Any, what: str) -> None:
    model = msgspec.defstruct("M", [("id", uuid.UUID), ("x", annotation)])
    with pytest.raises(UnsupportedModelError) as caught:
        describe(model)
    assert caught.value.problems[0].startswith(what)


def test_a_struct_may_hold_itself() -> None:
    node = json.loads(describe(msgspec.defstruct("M", [("id", uuid.UUID), ("x", Node)])))["fields"][1]["type"]["schema"]
    assert node["fields"][0]["type"]["items"] == {"type": "back", "ref": node["ref"]}


def test_what_a_struct_says_is_kept() -> None:
    model = msgspec.defstruct(
        "M",
        [
            ("id", uuid.UUID),
            ("lonely", Lonely),
            ("at", CreatedAt, field(default_factory=now)),
            ("code", Annotated[str, Meta(pattern=r"[$]a\$$")], "$a$"),
        ],
        rename={"code": "theCode"},
    )
    described = json.loads(describe(model))
    assert described["unknown"] == "ignore", "as msgspec does unless it is told otherwise"
    assert described["fields"][1:] == [
        {
            "name": "lonely",
            "type": {
                "type": "model",
                "schema": {
                    "name": "Lonely",
                    "unknown": "ignore",
                    "fields": [
                        {
                            "name": "type",
                            "type": {"type": "literal", "values": ["Lonely"]},
                            "default": {"value": "Lonely"},
                        },
                        {"name": "a", "type": {"type": "int"}},
                    ],
                },
            },
        },
        {"name": "at", "type": {"type": "datetime"}, "default": {"factory": "now"}, "access": "read_only"},
        {
            "name": "theCode",
            "type": {"type": "str", "pattern": r"[$]a\$(?:\n?\z)"},
            "default": {"value": "$a$"},
        },
    ]
    made = msgspec.defstruct("M", [("id", uuid.UUID), ("x", int, field(default_factory=lambda: 1))])
    with pytest.raises(UnsupportedModelError, match=r"default factory .*lambda.* is Python code"):
        describe(made)
