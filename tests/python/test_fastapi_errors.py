"""`errors="fastapi"`: what was wrong, told as FastAPI does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field
from tokens import SECRET

from ziggurat import ConfigError, Cookie, Depends, Header, HTTPException, Query, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Item(BaseModel):
    name: Annotated[str, Field(min_length=2)]
    tags: list[int] = []
    counts: dict[str, int] = {}


class Line(msgspec.Struct):
    count: int


def located(answer: Any) -> list[tuple[list[Any], str]]:
    assert answer.status_code == 422, answer.content
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["detail"]
    return [(each["loc"], each["type"]) for each in answer.json()["detail"]]


@pytest.fixture
def app() -> Ziggurat:
    return Ziggurat(errors="fastapi", layers=[layers.Jwt(secret=SECRET, required=False)])


def test_parameters_and_bodies(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    def page(limit: Annotated[int, Query(ge=1)] = 1) -> int:
        return limit

    @app.post("/{number}")
    async def handler(
        number: int,
        item: Item,
        x_tag: Annotated[int, Header()] = 0,
        session: Annotated[int, Cookie()] = 0,
        limit: int = Depends(page),
    ) -> None: ...

    @app.post("/line")
    async def line(line: Line) -> None: ...

    started = client()
    answer = started.post("/a?limit=0", json={}, headers={"x-tag": "b", "cookie": "session=c"})
    assert located(answer) == [
        (["path", "number"], "int_parsing"),
        (["header", "x-tag"], "int_parsing"),
        (["cookie", "session"], "int_parsing"),
        (["query", "limit"], "greater_than_equal"),
    ]
    assert answer.json()["detail"][3]["ctx"] == {"ge": 1}
    answer = started.post("/1", json={"name": "a", "tags": [1, "x"], "counts": {"0": "y"}})
    assert located(answer) == [
        (["body", "name"], "string_too_short"),
        (["body", "tags", 1], "int_parsing"),
        (["body", "counts", "0"], "int_parsing"),
    ]
    assert located(started.post("/1")) == [(["body"], "missing")]
    broken = started.post("/1", content=b'{"name": ', headers={"content-type": "application/json"})
    assert located(broken) == [(["body", 9], "json_invalid")]
    assert located(started.post("/line", json={"count": "x"})) == [(["body", "count"], "int_type")]


def test_everything_else_is_a_text(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/raises")
    async def raises() -> None:
        raise HTTPException(409, "taken", {"x-why": "so"})

    @app.get("/raises-sync")
    def raises_sync() -> None:
        raise HTTPException(409, "taken")

    @app.get("/fails")
    async def fails() -> None:
        raise ZeroDivisionError

    @app.post("/typed")
    async def typed(item: Item) -> None: ...

    @app.get("/closed", auth=True)
    async def closed() -> None: ...

    @app.get("/own", errors="problem")
    async def own(number: int) -> None: ...

    started = client()
    answer = started.get("/raises")
    assert (answer.status_code, answer.json(), answer.headers["x-why"]) == (409, {"detail": "taken"}, "so")
    assert started.get("/raises-sync").json() == {"detail": "taken"}
    assert (started.get("/fails").status_code, list(started.get("/fails").json())) == (500, ["detail"])
    answer = started.post("/typed", content=b"x", headers={"content-type": "text/plain"})
    assert (answer.status_code, list(answer.json())) == (415, ["detail"])
    answer = started.get("/closed")
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert started.get("/own").headers["content-type"] == "application/problem+json"


def test_a_route_may_say_it_alone_and_the_document_shows_it() -> None:
    app = Ziggurat()

    @app.get("/fastapi", errors="fastapi")
    async def fastapi(number: int) -> None: ...

    @app.get("/problem")
    async def problem(number: int) -> None: ...

    with TestClient(app) as started:
        assert located(started.get("/fastapi")) == [(["query", "number"], "missing")]
        assert "errors" in started.get("/problem").json()
    paths = app.openapi()["paths"]
    told = paths["/fastapi"]["get"]["responses"]
    assert told["422"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}
    }
    assert told["default"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPError"}}}
    assert "application/problem+json" in paths["/problem"]["get"]["responses"]["422"]["content"]
    assert "ValidationError" in app.openapi()["components"]["schemas"]


def test_other_ways_are_refused() -> None:
    with pytest.raises(ConfigError, match='write "problem" or "fastapi"'):
        Ziggurat(errors="django")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match='write "problem" or "fastapi"'):
        Ziggurat().get("/", errors="django")  # type: ignore[typeddict-item]
