"""The settings of the command line: where they may stand, which is the stronger, and what is not taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import cli

from ziggurat import layers
from ziggurat._arguments import REFUSED
from ziggurat._options import SETTINGS, read_file, resolve
from ziggurat.exceptions import ConfigError

APP = """
from ziggurat import Request, Ziggurat, layers

app = Ziggurat(openapi_path=None)

@app.get("/client")
async def client(request: Request) -> str:
    return repr(request.client)

def make() -> Ziggurat:
    return app
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def of(folder: Path, *args: str, **env: str) -> dict[str, tuple[Any, str]]:
    """Each setting and its source, as `ziggurat info` knows them."""
    done = cli(folder, "info", "--json", *args, **env)
    assert done.returncode == 0, done.stderr
    return {name: (each["value"], each["source"]) for name, each in json.loads(done.stdout)["settings"].items()}


def test_flags_are_stronger_than_the_environment_than_files_than_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("ZIGGURAT_")]:
        monkeypatch.delenv(name)
    (tmp_path / "ziggurat.toml").write_text('host = "::1"\nport = 1\nlog-level = "debug"\nworkers = 3\n')
    monkeypatch.setenv("ZIGGURAT_PORT", "2")
    monkeypatch.setenv("ZIGGURAT_LOG_LEVEL", "warn")
    found = resolve({"log_level": "error"}, tmp_path)
    told = {
        name: (found[name].value, found[name].source) for name in ("host", "port", "log_level", "workers", "backlog")
    }
    assert told == {
        "host": ("::1", "ziggurat.toml:1"),
        "port": (2, "ZIGGURAT_PORT"),
        "log_level": ("error", "--log-level"),
        "workers": (3, "ziggurat.toml:4"),
        "backlog": (2048, "default"),
    }


def test_info_tells_where_each_setting_comes_from(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.ziggurat]\nport = 1\nreload-dir = ["a", "b"]\n'
    )
    found = of(tmp_path, ZIGGURAT_HOST="0.0.0.0", ZIGGURAT_STORE="mongodb://me:secret@host/db")
    assert found["port"] == (1, "pyproject.toml:4")
    assert found["reload_dir"] == (["a", "b"], "pyproject.toml:5")
    assert found["host"] == ("0.0.0.0", "ZIGGURAT_HOST")
    assert found["store"] == ("mongodb://***@host/db", "ZIGGURAT_STORE")
    assert found["workers"] == (1, "default")
    printed = cli(tmp_path, "info").stdout
    assert "port" in printed and "pyproject.toml:4" in printed and "pydantic" in printed


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ('host = "h"\nprot = 1\n', "has the setting 'prot', which does not exist; did you mean port?", 2),
        ("\nport = 99999\n", "port is 99999; give a port from 0 to 65535", 2),
        ('workers = "two"\n', "workers is 'two'; give a number from 1", 1),
        ("factory = 1\n", "factory is 1; write true or false", 1),
        ("port = true\n", "port is True; it is no switch", 1),
        ("reload-dir = [1]\n", "write a list of texts", 1),
        ("a =\n", "is no TOML", 1),
        ('\nuds = "/run/shop"\n', "uds is not taken: Unix sockets are not served", 2),
        ('ssl-keyfile = "key.pem"\n', "ssl-keyfile is not taken: TLS is not served", 1),
        ("[tool.ziggurat]\nport = 1\n", "has the table [tool], and settings have none; write them at the top", 1),
        ('host = "h"\n[reload]\ndir = "."\n', "reload is {'dir': '.'}; write true or false", 2),
    ],
)
def test_mistakes_in_files_are_named_with_their_line(tmp_path: Path, text: str, says: str, line: int) -> None:
    (tmp_path / "ziggurat.toml").write_text(text)
    with pytest.raises(Exception, match=r"ziggurat\.toml") as raised:
        read_file(tmp_path)
    assert says in str(raised.value)
    assert str(raised.value).endswith(f"ziggurat.toml:{line})")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'[tool]\nziggurat = "shop"\n', "tool.ziggurat is 'shop'; write a table: [tool.ziggurat] (at "),
        (b'tool = "shop"\n', "tool is 'shop'; write a table: [tool.ziggurat] (at "),
        (b"[tool.ziggurat]\n# \xff\n", "save it as UTF-8 (at "),
        (b"[tool.ziggurat.run]\nport = 1\n", "has the table [run], and settings have none; write them into [tool.zigg"),
    ],
    ids=["text", "no-table", "bytes", "below"],
)
def test_a_project_file_that_cannot_be_read_is_told(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"pyproject\.toml") as raised:
        read_file(tmp_path)
    assert says in str(raised.value)


def test_variables_of_what_is_refused_are_refused(tmp_path: Path) -> None:
    done = cli(tmp_path, "info", ZIGGURAT_UDS="/run/shop")
    assert done.returncode == 1
    assert "the environment variable ZIGGURAT_UDS is not taken: Unix sockets are not served" in done.stderr


def test_workers_and_files_to_follow_are_two_things(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.ziggurat]\nworkers = 4\n")
    done = cli(project, "run", "shop", "--reload")
    assert done.returncode == 1
    assert "pyproject.toml:2 asks for 4 workers, and --reload for one that is started anew" in done.stderr


def test_one_file_has_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ziggurat.toml").write_text("port = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.ziggurat]\nport = 2\n")
    with pytest.raises(Exception, match="keep them in one of the two"):
        read_file(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "x", "--relaod"), "there is no option --relaod\nhelp: did you mean --reload?"),
        (("dev", "x", "--prot=1"), "there is no option --prot\nhelp: did you mean --port?"),
        (("rn", "x"), "there is no command 'rn'\nhelp: did you mean run?"),
        (("run", "x", "y"), "'y' is one argument too many"),
        (("run", "x", "--ssl-keyfile", "k"), "--ssl-keyfile is not taken: TLS is not served"),
        (("run", "x", "--uds=/s"), "--uds is not taken: Unix sockets are not served"),
        (("run", "x", "--backlog", "0"), "give a number from 1"),
        (("dev", "x", "--workers", "2"), "there is no option --workers"),
    ],
)
def test_what_is_not_known_is_said(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = cli(tmp_path, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_what_is_refused_is_not_taken_as_well() -> None:
    flags = {setting.flag for setting in SETTINGS}
    assert not flags & set(REFUSED)


def test_an_app_may_be_named_by_a_file_and_made_by_a_function(project: Path) -> None:
    (project / "ziggurat.toml").write_text('app = "shop:make"\nfactory = true\n')
    done = cli(project, "routes")
    assert done.returncode == 0 and "/client" in done.stdout, done.stderr
    done = cli(project, "routes", "shop:make", "--no-factory")
    assert done.returncode == 1 and "or add --factory if this makes one" in done.stderr
    done = cli(project, "routes", "shop:app", "--factory")
    assert done.returncode == 1 and "shop:app makes no app" in done.stderr
    (project / "ziggurat.toml").unlink()
    done = cli(project, "routes")
    assert done.returncode == 1 and "no app is named" in done.stderr


def test_modules_are_looked_for_in_another_folder(project: Path) -> None:
    (project / "else").mkdir()
    done = cli(project / "else", "routes", "shop", "--app-dir", "..")
    assert done.returncode == 0 and "/client" in done.stdout, done.stderr


def test_an_environment_file_is_for_what_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text("ZIGGURAT_PORT=5\nZIGGURAT_HOST=::1\n")
    (tmp_path / "ziggurat.toml").write_text('env_file = "my.env"\n')
    found = of(tmp_path, ZIGGURAT_HOST="h")
    assert (found["port"][0], found["host"][0]) == (5, "h")
    (tmp_path / "my.env").unlink()
    done = cli(tmp_path, "info")
    assert done.returncode == 1 and "there is no file 'my.env', which ziggurat.toml:1 names" in done.stderr


def test_proxies_and_the_access_log_are_layers(project: Path, serve: Callable[..., Any]) -> None:
    served = serve("-m", "ziggurat", "run", "shop", "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8", "--access-log")
    asked = httpx.get(f"{served.url}/client", headers={"x-forwarded-for": "203.0.113.9"})
    assert asked.text == "Address(host='203.0.113.9', port=0)"
    served.stop()
    assert "/client" in served.output()


def test_proxies_are_given_once(project: Path) -> None:
    (project / "shop.py").write_text(APP.replace("Ziggurat(", "Ziggurat(layers=[layers.ClientIp(hops=1)], "))
    done = cli(project, "run", "shop", "--forwarded-allow-ips", "127.0.0.1")
    assert done.returncode == 1 and "leave --forwarded-allow-ips out, or the layer" in done.stderr


def test_the_access_log_may_be_left_out(project: Path, serve: Callable[..., Any]) -> None:
    (project / "shop.py").write_text(APP.replace("Ziggurat(", "Ziggurat(layers=[layers.Trace()], "))
    served = serve("-m", "ziggurat", "run", "shop", "--no-access-log")
    assert httpx.get(f"{served.url}/client").status_code == 200
    served.stop()
    assert "/client" not in served.output()
    assert layers.Trace().to_spec()


def test_a_socket_is_taken_over(project: Path, serve: Callable[..., Any]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "ziggurat", "run", "shop", "--fd", str(listener.fileno())]
        process = subprocess.Popen(command, cwd=project, pass_fds=[listener.fileno()], stderr=subprocess.PIPE)
        try:
            # It waits in the queue of the socket until the app takes it.
            assert httpx.get(f"http://127.0.0.1:{port}/client", timeout=30).status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=30)
    done = cli(project, "run", "shop", "--fd", "77")
    assert done.returncode == 1 and "the descriptor 77 cannot be taken over" in done.stderr
