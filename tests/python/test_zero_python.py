"""The proof that native routes need no Python: it is counted, and it is shown with Python kept busy."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from ziggurat import DeletedAt, Model, Ziggurat, layers
from ziggurat.routing import Op
from ziggurat.testing import TestClient

JSON = {"content-type": "application/json"}


class User(Model):
    id: UUID
    name: str
    age: int = 0
    deleted_at: DeletedAt


@pytest.mark.usefixtures("mode")
def test_no_operation_on_a_model_enters_python(store_url: str) -> None:
    app = Ziggurat(store=store_url, layers=[layers.Trace(), layers.Compression()])
    app.crud(User, path="/users", ops=get_args(Op), idempotency=True, bulk=True)(type("UserRoutes", (), {}))

    @app.get("/python")
    async def python() -> int:
        return 1

    with TestClient(app) as client:
        # Python makes the document when it is first asked for in a test.
        assert client.get("/openapi.json").status_code == 200
        before = app.attach_counts()
        made = client.post("/users", json={"name": "Ann", "age": 3})
        assert made.status_code == 201, made.content
        path = f"/users/{made.json()['id']}"
        statuses = [
            client.get("/users?age=gte.1&sort=-name").status_code,
            client.get(path).status_code,
            client.put(path, json={"name": "Anna", "age": 4}).status_code,
            client.patch(path, json={"age": 5}).status_code,
            client.post("/users", json={"name": 1}).status_code,
            client.post("/users", content=b"{", headers=JSON).status_code,
            client.get("/users?nope=1").status_code,
            client.delete(path).status_code,
            client.get(path).status_code,
            client.get("/openapi.json").status_code,
            client.get("/nowhere").status_code,
            client.request("OPTIONS", "/users").status_code,
            client.post("/users/_count").status_code,
        ]
        assert statuses == [200, 200, 200, 200, 422, 400, 400, 204, 404, 200, 404, 204, 405]
        once = {"idempotency-key": "k"}
        row = f"/users/{client.post('/users', json={'name': 'Row'}).json()['id']}"
        statuses = [
            client.get("/users/_deleted").status_code,
            client.post(f"{path}/_restore").status_code,
            client.request("QUERY", "/users", json={"filter": ["age", "gt", 1]}).status_code,
            client.patch("/users?age=gt.1", json={"age": 6}).status_code,
            client.delete("/users?age=6").status_code,
            client.get("/users/_count").status_code,
            client.get("/users/_export").status_code,
            client.request("HEAD", "/users/_changes").status_code,
            client.post("/users", json={"name": "Bob"}, headers=once).status_code,
            client.post("/users", json={"name": "Bob"}, headers=once).status_code,
            client.post("/users", json=[{"name": "Cyd"}, {"name": "Dan"}]).status_code,
            client.post("/users", json=[{"name": "Eve"}], headers={"idempotency-key": "many"}).status_code,
            client.post("/users", json=[{"name": "Eve"}], headers={"idempotency-key": "many"}).status_code,
            client.patch(row, json={"age": 7}, headers=once).status_code,
            client.patch(row, json={"age": 7}, headers=once).status_code,
            client.patch(row, json={"age": 8}, headers=once).status_code,
            client.delete(row, headers=once).status_code,
        ]
        assert statuses == [200, 200, 200, 200, 200, 200, 200, 200, 201, 201, 201, 201, 201, 200, 200, 422, 400]
        assert app.attach_counts() == before
        client.get("/python")
        after = app.attach_counts()
        assert after["python"] > before["python"]
        assert (after["crud"], after["native"]) == (before["crud"], before["native"])


PROGRAM = """
import sys, time
from uuid import UUID
import pytest

from ziggurat import Model, Ziggurat

app = Ziggurat(store="sqlite:///:memory:")

class User(Model):
    id: UUID
    name: str

@app.crud(User, path="/users")
class UserRoutes: ...

@app.get("/spin")
async def spin(seconds: float) -> str:
    # Without the GIL it could not run; it never awaits and never lets go by itself.
    sys.setswitchinterval(100)
    print("spinning", file=sys.stderr, flush=True)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return "spun"

app.run()
"""


def test_native_routes_answer_while_python_holds_the_gil(serve: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    served = serve(str(path))
    parts = urlsplit(served.url)

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    spun: list[bytes] = []

    def spin() -> None:
        connection = connect()
        connection.request("GET", "/spin?seconds=3")
        spun.append(connection.getresponse().read())
        connection.close()

    thread = threading.Thread(target=spin)
    thread.start()
    deadline = time.monotonic() + 10
    while "spinning" not in served.output():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    connection = connect()
    slowest = 0.0
    for number in range(50):
        begin = time.perf_counter()
        connection.request("POST", "/users", json.dumps({"name": f"n{number}"}), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 201, body
        connection.request("GET", f"/users/{json.loads(body)['id']}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        slowest = max(slowest, time.perf_counter() - begin)
    connection.close()
    assert not spun, "Python was to be busy all the while"
    assert slowest < 1
    thread.join()
    assert spun == [b"spun"]
