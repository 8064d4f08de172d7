"""What `layers.Metrics` counts of an app, and where the time of its requests goes."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as UrlRequest
from urllib.request import urlopen
from uuid import UUID

import pytest

from ziggurat import ConfigError, HookContext, Model, Response, Ziggurat, layers
from ziggurat.testing import TestClient

PARTS = ("layers", "waiting", "python", "store")


class User(Model):
    id: UUID
    name: str


def values(client: TestClient) -> Callable[..., float]:
    """Sums up the series with a name and labels."""
    text = client.get("/metrics").text

    def value(name: str, **labels: str) -> float:
        lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(number) for found, number in lines if all(label in found for label in wanted))

    return value


def parts(value: Callable[..., float], route: str) -> dict[str, float]:
    found = {part: value("http_server_request_part_seconds_total", http_route=route, part=part) for part in PARTS}
    whole = value("http_server_request_duration_seconds_sum", http_route=route)
    assert sum(found.values()) == pytest.approx(whole, abs=1e-6)
    return found


@pytest.mark.usefixtures("mode")
def test_the_time_of_a_request_is_told_in_parts(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Metrics(allow=["*"])])

    @app.get("/async")
    async def suspended() -> str:
        await asyncio.sleep(0.05)
        return "a"

    @app.get("/sync/{seconds}")
    def blocking(seconds: float) -> str:
        time.sleep(seconds)
        return "b"

    @app.get("/busy")
    async def busy() -> str:
        time.sleep(0.05)
        return "c"

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    @app.crud(User, path="/users")
    class UserRoutes:
        async def before_create(self, ctx: HookContext[User], doc: User) -> None:
            await asyncio.sleep(0.05)

    begun = time.monotonic()
    with TestClient(app) as client:
        assert client.get("/async").text == "a"
        assert client.get("/sync/0.05").text == "b"
        assert client.get("/busy").text == "c"
        assert client.get("/fails").status_code == 500
        assert client.post("/users", json={"name": "Ann"}).status_code == 201
        assert client.get("/users").status_code == 200
        assert client.get("/users/nobody").status_code == 404
        assert client.get("/nowhere").status_code == 404
        value = values(client)
        elapsed = time.monotonic() - begun
        for route in ("/async", "/sync/{seconds}", "/busy"):
            spent = parts(value, route)
            assert spent["python"] >= 0.045, spent
            assert spent["store"] == 0
        made = parts(value, "/users")
        assert made["python"] >= 0.045 and made["store"] > 0, made
        assert parts(value, "/users/{id}")["python"] == 0
        assert value("http_server_request_duration_seconds_sum") <= elapsed
        assert value("http_server_requests_total", http_route="/fails", http_response_status_code="500") == 1
        assert value("http_server_requests_total", leaf="crud") == 3
        assert value("http_server_requests_total", leaf="python") == 4
        assert value("http_server_requests_total", http_route="unmatched") == 1
        assert value("http_server_active_requests") == 0
        assert value("ziggurat_python_entries_total", leaf="python") == app.attach_counts()["python"]


def test_what_waits_for_python_is_told() -> None:
    app = Ziggurat(layers=[layers.Metrics(allow=["*"])])
    answers: list[int] = []

    @app.get("/busy")
    async def busy() -> str:
        time.sleep(0.2)
        return "c"

    @app.get("/quick")
    async def quick() -> str:
        return "d"

    with TestClient(app) as client:
        first = threading.Thread(target=lambda: answers.append(app.request("GET", "/busy")[0]))
        first.start()
        time.sleep(0.05)
        answers.append(app.request("GET", "/quick")[0])
        first.join()
        assert answers.count(200) == 2
        waited = parts(values(client), "/quick")
        assert waited["waiting"] >= 0.05, waited
        assert waited["python"] < 0.05, waited


@pytest.mark.usefixtures("mode")
def test_middleware_is_python_and_what_it_waits_for_is_not(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Metrics(allow=["*"])])
    app.crud(User, path="/users")(type("UserRoutes", (), {}))

    @app.middleware
    async def slow(request: Any, call_next: Any) -> Any:
        await asyncio.sleep(0.02)
        response = await call_next(request)
        await asyncio.sleep(0.02)
        return response

    @app.get("/inner")
    async def inner() -> str:
        await asyncio.sleep(0.02)
        return "in"

    with TestClient(app) as client:
        assert client.get("/users").status_code == 200
        assert client.get("/inner").text == "in"
        value = values(client)
        native = parts(value, "/users")
        assert native["python"] >= 0.035 and native["store"] > 0, native
        assert parts(value, "/inner")["python"] >= 0.055
        assert value("http_server_requests_total", http_route="/users", leaf="crud") == 1


def test_refusals_count_for_their_route() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    app = Ziggurat(layers=[layers.Metrics(allow=["*"]), layers.Jwt(secret=secret)])

    @app.get("/items/{id}")
    async def item(id: int) -> int:
        return id

    with TestClient(app) as client:
        for number in range(50):
            assert client.get(f"/items/{number}").status_code == 401
            assert client.get(f"/{number}").status_code == 401
        value = values(client)
    labels = {"http_response_status_code": "401", "leaf": "python", "http_route": "/items/{id}"}
    assert value("http_server_requests_total", **labels) == 50
    assert value("http_server_requests_total", http_route="unmatched") == 50
    assert value("http_server_request_part_seconds_total", part="python") == 0


PROGRAM = """
import sys
from ziggurat import Ziggurat, layers

app = Ziggurat(layers=[layers.Metrics(**eval(sys.argv[1]))])


@app.get("/")
async def root() -> str:
    return "in"


app.run()
"""


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"x-forwarded-for": "127.0.0.1"}, 404),
        ({"allow": ["203.0.113.0/24"]}, {}, 404),
        ({"allow": ["*"]}, {"x-forwarded-for": "127.0.0.1"}, 200),
        ({"path": "/m"}, {}, 404),
    ],
)
def test_neighbours_alone_may_read(
    serve: Callable[..., Any], tmp_path: Path, settings: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    served = serve(str(program), repr(settings))
    with urlopen(served.url, timeout=20) as answer:
        assert answer.read() == b"in"
    accept = {"accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"}
    try:
        with urlopen(UrlRequest(f"{served.url}/metrics", headers=headers | accept), timeout=20) as answer:
            assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            text = answer.read().decode()
            assert 'http_route="/",leaf="python",http_response_status_code="200"} 1\n' in text
            assert text.endswith("# EOF\n")
            found = answer.status
    except HTTPError as error:
        found = error.code
    assert found == status


def test_metrics_stand_outside_of_what_refuses() -> None:
    with pytest.raises(ConfigError, match="what is refused further out is not counted"):
        Ziggurat(layers=[layers.Hosts(names=["a.example"]), layers.Metrics()]).build()


@pytest.mark.usefixtures("mode")
def test_a_route_of_the_app_may_tell_them() -> None:
    def app_of(metrics: layers.Metrics) -> Ziggurat:
        app = Ziggurat(layers=[metrics, layers.Trace(), layers.Compression()])

        @app.get("/internal")
        async def told() -> Response:
            return Response(content=metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

        return app

    metrics = layers.Metrics(path=None)
    with pytest.raises(RuntimeError, match=r"layers\.Metrics: no app that was built has this object"):
        metrics.render()
    app, other = app_of(metrics), app_of(layers.Metrics())
    with TestClient(app) as client, TestClient(other) as of_other:
        assert client.get("/metrics").status_code == 404
        of_other.get("/nowhere")
        answer = client.get("/internal")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'http_route="unmatched",leaf="none",http_response_status_code="404"} 1\n' in answer.text
        assert answer.text.count("http_server_requests_total{") == 1, "of this app alone"
    second = app_of(metrics)
    second.build()
    with pytest.raises(RuntimeError, match="2 layers were built of this object, and each counts for itself"):
        metrics.render()


def test_who_may_read_no_path_is_nobody() -> None:
    with pytest.raises(ConfigError, match="allow is given, but there is no path; leave allow out"):
        layers.Metrics(path=None, allow=["*"])
