"""Handlers, dependencies and parameters, as users write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, assert_type
from uuid import UUID

from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from ziggurat import (
    PUBLIC,
    Authenticated,
    BackgroundTasks,
    Body,
    Claims,
    Cookie,
    Depends,
    EventStream,
    FileResponse,
    HasRole,
    Header,
    HTTPException,
    JSONResponse,
    Path,
    Query,
    RedirectResponse,
    Request,
    Response,
    Router,
    ServerSentEvent,
    State,
    StreamingResponse,
    Ziggurat,
    layers,
)
from ziggurat.requests import Address

SECRET = "a secret of thirty-two bytes, or more"


class Settings(State):
    currency: str = "EUR"


class Item(BaseModel):
    id: int
    name: str


class Row(TypedDict):
    id: int


@dataclass
class Point:
    x: int


class OutOfStock(Exception):
    def __init__(self, item: str) -> None:
        self.item = item


async def gone(request: Request, error: OutOfStock) -> Response:
    return JSONResponse({"item": error.item, "path": request.path}, status=410)


def not_found(request: Request, error: HTTPException) -> dict[str, str | None]:
    return {"error": error.detail}


app = Ziggurat(
    store="sqlite:///:memory:",
    layers=[
        layers.CatchPanic(),
        layers.RequestId(),
        layers.Timeout(seconds=5),
        layers.Compression(),
        layers.BodyLimit(max_bytes=1024),
        layers.Jwt(secret=SECRET, required=False),
    ],
    state=Settings(),
    exception_handlers={OutOfStock: gone, 404: not_found},
)


def connection() -> Iterator[str]:
    yield "connection"


async def session(database: Annotated[str, Depends(connection)]) -> AsyncIterator[list[str]]:
    yield [database]


class Pager:
    def __init__(self, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> None:
        self.limit = limit


Session = Annotated[list[str], Depends(session)]


@app.get("/items/{id}", status_code=HTTPStatus.OK, response_model_exclude={"name"}, tags=["items"])
async def read_item(
    id: Annotated[int, Path(ge=1)],
    used: Session,
    pager: Annotated[Pager, Depends()],
    kind: Literal["new", "old"] = "new",
    since: datetime | None = None,
    words: Annotated[list[str], Query(max_length=5)] = [],  # noqa: B006
    agent: Annotated[str | None, Header(alias="user-agent")] = None,
    visit: Annotated[UUID | None, Cookie()] = None,
) -> Item:
    assert_type(used, list[str])
    assert_type(pager, Pager)
    return Item(id=id, name=kind)


@app.post("/items", status_code=201)
def create_item(item: Item, response: Response, tasks: BackgroundTasks) -> Item:
    response.headers["x-made"] = "yes"
    response.set_cookie("made", "yes", secure=True)
    tasks.add_task(print, item.name)
    return item


@app.put("/points", status=202, auth=PUBLIC)
async def put_points(points: list[Point], note: Annotated[str, Body()]) -> list[Row]:
    return [{"id": point.x} for point in points]


@app.delete("/items/{id}", auth=["items:write"], guards=[Authenticated(), HasRole("editor")])
async def delete_item(id: int, claims: Claims) -> None:
    if claims.sub is None:
        raise HTTPException(403, "who are you?")
    raise OutOfStock(str(id))


@app.route("/both", methods=["GET", "POST"], dependencies=[Depends(session)])
async def both(request: Request) -> dict[str, Any]:
    body = await request.body()
    assert_type(body, bytes)
    return {"method": request.method, "body": body.decode(), "query": request.query.getlist("a")}


@app.get("/numbers")
async def numbers() -> AsyncIterator[Item]:
    yield Item(id=1, name="one")


@app.get("/events")
async def events() -> EventStream[Item | ServerSentEvent]:
    yield Item(id=1, name="one")
    yield ServerSentEvent("two", event="number", id="2")


@app.get("/file")
def file() -> FileResponse:
    return FileResponse("README.md", filename="read me")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/elsewhere")
def elsewhere() -> RedirectResponse:
    return RedirectResponse("/numbers")


@app.middleware
async def timed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.setdefault("server-timing", "app")
    return response


@app.middleware(paths=["/items/*"])
async def of_items(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


@app.exception_handler(ValueError)
async def wrong(request: Request, error: ValueError) -> Response:
    return Response(400, content=str(error))


@app.on_startup
async def startup() -> None: ...


@app.on_shutdown
def shutdown() -> None: ...


teams = Router("/teams/{team}", tags=["teams"], layers=[layers.Etag(), of_items], skip_layers=[layers.Compression])


@teams.get("/members", errors="fastapi", responses={404: {"description": "No such team"}})
async def members(team: str) -> list[str]:
    return [team]


@teams.exception_handler(404)
def no_team(request: Request, error: HTTPException) -> str:
    return "no such team"


app.include_router(teams, prefix="/v1", dependencies=[Depends(session)])
app.dependency_overrides[connection] = lambda: "another"

# What is decorated is what it was.
assert_type(create_item(Item(id=1, name="a"), Response(), BackgroundTasks()), Item)
assert_type(file(), FileResponse)
assert_type(numbers(), AsyncIterator[Item])
assert_type(shutdown(), None)


async def calls(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> None:
    assert_type(await read_item(1, [], Pager()), Item)
    assert_type(await timed(request, call_next), Response)
    assert_type(await of_items(request, call_next), Response)
    assert_type(await wrong(request, ValueError()), Response)
    assert_type(await members("red"), list[str])
    assert_type(no_team(request, HTTPException(404)), str)
    assert_type(request.client, Address | None)
    assert_type(request.auth, Claims | None)
