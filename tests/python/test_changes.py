"""The feed of changes over real connections, on both stores: events, coming back after a restart, and the end."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.usefixtures("mode")

APP = """
import os
from ziggurat import CORE, Model, Ziggurat

class Note(Model):
    id: str
    text: str = ""

app = Ziggurat(store=os.environ["STORE"])

@app.crud(Note, ops=CORE | {"changes"}, client_id=True)
class Notes: ...

@app.get("/entered")
async def entered() -> int:
    return app.attach_counts()["crud"]
"""


class Feed:
    """What `EventSource` is in a browser."""

    def __init__(self, url: str, last: str = "") -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        self.connection.request("GET", "/note/_changes", headers={"Last-Event-ID": last} if last else {})
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["content-type"] == "text/event-stream"
        self.id = last
        assert self.response.readline() == b"retry: 1000\n", "something is sent at once"

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def next(self) -> tuple[str, Any] | None:
        """The next event; None at the end."""
        name, data = "", None
        while line := self.response.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                self.id = value
            elif field == "data":
                data = json.loads(value)
            elif not field and name:
                return name, data
        return None


def send(url: str, method: str, path: str, body: Any = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status < 300


def test_a_feed_tells_what_changes_and_goes_on_after_a_restart(
    request: pytest.FixtureRequest, tmp_path: Path, store_url: str, serve: Callable[..., Any]
) -> None:
    (tmp_path / "notes.py").write_text(APP)
    served = serve("-m", "ziggurat", "run", "notes", STORE=store_url)
    feeds: list[Feed] = []

    def watch(last: str = "") -> Feed:
        feeds.append(Feed(served.url, last))
        return feeds[-1]

    request.addfinalizer(lambda: [feed.close() for feed in feeds])
    feed, other = watch(), watch()
    send(served.url, "POST", "/note", {"id": "a"})
    send(served.url, "PATCH", "/note/a", {"text": "b\nc"})
    for watching in (feed, other):
        assert watching.next() == ("create", {"id": "a", "text": ""})
        assert watching.next() == ("update", {"id": "a", "text": "b\nc"})

    with urllib.request.urlopen(served.url + "/entered", timeout=20) as answer:
        assert answer.read() == b"0", "no event needs Python"

    begun = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - begun < 20, "a feed does not hold up the stop"
    assert feed.next() is None, "it comes to a proper end"
    assert "broke off" not in served.output(), "that is no fault"

    served = serve("-m", "ziggurat", "run", "notes", STORE=store_url)
    send(served.url, "DELETE", "/note/a")
    send(served.url, "POST", "/note", {"id": "b"})
    back = watch(feed.id)
    assert back.next() == ("delete", {"id": "a"})
    assert back.next() == ("create", {"id": "b", "text": ""})
    lost = watch("nonsense")
    event = lost.next()
    assert event is not None and event[0] == "reset"
    send(served.url, "POST", "/note", {"id": "c"})
    for watching in (back, lost, watch(back.id)):
        assert watching.next() == ("create", {"id": "c", "text": ""})
