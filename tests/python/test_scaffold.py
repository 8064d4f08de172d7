"""`ziggurat new --rust` writes the project of `examples/custom_rust`, which is built and tested as it stands."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import cli

import ziggurat._ziggurat
from ziggurat.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_rust"


def files(folder: Path) -> dict[str, str]:
    kept = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in kept if path.suffix != ".so"}


def test_a_new_project_is_the_example_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "geo_app"
    assert main(["new", "--rust", str(folder)]) == 0
    assert f"wrote {folder / 'src' / 'lib.rs'}" in capsys.readouterr().out
    written = files(folder)
    wanted = {path.replace("custom_rust", "geo_app"): text for path, text in files(EXAMPLE).items()}
    assert written.keys() == wanted.keys()
    cargo = tomllib.loads(written["Cargo.toml"])
    assert cargo["package"]["name"] == cargo["lib"]["name"] == "geo_app"
    dependency = {"version": ziggurat._ziggurat.__version__, "features": ["python"]}
    assert cargo["dependencies"]["ziggurat"] == dependency
    project = tomllib.loads(written["pyproject.toml"])
    assert project["project"]["entry-points"]["ziggurat.native"] == {"geo_app": "geo_app._native"}
    assert project["tool"]["maturin"]["module-name"] == "geo_app._native"
    for path, text in wanted.items():
        if path != "Cargo.toml":
            assert written[path] == text.replace("custom_rust", "geo_app"), path
    assert not any("custom_rust" in text for text in written.values())


@pytest.mark.parametrize("name", ["ziggurat", "class", "Geo", "geo-app", "1a"])
def test_names_that_cannot_be_are_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--rust", str(tmp_path / name)]) == 1
    assert "cannot be the name of a Python module" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["ziggurat", "Shop", "-shop", "shop-", "a b", "1a"])
def test_names_of_projects_that_cannot_be_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path) + "/" + name]) == 1
    assert "cannot be the name of a project" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_project_in_python_may_be_named_with_hyphens_and_be_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "book-shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["new", "."]) == 0
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == "book-shop"
    done = cli(folder, "routes")
    assert done.returncode == 0 and "/notes" in done.stdout, done.stderr


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "app.py").write_text("mine")
    assert main(["new", "--rust", str(folder)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert files(folder) == {"app.py": "mine"}


def test_a_native_module_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ziggurat.native]\nbroken = broken._native\n")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import ziggurat.cli"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert (
        "ImportError: the native module broken._native, an entry point of broken: No module named 'broken'"
        in ended.stderr
    )
