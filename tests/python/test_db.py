"""`ziggurat db`: copies of stores, taken and compared as an operator would."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import cli

APP = """
import os
from datetime import timedelta
from decimal import Decimal
from typing import Annotated
from pydantic import BaseModel
from ziggurat import CORE, CreatedAt, DeletedAt, Indexed, Model, UpdatedAt, WriteOnly, Ziggurat

class Place(BaseModel):
    city: str
    zip: int | None = None

class User(Model):
    id: str
    name: Annotated[str, Indexed(unique=True)]
    secret: Annotated[str, WriteOnly] = "x"
    price: Decimal = Decimal("1.50")
    span: timedelta = timedelta(days=400)
    home: Place | int | None = None
    created: CreatedAt
    updated: UpdatedAt
    deleted_at: DeletedAt

class Log(Model):
    id: int
    text: str

app = Ziggurat(store="sqlite:///shop.db")
app.crud(User, client_id=True, ops=CORE | {"deleted"}, bulk=True)(type("Users", (), {}))
app.keep(Log)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def db(cwd: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return cli(cwd, "db", *args, **env)


def send(url: str, method: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null"), answer.headers["etag"]


def fill(url: str, count: int) -> None:
    rows = [{"id": f"u{index:04}", "name": f"n{index}", "home": {"city": "Ur"}} for index in range(count)]
    send(url + "/user", "POST", rows)
    send(url + "/user/u0001", "PATCH", {"home": 5, "price": "2.500"})
    send(url + "/user/u0001", "PATCH", {"span": "PT1S"})
    send(url + "/user/u0002", "DELETE")


def test_a_store_is_copied_while_it_is_in_use(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop")
    fill(served.url, 300)
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            send(f"{served.url}/user", "POST", {"id": f"w{number}", "name": f"w{number}"})
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number, source in enumerate(("shop:app", "sqlite:///shop.db", "sqlite:///shop.db?durability=full")):
            done = db(project, "backup", source, f"copy{number}.db")
            assert done.returncode == 0, done.stderr
            assert f"copy{number}.db: " in done.stdout and "checked and on the disk" in done.stdout
    finally:
        over.set()
        writer.join()
    again = db(project, "backup", "shop", "copy0.db")
    assert again.returncode == 1 and "is there already" in again.stderr
    assert not list(project.glob("*.partial"))

    row = send(served.url + "/user/u0001", "GET")
    assert served.stop() == 0
    # The copy is a store like any other.
    served = serve("-m", "ziggurat", "run", "shop", ZIGGURAT_STORE="sqlite:///copy0.db")
    assert send(served.url + "/user/u0001", "GET") == row
    assert [item["id"] for item in send(served.url + "/user/_deleted", "GET")[0]["items"]] == ["u0002"]
    assert served.stop() == 0

    for source, what in (
        ("sqlite:///none.db", "there is no store at none.db"),
        ("mongodb://localhost/x", "only a SQLite store is copied to a file"),
        ("sqlite:///shop.py", "is not a SQLite database"),
    ):
        wrong = db(project, "backup", source, "x.db")
        assert wrong.returncode == 1 and what in wrong.stderr, wrong.stderr
        assert not list(project.glob("x.db*"))


def test_a_store_is_copied_to_another(project: Path, serve: Callable[..., Any], store_url: str) -> None:
    target = store_url.replace("test.db", "target.db")
    served = serve("-m", "ziggurat", "run", "shop")
    fill(served.url, 700)
    page = served.url + "/user?limit=1000"
    before = [send(page, "GET"), send(served.url + "/user/u0001", "GET"), send(served.url + "/user/_deleted", "GET")]
    busy = db(project, "copy", "shop", target)
    assert busy.returncode == 1 and "in use" in busy.stderr, busy.stderr
    assert served.stop() == 0

    done = db(project, "copy", "shop", target)
    assert done.returncode == 0, done.stderr
    assert "User: 700 rows copied, both sides are equal" in done.stdout
    assert "Log: 0 rows copied" in done.stdout
    again = db(project, "copy", "shop", target)
    assert again.returncode == 1 and "User: the target holds 700 rows already" in again.stderr, again.stderr

    served = serve("-m", "ziggurat", "run", "shop", ZIGGURAT_STORE=target)
    page = served.url + "/user?limit=1000"
    # Ids, versions and times, to the byte: entity tags that clients hold are still good.
    assert [
        send(page, "GET"),
        send(served.url + "/user/u0001", "GET"),
        send(served.url + "/user/_deleted", "GET"),
    ] == before
    assert served.stop() == 0
    with sqlite3.connect(project / "shop.db") as source:
        assert source.execute("SELECT count(*) FROM c_user").fetchone() == (700,), "the source is as it was"
    source.close()


def test_what_cannot_be_copied_is_told(project: Path) -> None:
    for args, what in (
        (("copy", "shop", "sqlite:///shop.db"), "cannot be copied to itself"),
        (("copy", "shop", "redis://x"), "no store is called"),
        (("copy", "nothing", "sqlite:///x.db"), "nothing"),
    ):
        wrong = db(project, *args)
        assert wrong.returncode == 1 and what in wrong.stderr, wrong.stderr
    (project / "empty.py").write_text("from ziggurat import Ziggurat\napp = Ziggurat(store='sqlite:///a.db')\n")
    wrong = db(project, "copy", "empty", "sqlite:///x.db")
    assert "the app has no models" in wrong.stderr
    assert db(project).returncode == 2
