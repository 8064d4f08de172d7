"""`Depends`: what is made for handlers, in which order, where, and what is refused."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from ziggurat import Body, ConfigError, Depends, Header, HTTPException, Query, Request, Router, State, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Item(BaseModel):
    name: str


def page(limit: Annotated[int, Query(ge=1)] = 10, offset: int = 0) -> tuple[int, int]:
    return limit, offset


async def token(authorization: Annotated[str, Header()]) -> str:
    await asyncio.sleep(0)
    return authorization.removeprefix("Bearer ")


async def user(name: Annotated[str, Depends(token)]) -> str:
    return f"user {name}"


class Filters:
    def __init__(self, q: str = "", page: Any = Depends(page)) -> None:  # noqa: B008
        self.q, self.page = q, page


def codes(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    found = answer.json()["errors"]
    return [(next(e[k] for k in ("parameter", "path", "header", "pointer") if k in e), e["code"]) for e in found]


def test_functions_classes_and_objects(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    class Adder:
        def __init__(self, by: int) -> None:
            self.by = by

        def __call__(self, number: int) -> int:
            return number + self.by

    class AsyncAdder(Adder):
        async def __call__(self, number: int) -> int:  # type: ignore[override]
            return number + self.by

    def times(number: int, by: int) -> int:
        return number * by

    @app.get("/async")
    async def handler(
        filters: Annotated[Filters, Depends()],
        name: Annotated[str, Depends(user)],
        one: Annotated[int, Depends(Adder(1))],
        two: Annotated[int, Depends(AsyncAdder(2))],
        thrice: Annotated[int, Depends(functools.partial(times, by=3))],
        *,
        default: tuple[int, int] = Depends(page),
    ) -> list[Any]:
        return [filters.q, filters.page, name, one, two, thrice, default]

    @app.get("/sync")
    def sync_handler(filters: Annotated[Filters, Depends()], name: str = Depends(user)) -> list[Any]:
        return [filters.page, name]

    started = client()
    headers = {"authorization": "Bearer ada"}
    answer = started.get("/async?limit=3&offset=4&q=x&number=5", headers=headers)
    assert answer.json() == ["x", [3, 4], "user ada", 6, 7, 15, [3, 4]]
    assert started.get("/sync?limit=3", headers=headers).json() == [[3, 0], "user ada"]


def test_all_that_is_wrong_is_told_at_once_before_anything_is_called(
    app: Ziggurat, client: Callable[[], TestClient]
) -> None:
    def never(limit: Annotated[int, Query(ge=1)], item: Item) -> None:
        raise AssertionError("it must not run")

    @app.post("/{number}")
    async def handler(
        number: int, name: Annotated[str, Depends(user)], more: Annotated[None, Depends(never)], item: Item
    ) -> None:
        raise AssertionError("it must not run")

    started = client()
    before = app.attach_counts()
    answer = started.post("/x?limit=0", json={"name": 1})
    assert codes(answer) == [("number", "int_parsing"), ("authorization", "missing"), ("limit", "greater_than_equal")]
    assert app.attach_counts() == before
    # One body, which both take.
    answer = started.post("/1?limit=1", json={"name": 1}, headers={"authorization": "x"})
    assert codes(answer) == [("/name", "string_type")]


def test_a_dependency_is_called_once_unless_told(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    calls: list[str] = []

    def base() -> int:
        calls.append("base")
        return len(calls)

    def left(base: Annotated[int, Depends(base)]) -> int:
        return base

    def right(base: Annotated[int, Depends(base)]) -> int:
        return base

    @app.get("/once")
    async def once(a: Annotated[int, Depends(left)], b: Annotated[int, Depends(right)]) -> list[int]:
        return [a, b]

    @app.get("/anew")
    async def anew(
        a: Annotated[int, Depends(base)],
        b: Annotated[int, Depends(base, use_cache=False)],
        c: Annotated[int, Depends(base)],
    ) -> list[int]:
        return [a, b, c]

    started = client()
    assert started.get("/once").json() == [1, 1]
    assert started.get("/anew").json() == [2, 3, 2]
    assert started.get("/once").json() == [4, 4]


def test_of_apps_routers_and_routes_in_this_order(client: Callable[[], TestClient]) -> None:
    calls: list[str] = []

    def of(name: str) -> Any:
        def call(request: Request) -> None:
            calls.append(name)

        return Depends(call)

    def refuse(x_key: Annotated[str, Header()]) -> None:
        if x_key != "right":
            raise HTTPException(403)

    app = Ziggurat(dependencies=[of("app")])
    router = Router("/in", dependencies=[of("router")])
    app.include_router(router, dependencies=[of("included")])

    @router.get("/{x}", dependencies=[of("route"), Depends(refuse)])
    async def inside(x: int, own: Annotated[None, of("own")]) -> int:
        return x

    @app.get("/out")
    def outside() -> str:
        return "out"

    with TestClient(app) as started:
        assert started.get("/in/1", headers={"x-key": "right"}).json() == 1
        assert calls == ["app", "included", "router", "route", "own"]
        calls.clear()
        assert started.get("/in/1", headers={"x-key": "wrong"}).status_code == 403
        assert codes(started.get("/in/1")) == [("x-key", "missing")]
        assert started.get("/out").text == "out"
        assert calls == ["app", "included", "router", "route", "app"]
    shown = app.openapi()["paths"]["/in/{x}"]["get"]["parameters"]
    assert [(each["in"], each["name"]) for each in shown] == [("header", "x-key"), ("path", "x")]


def test_where_def_runs(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    def where() -> int:
        return threading.get_ident()

    async def on_loop() -> int:
        return threading.get_ident()

    @app.get("/async")
    async def handler(
        inline: Annotated[int, Depends(where)],
        beside: Annotated[int, Depends(where, thread=True)],
        loop: Annotated[int, Depends(on_loop)],
    ) -> list[int]:
        return [inline, beside, loop, threading.get_ident()]

    @app.get("/sync")
    def sync(inline: Annotated[int, Depends(where)]) -> list[int]:
        return [inline, threading.get_ident()]

    @app.get("/mixed")
    def mixed(beside: Annotated[int, Depends(where)], loop: Annotated[int, Depends(on_loop)]) -> list[int]:
        return [beside, loop, threading.get_ident()]

    started = client()
    inline, beside, loop, own = started.get("/async").json()
    assert inline == loop == own != beside
    inline, own = started.get("/sync").json()
    assert inline == own != loop
    beside, on_the_loop, own = started.get("/mixed").json()
    assert on_the_loop == loop and beside != loop and own != loop


def test_context_variables_reach_the_handler(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def sets(q: str) -> None:
        variable.set(q)

    def sets_sync(q: str) -> None:
        variable.set(q)

    @app.get("/async", dependencies=[Depends(sets)])
    async def handler() -> str:
        return variable.get()

    @app.get("/sync", dependencies=[Depends(sets_sync)])
    def sync() -> str:
        return variable.get()

    @app.get("/none")
    async def none() -> str:
        return variable.get()

    started = client()
    assert [started.get(at).text for at in ("/async?q=a", "/sync?q=b", "/none")] == ["a", "b", "unset"]


def test_exceptions_of_dependencies_are_answers(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(q: int) -> None:
        if q == 1:
            raise HTTPException(418, "no coffee")
        raise ZeroDivisionError("broken")

    @app.get("/async")
    async def handler(a: Annotated[None, Depends(refuses)]) -> None: ...

    @app.get("/sync")
    def sync(a: Annotated[None, Depends(refuses)]) -> None: ...

    started = client()
    for path in ("/async", "/sync"):
        assert started.get(f"{path}?q=1").status_code == 418
        caplog.clear()
        answer = started.get(f"{path}?q=2")
        assert answer.status_code == 500 and "broken" not in answer.text
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_overrides_stand_in_while_they_are_set(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    async def other(x: int) -> str:
        return f"other {x}"

    def plain() -> str:
        return "plain"

    app.dependency_overrides[token] = lambda: "before"

    @app.get("/")
    async def handler(name: Annotated[str, Depends(user)]) -> str:
        return name

    started = client()
    assert started.get("/").text == "user before"
    app.dependency_overrides[user] = other
    assert started.get("/?x=7").text == "other 7"
    assert codes(started.get("/")) == [("x", "missing")]
    app.dependency_overrides[user] = plain
    assert started.get("/").text == "plain"
    with pytest.raises(ConfigError, match="has no annotation"):
        app.dependency_overrides[user] = lambda nothing: None
    assert app.dependency_overrides[user] is plain
    assert started.get("/").text == "plain"
    app.dependency_overrides.clear()
    assert started.get("/", headers={"authorization": "Bearer ada"}).text == "user ada"
    app.dependency_overrides = {user: plain}
    assert started.get("/").text == "plain"
    with pytest.raises(ConfigError, match="has no annotation"):
        app.dependency_overrides = {user: lambda nothing: None}
    assert app.dependency_overrides == {user: plain}
    app.dependency_overrides = app.dependency_overrides
    assert started.get("/").text == "plain"
    app.dependency_overrides = {}
    assert started.get("/", headers={"authorization": "Bearer ada"}).text == "user ada"


def test_the_state_of_the_app(client: Callable[[], TestClient]) -> None:
    class AppState(State):
        name: str
        visits: int = 0

    app = Ziggurat(state=AppState())
    app.state.name = "shop"

    def visited(state: AppState) -> int:
        state.visits += 1
        return state.visits

    @app.get("/")
    async def handler(request: Request, state: AppState, visits: Annotated[int, Depends(visited)]) -> list[Any]:
        assert request.app is app and request.app.state is state
        request.state.seen = visits
        return [state.name, state["visits"], request.state["seen"]]

    with TestClient(app) as started:
        assert started.get("/").json() == ["shop", 1, 1]
        assert started.get("/").json() == ["shop", 2, 2]
    with pytest.raises(AttributeError, match="no 'missing'"):
        _ = app.state.missing

    class Other(State): ...

    @app_of(Ziggurat()).get("/")
    async def wants(state: Other) -> None: ...

    with pytest.raises(ConfigError, match=r"Ziggurat\(state=Other\(\)\)"):
        last[0].build()


last: list[Ziggurat] = []


def app_of(app: Ziggurat) -> Ziggurat:
    last[:] = [app]
    return app


def test_dependencies_that_cannot_be_called_are_refused() -> None:
    def unannotated(x) -> None: ...  # type: ignore[no-untyped-def]

    async def inner(a: Annotated[None, Depends(unannotated)]) -> None: ...
    async def number(a: Annotated[int, Depends(5)]) -> None: ...  # type: ignore[arg-type]
    async def nothing(a: Annotated[int | str, Depends()]) -> None: ...
    async def bare(a: Annotated[int, Depends]) -> None: ...
    async def alone(a: int) -> None: ...
    async def both(a: Annotated[int, Depends(page)] = 3) -> None: ...
    async def two(a: Annotated[int, Depends(page), Depends(token)]) -> None: ...
    async def bodies(a: Annotated[None, Depends(takes_item)], item: Annotated[int, Body()]) -> None: ...

    def takes_item(item: Item) -> None: ...

    def ping(a: Any = None) -> None: ...
    def pong(a: Any = Depends(ping)) -> None: ...  # noqa: B008

    ping.__defaults__ = (Depends(pong),)
    alone.__annotations__["a"] = Depends(page)

    async def circle(a: Annotated[None, Depends(ping)]) -> None: ...

    def refused(register: Callable[[Any], Any], handler: Callable[..., Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            register(handler)
        assert "test_dependencies.py:" in str(caught.value)
        return str(caught.value)

    assert "unannotated: the parameter 'x' has no annotation" in refused(Ziggurat().post("/"), inner)
    assert "'a' depends on 5, which cannot be called" in refused(Ziggurat().post("/"), number)
    assert "write Depends(function)" in refused(Ziggurat().post("/"), nothing)
    assert "annotated with Depends" in refused(Ziggurat().post("/"), bare)
    assert "write a: Annotated[type, Depends(...)]" in refused(Ziggurat().post("/"), alone)
    assert "take the default away" in refused(Ziggurat().post("/"), both)
    assert "has two Depends" in refused(Ziggurat().post("/"), two)
    assert "taken from the body as" in refused(Ziggurat().post("/"), bodies)
    assert "ping -> pong -> ping" in refused(Ziggurat().post("/"), circle)

    async def fine() -> None: ...

    for wrong, told in ((Depends(page), "is no list"), ([page], "is no dependency"), ([Depends()], "is no dependency")):
        with pytest.raises(ConfigError, match=told):
            Ziggurat().post("/", dependencies=wrong)(fine)


def test_a_dependency_of_many_handlers_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from ziggurat import _param_graph

    read: list[object] = []
    call_of = _param_graph.call_of

    def counted(function: Any, *args: Any, **more: Any) -> Any:
        read.append(function)
        return call_of(function, *args, **more)

    monkeypatch.setattr(_param_graph, "call_of", counted)
    app = Ziggurat()

    def page(id: int = 0) -> int:
        return id

    @app.get("/a")
    async def a(page: Annotated[int, Depends(page)]) -> int:
        return page

    @app.get("/b")
    async def b(page: Annotated[int, Depends(page)]) -> int:
        return page

    @app.get("/c/{id}")
    async def c(page: Annotated[int, Depends(page)]) -> int:
        return page

    with TestClient(app) as client:
        assert [client.get(path).json() for path in ("/a?id=1", "/b?id=2", "/c/3?id=4")] == [1, 2, 3]
    # Where the path has the name, it is another thing.
    assert read == [page, page]
