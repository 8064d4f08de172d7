"""Hooks of CRUD routes: Python code that native writes pass through."""

from __future__ import annotations

import contextvars
import http.client
import json
import logging
import textwrap
import time
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field

from ziggurat import (
    CORE,
    ConfigError,
    Hidden,
    HookContext,
    HTTPException,
    Indexed,
    Model,
    Request,
    Response,
    UpdatedAt,
    WriteOnly,
    Ziggurat,
    uuid7,
)
from ziggurat.testing import TestClient


class User(Model):
    id: UUID = Field(default_factory=uuid7)
    name: Annotated[str, Field(max_length=20)]
    email: Annotated[str, Indexed(unique=True)] | None = None
    password: Annotated[str, WriteOnly] = ""
    slug: Annotated[str, Hidden] = ""
    updated_at: UpdatedAt


class Seen:
    """What hooks were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any] | None, dict[str, Any]]] = []

    def note(self, when: str, ctx: HookContext[Any], doc: BaseModel) -> None:
        stored = None if ctx.stored is None else ctx.stored.model_dump(mode="json", exclude={"updated_at"})
        self.calls.append((f"{when}_{ctx.op}", stored, doc.model_dump(mode="json", exclude={"updated_at"})))

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.calls]

    def wait_for(self, count: int) -> None:
        """Hooks that come after are not waited for by the client."""
        end = time.monotonic() + 10
        while len(self.calls) < count and time.monotonic() < end:
            time.sleep(0.005)


def app_of(**options: Any) -> tuple[Ziggurat, Any]:
    app = Ziggurat(store="sqlite:///:memory:")
    return app, app.crud(User, **options)


def test_a_hook_changes_what_is_written_and_only_its_operation_enters_python() -> None:
    app, crud = app_of()

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            assert ctx.op == "create" and ctx.stored is None
            assert ctx.request.method == "POST" and ctx.request.headers["x-who"] == "me"
            doc.slug = doc.name.lower()
            doc.password = f"hashed {doc.password}"

    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        made = client.post("/user", json={"name": "Ada", "password": "secret"}, headers={"x-who": "me"})
        assert made.status_code == 201
        assert set(made.json()) == {"id", "name", "email", "updated_at"}
        counts = app.attach_counts()["crud"]
        path = made.headers["location"]
        assert client.get(path).json() == made.json()
        assert client.patch(path, json={"name": "Bob"}).status_code == 200
        assert client.put(path, json={"name": "Eve"}).status_code == 200
        assert client.delete(path).status_code == 204
        assert app.attach_counts()["crud"] == counts
        assert counts == before + 1

    kinds = {(route.method, route.path): route.hooks for route in app.routes}
    assert kinds[("POST", "/user")] == ("UserRoutes.before_create",)
    assert kinds[("PATCH", "/user/{id}")] == ()
    assert next(str(stack) for stack in app.stack("/user") if stack.method == "POST").endswith(
        "UserRoutes.before_create [Python] > User.create"
    )
    paths = app.openapi()["paths"]
    assert paths["/user"]["post"]["x-ziggurat-native"] is False
    assert paths["/user"]["get"]["x-ziggurat-native"] is True


def test_every_hook_sees_the_row_before_and_after() -> None:
    app, crud = app_of()
    seen = Seen()

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("before", ctx, doc)

        async def before_replace(self, ctx: HookContext[User], doc: User) -> User:
            seen.note("before", ctx, doc)
            return doc.model_copy(update={"slug": "replaced"})

        async def before_patch(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("before", ctx, doc)
            doc.slug += "+patched"

        async def before_delete(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("before", ctx, doc)

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

        async def after_replace(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

        async def after_patch(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

        async def after_delete(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

    def row(name: str, slug: str, password: str = "p") -> dict[str, Any]:
        return {"id": id, "name": name, "email": None, "password": password, "slug": slug}

    with TestClient(app) as client:
        id = client.post("/user", json={"name": "Ada", "password": "p"}).json()["id"]
        seen.wait_for(2)
        assert client.put(f"/user/{id}", json={"name": "Bob"}).json()["name"] == "Bob"
        seen.wait_for(4)
        assert client.patch(f"/user/{id}", json={"name": "Eve"}).json()["name"] == "Eve"
        # Nothing is written, so nothing is told.
        assert client.patch(f"/user/{id}", json={}).status_code == 200
        seen.wait_for(6)
        assert client.delete(f"/user/{id}").status_code == 204
        seen.wait_for(8)
        assert client.delete(f"/user/{id}").status_code == 404
        assert client.patch(f"/user/{id}", json={"name": "Eve"}).status_code == 404
        assert client.put(f"/user/{id}", json={"name": "Eve"}).status_code == 404

    last = row("Eve", "replaced+patched")
    assert seen.calls == [
        ("before_create", None, row("Ada", "")),
        ("after_create", None, row("Ada", "")),
        ("before_replace", row("Ada", ""), row("Bob", "")),
        ("after_replace", row("Ada", ""), row("Bob", "replaced")),
        ("before_patch", row("Bob", "replaced"), row("Eve", "replaced")),
        ("after_patch", row("Bob", "replaced"), last),
        ("before_delete", last, last),
        ("after_delete", last, last),
    ]


def test_a_refusal_is_the_answer_and_nothing_is_written() -> None:
    app, crud = app_of()
    seen = Seen()

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            if doc.name == "root":
                raise HTTPException(409, "that name is taken", {"x-why": "reserved"})

        async def before_patch(self, ctx: HookContext[User], doc: User) -> None:
            raise HTTPException(403, "nobody changes names")

        async def before_delete(self, ctx: HookContext[User], doc: User) -> None:
            raise HTTPException(423, "it is kept")

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

        async def after_delete(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

    with TestClient(app) as client:
        refused = client.post("/user", json={"name": "root"})
        assert (refused.status_code, refused.json()["detail"]) == (409, "that name is taken")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["x-why"] == "reserved"
        assert client.get("/user").json()["items"] == []
        made = client.post("/user", json={"name": "Ada"})
        path = made.headers["location"]
        assert client.patch(path, json={"name": "Bob"}).status_code == 403
        assert client.delete(path).status_code == 423
        assert client.get(path).json() == made.json()
        # What does not fit the model, or the version, never comes to a hook.
        assert client.post("/user", json={"name": 5}).status_code == 422
        assert client.patch(path, json={"name": "Bob"}, headers={"if-match": '"0"'}).status_code == 412
        assert client.delete(path, headers={"if-match": '"0"'}).status_code == 412
        seen.wait_for(1)
    assert seen.names == ["after_create"]


def test_failures_are_logged_and_the_client_learns_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app, crud = app_of(client_id=True)

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> Any:
            match doc.name:
                case "raises":
                    raise ValueError("the secret")
                case "gives":
                    return {"name": "a dict"}
                case "breaks":
                    doc.name = "x" * 21
                case "after":
                    doc.slug = "after"

        async def before_patch(self, ctx: HookContext[User], doc: User) -> None:
            doc.id = uuid4()

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            raise RuntimeError("nobody hears it")

    with TestClient(app) as client, caplog.at_level(logging.ERROR, "ziggurat"):
        for name in ["raises", "gives", "breaks"]:
            answer = client.post("/user", json={"name": name})
            assert answer.status_code == 500, name
            assert "secret" not in answer.text and "UserRoutes" not in answer.text
        assert client.get("/user").json()["items"] == []
        made = client.post("/user", json={"name": "after"})
        assert made.status_code == 201
        assert client.patch(made.headers["location"], json={"name": "Bob"}).status_code == 500
        assert client.get(made.headers["location"]).json()["name"] == "after"
    logged = [(record.getMessage(), str(record.exc_info[1]) if record.exc_info else "") for record in caplog.records]
    assert ("UserRoutes.before_create raised an exception", "the secret") in logged
    assert (
        "UserRoutes.before_create raised an exception",
        "UserRoutes.before_create gave dict: give the User that is to be written, or nothing",
    ) in logged
    assert ("UserRoutes.after_create raised an exception", "nobody hears it") in logged


def test_rows_of_one_post_pass_one_by_one() -> None:
    app, crud = app_of(bulk=True)
    seen = Seen()

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            if doc.name == "root":
                raise HTTPException(409, "that name is taken")
            doc.slug = doc.name

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("after", ctx, doc)

    with TestClient(app) as client:
        refused = client.post("/user", json=[{"name": "Ada"}, {"name": "root"}, {"name": "Bob"}])
        assert refused.status_code == 409
        assert refused.json()["errors"] == [{"pointer": "/1", "code": "conflict", "detail": "that name is taken"}]
        assert client.get("/user").json()["items"] == []
        lenient = client.post(
            "/user", json=[{"name": "Ada"}, {"name": "root"}, {"name": "Bob"}], headers={"prefer": "handling=lenient"}
        )
        assert [item["status"] for item in lenient.json()["items"]] == [201, 409, 201]
        many = client.post("/user", json=[{"name": f"row {n}"} for n in range(100)])
        assert many.status_code == 201
        seen.wait_for(102)
    assert sorted(doc["slug"] for _, _, doc in seen.calls) == sorted(["Ada", "Bob", *(f"row {n}" for n in range(100))])


def test_a_put_that_makes_a_row_calls_the_hooks_of_making() -> None:
    app, crud = app_of(client_id=True, upsert=True, ops=CORE - {"create"})
    seen = Seen()

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("before", ctx, doc)
            doc.slug = "made"

        async def before_replace(self, ctx: HookContext[User], doc: User) -> None:
            seen.note("before", ctx, doc)

    id = str(uuid4())
    with TestClient(app) as client:
        assert client.put(f"/user/{id}", json={"name": "Ada"}).status_code == 201
        assert client.put(f"/user/{id}", json={"name": "Bob"}).status_code == 200
    assert seen.names == ["before_create", "before_replace"]
    assert seen.calls[1][1] is not None and seen.calls[1][1]["slug"] == "made"
    route = next(route for route in app.routes if route.method == "PUT")
    assert route.hooks == ("UserRoutes.before_replace", "UserRoutes.before_create")


def test_a_hook_that_others_overtake_is_called_again() -> None:
    app, crud = app_of()
    calls: list[str] = []

    @crud
    class UserRoutes:
        async def before_patch(self, ctx: HookContext[User], doc: User) -> None:
            assert ctx.stored is not None
            calls.append(ctx.stored.slug)
            if len(calls) == 1:
                row = await User.get(doc.id)
                assert row is not None
                row.slug = "overtaken"
                await row.save()
            doc.name += "!"

    with TestClient(app) as client:
        path = client.post("/user", json={"name": "Ada"}).headers["location"]
        assert client.patch(path, json={"name": "Bob"}).json()["name"] == "Bob!"
    assert calls == ["", "overtaken"]


def test_a_request_that_comes_again_calls_no_hook() -> None:
    app, crud = app_of(idempotency=True, bulk=True)
    calls: list[str] = []

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            calls.append(f"before {doc.name}")

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            calls.append(f"after {doc.name}")

        async def before_patch(self, ctx: HookContext[User], doc: User) -> None:
            calls.append(f"before {doc.name}")
            doc.slug = doc.name.lower()

        async def after_patch(self, ctx: HookContext[User], doc: User) -> None:
            calls.append(f"after {doc.name}")

    key = {"idempotency-key": "k"}
    with TestClient(app) as client:
        many = [client.post("/user", json=[{"name": "Ada"}], headers=key) for _ in range(2)]
        path = f"/user/{many[0].json()['items'][0]['id']}"
        patched = [client.patch(path, json={"name": "Bob"}, headers=key) for _ in range(2)]
    for first, again in (many, patched):
        assert first.is_success and (again.status_code, again.text) == (first.status_code, first.text)
        assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert calls == ["before Ada", "after Ada", "before Bob", "after Bob"]


def test_a_hook_may_use_the_store_and_what_middleware_set() -> None:
    app, crud = app_of()
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
    found: list[tuple[str, str]] = []

    @crud
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            found.append((trace.get(), ctx.request.state["who"]))
            with pytest.raises(RuntimeError, match="the body was read for the row"):
                await ctx.request.json()
            if await User.find(User.name == doc.name).count():
                raise HTTPException(409, "there is one of that name")

        async def after_create(self, ctx: HookContext[User], doc: User) -> None:
            found.append((trace.get(), ctx.request.state["who"]))
            doc.slug = "after"
            await doc.save()
            found.append(("saved", doc.slug))

    @app.middleware
    async def tracing(request: Request, call_next: Any) -> Response:
        trace.set("on")
        request.state["who"] = "me"
        return await call_next(request)

    with TestClient(app) as client:
        assert client.post("/user", json={"name": "Ada"}).status_code == 201
        assert client.post("/user", json={"name": "Ada"}).status_code == 409
    # The client has gone, and hooks that ran were waited for.
    assert sorted(found) == [("on", "me"), ("on", "me"), ("on", "me"), ("saved", "after")]


def test_mistakes_are_told_when_the_class_is_read() -> None:
    def refused(cls: type, **options: Any) -> str:
        _, crud = app_of(**options)
        with pytest.raises(ConfigError) as raised:
            crud(cls)
        assert "test_hooks.py" in str(raised.value)
        return str(raised.value)

    class Misspelt:
        async def before_crate(self, ctx: Any, doc: Any) -> None: ...

    class Reads:
        async def before_list(self, ctx: Any, doc: Any) -> None: ...

    class Plain:
        def before_create(self, ctx: Any, doc: Any) -> None: ...

    class Short:
        async def before_create(self, doc: Any) -> None: ...

    class Asks:
        def __init__(self, name: str) -> None: ...

        async def before_create(self, ctx: Any, doc: Any) -> None: ...

    assert "Misspelt.before_crate is no hook of CRUD routes; did you mean before_create?" in refused(Misspelt)
    assert "Reads.before_list is no hook of CRUD routes" in refused(Reads)
    assert "Plain.before_create is not an async function; write async def before_create(self, ctx, doc)" in refused(
        Plain
    )
    assert "Short.before_create cannot be called with a context and a row" in refused(Short)
    assert "Asks cannot be made" in refused(Asks)
    assert "Short.before_create is never called: User is served without create" in refused(Short, ops={"get"})

    class Helped:
        limit = 3

        def _helper(self) -> int:
            return self.limit

        async def before_create(self, ctx: Any, doc: Any) -> None: ...

    class Inherits(Helped): ...

    app, crud = app_of()
    assert crud(Inherits) is Inherits
    assert app.crud_specs[0].hooks is not None and app.crud_specs[0].hooks.names == ["before_create"]


def test_models_of_plain_pydantic_have_hooks_too() -> None:
    class Plain(BaseModel):
        id: UUID = Field(default_factory=uuid7)
        name: str

    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(Plain)
    class PlainRoutes:
        async def before_patch(self, ctx: HookContext[Plain], doc: Plain) -> Plain:
            assert ctx.stored is not None
            return Plain(id=doc.id, name=f"{ctx.stored.name} {doc.name}")

    with TestClient(app) as client:
        path = client.post("/plain", json={"name": "Ada"}).headers["location"]
        assert client.patch(path, json={"name": "Bob"}).json()["name"] == "Ada Bob"


SLOW = """
    import asyncio
    from uuid import UUID
    from pydantic import Field
    from ziggurat import Model, Ziggurat, uuid7

    class User(Model):
        id: UUID = Field(default_factory=uuid7)
        name: str

    app = Ziggurat(store="sqlite:///:memory:")

    @app.crud(User)
    class UserRoutes:
        async def before_create(self, ctx, doc):
            if doc.name == "leaves":
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    print("cancelled", flush=True)
                    raise

        async def after_create(self, ctx, doc):
            await asyncio.sleep(1)
            print("mail to", doc.name, flush=True)

    app.run()
"""


def served_post(serve: Callable[..., Any], name: str) -> tuple[Any, http.client.HTTPConnection]:
    """The app of ``SLOW``, and a connection on which a row was sent to it."""
    served = serve("-c", textwrap.dedent(SLOW))
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/user", json.dumps({"name": name}), {"content-type": "application/json"})
    return served, connection


def test_a_server_says_what_enters_python_and_waits_for_hooks_when_it_stops(
    serve: Callable[..., Any], mode: str
) -> None:
    served, connection = served_post(serve, "Ada")
    assert connection.getresponse().status == 201
    connection.close()
    assert "mail to Ada" not in served.output(), "the client waited for the hook"
    assert served.stop() == 0
    output = served.output()
    assert "mail to Ada" in output
    assert "hooks    POST /user enters Python for UserRoutes.before_create, UserRoutes.after_create" in output


def test_a_client_that_leaves_cancels_the_hook_and_nothing_is_written(serve: Callable[..., Any], mode: str) -> None:
    served, connection = served_post(serve, "leaves")
    time.sleep(0.3)
    connection.close()
    end = time.monotonic() + 10
    while "cancelled" not in served.output() and time.monotonic() < end:
        time.sleep(0.02)
    assert "cancelled" in served.output()
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/user")
    assert json.loads(connection.getresponse().read())["items"] == []
    connection.close()
