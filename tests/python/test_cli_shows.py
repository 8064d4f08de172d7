"""What the command line shows of an app, and the projects that it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from plugin import PLUGIN

APP = """
from uuid import UUID
from ziggurat import Authenticated, HasScope, Model, Ziggurat, layers

class Note(Model):
    id: UUID
    text: str

app = Ziggurat(
    store="sqlite:///real.db",
    layers=[layers.Jwt(secret="0123456789abcdef0123456789abcdef", required=False)],
    guards=[Authenticated()],
)

@app.crud(Note, ops=["list", "create"], auth={"create": "note:write"})
class Notes: ...

@app.get("/hello", guards=[HasScope("hello")])
async def hello() -> str:
    return "hello"

inner = Ziggurat(title="Inner", store="sqlite:///inner.db", openapi_path=None)

@inner.get("/deep")
async def deep() -> str:
    return "deep"

async def other(scope, receive, send) -> None: ...

app.mount("/v2", inner)
app.mount("/asgi", other)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def run(cwd: Path, *args: str, said: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **env},
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def cli(cwd: Path, *args: str, said: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return run(cwd, "-m", "ziggurat", *args, said=said, **env)


def test_routes_tell_what_is_asked_for_and_where_they_stand(project: Path) -> None:
    done = cli(project, "routes", "shop")
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["METHOD", "PATH", "KIND", "NAME", "ASKS", "FOR", "DECLARED", "PASSES"]
    rows = {line.split()[1]: line for line in lines}
    assert "scope hello" in rows["/hello"] and "shop.py:18" in rows["/hello"]
    assert "known" in rows["/v2/deep"] and "shop.py:24" in rows["/v2/deep"] and "> Inner > " in rows["/v2/deep"]
    assert rows["/asgi/{path:path}"].startswith("*") and rows["/asgi/{path:path}"].endswith("other  [Python]")
    told = {
        (row["method"], row["path"]): row["guards"]
        for row in json.loads(cli(project, "routes", "shop", "--json").stdout)
    }
    assert told[("POST", "/note")] == ["scope note:write"]
    assert told[("GET", "/note")] == ["known"]
    assert told[("GET", "/hello")] == ["scope hello"]
    # Nothing was opened that the app would open.
    assert not list(project.glob("*.db"))


def test_the_document_may_be_yaml(project: Path) -> None:
    as_json = json.loads(cli(project, "openapi", "shop").stdout)
    assert yaml.safe_load(cli(project, "openapi", "shop", "--yaml").stdout) == as_json
    assert cli(project, "openapi", "shop", "--yaml", "--output", "api.yaml").stdout == ""
    assert yaml.safe_load((project / "api.yaml").read_text()) == as_json


SAID = """
from ziggurat import uuid7
await Note(id=uuid7(), text="kept").insert()
len(await Note.find().to_list())
client.get("/hello").status_code
raise ValueError("goes on")
def twice(x):
    return 2 * x

twice(21)
"""


def test_the_shell_awaits_and_asks(project: Path) -> None:
    done = cli(project, "shell", "shop", "--plain", said=SAID, ZIGGURAT_STORE="sqlite:///:memory:")
    assert done.returncode == 0, done.stderr
    assert "there are app, client, Note, and await works" in done.stderr
    assert "text='kept'" in done.stdout
    assert ">>> 1\n" in done.stdout and "401\n" in done.stdout and "42\n" in done.stdout
    assert "ValueError: goes on" in done.stderr


def test_errors_show_the_lines_that_led_there(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("import json\n\nraise KeyError('inner')\n")
    (tmp_path / "shop.py").write_text("x = 1\nimport deep\n")
    done = cli(tmp_path, "routes", "shop")
    assert done.returncode == 1
    shown = done.stderr.splitlines()
    assert shown == [
        "error: KeyError: 'inner'",
        "  --> deep.py:3",
        "  3 | raise KeyError('inner')",
        "  from shop.py:2",
        "  2 | import deep",
    ]
    (tmp_path / "shop.py").write_text("def f(:\n")
    assert cli(tmp_path, "routes", "shop").stderr.splitlines()[-2:] == ["  1 | def f(:", "    |       ^"]


def test_a_new_project_works_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "my_notes"
    done = cli(tmp_path, "new", "my_notes")
    assert done.returncode == 0 and f"wrote {Path('my_notes', 'tests', 'test_app.py')}" in done.stdout, done.stderr
    texts = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert len(texts) == 6 and not any("new_app" in text for text in texts.values())
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == "my_notes"
    listed = cli(folder, "routes")
    assert listed.returncode == 0 and "/hello/{name}" in listed.stdout, listed.stderr
    tested = run(folder, "-m", "pytest", "-q", *PLUGIN, "-p", "no:cacheprovider")
    assert "3 passed" in tested.stdout, tested.stdout + tested.stderr
    assert not list(folder.glob("*.db"))
    for tool in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "--line-length", "120", "."],
        ["mypy", "--strict", "app.py"],
    ):
        checked = run(folder, "-m", *tool)
        assert checked.returncode == 0, checked.stdout + checked.stderr
