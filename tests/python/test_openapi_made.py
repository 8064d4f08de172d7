"""When the OpenAPI document is made, and what is said where it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from helpers import until
from pydantic import BaseModel, WithJsonSchema

from ziggurat import ConfigError, Query, Ziggurat, openapi
from ziggurat.testing import TestClient

MADE = "the OpenAPI document is made"

PROGRAM = """
from typing import Annotated, Any

from pydantic import BaseModel, GetJsonSchemaHandler

from ziggurat import Query, Ziggurat

class Quiet(BaseModel):
    name: str

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        raise LookupError("no words for it")

inner = Ziggurat(title="inner", docs_path=None)
app = Ziggurat(title="outer")
app.mount("/inner", inner)

@app.get("/held")
async def held() -> str:
    while True:
        pass

@inner.post("/quiet")
async def quiet(quiet: Quiet) -> None: ...

if __name__ == "__main__":
    app.run()
"""


def at(path: str, text: str) -> str:
    lines = Path(path).read_text().splitlines()
    return f"{path}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


@pytest.mark.usefixtures("mode")
def test_an_app_that_serves_makes_it_when_there_is_time(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, ZIGGURAT_LOG_LEVEL="debug", ZIGGURAT_ENV="production")
    # That of the app; for that of the one in it there are no words.
    until(lambda: MADE in served.output() and "no words for it" in served.output())
    assert served.output().count(MADE) == 1
    with httpx.Client(base_url=served.url) as client:
        for _ in range(2):
            told = client.get("/inner/openapi.json")
            assert told.status_code == 500
            assert told.json()["detail"] == "the OpenAPI document cannot be made; the log says why"
        assert client.get("/openapi.json").json()["info"]["title"] == "outer"
    output = served.output()
    assert output.count("the OpenAPI document raised an exception") == 1
    location = at(program, '@inner.post("/quiet")')
    assert (
        f"POST /quiet: the OpenAPI document cannot tell of it: LookupError: no words for it (at {location})" in output
    )


def test_who_develops_is_told_why_there_is_none(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, ZIGGURAT_ENV="development")
    with httpx.Client(base_url=served.url) as client:
        for _ in range(2):
            assert "no words for it" in client.get("/inner/openapi.json").json()["traceback"][-1]
    assert served.output().count("the OpenAPI document raised an exception") == 1


def test_nobody_waits_for_it_but_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = openapi.document

    def counted(*args: Any) -> dict[str, Any]:
        made.append(1)
        return make(*args)

    monkeypatch.setattr(openapi, "document", counted)
    app = Ziggurat()

    @app.get("/items/{id}")
    async def item(id: int) -> str:
        return str(id)

    interval = sys.getswitchinterval()
    with TestClient(app) as client:
        assert client.get("/items/1").text == "1"
        assert made == []
        first = client.get("/openapi.json")
        assert first.headers["content-type"] == "application/json"
        before = app.attach_counts()
        assert client.get("/openapi.json").json() == first.json()
        assert client.request("HEAD", "/openapi.json").status_code == 200
        assert app.attach_counts() == before
        assert made == [1]
        assert app.openapi() == first.json()
    assert sys.getswitchinterval() == interval


def test_what_is_no_json_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    class Item(BaseModel):
        tags: Annotated[list[str], WithJsonSchema({"type": "array", "examples": [{1, 2}]})]

    by_route = Ziggurat()

    @by_route.get("/items", responses={404: {"content": {"text/plain": {"example": b"none"}}}})
    async def items() -> None: ...

    by_model = Ziggurat()

    @by_model.post("/items")
    async def add(item: Item) -> None: ...

    for app, says in (
        (by_route, "what is said of it: Object of type bytes"),
        (by_model, "the model Item: Object of type set"),
    ):
        caplog.clear()
        with TestClient(app) as client:
            assert client.get("/openapi.json").status_code == 500
        assert says in caplog.text and "give examples" in caplog.text and __file__ in caplog.text


def test_an_exception_of_a_model_names_its_route() -> None:
    def fails(schema: Any) -> None:
        raise ZeroDivisionError

    class Item(BaseModel):
        model_config = {"json_schema_extra": fails}

    app = Ziggurat()

    @app.get("/items")
    async def items(limit: Annotated[int, Query()] = 3) -> Item:
        return Item()

    with pytest.raises(ConfigError, match=r"GET /items: .* ZeroDivisionError") as failed:
        app.openapi()
    assert isinstance(failed.value.__cause__, ZeroDivisionError) and __file__ in str(failed.value)


@pytest.mark.parametrize("how", ["class", "attribute"])
def test_a_document_of_ones_own_is_served(caplog: pytest.LogCaptureFixture, how: str) -> None:
    """As FastAPI's guide has it, *Extending OpenAPI*."""

    class Documented(Ziggurat):
        def openapi(self) -> dict[str, Any]:
            return with_logo(super().openapi())

    def with_logo(made: dict[str, Any]) -> dict[str, Any]:
        return {**made, "info": {**made["info"], "x-logo": {"url": "/logo.png"}}}

    app = Documented() if how == "class" else Ziggurat()
    if how == "attribute":
        made = app.openapi
        app.openapi = lambda: with_logo(made())  # type: ignore[method-assign]

    @app.get("/items")
    async def items() -> list[int]:
        return []

    with TestClient(app) as client:
        told = client.get("/openapi.json").json()
    assert told == app.openapi()
    assert told["info"]["x-logo"] == {"url": "/logo.png"} and "/items" in told["paths"]

    app = Ziggurat()
    app.openapi = lambda: {"info": object()}  # type: ignore[method-assign]
    with TestClient(app) as client:
        assert client.get("/openapi.json").status_code == 500
    assert "the OpenAPI document cannot show what is said of the app" in caplog.text
