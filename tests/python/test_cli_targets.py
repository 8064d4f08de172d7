"""How an app is named on the command line, and what is said where it is not found."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import cli

MAIN = """
from ziggurat import Ziggurat
from .words import HELLO

app = Ziggurat(title=HELLO)
"""
MAKES = "from ziggurat import Ziggurat\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package below src/."""
    package = tmp_path / "src" / "shop" / "web"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "main.py").write_text(MAIN)
    (package / "words.py").write_text("HELLO = 'from beside'\n")
    return tmp_path


def test_a_file_of_a_package_may_import_from_what_is_beside_it(project: Path) -> None:
    done = cli(project, "openapi", "src/shop/web/main.py")
    assert done.returncode == 0 and "from beside" in done.stdout, done.stderr
    (project / "src" / "shop" / "__init__.py").write_text("from .web.main import app\n")
    done = cli(project, "openapi", "src/shop/__init__.py:app")
    assert done.returncode == 0 and "from beside" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("target", "cure"),
    [
        ("shop.web.main", "write shop.web.main:app --app-dir src"),
        ("shop/web/main", "write shop.web.main:app --app-dir src"),
        ("flat.application", "write flat:application, with a colon before the attribute"),
        ("flat", "write flat:create_app --factory"),
        ("annotated", "write annotated:service --factory"),
        ("nowhere", "write module:app, with dots for folders, or path/to/file.py:app"),
    ],
)
def test_the_cure_names_what_was_meant(project: Path, target: str, cure: str) -> None:
    (project / "flat.py").write_text(MAKES + "def create_app(): return Ziggurat()\n")
    (project / "annotated.py").write_text(MAKES + "def service() -> Ziggurat: return Ziggurat()\n")
    done = cli(project, "routes", target)
    assert done.returncode == 1
    assert f"help: {cure}\n" in done.stderr


def test_an_app_is_made_before_there_is_a_loop(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MAKES + "async def make(): return Ziggurat()\n")
    done = cli(tmp_path, "routes", "shop:make", "--factory")
    assert done.returncode == 1
    assert "shop:make is async" in done.stderr and "write it with def" in done.stderr
    assert "RuntimeWarning" not in done.stderr
