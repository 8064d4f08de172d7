"""Dependencies that are cleaned up before the answer is sent: `Depends(..., scope="function")`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

from ziggurat import BackgroundTasks, ConfigError, Depends, HTTPException, Response, StreamingResponse, Ziggurat
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")


class Conflict(Exception):
    """What a commit may raise."""


@pytest.fixture
def log() -> list[str]:
    return []


def opened(log: list[str], name: str, *, sync: bool) -> Callable[..., Any]:
    """A dependency that tells what happens, and fails at its end where it is asked to."""

    def plain(how: str = "fine") -> Iterator[str]:
        log.append(f"open {name}")
        try:
            yield name
        except HTTPException:
            log.append(f"{name} rolled back")
            raise
        log.append(f"close {name}")
        if how == f"{name} fails":
            raise Conflict

    async def waiting(how: str = "fine") -> AsyncIterator[str]:
        with contextlib.contextmanager(plain)(how) as value:
            await asyncio.sleep(0)
            yield value

    return plain if sync else waiting


@pytest.mark.parametrize("sync", [True, False], ids=["def", "async def"])
def test_what_fails_at_its_end_is_the_answer(
    app: Ziggurat, client: Callable[[], TestClient], log: list[str], sync: bool
) -> None:
    session, unit = opened(log, "session", sync=sync), opened(log, "unit", sync=sync)

    @app.exception_handler(Conflict)
    async def conflict(request: Any, error: Conflict) -> Response:
        return Response(409)

    def answered(background: BackgroundTasks, how: str, response: Response) -> str:
        background.add_task(log.append, "background")
        response.headers["x-seen"] = "yes"
        log.append("handler")
        if how == "refused":
            raise HTTPException(403)
        return "sent"

    @app.get("/async")
    async def handler(
        unit: Annotated[str, Depends(unit, scope="function")],
        session: Annotated[str, Depends(session)],
        background: BackgroundTasks,
        response: Response,
        how: str = "fine",
    ) -> str:
        return answered(background, how, response)

    @app.get("/def")
    def in_thread(
        unit: Annotated[str, Depends(unit, scope="function")],
        session: Annotated[str, Depends(session)],
        background: BackgroundTasks,
        response: Response,
        how: str = "fine",
    ) -> str:
        return answered(background, how, response)

    for path in ("/async", "/def"):
        log.clear()
        answer = client().get(path)
        assert (answer.text, answer.headers["x-seen"]) == ("sent", "yes")
        # The unit ends inside of what goes on after the answer, whatever the order of the parameters.
        first = ["open session", "open unit", "handler"]
        assert log[:4] == [*first, "close unit"]
        app.stop()
        assert sorted(log[4:]) == ["background", "close session"]

        log.clear()
        assert client().get(path, params={"how": "unit fails"}).status_code == 409
        app.stop()
        assert log == [*first, "close unit"], "nothing behind an answer that was not given; and the session saw it"

        log.clear()
        assert client().get(path, params={"how": "refused"}).status_code == 403
        app.stop()
        assert log == [*first, "unit rolled back", "session rolled back"]

        # What ends after the answer changes nothing any more.
        log.clear()
        assert client().get(path, params={"how": "session fails"}).text == "sent"
        app.stop()


def test_an_exception_that_is_kept_leaves_no_answer(
    app: Ziggurat, client: Callable[[], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    async def swallows() -> AsyncIterator[None]:
        with contextlib.suppress(KeyError):
            yield

    def swallows_sync() -> Iterator[None]:
        with contextlib.suppress(KeyError):
            yield

    @app.get("/async", dependencies=[Depends(swallows, scope="function")])
    async def handler() -> None:
        raise KeyError

    @app.get("/def", dependencies=[Depends(swallows_sync, scope="function")])
    def in_thread() -> None:
        raise KeyError

    started = client()
    for path in ("/async", "/def"):
        caplog.clear()
        assert started.get(path).status_code == 500
        assert "kept an exception to itself" in str(
            next(record.exc_info[1] for record in caplog.records if record.exc_info)
        )


def test_a_body_in_pieces_begins_when_it_is_over(
    app: Ziggurat, client: Callable[[], TestClient], log: list[str]
) -> None:
    async def chunks() -> AsyncIterator[str]:
        log.append("body")
        yield "sent"

    @app.get("/", dependencies=[Depends(opened(log, "unit", sync=False), scope="function")])
    async def handler() -> StreamingResponse:
        return StreamingResponse(chunks())

    assert client().get("/").text == "sent"
    assert log == ["open unit", "close unit", "body"]


def test_what_needs_it_stands_inside_as_well(app: Ziggurat, client: Callable[[], TestClient], log: list[str]) -> None:
    unit = opened(log, "unit", sync=False)

    def rows(unit: Annotated[str, Depends(unit, scope="function")]) -> str:
        return f"rows of {unit}"

    async def after(rows: Annotated[str, Depends(rows)]) -> AsyncIterator[str]:
        yield rows
        log.append("close after")

    @app.get("/")
    async def handler(
        rows: Annotated[str, Depends(rows)],
        session: Annotated[str, Depends(opened(log, "session", sync=True))],
        after: Annotated[str, Depends(after, scope="function")],
    ) -> str:
        return f"{after} in {session}"

    assert client().get("/").text == "rows of unit in session"
    app.stop()
    assert log == ["open session", "open unit", "close after", "close unit", "close session"]


@pytest.mark.parametrize("sync", [True, False])
def test_many_of_both(app: Ziggurat, client: Callable[[], TestClient], log: list[str], sync: bool) -> None:
    def of(number: int) -> Any:
        return Depends(opened(log, str(number), sync=sync), scope="function" if number % 2 else "request")

    @app.get("/", dependencies=[of(number) for number in range(24)])
    def handler() -> str:
        return "sent"

    assert client().get("/").text == "sent"
    app.stop()
    closed = [line for line in log if line.startswith("close")]
    assert closed == [f"close {n}" for n in (*range(23, 0, -2), *range(22, -1, -2))]


def test_both_scopes_of_one_function_are_two_calls(
    app: Ziggurat, client: Callable[[], TestClient], log: list[str]
) -> None:
    unit = opened(log, "unit", sync=True)

    @app.get("/")
    async def handler(
        a: Annotated[str, Depends(unit)],
        b: Annotated[str, Depends(unit, scope="function")],
        c: Annotated[str, Depends(unit, scope="function")],
    ) -> str:
        return a + b + c

    assert client().get("/").text == "unitunitunit"
    app.stop()
    assert log == ["open unit", "open unit", "close unit", "close unit"]


def test_one_that_does_not_yield_stands_in(app: Ziggurat, client: Callable[[], TestClient], log: list[str]) -> None:
    unit = opened(log, "unit", sync=False)

    @app.get("/")
    async def handler(unit: Annotated[str, Depends(unit, scope="function")]) -> str:
        return unit

    app.dependency_overrides[unit] = lambda: "another"
    assert client().get("/").text == "another"
    app.dependency_overrides.clear()
    assert client().get("/").text == "unit"
    assert log == ["open unit", "close unit"]


def test_what_cannot_be_meant_is_refused(app: Ziggurat, log: list[str]) -> None:
    unit = opened(log, "unit", sync=False)

    with pytest.raises(ConfigError, match=r"scope is 'app'; write \"function\" or \"request\""):
        Depends(unit, scope="app")  # type: ignore[arg-type]

    async def session(unit: Annotated[str, Depends(unit, scope="function")]) -> AsyncIterator[str]:
        yield unit

    with pytest.raises(ConfigError, match="session: it goes on after the answer, and waiting, which it depends on"):

        @app.get("/")
        async def handler(session: Annotated[str, Depends(session)]) -> str:
            return session

    with pytest.raises(ConfigError, match="lines: it runs while its answer is sent, and waiting"):

        @app.get("/lines")
        async def lines(unit: Annotated[str, Depends(unit, scope="function")]) -> AsyncIterator[str]:
            yield unit
