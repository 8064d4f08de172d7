"""An app as a whole: registration, hooks, the printed stack, and running behind a socket."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from ziggurat import Body, ConfigError, Model, Query, Request, Response, Router, Ziggurat, layers
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")


class Thing(Model):
    id: UUID
    name: str


SECRET = "0123456789abcdef0123456789abcdef"


# Registration


def test_decorators_give_the_function_back() -> None:
    app = Ziggurat()

    async def handler() -> None: ...

    for register in (app.get, app.post, app.put, app.patch, app.delete, app.head, app.options):
        assert register("/x")(handler) is handler
    assert app.route("/y", methods=["GET", "POST"])(handler) is handler
    assert [route.method for route in app.routes if route.path == "/y"] == ["GET", "POST"]


def test_nothing_can_be_registered_once_the_app_is_built() -> None:
    app = Ziggurat()
    app.build()
    with pytest.raises(ConfigError, match=r"the route /late was registered after the app was built.*test_app.py:"):
        app.get("/late")
    for register in (lambda: app.crud(Thing), lambda: app.middleware(None), lambda: app.on_startup(print)):
        with pytest.raises(ConfigError, match="after the app was built"):
            register()


def build_error(app: Ziggurat) -> str:
    with pytest.raises(ConfigError) as caught:
        app.build()
    return str(caught.value)


def test_conflicting_routes_are_both_named() -> None:
    app = Ziggurat()

    @app.get("/users/{id}")
    async def first(id: int) -> None: ...

    @app.get("/users/{name}")
    async def second(name: str) -> None: ...

    message = build_error(app)
    assert "first" in message and "second" in message and message.count("test_app.py:") == 2


def test_decorators_without_parentheses_are_refused() -> None:
    app: Any = Ziggurat()

    async def show() -> None: ...

    for decorate, cure in [
        (app.get, '@app.get("/show")'),
        (app.delete, '@app.delete("/show")'),
        (Router("/a").post, '@app.post("/show")'),
        (app.websocket, '@app.websocket("/show")'),
        (app.exception_handler, "give a class of exceptions, or a status as 404"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(cure) + r".*test_app\.py:"):
            decorate(show)


def test_decorators_that_decorate_nothing_are_refused() -> None:
    router = Router()
    for register, cure in [
        (lambda app: app.get("/a"), r"write @app\.get\('/a'\) above a function"),
        (lambda app: app.websocket("/a"), r"write @app\.websocket\('/a'\) above a function"),
        (lambda app: app.exception_handler(404), r"write @app\.exception_handler\(...\) above a function"),
        (lambda app: app.middleware(paths=["/a"]), r"write @app\.middleware\(...\) above a function"),
        (lambda app: app.crud(Thing), r"write @app\.crud\(Thing, ...\) above a class"),
        (lambda app: (app.include_router(router), router.post("/b")), r"write @app\.post\('/b'\) above a function"),
    ]:
        app = Ziggurat(store="sqlite:///:memory:")
        register(app)
        with pytest.raises(ConfigError, match=r"a decorator decorates nothing; " + cure + r".*test_app\.py:"):
            app.build()

    app = Ziggurat()
    both = app.get("/one")
    with pytest.raises(ConfigError, match="is not a handler"):
        both(5)  # type: ignore[type-var]
    both(lambda: 1)
    app.build()


@pytest.mark.parametrize(
    ("registers", "says"),
    [
        (lambda: Ziggurat(docs_url=None), r"an app has no option docs_url; write docs_path="),  # type: ignore[arg-type]
        (lambda: Ziggurat(opnapi_path=None), r"an app has no option opnapi_path; did you mean openapi_path="),  # type: ignore[arg-type]
        (lambda: Ziggurat(colour=1), "an app has no option colour; the reference has those"),  # type: ignore[arg-type]
        (lambda: Query(regex="a"), "Query has no option regex; write pattern="),
        (
            lambda: Body(discriminator="kind"),
            r"Body has no option discriminator; write Annotated\[\.\.\., Body\(\), Field\(",
        ),
        (
            lambda: Ziggurat(generate_unique_id_function=str),
            "has no option generate_unique_id_function; say operation_id=",
        ),  # type: ignore[arg-type]
        (lambda: Body(embeded=True), r"Body has no option embeded; did you mean embed="),
        (lambda: Router(url_prefix="/a"), "a router has no option url_prefix; write prefix="),  # type: ignore[arg-type]
        (lambda: Ziggurat().get("/", response_class=Response), "a route has no option response_class; annotate"),  # type: ignore[call-arg]
        (lambda: Router().post("/", respones={}), "a route has no option respones; did you mean responses="),  # type: ignore[call-arg]
    ],
)
def test_options_that_there_are_not_are_told_with_what_to_write(registers: Callable[[], Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        registers()


def test_what_other_frameworks_call_otherwise_is_told() -> None:
    app: Any = Ziggurat()
    for name, cure in [
        ("add_middleware", r"layers=\[layers.Cors\(...\)\]"),
        ("on_event", "lifespan="),
        ("api_route", r"write @app.route\(path, methods=\[...\]\)"),
    ]:
        with pytest.raises(AttributeError, match=f"'Ziggurat' object has no attribute '{name}'; .*{cure}"):
            getattr(app, name)
    with pytest.raises(AttributeError, match=r"^'Router' object has no attribute 'gte'$"):
        getattr(Router(), "gte")  # noqa: B009 - which type checkers know to be missing
    del app._pages
    with pytest.raises(AttributeError, match="_pages"):
        _ = app.docs_path


def test_mistakes_name_the_line_and_the_cure() -> None:
    options: Any = {"tags": "users"}
    with pytest.raises(ConfigError, match=r"write tags=\['users'\].*test_app.py:"):
        Ziggurat().get("/", **options)
    with pytest.raises(ConfigError, match=r"write tags=\['users'\].*test_app.py:"):
        Ziggurat().crud(Thing, **options)
    options = {"state": {}}
    with pytest.raises(ConfigError, match=r"state=\{\} is no State.*test_app.py:"):
        Ziggurat(**options)
    with pytest.raises(ConfigError, match=r"'FETCH' is not a method.*test_app.py:"):
        Ziggurat().route("/", methods=["FETCH"])
    with pytest.raises(ConfigError, match=r"auth=\[\] is not understood.*test_app.py:"):
        Ziggurat().get("/", auth=[])
    assert "no store is called" in build_error(Ziggurat(store="redis://x"))
    assert "test_app.py:" in build_error(Ziggurat(store="redis://x"))

    app = Ziggurat()
    app.crud(Thing)(type("ThingRoutes", (), {}))
    assert "Thing is to be served, but the app has no store" in build_error(app)

    app = Ziggurat()

    @app.get("/", auth=True)
    async def guarded() -> None: ...

    message = build_error(app)
    assert "guarded asks who the caller is" in message and "layers.Jwt" in message and "test_app.py:" in message

    app = Ziggurat()

    @app.get("no-slash")
    async def handler() -> None: ...

    assert "begins with a slash" in build_error(app)
    with pytest.raises(ConfigError, match="is not a layer"):
        Ziggurat(layers=[layers.Trace]).build()


# What was built


def test_the_stack_is_printed_in_its_order() -> None:
    app = Ziggurat(layers=[layers.Trace(), layers.Jwt(secret=SECRET, required=False)], store="sqlite:///:memory:")

    @app.get("/guarded/{id}", auth="admin")
    async def guarded(id: int) -> None: ...

    @app.middleware(paths=["/guarded/*"])
    async def watch(request: Request, call_next: Any) -> Response: ...

    app.crud(Thing)(type("ThingRoutes", (), {}))
    (stack,) = app.stack("/guarded/1")
    assert stack.method == "GET"
    assert stack.passes[-3:] == ("watch", "RequireAuth(admin)", stack.passes[-1])
    assert stack.passes[-1].endswith("guarded")
    assert stack.enters_python == ("watch", stack.passes[-1])
    for needed in ("CatchPanic", "RequestId", "Trace", "Timeout", "BodyLimit", "Jwt"):
        assert needed in stack.passes
    kinds = {route.path: route.kind for route in app.routes}
    own = {"/openapi.json": "native", "/docs": "native", "/docs/{file}": "native"}
    assert kinds == {"/guarded/{id}": "python", "/thing": "crud", "/thing/{id}": "crud"} | own
    assert not any(route.enters_python for route in app.routes if route.kind == "crud")


def test_two_apps_live_side_by_side() -> None:
    apps = []
    for number in range(2):
        app = Ziggurat()

        @app.get("/")
        async def handler(number: int = number) -> int:
            return number

        apps.append(app)
    with TestClient(apps[0]) as first, TestClient(apps[1]) as second:
        assert (first.get("/").json(), second.get("/").json()) == (0, 1)


def test_an_app_that_is_no_longer_used_is_collected() -> None:
    class Marker: ...

    def use() -> weakref.ref[Marker]:
        app = Ziggurat()
        marker = Marker()

        @app.get("/")
        async def handler(unused: int = 0) -> bool:
            return marker is not None and app is not None

        @app.middleware
        async def watch(request: Request, call_next: Any) -> Response:
            assert marker is not None and app is not None
            return await call_next(request)

        with TestClient(app) as client:
            assert client.get("/").json() is True
        return weakref.ref(marker)

    gone = use()
    for _ in range(3):
        gc.collect()
    assert gone() is None


# Auth


def test_auth_and_claims() -> None:
    import jwt

    app = Ziggurat(layers=[layers.Jwt(secret=SECRET, algorithms=["HS256"], required=False)], openapi_path=None)

    @app.get("/me", auth=True)
    async def me(request: Request) -> Any:
        assert request.auth is request.auth
        return request.auth

    @app.get("/admin", auth=["admin"])
    async def admin() -> str:
        return "in"

    @app.get("/open")
    async def open_to_all(request: Request) -> Any:
        return request.auth

    def bearer(**claims: Any) -> dict[str, str]:
        token = jwt.encode({"sub": "ann", "exp": int(time.time()) + 60, **claims}, SECRET, algorithm="HS256")
        return {"authorization": f"Bearer {token}"}

    with TestClient(app) as client:
        assert client.get("/open").json() is None
        before = app.attach_counts()
        missing = client.get("/me")
        assert missing.status_code == 401 and "Bearer" in missing.headers["www-authenticate"]
        assert client.get("/admin", headers=bearer(scope="user")).status_code == 403
        assert client.get("/me", headers=bearer(exp=1)).status_code == 401
        assert app.attach_counts() == before
        assert client.get("/me", headers=bearer(org={"id": 1})).json()["org"] == {"id": 1}
        assert client.get("/admin", headers=bearer(scope="user admin")).text == "in"


# Hooks


def test_hooks_run_on_the_loop_in_order() -> None:
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Ziggurat) -> Any:
        order.append("enter")
        yield
        order.append("exit")

    app = Ziggurat(lifespan=lifespan)

    @app.on_startup
    async def first() -> None:
        asyncio.get_running_loop()
        order.append("first")

    @app.on_startup
    def second() -> None:
        order.append("second")

    app.on_shutdown(lambda: order.append("third"))
    app.on_shutdown(lambda: order.append("fourth"))
    with TestClient(app):
        assert order == ["enter", "first", "second"]
    assert order[3:] == ["fourth", "third", "exit"]


def test_a_failing_start_up_hook_is_raised_and_the_app_can_start_again() -> None:
    app = Ziggurat()
    fail = True

    @app.on_startup
    async def hook() -> None:
        if fail:
            raise LookupError("no database")

    @app.get("/")
    async def handler() -> int:
        return 1

    with pytest.raises(LookupError, match="no database"):
        app.start()
    fail = False
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").json() == 1


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "0", 5000])
def test_a_wrong_number_of_io_threads_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"io_threads is .*0, which serves on the thread of the event loop"):
        Ziggurat().start(io_threads=wrong)


def test_a_stopped_app_answers_503() -> None:
    app = Ziggurat()

    @app.get("/")
    async def handler() -> int:
        return 1

    status, headers, _ = app.request("GET", "/")
    assert status == 503 and "retry-after" in dict(headers)


def test_request_refuses_to_block_the_loop() -> None:
    app = Ziggurat()

    @app.get("/")
    async def handler() -> str:
        with pytest.raises(RuntimeError, match="call it from another thread"):
            app.request("GET", "/")
        return "refused"

    with TestClient(app) as client:
        assert client.get("/").text == "refused"


def test_waiting_requests_are_answered_when_the_app_stops() -> None:
    app = Ziggurat()
    both = threading.Semaphore(0)

    @app.get("/")
    async def handler() -> None:
        both.release()
        await asyncio.sleep(60)

    client = TestClient(app).__enter__()
    told: dict[str, object] = {}

    def by_client() -> None:
        told["client"] = client.get("/").status_code

    def directly() -> None:
        told["directly"] = app.request("GET", "/")[0]

    waiting = [threading.Thread(target=each) for each in (by_client, directly)]
    for each in waiting:
        each.start()
    assert both.acquire(timeout=10) and both.acquire(timeout=10)
    app.stop()
    for each in waiting:
        each.join(10)
    assert told == {"client": 503, "directly": 503}


# Behind a socket

PROGRAM = """
import asyncio, json, os, sys, threading, time
from ziggurat import Request, Ziggurat

app = Ziggurat()

@app.get("/")
async def hello() -> str:
    return "hello"

@app.get("/slow")
async def slow() -> str:
    print("slow begun", file=sys.stderr, flush=True)
    try:
        await asyncio.sleep(float(os.environ.get("SLOW", "1")))
    except asyncio.CancelledError:
        print("slow cancelled", file=sys.stderr, flush=True)
        raise
    return "slow"

@app.get("/client")
async def client(request: Request) -> list[object]:
    return list(request.client or ())

@app.on_startup
async def startup() -> None:
    assert threading.current_thread() is threading.main_thread()
    asyncio.get_running_loop().in_flight_limit = int(os.environ.get("IN_FLIGHT", "1000"))
    print("startup", file=sys.stderr, flush=True)

@app.get("/spin")
async def spin() -> str:
    print("spin begun", file=sys.stderr, flush=True)
    while True:
        pass

@app.on_shutdown
async def shutdown() -> None:
    print("shutdown", file=sys.stderr, flush=True)

if __name__ == "__main__":
    app.run(drain_timeout=float(os.environ.get("DRAIN", "10")), **json.loads(os.environ.get("SERVER", "{}")))
    print("returned", file=sys.stderr, flush=True)
"""


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)


def fetch(url: str, path: str) -> tuple[int, bytes]:
    connection = connect(url)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(text: str, served: Any) -> None:
    deadline = time.monotonic() + 10
    while text not in served.output():
        assert time.monotonic() < deadline, f"{text!r} did not come:\n{served.output()}"
        time.sleep(0.01)


def test_run_serves_until_sigterm(serve: Callable[..., Any], program: str) -> None:
    served = serve(program)
    assert fetch(served.url, "/") == (200, b"hello")
    host, port = json.loads(fetch(served.url, "/client")[1])
    assert host == "127.0.0.1" and port > 0
    assert served.stop() == 0
    lines = served.output().splitlines()
    assert [line for line in lines if line in ("startup", "shutdown", "returned")] == [
        "startup",
        "shutdown",
        "returned",
    ]
    with pytest.raises(OSError):
        fetch(served.url, "/")


def test_requests_in_flight_finish_before_it_stops(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SLOW="0.5")
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(fetch(served.url, "/slow")))
    waiting.start()
    wait_for("slow begun", served)
    os.kill(served.process.pid, signal.SIGINT)
    waiting.join(10)
    assert answers == [(200, b"slow")]
    assert served.process.wait(10) == 0


def test_a_second_signal_does_not_wait(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SLOW="60", DRAIN="60")
    connection = connect(served.url)
    connection.request("GET", "/slow")
    wait_for("slow begun", served)
    begin = time.monotonic()
    os.kill(served.process.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert served.process.poll() is None
    os.kill(served.process.pid, signal.SIGTERM)
    assert served.process.wait(10) == 0
    assert time.monotonic() - begin < 8
    connection.close()


def test_shutdown_hooks_run_when_the_port_is_taken(program: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = {**os.environ, "ZIGGURAT_PORT": str(taken.getsockname()[1])}
        ended = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "cannot listen on" in ended.stderr
    assert [line for line in ended.stderr.splitlines() if line in ("startup", "shutdown")] == ["startup", "shutdown"]


def test_a_handler_that_never_gives_the_loop_back_does_not_hold_the_process(
    serve: Callable[..., Any], program: str
) -> None:
    served = serve(program)
    connection = connect(served.url)
    connection.request("GET", "/spin")
    wait_for("spin begun", served)
    os.kill(served.process.pid, signal.SIGTERM)
    time.sleep(0.5)
    assert served.process.poll() is None
    os.kill(served.process.pid, signal.SIGTERM)
    assert served.process.wait(10) == 0
    connection.close()
    assert "it held the event loop" in served.output()
    assert "shutdown" in served.output().splitlines()


def test_a_client_that_leaves_cancels_its_handler(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SLOW="60")
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_for("slow begun", served)
    wait_for("slow cancelled", served)
    assert fetch(served.url, "/")[0] == 200


def test_one_request_too_many_is_refused_at_once(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SLOW="60", IN_FLIGHT="2")
    waiting = [connect(served.url) for _ in range(2)]
    for connection in waiting:
        connection.request("GET", "/slow")
    deadline = time.monotonic() + 10
    while served.output().count("slow begun") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    third = connect(served.url)
    third.request("GET", "/slow")
    answer = third.getresponse()
    assert answer.status == 503 and answer.getheader("retry-after")
    assert answer.getheader("content-type") == "application/problem+json"
    answer.read()
    third.request("GET", "/openapi.json")
    assert third.getresponse().status == 200, "native routes are served all the same"
    third.close()
    for connection in waiting:
        connection.close()
    while served.output().count("slow cancelled") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert fetch(served.url, "/") == (200, b"hello")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def http2_request(stream: int, path: str) -> bytes:
    # GET and http by their number in the static table, the path and the host as they are.
    fields = b"\x82\x86" + b"\x04" + bytes([len(path)]) + path.encode() + b"\x01\x01x"
    return frame(1, 0x5, stream, fields)


def test_a_stream_that_is_reset_cancels_its_handler_alone(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SLOW="60")
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + http2_request(1, "/slow"))
        wait_for("slow begun", served)
        connection.sendall(http2_request(3, "/") + frame(3, 0, 1, (8).to_bytes(4, "big")))
        wait_for("slow cancelled", served)
        received = connection.makefile("rb")
        bodies: dict[int, bytes] = {}
        while 3 not in bodies:
            head = received.read(9)
            payload = received.read(int.from_bytes(head[:3], "big"))
            if head[3] == 0:
                bodies[int.from_bytes(head[5:], "big")] = payload
        assert bodies == {3: b"hello"}


def test_limits_and_timeouts_of_the_server_hold(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SERVER=json.dumps({"head_timeout": 0.3, "keep_alive_timeout": 0.3, "max_connections": 2}))
    parts = urlsplit(served.url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=10) as slow,
        socket.create_connection((parts.hostname, parts.port), timeout=10) as idle,
    ):
        idle.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(1000).endswith(b"hello")
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as third:
            refused = third.recv(1000)
            assert refused == b"" or refused.startswith(b"HTTP/1.1 503")
        assert idle.recv(1000) == b"", "nothing was asked for in time"
        timed_out = slow.recv(1000)
        assert timed_out == b"" or timed_out.startswith(b"HTTP/1.1 408")
    assert fetch(served.url, "/") == (200, b"hello")


def test_a_request_that_takes_too_long_is_cancelled() -> None:
    app = Ziggurat(layers=[layers.Timeout(seconds=0.1)], openapi_path=None)
    cancelled = threading.Event()

    @app.get("/")
    async def handler() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with TestClient(app) as client:
        assert client.get("/").status_code == 504
        assert cancelled.wait(10)


def test_an_address_in_use_is_an_error_with_a_clear_text(serve: Callable[..., Any], program: str) -> None:
    import subprocess
    import sys

    served = serve(program)
    port = str(urlsplit(served.url).port)
    second = subprocess.run(
        [sys.executable, program], env={**os.environ, "ZIGGURAT_PORT": port}, capture_output=True, text=True, timeout=30
    )
    assert second.returncode != 0
    assert f"127.0.0.1:{port}" in second.stderr and "in use" in second.stderr
    assert "OSError: [Errno 98]" in second.stderr


def test_a_proxy_that_is_named_says_whose_a_connection_is(serve: Callable[..., Any], program: str) -> None:
    served = serve(program, SERVER=json.dumps({"proxy_protocol": ["127.0.0.1"]}))
    parts = urlsplit(served.url)
    request = b"GET /client HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    def answer(begin: bytes) -> bytes:
        with socket.create_connection((parts.hostname, parts.port)) as connection, suppress(ConnectionResetError):
            connection.sendall(begin + request)
            with connection.makefile("rb") as answers:
                return answers.read()
        return b""

    assert answer(b"PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n").endswith(b'["192.0.2.1",4711]')
    assert answer(b"") == b""
