"""Code of users, in `typing/`, as type checkers see it: in their strictest modes, and with nothing lost of what is decorated."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ziggurat
from ziggurat.testing import TestClient

CODE = Path(__file__).parent / "typing"
PACKAGES = Path(ziggurat.__file__).parents[1]


def checked(*command: str, cwd: Path) -> None:
    environment = {**os.environ, "MYPYPATH": str(PACKAGES) if PACKAGES.name != "site-packages" else ""}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("plugin", ["", "pydantic.mypy"])
def test_mypy_finds_nothing(tmp_path: Path, plugin: str) -> None:
    pytest.importorskip("mypy")
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = True\nplugins = {plugin}\n")
    command = (sys.executable, "-m", "mypy", "--config-file", str(settings), "--python-version", "3.11")
    checked(*command, "--cache-dir", str(tmp_path), *map(str, sorted(CODE.glob("*.py"))), cwd=tmp_path)


def test_pyright_finds_nothing(tmp_path: Path) -> None:
    # It brings a Node.js of 200 MB, so it is no requirement of the tests: `make lint-pyright` installs it.
    pyright = shutil.which("pyright", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if pyright is None:
        pytest.skip("pyright is not installed: make lint-pyright")
    shutil.copytree(CODE, tmp_path / "code")
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "include": ["code"],
                "extraPaths": [str(PACKAGES)],
                "typeCheckingMode": "strict",
                "reportUnnecessaryTypeIgnoreComment": "error",
                "enableTypeIgnoreComments": False,
                "pythonVersion": "3.11",
            }
        )
    )
    checked(pyright, "--pythonpath", sys.executable, "-p", str(tmp_path), cwd=tmp_path)


@pytest.mark.parametrize("name", ["handlers", "rows", "clients", "constructed"])
def test_what_is_checked_can_be_run(name: str) -> None:
    code = runpy.run_path(str(CODE / f"{name}.py"))
    with TestClient(code["app"]):
        pass
    if name == "clients":
        code["test_root"]()
