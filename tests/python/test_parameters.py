"""Parameters from the path, the query, headers and cookies: kinds, limits, names and places."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, NewType

import msgspec
import pytest
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Discriminator,
    Field,
    HttpUrl,
    Json,
    StringConstraints,
    conint,
)

from ziggurat import Body, ConfigError, Cookie, Depends, File, Form, Header, Path, Query, WebSocket, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

UserId = NewType("UserId", int)


class Truth(Enum):
    NO = False
    YES = True


class Item(BaseModel):
    name: str


def odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("has to be odd")
    return number


Odd = Annotated[int, AfterValidator(odd)]


def codes(answer: Any) -> list[tuple[str, str]]:
    """Place and kind of all that was wrong."""
    assert answer.status_code == 422, answer.content
    found = answer.json()["errors"]
    return [(next(e[k] for k in ("parameter", "path", "header", "cookie") if k in e), e["code"]) for e in found]


def test_more_kinds(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    got: dict[str, Any] = {}

    @app.get("/{user}")
    async def handler(
        user: UserId,
        at: time,
        lasts: timedelta,
        price: Decimal,
        four: IPv4Address,
        six: IPv6Address,
        order: Literal["asc", "desc"],
        level: Literal[1, 2],
        truth: Truth,
        ago: timedelta = timedelta(0),
    ) -> None:
        got.update(locals())

    query = "at=12:30:00.5&lasts=P1DT90S&price=1.10&four=10.0.0.1&six=::1&order=desc&level=2&truth=true&ago=-PT1.5S"
    answer = client().get(f"/7?{query}")
    assert answer.status_code == 200, answer.content
    got.pop("got", None)
    assert got == {
        "user": 7,
        "at": time(12, 30, 0, 500_000),
        "lasts": timedelta(days=1, seconds=90),
        "price": Decimal("1.10"),
        "four": IPv4Address("10.0.0.1"),
        "six": IPv6Address("::1"),
        "order": "desc",
        "level": 2,
        "truth": Truth.YES,
        "ago": timedelta(seconds=-1.5),
    }
    assert str(got["price"]) == "1.10" and type(got["level"]) is int


def test_each_kind_says_what_is_wrong(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(
        at: time, lasts: timedelta, price: Decimal, four: IPv4Address, six: IPv6Address, order: Literal["a", "b"]
    ) -> None:
        raise AssertionError("it must not run")

    started = client()
    before = app.attach_counts()
    answer = started.get("/?at=25:00&lasts=P999999999DT1S&price=1e9999&four=1.2.3.4.5&six=1.2.3.4&order=c")
    assert codes(answer) == [
        ("at", "time_parsing"),
        ("lasts", "time_delta_parsing"),
        ("price", "decimal_parsing"),
        ("four", "ip_v4_address"),
        ("six", "ip_v6_address"),
        ("order", "literal_error"),
    ]
    assert app.attach_counts() == before


def test_limits_of_all_kinds(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(
        count: Annotated[int, Query(multiple_of=5, gt=0)] = 5,
        ratio: Annotated[float, Field(lt=1), Query()] = 0.5,
        price: Annotated[Decimal, Query(ge=Decimal("0.10"), max_digits=4, decimal_places=2)] = Decimal(1),
        name: Annotated[str, Query(min_length=2, pattern="^[a-z]+$")] = "ab",
        code: Annotated[str, StringConstraints(pattern=r"^\d+$")] = "1",
        tags: Annotated[list[Annotated[str, Field(max_length=2)]], Query(min_length=2, max_length=3)] = [],  # noqa: B006
    ) -> None: ...

    started = client()
    assert started.get("/?count=10&ratio=0.9&price=99.10&name=abc&code=12&tags=a&tags=b").status_code == 200
    answer = started.get("/?count=7&ratio=1&price=0.09&name=A1&code=x&tags=a")
    assert codes(answer) == [
        ("count", "multiple_of"),
        ("ratio", "less_than"),
        ("price", "greater_than_equal"),
        ("name", "string_pattern_mismatch"),
        ("code", "string_pattern_mismatch"),
        ("tags", "too_short"),
    ]
    assert [e["limit"] for e in answer.json()["errors"]] == [5, 1, "0.10", "^[a-z]+$", r"^\d+$", 2]
    answer = started.get("/?count=0&price=1.001&tags=a&tags=b&tags=c&tags=d")
    assert codes(answer) == [("count", "greater_than"), ("price", "decimal_max_places"), ("tags", "too_long")]
    assert codes(started.get("/?tags=abc&tags=abcd&tags=a")) == [("tags", "string_too_long")] * 2


def test_lists_sets_and_tuples(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    got: dict[str, Any] = {}

    @app.get("/")
    async def handler(
        many: list[int],
        some: Annotated[set[int], Query(min_length=2)],
        fixed: frozenset[str],
        row: tuple[float, ...],
        bare: list,  # type: ignore[type-arg]
        none: list[int] | None = None,
    ) -> None:
        got.update(locals())

    started = client()
    query = "many=1&many=1&some=1&some=2&some=01&fixed=a&fixed=a&row=1&row=2&bare=x"
    assert started.get(f"/?{query}").status_code == 200
    got.pop("got", None)
    assert got == {
        "many": [1, 1],
        "some": {1, 2},
        "fixed": frozenset({"a"}),
        "row": (1.0, 2.0),
        "bare": ["x"],
        "none": None,
    }
    # What counts of a set is what it holds.
    assert codes(started.get("/?many=1&some=1&some=01&fixed=a&row=1&bare=x")) == [("some", "too_short")]
    assert codes(started.get("/?some=x&some=y&fixed=a&row=1&bare=x"))[:3] == [
        ("many", "missing"),
        ("some", "int_parsing"),
        ("some", "int_parsing"),
    ]


def test_headers_and_cookies(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(
        user_agent: Annotated[str, Header()],
        session: Annotated[str, Cookie()],
        count: Annotated[int, Cookie(alias="c-ount", le=3)] = 0,
        x_id: Annotated[list[int] | None, Header()] = None,
        under_score: Annotated[str | None, Header(convert_underscores=False)] = None,
        seen: Annotated[list[str], Cookie()] = [],  # noqa: B006
    ) -> list[Any]:
        return [user_agent, session, count, x_id, under_score, seen]

    started = client()
    answer = started.get(
        "/",
        headers=[
            ("user-agent", "me"),
            ("cookie", 'session="a b"; c-ount=2; seen=x; broken; session=other'),
            ("cookie", "seen=y"),
            ("x-id", "1"),
            ("x-id", "2"),
            ("under_score", "kept"),
        ],
    )
    assert answer.json() == ["me", "a b", 2, [1, 2], "kept", ["x", "y"]]
    answer = started.get("/", headers=[("user-agent", "me"), ("cookie", "c-ount=4"), ("x-id", "z")])
    assert codes(answer) == [("session", "missing"), ("c-ount", "less_than_equal"), ("x-id", "int_parsing")]
    # Names of cookies have large and small letters.
    assert codes(started.get("/", headers=[("user-agent", "me"), ("cookie", "Session=1")])) == [("session", "missing")]


def test_defaults_are_made_anew(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(
        tags: Annotated[list[str], Query(default_factory=list)],
        size: Annotated[int, Field(default_factory=lambda: 7)],
    ) -> int:
        tags.append("x")
        return len(tags) * size

    started = client()
    assert [started.get("/").json() for _ in range(3)] == [7, 7, 7]


def test_markers_within_unions_and_names_for_types(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    Small = Annotated[int, Field(le=9)]

    @app.get("/{a}")
    async def handler(
        a: Annotated[Small, Path(ge=1)], b: Annotated[int, Query(alias="B", ge=1)] | None = None, c: Small | None = None
    ) -> list[Any]:
        return [a, b, c]

    started = client()
    assert started.get("/1?B=2&c=3").json() == [1, 2, 3]
    assert started.get("/1").json() == [1, None, None]
    assert codes(started.get("/0?B=0&c=10")) == [
        ("a", "greater_than_equal"),
        ("B", "greater_than_equal"),
        ("c", "less_than_equal"),
    ]


def test_one_function_serves_a_path_with_and_without_it(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    async def handler(page: int = 1) -> int:
        return page

    app.get("/pages")(handler)
    app.get("/pages/{page}")(handler)
    started = client()
    assert [started.get(at).json() for at in ("/pages", "/pages?page=2", "/pages/3")] == [1, 2, 3]


def test_the_document_shows_parameters() -> None:
    app = Ziggurat()

    @app.get("/")
    async def handler(
        limit: Annotated[int, Query(ge=1, multiple_of=5, title="Limit", description="how many", examples=[5])] = 10,
        order: Literal["asc", "desc"] = "asc",
        tags: Annotated[set[str], Query(max_length=3, deprecated=True)] = set(),  # noqa: B006
        session: Annotated[str | None, Cookie(include_in_schema=False)] = None,
        theme: Annotated[str, Cookie(pattern="^a")] = "a",
        lasts: timedelta = timedelta(seconds=1),
    ) -> None: ...

    shown = app.openapi()["paths"]["/"]["get"]["parameters"]
    assert shown == [
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "description": "how many",
            "schema": {
                "type": "integer",
                "minimum": 1,
                "multipleOf": 5,
                "default": 10,
                "title": "Limit",
                "examples": [5],
            },
        },
        {
            "name": "order",
            "in": "query",
            "required": False,
            "schema": {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
        },
        {
            "name": "tags",
            "in": "query",
            "required": False,
            "deprecated": True,
            "schema": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 3, "default": []},
        },
        {
            "name": "theme",
            "in": "cookie",
            "required": False,
            "schema": {"type": "string", "pattern": "^a", "default": "a"},
        },
        {
            "name": "lasts",
            "in": "query",
            "required": False,
            "schema": {"type": "string", "format": "duration", "default": "PT1S"},
        },
    ]


@pytest.mark.parametrize(
    ("annotation", "default", "told"),
    [
        (Annotated[int, Query(pattern="a")], ..., "limit pattern='a' cannot be checked"),
        (Annotated[str, Query(pattern="(?=a)")], ..., "look-around"),
        (Annotated[str, Query(pattern=re.compile("a", re.IGNORECASE))], ..., "has flags"),
        (Annotated[int, Discriminator("kind")], ..., "what 'a' is annotated with cannot be checked"),
        (Annotated[str, msgspec.Meta(title="a")], ..., "which is not understood"),
        (list[int] | int, ..., "cannot be read from the query"),
        (Annotated[Item | int, Query()], ..., "cannot be read from the query"),
        (Annotated[list[Item], Query()], ..., "cannot be read from the query"),
        (type[int], ..., "cannot be read from the query"),
        (Callable[[], int], ..., "cannot be read from the query"),
        (Annotated[int, Field(strict=True)], ..., "which is not understood"),
        (Annotated[int, Field(5)], ..., "has a default"),
        (Annotated[list[int], Query(ge=1)], ..., r"write list[Annotated[int, Field(ge=1)]]"),
        (Annotated[int, Query(), Header()], ..., "has two markers"),
        (Annotated[int, Query(default_factory=int)], 1, "has a default and a default_factory"),
        (Annotated[int, Query(multiple_of=0)], ..., "multiple_of=0 cannot be checked"),
        (Annotated[str, Query(max_length=-1)], ..., "max_length=-1 cannot be checked"),
        (Annotated[str, Header(alias="a b")], ..., "'a b' cannot be the name of a header"),
        (Annotated[str, Cookie(alias="a;b")], ..., "'a;b' cannot be the name of a cookie"),
        (tuple[int, str], ..., "write tuple[int, ...]"),
        (list[int | None], ..., "cannot be None"),
        (Literal["a", b"b"], ..., "cannot be read from the query"),
        (Annotated[int, Path(alias="x")], 3, "which is always there"),
    ],
)
def test_what_cannot_be_checked_is_refused(annotation: Any, default: Any, told: str) -> None:
    async def handler(a: Any) -> None: ...

    handler.__annotations__["a"] = annotation
    if default is not ...:
        handler.__defaults__ = (default,)
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        Ziggurat().get("/{x}" if "always" in told else "/")(handler)
    assert "test_parameters.py:" in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "query", "expected"),
    [
        (int | float, "a=1", 1),
        (int | float, "a=1.5", 1.5),
        (int | float, "a=b", ["int_parsing", "float_parsing"]),
        (int | float, "", ["missing"]),
        (int | str, "a=1", "1"),
        (Annotated[int | str, Field(union_mode="left_to_right")], "a=1", 1),
        (int | datetime | None, "", None),
        (Truth | int, "a=7", 7),
        (IPv4Address | IPv6Address, "a=::1", IPv6Address("::1")),
        (HttpUrl, "a=http://b.example/", HttpUrl("http://b.example/")),
        (HttpUrl, "a=b", ["url_parsing"]),
        (Annotated[HttpUrl | None, Query(alias="b")], "b=http://b.example/", HttpUrl("http://b.example/")),
        (Annotated[HttpUrl, Field(alias="b")], "b=http://b.example/", HttpUrl("http://b.example/")),
        (Annotated[HttpUrl, Field(alias="b")], "b=a", ["url_parsing"]),
        (pathlib.Path, "a=b/c", pathlib.Path("b/c")),
        (AwareDatetime, "a=2026-01-01T00:00:00", ["timezone_aware"]),
        (conint(ge=3), "a=2", ["greater_than_equal"]),
        (Annotated[str, StringConstraints(to_lower=True, min_length=2)], "a=AB", "ab"),
        (Annotated[str, StringConstraints(to_lower=True, min_length=2)], "a=A", ["string_too_short"]),
        (Odd, "a=3", 3),
        (Odd, "a=4", ["value_error"]),
        (Annotated[Odd, Query(ge=5)], "a=3", ["greater_than_equal"]),
        (list[Odd], "a=3&a=5", [3, 5]),
        (list[Odd], "a=2&a=3&a=4", ["value_error", "value_error"]),
        (list[int | float] | None, "", None),
        (Annotated[list[HttpUrl], Query(default_factory=list)], "", []),
        (Sequence[int], "a=1&a=2", [1, 2]),
        (Annotated[Json[list[int]], Query()], "a=[1,2]", [1, 2]),
        (Annotated[Json[dict[str, int]], Query()], "a=%7B%22b%22:1%7D", {"b": 1}),
        (Annotated[Json[list[int]], Query()], "a=[", ["json_invalid"]),
    ],
)
def test_what_rust_does_not_know_is_made_by_pydantic(
    annotation: Any, query: str, expected: Any, app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    got: list[Any] = []

    async def handler(a: Any) -> None:
        got.append(a)

    handler.__annotations__["a"] = annotation
    app.get("/")(handler)
    answer = client().get(f"/?{query}")
    if got:
        assert (got[0], type(got[0])) == (expected, type(expected))
    else:
        assert [code for _, code in codes(answer)] == expected


def test_pydantic_makes_values_wherever_they_stand(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    def dependency(odd: Annotated[Odd, Query(alias="o")] = 1) -> int:
        return odd

    @app.post("/{number}")
    async def handler(
        number: Odd,
        size: Annotated[int, Depends(dependency)],
        link: Annotated[HttpUrl, Header(alias="x-link")],
        flag: Annotated[int | bool, Cookie()],
        field: Annotated[Odd, Form()] = 9,
    ) -> list[object]:
        return [number, size, str(link), flag, field]

    @app.websocket("/socket")
    async def socket(ws: WebSocket, number: Odd) -> None:
        await ws.accept()
        await ws.send_json(number)

    started = client()
    headers = {"x-link": "http://a.example", "cookie": "flag=true"}
    answer = started.post("/5?o=3", data={"field": "7"}, headers=headers)
    assert answer.json() == [5, 3, "http://a.example/", True, 7]
    assert started.post("/5", data={}, headers=headers).json() == [5, 1, "http://a.example/", True, 9]
    assert codes(started.post("/4", data={}, headers=headers)) == [("number", "value_error")]
    assert codes(started.post("/5?o=4", data={}, headers=headers)) == [("o", "value_error")]
    assert codes(started.post("/5", data={}, headers={**headers, "x-link": "a"})) == [("x-link", "url_parsing")]
    answer = started.post("/5", data={"field": "8"}, headers=headers)
    assert answer.json()["errors"] == [
        {"pointer": "/field", "code": "value_error", "detail": "Value error, has to be odd"}
    ]
    with started.websocket_connect("/socket?number=3") as ws:
        assert ws.receive_json() == 3

    shown = {each["name"]: each for each in app.openapi()["paths"]["/{number}"]["post"]["parameters"]}
    assert shown["x-link"]["schema"]["format"] == "uri"
    assert shown["flag"]["schema"] == {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}
    assert shown["o"] == {"name": "o", "in": "query", "required": False, "schema": {"type": "integer", "default": 1}}


def test_all_that_pydantic_finds_wrong_is_told_at_once(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Page(BaseModel):
        size: Odd = 1
        after: HttpUrl | None = None

    @app.post("/")
    async def handler(
        link: HttpUrl, number: Odd, page: Annotated[Page, Query()], item: Item, x_link: Annotated[HttpUrl, Header()]
    ) -> None: ...

    answer = client().post("/?link=a&number=2&size=4&after=b", json={}, headers={"x-link": "c"})
    assert codes(answer) == [
        ("link", "url_parsing"),
        ("number", "value_error"),
        ("size", "value_error"),
        ("after", "url_parsing"),
        ("x-link", "url_parsing"),
    ]


def test_a_member_that_is_to_hold_json_and_does_not_is_a_422(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Holds(BaseModel):
        value: Json[int]

    @app.post("/")
    async def handler(given: Holds) -> None: ...

    answer = client().post("/", json={"value": "["})
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/value", "json_invalid")]


def test_a_union_that_holds_a_model_is_the_body(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/either")
    async def either(given: Item | list[int]) -> str:
        return type(given).__name__

    @app.post("/many")
    async def many(items: Sequence[Item]) -> int:
        return len(items)

    started = client()
    assert started.post("/either", json={"name": "a"}).text == "Item"
    assert started.post("/either", json=[1]).text == "list"
    assert started.post("/many", json=[{"name": "a"}]).json() == 1


def test_models_of_parameters_show_what_pydantic_makes() -> None:
    class Tree(BaseModel):
        within: list[Tree] = []

    class Hook(BaseModel):
        url: HttpUrl
        kind: Truth | int
        tree: Tree | None = None

    app = Ziggurat()

    @app.get("/")
    async def handler(hook: Annotated[Hook, Query()]) -> None: ...

    shown = {each["name"]: each["schema"] for each in app.openapi()["paths"]["/"]["get"]["parameters"]}
    assert shown["url"]["format"] == "uri"
    assert shown["kind"]["anyOf"][0]["enum"] == [False, True]
    assert "$ref" not in str(shown["tree"])


def test_a_default_that_a_handler_changes_is_that_of_its_request_alone(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    seen: list[object] = []

    @app.post("/query")
    async def query(
        tags: Annotated[list[str], Query()] = [],  # noqa: B006 - which is what is tried
        links: Annotated[list[HttpUrl], Query()] = [],  # noqa: B006
        fields: Annotated[set[str], Form()] = {"a"},  # noqa: B006
    ) -> None:
        seen.append((list(tags), list(links), set(fields)))
        tags.append("b")
        links.append(HttpUrl("http://b.example"))
        fields.add("b")

    one, other = Item(name="a"), Item(name="b")

    @app.post("/whole")
    async def whole(item: Item = one) -> None:
        seen.append(item.name)
        item.name = "changed"

    @app.post("/parts")
    async def parts(item: Item = other, counts: Annotated[dict[str, list[int]], Body()] = {"a": [1]}) -> None:  # noqa: B006
        seen.append((item.name, counts["a"][:]))
        item.name = "changed"
        counts["a"].append(2)

    kept = object()

    @app.post("/kept")
    async def keeps(a: Annotated[str, Query()] = kept) -> None:  # type: ignore[assignment]
        seen.append(a is kept)

    started = client()
    for path, expected in [("query", ([], [], {"a"})), ("whole", "a"), ("parts", ("b", [1])), ("kept", True)]:
        seen.clear()
        for _ in range(2):
            answer = started.post(f"/{path}", data={}) if path == "query" else started.post(f"/{path}")
            assert answer.status_code == 200, answer.text
        assert seen == [expected, expected]
    assert (one.name, other.name) == ("a", "b")


def test_what_says_no_type_is_the_text_that_was_sent(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    got: dict[str, Any] = {}

    def unannotated(word=None, order="asc"):  # type: ignore[no-untyped-def]
        return [word, order]

    @app.post("/{item}")
    async def handler(
        item: Any,
        q: Any,
        made: Annotated[Any, Depends(unannotated)],
        limited: Annotated[Any, Query(max_length=3)] = "abc",
        maybe: Any | None = None,
        number: Any = 10,
        odd: Annotated[Any, AfterValidator(lambda text: int(text))] = 1,
        x_token: Annotated[Any, Header()] = None,
        session: Annotated[Any, Cookie()] = None,
        field: Annotated[Any, Form()] = None,
    ) -> None:
        got.update({name: value for name, value in locals().items() if name != "got"})

    started = client()
    assert started.post("/7?q=1").status_code == 200
    assert got == {
        "item": "7",
        "q": "1",
        "made": [None, "asc"],
        "limited": "abc",
        "maybe": None,
        "number": 10,
        "odd": 1,
        "x_token": None,
        "session": None,
        "field": None,
    }
    query = "q=true&word=&order=desc&limited=ab&maybe=null&number=5&odd=3"
    headers = {"x-token": "t", "cookie": "session=s"}
    assert started.post(f"/a%20b?{query}", data={"field": "1"}, headers=headers).status_code == 200
    assert got == {
        "item": "a b",
        "q": "true",
        "made": ["", "desc"],
        "limited": "ab",
        "maybe": "null",
        "number": "5",
        "odd": 3,
        "x_token": "t",
        "session": "s",
        "field": "1",
    }
    assert codes(started.post("/7?limited=abcd")) == [("q", "missing"), ("limited", "string_too_long")]


def test_the_document_tells_of_a_text_where_no_type_is_said() -> None:
    app = Ziggurat()

    @app.get("/")
    async def handler(q: Any, maybe: Any = None) -> None: ...

    q, maybe = app.openapi()["paths"]["/"]["get"]["parameters"]
    assert (q["required"], q["schema"]["type"]) == (True, "string")
    assert (maybe.get("required", False), maybe["schema"]["type"]) == (False, "string")


def test_what_says_no_type_and_may_be_meant_otherwise_is_refused() -> None:
    def refused(handler: Any, told: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(told)):
            Ziggurat().post("/")(handler)

    async def required(q): ...  # type: ignore[no-untyped-def]
    async def number(limit=10): ...  # type: ignore[no-untyped-def]
    async def flag(deep=False): ...  # type: ignore[no-untyped-def]
    async def request(request: Any) -> None: ...
    async def response(response=None): ...  # type: ignore[no-untyped-def]
    async def several(names: list[Any]) -> None: ...
    async def file(file: Annotated[Any, File()]) -> None: ...

    refused(required, "the parameter 'q' has no annotation")
    refused(number, "write limit: int = 10")
    refused(flag, "write deep: bool = False")
    refused(request, "write request: Request, or Annotated[str, Query()]")
    refused(response, "write response: Response, or")
    refused(several, "which cannot be read from the query")
    refused(file, "annotate it with UploadFile or bytes")
