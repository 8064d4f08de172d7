"""What the test clients do of httpx, and what they do in pieces."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from plugin import PLUGIN

from ziggurat import BackgroundTasks, Depends, HTTPException, Request, Response, WebSocket, Ziggurat
from ziggurat.testing import AsyncTestClient, TestClient


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def app(told: list[str]) -> Ziggurat:
    app = Ziggurat(openapi_path=None)
    go_on = asyncio.Event()

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        kept = {name: request.headers.get(name, "") for name in ("content-type", "cookie", "authorization")}
        return Response(headers=kept, body=await request.body())

    @app.get("/login")
    async def login() -> Response:
        return Response(headers={"set-cookie": "session=1; Path=/; HttpOnly"}, body="in")

    @app.get("/old")
    async def old() -> Response:
        return Response(302, {"location": "/login"})

    @app.get("/events")
    async def events() -> Response:
        async def chunks() -> AsyncIterator[str]:
            try:
                yield "data: one\n\n"
                await go_on.wait()
                yield "data: two\n\n"
            finally:
                told.append("closed")

        return Response(body=chunks(), media_type="text/event-stream")

    @app.get("/go-on")
    async def let() -> None:
        go_on.set()

    @app.get("/breaks")
    async def breaks() -> Response:
        async def chunks() -> AsyncIterator[str]:
            yield "begun"
            raise ValueError("broken")

        return Response(body=chunks())

    @app.get("/slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("what nobody caught")

    @app.get("/fails/sync")
    def fails_on_a_thread() -> None:
        raise ValueError("what nobody caught on a thread")

    @app.get("/refuses")
    async def refuses() -> None:
        raise HTTPException(404, "not here")

    return app


def test_cookies_are_kept_and_sent(app: Ziggurat) -> None:
    with TestClient(app, cookies={"first": "0"}) as client:
        assert client.post("/echo").headers["cookie"] == "first=0"
        client.get("/login")
        assert client.cookies["session"] == "1"
        assert client.post("/echo").headers["cookie"] == "first=0; session=1"


def test_redirects_are_followed_where_that_is_asked_for(app: Ziggurat) -> None:
    with TestClient(app) as client:
        assert client.get("/old").status_code == 302
        followed = client.get("/old", follow_redirects=True)
        assert (followed.text, followed.url.path, len(followed.history)) == ("in", "/login", 1)


def test_forms_files_and_credentials(app: Ziggurat, tmp_path: Path) -> None:
    upload = tmp_path / "notes.txt"
    upload.write_bytes(b"x" * 300_000)
    with TestClient(app, auth=("ada", "secret")) as client:
        sent = client.post("/echo", data={"a": ["1", "2"]})
        assert (sent.text, sent.headers["content-type"]) == ("a=1&a=2", "application/x-www-form-urlencoded")
        assert sent.headers["authorization"].startswith("Basic ")
        with upload.open("rb") as file:
            sent = client.post("/echo", data={"a": "1"}, files={"notes": file})
        assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert b'name="notes"; filename="notes.txt"' in sent.content
        assert sent.content.count(b"x" * 300_000) == 1


def test_answers_come_as_they_are_sent(app: Ziggurat, told: list[str]) -> None:
    with TestClient(app) as client, client.stream("GET", "/events") as events:
        assert events.headers["content-type"] == "text/event-stream"
        lines = events.iter_lines()
        assert next(lines) == "data: one"
        # The handler waits for another request, which it could not if the answer was read to its end first.
        client.get("/go-on")
        assert list(lines) == ["", "data: two", ""]
        assert told == ["closed"]


def test_an_answer_that_is_left_is_closed(app: Ziggurat, told: list[str]) -> None:
    with TestClient(app) as client:
        with client.stream("GET", "/events") as events:
            assert next(events.iter_lines()) == "data: one"
        # It ends before the app does, not because of that.
        for _ in range(1000):
            if told:
                break
            client.get("/login")
        assert told == ["closed"]


def test_bodies_are_sent_in_pieces(app: Ziggurat) -> None:
    threads = set()

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            threads.add(threading.current_thread())
            yield b"piece "

    with TestClient(app) as client:
        assert client.post("/echo", content=pieces()).text == "piece piece piece "
    assert threads and "ziggurat-loop" not in {thread.name for thread in threads}


def test_an_answer_that_breaks_off_is_no_whole_one(app: Ziggurat) -> None:
    with TestClient(app) as client, pytest.raises(httpx.RemoteProtocolError, match="broke off"):
        client.get("/breaks")


def test_a_time_limit_ends_the_request(app: Ziggurat, told: list[str]) -> None:
    with TestClient(app) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"within 0\.1 seconds"):
            client.get("/slow", timeout=0.1)
        for _ in range(1000):
            if told:
                break
            client.get("/login")
        assert told == ["cancelled"]


def test_what_a_handler_raised_is_raised_where_it_is_asked_for(app: Ziggurat, caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(app) as client:
        assert client.get("/fails").status_code == 500
        assert "what nobody caught" in caplog.text
    caplog.clear()
    with TestClient(app, raise_server_exceptions=True) as client:
        for path, words in (("/fails", "what nobody caught"), ("/fails/sync", "caught on a thread")):
            with pytest.raises(ValueError, match=words) as raised:
                client.get(path)
            assert raised.traceback[-1].frame.code.name.startswith("fails")
        assert client.get("/refuses").status_code == 404
        assert caplog.text == ""


def test_a_handler_cannot_wait_for_its_own_app(app: Ziggurat) -> None:
    client = TestClient(app)

    @app.get("/itself")
    async def itself() -> str:
        try:
            client.get("/login")
        except RuntimeError as error:
            return str(error)
        return "it answered"

    with client:
        assert "cannot wait for its own" in client.get("/itself").text


def test_requests_come_from_the_address_that_is_given(app: Ziggurat) -> None:
    @app.get("/client")
    async def client(request: Request) -> str:
        return repr(request.client)

    @app.websocket("/ws")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(repr(ws.client))

    def told(client: TestClient) -> tuple[str, str]:
        with client.websocket_connect("/ws") as ws:
            return client.get("/client").text, ws.receive_text()

    address = "Address(host='2001:db8::1', port=77)"
    with TestClient(app) as nowhere, TestClient(app, client=("2001:db8::1", 77)) as somewhere:
        assert (told(nowhere), told(somewhere)) == (("None", "None"), (address, address))
    with pytest.raises(ValueError, match="'nowhere' does not appear to be"):
        TestClient(app, client=("nowhere", 1))


def test_what_runs_behind_an_answer_is_waited_for(app: Ziggurat) -> None:
    """The client gets the answer before it, as over a socket; a test that looks at what became of it does not."""
    told: list[str] = []
    go_on = threading.Event()

    async def send(text: str) -> None:
        await asyncio.to_thread(go_on.wait)
        told.append(text)

    async def opened() -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(go_on.wait)
        told.append("closed")

    @app.post("/orders", dependencies=[Depends(opened)])
    async def order(background: BackgroundTasks) -> str:
        background.add_task(send, "thanks")
        return "ordered"

    @app.websocket("/ws")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    @app.get("/itself")
    async def itself() -> str:
        with pytest.raises(RuntimeError, match="cannot wait for it; call settle"):
            client.settle()
        return "told"

    with TestClient(app) as client:
        client.settle()
        assert client.post("/orders").text == "ordered" and told == []
        with pytest.raises(TimeoutError, match=r"^\d tasks? or WebSockets? still runs? after 0.05 seconds$"):
            client.settle(0.05)
        go_on.set()
        client.settle()
        assert sorted(told) == ["closed", "thanks"]
        # Again, as often as one wants.
        assert client.post("/orders").text == "ordered"
        client.settle()
        assert sorted(told) == ["closed", "closed", "thanks", "thanks"]
        with client.websocket_connect("/ws"), pytest.raises(TimeoutError, match="1 task or WebSocket still runs"):
            client.settle(0.05)
        client.settle()
        assert client.get("/itself").text == "told"
    client.settle()

    async def in_a_coroutine() -> None:
        async with AsyncTestClient(app) as client:
            assert (await client.post("/orders")).text == "ordered"
            await client.settle()
            assert len(told) == 6

    asyncio.run(in_a_coroutine())


def test_a_target_may_be_one_that_is_no_url(app: Ziggurat) -> None:
    @app.get("/of/{name}")
    async def of(name: str) -> str:
        return name

    with TestClient(app) as client:
        assert client.get("/of/a%2Fb").text == "a/b"
        assert client.get("/", extensions={"target": b"/of/%zz"}).status_code == 400


ENDING = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ziggurat import BackgroundTasks, Ziggurat
from ziggurat.testing import TestClient


@asynccontextmanager
async def lifespan(app: Ziggurat) -> AsyncIterator[None]:
    yield
    print("down", await asyncio.to_thread(int, "7"))


async def behind() -> None:
    await asyncio.sleep(0.05)
    print("behind")


app, failing = Ziggurat(lifespan=lifespan), Ziggurat()


@app.get("/")
async def root(background: BackgroundTasks) -> str:
    background.add_task(behind)
    return "up"


@failing.on_shutdown
async def fails() -> None:
    raise ValueError("not today")


failing_client = TestClient(failing)
failing_client.get("/")
client = TestClient(app)
print(client.get("/").text)
"""


def test_the_end_of_the_interpreter_stops_what_nobody_stopped() -> None:
    """As a client of the whole module is left, `client = TestClient(app)`; by then no thread takes work that `atexit` would have it do."""
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["up", "behind", "down", "7"]), done.stderr
    assert done.stderr.startswith("an app did not end as it should\nTraceback")
    assert done.stderr.endswith("ValueError: not today\n") and "cannot schedule" not in done.stderr


def test_a_client_stops_only_what_it_started(app: Ziggurat) -> None:
    with TestClient(app) as outer:
        with TestClient(app) as inner:
            assert inner.get("/login").text == "in"
        assert outer.get("/login").text == "in"


def test_the_async_client_does_the_same(app: Ziggurat, told: list[str]) -> None:
    async def test() -> None:
        home = asyncio.get_running_loop()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                # It is the test's, and is iterated over where the test runs.
                assert asyncio.get_running_loop() is home
                await asyncio.sleep(0)
                yield b"piece "

        async with AsyncTestClient(app) as client:
            assert (await client.get("/login")).text == "in"
            assert client.cookies["session"] == "1"
            assert (await client.post("/echo", content=pieces())).text == "piece piece piece "
            both = await asyncio.gather(client.get("/login"), client.post("/echo", json=[1]))
            assert [answer.text for answer in both] == ["in", "[1]"]
            async with client.stream("GET", "/events") as events:
                lines = events.aiter_lines()
                assert await anext(lines) == "data: one"
                await client.get("/go-on")
                assert [line async for line in lines] == ["", "data: two", ""]
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/slow", timeout=0.1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.get("/slow"), 0.1)
            with pytest.raises(httpx.HTTPStatusError):
                (await client.get("/refuses")).raise_for_status()
        # It may be opened again.
        async with client:
            assert (await client.get("/login")).text == "in"

    asyncio.run(test())
    assert told == ["closed", "cancelled", "cancelled"]


def test_both_clients_in_both_modes(app: Ziggurat, mode: str) -> None:
    with TestClient(app) as client:
        assert client.post("/echo", content=iter([b"a", b"b"])).text == "ab"
        with client.stream("GET", "/events") as events:
            assert next(events.iter_lines()) == "data: one"

    async def test() -> None:
        async with AsyncTestClient(app) as client:
            assert (await client.get("/login")).text == "in"

    asyncio.run(test())


TESTS = """
import pytest
from ziggurat import Ziggurat

@pytest.fixture
def app():
    app = Ziggurat(openapi_path=None)
    seen = []
    app.on_startup(lambda: seen.append("start"))
    app.on_shutdown(lambda: print("the app has stopped"))

    @app.get("/")
    async def root() -> list[str]:
        return seen

    return app

def test_sync(client):
    assert client.get("/").json() == ["start"]

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async(async_client):
    assert (await async_client.get("/")).json() == ["start"]
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:cacheprovider", "-s"]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_plugin_gives_clients(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    done = run_pytest(tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("the app has stopped") == 2


def test_the_plugin_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(client): ...\n")
    done = run_pytest(tmp_path)
    assert "the fixture 'client' needs a fixture 'app' that gives the Ziggurat app" in done.stdout, done.stdout


def test_the_plugin_loads_nothing_before_it_is_used() -> None:
    check = "import sys, ziggurat.pytest_plugin; print([m for m in ('httpx', 'pydantic', 'ziggurat.app') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_without_httpx_the_cure_is_told(tmp_path: Path) -> None:
    check = "import sys; sys.modules['httpx'] = None; import ziggurat.testing"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert 'pip install "ziggurat[testing]"' in done.stderr


def test_a_request_has_one_body(app: Ziggurat) -> None:
    with TestClient(app) as client:
        both: list[dict[str, Any]] = [
            {"json": 1, "data": {"a": "b"}},
            {"json": 1, "files": {"a": b"b"}},
            {"content": b"1", "files": {"a": b"b"}},
        ]
        for parts in both:
            with pytest.raises(TypeError, match="a request has one body"):
                client.post("/echo", **parts)
