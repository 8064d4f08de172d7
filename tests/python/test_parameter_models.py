"""Models of parameters: each field is read as a parameter, and the model is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal, NotRequired

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from typing_extensions import TypedDict

from ziggurat import ConfigError, Cookie, Header, Path, Query, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Page(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(10, ge=1, le=100, description="how many")
    order: Literal["asc", "desc"] = "asc"
    since: date | None = None
    tags: list[str] = []


@dataclass
class Point:
    x: int
    y: int = 2
    marks: list[int] = field(default_factory=list)


class Window(TypedDict):
    start: int
    end: NotRequired[int]


class Found(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    max_count: int
    words: list[str] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


def codes(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    found = answer.json()["errors"]
    return [(next(e[k] for k in ("parameter", "path", "header", "cookie") if k in e), e["code"]) for e in found]


def test_a_pydantic_model_of_the_query(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def handler(page: Annotated[Page, Query()], q: str = "") -> dict[str, Any]:
        assert type(page) is Page
        return page.model_dump(exclude_unset=True) | {"q": q}

    started = client()
    assert started.get("/").json() == {"q": ""}
    assert started.get("/?limit=5&since=2024-02-29&tags=a&tags=b&q=x").json() == {
        "limit": 5,
        "since": "2024-02-29",
        "tags": ["a", "b"],
        "q": "x",
    }
    before = app.attach_counts()
    assert codes(started.get("/?limit=101&order=up&since=x&other=1")) == [
        ("limit", "less_than_equal"),
        ("order", "literal_error"),
        ("since", "date_parsing"),
        ("other", "extra_forbidden"),
    ]
    assert app.attach_counts() == before


def test_the_other_kinds_of_models(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/point")
    async def point(point: Annotated[Point, Query()]) -> Any:
        assert type(point) is Point
        return point

    @app.get("/window")
    async def window(window: Annotated[Window, Query()]) -> Any:
        return window

    @app.get("/found")
    async def found(found: Annotated[Found, Query()]) -> Any:
        assert type(found) is Found
        return [found.max_count, found.words]

    started = client()
    assert started.get("/point?x=1&marks=3&marks=4").json() == {"x": 1, "y": 2, "marks": [3, 4]}
    assert started.get("/point?x=1&other=1").json() == {"x": 1, "y": 2, "marks": []}
    assert codes(started.get("/point?y=z")) == [("x", "missing"), ("y", "int_parsing")]
    assert started.get("/window?start=1").json() == {"start": 1}
    assert started.get("/window?start=1&end=2").json() == {"start": 1, "end": 2}
    assert codes(started.get("/window")) == [("start", "missing")]
    assert started.get("/found?maxCount=3&words=a").json() == [3, ["a"]]
    assert codes(started.get("/found?maxCount=3&max_count=3")) == [("max_count", "extra_forbidden")]


def test_headers_cookies_and_the_path(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Client(BaseModel):
        user_agent: str
        x_tags: list[str] = []

    class Jar(BaseModel):
        model_config = ConfigDict(extra="forbid")

        session: str
        visits: int = 0

    class At(BaseModel):
        team: str
        number: int

    @app.get("/{team}/{number}")
    async def handler(
        at: Annotated[At, Path()], agent: Annotated[Client, Header()], jar: Annotated[Jar, Cookie()]
    ) -> list[Any]:
        return [at, agent, jar]

    started = client()
    headers = [("user-agent", "me"), ("x-tags", "a"), ("x-tags", "b"), ("cookie", "session=s; visits=2")]
    assert started.get("/red/7", headers=headers).json() == [
        {"team": "red", "number": 7},
        {"user_agent": "me", "x_tags": ["a", "b"]},
        {"session": "s", "visits": 2},
    ]
    answer = started.get("/red/x", headers=[("user-agent", "me"), ("cookie", "visits=z; more=1")])
    assert codes(answer) == [
        ("number", "int_parsing"),
        ("session", "missing"),
        ("visits", "int_parsing"),
        ("more", "extra_forbidden"),
    ]


def test_code_of_a_model_sees_what_was_sent(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Odd(BaseModel):
        words: Annotated[list[str], BeforeValidator(lambda value: value[0].split(","))]
        size: int = Field(alias="Size")
        last: int = 0

        @field_validator("size", mode="before")
        @classmethod
        def with_unit(cls, value: str) -> str:
            return value.removesuffix("px")

        @model_validator(mode="after")
        def in_order(self) -> Odd:
            if self.last > self.size:
                raise ValueError("the last is greater")
            return self

    @app.get("/")
    async def handler(odd: Annotated[Odd, Query()]) -> list[Any]:
        return [odd.words, odd.size]

    started = client()
    assert started.get("/?words=a,b&Size=5px").json() == [["a", "b"], 5]
    assert codes(started.get("/?words=a&Size=x")) == [("Size", "int_parsing")]
    assert codes(started.get("/?words=a&Size=1&last=2")) == [("", "value_error")]
    assert codes(started.get("/?Size=1")) == [("words", "missing")]


def test_the_document_shows_the_fields() -> None:
    app = Ziggurat()

    @app.get("/")
    async def handler(page: Annotated[Page, Query()]) -> None: ...

    shown = {each["name"]: each for each in app.openapi()["paths"]["/"]["get"]["parameters"]}
    assert list(shown) == ["limit", "order", "since", "tags"]
    assert shown["limit"]["description"] == "how many"
    assert shown["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert not shown["limit"]["required"]


def test_models_that_cannot_be_read_are_refused() -> None:
    async def optional(page: Annotated[Page | None, Query()] = None) -> None: ...
    async def limited(page: Annotated[Page, Query(ge=1)]) -> None: ...
    async def allows(page: Annotated[Open, Query()]) -> None: ...
    async def forbids(page: Annotated[Closed, Header()]) -> None: ...
    async def elsewhere(page: Annotated[Point, Path()]) -> None: ...

    def refused(handler: Callable[..., Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            Ziggurat().get("/{y}")(handler)
        assert "test_parameter_models.py:" in str(caught.value)
        return str(caught.value)

    assert "give its fields defaults" in refused(optional)
    assert "say it of its fields" in refused(limited)
    assert 'take extra="allow" away' in refused(allows)
    assert 'take extra="forbid" away' in refused(forbids)
    assert "the path has no {x}" in refused(elsewhere)
