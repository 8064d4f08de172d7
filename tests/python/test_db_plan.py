"""`ziggurat db plan` and `apply`, and what start-up says of a store that differs from the models."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_db import db, send

from ziggurat import ConfigError, Model, Ziggurat
from ziggurat.testing import TestClient

HEAD = """
from typing import Annotated
from ziggurat import CORE, Indexed, Model, Ziggurat

app = Ziggurat(store="sqlite:///shop.db")
"""

BEFORE = """
class User(Model):
    id: int
    name: Annotated[str, Indexed()]
    mail: str
    age: int | None = None
"""

AFTER = """
class Log(Model):
    id: int

class User(Model):
    id: int
    name: Annotated[str, Indexed()]
    mail: Annotated[str, Indexed(unique=True)]
    age: float | None = None
    stars: int = 3

app.keep(Log)
"""

UNFIT = """
class User(Model):
    id: int
    name: Annotated[str, Indexed(unique=True)]
    mail: int
    age: int
    must: str
"""

UNIQUE = """
class User(Model):
    id: int
    name: Annotated[str, Indexed(unique=True)]
    mail: str
    age: int | None = None
"""

TAIL = """
app.crud(User, client_id=True, bulk=True)(type("Users", (), {}))
"""

ROWS = [
    {"id": 1, "name": "Ada", "mail": "a"},
    {"id": 2, "name": "Ada", "mail": "b", "age": 5},
    {"id": 3, "name": "Bea", "mail": "c"},
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, models in (("before", BEFORE), ("after", AFTER), ("unfit", UNFIT), ("unique", UNIQUE)):
        (tmp_path / f"{name}.py").write_text(HEAD + models + TAIL)
    return tmp_path


@pytest.fixture
def filled(project: Path, serve: Callable[..., Any], store_url: str) -> str:
    """A store with rows of the models before."""
    served = serve("-m", "ziggurat", "run", "before", ZIGGURAT_STORE=store_url)
    for row in ROWS:
        send(served.url + "/user", "POST", row)
    assert served.stop() == 0
    return store_url


def start(cwd: Path, app: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Starts an app that is not expected to begin."""
    return subprocess.run(
        [sys.executable, "-m", "ziggurat", "run", app, "--port", "0"],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_differs_is_told_and_then_done(project: Path, serve: Callable[..., Any], filled: str) -> None:
    served = serve("-m", "ziggurat", "run", "before", ZIGGURAT_STORE=filled)
    is_sqlite = filled.startswith("sqlite")
    assert db(project, "plan", "before:app", "--store", filled).returncode == 0
    # The app runs meanwhile.
    files = sorted((path.name, path.read_bytes()) for path in project.glob("test.db*") if path.suffix != ".db-shm")
    plan = db(project, "plan", "after:app", "--store", filled)
    assert plan.returncode == 3, plan.stderr
    assert "User.stars: new field, with 3; writes 3 rows" in plan.stdout
    assert "User.age: int | None becomes float" in plan.stdout or "User.age: int becomes float" in plan.stdout
    assert "User.mail: the unique index" in plan.stdout
    assert "Log: the " in plan.stdout and "is made" in plan.stdout
    assert "the app does this when it starts, and so does `ziggurat db apply after:app`" in plan.stdout
    assert ("MongoDB does one after the other" in plan.stdout) is not is_sqlite
    assert db(project, "plan", "after", ZIGGURAT_STORE=filled).stdout == plan.stdout.replace("after:app", "after")
    now = sorted((path.name, path.read_bytes()) for path in project.glob("test.db*") if path.suffix != ".db-shm")
    assert now == files, "nothing was written"
    if is_sqlite:
        busy = db(project, "apply", "after:app", "--store", filled, "--yes")
        assert busy.returncode == 1 and "in use" in busy.stderr, busy.stderr
    assert served.stop() == 0

    asked = db(project, "apply", "after:app", "--store", filled)
    assert asked.returncode == 2 and "--yes" in asked.stderr and "nothing was done" in asked.stderr, asked.stderr
    assert db(project, "plan", "after:app", "--store", filled).stdout == plan.stdout

    done = db(project, "apply", "after:app", "--store", filled, "--yes")
    assert done.returncode == 0, done.stderr
    assert "done: User.stars: new field, with 3; writes 3 rows" in done.stdout
    assert "done in " in done.stdout
    plan = db(project, "plan", "after:app", "--store", filled)
    assert plan.returncode == 0 and plan.stdout.rstrip().endswith("nothing to do"), plan.stdout
    again = db(project, "apply", "after:app", "--store", filled)
    assert again.returncode == 0 and "nothing to do" in again.stdout, "there is nothing to ask for"
    served = serve("-m", "ziggurat", "run", "after", ZIGGURAT_STORE=filled, ZIGGURAT_MIGRATE="never")
    row, _ = send(served.url + "/user/2", "GET")
    assert row == {"id": 2, "name": "Ada", "mail": "b", "age": 5.0, "stars": 3}


def test_what_stands_in_the_way_is_told_with_its_rows(project: Path, filled: str) -> None:
    plan = db(project, "plan", "unfit:app", "--store", filled)
    assert plan.returncode == 1, plan.stdout
    assert "this stands in the way" in plan.stdout
    assert "User.mail: str becomes int, which stored rows do not fit (3 rows, ids 1, 2, 3)" in plan.stdout
    assert "User.age: null in stored rows, and may not be (2 rows, ids 1, 3)" in plan.stdout
    assert "User.must: required, and lacking in stored rows (3 rows, ids 1, 2, 3)" in plan.stdout
    shared = "User.name: cannot be made unique: rows hold a value that others hold (2 rows, ids 1, 2)"
    assert shared in plan.stdout
    assert "help: give it a default, or declare it as Optional" in plan.stdout
    found = json.loads(db(project, "plan", "unfit:app", "--store", filled, "--json").stdout)
    steps = {step["field"]: step for step in found["steps"] if step["safety"] == "conflict"}
    assert set(steps) == {"name", "mail", "age", "must"}
    assert {key: steps["age"][key] for key in ("model", "kind", "rows", "ids", "cure")} == {
        "model": "User",
        "kind": "missing",
        "rows": 2,
        "ids": [1, 3],
        "cure": "declare it as Optional",
    }
    for extra in ((), ("--yes",)):
        done = db(project, "apply", "unfit:app", "--store", filled, *extra)
        assert done.returncode == 1 and "nothing was done" in done.stderr, done.stderr
    assert db(project, "plan", "before:app", "--store", filled).returncode == 0

    refused = start(project, "unfit", ZIGGURAT_STORE=filled)
    assert refused.returncode == 1, refused.stderr
    assert "do not fit the schema" in refused.stderr
    assert "`ziggurat db plan unfit:app` shows all that differs" in refused.stderr
    refused = start(project, "unfit", ZIGGURAT_STORE=filled, ZIGGURAT_MIGRATE="never")
    assert refused.returncode == 1
    assert "clear what is in the way, which `ziggurat db plan unfit:app` shows" in refused.stderr, refused.stderr


SEARCHED = """
class User(Model):
    id: int
    name: Annotated[str, Indexed()]
    mail: str
    age: int | None = None

app.crud(User, client_id=True, search=("name", "mail"))(type("Users", (), {}))
"""


# The MongoDB server of the tests knows no text search.
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_an_index_of_words_is_one_of_the_differences(project: Path, filled: str) -> None:
    (project / "searched.py").write_text(HEAD + SEARCHED)
    plan = db(project, "plan", "searched:app", "--store", filled)
    assert plan.returncode == 3 and "User: the index of the words in name and mail is built" in plan.stdout
    assert db(project, "apply", "searched:app", "--store", filled, "--yes").returncode == 0
    assert db(project, "plan", "searched:app", "--store", filled).returncode == 0


def test_a_store_is_left_as_it_is_where_that_is_asked_for(
    project: Path, serve: Callable[..., Any], filled: str
) -> None:
    refused = start(project, "after", ZIGGURAT_STORE=filled, ZIGGURAT_MIGRATE="never")
    assert refused.returncode == 1, refused.stderr
    assert 'differs from the models, and migrate="never" leaves it as it is' in refused.stderr
    assert "  User.stars: new field, with 3; writes 3 rows\n" in refused.stderr
    assert "  User.mail: the unique index" in refused.stderr
    assert "run `ziggurat db apply after:app`" in refused.stderr
    assert "after.py:5" in refused.stderr, "it points at the app"
    plan = db(project, "plan", "after:app", "--store", filled, ZIGGURAT_MIGRATE="never")
    assert plan.returncode == 3 and "only `ziggurat db apply after:app` does this" in plan.stdout
    # An index alone is a difference, too.
    (project / "found.py").write_text(
        HEAD.replace('shop.db"', 'shop.db", migrate="never"')
        + BEFORE.replace("mail: str", "mail: Annotated[str, Indexed()]")
        + TAIL
    )
    refused = start(project, "found", ZIGGURAT_STORE=filled, ZIGGURAT_MIGRATE="auto")
    assert refused.returncode == 1 and "User.mail: the index" in refused.stderr, "what the code says counts"

    served = serve("-m", "ziggurat", "run", "after", ZIGGURAT_STORE=filled)
    assert "the store was changed: User.stars: new field, with 3; writes 3 rows" in served.output()
    assert "the store was changed: User.mail: the unique index" in served.output()
    assert served.stop() == 0
    served = serve("-m", "ziggurat", "run", "after", ZIGGURAT_STORE=filled, ZIGGURAT_MIGRATE="never")
    assert "the store was changed" not in served.output()


def test_a_store_that_holds_nothing_is_made_in_any_case(
    project: Path, serve: Callable[..., Any], store_url: str
) -> None:
    plan = db(project, "plan", "after:app", "--store", store_url)
    assert plan.returncode == 3, plan.stderr
    what = "does not exist, and is made" if store_url.startswith("sqlite") else "holds nothing of ours yet"
    assert plan.stdout.count(what) == 1, plan.stdout
    assert not list(project.glob("test.db*"))
    served = serve("-m", "ziggurat", "run", "before", ZIGGURAT_STORE=store_url, ZIGGURAT_MIGRATE="never")
    assert served.stop() == 0
    # One that holds other models is not new.
    (project / "other.py").write_text(HEAD + BEFORE.replace("User", "Other") + TAIL.replace("User", "Other"))
    refused = start(project, "other", ZIGGURAT_STORE=store_url, ZIGGURAT_MIGRATE="never")
    assert refused.returncode == 1 and "Other: the " in refused.stderr, refused.stderr


def test_it_is_asked_before_it_begins(project: Path) -> None:
    for answer, code in (("n", 1), ("", 1), ("y", 0)):
        ours, theirs = pty.openpty()
        asking = subprocess.Popen(
            [sys.executable, "-m", "ziggurat", "db", "apply", "before"],
            cwd=project,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.write(ours, f"{answer}\n".encode())
        said, _ = asking.communicate(timeout=60)
        assert asking.returncode == code, said
        assert "Do it? [y/N]" in said
        assert (project / "shop.db").exists() is (code == 0)
        os.close(ours)
        os.close(theirs)


def test_rules_that_mongodb_keeps_are_dropped_by_apply(
    project: Path, serve: Callable[..., Any], mongo_uri: str
) -> None:
    base, _, options = mongo_uri.partition("?")
    store = f"{base.rstrip('/')}/zg_rules_{os.getpid()}" + (f"?{options}" if options else "")
    served = serve("-m", "ziggurat", "run", "unique", ZIGGURAT_STORE=store)
    assert served.stop() == 0
    refused = start(project, "before", ZIGGURAT_STORE=store)
    assert refused.returncode == 1 and 'dropIndex("zg_u_name")' in refused.stderr
    assert "`ziggurat db apply before:app` does it, and `ziggurat db plan before:app` shows" in refused.stderr
    plan = db(project, "plan", "before:app", "--store", store)
    assert plan.returncode == 3, plan.stderr
    assert "only `ziggurat db apply before:app` does this, and the app does not start before" in plan.stdout
    assert "User.name: the index zg_u_name is dropped" in plan.stdout
    assert db(project, "apply", "before:app", "--store", store, "--yes").returncode == 0
    served = serve("-m", "ziggurat", "run", "before", ZIGGURAT_STORE=store)
    for row in ROWS:
        send(served.url + "/user", "POST", row)


def test_what_is_no_setting_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Note(Model):
        id: int

    app = Ziggurat(store=f"sqlite:///{tmp_path}/notes.db", migrate="sometimes")  # type: ignore[arg-type]
    app.keep(Note)
    with pytest.raises(ConfigError, match='migrate="sometimes" is not understood'):
        app.build()
    monkeypatch.setenv("ZIGGURAT_MIGRATE", "perhaps")
    with pytest.raises(ConfigError, match="ZIGGURAT_MIGRATE is 'perhaps'"):
        Ziggurat().build()
    monkeypatch.setenv("ZIGGURAT_MIGRATE", "never")
    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Note, client_id=True)(type("Notes", (), {}))
    with TestClient(app) as client:
        assert client.post("/note", json={"id": 1}).status_code == 201
    wrong = db(project, "plan", "before", "--store", "sqlite:///:memory:")
    assert wrong.returncode == 1 and "a store in memory begins anew each time" in wrong.stderr
    said = db(project, "plan", "--help").stdout + db(project, "apply", "--help").stdout
    assert "Nothing is written" in said and "--json" in said and "--yes" in said
