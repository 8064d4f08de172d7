"""What hooks of CRUD take beside the context and the row: dependencies, the app's state, and what a request says."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel, Field
from tokens import SECRET, bearer

from ziggurat import (
    CORE,
    BackgroundTasks,
    Body,
    Claims,
    ConfigError,
    Cookie,
    Depends,
    Form,
    Header,
    HookContext,
    HTTPException,
    Model,
    Path,
    Query,
    Request,
    Response,
    State,
    WebSocket,
    Ziggurat,
    layers,
    uuid7,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Note(Model):
    id: UUID = Field(default_factory=uuid7)
    text: str
    by: str = ""


class AppState(State):
    greeting: str = "hello"


Context = HookContext[Note]
events: list[str] = []
EVENTS_LOCK = threading.Condition()


def note(event: str) -> None:
    with EVENTS_LOCK:
        events.append(event)
        EVENTS_LOCK.notify_all()


def wait_for(event: str) -> None:
    with EVENTS_LOCK:
        assert EVENTS_LOCK.wait_for(lambda: event in events, 10), events


@pytest.fixture(autouse=True)
def nothing_happened() -> None:
    events.clear()


async def connect() -> AsyncIterator[str]:
    note("connected")
    try:
        yield "db"
    except BaseException as error:
        note(f"raised {type(error).__name__}")
        raise
    finally:
        note(f"closed with {await Note.find().count()} rows")


def caller(who: Annotated[str, Header()], tries: Annotated[int, Query(ge=1)] = 1) -> str:
    note(f"asked for {who}")
    return f"{who} {tries}"


def app_of(**options: Any) -> tuple[Ziggurat, Any]:
    """An app, and what serves its rows with hooks: where it is called, names are looked for."""
    app = Ziggurat(store="sqlite:///:memory:", state=AppState())
    return app, app.crud(Note, **options)


def test_dependencies_are_made_for_a_hook_and_cleaned_up_behind_it() -> None:
    class Routes:
        async def before_create(
            self,
            ctx: Context,
            doc: Note,
            db: Annotated[str, Depends(connect)],
            state: AppState,
            request: Request,
            *,
            who: Annotated[str, Depends(caller)],
        ) -> None:
            assert request is ctx.request
            note(f"hook with {db}")
            doc.by = f"{state.greeting} {who}"

        async def after_create(self, ctx: Context, doc: Note, db: Annotated[str, Depends(connect)]) -> None:
            note(f"after {doc.by} with {db}")

    app, crud = app_of()
    crud(Routes)
    with TestClient(app) as client:
        app.state.greeting = "good day"
        made = client.post("/note?tries=3", json={"text": "x"}, headers={"who": "ada"})
        assert made.json()["by"] == "good day ada 3"
        # The one is closed before the row is written, the other after that.
        wait_for("closed with 1 rows")
    assert events == [
        "connected",
        "asked for ada",
        "hook with db",
        "closed with 0 rows",
        "connected",
        "after good day ada 3 with db",
        "closed with 1 rows",
    ]


def test_what_a_request_lacks_is_told_before_python_is_entered() -> None:
    class Page(BaseModel):
        size: int = Field(ge=1)

    class Routes:
        async def before_create(self, ctx: Context, doc: Note, who: Annotated[str, Depends(caller)]) -> None:
            note("hook")

        async def before_patch(self, ctx: Context, doc: Note, page: Annotated[Page, Query()]) -> None:
            doc.by = str(page.size)

        async def before_delete(self, ctx: Context, doc: Note, theme: Annotated[str | None, Cookie()] = None) -> None:
            note(f"theme {theme}")

    app, crud = app_of(bulk=True)
    crud(Routes)
    with TestClient(app) as client:
        before = app.attach_counts()
        answer = client.post("/note?tries=0", json={"text": "x"})
        assert answer.status_code == 422
        wrong = [(error.get("header") or error.get("parameter"), error["code"]) for error in answer.json()["errors"]]
        assert wrong == [("who", "missing"), ("tries", "greater_than_equal")]
        assert (app.attach_counts(), events) == (before, [])
        # What is wrong with the row is told first.
        assert client.post("/note", json={}).json()["errors"][0]["pointer"] == "/text"

        many = client.post("/note", json=[{"text": "x"}, {"text": "y"}], headers={"who": "ada"})
        assert many.status_code == 201 and events == ["asked for ada", "hook"] * 2, "each row passes by itself"
        path = f"/note/{many.json()['items'][0]['id']}"
        wrong = client.patch(f"{path}?size=0", json={"text": "z"})
        assert (wrong.status_code, wrong.json()["errors"][0]["parameter"]) == (422, "size")
        assert client.patch(f"{path}?size=7", json={"text": "z"}).json()["by"] == "7"
        assert client.delete(path, headers={"cookie": "theme=dark"}).status_code == 204
        assert events[-1] == "theme dark"


class OutOfInk(Exception):
    pass


def test_what_a_hook_raises_passes_its_dependencies() -> None:
    class Routes:
        async def before_create(self, ctx: Context, doc: Note, db: Annotated[str, Depends(connect)]) -> None:
            if doc.text == "ink":
                raise OutOfInk
            raise HTTPException(409, "not now")

    app, crud = app_of()
    crud(Routes)

    @app.exception_handler(OutOfInk)
    async def out_of_ink(request: Request, error: OutOfInk) -> Response:
        return Response(418)

    with TestClient(app) as client:
        assert client.post("/note", json={"text": "x"}).json()["detail"] == "not now"
        assert client.post("/note", json={"text": "ink"}).status_code == 418
        assert client.get("/note").json()["items"] == []
    closed = "closed with 0 rows"
    assert events == ["connected", "raised HTTPException", closed, "connected", "raised OutOfInk", closed]


def test_a_refusal_that_a_dependency_keeps_to_itself_is_no_leave() -> None:
    async def quiet() -> AsyncIterator[None]:
        try:
            yield
        except HTTPException:
            note("kept")

    class Routes:
        async def before_create(self, ctx: Context, doc: Note, quiet: Annotated[None, Depends(quiet)]) -> None:
            raise HTTPException(403)

        async def before_delete(self, ctx: Context, doc: Note, quiet: Annotated[None, Depends(quiet)]) -> None:
            raise HTTPException(403)

    app, crud = app_of()
    crud(Routes)
    kept = Note(text="x")

    @app.on_startup
    async def started() -> None:
        await kept.insert()

    with TestClient(app) as client:
        assert client.post("/note", json={"text": "y"}).status_code == 500
        assert client.delete(f"/note/{kept.id}").status_code == 500
        assert [row["id"] for row in client.get("/note").json()["items"]] == [str(kept.id)]
    assert events == ["kept", "kept"]


def test_a_dependency_may_refuse_and_may_run_on_a_thread() -> None:
    threads: list[bool] = []

    def slow(request: Request) -> Iterator[str]:
        threads.append(threading.current_thread() is loop_thread[0])
        if "bad" in request.headers:
            raise HTTPException(403, "you are not welcome")
        yield "slow"
        threads.append(threading.current_thread() is loop_thread[0])

    loop_thread: list[threading.Thread] = []

    class Routes:
        async def before_create(
            self, ctx: Context, doc: Note, slow: Annotated[str, Depends(slow, thread=True)]
        ) -> Note:
            return doc.model_copy(update={"by": slow})

    app, crud = app_of()
    crud(Routes)

    @app.on_startup
    async def started() -> None:
        loop_thread.append(threading.current_thread())

    with TestClient(app) as client:
        assert client.post("/note", json={"text": "x"}).json()["by"] == "slow"
        refused = client.post("/note", json={"text": "x"}, headers={"bad": "yes"})
        assert (refused.status_code, refused.json()["detail"]) == (403, "you are not welcome")
    assert threads == [False, False, False]


def test_others_stand_in_for_dependencies() -> None:
    class Routes:
        async def before_create(self, ctx: Context, doc: Note, who: Annotated[str, Depends(caller)]) -> None:
            doc.by = who

        async def before_patch(self, ctx: Context, doc: Note, who: Annotated[str, Depends(caller)]) -> None:
            doc.by = who

    app, crud = app_of()
    crud(Routes)
    seen: list[str] = []

    @app.get("/who")
    async def who(who: Annotated[str, Depends(caller)]) -> str:
        return who

    def tested(trace: Annotated[str, Header()] = "none") -> str:
        seen.append(trace)
        return "tested"

    with TestClient(app) as client:
        app.dependency_overrides[caller] = tested
        made = client.post("/note", json={"text": "x"}, headers={"trace": "t"})
        assert (made.json()["by"], seen) == ("tested", ["t"])
        assert client.get("/who").text == "tested"
        app.dependency_overrides.clear()
        assert client.post("/note", json={"text": "x"}).status_code == 422
        path = made.headers["location"]
        assert client.patch(path, json={"text": "y"}, headers={"who": "ada"}).json()["by"] == "ada 1"
        assert client.get("/who", headers={"who": "ada"}).text == "ada 1"
    fresh, crud = app_of()
    crud(Routes)
    fresh.dependency_overrides[caller] = tested
    with TestClient(fresh) as client:
        assert client.post("/note", json={"text": "x"}).json()["by"] == "tested"


def test_who_calls() -> None:
    class Asks:
        async def before_create(self, ctx: Context, doc: Note, claims: Claims) -> None:
            doc.by = claims.sub or ""

    class May:
        async def before_create(self, ctx: Context, doc: Note, claims: Claims | None) -> None:
            doc.by = "nobody" if claims is None else claims.sub or ""

    def app_for(routes: type, **options: Any) -> Ziggurat:
        app = Ziggurat(store="sqlite:///:memory:", layers=[layers.Jwt(secret=SECRET, required=False)])
        app.crud(Note, **options)(routes)
        return app

    for routes, options, sub in [(Asks, {"auth": {"create": True}}, None), (May, {}, "nobody")]:
        with TestClient(app_for(routes, **options)) as client:
            answer = client.post("/note", json={"text": "x"})
            assert answer.status_code == 401 if sub is None else answer.json()["by"] == sub
            assert client.post("/note", json={"text": "x"}, headers=bearer(sub="ada")).json()["by"] == "ada"
    for ops, auth, op in [
        (CORE, {}, "create"),
        (CORE | {"import"}, {"create": True}, "import"),
        (CORE - {"create"}, {}, "replace"),
    ]:
        upsert = "create" not in ops
        app = app_for(Asks, ops=ops, auth=auth, upsert=upsert, client_id=upsert)
        with pytest.raises(ConfigError, match=f"Asks.before_create takes Claims.* and {op} of Note asks for nobody"):
            app.build()


LACKS = """
    from typing import Annotated
    from uuid import UUID
    from ziggurat import Depends, Header, Model, Ziggurat

    class Note(Model):
        id: UUID
        text: str

    def caller(who: Annotated[str, Header()]) -> str:
        return who

    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Note)
    class Routes:
        async def after_create(self, ctx, doc, who: Annotated[str, Depends(caller)]):
            print("mail from", who, flush=True)

    app.run()
"""


def test_a_hook_behind_the_answer_that_cannot_be_called_is_logged(serve: Callable[..., Any]) -> None:
    served = serve("-c", textwrap.dedent(LACKS))
    for headers in ({}, {"who": "ada"}):
        assert httpx.post(f"{served.url}/note", json={"text": "x"}, headers=headers).status_code == 201
    assert served.stop() == 0
    output = served.output()
    [line] = [line for line in output.splitlines() if "a hook was not called" in line]
    assert "Routes.after_create" in line and "missing" in line
    assert "mail from ada" in output


def test_mistakes_are_told_when_the_class_is_read() -> None:
    def refused(annotation: Any, told: str) -> None:
        class Routes:
            async def before_create(self, ctx: Context, doc: Note, extra: Any) -> None: ...

        Routes.before_create.__annotations__["extra"] = annotation
        with pytest.raises(ConfigError, match=told) as raised:
            app_of()[1](Routes)
        assert "before_create" in str(raised.value) and "test_hooks_depends.py" in str(raised.value)

    async def form(name: Annotated[str, Form()]) -> str:
        return name

    refused(Note, "'extra' is a body, and that of the request was read for the row; use the row")
    refused(Annotated[str, Body()], "'extra' is a body, and that of the request")
    refused(Annotated[str, Depends(form)], "'name' is taken from a form, and the body of the request was read")
    refused(Annotated[str, Path()], "'extra' is a path parameter, but the path has no")
    refused(Response, "'extra' belongs to an answer, and a hook gives none")
    refused(BackgroundTasks, "'extra' belongs to an answer, and a hook gives none; .* in an after_ hook")
    refused(WebSocket, "'extra' is a WebSocket, which no request of another kind gets")

    class Bare:
        async def before_create(self, ctx, doc, extra) -> None: ...  # type: ignore[no-untyped-def]

    class Starred:
        async def before_create(self, ctx: Context, doc: Note, **extra: Any) -> None: ...

    class Named:
        async def before_create(self, ctx: Context, *, doc: Note) -> None: ...

    for routes, told in [
        (Bare, "the parameter 'extra' has no annotation"),
        (Starred, r"\*\*extra cannot be filled"),
        (Named, "cannot be called with a context and a row, which come first"),
    ]:
        with pytest.raises(ConfigError, match=told):
            app_of()[1](routes)

    class Other(State):
        pool: int = 0

    class Wrong:
        async def before_create(self, ctx: Context, doc: Note, state: Other) -> None: ...

    with pytest.raises(ConfigError, match="'state' is Other, and the app has AppState"):
        app, crud = app_of()
        crud(Wrong)
        app.build()


def test_annotations_that_are_not_needed_need_not_be_there() -> None:
    class Routes:
        async def before_create(self, ctx: NotThere, doc: NotThere) -> None:  # type: ignore[name-defined]  # noqa: F821
            doc.by = "me"

    app, crud = app_of()
    crud(Routes)
    with TestClient(app) as client:
        assert client.post("/note", json={"text": "x"}).json()["by"] == "me"


@dataclass
class Clock:
    """A dependency that is a class, of what the request says."""

    zone: Annotated[str, Header()] = "UTC"


def test_classes_and_nested_dependencies_are_made_once_for_a_call() -> None:
    made: list[str] = []

    def first(clock: Annotated[Clock, Depends()]) -> str:
        made.append(clock.zone)
        return clock.zone

    def second(first: Annotated[str, Depends(first)]) -> str:
        return f"{first}!"

    class Routes:
        async def before_create(
            self,
            ctx: Context,
            doc: Note,
            one: Annotated[str, Depends(first)],
            two: Annotated[str, Depends(second)],
        ) -> None:
            doc.by = one + two

    app, crud = app_of()
    crud(Routes)
    with TestClient(app) as client:
        assert client.post("/note", json={"text": "x"}, headers={"zone": "CET"}).json()["by"] == "CETCET!"
    assert made == ["CET"]


def test_the_document_shows_what_hooks_take() -> None:
    class Routes:
        async def before_create(self, ctx: Context, doc: Note, who: Annotated[str, Depends(caller)]) -> None: ...

        async def before_delete(self, ctx: Context, doc: Note, theme: Annotated[str, Cookie()]) -> None: ...

        async def after_delete(self, ctx: Context, doc: Note, theme: Annotated[str, Cookie()]) -> None: ...

    for errors, schema in (("problem", "Problem"), ("fastapi", "HTTPValidationError")):
        app, crud = app_of(errors=errors, ops=CORE | {"import"})
        crud(Routes)
        paths = app.openapi()["paths"]
        taken = {
            op: [(each["in"], each["name"]) for each in paths[path][op]["parameters"]]
            for path, op in (("/note", "post"), ("/note/{id}", "delete"), ("/note/{id}", "patch"), ("/note", "get"))
        }
        assert {("header", "who"), ("query", "tries")} <= set(taken["post"])
        assert taken["delete"].count(("cookie", "theme")) == 1
        assert not {("header", "who"), ("cookie", "theme")} & set(taken["patch"] + taken["get"])
        assert ("header", "who") in [
            (each["in"], each["name"]) for each in paths["/note/_import"]["post"]["parameters"]
        ]
        [content] = paths["/note/{id}"]["delete"]["responses"]["422"]["content"].values()
        assert content["schema"]["$ref"].endswith(schema)
