"""Responses of several kinds, their cookies, what is answered beside a value, and what runs behind an answer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from helpers import answer_of, until

from ziggurat import (
    BackgroundTask,
    BackgroundTasks,
    ConfigError,
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    HTTPException,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    Ziggurat,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


# Kinds


def test_kinds_of_responses() -> None:
    for response, kind, body in [
        (JSONResponse({"a": 1}), "application/json", b'{"a":1}'),
        (JSONResponse("text"), "application/json", b'"text"'),
        (JSONResponse(None), "application/json", b"null"),
        (JSONResponse([], media_type="application/vnd.a+json"), "application/vnd.a+json", b"[]"),
        (HTMLResponse("<p>ü</p>"), "text/html; charset=utf-8", "<p>ü</p>".encode()),
        (PlainTextResponse(b"plain"), "text/plain; charset=utf-8", b"plain"),
        (PlainTextResponse(), "text/plain; charset=utf-8", b""),
    ]:
        answer = answer_of(response)
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, kind, body)
    made = answer_of(JSONResponse({}, 201, {"x-a": "b"}))
    assert (made.status_code, made.headers["x-a"]) == (201, "b")
    assert isinstance(JSONResponse({}), JSONResponse)
    with pytest.raises(TypeError, match="takes a str or bytes"):
        HTMLResponse(3)

    class Csv(PlainTextResponse):
        media_type = "text/csv"

        @classmethod
        def render(cls, content: Any) -> str:
            return ",".join(content)

    answer = answer_of(Csv(["a", "b"]))
    assert (answer.headers["content-type"], answer.text) == ("text/csv; charset=utf-8", "a,b")


def test_texts_say_that_they_are_utf_8(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "é"

    answers: dict[str, Response] = {
        "text/csv; charset=utf-8": Response(content="é", media_type="text/csv"),
        "Text/Markdown; charset=utf-8": Response(content="é", media_type="Text/Markdown"),
        "text/html; charset=utf-8": StreamingResponse(chunks(), media_type="text/html"),
        # Whoever names one knows better, and bytes may be of any.
        "text/plain;Charset=latin-1": Response(content="a", media_type="text/plain;Charset=latin-1"),
        "text/plain": Response(content="é".encode("latin-1"), media_type="text/plain"),
        "text/x-own": Response(content="a", headers={"content-type": "text/x-own"}),
        "application/xml": Response(content="<é/>", media_type="application/xml"),
        "text/event-stream": EventSourceResponse(chunks()),
    }

    @app.get("/{number}")
    async def answer(number: int) -> Response:
        return list(answers.values())[number]

    @app.get("/yields/csv", media_type="text/csv")
    async def csv() -> AsyncIterator[str]:
        yield "é"

    @app.get("/yields/bytes", media_type="text/csv")
    async def of_bytes() -> AsyncIterator[bytes]:
        yield b"a"

    started = client()
    for number, kind in enumerate(answers):
        assert started.get(f"/{number}").headers["content-type"] == kind
    assert started.get("/yields/csv").headers["content-type"] == "text/csv; charset=utf-8"
    assert started.get("/yields/bytes").headers["content-type"] == "text/csv"
    content = app.openapi()["paths"]["/yields/csv"]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"text/csv"}


def test_redirects() -> None:
    for url, status, location in [
        ("/next", 307, "/next"),
        ("https://example.com/ä b?q=a%20b&r=ö#x", 303, "https://example.com/%C3%A4%20b?q=a%20b&r=%C3%B6#x"),
        ("../up", 308, "../up"),
        ("?page=2", 302, "?page=2"),
    ]:
        answer = answer_of(RedirectResponse(url, status))
        assert (answer.status_code, answer.headers["location"], answer.content) == (status, location, b"")
    for url in [
        "",
        "/a\r\nset-cookie: b",
        "/a\x00",
        "java\tscript:alert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
    ]:
        with pytest.raises(ValueError):
            RedirectResponse(url)
    with pytest.raises(ValueError, match="sends nobody elsewhere"):
        RedirectResponse("/", 200)


# Cookies


def test_cookies_have_every_attribute() -> None:
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie(
        "__Host-session",
        "abc=",
        max_age=60,
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        secure=True,
        httponly=True,
        samesite="none",
        partitioned=True,
    )
    response.set_cookie("b", path="/app", domain="example.com", samesite=None)
    response.set_cookie("c", "x", path=None, samesite="strict")
    response.delete_cookie("a")
    assert response.headers.getlist("set-cookie") == [
        "a=1; Path=/; SameSite=Lax",
        "__Host-session=abc=; Max-Age=60; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Path=/; Secure; HttpOnly; Partitioned; "
        "SameSite=None",
        "b=; Domain=example.com; Path=/app",
        "c=x; SameSite=Strict",
        "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax",
    ]
    response.set_cookie("d", expires=3600)
    expires = response.headers.getlist("set-cookie")[-1].split("Expires=")[1].split(";")[0]
    seconds = datetime.strptime(expires, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp() - time.time()
    assert 3590 < seconds <= 3600
    assert answer_of(response).headers.get_list("set-cookie") == response.headers.getlist("set-cookie")


@pytest.mark.parametrize(
    "cookie",
    [
        {"key": ""},
        {"key": "a b"},
        {"key": "a=b"},
        {"key": "a;"},
        {"key": "a\r\nx"},
        {"key": "ä"},
        {"key": "a", "value": "b;c"},
        {"key": "a", "value": "b\r\nset-cookie: c=d"},
        {"key": "a", "value": "ü"},
        {"key": "a", "value": 'with "quotes"'},
        {"key": "a", "value": "b,c"},
        {"key": "a", "path": "/x; Domain=evil"},
        {"key": "a", "path": "x"},
        {"key": "a", "path": "/\n"},
        {"key": "a", "domain": "evil.com; Secure"},
        {"key": "a", "domain": ""},
        {"key": "a", "samesite": "lax; Domain=x"},
        {"key": "a", "samesite": "none"},
        {"key": "a", "partitioned": True},
        {"key": "__Secure-a"},
        {"key": "__Host-a", "secure": True, "path": "/x"},
        {"key": "__host-a", "secure": True, "domain": "example.com"},
        {"key": "a", "expires": datetime(2030, 1, 1)},
        {"key": "a", "expires": 10**15},
    ],
    ids=str,
)
def test_a_cookie_cannot_say_more_than_it_says(cookie: dict[str, Any]) -> None:
    response = Response()
    with pytest.raises(ValueError):
        response.set_cookie(**cookie)
    assert "set-cookie" not in response.headers


def test_a_date_of_another_kind_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="expires is a datetime"):
        Response().set_cookie("a", expires="tomorrow")  # type: ignore[arg-type]


# Beside a value


def test_what_is_said_beside_a_value(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/value", status=202)
    async def value(response: Response, fail: bool = False) -> dict[str, int]:
        assert response.status == 202
        response.status = 201
        response.headers["x-a"] = "b"
        response.set_cookie("c", "1")
        response.set_cookie("d", "2")
        if fail:
            raise HTTPException(409)
        return {"a": 1}

    @app.get("/sync")
    def sync(response: Response) -> None:
        response.status = 204
        response.headers["x-a"] = "b"

    @app.get("/own")
    async def own(response: Response) -> Response:
        response.headers["x-a"] = "beside"
        response.headers["x-b"] = "beside"
        response.set_cookie("c", "beside")
        response.status = 201
        made = Response(203, {"x-a": "own"}, "text")
        made.set_cookie("c", "own")
        return made

    @app.get("/same")
    async def same(response: Response) -> Response:
        response.set_cookie("c", "1")
        response.body = "text"
        return response

    @app.get("/kind")
    async def kind(response: Response) -> str:
        response.headers["content-type"] = "text/markdown"
        response.headers["transfer-encoding"] = "chunked"
        response.headers["content-length"] = "7"
        return "# title"

    started = client()
    answer = started.post("/value")
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (201, {"a": 1}, "b")
    assert answer.headers["content-type"] == "application/json"
    assert [cookie.split(";")[0] for cookie in answer.headers.get_list("set-cookie")] == ["c=1", "d=2"]
    failed = started.post("/value?fail=true")
    assert (failed.status_code, "set-cookie" in failed.headers) == (409, False)
    answer = started.get("/sync")
    assert (answer.status_code, answer.headers["x-a"], answer.content) == (204, "b", b"")
    answer = started.get("/own")
    assert (answer.status_code, answer.text) == (203, "text")
    assert (answer.headers["x-a"], answer.headers["x-b"]) == ("own", "beside")
    assert [cookie.split(";")[0] for cookie in answer.headers.get_list("set-cookie")] == ["c=own", "c=beside"]
    answer = started.get("/same")
    assert (answer.text, len(answer.headers.get_list("set-cookie"))) == ("text", 1)
    answer = started.get("/kind")
    assert (answer.headers["content-type"], answer.text) == ("text/markdown", "# title")
    assert "transfer-encoding" not in answer.headers


# Behind an answer


def test_tasks_run_behind_the_answer() -> None:
    app = Ziggurat()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    ran: list[Any] = []
    answered = threading.Event()

    async def later(what: str, *, more: int = 0) -> None:
        await asyncio.to_thread(answered.wait, 10)
        ran.append((what, more, variable.get()))

    def blocking(what: str) -> None:
        ran.append((what, threading.current_thread() is threading.main_thread(), variable.get()))

    @app.get("/")
    async def root(background: BackgroundTasks) -> str:
        variable.set("handler")
        background.add_task(later, "first", more=1)
        background.add_task(blocking, "second")
        return "answered"

    @app.get("/sync")
    def sync(tasks: BackgroundTasks) -> Response:
        tasks.add_task(blocking, "injected")
        return Response(content="own", background=BackgroundTask(blocking, "own"))

    @app.get("/none")
    async def none(background: BackgroundTasks) -> str:
        return "none"

    @app.get("/raises")
    async def raises(background: BackgroundTasks) -> None:
        background.add_task(ran.append, "never")
        raise HTTPException(409)

    with TestClient(app) as client:
        assert client.get("/").text == "answered"
        assert ran == []
        answered.set()
        until(lambda: len(ran) == 2)
        assert ran == [("first", 1, "handler"), ("second", False, "handler")]
        assert client.get("/sync").text == "own"
        until(lambda: len(ran) == 4)
        assert {what for what, *_ in ran[2:]} == {"own", "injected"}
        assert client.get("/none").text == "none"
        assert client.get("/raises").status_code == 409
    assert "never" not in ran


def test_a_task_that_fails_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    app = Ziggurat()
    ran: list[str] = []

    async def fails() -> None:
        raise RuntimeError("a task failed")

    @app.get("/")
    async def root() -> Response:
        tasks = BackgroundTasks([BackgroundTask(fails)])
        tasks.add_task(ran.append, "next")
        return JSONResponse({}, background=tasks)

    with caplog.at_level(logging.ERROR, logger="ziggurat"), TestClient(app) as client:
        assert client.get("/").json() == {}
        until(lambda: ran == ["next"])
    assert len(caplog.records) == 1
    assert "fails" in caplog.records[0].getMessage() and "a task failed" in caplog.text
    with pytest.raises(TypeError, match="is a function"):
        BackgroundTasks().add_task("send")  # type: ignore[arg-type]


def test_tasks_behind_a_body_in_pieces_wait_for_its_end() -> None:
    app = Ziggurat()
    order: list[str] = []

    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            order.append(f"chunk {number}")
            yield "x"
            await asyncio.sleep(0.01)
        order.append("ended")

    @app.get("/")
    async def root() -> Response:
        return Response(body=chunks(), background=BackgroundTask(order.append, "task"))

    with TestClient(app) as client:
        assert client.get("/").text == "xxx"
        until(lambda: "task" in order)
    assert order == ["chunk 0", "chunk 1", "chunk 2", "ended", "task"]


def test_tasks_run_though_the_client_has_gone_and_an_app_that_stops_waits_for_them() -> None:
    app = Ziggurat()
    begun = threading.Event()
    left = threading.Event()
    ran: list[str] = []

    async def slow() -> None:
        begun.set()
        await asyncio.sleep(0.3)
        ran.append("slow")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    @app.get("/stream")
    async def stream(background: BackgroundTasks) -> Response:
        background.add_task(ran.append, "behind the stream")
        return Response(body=endless())

    @app.get("/slow")
    async def answer(background: BackgroundTasks) -> str:
        background.add_task(slow)
        return "answered"

    with TestClient(app) as client:
        address = app.build().listen("127.0.0.1", 0, "{}")
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            assert ran == []
        left.set()
        until(lambda: ran == ["behind the stream"])
        assert client.get("/slow").text == "answered"
        assert begun.wait(10)
        app.build().drain()
    assert ran[-1] == "slow"


def test_two_parameters_may_be_the_same_response(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.get("/")
    async def root(one: Response, request: Request, two: Response) -> bool:
        return one is two

    assert client().get("/").json() is True


def test_a_subclass_cannot_be_filled(app: Ziggurat) -> None:
    with pytest.raises(ConfigError, match="cannot be read from the query"):

        @app.get("/")
        async def root(response: JSONResponse) -> None: ...


def test_status_code_is_another_name_of_status(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    """As users of other frameworks write it: of responses, of `HTTPException`, and of what is set beside."""
    made = [
        Response(status_code=202),
        PlainTextResponse("x", status_code=202),
        JSONResponse({}, status_code=202),
        StreamingResponse(iter([b"x"]), status_code=202),
        EventSourceResponse(iter(["x"]), status_code=202),
        FileResponse(__file__, status_code=202),
    ]
    assert [(each.status, each.status_code) for each in made] == [(202, 202)] * 6
    assert RedirectResponse("/", status_code=303).status == 303
    assert (Response().status, RedirectResponse("/").status, PlainTextResponse("x", 201).status_code) == (200, 307, 201)

    @app.get("/raised")
    async def raised() -> None:
        raise HTTPException(status_code=410, detail="gone for good")

    @app.get("/set")
    async def given(response: Response) -> str:
        response.status_code = 203
        return "x"

    started = client()
    answer = started.get("/raised")
    assert (answer.status_code, answer.json()["detail"]) == (410, "gone for good")
    assert started.get("/set").status_code == 203

    both: list[Callable[[], object]] = [
        lambda: Response(201, status_code=202),
        lambda: PlainTextResponse("x", 201, status_code=202),
        lambda: RedirectResponse("/", 303, status_code=307),
        lambda: HTTPException(404, status_code=410),
    ]
    for each in both:
        with pytest.raises(TypeError, match="status and status_code are two names of one thing"):
            each()
    with pytest.raises(TypeError, match="needs a status"):
        HTTPException(detail="x")
    with pytest.raises(ValueError, match="99 is not the status"):
        Response(status_code=99)
    with pytest.raises(ValueError, match="200 sends nobody elsewhere"):
        RedirectResponse("/", status_code=200)
