"""What a test has run on the loop of the app."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import traceback
from collections.abc import Awaitable
from typing import Any
from uuid import UUID, uuid4

import pytest

from ziggurat import BackgroundTasks, Model, Ziggurat
from ziggurat.testing import AsyncTestClient, TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Note(Model):
    id: UUID
    text: str


@pytest.fixture
def app() -> Ziggurat:
    app = Ziggurat(store="sqlite:///:memory:", openapi_path=None)
    app.crud(Note, path="/notes")(type("Notes", (), {}))

    @app.on_startup
    async def begin() -> None:
        app.state.loop = asyncio.get_running_loop()
        app.state.done = asyncio.Event()

    @app.post("/later")
    async def later(tasks: BackgroundTasks) -> None:
        async def task() -> None:
            app.state.done.set()

        tasks.add_task(task)

    return app


def test_it_runs_where_the_code_of_the_app_does(app: Ziggurat) -> None:
    made = uuid4()

    async def fill(*texts: str, last: str) -> int:
        assert asyncio.get_running_loop() is app.state.loop
        for text in (*texts, last):
            await Note(id=made if text == "c" else uuid4(), text=text).insert()
        return len(texts) + 1

    async def waits() -> bool:
        return bool(await app.state.done.wait())

    with TestClient(app) as client:
        assert client.run(fill, "a", "b", last="c") == 3
        assert client.get(f"/notes/{made}").json()["text"] == "c"
        note = client.run(Note.get, made)
        assert note is not None and note.text == "c"
        client.post("/later")
        # As long as it takes.
        assert client.run(asyncio.wait_for, waits(), 10) is True
    # An app that is started anew has another loop.
    with TestClient(app) as client:
        assert client.run(fill, last="d") == 1


def test_what_is_raised_is_raised_here(app: Ziggurat) -> None:
    raised: list[BaseException] = [ValueError("wrong"), SystemExit(3), KeyboardInterrupt()]
    with pytest.raises(pytest.fail.Exception) as failed:
        pytest.fail("not so")
    raised.append(failed.value)

    async def fails(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    with TestClient(app) as client:
        for error in raised:
            try:
                client.run(fails, error)
            except BaseException as caught:
                assert caught is error
                names = [frame.name for frame in traceback.extract_tb(caught.__traceback__)]
                assert names[0] == "test_what_is_raised_is_raised_here" and "fails" in names
            else:
                raise AssertionError("nothing was raised")
        # The loop goes on.
        assert client.run(asyncio.sleep, 0, "result") == "result"


def test_context_variables_are_those_of_the_test(app: Ziggurat) -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def reads() -> str:
        return variable.get()

    variable.set("of the test")
    with TestClient(app) as client:
        assert client.run(reads) == "of the test"


def test_what_cannot_be_meant_is_refused(app: Ziggurat) -> None:
    async def waits() -> None: ...

    def plain() -> int:
        return 1

    client = TestClient(app)
    with pytest.raises(RuntimeError, match=r"the app does not run.*within `with TestClient"):
        client.run(waits)
    inside: list[Any] = []

    @app.get("/inside")
    async def within() -> None:
        with pytest.raises(RuntimeError, match="await the function instead"):
            inside.append(client.run(waits))

    with client:
        with pytest.raises(TypeError, match=r"an async function and its arguments.*not <coroutine object"):
            client.run(waits())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="plain gave int; call it without run"):
            client.run(plain)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="positional argument"):
            client.run(waits, 1)  # type: ignore[call-arg]
        assert client.get("/inside").status_code == 200
    with pytest.raises(RuntimeError, match="the app does not run"):
        client.run(waits)
    assert inside == []


def test_it_is_cancelled_when_the_test_is_interrupted(app: Ziggurat) -> None:
    ended = threading.Event()

    class TooLong(Exception):
        """As pytest-timeout raises it, from a signal."""

    raised: list[int] = []

    def interrupts(*_: object) -> None:
        if not raised:
            raised.append(1)
            raise TooLong

    async def waits() -> None:
        main = threading.main_thread().ident
        assert main is not None
        try:
            # More than once: one that comes just before the thread begins to wait does not wake it.
            while True:
                signal.pthread_kill(main, signal.SIGUSR1)
                await asyncio.sleep(0.1)
        finally:
            ended.set()

    before = signal.signal(signal.SIGUSR1, interrupts)
    try:
        with TestClient(app) as client:
            with pytest.raises(TooLong):
                client.run(waits)
            assert ended.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_tests_that_are_coroutines_await_it(app: Ziggurat) -> None:
    async def on_the_loop(begun: threading.Event, waiting: Awaitable[object] | None = None) -> object:
        begun.set()
        assert asyncio.get_running_loop() is app.state.loop
        try:
            return await (waiting or asyncio.sleep(0, "slept"))
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fails() -> None:
        raise ValueError("wrong")

    cancelled = threading.Event()

    async def test() -> None:
        async with AsyncTestClient(app) as client:
            assert asyncio.get_running_loop() is not app.state.loop
            assert await client.run(on_the_loop, threading.Event()) == "slept"
            with pytest.raises(ValueError, match="wrong"):
                await client.run(fails)
            begun = threading.Event()
            task = asyncio.ensure_future(client.run(on_the_loop, begun, asyncio.Event().wait()))
            await asyncio.to_thread(begun.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(cancelled.wait, 10)
        with pytest.raises(RuntimeError, match="the app does not run"):
            await client.run(fails)

    asyncio.run(test())
