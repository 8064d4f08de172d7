"""Python middleware around native routes and Python handlers."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from ziggurat import ConfigError, HTTPException, Model, Request, Response, Ziggurat, layers
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
def app() -> Ziggurat:
    app = Ziggurat(store="sqlite:///:memory:")

    @app.get("/hello")
    async def hello(request: Request) -> dict[str, Any]:
        return {"hello": request.state.get("who")}

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return await request.body()

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("inner")

    return app


def test_the_first_is_outermost_and_responses_can_be_changed(app: Ziggurat) -> None:
    order: list[str] = []

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        order.append("outer in")
        request.state["who"] = "outer"
        response: Response = await call_next(request)
        order.append("outer out")
        response.headers["x-seen"] = response.headers["x-seen"] + ", outer"
        response.status = 203
        return response

    @app.middleware
    async def inner(request: Request, call_next: Any) -> Response:
        order.append("inner in")
        request.state["who"] += " and inner"
        response: Response = await call_next(request)
        order.append("inner out")
        response.headers["x-seen"] = "inner"
        response.body = response.body.replace(b"hello", b"HELLO")
        return response

    with TestClient(app) as client:
        answer = client.get("/hello")
    assert order == ["outer in", "inner in", "inner out", "outer out"]
    assert (answer.status_code, answer.headers["x-seen"]) == (203, "inner, outer")
    assert answer.json() == {"HELLO": "outer and inner"}


def test_it_can_answer_itself_and_native_routes_cannot_go_around(app: Ziggurat) -> None:
    @app.middleware
    async def closed(request: Request, call_next: Any) -> Response:
        if request.headers.get("x-key") != "k":
            raise HTTPException(401, "no key")
        return await call_next(request)

    with TestClient(app) as client:
        for path in ["/hello", "/openapi.json", "/nowhere"]:
            assert client.get(path).status_code == 401
        assert client.get("/openapi.json", headers={"x-key": "k"}).status_code == 200
        assert client.get("/nowhere", headers={"x-key": "k"}).status_code == 404
    natives = [route for route in app.routes if route.kind == "native"]
    assert natives and all(route.enters_python for route in natives)


def test_other_results_than_responses(app: Ziggurat, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware(paths=["/hello"])
    async def values(request: Request, call_next: Any) -> Any:
        return {"short": "circuit"}

    @app.middleware(paths="/echo")
    async def forgets(request: Request, call_next: Any) -> Any:
        await call_next(request)

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert client.get("/hello").json() == {"short": "circuit"}
        assert client.post("/echo").status_code == 500
    assert "returned None; return the response of call_next" in caplog.text


def test_paths_that_are_not_wrapped_never_enter_python(app: Ziggurat) -> None:
    seen: list[str] = []

    @app.middleware(paths=["/hello", "/admin/*"])
    async def some(request: Request, call_next: Any) -> Response:
        seen.append(request.path)
        return await call_next(request)

    with TestClient(app) as client:
        # Python makes the document when it is first asked for in a test.
        client.get("/openapi.json")
        before = app.attach_counts()
        assert client.get("/openapi.json").status_code == 200
        assert client.get("/administrator").status_code == 404
        assert app.attach_counts() == before
        client.get("/hello")
        client.get("/admin")
        client.get("/admin/users")
    assert seen == ["/hello", "/admin", "/admin/users"]
    by_path = {route.path: route.enters_python for route in app.routes}
    assert by_path["/openapi.json"] is False
    assert [name for stack in app.stack("/echo") for name in stack.passes].count("some") == 0


def test_entries_on_behalf_of_crud_count_as_crud() -> None:
    class Thing(Model):
        id: UUID
        name: str

    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Thing)
    class Things: ...

    @app.middleware
    async def watch(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    with TestClient(app) as client:
        before = app.attach_counts()
        assert client.post("/thing", json={"name": "a"}).status_code == 201
        after = app.attach_counts()
    assert after["crud"] > before["crud"]
    assert after["native"] == before["native"]


def test_head_keeps_the_length_that_get_has(app: Ziggurat) -> None:
    @app.middleware
    async def passes(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    with TestClient(app) as client:
        length = len(client.get("/openapi.json").content)
        head = client.head("/openapi.json")
        assert (head.content, head.headers["content-length"]) == (b"", str(length))


def test_the_body_has_one_owner(app: Ziggurat) -> None:
    told: list[str] = []

    @app.middleware
    async def reads(request: Request, call_next: Any) -> Response:
        assert await request.body() == b"abc"
        assert await request.body() == b"abc"
        response: Response = await call_next(request)
        for again in (lambda: call_next(request), lambda: request.body()):
            try:
                await again()
            except RuntimeError as error:
                told.append(str(error))
        return response

    with TestClient(app) as client:
        assert client.post("/echo", content=b"abc").content == b"abc"
    assert "once" in told[0] and "before calling call_next" in told[1]


PROGRAM = """
from ziggurat import Ziggurat

app = Ziggurat()

@app.get("/")
async def home() -> str:
    return "home"

@app.middleware
async def reads(request, call_next):
    await request.body()
    return await call_next(request)

app.run(body_timeout=0.3)
"""


def test_a_body_that_cannot_be_read_is_answered_as_in_a_handler(serve: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    address = urlsplit(serve(str(path)).url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        # It ends, since the answer closes the connection: what comes later is not a request.
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 408 ")
    assert "connection: close" in head.lower()
    assert json.loads(body)["detail"] == "the body came too slowly"


def test_exceptions(app: Ziggurat, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    async def strict(request: Request, call_next: Any) -> Response:
        if "early" in request.query:
            raise ValueError("a secret")
        response: Response = await call_next(request)
        if "late" in request.query:
            raise HTTPException(418, "late")
        return response

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        assert client.get("/boom").status_code == 500
        early = client.get("/hello?early")
        assert (early.status_code, "secret" in early.text) == (500, False)
        assert client.get("/hello?late").status_code == 418
    assert "a secret" in caplog.text and "inner" in caplog.text


def test_context_variables_reach_handlers(app: Ziggurat) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        variable.set("outer")
        return await call_next(request)

    @app.middleware
    async def inner(request: Request, call_next: Any) -> Response:
        variable.set(variable.get() + " inner")
        response: Response = await call_next(request)
        response.headers["x-var"] = variable.get()
        return response

    @app.get("/async")
    async def on_loop() -> str:
        await asyncio.sleep(0)
        seen = variable.get()
        variable.set("handler")
        return seen

    @app.get("/sync")
    def beside() -> str:
        return variable.get()

    with TestClient(app) as client:
        for path in ("/async", "/sync", "/async"):
            answer = client.get(path)
            assert (answer.text, answer.headers["x-var"]) == ("outer inner", "outer inner")


def test_a_timeout_around_call_next_cancels_the_handler() -> None:
    app = Ziggurat()
    cancelled = threading.Event()

    @app.middleware
    async def hurried(request: Request, call_next: Any) -> Response:
        try:
            async with asyncio.timeout(0.05):
                return await call_next(request)
        except TimeoutError:
            return Response(504, body="too slow")

    @app.get("/slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with TestClient(app) as client:
        assert client.get("/slow").status_code == 504
        assert cancelled.wait(5)


def test_a_client_that_leaves_cancels_middleware_and_handler() -> None:
    app = Ziggurat()
    begun = threading.Event()
    cancelled: list[str] = []
    both = threading.Barrier(2, timeout=10)

    def left(who: str) -> None:
        cancelled.append(who)
        if len(cancelled) == 2:
            both.wait()

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        try:
            return await call_next(request)
        except asyncio.CancelledError:
            left("middleware")
            raise

    @app.get("/slow")
    async def slow() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            left("handler")
            raise

    with TestClient(app):
        address = app.build().listen("127.0.0.1", 0, "{}")
        try:
            with socket.create_connection(address) as connection:
                connection.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
                assert begun.wait(10)
            both.wait()
            assert sorted(cancelled) == ["handler", "middleware"]
        finally:
            app.build().drain()


def test_more_requests_than_the_loop_takes_are_refused_and_none_is_stuck(app: Ziggurat) -> None:
    """Middleware fills the places for suspended coroutines; what it waits for must still come in."""

    @app.middleware
    async def waits(request: Request, call_next: Any) -> Response:
        await asyncio.sleep(0.01)
        return await call_next(request)

    with TestClient(app) as client:
        assert app._in_process is not None
        app._in_process._loop.in_flight_limit = 4
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(client.get("/openapi.json").status_code)) for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(statuses) == 24 and set(statuses) <= {200, 503} and 200 in statuses


def test_what_is_refused_at_registration() -> None:
    app = Ziggurat()

    def plain(request: Request, call_next: Any) -> Any: ...
    async def fine(request: Request, call_next: Any) -> Any: ...

    with pytest.raises(ConfigError, match=r"plain is not an async function.*test_middleware.py:"):
        app.middleware(plain)
    with pytest.raises(ConfigError, match="cannot be scoped to 'admin'"):
        app.middleware(paths=["admin"])(fine)
    with pytest.raises(ConfigError, match="wraps nothing"):
        app.middleware(paths=[])(fine)
    assert app.middleware(fine) is fine


def test_without_middleware_there_is_no_trace_of_it(app: Ziggurat) -> None:
    assert all(not stack.enters_python for stack in app.stack("/openapi.json"))


def test_objects_and_classes_are_middleware() -> None:
    app = Ziggurat()

    @app.get("/")
    async def root(request: Request) -> list[str]:
        found: list[str] = request.state["seen"]
        return found

    class Marks:
        def __init__(self, mark: str = "class") -> None:
            self.mark = mark
            self.calls = 0

        async def __call__(self, request: Request, call_next: Any) -> Response:
            self.calls += 1
            request.state.setdefault("seen", []).append(self.mark)
            response: Response = await call_next(request)
            return response

    made = Marks("object")
    app.middleware(made)
    assert app.middleware(Marks) is Marks

    with TestClient(app) as client:
        assert client.get("/").json() == ["object", "class"]
        assert client.get("/").json() == ["object", "class"]
    assert made.calls == 2
    assert [name for name in app.stack("/")[0].enters_python if name != "root"] == ["Marks", "Marks"]

    class NeedsMore:
        def __init__(self, limit: int) -> None: ...

        async def __call__(self, request: Request, call_next: Any) -> Response: ...

    class Plain:
        def __call__(self, request: Request, call_next: Any) -> Response: ...

    with pytest.raises(ConfigError, match=r"NeedsMore cannot be made without arguments: .*'limit'; make it yourself"):
        Ziggurat().middleware(NeedsMore)
    with pytest.raises(ConfigError, match=r"Plain is not an async function; write async def __call__\(self, request"):
        Ziggurat().middleware(Plain())
    with pytest.raises(ConfigError, match="'nothing' is no function"):
        layers.Middleware("nothing")  # type: ignore[arg-type]


def test_it_stands_among_layers_where_it_is_given() -> None:
    order: list[str] = []

    def noting(mark: str) -> Any:
        async def noted(request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            order.append(f"{mark} {response.status} {'content-encoding' in response.headers}")
            return response

        noted.__qualname__ = mark
        return noted

    outside, inside, around_one = noting("outside"), noting("inside"), noting("around_one")
    compression = layers.Compression(min_size=0)
    app = Ziggurat(layers=[layers.Trace(), outside, compression, layers.Middleware(inside, paths="/text")])

    @app.get("/text", layers=[around_one, layers.Etag()])
    async def text() -> str:
        return "text " * 100

    @app.get("/other", skip_layers=[outside])
    async def other() -> str:
        return "other"

    [stack] = app.stack("/text")
    assert stack.passes == (
        "CatchPanic", "RequestId", "Trace", "Timeout", "BodyLimit", "outside", "Compression", "inside", "around_one",
        "Etag", stack.passes[-1],
    )  # fmt: skip
    assert stack.enters_python == ("outside", "inside", "around_one", stack.passes[-1])
    [stack] = app.stack("/other")
    assert stack.enters_python == (stack.passes[-1],)
    with TestClient(app) as client:
        answer = client.get("/text", headers={"accept-encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert order == ["around_one 200 False", "inside 200 False", "outside 200 True"]
        order.clear()
        assert (
            client.get(
                "/text", headers={"accept-encoding": "gzip", "if-none-match": answer.headers["etag"]}
            ).status_code
            == 304
        )
        assert order == ["around_one 304 False", "inside 304 False", "outside 304 False"]
        order.clear()
        assert client.get("/other").text == "other"
        assert order == []


@pytest.mark.parametrize("rest", [[layers.BodyLimit(max_bytes=10)], [layers.NormalizePath()]], ids=["own", "normal"])
def test_outside_of_the_limit_bodies_are_bounded_as_well(rest: list[layers.Layer]) -> None:
    lengths: list[int] = []

    async def reads(request: Request, call_next: Any) -> Response:
        lengths.append(len(await request.body()))
        response: Response = await call_next(request)
        return response

    app = Ziggurat(layers=[reads, *rest])

    @app.post("/")
    async def echo(request: Request) -> bytes:
        return await request.body()

    names = app.stack("/")[0].passes
    assert names.index("BodyLimit") > [name.endswith("reads") for name in names].index(True)
    with TestClient(app) as client:
        assert client.post("/", content=b"small").content == b"small"
        assert client.post("/", content=bytes(1 << 20 | 1)).status_code == 413
    assert lengths == [5]


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin//"])
def test_a_slash_at_the_end_leads_past_nothing(path: str) -> None:
    async def refuses(request: Request, call_next: Any) -> Response:
        return Response(403, body="refused")

    async def reads(request: Request, call_next: Any) -> Response:
        await request.body()
        response: Response = await call_next(request)
        return response

    limit = layers.BodyLimit(at={"/admin/upload": 3_000_000})
    app = Ziggurat(layers=[layers.Middleware(refuses, paths="/admin"), reads, layers.NormalizePath(), limit])

    @app.get("/admin")
    async def admin() -> str:
        return "secret"

    @app.post("/admin/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:
        assert (client.get(path).status_code, client.get(path).text) == (403, "refused")
        upload_path = path.replace("/admin", "/admin/upload")
        assert client.post(upload_path, content=bytes(2_000_000)).text == "2000000"
        assert client.post(upload_path, content=bytes(4_000_000)).status_code == 413


def test_what_cannot_be_meant_of_its_place_is_refused() -> None:
    async def fine(request: Request, call_next: Any) -> Any: ...

    app = Ziggurat()
    with pytest.raises(ConfigError, match=r"/x: the middleware .*fine has paths, and wraps what it is given to"):
        app.get("/x", layers=[layers.Middleware(fine, paths="/y")])
    with pytest.raises(ConfigError, match=r"/x: layers is one layer; write a list"):
        app.get("/x", layers=fine)  # type: ignore[arg-type]

    class Timeout:
        async def __call__(self, request: Request, call_next: Any) -> Any: ...

    Timeout.__qualname__ = "Timeout"
    app.middleware(Timeout)
    with pytest.raises(ConfigError, match=r"the middleware Timeout is called as a layer of Ziggurat.*test_middleware"):
        app.build()


class Unforeseen(Exception):
    pass


def test_a_middleware_sees_what_a_handler_raises(app: Ziggurat, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    @app.get("/unforeseen")
    async def unforeseen() -> None:
        raise Unforeseen("of a handler")

    @app.get("/sync")
    def sync() -> None:
        raise Unforeseen("of a thread")

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(409, "refused")

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        try:
            return await call_next(request)
        except Unforeseen as error:
            seen.append(f"outer {error}")
            if "answer" in request.query:
                return Response(418, body=str(error))
            raise

    @app.middleware
    async def inner(request: Request, call_next: Any) -> Response:
        try:
            response: Response = await call_next(request)
        except Unforeseen as error:
            seen.append(f"inner {error}")
            if "other" in request.query:
                raise Unforeseen("of the middleware") from error
            raise
        seen.append(f"inner {response.status}")
        return response

    with TestClient(app) as client, caplog.at_level(logging.ERROR, logger="ziggurat"):
        answer = client.get("/unforeseen?answer")
        assert (answer.status_code, answer.text) == (418, "of a handler")
        assert seen == ["inner of a handler", "outer of a handler"]
        assert not caplog.records, "whoever catches it answers for it"

        seen.clear()
        answer = client.get("/unforeseen")
        assert (answer.status_code, answer.json()["title"]) == (500, "Internal server error")
        assert "of a handler" not in answer.text
        assert seen == ["inner of a handler", "outer of a handler"]
        assert len(caplog.records) == 1, "it is logged once, where it leaves the outermost"
        assert "in unforeseen" in caplog.text

        seen.clear()
        caplog.clear()
        assert client.get("/sync?answer").text == "of a thread"
        assert client.get("/sync?answer&other").text == "of the middleware"
        assert client.get("/refused").status_code == 409
        assert seen == [
            "inner of a thread", "outer of a thread", "inner of a thread", "outer of the middleware", "inner 409",
        ]  # fmt: skip
        assert not caplog.records


def test_an_exception_that_nobody_sees_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()

    @app.get("/")
    async def root() -> None:
        raise Unforeseen("unseen")

    @app.middleware
    async def hasty(request: Request, call_next: Any) -> Response:
        going_on = asyncio.ensure_future(call_next(request))
        await asyncio.sleep(0.05)
        del going_on
        return Response(202)

    with TestClient(app) as client, caplog.at_level(logging.ERROR):
        assert client.get("/").status_code == 202
        # Either by us, or by asyncio, for the future that nobody awaited.
        for _ in range(100):
            if "unseen" in caplog.text:
                break
            threading.Event().wait(0.02)
    assert "unseen" in caplog.text


def test_what_it_starts_runs_on_behind_the_answer(app: Ziggurat) -> None:
    done = threading.Event()

    async def later() -> None:
        await asyncio.sleep(0.05)
        done.set()

    @app.middleware
    async def starts(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        app.tasks = asyncio.ensure_future(later())  # type: ignore[attr-defined]
        return response

    with TestClient(app) as client:
        assert client.get("/openapi.json").status_code == 200
        assert not done.is_set()
        assert done.wait(10)


@pytest.mark.parametrize("waits", [False, True])
def test_a_handler_that_answers_at_once_costs_no_turn_of_the_loop(app: Ziggurat, waits: bool) -> None:
    turns: list[str] = []
    tasks: dict[str, Any] = {}

    @app.middleware
    async def looking(request: Request, call_next: Any) -> Response:
        tasks["before"] = asyncio.current_task()
        asyncio.get_running_loop().call_soon(turns.append, "a turn")
        response: Response = await call_next(request)
        tasks["after"] = asyncio.current_task()
        turns.append("answered")
        return response

    @app.get("/at-once")
    async def at_once() -> str:
        tasks["handler"] = asyncio.current_task()
        if waits:
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0.001))
        assert asyncio.current_task() is tasks["handler"]
        return "here"

    with TestClient(app) as client:
        assert client.get("/at-once").text == "here"
        assert tasks["before"] is tasks["after"] is not None
        assert tasks["handler"] not in (None, tasks["before"])
        assert turns.index("answered") == (1 if waits else 0)


def test_native_leaves_do_not_run_on_the_thread_of_the_loop() -> None:
    app = Ziggurat(store="sqlite:///:memory:")

    class Pen(Model):
        id: UUID
        colour: str

    @app.crud(Pen, "/pens")
    class Pens:
        pass

    given: list[str] = []

    @app.middleware
    async def looking(request: Request, call_next: Any) -> Response:
        answer = call_next(request)
        # What the runtime works at, which may be done by now; an answer that the loop has looked for itself is another class.
        given.append(type(answer).__name__)
        response: Response = await answer
        return response

    with TestClient(app) as client:
        assert client.post("/pens", json={"colour": "red"}).status_code == 201
        assert given == ["RustFuture"]
        assert client.get("/pens").json()["items"][0]["colour"] == "red"
        assert given == ["RustFuture", "RustFuture"]


def test_what_call_next_gives_is_awaited_once(app: Ziggurat) -> None:
    said: list[str] = []

    @app.middleware
    async def twice(request: Request, call_next: Any) -> Response:
        going_on = call_next(request)
        response: Response = await going_on
        try:
            await going_on
        except RuntimeError as error:
            said.append(str(error))
        return response

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    with TestClient(app) as client:
        assert client.get("/plain").text == "plain"
    assert said == ["this was awaited already"]


def test_layers_between_a_middleware_and_its_handler_work(app: Ziggurat) -> None:
    cancelled = threading.Event()

    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-outer"] = str(response.status)
        return response

    @app.get("/slow", layers=[layers.Timeout(seconds=0.05)])
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @app.get("/tagged", layers=[layers.Etag()])
    async def tagged() -> str:
        return "x" * 2000

    with TestClient(app) as client:
        late = client.get("/slow")
        assert (late.status_code, late.headers["x-outer"]) == (504, "504")
        assert cancelled.wait(10)
        first = client.get("/tagged")
        assert (first.headers["x-outer"], len(first.text)) == ("200", 2000)
        again = client.get("/tagged", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.headers["x-outer"]) == (304, "304")


@pytest.mark.parametrize("waits", [False, True])
def test_a_handler_that_would_end_the_program_ends_its_request(app: Ziggurat, waits: bool) -> None:
    @app.middleware
    async def outer(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    @app.get("/exit")
    async def leave() -> None:
        if waits:
            await asyncio.sleep(0)
        raise SystemExit(3)

    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/exit").status_code == 500
        assert client.get("/hello").status_code == 200


def test_what_is_made_for_asgi_is_refused_where_it_is_given() -> None:
    """It would be called with a request and call_next, and fail at each request."""

    class Timed:
        def __init__(self, app: Any = None) -> None: ...

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def one(request: Request) -> None: ...

    takes = r"takes \((self, )?scope: .*, send: .*and is given a request and call_next; write async def audit"
    cases: list[tuple[Any, str]] = [
        (Timed, f"the middleware Timed {takes}"),
        (Timed(), f"the middleware Timed {takes}"),
        (one, "the middleware one takes .*request: "),
        ("http", "'http' is no function; write @app.middleware without it"),
    ]
    for given, told in cases:
        with pytest.raises(ConfigError, match=told):
            Ziggurat().middleware(given)
        if given != "http":
            with pytest.raises(ConfigError, match=told):
                Ziggurat(layers=[given])
