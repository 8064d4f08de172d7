"""Rows in lines over a real connection, on both stores: more than the app takes of other bodies, told while they are sent."""

from __future__ import annotations

import http.client
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pytest

from ziggurat import CORE, ConfigError, HookContext, Indexed, Model, Request, Ziggurat, layers
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

APP = """
import os
from ziggurat import CORE, Model, Ziggurat

class Note(Model):
    id: int
    text: str = ""

app = Ziggurat(store=os.environ["STORE"])

@app.crud(Note, ops=CORE | {"import", "count"}, client_id=True)
class Notes: ...

@app.get("/entered")
async def entered() -> int:
    return app.attach_counts()["crud"]
"""


class Note(Model):
    id: int
    text: Annotated[str, Indexed(unique=True)]


def test_more_than_other_bodies_may_have(tmp_path: Path, store_url: str, serve: Callable[..., Any]) -> None:
    (tmp_path / "notes.py").write_text(APP)
    running = serve("-m", "ziggurat", "run", "notes", STORE=store_url)
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)

    def lines() -> Iterator[bytes]:
        for number in range(1500):
            yield json.dumps({"id": number, "text": "x" * 2000}).encode() + b"\n"

    connection.request("POST", "/note/_import", lines(), {"content-type": "application/x-ndjson"}, encode_chunked=True)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert (answer.status, told) == (200, {"lines": 1500, "created": 1500, "failed": 0, "broken": None, "errors": []})
    connection.request("POST", "/note", b"x" * (3 << 20), {"content-type": "application/json"})
    refused = connection.getresponse()
    assert refused.status == 413
    connection.close()
    connection.request("GET", "/entered")
    assert connection.getresponse().read() == b"0"
    connection.close()


def test_memory_does_not_grow_with_what_is_sent(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """The first import fills the caches of the store; one three times as large takes no more."""
    (tmp_path / "notes.py").write_text(APP)
    running = serve("-m", "ziggurat", "run", "notes", STORE="sqlite:///notes.db")

    def sent(numbers: range) -> int:
        """How much memory there is, in kB and without that of files, when these are in."""
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
        rows = (json.dumps({"id": number, "text": "x" * 2000}).encode() + b"\n" for number in numbers)
        pieces = (b"".join(chunk) for chunk in iter(lambda: list(itertools.islice(rows, 16)), []))
        connection.request(
            "POST", "/note/_import", pieces, {"content-type": "application/x-ndjson"}, encode_chunked=True
        )
        assert json.loads(connection.getresponse().read())["created"] == len(numbers)
        connection.close()
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1])

    warm = sent(range(10_000))
    assert sent(range(10_000, 40_000)) - warm < 10_000, "60 MB have gone through"


def test_lines_are_told_of_while_others_are_sent(tmp_path: Path, store_url: str, serve: Callable[..., Any]) -> None:
    (tmp_path / "notes.py").write_text(APP)
    running = serve("-m", "ziggurat", "run", "notes", STORE=store_url)
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    connection.putrequest("POST", "/note/_import")
    connection.putheader("content-type", "application/x-ndjson")
    connection.putheader("accept", "application/x-ndjson")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()

    def send(line: bytes) -> None:
        connection.send(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    send(b'{"id": 1}\n')
    answer = connection.getresponse()
    assert json.loads(answer.readline()) == {"line": 1, "status": 201, "id": 1}
    send(b'{"id": 1}\n{"id": 2}\n')
    second = json.loads(answer.readline())
    assert (second["line"], second["status"], second["problem"]["errors"][0]["pointer"]) == (2, 409, "/id")
    assert json.loads(answer.readline())["id"] == 2
    connection.send(b"0\r\n\r\n")
    assert json.loads(answer.readline()) == {"$end": {"lines": 3, "created": 2, "failed": 1, "broken": None}}
    assert answer.readline() == b""
    connection.close()


def test_limits_of_single_paths(tmp_path: Path) -> None:
    app = Ziggurat(store=f"sqlite:///{tmp_path}/a.db", layers=[layers.BodyLimit(max_bytes=200, at={"/wide": 2000})])

    @app.crud(Note, client_id=True, ops=CORE | {"import"}, import_limit=1000, body_limit=300)
    class Notes:
        async def before_create(self, ctx: HookContext[Note], doc: Note) -> None:
            doc.text = doc.text.upper()

    @app.post("/wide")
    async def wide(request: Request) -> int:
        return len(await request.body())

    @app.post("/narrow")
    async def narrow(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:
        headers = {"content-type": "application/octet-stream"}
        assert client.post("/wide", content=b"x" * 1999, headers=headers).json() == 1999
        assert client.post("/narrow", content=b"x" * 201, headers=headers).status_code == 413
        assert client.post("/note", json={"id": 1, "text": "x" * 250}).status_code == 201
        assert client.put("/note/1", json={"id": 1, "text": "y" * 250}).status_code == 200
        assert client.post("/note", json={"id": 2, "text": "x" * 300}).status_code == 413
        lines = {"content-type": "application/x-ndjson"}
        report = client.post("/note/_import", content=b'{"id":3,"text":"a"}\n{"id":4,"text":"A"}', headers=lines).json()
        assert (report["created"], report["errors"][0]["problem"]["status"]) == (1, 409), "hooks are called"
        assert client.post("/note/_import", content=b"x" * 1001, headers=lines).status_code == 413


def test_wrong_limits_are_refused() -> None:
    for at in ({"/a": 0}, {"a": 1}, {"/a": True}):
        with pytest.raises(ConfigError, match="BodyLimit: at"):
            layers.BodyLimit(at=at)
    with pytest.raises(ConfigError, match="a limit at"):
        Ziggurat(layers=[layers.BodyLimit(at={"/{x": 1})]).build()
