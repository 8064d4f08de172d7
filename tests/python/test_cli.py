"""The command line: what it runs and prints, and how it says what is wrong."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from helpers import cli

from ziggurat import __version__

SECRET = "0123456789abcdef0123456789abcdef"
APP = """
from uuid import UUID
from ziggurat import Model, Ziggurat

class User(Model):
    id: UUID
    name: str

app = Ziggurat(store="sqlite:///real.db", title="T")

@app.crud(User)
class UserRoutes: ...

@app.get("/hello")
async def hello() -> str:
    return "hello"

@app.middleware(paths=["/user"])
async def slow(request, call_next):
    return await call_next(request)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_version_and_usage(tmp_path: Path) -> None:
    assert cli(tmp_path, "--version").stdout == f"ziggurat {__version__}\n"
    assert cli(tmp_path).returncode == 2
    assert cli(tmp_path, "run", "x:y", "--port", "99999").returncode == 2


def test_run_serves_and_says_where(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop:app", "--host", "127.0.0.1", "--port", "0")
    assert fetch(served.url + "/hello") == "hello"
    text = served.output()
    assert f"Ziggurat {__version__} on " in text
    assert "9 native, 1 Python" in text
    assert "sqlite" in text
    assert "GET /user" in text.split("a Python middleware wraps these native routes:")[1].splitlines()[0]
    assert "everybody may write through POST /user, PUT /user/{id}, PATCH /user/{id}, DELETE /user/{id}" in text
    assert served.stop() == 0
    assert (project / "real.db").exists()


def test_settings_from_the_environment_and_stronger_ones_from_flags(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop.py", ZIGGURAT_STORE="sqlite:///env.db", ZIGGURAT_HOST="127.0.0.1")
    assert fetch(served.url + "/user") == '{"items":[],"next":null}'
    assert served.stop() == 0
    assert (project / "env.db").exists()
    assert not (project / "real.db").exists()
    served = serve("-m", "ziggurat", "run", "shop", "--store", "sqlite:///flag.db", ZIGGURAT_STORE="sqlite:///env2.db")
    assert served.stop() == 0
    assert (project / "flag.db").exists()
    assert not (project / "env2.db").exists()


def test_a_setting_from_the_environment_can_be_wrong(project: Path) -> None:
    done = cli(project, "run", "shop", ZIGGURAT_PORT="eighty")
    assert done.returncode == 1
    assert "ZIGGURAT_PORT is 'eighty'" in done.stderr
    assert "Traceback" not in done.stderr


def io_workers(process: int) -> int:
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{process}/task").iterdir()]
    return sum(name.startswith("ziggurat-io-") for name in names)


@pytest.mark.parametrize(("given", "workers"), [("3", 3), ("0", 1)])
def test_the_number_of_io_threads(project: Path, serve: Callable[..., Any], given: str, workers: int) -> None:
    served = serve("-m", "ziggurat", "run", "shop", "--io-threads", given, ZIGGURAT_IO_THREADS="2")
    assert fetch(served.url + "/hello") == "hello"
    assert fetch(served.url + "/user") == '{"items":[],"next":null}'
    # With 0 the loop's thread serves, and one worker is left for the store.
    assert io_workers(served.process.pid) == workers


def test_a_number_of_io_threads_can_be_wrong(project: Path) -> None:
    done = cli(project, "run", "shop", "--io-threads", "-1")
    assert done.returncode == 2 and "0 serves on the thread of the event loop" in done.stderr
    done = cli(project, "run", "shop", ZIGGURAT_IO_THREADS="many")
    assert done.returncode == 1 and "ZIGGURAT_IO_THREADS is 'many'" in done.stderr


def test_a_taken_port_is_one_sentence(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop", "--store", "sqlite:///a.db")
    port = served.url.rpartition(":")[2]
    done = cli(project, "run", "shop", "--store", "sqlite:///b.db", "--port", port)
    assert done.returncode == 1
    taken = f"error: cannot listen on 127.0.0.1:{port}: Address already in use\nhelp: another process listens there: "
    assert done.stderr.startswith(taken)
    assert cli(project, "run", "shop", "--port", port, "--workers", "2").stderr == done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        (("--host", "nowhere.invalid"), ("cannot listen on nowhere.invalid:", "help: give an address of this machine")),
        (("--host", "192.0.2.1"), ("cannot listen on 192.0.2.1:", "help: give an address of this machine")),
        (("--fd", "1"), ("the descriptor 1 is no socket", "hand over a TCP socket that listens")),
        (("--fd", "99"), ("the descriptor 99 cannot be taken over: ", "hand over a TCP socket that listens")),
    ],
    ids=["name", "address", "no-socket", "no-descriptor"],
)
def test_where_it_cannot_listen_the_cure_is_told(
    project: Path, place: tuple[str, ...], says: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    done = cli(project, "run", "shop", *place, *workers, ZIGGURAT_STORE="sqlite:///:memory:")
    assert done.returncode == 1
    assert all(part in done.stderr for part in says), done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_routes_lists_stacks_and_touches_no_store(project: Path) -> None:
    done = cli(project, "routes", "shop:app")
    assert done.returncode == 0, done.stderr
    lines = {tuple(line.split()[:2]): line for line in done.stdout.splitlines()}
    assert lines[("GET", "/hello")].endswith("[Python]")
    assert "CatchPanic > RequestId > " in lines[("GET", "/hello")]
    assert lines[("POST", "/user")].endswith("[Python]")
    assert not lines[("PUT", "/user/{id}")].endswith("[Python]")
    assert not (project / "real.db").exists()

    routes = json.loads(cli(project, "routes", "shop:app", "--json").stdout)
    assert {route["kind"] for route in routes} == {"crud", "native", "python"}
    done = cli(project, "routes", "shop:app", "--path", "/hello")
    assert done.stdout.startswith("GET: CatchPanic > ")
    done = cli(project, "routes", "shop:app", "--path", "/nope")
    assert done.returncode == 1
    assert "no route answers at /nope" in done.stderr


def test_openapi_prints_or_writes(project: Path) -> None:
    done = cli(project, "openapi", "shop:app")
    assert json.loads(done.stdout)["info"]["title"] == "T"
    assert cli(project, "openapi", "shop:app", "--out", "api.json").stdout == ""
    assert json.loads((project / "api.json").read_text()) == json.loads(done.stdout)
    assert not (project / "real.db").exists()


def test_an_api_key_is_printed_with_the_hash_that_it_is_known_by(tmp_path: Path) -> None:
    made = [cli(tmp_path, "api-key") for _ in range(2)]
    keys = []
    for done in made:
        assert done.returncode == 0
        key, known = (line.split()[1] for line in done.stdout.splitlines())
        assert known == "sha256:" + hashlib.sha256(key.encode()).hexdigest()
        keys.append(key)
    assert keys[0] != keys[1] and all(len(key) == 43 for key in keys)


def test_token_is_what_another_library_accepts(tmp_path: Path) -> None:
    made = cli(tmp_path, "token", "--sub", "ada", "--scope", "a,b", "--audience", "x", ZIGGURAT_JWT_SECRET=SECRET)
    claims = jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"], audience="x")
    assert (claims["sub"], claims["scope"], claims["exp"] - claims["iat"]) == ("ada", "a b", 3600)
    done = cli(tmp_path, "token", "--sub", "ada", "--secret", "short")
    assert done.returncode == 1
    assert "less than 32 bytes" in done.stderr


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nope:app", "there is no module 'nope'"),
        ("shop:nope", "shop has no 'nope'"),
        ("shop:User", "is a ModelMetaclass, not a Ziggurat app"),
        ("nope.py", "there is no file 'nope.py'"),
        (":app", "names no module"),
    ],
)
def test_a_wrong_target_is_one_sentence(project: Path, target: str, says: str) -> None:
    done = cli(project, "routes", target)
    assert done.returncode == 1
    assert says in done.stderr
    assert "help: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_of_another_framework_is_told_how_it_is_served(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from fastapi import FastAPI\nserved = FastAPI()\n")
    done = cli(tmp_path, "run", "other:served")
    assert done.returncode == 1
    assert "other:served is a FastAPI, not a Ziggurat app" in done.stderr
    assert 'help: mount it in one: app = Ziggurat(); app.mount("", served)' in done.stderr


@pytest.mark.parametrize(
    ("source", "says", "line"),
    [
        ("from ziggurat import layers\nlayers.Jwt(secret='x')\n", "layers.Jwt: the secret has 1 bytes", 2),
        ("import json\nimport nothing_of_this_name\n", "No module named 'nothing_of_this_name'", 2),
        (
            "from ziggurat.middleware.cors import CORSMiddleware\n",
            "No module named 'ziggurat.middleware'\nhelp: give layers=[layers.Cors(...)] and the like",
            1,
        ),
        (
            "\nfrom ziggurat.testclient import TestClient\n",
            "No module named 'ziggurat.testclient'\nhelp: import TestClient from ziggurat.testing",
            2,
        ),
        ("from ziggurat import APIRouter\n", "ziggurat has no APIRouter; import Router from ziggurat", 1),
        ("def f(:\n", "invalid syntax", 1),
        ("x = 1\n\nraise ValueError('no')\n", "ValueError: no", 3),
        (
            "from ziggurat import Ziggurat\napp = Ziggurat()\n@app.get('/a')\nasync def a(x: object): ...\n",
            "the parameter 'x' has the type object",
            3,
        ),
        ("from ziggurat import Ziggurat\n\napp = Ziggurat(store='oracle://x')\n", "oracle", 3),
    ],
    ids=["layer", "import", "middleware", "testclient", "name", "syntax", "raise", "parameter", "store"],
)
def test_errors_point_at_the_users_line(tmp_path: Path, source: str, says: str, line: int) -> None:
    (tmp_path / "broken.py").write_text(source)
    done = cli(tmp_path, "routes" if "store" not in source else "run", "broken:app")
    assert done.returncode == 1
    assert says in done.stderr
    assert f"--> broken.py:{line}" in done.stderr
    assert f"{line} | {source.splitlines()[line - 1].strip()}" in done.stderr
    assert "Traceback" not in done.stderr
    assert (
        "Traceback" in cli(tmp_path, "routes" if "store" not in source else "run", "broken:app", "--traceback").stderr
    )
