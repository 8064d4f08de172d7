"""`layers.Otel` in an app: what a collector gets, and what handlers are given."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen
from uuid import UUID

import pytest

from ziggurat import ConfigError, Model, Request, Ziggurat, layers
from ziggurat.testing import TestClient

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class User(Model):
    id: UUID
    name: str


class Collector:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        outer = self

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.usefixtures("mode")
def test_spans_are_exported_when_the_app_stops(collector: Collector, store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Otel(endpoint=collector.url, service_name="shop")])
    app.crud(User, path="/users")(type("UserRoutes", (), {}))
    seen: list[dict[str, str]] = []

    @app.middleware
    async def outside(request: Request, call_next: Any) -> Any:
        seen.append(request.trace_context)
        return await call_next(request)

    @app.get("/items/{id}")
    async def item(id: int, request: Request) -> dict[str, str]:
        return request.trace_context

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    with TestClient(app) as client:
        given = client.get("/items/1", headers={"traceparent": PARENT, "tracestate": "a=1,b=2"}).json()
        assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", given["traceparent"])
        assert given["traceparent"] != PARENT and given["tracestate"] == "a=1,b=2"
        for wrong in ("", "00", PARENT.upper(), PARENT + "-", PARENT.replace(TRACE, "0" * 32)):
            fresh = client.get("/items/1", headers={"traceparent": wrong}).json()
            assert list(fresh) == ["traceparent"] and TRACE not in fresh["traceparent"]
        assert client.get("/users").status_code == 200
        assert client.get("/fails").status_code == 500
        assert seen[0] == given
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    sent = b"".join(collector.bodies)
    for wanted in (b"GET /items/{id}", b"GET /users", b"GET /fails", b"shop", b"crud", bytes.fromhex(TRACE)):
        assert wanted in sent, wanted
    assert bytes.fromhex(given["traceparent"].split("-")[2]) in sent


def test_without_the_layer_there_is_no_trace() -> None:
    app = Ziggurat()

    @app.get("/")
    async def root(request: Request) -> dict[str, str]:
        return request.trace_context

    with TestClient(app) as client:
        assert client.get("/", headers={"traceparent": PARENT}).json() == {}


def test_a_collector_that_is_down_costs_nothing_but_a_warning() -> None:
    app = Ziggurat(layers=[layers.Otel(endpoint="http://127.0.0.1:9", timeout=0.5)])

    @app.get("/")
    async def root() -> str:
        return "in"

    with TestClient(app) as client:
        for _ in range(100):
            assert client.get("/").text == "in"
        begun = time.monotonic()
    assert time.monotonic() - begun < 4


PROGRAM = """
from ziggurat import Request, Ziggurat, layers

app = Ziggurat(layers=[layers.Otel(), layers.Trace()])


@app.get("/items/{id}")
async def item(id: int, request: Request) -> dict[str, str]:
    return request.trace_context


app.run()
"""


def test_the_environment_says_where_to(serve: Callable[..., Any], tmp_path: Path, collector: Collector) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    served = serve(str(program), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="of-the-environment")
    with urlopen(UrlRequest(f"{served.url}/items/7", headers={"traceparent": PARENT}), timeout=20) as answer:
        assert TRACE in answer.read().decode()
    served.stop()
    sent = b"".join(collector.bodies)
    assert b"GET /items/{id}" in sent and b"of-the-environment" in sent and b"/items/7" in sent
    assert f'trace_id="{TRACE}"' in served.output()


def test_exporting_can_be_switched_off(serve: Callable[..., Any], tmp_path: Path, collector: Collector) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    served = serve(str(program), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SDK_DISABLED="true")
    with urlopen(UrlRequest(f"{served.url}/items/7", headers={"traceparent": PARENT}), timeout=20) as answer:
        assert TRACE in answer.read().decode()
    served.stop()
    assert not collector.bodies


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_what_the_environment_says_is_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://user:hunter2@collector:4318")
    with pytest.raises(ConfigError, match=f"Otel: {name} is no address of a collector; write it as http") as caught:
        Ziggurat(layers=[layers.Otel()]).build()
    assert "hunter2" not in str(caught.value)
    Ziggurat(layers=[layers.Otel(endpoint="http://localhost:1", sample=0.0)]).build()
