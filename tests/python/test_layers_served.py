"""Layers around an app that answers: what clients get."""

from __future__ import annotations

import gzip
import random
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import pytest

from ziggurat import Body, ConfigError, Request, Ziggurat, layers
from ziggurat.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"


def test_every_answer_has_the_headers_that_browsers_heed() -> None:
    headers = layers.SecurityHeaders(hsts_seconds=60, referrer_policy=None)
    app = Ziggurat(layers=[headers, layers.Hosts(names=["example.org"])])
    assert headers.to_spec()["referrer_policy"] is None

    @app.get("/")
    async def root() -> str:
        return "in"

    with TestClient(app) as client:
        large = {"host": "example.org", "content-length": str(1 << 30)}
        for answer, status in (
            (client.get("/", headers={"host": "example.org"}), 200),
            (client.get("/nowhere", headers={"host": "example.org"}), 404),
            (client.get("/", headers={"host": "evil.example"}), 421),
            (client.post("/", headers=large, content=b""), 413),
        ):
            assert answer.status_code == status
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["strict-transport-security"] == "max-age=60"
            assert "referrer-policy" not in answer.headers


@pytest.mark.parametrize("redirect", [False, True])
def test_slashes_at_the_end_of_a_path(redirect: bool) -> None:
    app = Ziggurat(layers=[layers.NormalizePath(redirect=redirect), layers.BodyLimit(at={"/small": 1})])

    @app.get("/users/{id}")
    async def user(id: int, q: str = "") -> str:
        return f"{id}{q}"

    @app.post("/small")
    async def small(request: Request) -> str:
        return str(len(await request.body()))

    with TestClient(app) as client:
        assert client.get("/users/1").status_code == 200
        answer = client.get("/users/1/?q=/")
        if redirect:
            assert (answer.status_code, answer.headers["location"]) == (308, "/users/1?q=/")
            assert client.post("/small/", content=b"12").headers["location"] == "/small"
            assert "location" not in client.get("http://testserver//evil.example/").headers
        else:
            assert (answer.status_code, answer.text) == (200, "1/")
            assert client.post("/small/", content=b"12").status_code == 413
        assert client.get("http://testserver//evil.example/").status_code == 404


@pytest.mark.parametrize(
    ("layer", "path"),
    [
        (layers.NormalizePath(), "/users/"),
        (layers.HealthCheck(paths=["/up"]), "/up"),
        (layers.HealthCheck(paths=["/up"]), "/readyz"),
        (layers.Metrics(), "/metrics"),
        (layers.Redirect(paths={"/old": "/new"}), "/old"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_route_that_nothing_would_reach_is_refused(layer: layers.Layer, path: str) -> None:
    app = Ziggurat(layers=[layer])

    @app.get(path)
    async def users() -> None: ...

    with pytest.raises(ConfigError, match=f"users at {path} is reached by no request: {layer.name}") as caught:
        app.build()
    assert f"or leave layers.{layer.name} out" in str(caught.value) and __file__ in str(caught.value)


def test_bodies_are_decompressed_and_bombs_refused() -> None:
    app = Ziggurat(layers=[layers.Decompression(max_bytes=100_000)])

    @app.post("/")
    async def total(numbers: Annotated[list[int], Body()]) -> int:
        return sum(numbers)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:

        def sent(path: str, body: bytes, coding: str = "gzip") -> tuple[int, Any]:
            headers = {"content-encoding": coding, "content-type": "application/json"}
            answer = client.post(path, content=body, headers=headers)
            if answer.status_code == 415:
                assert answer.headers["accept-encoding"] == "br, zstd, gzip, deflate"
            return answer.status_code, answer.json()

        assert sent("/", gzip.compress(b"[1, 2, 3]")) == (200, 6)
        assert sent("/", b"[1, 2, 3]", "identity") == (200, 6)
        for path in ("/", "/raw"):
            assert sent(path, gzip.compress(b" " * 100_001))[0] == 413
            assert sent(path, b"[1, 2, 3]")[0] == 400
            assert sent(path, gzip.compress(b"[1, 2, 3]")[:-9])[0] == 400
            assert sent(path, b"[]", "compress")[0] == 415
            assert sent(path, b"[]", "gzip, gzip")[0] == 415
        status, problem = sent("/raw", gzip.compress(b" " * 90_000))
        assert (status, problem["detail"]) == (413, "the body has more than 200 times the bytes that were sent")


def test_what_comes_out_of_a_body_is_bounded_by_itself() -> None:
    limit = layers.BodyLimit(at={"/large": 3_000_000, "/raised": 3_000_000})
    app = Ziggurat(layers=[limit, layers.Decompression()])
    raised = layers.Decompression(max_bytes=3_000_000)

    async def length(request: Request) -> int:
        return len(await request.body())

    app.post("/")(length)
    app.post("/large")(length)
    app.post("/raised", layers=[raised], skip_layers=[layers.Decompression])(length)
    digits = "".join(random.Random(7).choices("0123456789", k=1_500_000)).encode()
    sent = gzip.compress(digits)
    assert len(sent) < 1_000_000
    with TestClient(app) as client:
        for path, body, status in (
            ("/", sent, 413),
            ("/", digits, 413),
            ("/large", sent, 413),
            ("/large", digits, 200),
            ("/raised", sent, 200),
        ):
            headers = {"content-encoding": "gzip" if body is sent else "identity"}
            answer = client.post(path, content=body, headers=headers)
            assert answer.status_code == status, path
            if body is sent and status == 413:
                assert answer.json()["detail"] == "the body may have at most 1048576 bytes"


def test_what_is_too_much_is_refused_at_once() -> None:
    app = Ziggurat(layers=[layers.LoadShed(max_concurrent=1, queue=1, wait=0.05)])
    entered, leave = threading.Event(), threading.Event()

    @app.get("/")
    def slow() -> str:
        entered.set()
        leave.wait(10)
        return "done"

    with TestClient(app) as client, ThreadPoolExecutor() as pool:
        first = pool.submit(client.get, "/")
        assert entered.wait(10)
        late = client.get("/")
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert late.headers["content-type"] == "application/problem+json"
        leave.set()
        assert first.result().text == "done"
        assert client.get("/").status_code == 200


def test_what_a_client_has_is_not_sent_again() -> None:
    app = Ziggurat(layers=[layers.Compression(), layers.Etag()])
    called = 0

    @app.get("/")
    async def page() -> str:
        nonlocal called
        called += 1
        return "many steps " * 100

    with TestClient(app) as client:
        for coding in ("identity", "gzip"):
            first = client.get("/", headers={"accept-encoding": coding})
            tag = first.headers["etag"]
            assert (first.status_code, tag.endswith('.gzip"')) == (200, coding == "gzip")
            for held, status in ((tag, 304), (f'"other", W/{tag}', 304), ('"other"', 200)):
                again = client.get("/", headers={"accept-encoding": coding, "if-none-match": held})
                assert (again.status_code, again.headers["etag"]) == (status, tag)
                assert (again.content == b"") == (status == 304)
    assert called == 8


def test_pages_of_other_origins_send_nothing() -> None:
    app = Ziggurat(layers=[layers.Csrf(trusted_origins=["https://app.example"], exempt=["/hooks/{name}"])])

    @app.post("/transfer")
    async def transfer() -> None: ...

    @app.post("/hooks/{name}")
    async def hook(name: str) -> None: ...

    @app.get("/transfer")
    async def form() -> None: ...

    with TestClient(app) as client:
        evil = {"origin": "https://evil.example"}
        site = {"sec-fetch-site": "cross-site"}
        for path, headers, passes in (
            ("/transfer", {}, True),
            ("/transfer", {"sec-fetch-site": "same-origin"}, True),
            ("/transfer", {"origin": "http://testserver"}, True),
            ("/transfer", {"origin": "https://app.example"} | site, True),
            ("/hooks/paid", evil | site, True),
            ("/transfer", evil, False),
            ("/transfer", site, False),
            ("/transfer", {"origin": "null"}, False),
            ("/hooks/paid/x", evil, False),
        ):
            answer = client.post(path, headers=headers)
            assert (answer.status_code != 403) == passes, (path, headers)
            if not passes:
                assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/transfer", headers=evil | site).status_code == 200


def test_an_exempt_path_that_cannot_be_read_is_refused_when_the_app_is_built() -> None:
    with pytest.raises(ConfigError, match="an exempt path"):
        Ziggurat(layers=[layers.Csrf(exempt=["/{x"])]).build()


def test_checks_of_health_are_answered_before_all_else() -> None:
    app = Ziggurat(layers=[layers.HealthCheck(), layers.Hosts(names=["example.org"]), layers.Jwt(secret=SECRET)])

    @app.post("/healthz")
    async def posted() -> None: ...

    @app.get("/{rest:path}")
    async def page(rest: str) -> None: ...

    with TestClient(app) as client:
        for path in ("/healthz", "/readyz"):
            alive = client.get(path, headers={"host": "10.0.0.7"})
            assert (alive.status_code, alive.text, alive.headers["cache-control"]) == (200, "ok\n", "no-store")
            assert client.head(path).status_code == 200
        assert client.get("/healthz/").status_code == 421
        assert client.post("/healthz").status_code == 421


def test_clients_are_led_to_where_they_should_have_asked() -> None:
    layer = layers.Redirect(https=["example.org"], hosts={"www.example.org": "example.org"}, paths={"/old": "/new"})
    app = Ziggurat(layers=[layer])

    @app.get("/{rest:path}")
    async def page(rest: str) -> None: ...

    with TestClient(app) as client:

        def led(path: str, host: str, proto: str) -> str | None:
            answer = client.get(path, headers={"host": host, "x-forwarded-proto": proto})
            assert answer.status_code == (308 if "location" in answer.headers else 200)
            return answer.headers.get("location")

        assert led("/a?b", "example.org", "http") == "https://example.org/a?b"
        assert led("/old?b", "www.example.org", "http") == "https://example.org/new?b"
        assert led("/a", "www.example.org", "https") == "//example.org/a"
        assert led("/old", "example.org", "https") == "/new"
        assert led("/a", "example.org", "https") is None
        assert led("/a", "evil.example", "http") is None


def test_redirects_that_lead_in_circles_are_refused_when_the_app_is_built() -> None:
    with pytest.raises(ConfigError, match="by way of another redirect"):
        Ziggurat(layers=[layers.Redirect(paths={"/a": "/b", "/b": "/a"})]).build()


STUCK_PROGRAM = """
import asyncio

from ziggurat import CORE, Model, Request, Response, Ziggurat, layers

app = Ziggurat(store="sqlite:///:memory:")

async def made():
    try:
        yield b"part"
        await asyncio.sleep(60)
    finally:
        print("given up", flush=True)

@app.get("/made", layers=[layers.Timeout(body_idle=0.4)])
async def stuck() -> Response:
    return Response(body=made())

def feed(name, **limits):
    Row = type(name, (Model,), {"__annotations__": {"id": str}})
    app.crud(Row, ops=CORE | {"changes"}, client_id=True, layers=[layers.Timeout(**limits)])(type("Routes", (), {}))

feed("Idle", body_idle=0.4)
feed("Total", total=0.7)
feed("Free")

@app.post("/read", layers=[layers.Timeout(body_idle=0.4)])
async def read(request: Request) -> int:
    return len(await request.body())

app.run()
"""


def test_bodies_that_stand_still_are_given_up(serve: Callable[..., Any], tmp_path: Path, mode: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(STUCK_PROGRAM)
    served = serve(str(program))
    host, port = served.url.removeprefix("http://").split(":")

    def asked(text: str, seconds: float = 20) -> bytes:
        with socket.create_connection((host, int(port)), timeout=seconds) as connection:
            connection.sendall(text.encode())
            received = b""
            try:
                while some := connection.recv(65536):
                    received += some
            except TimeoutError:
                received += b"still open"
            return received

    for path in ("/idle", "/total"):
        answer = asked(f"GET {path}/_changes HTTP/1.1\r\nhost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200") and b"retry: 1000" in answer, answer
        assert not answer.endswith(b"0\r\n\r\n"), "it ended without a last chunk"
    answer = asked("GET /made HTTP/1.1\r\nhost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"4\r\npart\r\n"), "it ended without a last chunk"
    assert asked("GET /free/_changes HTTP/1.1\r\nhost: a\r\n\r\n", 2).endswith(b"still open")
    upload = "POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n"
    answer = asked(upload + "part")
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"4"), answer
    answer = asked(upload + "pa")
    assert answer.startswith(b"HTTP/1.1 408") and b"application/problem+json" in answer
    served.stop()
    output = served.output()
    assert output.count("given up\n") == 1, "the generator was closed"
    warned = re.findall(r"WARN ziggurat::layers::timeout.*: (.*) path=(\S+) limit_s=(\S+)", output)
    assert warned == [
        ("nothing came of the body of an answer in time, and it was given up", "/idle/_changes", "0.4"),
        ("an answer had not ended in time, and it was given up", "/total/_changes", "0.7"),
        ("nothing came of the body of an answer in time, and it was given up", "/made", "0.4"),
        ("nothing came of the body of a request in time, and it was given up", "/read", "0.4"),
    ]


def test_every_method_and_header_with_credentials_of_an_origin_that_is_named() -> None:
    """As most apps of FastAPI have it; browsers take no `*` for these where credentials are sent, so they are named."""
    origin = "http://localhost:5173"
    cors = layers.Cors(allow_origins=[origin], allow_credentials=True, allow_methods=["*"], allow_headers=["*"])
    app = Ziggurat(layers=[cors, layers.Jwt(secret=SECRET)])

    @app.put("/")
    async def root() -> str:
        return "in"

    def preflight(client: TestClient, origin: str) -> dict[str, str]:
        asked = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,x-trace"}
        answer = client.options("/", headers={"origin": origin, **asked})
        assert answer.status_code == 200
        return {name: value for name, value in answer.headers.items() if name.startswith("access-control-allow-")}

    with TestClient(app) as client:
        allowed = preflight(client, origin)
        assert allowed["access-control-allow-origin"] == origin
        assert allowed["access-control-allow-credentials"] == "true"
        assert allowed["access-control-allow-headers"] == "authorization,x-trace"
        assert {"PUT", "PATCH", "DELETE"} <= set(re.split(r",\s*", allowed["access-control-allow-methods"]))
        assert "access-control-allow-origin" not in preflight(client, "http://evil.example")
